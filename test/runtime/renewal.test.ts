/** What an X.509-SVID of ours is good for: the same identity again, and nothing else, for a while. */
import { connect } from 'node:tls'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { makeTestKey } from '../support/certificate-authority.ts'
import { type Certified, certify, svidRequest } from '../support/certified.ts'
import { makeWorkload } from '../support/csr.ts'
import { type Document, startGateway, type TestGateway, testDocument } from '../support/gateway.ts'
import { createTestApp } from '../support/http-subject.ts'

const api = 'https://api.example.org'
const hourMs = 3_600_000
const rule = {
  name: 'machines',
  spiffe_id: '/vm/${proof.name}',
  from: 'first',
  when: "proof.name != 'nobody'",
  dns_names: ['${proof.name}.vm.example.org', 'all.vm.example.org'],
  audiences: [api],
  claims: { kind: 'machine', called: '${proof.name}' },
  x509_ttl: '24h',
  renewable_for: '4h',
}
const withRule = (changes: Document = {}): Document => ({ identities: [{ ...rule, ...changes }] })

let gateway: TestGateway
let one: Certified
const begun = new Date()
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: begun })
  gateway = await startGateway({ document: withRule() })
  one = await certify(gateway, 'one')
})
afterEach(async () => {
  await gateway[Symbol.asyncDispose]()
  vi.useRealTimers()
})

interface Answered {
  readonly status: number
  readonly body: Record<string, unknown>
  readonly record: { readonly reason?: string; readonly code?: string; readonly notes?: readonly string[] } | undefined
}

/** As if the connection had this certificate: the handshake is tested elsewhere. */
async function ask(chain: readonly Uint8Array[], path: string, request: object = {}): Promise<Answered> {
  const answer = await createTestApp(gateway, chain).fetch(new Request(`https://a${path}`, request), {})
  const [record] = (await gateway.records('order=newest&limit=5')).filter(
    ({ request_id }) => request_id === answer.headers.get('x-request-id'),
  )
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown>, record }
}

const askJwt = (chain = one.chain, body: Document = {}) =>
  ask(chain, '/v1/svid/jwt', svidRequest({ audience: [api], ...body }))
const askX509 = (chain = one.chain, body: Document = {}) =>
  ask(chain, '/v1/svid/x509', svidRequest({ csr: one.csr, ...body }))

test('gives the same identity again, as X.509 and as JWT, with what the rule says of itself', async () => {
  const x509 = await askX509()
  const jwt = await askJwt()
  expect([x509, jwt].map(({ status, body }) => [status, body.spiffe_id])).toEqual([
    [200, 'spiffe://example.org/vm/one'],
    [200, 'spiffe://example.org/vm/one'],
  ])
  const claims = JSON.parse(Buffer.from(String(jwt.body.token).split('.')[1] ?? '', 'base64url').toString())
  expect(claims).toMatchObject({ kind: 'machine' })
  expect(claims.called).toBeUndefined()
})

test('gives no other identity, audience, or longer life', async () => {
  expect((await askJwt(one.chain, { spiffe_id: 'spiffe://example.org/vm/two' })).status).toBe(403)
  expect((await askJwt(one.chain, { audience: ['https://else.example'] })).status).toBe(403)
  expect((await askJwt(one.chain, { ttl_seconds: 301 })).status).toBe(400)
  expect((await askX509(one.chain, { ttl_seconds: 24 * 3600 + 1 })).status).toBe(400)
})

test('serves in a batch, and spends no use of the join token that it began with', async () => {
  const requests = [{ jwt: { audience: [api] } }, { x509: { csr: one.csr } }]
  const { body } = await ask(one.chain, '/v1/svids', svidRequest({ requests }))
  expect(body.results).toMatchObject([{ token: expect.any(String) }, { certificates: expect.any(String) }])
})

test('takes the key that the new request names', async () => {
  const next = makeWorkload()
  const renewed = await askX509(one.chain, { csr: next.csr })
  expect(renewed.status).toBe(200)
})

test('ends with renewable_for after the first proof, however often it was renewed', async () => {
  let { chain } = one
  for (const hours of [1, 2, 3]) {
    vi.setSystemTime(begun.getTime() + hours * hourMs)
    const renewed = await askX509(chain)
    expect([hours, renewed.status]).toEqual([hours, 200])
    chain = [pemToDer(String(renewed.body.certificates))]
  }
  vi.setSystemTime(begun.getTime() + 4 * hourMs + 1000)
  const late = await askX509(chain)
  expect([late.status, late.body.code]).toEqual([403, 'not_entitled'])
  expect(late.record).toMatchObject({
    notes: [expect.stringContaining('rule machines lets an identity be renewed until')],
  })
  expect((await askJwt(chain)).status).toBe(403)
  expect((await ask(chain, '/v1/identities')).body.items).toEqual([])
})

const pemToDer = (pem: string) => Buffer.from(/BEGIN CERTIFICATE-----([^-]+)/.exec(pem)?.[1] ?? '', 'base64')

