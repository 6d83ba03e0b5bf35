import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Refusal } from '../../src/core/refusal.ts'
import { createAdminApp } from '../../src/http/admin-app.ts'
import { createAdminCheck } from '../support/described-answers.ts'
import { createTelemetryLog } from '../support/fake-upstream.ts'
import { askJwt, bearer, type Document, startGateway, type TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway({ checkAdmin: createAdminCheck() })
})
afterAll(() => gateway[Symbol.asyncDispose]())

const post = (path: string, body?: Document) => gateway.admin(path, 'POST', body)
type Items = { readonly items: readonly Readonly<Record<string, unknown>>[]; readonly next: string | null }
const list = async (path: string) => (await gateway.admin(path)).json() as unknown as Items
const lastRecord = async () => (await gateway.records('order=newest&limit=1'))[0]

describe('join tokens', () => {
  test('are made with a name, uses and an end, and shown once', async () => {
    const created = await post('/v1/join-tokens', {
      authenticator: 'first',
      name: 'db-1',
      attributes: { rack: 'a' },
      uses: 3,
      ttl_seconds: 60,
    })
    expect([created.status, created.headers['cache-control']]).toEqual([201, 'no-store'])
    const { token, ...stored } = created.json()
    expect(token).toMatch(/^apo_join_[0-9A-Za-z]{49}$/)
    expect(stored).toMatchObject({
      authenticator: 'first',
      name: 'db-1',
      attributes: { rack: 'a' },
      uses: 3,
      uses_left: 3,
    })
    const { created_at, expires_at } = stored
    expect(new Date(String(expires_at)).getTime() - new Date(String(created_at)).getTime()).toBe(60_000)
    expect((await gateway.admin('/v1/join-tokens')).text).not.toContain(String(token))
    expect(await lastRecord()).toMatchObject({
      operation: 'join_token.create',
      details: { id: stored.id, name: 'db-1' },
    })
    expect((await gateway.admin('/v1/records')).text).not.toContain(String(token))
  })

  test('show their uses go', async () => {
    const { token, id } = await gateway.joinToken({ uses: 2 })
    await askJwt(gateway, token)
    const { items } = await list('/v1/join-tokens?limit=1000')
    expect(items.find((item) => item.id === id)).toMatchObject({ uses: 2, uses_left: 1 })
  })

  test('are revoked by id, once and for all', async () => {
    const { token, id } = await gateway.joinToken({ uses: 2 })
    const revoked = await gateway.admin(`/v1/join-tokens/${id}`, 'DELETE')
    expect(revoked.json()).toMatchObject({ id, revoked_at: expect.any(String) })
    expect(await lastRecord()).toMatchObject({ operation: 'join_token.revoke', details: { id } })
    expect((await askJwt(gateway, token)).status).toBe(401)
    const again = await gateway.admin(`/v1/join-tokens/${id}`, 'DELETE')
    expect(again.json().revoked_at).toBe(revoked.json().revoked_at)
  })

  test('that do not exist are not found', async () => {
    const answer = await gateway.admin('/v1/join-tokens/0000', 'DELETE')
    expect([answer.status, answer.json().code]).toEqual([404, 'not_found'])
    expect(await lastRecord()).toMatchObject({ operation: 'join_token.revoke', details: { id: '0000' } })
  })

  test('are listed and revoked by what every store takes', async () => {
    const listed = await gateway.admin('/v1/join-tokens?after=%00')
    expect([listed.status, listed.json().code]).toEqual([400, 'malformed_request'])
    expect((await gateway.admin('/v1/join-tokens/%00', 'DELETE')).status).toBe(404)
  })

  test('are revoked by id only, and one in its place is not kept', async () => {
    const { token } = await gateway.joinToken()
    expect((await gateway.admin(`/v1/join-tokens/${token}`, 'DELETE')).status).toBe(404)
    expect(await lastRecord()).toMatchObject({ operation: 'join_token.revoke', decision: 'refused', details: {} })
    expect((await gateway.admin('/v1/records?limit=1000')).text).not.toContain(token)
  })

  test('are listed page by page', async () => {
    for (let at = 0; at < 3; at++) await gateway.joinToken()
    const ids: unknown[] = []
    let after: string | null = null
    do {
      const page: Items = await list(`/v1/join-tokens?limit=2${after === null ? '' : `&after=${after}`}`)
      expect(page.items.length).toBeLessThanOrEqual(2)
      ids.push(...page.items.map(({ id }) => id))
      after = page.next
    } while (after !== null)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids).toHaveLength((await list('/v1/join-tokens?limit=1000')).items.length)
  })

  test.each<[string, Document]>([
    ['an authenticator that is none', { authenticator: 'nobody' }],
    ['one of another kind', { authenticator: 'ci' }],
    ['no authenticator', {}],
    ['no use', { authenticator: 'first', uses: 0 }],
    ['a fraction of uses', { authenticator: 'first', uses: 1.5 }],
    ['too many uses', { authenticator: 'first', uses: 1_000_001 }],
    ['no time', { authenticator: 'first', ttl_seconds: 0 }],
    ['too much time', { authenticator: 'first', ttl_seconds: 31 * 86_400 }],
    ['an empty name', { authenticator: 'first', name: '' }],
    ['a name with NUL', { authenticator: 'first', name: 'a\0b' }],
    ['attributes that are no text', { authenticator: 'first', attributes: { a: 1 } }],
    ['an unknown field', { authenticator: 'first', forever: true }],
  ])('are refused with %s', async (_, body) => {
    const answer = await post('/v1/join-tokens', body)
    expect([answer.status, answer.json().code]).toEqual([400, 'malformed_request'])
    expect(answer.json().detail).toEqual(expect.any(String))
    expect(await lastRecord()).toMatchObject({
      ...{ operation: 'join_token.create', decision: 'refused', code: 'malformed_request' },
      ...{ reason: answer.json().detail, request_id: answer.json().request_id },
    })
  })
})

