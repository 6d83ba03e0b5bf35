import { request as send } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterEach, expect, test } from 'vitest'
import { CliError } from '../../src/cli/cli-error.ts'
import { type CredentialServer, startCredentialServer } from '../../src/cli/credential-server.ts'
import type { CloudCredential } from '../../src/sdk/credential-answer.ts'

const now = new Date('2026-01-01T00:00:00.500Z')
const expiresAt = new Date('2026-01-01T01:00:00.900Z')
const credentials = {
  aws: {
    type: 'aws',
    accessKeyId: 'ASIA',
    secretAccessKey: 's',
    sessionToken: 't',
    expiresAt,
    accountId: '123456789012',
  },
  azure: { type: 'azure', accessToken: 'azure-token', expiresAt },
  gcp: { type: 'gcp', accessToken: 'google-token', expiresAt },
} as const satisfies Record<string, CloudCredential>

const open: CredentialServer[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map(({ close }) => close()))
})

async function start(get: () => Promise<CloudCredential> = async () => credentials.aws) {
  const server = await startCredentialServer({
    secret: 'of-this-run',
    get: { aws: get, azure: async () => credentials.azure, gcp: async () => credentials.gcp },
    now: () => now,
  })
  open.push(server)
  return server
}

interface Asking {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

async function ask({ origin }: CredentialServer, path: string, { method = 'GET', headers, body = '' }: Asking = {}) {
  const response = Promise.withResolvers<{ readonly status: number; readonly body: unknown }>()
  const length = body === '' ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const request = send(`${origin}${path}`, { method, headers: { ...length, ...headers } }, async (incoming) => {
    response.resolve({ status: incoming.statusCode ?? 0, body: JSON.parse(await text(incoming)) })
  })
  request.on('error', response.reject).end(body)
  return response.promise
}

const aws = { headers: { authorization: 'of-this-run' } }
const azure = { headers: { 'x-identity-header': 'of-this-run' } }
const gcp = { method: 'POST', body: 'grant_type=x&subject_token=of-this-run' }

test('listens on loopback', async () => {
  expect((await start()).origin).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
})

test.each([
  [
    'AWS: container credentials',
    '/aws',
    aws,
    {
      AccessKeyId: 'ASIA',
      SecretAccessKey: 's',
      Token: 't',
      Expiration: '2026-01-01T01:00:00Z',
      AccountId: '123456789012',
    },
  ],
  [
    'Azure: App Service',
    '/azure?api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net',
    azure,
    {
      access_token: 'azure-token',
      token_type: 'Bearer',
      expires_on: '1767229200',
      resource: 'https://vault.azure.net',
    },
  ],
  [
    'Google: token exchange',
    '/gcp',
    gcp,
    {
      access_token: 'google-token',
      token_type: 'Bearer',
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      expires_in: 3600,
    },
  ],
])('%s', async (_, path, asking, body) => {
  expect(await ask(await start(), path, asking)).toEqual({ status: 200, body })
})

test.each([
  ['no secret', '/aws', {}, 401],
  ['another secret', '/aws', { headers: { authorization: 'of-that-run' } }, 401],
  ['the start of the secret', '/aws', { headers: { authorization: 'of-this' } }, 401],
  ['the secret in the wrong place', '/azure', aws, 401],
  ['no secret for Azure', '/azure', {}, 401],
  ['no secret for Google', '/gcp', { method: 'POST', body: 'grant_type=x' }, 401],
  ['a body without end', '/gcp', { method: 'POST', body: gcp.body.padEnd(70_000, 'x') }, 401],
  ['another host', '/aws', { headers: { ...aws.headers, host: 'attacker.example' } }, 421],
  ['a name for this machine', '/aws', { headers: { ...aws.headers, host: 'localhost' } }, 421],
  ['another method', '/aws', { ...aws, method: 'POST' }, 405],
  ['reading where it is written', '/gcp', {}, 405],
  ['another path', '/v1/credentials/aws', aws, 404],
  ['what every object has', '/constructor', aws, 404],
  ['a path that is none', '//', aws, 404],
  ['a path that names another host', '//attacker.example/aws', aws, 404],
])('%s is refused', async (_, path, asking, status) => {
  const answer = await ask(await start(), path, asking)
  expect(answer.status).toBe(status)
  expect(JSON.stringify(answer)).not.toMatch(/ASIA|azure-token|google-token|of-this-run/)
})

test('a cloud without a target is not there', async () => {
  const server = await startCredentialServer({ secret: 'a', get: {}, now: () => now })
  open.push(server)
  expect(await ask(server, '/aws', { headers: { authorization: 'a' } })).toMatchObject({ status: 404 })
})

test.each([
  ['not_entitled', 403],
  ['proof_rejected', 403],
  ['upstream_failed', 503],
  ['server_unreachable', 503],
])('%s of the gateway is %i in the words of each SDK', async (code, status) => {
  const server = await start(() => Promise.reject(new CliError('No', { code, requestId: 'abc' })))
  expect(await ask(server, '/aws', aws)).toEqual({
    status,
    body: {
      Code: code,
      Message: 'No, request id abc',
      error: code,
      error_description: 'No, request id abc',
      message: 'No, request id abc',
    },
  })
})

test('a bug is told as one, without its message', async () => {
  const server = await start(() => Promise.reject(new Error('secret')))
  const answer = await ask(server, '/aws', aws)
  expect(answer.status).toBe(500)
  expect(JSON.stringify(answer)).not.toContain('secret')
})