test('is refused once the certificate has expired', async () => {
  const short = await certify(gateway, 'two', { ttl_seconds: 60 })
  vi.setSystemTime(begun.getTime() + 61_000)
  const answer = await askJwt(short.chain)
  expect([answer.status, answer.record?.code]).toEqual([401, 'proof_rejected'])
  expect(answer.record?.reason).toContain('certificate_expired')
})

test('ends when its join token is revoked', async () => {
  expect((await askX509()).status).toBe(200)
  await gateway.admin(`/v1/join-tokens/${one.joinTokenId}`, 'DELETE')
  const refused = await askX509()
  expect([refused.status, refused.body.code]).toEqual([403, 'not_entitled'])
  expect(refused.record?.notes).toEqual([expect.stringContaining(`the join token ${one.joinTokenId}`)])
})

test.each<[string, Document]>([
  ['when', { when: "proof.name != 'somebody'" }],
  ['spiffe_id', { spiffe_id: '/machine/${proof.name}' }],
  ['from', { from: 'second' }],
])('ends when the rule gets another %s', async (_, changes) => {
  const authenticators = { ...(testDocument.authenticators as Document), second: { type: 'join_token' } }
  expect((await gateway.reload({ ...withRule(changes), authenticators })).status).toBe(200)
  const refused = await askX509()
  expect([refused.status, refused.record?.code]).toEqual([403, 'not_entitled'])
  expect(refused.record?.notes).toEqual(['the rule that first gave this identity is gone or has changed'])
})

test.each<[string, Document]>([
  ['DNS names', { dns_names: ['other.example.org'] }],
  ['audiences', { audiences: [api, 'https://else.example'] }],
  ['claims', { claims: {} }],
  ['name', { name: 'renamed' }],
  ['TTL', { x509_ttl: '1h' }],
])('goes on when the rule gets other %s', async (_, changes) => {
  expect((await gateway.reload(withRule(changes))).status).toBe(200)
  expect((await askX509()).status).toBe(200)
})

test('ends when the rule is gone, and begins again when it is back', async () => {
  await gateway.reload({ identities: [] })
  expect((await askX509()).status).toBe(403)
  await gateway.reload(withRule())
  expect((await askX509()).status).toBe(200)
})

test('a forbid wins over it', async () => {
  const policies = [{ forbid: 'x509_svid', when: "identity.path == '/vm/one'", reason: 'not this one' }]
  await gateway.reload({ ...withRule(), policies })
  const refused = await askX509()
  expect([refused.status, refused.record?.reason]).toEqual([403, expect.stringContaining('not this one')])
  expect((await askJwt()).status).toBe(200)
})

test('a longer renewable_for counts at once', async () => {
  vi.setSystemTime(begun.getTime() + 5 * hourMs)
  expect((await askX509()).status).toBe(403)
  await gateway.reload(withRule({ renewable_for: '10h' }))
  expect((await askX509()).status).toBe(200)
})

test('without an authenticator for our own trust domain it is no proof', async () => {
  await gateway.reload({ ...withRule(), authenticators: { first: { type: 'join_token' } } })
  expect((await askX509()).status).toBe(401)
})

test('an authority of ours is no proof, nor is the SVID of the server', async () => {
  const root = pemToDer(new TextDecoder().decode(gateway.server.gateway.published().bundlePem.body))
  expect((await ask([root], '/v1/identities')).record?.reason).toContain('x509_svid: an authority')

  await using other = await startGateway({ document: { listen: { address: '127.0.0.1:0' } } })
  const { address, tls } = other.target
  if (address.kind !== 'tcp') throw new Error('not listening on a port')
  const socket = connect({ host: address.host, port: address.port, ...tls })
  await new Promise((resolve) => socket.once('secureConnect', resolve))
  const { raw } = socket.getPeerCertificate()
  socket.destroy()
  const answer = await createTestApp(other, [raw]).fetch(new Request('https://a/v1/identities'), {})
  expect(answer.status).toBe(401)
  const [record] = await other.records('order=newest&limit=1')
  expect(record?.reason).toContain('says nothing of a first proof')
})

test.each<[string, () => readonly Uint8Array[]]>([
  ['no certificate at all', () => [Buffer.alloc(0)]],
  ['bytes that are none', () => [Buffer.from('3003020101', 'hex')]],
  ['a public key', () => [makeTestKey().publicKeyInfo]],
  ['one that is cut off', () => [one.chain[0]?.subarray(0, 300) ?? Buffer.alloc(0)]],
  ['one with a byte more', () => [Buffer.concat([one.chain[0] ?? Buffer.alloc(0), Buffer.of(0)])]],
])('%s is refused, and the record says so', async (_, make) => {
  const answer = await ask(make(), '/v1/identities')
  expect([answer.status, answer.record?.code]).toEqual([401, 'proof_rejected'])
  expect(answer.record?.reason).toContain('the client certificate can not be read')
})

test('no certificate with one byte changed is a proof', async () => {
  const der = Buffer.from(one.chain[0] ?? [])
  for (let at = 0; at < der.length; at += 7) {
    const changed = Buffer.from(der)
    changed[at] = (changed[at] ?? 0) ^ 1
    const answer = await createTestApp(gateway, [changed]).fetch(new Request('https://a/v1/identities'), {})
    expect([at, answer.status]).toEqual([at, 401])
  }
})
