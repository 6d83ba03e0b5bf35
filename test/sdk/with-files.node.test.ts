/** The adapters with the vendors' own libraries as their users, against the routes of a gateway over TLS. */
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createPlainServer } from 'node:http'
import { Agent, createServer } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TLSSocket } from 'node:tls'
import { GetCallerIdentityCommand, STSClient, type STSClientConfig } from '@aws-sdk/client-sts'
import { getBearerTokenProvider, type TokenCredential } from '@azure/identity'
import { IdentityPoolClient, OAuth2Client, type SubjectTokenSupplier } from 'google-auth-library'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import * as everywhere from '../../src/index.ts'
import {
  ApostilleError,
  createAzureCredential,
  createClient,
  createGoogleRefreshHandler,
  createGoogleSubjectTokenSupplier,
  fromApostille,
  type NodeOptions,
} from '../../src/node.ts'
import {
  awsCredential,
  type CredentialGateway,
  startCredentialGateway,
  tokenCredential,
} from '../support/credential-gateway.ts'
import { startHttpsServer } from '../support/https-server.ts'
import { createTestAuthority } from '../support/tls.ts'

let gateway: CredentialGateway
let proof: NodeOptions & { readonly server: string; readonly tokenFile: string; readonly caFile: string }

beforeAll(async () => {
  gateway = await startCredentialGateway()
  proof = { server: gateway.url, tokenFile: gateway.tokenFile, caFile: gateway.caFile, env: {} }
})

beforeEach(() => {
  gateway.requests.length = 0
})

afterAll(() => gateway?.close())

const minutes = (count: number) => new Date(Date.now() + count * 60_000)

test('a client of AWS signs with what the provider gives', async () => {
  const authority = await createTestAuthority()
  const seen: Record<string, unknown>[] = []
  const sts = await startHttpsServer(await authority.issue(), (request, response) => {
    seen.push(request.headers)
    response
      .writeHead(200, { 'content-type': 'text/xml' })
      .end(
        `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`,
      )
  })
  const credentials: NonNullable<STSClientConfig['credentials']> = fromApostille({ ...proof, target: 's3' })
  const requestHandler = { httpsAgent: new Agent({ ca: authority.ca }) }
  const clients = [1, 2].map(
    () => new STSClient({ region: 'eu-west-1', endpoint: sts.origin, credentials, requestHandler }),
  )
  const answers = await Promise.all(
    [...clients, ...clients].map((client) => client.send(new GetCallerIdentityCommand({}))),
  )
  expect(answers.map(({ Arn }) => Arn)).toEqual(['arn', 'arn', 'arn', 'arn'])
  for (const headers of seen)
    expect(headers).toMatchObject({
      authorization: expect.stringContaining('Credential=ASIAEXAMPLE/'),
      'x-amz-security-token': 'session-token==',
    })
  expect(gateway.requests).toMatchObject([
    { path: '/v1/credentials/s3', headers: { authorization: 'Bearer the-proof' } },
  ])
  await sts.close()
})

test('a provider of AWS gives what its SDK reads', async () => {
  const identity = await fromApostille({ ...proof, target: 's3', spiffeId: 'spiffe://example.org/web' })()
  expect(identity).toEqual({
    accessKeyId: 'ASIAEXAMPLE',
    secretAccessKey: "secret/key+'quoted'",
    sessionToken: 'session-token==',
    expiration: expect.any(Date),
    accountId: '123456789012',
  })
  expect(gateway.requests).toMatchObject([{ path: '/v1/credentials/s3?spiffe_id=spiffe%3A%2F%2Fexample.org%2Fweb' }])
})

test('a credential of Azure is one, and says when it wants to be replaced', async () => {
  const credential: TokenCredential = createAzureCredential({ ...proof, target: 'vault' })
  const before = Date.now()
  const token = await credential.getToken('https://vault.azure.net/.default')
  expect(token).toMatchObject({ token: 'azure-access-token', tokenType: 'Bearer' })
  const { expiresOnTimestamp: expires = 0, refreshAfterTimestamp: refresh = 0 } = token ?? {}
  expect(expires - before).toBeGreaterThan(3_500_000)
  expect(expires - refresh).toBe(15 * 60_000)
  // The policy that every client of Azure's services has.
  const bearer = getBearerTokenProvider(credential, 'https://vault.azure.net/.default')
  expect(await bearer()).toBe('azure-access-token')
  expect(gateway.requests).toHaveLength(1)
})

