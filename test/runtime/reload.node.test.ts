import { appendFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { askJwt, type Document, startGateway, type TestGateway, testDocument } from '../support/gateway.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway()
})
afterEach(async () => {
  await gateway.reload({})
})
afterAll(() => gateway[Symbol.asyncDispose]())

const readiness = async () => {
  const { status, json } = await gateway.send('/readyz')
  return [status, json().configuration]
}
const digest = () => gateway.server.gateway.configured().config.digest
const refusedLines = () => gateway.log.filter(({ message }) => message.startsWith('configuration refused')).length
const lastRecord = async () => (await gateway.records('order=newest&limit=1&operation=config.reload'))[0]

test('a changed document takes the place of the one in use, and is on record', async () => {
  const before = digest()
  const answer = await gateway.reload({ identities: [] })
  expect([answer.status, answer.json().applied]).toEqual([200, true])
  expect(digest()).not.toBe(before)
  expect((await askJwt(gateway, gateway.issuer.token())).status).toBe(403)
  expect(await lastRecord()).toMatchObject({ decision: 'granted', details: { from: before, to: digest() } })
  expect(await gateway.metric('apostille_config_valid')).toBe(1)
})

test('the same document is taken without a record', async () => {
  const before = await lastRecord()
  expect((await gateway.admin('/v1/reload', 'POST')).json()).toMatchObject({ applied: true, problems: [] })
  expect(await lastRecord()).toEqual(before)
})

test.each<[string, () => void, string]>([
  ['a broken document', () => gateway.writeConfig({ identities: [{ spiffe_id: '/a', from: 'nobody' }] }), 'nobody'],
  [
    'a document with two mistakes',
    () => writeFileSync(join(gateway.folder, 'apostille.yaml'), 'trust_domain: Upper\nissuer: x\nlimits: {}\n'),
    'trust_domain',
  ],
  ['text that is no YAML', () => writeFileSync(join(gateway.folder, 'apostille.yaml'), 'a: [\n'), ''],
  ['an empty file', () => writeFileSync(join(gateway.folder, 'apostille.yaml'), ''), ''],
  [
    'bytes that are no text',
    () => writeFileSync(join(gateway.folder, 'apostille.yaml'), Buffer.of(0xff, 0xfe)),
    'UTF-8',
  ],
  ['no file', () => rmSync(join(gateway.folder, 'apostille.yaml')), 'no configuration'],
])('%s is refused, the old one stays, and readiness, metrics, log and records show it', async (_, spoil, text) => {
  const [logged, loggedLines] = [refusedLines(), gateway.log.length]
  const before = digest()
  expect(await readiness()).toEqual([200, 'current'])
  spoil()
  const answer = await gateway.admin('/v1/reload', 'POST')
  const { applied, problems } = answer.json() as { readonly applied: boolean; readonly problems: readonly Document[] }
  expect([answer.status, applied]).toEqual([409, false])
  expect(problems.length).toBeGreaterThan(0)
  expect(JSON.stringify(problems)).toContain(text)

  expect(digest()).toBe(before)
  expect((await askJwt(gateway, gateway.issuer.token())).status).toBe(200)
  expect(await readiness()).toEqual([200, 'refused'])
  expect((await gateway.admin('/v1/status')).json()).toMatchObject({ ready: true, configuration: 'refused' })
  expect(await gateway.metric('apostille_config_valid')).toBe(0)
  const { reason, ...record } = (await lastRecord()) ?? {}
  expect(record).toMatchObject({ decision: 'refused', details: { in_use: before, problems: problems.length } })
  expect(reason).toMatch(/^(1 mistake|[2-9] mistakes)(, line \d)?: \S/)
  expect(reason).toContain(problems[0]?.message)
  expect(refusedLines()).toBeGreaterThan(logged)

  await gateway.reload({})
  expect(await readiness()).toEqual([200, 'current'])
  expect(await gateway.metric('apostille_config_valid')).toBe(1)
  const lines = gateway.log.slice(loggedLines).filter(({ message }) => message.startsWith('configuration'))
  expect(lines.at(-1)).toMatchObject({
    ...{ level: 'info', message: 'configuration is good again, unchanged', fields: { document: before } },
  })
})

