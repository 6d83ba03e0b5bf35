/** What one party can make the gateway do: refusals that fill no disk, credentials that are no flood. */
import { randomBytes } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, expect, test } from 'vitest'
import type { RecordDocument } from '../../src/core/record.ts'
import { askJwt, bearer, startGateway, type TestGateway } from '../support/gateway.ts'
import { createTestApp } from '../support/http-subject.ts'

let gateway: TestGateway | undefined
afterEach(() => gateway?.[Symbol.asyncDispose]())

test('refusals of strangers beyond the limit are only counted, and the counts are kept at the stop', async () => {
  gateway = await startGateway({ document: { limits: { refusals: 5 } } })
  const { send } = gateway
  const ask = (headers: Record<string, string>) => send('/v1/identities', { headers })
  const answers = await Promise.all(Array.from({ length: 60 }, () => ask(bearer('x'))))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]))
  expect((await askJwt(gateway, gateway.issuer.token())).status).toBe(200)
  // One with an identity is no stranger.
  expect((await askJwt(gateway, gateway.issuer.token(), { audience: ['https://else.example'] })).status).toBe(403)
  await Promise.all(
    Array.from({ length: 40 }, () => send('/v1/svid/jwt', { method: 'POST', headers: bearer('x'), body: '{' })),
  )

  gateway = await gateway.restart()
  const records = await gateway.records()
  const one = (code: string) =>
    records.filter((record) => record.code === code && record.operation !== 'refusals.counted')
  // A minute may end in between, which gives five more.
  expect(one('proof_rejected').length + one('malformed_request').length).toBeLessThanOrEqual(10)
  expect(one('not_entitled')).toHaveLength(1)
  const counted = records.filter(({ operation }) => operation === 'refusals.counted')
  const total = (code: string) =>
    counted.filter((record) => record.code === code).reduce((sum, { details }) => sum + Number(details?.count), 0)
  expect(total('proof_rejected') + one('proof_rejected').length).toBe(60)
  expect(total('malformed_request') + one('malformed_request').length).toBe(40)
  expect(await gateway.admin('/v1/records/verify', 'POST').then(({ json }) => json().ok)).toBe(true)
})

test('an identity that takes more than its share is told when to come back, others go on', async () => {
  gateway = await startGateway({ document: { limits: { per_identity: 3 } } })
  const ask = (subject: string) =>
    gateway ? askJwt(gateway, gateway.issuer.token({ sub: subject })) : Promise.reject(new Error('no gateway'))
  const statuses = []
  for (let round = 0; round < 4; round++) statuses.push((await ask('build')).status)
  expect(statuses).toEqual([200, 200, 200, 429])

  const refused = await ask('build')
  expect(refused.json()).toMatchObject({ status: 429, code: 'too_many' })
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
  const [record] = await gateway.records(`request_id=${refused.headers['x-request-id']}`)
  expect(record).toMatchObject({ code: 'too_many', spiffe_id: 'spiffe://example.org/ci/build', decision: 'refused' })
  expect((await ask('deploy')).status).toBe(200)
})

test('the limit holds inside a batch and at /token', async () => {
  gateway = await startGateway({ document: { limits: { per_identity: 3 } } })
  const requests = Array.from({ length: 5 }, () => ({ jwt: { audience: ['https://api.example.org'] } }))
  const batch = await gateway.send('/v1/svids', {
    method: 'POST',
    headers: bearer(gateway.issuer.token()),
    body: JSON.stringify({ requests }),
  })
  const { results } = batch.json() as { readonly results: readonly Record<string, unknown>[] }
  expect(results.map(({ code }) => code)).toEqual([undefined, undefined, undefined, 'too_many', 'too_many'])

  const body = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: gateway.issuer.token(),
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    audience: 'https://api.example.org',
  }).toString()
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const answer = await gateway.send('/token', { method: 'POST', headers, body })
  expect([answer.status, answer.json().error]).toEqual([429, 'temporarily_unavailable'])
  expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
})

const issued = (records: readonly RecordDocument[]) => records.filter((record) => record.issued !== undefined)

test('proxies that are trusted say who the caller is, and nobody else does', async () => {
  const trusted_proxies = { from: ['127.0.0.0/8', '10.0.0.0/8'], header: 'X-Forwarded-For' }
  const document = { listen: { address: '127.0.0.1:0', tls: 'off', trusted_proxies } }
  gateway = await startGateway({ document })
  const { send, issuer } = gateway
  const ask = (forwarded: string) =>
    send('/v1/svid/jwt', {
      method: 'POST',
      headers: { ...bearer(issuer.token()), 'x-forwarded-for': forwarded },
      body: JSON.stringify({ audience: ['https://api.example.org'] }),
    })
  const forwarded = ['203.0.113.9', '198.51.100.1, 203.0.113.9, 10.1.2.3', 'junk, 203.0.113.9 , 10.9.9.9', 'junk', '']
  for (const header of forwarded) expect((await ask(header)).status).toBe(200)
  expect(issued(await gateway.records()).map(({ address }) => address)).toEqual([
    '203.0.113.9',
    '203.0.113.9',
    '203.0.113.9',
    '',
    '',
  ])
})

test('without trusted proxies what a header says of the caller means nothing, over both protocols', async () => {
  gateway = await startGateway({ document: { listen: { address: '127.0.0.1:0', tls: 'off' } } })
  const headers = { ...bearer(gateway.issuer.token()), 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9' }
  await gateway.send('/v1/identities', { headers })
  expect((await gateway.records()).at(-1)?.address).toBe('127.0.0.1')
})

test('memory does not grow with what strangers send', { timeout: 60_000 }, async () => {
  gateway = await startGateway({ document: { limits: { refusals: 10 } } })
  const app = createTestApp(gateway)
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const heldAfter = async (requests: number) => {
    for (let at = 0; at < requests; at++) {
      const authorization = `Bearer ${randomBytes(9000).toString('base64url')}.${randomBytes(3000).toString('base64url')}.AA`
      const answer = await app.fetch(new Request('https://a/v1/identities', { headers: { authorization } }), {})
      if (answer.status !== 401) throw new Error(await answer.text())
    }
    collect()
    return process.memoryUsage().heapUsed
  }
  const requests = 4_000
  const before = await heldAfter(300)
  const growth = (await heldAfter(requests)) - before
  // Of 16 kB that each of them sends: a quarter is far more than what else comes and goes, and far less than a leak.
  expect(growth).toBeLessThan((requests * 16_000) / 4)
})