test('who gives up waiting for Azure does not end what others wait for', async () => {
  const credential = createAzureCredential({ ...proof, target: 'vault' })
  const release = gateway.hold()
  const abort = new AbortController()
  const given = credential.getToken('s', { abortSignal: abort.signal })
  const other = credential.getToken('s')
  abort.abort()
  await expect(given).rejects.toMatchObject({ name: 'AbortError' })
  await expect(credential.getToken('s', { abortSignal: abort.signal })).rejects.toMatchObject({ name: 'AbortError' })
  release()
  expect((await other).token).toBe('azure-access-token')
})

/** What Google's token service was sent; http, as the library can not be told of a CA. */
async function startTokenService() {
  const seen: URLSearchParams[] = []
  const server = createPlainServer(async (request, response) => {
    seen.push(new URLSearchParams(await text(request)))
    const answer = { access_token: 'federated', issued_token_type: 'x', token_type: 'Bearer', expires_in: 3600 }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as { readonly port: number }
  return { seen, server, url: `http://127.0.0.1:${port}/v1/token` }
}

test("Google's library exchanges a JWT-SVID for the audience that it asks for", async () => {
  const { seen, server, url } = await startTokenService()
  const audience = '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/apostille'
  const supplier: SubjectTokenSupplier = createGoogleSubjectTokenSupplier(proof)
  const client = new IdentityPoolClient({
    type: 'external_account',
    audience,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: url,
    subject_token_supplier: supplier,
  })
  expect((await client.getAccessToken()).token).toBe('federated')
  const [form] = seen
  expect(form?.get('audience')).toBe(audience)
  const [, payload = ''] = form?.get('subject_token')?.split('.') ?? []
  expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({ aud: [audience] })
  server.close()
})

test('a supplier takes an audience of its own, and signs nothing twice while a token is fresh', async () => {
  const supplier = createGoogleSubjectTokenSupplier({ ...proof, audience: 'https://my.example.org' })
  const tokens = await Promise.all([1, 2, 3].map(() => supplier.getSubjectToken({ audience: '//iam' })))
  expect(new Set(tokens).size).toBe(1)
  expect(gateway.requests.map(({ body }) => body)).toEqual(['{"audience":["https://my.example.org"]}'])
})

test("Google's library takes the access token of a target", async () => {
  const client = new OAuth2Client()
  client.refreshHandler = createGoogleRefreshHandler({ ...proof, target: 'storage' })
  const headers = await client.getRequestHeaders()
  expect(headers.get('authorization')).toBe('Bearer gcp-access-token')
})

test.each([
  ['AWS', () => fromApostille({ ...proof, target: 'vault' })()],
  ['Azure', () => createAzureCredential({ ...proof, target: 'storage' }).getToken('s')],
  ['Google', () => createGoogleRefreshHandler({ ...proof, target: 's3' })()],
])('a credential of another cloud is not given to %s', async (_, ask) => {
  await expect(ask()).rejects.toMatchObject({ name: 'ApostilleError', code: 'unexpected_answer' })
})

test('a refusal says its code and the request id', async () => {
  const refused = fromApostille({ ...proof, target: 'unknown' })()
  await expect(refused).rejects.toBeInstanceOf(ApostilleError)
  await expect(refused).rejects.toMatchObject({
    code: 'not_entitled',
    status: 403,
    requestId: '0123456789abcdef01234567',
  })
})

test('many at once are one request, and the token file is read again for the next', async () => {
  const tokenFile = join(gateway.folder, 'rotated')
  writeFileSync(tokenFile, 'the-proof\n')
  gateway.credentials.set('short', awsCredential(minutes(1)))
  const provider = fromApostille({ ...proof, tokenFile, target: 'short' })
  await Promise.all(Array.from({ length: 20 }, provider))
  expect(gateway.requests).toHaveLength(1)
  writeFileSync(tokenFile, 'another')
  await expect(provider()).rejects.toMatchObject({ code: 'proof_rejected' })
  rmSync(tokenFile)
  await expect(provider()).rejects.toMatchObject({
    code: 'token',
    message: `the token can not be read from ${tokenFile}`,
  })
})

test('what policy no longer grants is not handed out again, what is away for a moment is', async () => {
  gateway.credentials.set('aging', tokenCredential('azure', minutes(60)))
  let now = new Date()
  const credential = createAzureCredential({ ...proof, target: 'aging', now: () => now, deadlineMs: 4_000 })
  await credential.getToken('s')
  now = minutes(50)
  gateway.fail(['overloaded', { retryAfterSeconds: 5 }])
  expect(await credential.getToken('s')).toMatchObject({ token: 'azure-access-token' })
  gateway.fail(['not_entitled'])
  await expect(credential.getToken('s')).rejects.toMatchObject({ code: 'not_entitled' })
})

test.each([
  ['no server', () => ({ ...proof, server: undefined }), 'there is no server'],
  ['no proof', () => ({ ...proof, tokenFile: undefined }), 'there is no proof'],
  ['half a proof', () => ({ ...proof, certFile: 'a' }), 'go together'],
])('%s is wrong usage', (_, options, told) => {
  const given = Object.fromEntries(Object.entries(options()).filter(([, value]) => value !== undefined))
  expect(() => createClient(given)).toThrow(
    expect.objectContaining({ code: 'usage', message: expect.stringContaining(told) }),
  )
})

test('the environment says what is left out', async () => {
  const env = {
    APOSTILLE_SERVER: gateway.url,
    APOSTILLE_CA_FILE: gateway.caFile,
    APOSTILLE_TOKEN_FILE: gateway.tokenFile,
  }
  expect(await createClient({ env }).getCredential('s3')).toMatchObject({ type: 'aws' })
})

test('a server that the CA does not vouch for gets no proof', async () => {
  const caFile = join(gateway.folder, 'other.pem')
  writeFileSync(caFile, (await createTestAuthority()).ca)
  // It is tried again until the deadline, which may be over in the middle of a handshake.
  await expect(createClient({ ...proof, caFile, deadlineMs: 1000 }).getCredential('s3')).rejects.toMatchObject({
    code: expect.stringMatching(/^(?:unreachable|timeout)$/),
  })
  expect(gateway.requests).toEqual([])
})

test('a certificate is shown where it is the proof', async () => {
  const authority = await createTestAuthority()
  const client = await authority.issue(['web.example.org'])
  const files = {
    caFile: join(gateway.folder, 'm.ca'),
    certFile: join(gateway.folder, 'm.pem'),
    keyFile: join(gateway.folder, 'm.key'),
  }
  writeFileSync(files.caFile, authority.ca)
  writeFileSync(files.certFile, client.cert)
  writeFileSync(files.keyFile, client.key)
  const shown: unknown[] = []
  const server = createServer(
    { ...(await authority.issue()), ca: authority.ca, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate()
      shown.push([request.headers.authorization, subject.CN])
      response
        .writeHead(403, { 'content-type': 'application/problem+json' })
        .end('{"title":"No","code":"not_entitled"}')
    },
  )
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as { readonly port: number }
  const asked = createClient({ ...files, server: `https://localhost:${port}`, env: { APOSTILLE_TOKEN_FILE: '/none' } })
  await expect(asked.getCredential('s3')).rejects.toMatchObject({ code: 'not_entitled', status: 403 })
  expect(shown).toEqual([[undefined, 'test server']])
  server.close()
})

test('both entries of the package have one class of errors, and the same names', () => {
  expect(everywhere.ApostilleError).toBe(ApostilleError)
  expect(Object.keys(everywhere)).toEqual(expect.arrayContaining(['fromApostille', 'createAzureCredential']))
})

test('no module of the entry that runs anywhere reads files', () => {
  const seen = new Set<string>()
  const look = (file: string) => {
    if (seen.has(file)) return
    seen.add(file)
    const text = readFileSync(file, 'utf8')
    for (const [, name = ''] of text.matchAll(/from '(\.[^']+)'/g)) look(join(file, '..', name))
  }
  look(join(import.meta.dirname, '../../src/index.ts'))
  expect(seen.size).toBeGreaterThan(10)
  expect([...seen].filter((file) => file.endsWith('.node.ts'))).toEqual([])
})
