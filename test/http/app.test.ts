import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Call } from '../../src/core/call.ts'
import type { Gateway } from '../../src/core/gateway.ts'
import { Refusal, type RefusalCode, refusals } from '../../src/core/refusal.ts'
import { createApp } from '../../src/http/app.ts'
import { type Connection, readCall } from '../../src/http/incoming-call.ts'
import { withoutIssuerPath } from '../../src/http/request-path.ts'
import { createTelemetryLog } from '../support/fake-upstream.ts'

const requestId = '0123456789abcdef01234567'
const secret = 'planted-secret'
const codes = Object.keys(refusals) as RefusalCode[]
const nobody: Connection = { address: '192.0.2.1', certificates: [] }

interface Recorded {
  readonly call: Call
  readonly operation: string
  readonly refusal: Refusal
}

/** The application over a gateway that fails as it is told. */
function createFailing(error: unknown, issuerPath = '') {
  const recorded: Recorded[] = []
  const telemetry = createTelemetryLog()
  const fail = () => Promise.reject(error)
  const gateway = {
    issueSvid: fail,
    issueSvids: fail,
    listIdentities: fail,
    published: () => {
      throw error
    },
    recordRefusal: async (call: Call, operation: string, refusal: Refusal) =>
      void recorded.push({ call, operation, refusal }),
    ready: fail,
    configured: () => ({ config: { issuer: `https://id.example.org${issuerPath}` }, issuerPath }),
    configurationRefused: () => false,
  } as unknown as Gateway
  const deps = { gateway, telemetry, now: () => new Date(0), requestId: () => requestId, connection: () => nobody }
  const app = createApp(deps)
  const ask = (path: string, init: RequestInit = {}) => app.fetch(new Request(`https://a${path}`, init), {})
  return { app, ask, recorded, telemetry, gateway }
}

const svid: RequestInit = {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ audience: ['a'] }),
}
const exchange: RequestInit = {
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body: new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: 'x',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    audience: 'a',
  }).toString(),
}

const withDetail = new Set<RefusalCode>(['malformed_request', 'conflict', 'not_found', 'unsupported_media_type'])

describe('a refusal becomes a problem', () => {
  test.each(codes)('%s: its status, its title, its code and nothing of its reason', async (code) => {
    const refusal = new Refusal(code, secret, { detail: 'what is wrong' })
    const { ask, recorded } = createFailing(refusal)
    const answer = await ask('/v1/svid/jwt', svid)
    const { status, title } = refusals[code]
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('x-request-id')).toBe(requestId)
    expect(answer.headers.get('retry-after')).toBe([502, 503].includes(status) ? '1' : null)
    expect(answer.headers.get('www-authenticate')).toBe(status === 401 ? 'Bearer' : null)
    const detail = withDetail.has(code) ? { detail: 'what is wrong' } : {}
    expect(await answer.json()).toEqual({ type: 'about:blank', title, status, code, request_id: requestId, ...detail })
    expect(recorded).toMatchObject([{ operation: 'jwt_svid', refusal: { code, reason: secret } }])
  })

  test.each([
    ['/v1/svid/jwt', svid, 'jwt_svid'],
    ['/v1/svid/x509', { ...svid, body: '{"csr":"a"}' }, 'x509_svid'],
    ['/v1/svids', { ...svid, body: '{"requests":[{"jwt":{"audience":["a"]}}]}' }, 'svids'],
    ['/v1/identities', {}, 'identities'],
    ['/token', exchange, 'jwt_svid'],
  ])('%s names its operation in the record', async (path, init, operation) => {
    const { ask, recorded } = createFailing(new Refusal('proof_rejected', secret))
    await ask(path, init)
    expect(recorded).toMatchObject([{ operation, call: { requestId, address: '192.0.2.1' } }])
  })
})

