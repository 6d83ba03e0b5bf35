/** Our own secrets in a whole gateway: on both listeners, in the store's file, and over a kill. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLog } from '../../src/adapters/telemetry/log.ts'
import type { RecordDocument } from '../../src/core/record.ts'
import { createAdminCheck } from '../support/described-answers.ts'
import { bearer, type Document, startGateway, type TestGateway } from '../support/gateway.ts'
import { createTestApp } from '../support/http-subject.ts'
import { openHttp2, sendRaw } from '../support/wire.ts'

const planted = 'planted-Value-91ab54'
let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway({ checkAdmin: createAdminCheck() })
})
afterAll(() => gateway[Symbol.asyncDispose]())

const proof = () => bearer(gateway.issuer.token({ sub: 'build' }))
const put = (of: TestGateway, path: string, data: Document, headers = proof()) =>
  of.send(`/v1/kv/data/${path}`, { method: 'POST', headers, body: JSON.stringify({ data }) })
const lastRecord = async (of = gateway) => (await of.records('order=newest&limit=1'))[0]

describe('the path of a request', () => {
  test.each([
    '/v1/kv/data/team/../other/x',
    '/v1/kv/data/other/../team/x',
    '/v1/kv/data/team/%2e%2e/other',
    '/v1/kv/data/team/.%2E/team/x',
    '/v1/kv/data/./team/x',
    '/v1/kv/data/team/x/.',
    '/v1/kv/data/team/x/..',
    '/v1/kv/metadata/../data/team/x',
    '/v1/svid/../kv/data/team/x',
    '/v1/./kv/data/team/x',
    '/v1/kv/data/team/x#y',
  ])('%s is taken as it came, and refused', async (path) => {
    await put(gateway, 'team/x', { a: 1 })
    const answer = await gateway.send(path, { headers: proof() })
    expect([answer.status, answer.json().code]).toEqual([400, 'malformed_request'])
    expect(await lastRecord()).toMatchObject({ decision: 'refused', code: 'malformed_request' })
  })

  test('may come with a host before it, as proxies send it', async () => {
    await put(gateway, 'team/proxied', { a: planted })
    const head = `GET http://id.example.org/v1/kv/data/team/proxied HTTP/1.1\r\nHost: id.example.org\r\nConnection: close`
    const answer = await sendRaw(gateway.target, `${head}\r\nAuthorization: ${proof()['authorization']}\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1.1 200 /)
    expect(answer).toContain(planted)
  })

  test('stands below the path of the issuer, or alone', async () => {
    await using below = await startGateway({ document: { issuer: 'https://id.example.org/tenant' } })
    const headers = bearer(below.issuer.token({ sub: 'build' }))
    expect((await put(below, 'team/x', { a: 1 }, headers)).status).toBe(200)
    const answer = await below.send('/tenant/v1/kv/data/team/x', { headers })
    expect([answer.status, answer.json()['data']]).toMatchObject([200, { data: { a: 1 } }])
    expect((await below.send('/tenant/v1/kv/data/../data/team/x', { headers })).status).toBe(400)
  })
})

describe('the method LIST', () => {
  test('is taken where the runtime knows it', async () => {
    await put(gateway, 'team/listed/x', {})
    const request = new Request('https://a/v1/kv/metadata/team/listed', { method: 'LIST', headers: proof() })
    const answer = await createTestApp(gateway).fetch(request, {})
    expect([answer.status, await answer.json()]).toEqual([200, { data: { keys: ['x'] }, next: null }])
  })

  test('is taken over HTTP/2', async () => {
    await using tls = await startGateway({ document: { listen: { address: '127.0.0.1:0' } } })
    const headers = bearer(tls.issuer.token({ sub: 'build' }))
    await put(tls, 'team/listed/x', {}, headers)
    const client = await openHttp2(tls.target)
    const answer = await client.send('/v1/kv/metadata/team/listed/?limit=1', { method: 'LIST', headers })
    await client.close()
    expect([answer.status, answer.json()['data']]).toEqual([200, { keys: ['x'] }])
  })
})

describe('an operator', () => {
  test('may do all of it without a policy, on record as the act that it is', async () => {
    const put = await gateway.admin('/v1/kv/data/any/path', 'POST', { data: { a: planted } })
    expect([put.status, put.headers['cache-control']]).toEqual([200, 'no-store'])
    expect(put.json()['data']).toMatchObject({ version: 1 })
    expect(await lastRecord()).toEqual({
      ...{ chain: 'main', sequence: expect.any(Number) },
      time: expect.any(String),
      request_id: put.headers['x-request-id'],
      operation: 'kv.write',
      decision: 'granted',
      details: { path: 'any/path', version: 1 },
    })
    expect((await gateway.admin('/v1/kv/data/any/path')).json()['data']).toMatchObject({ data: { a: planted } })
    expect((await gateway.admin('/v1/kv/metadata/?list=true')).json()['data']).toEqual({ keys: ['any/', 'team/'] })
    expect((await gateway.admin('/v1/kv/data/any/path', 'DELETE')).status).toBe(204)
    expect(await lastRecord()).toMatchObject({ operation: 'kv.delete', details: { path: 'any/path', versions: [1] } })
    expect((await gateway.admin('/v1/kv/undelete/any/path', 'POST', { versions: [1] })).status).toBe(204)
    expect((await gateway.admin('/v1/kv/metadata/any/path', 'DELETE')).status).toBe(204)
    expect(await lastRecord()).toMatchObject({ operation: 'kv.purge', details: { path: 'any/path' } })
  })

  test.each<[string, string, string, Document | undefined, number, string]>([
    ['nothing', 'GET', '/v1/kv/data/none', undefined, 404, 'kv.read'],
    ['a version that is not there', 'POST', '/v1/kv/destroy/none', { versions: [1] }, 404, 'kv.destroy'],
    ['data that is none', 'POST', '/v1/kv/data/none', { data: 1 }, 400, 'kv.write'],
    ['an unknown field', 'POST', '/v1/kv/data/none', { data: {}, more: 1 }, 400, 'kv.write'],
    ['a path that is none', 'GET', '/v1/kv/data/a/../b', undefined, 400, 'kv.read'],
    ['a folder that is none', 'GET', '/v1/kv/metadata/%00?list=true', undefined, 400, 'kv.list'],
    ['an identity', 'GET', '/v1/kv/data/none?spiffe_id=spiffe://example.org/a', undefined, 400, 'kv.read'],
  ])('who asks for %s is refused, once on record', async (_, method, path, body, status, operation) => {
    const answer = await gateway.admin(path, method, body)
    expect(answer.status).toBe(status)
    const records = await gateway.records(`request_id=${answer.headers['x-request-id']}`)
    expect(records).toMatchObject([{ operation, decision: 'refused' }])
  })

  test('is told that a version is deleted, with what is known of it, once on record', async () => {
    await gateway.admin('/v1/kv/data/gone', 'POST', { data: { a: 1 } })
    await gateway.admin('/v1/kv/data/gone', 'DELETE')
    const answer = await gateway.admin('/v1/kv/data/gone')
    expect([answer.status, answer.json()]).toMatchObject([
      404,
      { code: 'not_found', data: { metadata: { version: 1 } } },
    ])
    expect(await gateway.records(`request_id=${answer.headers['x-request-id']}`)).toHaveLength(1)
  })
})

const storedIn = (folder: string) =>
  readdirSync(join(folder, 'data'))
    .filter((name) => name.startsWith('apostille.db'))
    .map((name) => readFileSync(join(folder, 'data', name), 'latin1'))
    .join('')

test('planted values are in no file, log, record or metric', async () => {
  const written: string[] = []
  const log = createLog({ level: 'debug', format: 'json', write: (text) => void written.push(text) })
  await using own = await startGateway({ telemetry: { log: log.log } })
  const headers = bearer(own.issuer.token({ sub: 'build' }))
  const data = { [`${planted}-key`]: planted, list: [planted] }
  expect((await put(own, 'team/x', data, headers)).status).toBe(200)
  expect((await put(own, 'team/x', data, headers)).status).toBe(200)
  expect((await own.send('/v1/kv/data/team/x', { headers })).text).toContain(planted)
  const bodies = [
    `{"data":{"${planted}":1`,
    JSON.stringify({ data, [planted]: planted }),
    JSON.stringify({ data: planted }),
  ]
  for (const body of [...bodies, JSON.stringify({ data, options: { cas: planted } })]) {
    const answer = await own.send('/v1/kv/data/team/x', { method: 'POST', headers, body })
    expect([answer.status, answer.text.includes(planted)]).toEqual([400, false])
  }
  await own.send(`/v1/kv/data/team/x?version=${planted}`, { headers })
  const sealedKeys = { owner: planted, [planted]: 'x' }
  await own.admin('/v1/kv/metadata/team/x', 'POST', { custom_metadata: sealedKeys })
  await own.admin('/v1/kv/data/team/x')
  const open = storedIn(own.folder)
  const places = {
    open,
    records: (await own.admin('/v1/records/export')).text,
    metrics: (await own.admin('/metrics')).text,
  }
  await own.close()
  log.flush()
  for (const [place, text] of Object.entries({ ...places, closed: storedIn(own.folder), log: written.join('') })) {
    expect(text.length).toBeGreaterThan(200)
    expect([place, text.includes(planted)]).toEqual([place, false])
    expect([place, text.includes(Buffer.from(planted).toString('base64url').slice(0, 20))]).toEqual([place, false])
  }
  expect(places.metrics).toContain('route="/v1/kv/data/{path}"')
})

/** Short, as a page of the file may end within one. */
function sealedPieces(folder: string): readonly string[] {
  const db = new DatabaseSync(join(folder, 'data/apostille.db'), { readOnly: true })
  const bodies = db
    .prepare("SELECT body FROM documents WHERE name LIKE 'kv/%'")
    .all()
    .map((row) => String(row['body']))
  db.close()
  const sealed = bodies.flatMap((body) => Object.values(JSON.parse(body).data as Readonly<Record<string, string>>))
  return sealed.flatMap((text) => text.match(/.{40}/g) ?? []).filter((_, index) => index % 10 === 0)
}