describe('authorities', () => {
  test('are listed with their state, and without their keys', async () => {
    const { items } = await list('/v1/authorities')
    expect(items.map(({ ring, state }) => `${ring} ${state}`).sort()).toEqual([
      'jwt/ES256 active',
      'jwt/ES256 prepared',
      'jwt/RS256 active',
      'jwt/RS256 prepared',
      'x509 active',
      'x509 prepared',
    ])
    expect(Object.keys(items[0] ?? {})).not.toContain('sealedKey')
    expect(JSON.stringify(items)).not.toMatch(/sealed|private/i)
  })

  test('are not activated before verifiers could see them, unless by force', async () => {
    const early = await post('/v1/authorities', { action: 'activate', ring: 'x509' })
    expect([early.status, early.json().code]).toEqual([409, 'conflict'])
    expect(await lastRecord()).toMatchObject({
      ...{ operation: 'authority.activate', decision: 'refused', code: 'conflict', details: { ring: 'x509' } },
      ...{ reason: early.json().detail, request_id: early.json().request_id },
    })
    const forced = await post('/v1/authorities', { action: 'activate', ring: 'x509', force: true })
    expect(forced.json()).toMatchObject({ ring: 'x509', state: 'active' })
    expect(await lastRecord()).toMatchObject({ operation: 'authority.activate', details: { ring: 'x509' } })
  })

  test('each change makes a new bundle, with a greater sequence number and another ETag', async () => {
    const bundle = async () => {
      const answer = await gateway.send('/v1/bundle')
      return { sequence: Number(answer.json().spiffe_sequence), etag: answer.headers.etag }
    }
    const before = await bundle()
    await post('/v1/authorities', { action: 'prepare', ring: 'jwt/ES256' })
    const after = await bundle()
    expect(after.sequence).toBeGreaterThan(before.sequence)
    expect(after.etag).not.toBe(before.etag)
    expect(await gateway.metric('apostille_bundle_sequence')).toBe(after.sequence)
    const stale = await gateway.send('/v1/bundle', { headers: { 'if-none-match': String(before.etag) } })
    expect(stale.status).toBe(200)
  })

  test.each<[string, Document, number, string]>([
    ['no action', {}, 400, 'authority.change'],
    ['another action', { action: 'destroy', id: 'a' }, 400, 'authority.change'],
    ['another ring', { action: 'prepare', ring: 'ssh' }, 400, 'authority.change'],
    ['an id that is none', { action: 'taint', id: 'none' }, 404, 'authority.taint'],
    ['an unknown field', { action: 'taint', id: 'none', why: 1 }, 400, 'authority.change'],
  ])('are not changed by %s', async (_, body, status, operation) => {
    const answer = await post('/v1/authorities', body)
    expect(answer.status).toBe(status)
    const { code, request_id } = answer.json()
    expect(await lastRecord()).toMatchObject({ operation, decision: 'refused', code, request_id })
  })

  test('are tainted once: a second time changes nothing, and is no act', async () => {
    const { items } = await list('/v1/authorities')
    const { id } = items.find(({ ring, state }) => ring === 'jwt/RS256' && state === 'active') ?? {}
    const tainted = await post('/v1/authorities', { action: 'taint', id })
    expect(tainted.json()).toMatchObject({ id, tainted_at: expect.any(String) })
    const record = await lastRecord()
    expect(record).toMatchObject({ operation: 'authority.taint', decision: 'granted' })
    const again = await post('/v1/authorities', { action: 'taint', id })
    expect([again.status, again.json().tainted_at]).toEqual([200, tainted.json().tainted_at])
    expect(await lastRecord()).toEqual(record)
  })
})