test.each<[string, Document]>([
  ['trust_domain', { trust_domain: 'other.org', authenticators: { first: { type: 'join_token' } }, identities: [] }],
  ['store', { store: 'sqlite:./data/other.db' }],
  ['seal', { seal: { env: 'SEAL_KEY' } }],
  ['listen', { listen: { address: 'unix:./other.sock', tls: 'off' } }],
  ['listen', { listen: { address: 'unix:./public.sock', tls: 'self' } }],
  ['admin', { admin: { listen: 'unix:./other.sock' } }],
  ['metrics', { metrics: { listen: '127.0.0.1:0' } }],
])('a change of %s asks for a restart and changes nothing', async (key, changes) => {
  const before = digest()
  const answer = await gateway.reload({ ...changes, issuer: 'https://changed.example.org' })
  expect(answer.status).toBe(409)
  expect(answer.json()).toMatchObject({
    applied: false,
    problems: [{ path: key, message: expect.stringContaining('restart') }],
  })
  expect(digest()).toBe(before)
  expect((await gateway.send('/.well-known/openid-configuration')).json().issuer).toBe('https://id.example.org')
})

test('a changed file is noticed by itself', async () => {
  const before = digest()
  appendFileSync(join(gateway.folder, 'apostille.yaml'), '\n')
  await expect.poll(digest, { timeout: 5000 }).not.toBe(before)
})

test('a broken file is noticed by itself, and so is its repair', async () => {
  gateway.writeConfig({ identities: 'none' })
  await expect.poll(readiness, { timeout: 5000 }).toEqual([200, 'refused'])
  gateway.writeConfig({})
  await expect.poll(readiness, { timeout: 5000 }).toEqual([200, 'current'])
})

test('another issuer is served by all documents from then on', async () => {
  await gateway.reload({ issuer: 'https://new.example.org/tenant' })
  const discovery = await gateway.send('/tenant/.well-known/openid-configuration')
  expect(discovery.json()).toMatchObject({
    issuer: 'https://new.example.org/tenant',
    jwks_uri: 'https://new.example.org/tenant/keys',
    token_endpoint: 'https://new.example.org/tenant/token',
  })
})

test('an issuer with a path is served below that path, and its documents nowhere else', async () => {
  const authenticators = { ...(testDocument.authenticators as Document) }
  await gateway.reload({ issuer: 'https://id.example.org/tenant/a', authenticators })
  const status = async (path: string, method = 'GET') => (await gateway.send(path, { method })).status
  for (const path of ['/.well-known/openid-configuration', '/keys']) {
    expect([path, await status(`/tenant/a${path}`)]).toEqual([path, 200])
    expect([path, await status(path)]).toEqual([path, 404])
    expect([path, await status(`/tenant${path}`)]).toEqual([path, 404])
  }
  expect(await status('/token', 'POST')).toBe(404)
  expect(await status('/tenant/a/token', 'POST')).toBe(400)
  expect(await status('/tenant/a/v1/bundle')).toBe(200)
  expect(await status('/v1/bundle')).toBe(200)
  expect(await status('/tenant/ab/keys')).toBe(404)
  expect(await status('/tenant/a')).toBe(404)
  const posted = await gateway.send('/tenant/a/v1/svid/jwt', {
    method: 'POST',
    headers: { authorization: `Bearer ${gateway.issuer.token()}`, 'content-type': 'application/json' },
    body: JSON.stringify({ audience: ['https://api.example.org'] }),
  })
  expect(posted.status).toBe(200)
})

test('reloads that come together are taken one after another', async () => {
  gateway.writeConfig({ identities: [] })
  const answers = await Promise.all(Array.from({ length: 5 }, () => gateway.admin('/v1/reload', 'POST')))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
  expect(new Set(answers.map(({ json }) => json().digest)).size).toBe(1)
})

test('a reload under load loses no request', async () => {
  const answers: Promise<{ readonly status: number }>[] = []
  for (let round = 0; round < 5; round++) {
    answers.push(...Array.from({ length: 20 }, () => askJwt(gateway, gateway.issuer.token())))
    await gateway.reload({ limits: { refusals: 100 + round } })
  }
  expect(new Set((await Promise.all(answers)).map(({ status }) => status))).toEqual(new Set([200]))
})