test('the sealed bytes of what was destroyed or purged are gone from the file', async () => {
  const own = await startGateway()
  const headers = bearer(own.issuer.token({ sub: 'build' }))
  for (const path of ['team/one', 'team/two'])
    for (const a of ['x'.repeat(20_000), 'y'.repeat(3_000)]) await put(own, path, { a }, headers)
  await own.close()
  const before = storedIn(own.folder)
  const pieces = sealedPieces(own.folder)
  expect(pieces.length).toBeGreaterThan(100)
  expect(pieces.filter((piece) => before.includes(piece)).length).toBeGreaterThan(100)

  const again = await own.restart()
  await again.admin('/v1/kv/destroy/team/one', 'POST', { versions: [1, 2] })
  await again.admin('/v1/kv/metadata/team/two', 'DELETE')
  await again.close()
  const left = storedIn(own.folder)
  expect(left).toContain('kv/team/one')
  expect(pieces.filter((piece) => left.includes(piece))).toEqual([])
  await again[Symbol.asyncDispose]()
})

test('what was written is there after a restart', async () => {
  const own = await startGateway()
  const headers = bearer(own.issuer.token({ sub: 'build' }))
  await put(own, 'team/x', { a: 1 }, headers)
  const again = await own.restart()
  expect((await again.send('/v1/kv/data/team/x', { headers })).json()['data']).toMatchObject({ data: { a: 1 } })
  await again[Symbol.asyncDispose]()
})