describe('records', () => {
  test('are listed, filtered, exported and verified', async () => {
    await askJwt(gateway, gateway.issuer.token())
    await gateway.send('/v1/identities', { headers: bearer('x') })
    expect((await gateway.records('decision=refused&code=proof_rejected&order=newest&limit=1'))[0]).toMatchObject({
      operation: 'identities',
    })
    expect((await gateway.records('operation=jwt_svid&decision=granted&order=newest&limit=1'))[0]).toMatchObject({
      rule: expect.any(String),
    })
    const lines = (await gateway.admin('/v1/records/export')).text.trim().split('\n')
    expect(lines.map((line) => JSON.parse(line)).filter(({ record }) => record)).toHaveLength(
      (await gateway.records()).length,
    )
    const report = (await post('/v1/records/verify')).json()
    expect(report).toMatchObject({ ok: true, chains: [{ chain: 'main', findings: [] }] })
    expect((await gateway.admin('/v1/records/key')).json().public_key).toContain('BEGIN PUBLIC KEY')
  })

  test('that come later are followed from a position', async () => {
    const start = (await gateway.admin('/v1/records?follow=1')).json()
    expect(start.items).toEqual([])
    await askJwt(gateway, gateway.issuer.token())
    const next = (
      await gateway.admin(`/v1/records?follow=1&after=${encodeURIComponent(String(start.position))}`)
    ).json()
    expect(next.items).toMatchObject([{ operation: 'jwt_svid' }])
  })

  test.each([
    'limit=0',
    'limit=1001',
    'limit=x',
    'order=random',
    'decision=maybe',
    'from=yesterday',
    'sql=1',
    'after=%00',
  ])('are not listed by %s', async (query) => {
    const answer = await gateway.admin(`/v1/records?${query}`)
    expect([answer.status, answer.json().code]).toEqual([400, 'malformed_request'])
  })

  test('of the future can not be pruned', async () => {
    expect((await post('/v1/records/prune', { before: '2999-01-01T00:00:00Z' })).status).toBe(400)
    expect(await lastRecord()).toMatchObject({ operation: 'records.prune', reason: '`before` lies in the future' })
    expect((await post('/v1/records/prune', { before: 'now' })).status).toBe(400)
    expect(await lastRecord()).toMatchObject({ operation: 'records.prune', decision: 'refused' })
  })
})

test('says how it stands', async () => {
  expect((await gateway.admin('/v1/status')).json()).toMatchObject({
    ready: true,
    trust_domain: 'example.org',
    issuer: 'https://id.example.org',
    configuration: 'current',
    bundle_sequence: expect.any(Number),
    authenticators: [
      { name: 'first', type: 'join_token' },
      { name: 'ours', type: 'spiffe' },
      { name: 'ci', type: 'oidc' },
    ],
  })
})

test('has the metrics in the format of Prometheus', async () => {
  await askJwt(gateway, gateway.issuer.token())
  const answer = await gateway.admin('/metrics')
  expect(answer.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/)
  for (const name of [
    'apostille_http_requests_total{route="/v1/svid/jwt",status="200"}',
    'apostille_issued_total{operation="jwt_svid"}',
    'apostille_refusals_total{operation="identities",code="proof_rejected"}',
    'apostille_config_valid',
    'apostille_bundle_sequence',
    'apostille_store_commit_duration_seconds_count',
  ])
    expect([name, answer.text.includes(`\n${name} `)]).toEqual([name, true])
})

test.each([
  ['GET', '/nowhere', 404],
  ['GET', '/v1/svid/jwt', 404],
  ['POST', '/v1/join-tokens', 400],
  ['GET', '/v1/bundle?format=der', 400],
])('%s %s is answered as a problem', async (method, path, status) => {
  const answer = await gateway.admin(path, method)
  expect([answer.status, answer.headers['content-type']]).toEqual([status, 'application/problem+json'])
  expect(answer.json().request_id).toBe(answer.headers['x-request-id'])
})

test.each([
  ['DELETE', '/v1/authorities', 'GET, POST, HEAD'],
  ['GET', '/v1/reload', 'POST'],
  ['PATCH', '/v1/join-tokens/abc', 'DELETE'],
  ['POST', '/v1/kv/metadata/a', undefined],
  ['DELETE', '/v1/kv/destroy/a', 'POST, PUT'],
])('%s %s is taken, or what is taken is said', async (method, path, allow) => {
  const answer = await gateway.admin(path, method)
  expect([answer.status === 405, answer.headers['allow']]).toEqual([allow !== undefined, allow])
})

test('an act whose refusal can not be recorded is answered with that', async () => {
  const refusal = new Refusal('store_unavailable', 'the disk is full')
  const operator = { recordRefusal: () => Promise.reject(refusal) }
  const app = createAdminApp({
    ...{ telemetry: createTelemetryLog(), newRequestId: () => 'id', operator },
  } as unknown as Parameters<typeof createAdminApp>[0])
  const answer = await app.request('/v1/join-tokens', { method: 'POST', body: '{}' })
  expect([answer.status, await answer.json()]).toMatchObject([503, { code: 'store_unavailable' }])
})

test('a bug is answered 500 and told to the operator', async () => {
  const telemetry = createTelemetryLog()
  const fail = () => Promise.reject(new TypeError('broken'))
  const app = createAdminApp({
    ...{ telemetry, newRequestId: () => 'id', status: fail, operator: {} },
  } as unknown as Parameters<typeof createAdminApp>[0])
  const answer = await app.request('/v1/status')
  expect(answer.status).toBe(500)
  expect(await answer.json()).toMatchObject({ code: 'internal', request_id: 'id' })
  expect(telemetry.lines).toMatchObject([{ name: 'error', fields: { request_id: 'id' } }])
})
