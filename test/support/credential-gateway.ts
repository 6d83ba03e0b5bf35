/**
 * The routes of a gateway that a workload asks for credentials, over TLS: the answers are made as the gateway makes them,
 * of what a test says.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as readStream } from 'node:stream/consumers'
import type { CloudCredential } from '../../src/core/cloud.ts'
import { Refusal, type RefusalCode, type RefusalOptions } from '../../src/core/refusal.ts'
import type { Answer } from '../../src/http/answer.ts'
import { problemAnswer } from '../../src/http/problem.ts'
import { credentialsAnswer, readTargetName } from '../../src/http/routes/credentials.ts'
import { startHttpsServer } from './https-server.ts'
import { createTestAuthority } from './tls.ts'

export interface AskedRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

type Failure = [code: RefusalCode, options?: RefusalOptions] | 'reset' | 'garbage' | 'redirect' | 'huge'

export interface CredentialGateway {
  /** `https://localhost:<port>` */
  readonly url: string
  readonly caFile: string
  /** A file with a proof; no line end. */
  readonly tokenFile: string
  readonly folder: string
  readonly requests: AskedRequest[]
  /** By target; a missing one is `not_entitled`. May be changed. */
  readonly credentials: Map<string, CloudCredential>
  /** Of JWT-SVIDs, in seconds; 300 at first. */
  jwtLifeSeconds: number
  /** The next answers, in order. */
  readonly fail: (...failures: readonly Failure[]) => void
  /** Holds answers back until the function that it returns is called. */
  readonly hold: () => () => void
  readonly close: () => Promise<void>
}

const hourMs = 3_600_000

export const awsCredential = (expiresAt = new Date(Date.now() + hourMs)): CloudCredential => ({
  type: 'aws',
  accessKeyId: 'ASIAEXAMPLE',
  secretAccessKey: "secret/key+'quoted'",
  sessionToken: 'session-token==',
  roleArn: 'arn:aws:iam::123456789012:role/payments',
  expiresAt,
})

export const tokenCredential = (type: 'azure' | 'gcp', expiresAt = new Date(Date.now() + hourMs)): CloudCredential => ({
  type,
  accessToken: `${type}-access-token`,
  expiresAt,
})

export async function startCredentialGateway(): Promise<CredentialGateway> {
  const authority = await createTestAuthority()
  const folder = mkdtempSync(join(tmpdir(), 'apo-credentials-'))
  const caFile = join(folder, 'ca.pem')
  const tokenFile = join(folder, 'token')
  writeFileSync(caFile, authority.ca)
  writeFileSync(tokenFile, 'the-proof')
  const failures: Failure[] = []
  let held: Promise<void> | undefined
  const server = await startHttpsServer(await authority.issue(), (request, response) => void answer(request, response))

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/', headers } = request
    gateway.requests.push({ method, path, headers, body: await readStream(request) })
    await held
    const failure = failures.shift()
    if (failure === 'reset') return void request.socket.resetAndDestroy()
    const made = await make(failure, gateway.requests.at(-1)!)
    response.writeHead(made.status, { ...made.headers }).end(made.body)
  }

  async function make(failure: Failure | undefined, asked: AskedRequest): Promise<Answer> {
    if (failure === 'garbage') return { status: 200, headers: {}, body: '<html>' }
    if (failure === 'huge') return { status: 200, headers: {}, body: 'x'.repeat(300_000) }
    if (failure === 'redirect') return { status: 302, headers: { location: 'https://example.org/' }, body: '' }
    try {
      if (Array.isArray(failure)) throw new Refusal(failure[0], 'a test said so', failure[1])
      return await route(asked)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return problemAnswer(error, '0123456789abcdef01234567')
    }
  }

  function route({ method, path, headers, body }: AskedRequest): Promise<Answer> | Answer {
    if (!/^(?:Bearer )?the-proof$/.test(String(headers['authorization'])))
      throw new Refusal('proof_rejected', 'no proof')
    if (method === 'POST' && path === '/v1/svid/jwt') return jwtAnswer(JSON.parse(body).audience)
    const [pathname = '', search = ''] = path.split(/\?(.*)/s)
    const exchange = async (_call: unknown, { target }: { readonly target: string }) => {
      const credential = gateway.credentials.get(target)
      if (!credential) throw new Refusal('not_entitled', 'no policy')
      return credential
    }
    const query = { target: readTargetName(pathname), search }
    return credentialsAnswer({ exchange }, {} as never, query, new Date())
  }

  function jwtAnswer(audience: readonly string[]): Answer {
    const expiresAt = new Date(Date.now() + gateway.jwtLifeSeconds * 1000)
    const count = gateway.requests.filter((request) => request.path === '/v1/svid/jwt').length
    const claims = { aud: audience, sub: 'spiffe://example.org/web', jti: String(count) }
    const token = `eyJhbGciOiJFUzI1NiJ9.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`
    const body = { spiffe_id: claims.sub, token, expires_at: expiresAt.toISOString() }
    return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  }

  const gateway: CredentialGateway = {
    url: server.origin,
    caFile,
    tokenFile,
    folder,
    requests: [],
    credentials: new Map([
      ['s3', awsCredential()],
      ['vault', tokenCredential('azure')],
      ['storage', tokenCredential('gcp')],
    ]),
    jwtLifeSeconds: 300,
    fail: (...more) => void failures.push(...more),
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>()
      held = promise
      return () => {
        held = undefined
        resolve()
      }
    },
    async close() {
      await server.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return gateway
}