const rounds = Number(process.env['APOSTILLE_KILL_ROUNDS'] ?? 3)

test('after kill -9 each answered write stands, and each version that stands is on record', {
  timeout: 20_000 + rounds * 10_000,
}, async () => {
  let own = await startGateway()
  await own.close()
  const script = join(import.meta.dirname, '../support/serve.ts')
  const answered = new Set<string>()
  for (let round = 1; round <= rounds; round++) {
    const child = spawn(process.execPath, [script, join(own.folder, 'apostille.yaml')], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    expect(String(await once(child.stdout, 'data'))).toBe('ready\n')
    const enough = answered.size + 20 + 7 * round
    const writers = Array.from({ length: 6 }, async (_, index) => {
      for (let count = 0; answered.size < enough; count++) {
        const path = `team/${(index + count) % 4}`
        const value = `${round}-${index}-${count}`
        const answer = await own
          .send(`/v1/kv/data/${path}`, {
            method: 'POST',
            headers: bearer(own.issuer.token({ sub: 'build' })),
            body: JSON.stringify({ data: { value } }),
          })
          .catch(() => undefined)
        if (answer === undefined) return
        expect(answer.status).toBe(200)
        const { version } = answer.json()['data'] as { readonly version: number }
        answered.add(`${path} ${version} ${value}`)
      }
    })
    await Promise.race(writers)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await Promise.all(writers)
  }

  own = await own.restart()
  const lines = (await own.admin('/v1/records/export')).text.trim().split('\n')
  const records = lines.flatMap((line) => (JSON.parse(line) as { readonly record?: RecordDocument }).record ?? [])
  const onRecord = records
    .filter(({ operation, decision }) => operation === 'kv.write' && decision === 'granted')
    .map(({ details }) => `${details?.['path']} ${details?.['version']}`)
  expect(new Set(onRecord).size).toBe(onRecord.length)
  expect(answered.size).toBeGreaterThan(20 * rounds)
  for (const text of answered) expect(onRecord).toContain(text.split(' ').slice(0, 2).join(' '))
  for (const path of [0, 1, 2, 3].map((number) => `team/${number}`)) {
    const { data } = (await own.admin(`/v1/kv/metadata/${path}`)).json() as {
      readonly data: { readonly current_version: number; readonly versions: Document }
    }
    const written = onRecord.filter((text) => text.startsWith(`${path} `))
    expect(written).toHaveLength(data.current_version)
    for (const version of Object.keys(data.versions)) {
      const { data: held } = (await own.admin(`/v1/kv/data/${path}?version=${version}`)).json()['data'] as {
        readonly data: { readonly value: string }
      }
      const told = [...answered].filter((text) => text.startsWith(`${path} ${version} `))
      expect([[], [`${path} ${version} ${held.value}`]]).toContainEqual(told)
    }
  }
  expect((await own.admin('/v1/records/verify', 'POST')).json()['ok']).toBe(true)
  await own[Symbol.asyncDispose]()
})