describe('at /token a refusal becomes an error of RFC 6749', () => {
  const errors: Record<RefusalCode, readonly [status: number, error: string]> = {
    malformed_request: [400, 'invalid_request'],
    proof_rejected: [400, 'invalid_request'],
    not_entitled: [400, 'invalid_target'],
    not_found: [400, 'invalid_request'],
    method_not_allowed: [405, 'invalid_request'],
    conflict: [400, 'invalid_request'],
    too_large: [413, 'invalid_request'],
    unsupported_media_type: [400, 'invalid_request'],
    headers_too_large: [431, 'invalid_request'],
    request_timeout: [408, 'invalid_request'],
    too_many: [429, 'temporarily_unavailable'],
    internal: [500, 'server_error'],
    upstream_failed: [503, 'temporarily_unavailable'],
    no_authority: [503, 'temporarily_unavailable'],
    overloaded: [503, 'temporarily_unavailable'],
    store_unavailable: [503, 'temporarily_unavailable'],
  }

  test.each(codes)('%s', async (code) => {
    const refusal = new Refusal(code, secret, { detail: 'what is wrong', retryAfterSeconds: 7 })
    const answer = await createFailing(refusal).ask('/token', exchange)
    const [status, error] = errors[code]
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect([answer.headers.get('cache-control'), answer.headers.get('pragma')]).toEqual(['no-store', 'no-cache'])
    expect([answer.headers.get('retry-after'), answer.headers.get('www-authenticate')]).toEqual(['7', null])
    const description = code === 'malformed_request' ? { error_description: 'what is wrong' } : {}
    expect(await answer.json()).toEqual({ error, ...description, request_id: requestId })
  })

  test.each(['upstream_failed', 'no_authority', 'overloaded', 'store_unavailable'] as const)(
    '%s says when to come back, also where nobody knows better',
    async (code) => {
      const answer = await createFailing(new Refusal(code, secret)).ask('/token', exchange)
      expect(answer.headers.get('retry-after')).toBe('1')
    },
  )
})

describe('a bug', () => {
  test.each([
    ['/v1/svid/jwt', svid, 'code', 'internal'],
    ['/v1/identities', {}, 'code', 'internal'],
    ['/keys', {}, 'code', 'internal'],
    ['/token', exchange, 'error', 'server_error'],
  ])('at %s is answered 500 and told to the operator without its message', async (path, init, name, value) => {
    const { ask, telemetry } = createFailing(new TypeError(secret))
    const answer = await ask(path, init)
    const text = await answer.text()
    expect(answer.status).toBe(500)
    expect(JSON.parse(text)).toMatchObject({ [name]: value })
    const lines = telemetry.lines.filter((line) => line.name === 'error')
    expect(lines).toMatchObject([
      {
        text: 'a request failed unexpectedly',
        fields: { request_id: requestId, error: expect.stringMatching(/^TypeError \| at /) },
      },
    ])
    expect(text + JSON.stringify(telemetry.lines)).not.toContain(secret)
  })

  test('a refusal that can not be recorded is answered as such', async () => {
    const { ask, gateway } = createFailing(new Refusal('proof_rejected', secret))
    vi.spyOn(gateway, 'recordRefusal').mockRejectedValue(new Refusal('store_unavailable', 'no disk'))
    const answers = [await ask('/v1/svid/jwt', svid), await ask('/token', exchange)]
    expect(answers.map(({ status }) => status)).toEqual([503, 503])
  })
})
afterEach(() => vi.restoreAllMocks())

describe('health', () => {
  test.each<[unknown, string]>([
    [new Refusal('no_authority', secret), 'no_authority'],
    [new Refusal('store_unavailable', secret), 'store_unavailable'],
    [new Error(secret), 'store_unavailable'],
  ])('not ready for %s, and alive', async (error, code) => {
    const { ask } = createFailing(error)
    const ready = await ask('/readyz')
    expect(ready.status).toBe(503)
    expect(await ready.json()).toEqual({ status: 'unavailable', code, configuration: 'current' })
    expect((await ask('/livez')).status).toBe(200)
  })

  test('it can serve documents while it can not issue', async () => {
    const { ask, gateway } = createFailing(new Refusal('store_unavailable', secret))
    expect((await ask('/readyz/documents')).status).toBe(503)
    vi.spyOn(gateway, 'published').mockReturnValue({} as ReturnType<typeof gateway.published>)
    expect([(await ask('/readyz')).status, (await ask('/readyz/documents')).status]).toEqual([503, 200])
  })

  test('a refused configuration is shown, and does not make it unready', async () => {
    const { ask, gateway } = createFailing(undefined)
    vi.spyOn(gateway, 'ready').mockResolvedValue()
    vi.spyOn(gateway, 'configurationRefused').mockReturnValue(true)
    const answer = await ask('/readyz')
    expect([answer.status, await answer.json()]).toEqual([200, { status: 'ok', configuration: 'refused' }])
  })
})

