/**
 * Credentials for the command that `exec` runs, by the protocols that the clouds' SDKs know from their own platforms.
 * Loopback, and only for who has the secret of this run.
 *
 * @see {@link https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html AWS: container credentials}
 * @see {@link https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference Azure: App Service}
 * @see {@link https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token Google: token exchange}
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readStream } from 'node:stream/consumers'
import type { TargetType } from '../runtime/target-facts.node.ts'
import type { AwsCredential, CloudCredential } from '../sdk/credential-answer.ts'
import { CliError } from './cli-error.ts'
import { formatExpiry } from './credential-formats.ts'

export interface CredentialServerDeps {
  /** Of this run: whoever shows it is the command. */
  readonly secret: string
  /** The fresh credential of the target of that type. @throws {CliError} */
  readonly get: Readonly<Partial<Record<TargetType, () => Promise<CloudCredential>>>>
  readonly now: () => Date
}

export interface CredentialServer {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string
  /** Ends open connections too. */
  readonly close: () => Promise<void>
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

/** A way to ask: where the secret stands, and what the answer looks like. */
interface Protocol {
  readonly method: 'GET' | 'POST'
  readonly readSecret: (request: IncomingMessage) => Promise<string | undefined> | string | undefined
  readonly format: (credential: CloudCredential, url: URL, now: Date) => unknown
}

const protocols: Readonly<Record<TargetType, Protocol>> = {
  aws: {
    method: 'GET',
    readSecret: ({ headers }) => headers.authorization,
    format: (credential) => formatContainer(credential as AwsCredential),
  },
  azure: {
    method: 'GET',
    readSecret: ({ headers }) => String(headers['x-identity-header']),
    format: (credential, url) => ({
      ...tokenOf(credential),
      expires_on: String(Math.floor(credential.expiresAt.getTime() / 1000)),
      resource: url.searchParams.get('resource') ?? '',
    }),
  },
  gcp: {
    method: 'POST',
    readSecret: async (request) => new URLSearchParams(await readBody(request)).get('subject_token') ?? undefined,
    format: (credential, _url, now) => ({
      ...tokenOf(credential),
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      expires_in: Math.max(0, Math.floor((credential.expiresAt.getTime() - now.getTime()) / 1000)),
    }),
  },
}

function formatContainer({ accessKeyId, secretAccessKey, sessionToken, expiresAt, accountId }: AwsCredential) {
  return {
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    Token: sessionToken,
    Expiration: formatExpiry(expiresAt),
    ...(accountId !== undefined && { AccountId: accountId }),
  }
}

function tokenOf(credential: CloudCredential) {
  return { access_token: credential.type === 'aws' ? '' : credential.accessToken, token_type: 'Bearer' }
}

const maxBodyBytes = 64 * 1024

async function readBody(request: IncomingMessage): Promise<string> {
  if (Number(request.headers['content-length'] ?? maxBodyBytes) >= maxBodyBytes) return ''
  return readStream(request)
}

export async function startCredentialServer(deps: CredentialServerDeps): Promise<CredentialServer> {
  const server = createServer((request, response) => {
    answer(deps, host(), request)
      .catch((): Answer => ({ status: 500, body: problem('internal', 'a bug in apostille') }))
      .then((made) => send(response, made))
  })
  const host = () => `127.0.0.1:${(server.address() as AddressInfo).port}`
  await once(server.listen(0, '127.0.0.1'), 'listening')
  // The command is what the process lives for.
  server.unref()
  return {
    origin: `http://${host()}`,
    async close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

async function answer(deps: CredentialServerDeps, host: string, request: IncomingMessage): Promise<Answer> {
  // A page in a browser may reach this port by a name of its own.
  if (request.headers.host !== host) return { status: 421, body: problem('misdirected', 'wrong host') }
  const url = URL.parse(request.url ?? '/', `http://${host}`)
  const type = url?.pathname.slice(1) as TargetType
  const get = Object.hasOwn(protocols, type) ? deps.get[type] : undefined
  if (url?.host !== host || get === undefined)
    return { status: 404, body: problem('not_found', 'there is nothing here') }
  const { method, readSecret, format } = protocols[type]
  if (request.method !== method) return { status: 405, body: problem('method_not_allowed', `expected ${method}`) }
  const shown = await readSecret(request)
  if (shown === undefined || !isSecret(shown, deps.secret))
    return { status: 401, body: problem('proof_rejected', 'the secret of this run is missing') }
  try {
    return { status: 200, body: format(await get(), url, deps.now()) }
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    return { status: isRefusal(error) ? 403 : 503, body: problem(error.code, describe(error)) }
  }
}

function isSecret(shown: string, secret: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(shown), digest(secret))
}

const refusalCodes = new Set(['proof_rejected', 'not_entitled', 'not_found', 'malformed_request'])

/** Whether trying again gains nothing. */
export function isRefusal({ code }: CliError): boolean {
  return refusalCodes.has(code)
}

/** Without its code, which stands beside. */
export function describe({ message, requestId }: CliError): string {
  return requestId === undefined ? message : `${message}, request id ${requestId}`
}

/** In the words of each of the protocols. */
function problem(code: string, message: string) {
  return { Code: code, Message: message, error: code, error_description: message, message }
}

function send(response: ServerResponse, { status, body }: Answer): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', connection: 'close' })
    .end(JSON.stringify(body))
}