test('a body is read no further than the limit, whatever length it says', async () => {
  let pulled = 0
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled += 16_384
      controller.enqueue(Buffer.alloc(16_384, ' '))
    },
  })
  const { ask } = createFailing(new Error('not reached'))
  const answer = await ask('/v1/svid/jwt', { ...svid, body: endless, duplex: 'half' } as RequestInit)
  expect(answer.status).toBe(413)
  expect(pulled).toBeLessThan(256 * 1024)
})

test('a body that breaks off is malformed, and no bug', async () => {
  const broken = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(Buffer.from('{'))
    },
    pull(controller) {
      controller.error(new Error('gone'))
    },
  })
  const { ask, recorded, telemetry } = createFailing(new Error('not reached'))
  const answer = await ask('/v1/svid/jwt', { ...svid, body: broken, duplex: 'half' } as RequestInit)
  expect(answer.status).toBe(400)
  expect(recorded[0]?.refusal.reason).toBe('the connection ended before the body was complete')
  expect(telemetry.lines.filter(({ name }) => name === 'error')).toEqual([])
})

test.each([
  ['', '/keys', '/keys'],
  ['', '/v1/bundle', '/v1/bundle'],
  ['/t', '/t/keys', '/keys'],
  ['/t', '/keys', '/'],
  ['/t', '/token', '/'],
  ['/t', '/.well-known/openid-configuration', '/'],
  ['/t', '/t', '/t'],
  ['/t', '/tt/keys', '/tt/keys'],
  ['/t', '/v1/bundle', '/v1/bundle'],
  ['/t', '/t/v1/bundle', '/v1/bundle'],
  ['/t', '/t/t/keys', '/t/keys'],
])('with an issuer at "%s" the path %s is served as %s', (issuerPath, path, served) => {
  expect(withoutIssuerPath(createFailing(undefined, issuerPath).gateway, path)).toBe(served)
})

const certificates = [Buffer.of(1)]

test.each<[string, string | undefined, readonly Uint8Array[], object | undefined]>([
  ['nothing', undefined, [], undefined],
  ['a certificate', undefined, certificates, { kind: 'certificate', chain: certificates }],
  ['a bearer token', 'Bearer a.b.c', [], { kind: 'bearer', token: 'a.b.c' }],
  ['both', 'bearer a', certificates, { kind: 'bearer', token: 'a' }],
  ['spaces', 'BEARER   a  ', [], { kind: 'bearer', token: 'a' }],
  ['an empty header', '', certificates, { kind: 'bearer', token: '' }],
  ['another scheme', 'Basic a', certificates, { kind: 'bearer', token: '' }],
  ['two tokens', 'Bearer a b', certificates, { kind: 'bearer', token: '' }],
  ['a bare token', 'a.b.c', certificates, { kind: 'bearer', token: '' }],
  ['a tab', 'Bearer\ta', certificates, { kind: 'bearer', token: '' }],
  ['a character beyond ASCII', 'Bearer ä', certificates, { kind: 'bearer', token: '' }],
])('of %s the proof is what it says and never less', (_, authorization, chain, proof) => {
  const header = (name: string) => (name === 'authorization' ? authorization : undefined)
  const call = readCall('id', { address: '', certificates: chain }, { header, bare: false })
  expect(call).toEqual({ requestId: 'id', address: '', ...(proof && { proof }) })
})

test.each([
  ['a bare token', 'a.b.c', 'a.b.c'],
  ['a bare token with a space after it', 'a.b.c ', 'a.b.c'],
  ['a bearer token', 'Bearer a.b.c', 'a.b.c'],
  ['another scheme', 'Basic a', ''],
  ['two tokens', 'a b', ''],
  ['no token', 'Bearer ', 'Bearer'],
  ['nothing', '', ''],
])('where SDKs of AWS ask, of %s the proof is a token', (_, authorization, token) => {
  const header = (name: string) => (name === 'authorization' ? authorization : undefined)
  const call = readCall('id', { address: '', certificates: [] }, { header, bare: true })
  expect(call.proof).toEqual({ kind: 'bearer', token })
})
