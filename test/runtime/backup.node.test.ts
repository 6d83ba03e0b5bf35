import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createSqliteStore } from '../../src/adapters/stores/sqlite.node.ts'
import { readBackupFacts } from '../../src/adapters/stores/sqlite-backup.node.ts'
import { createAdminClient } from '../../src/runtime/admin-client.node.ts'
import { type RestoreReport, restoreStore } from '../../src/runtime/restore.node.ts'
import { bearer, startGateway, type TestGateway } from '../support/gateway.ts'

let gateway: TestGateway
beforeEach(async () => {
  gateway = await startGateway()
})
afterEach(() => gateway[Symbol.asyncDispose]())

const at = (name: string) => join(gateway.folder, name)
const database = () => at('data/apostille.db')

async function backUp(file = at('backup')): Promise<string> {
  const client = createAdminClient(at('admin.sock'))
  const { status, chunks } = await client.stream({ method: 'POST', path: '/v1/backup' })
  const bytes = Buffer.concat(await Array.fromAsync(chunks))
  if (status !== 200) throw new Error(bytes.toString())
  writeFileSync(file, bytes, { mode: 0o600 })
  return file
}

const restore = (keepTrust: boolean, more: Partial<Parameters<typeof restoreStore>[0]> = {}): Promise<RestoreReport> =>
  restoreStore({ configFile: at('apostille.yaml'), backupFile: at('backup'), keepTrust, env: {}, ...more })

function removeStore(): void {
  for (const end of ['', '-wal', '-shm']) rmSync(`${database()}${end}`, { force: true })
}

const askJwt = () =>
  gateway.send('/v1/svid/jwt', {
    method: 'POST',
    headers: bearer(gateway.issuer.token({ sub: 'build' })),
    body: JSON.stringify({ audience: ['https://api.example.org'] }),
  })

const writeSecret = (value: string) =>
  gateway.send('/v1/kv/data/team/x', {
    method: 'POST',
    headers: bearer(gateway.issuer.token({ sub: 'build' })),
    body: JSON.stringify({ data: { value } }),
  })

/** Asks again and again, several at once, until it is stopped; answers how often it was granted. */
function load() {
  let stopped = false
  let granted = 0
  async function go(index: number): Promise<void> {
    while (!stopped) {
      const answer = index === 0 ? await writeSecret(`${granted}`) : await askJwt()
      if (answer.status === 200) granted++
    }
  }
  const workers = [0, 1, 2, 3].map(go)
  return async () => {
    stopped = true
    await Promise.all(workers)
    return granted
  }
}

/** Many pages, so that a copy takes many steps. */
async function fill(): Promise<void> {
  await gateway.close()
  const db = new DatabaseSync(database())
  db.exec(
    `WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 3000)
     INSERT INTO meta SELECT 'example.org', 'filler' || value, hex(randomblob(2000)) FROM n`,
  )
  db.close()
  gateway = await gateway.restart()
}

test('under load it is one moment of the store, which restores to a gateway whose records verify, under load again', async () => {
  await fill()
  const { token } = await gateway.joinToken({ uses: 5, name: 'one' })
  await askJwt()
  const before = (await gateway.admin('/v1/authorities')).json().items
  const { bundle_sequence: sequence } = (await gateway.admin('/v1/status')).json()
  const stop = load()
  await backUp()
  expect(await stop()).toBeGreaterThan(0)
  // As copies lie about that somebody fetched from elsewhere.
  chmodSync(at('backup'), 0o644)
  expect(readdirSync(at('data')).filter((name) => name.includes('backup'))).toEqual([])
  await gateway.close()
  removeStore()

  const report = await restore(true)
  expect(report).toMatchObject({ store: database(), trustDomain: 'example.org', joinTokensVoided: 1 })
  expect(statSync(database()).mode & 0o777).toBe(0o600)
  expect(report.sequence).toBeGreaterThan(Number(sequence))

  gateway = await gateway.restart()
  const stopAgain = load()
  const after = (await gateway.admin('/v1/authorities')).json().items as { id: string; ring: string; state: string }[]
  const old = (before as { id: string; state: string }[]).filter(({ state }) => state === 'active')
  for (const { id } of old) expect(after.find((authority) => authority.id === id)?.state).toBe('retiring')
  for (const ring of ['x509', 'jwt/ES256', 'jwt/RS256'])
    expect(after.filter((authority) => authority.ring === ring && authority.state === 'active')).toHaveLength(1)
  const spent = await gateway.send('/v1/svid/jwt', {
    method: 'POST',
    headers: bearer(token),
    body: JSON.stringify({ audience: ['https://api.example.org'] }),
  })
  expect(spent.status).toBe(401)
  expect((await gateway.admin('/v1/records/verify', 'POST')).json()).toMatchObject({ ok: true })
  expect(await stopAgain()).toBeGreaterThan(0)
  const operations = (await gateway.records()).map(({ operation }) => operation)
  expect(operations).toEqual(expect.arrayContaining(['store.backup', 'store.restore', 'kv.write', 'jwt_svid']))
  expect((await gateway.admin('/v1/records/verify', 'POST')).json()).toMatchObject({ ok: true })
})

test('old authorities that are not trusted are gone from the bundle', async () => {
  await askJwt()
  const before = (await gateway.admin('/v1/authorities')).json().items as { id: string }[]
  await backUp()
  await gateway.close()
  removeStore()
  const { authorities } = await restore(false)
  for (const { id } of before) expect(authorities.map((authority) => authority.id)).not.toContain(id)
  expect(authorities.some(({ state }) => state === 'active')).toBe(true)
})

test('a backup is no store, and holds nothing that can be read without the seal key', async () => {
  await writeSecret('planted-4711')
  await backUp()
  expect(() => createSqliteStore({ path: at('backup'), trustDomain: 'example.org' })).toThrow(/made for `backup`/)
  expect(readFileSync(at('backup')).includes('planted-4711')).toBe(false)
  expect(readFileSync(at('backup')).includes('PRIVATE KEY')).toBe(false)
  const { seal_key: sealKey } = (await gateway.admin('/v1/status')).json()
  expect(readBackupFacts(at('backup'), 'example.org')).toMatchObject({ purpose: 'serve', sealKey })
})

test('one at a time, and one that is broken off leaves nothing behind', async () => {
  const client = createAdminClient(at('admin.sock'))
  const first = await client.stream({ method: 'POST', path: '/v1/backup' })
  const second = await gateway.admin('/v1/backup', 'POST')
  expect([second.status, second.json().detail]).toEqual([409, 'a backup is being taken'])
  for await (const _ of first.chunks) break
  await vi.waitFor(() => backUp(at('third')))
  expect(existsSync(`${database()}.backup`)).toBe(false)
})

test('a running gateway, a store with something in it and a missing backup are left as they are', async () => {
  await backUp()
  await expect(restore(true)).rejects.toMatchObject({ name: 'StoreError', code: 'in_use' })
  await gateway.close()
  const bytes = readFileSync(database())
  await expect(restore(true)).rejects.toThrow('overwrites none')
  await expect(restore(true, { backupFile: at('none') })).rejects.toMatchObject({ code: 'ENOENT' })
  expect(readFileSync(database()).equals(bytes)).toBe(true)
})

test('a store that somebody begins during a restore is left as it is', async () => {
  await backUp()
  await gateway.close()
  copyFileSync(database(), at('begun.db'))
  removeStore()
  const key = readFileSync(at('data/seal.key'), 'utf8').trim()
  await gateway.writeConfig({ seal: { env: 'SEAL' } })
  const env = {
    get SEAL() {
      copyFileSync(at('begun.db'), database())
      return key
    },
  }
  await expect(restore(true, { env })).rejects.toThrow('overwrites none')
  expect(readFileSync(database()).equals(readFileSync(at('begun.db')))).toBe(true)
  expect(existsSync(`${database()}.restoring`)).toBe(false)
})

test('a store that was never used gives way', async () => {
  await backUp()
  await gateway.close()
  removeStore()
  await createSqliteStore({ path: database(), trustDomain: 'example.org' }).close()
  await restore(true)
  gateway = await gateway.restart()
})

test.each<[string, () => void, object]>([
  [
    'with another seal key',
    () => writeFileSync(at('data/seal.key'), `${Buffer.alloc(32, 9).toString('base64')}\n`),
    {
      name: 'SealKeyError',
      message: expect.stringMatching(/sealed under key [0-9a-f]{16}, .*seal\.key\.[0-9a-f]{16}/),
    },
  ],
  ['without its seal key', () => rmSync(at('data/seal.key')), { name: 'SealKeyError' }],
  [
    'of another trust domain',
    () => gateway.writeConfig({ trust_domain: 'other.example', authenticators: {}, identities: [], policies: [] }),
    { code: 'not_a_store' },
  ],
  [
    'that is cut off',
    () => writeFileSync(at('backup'), readFileSync(at('backup')).subarray(0, 20_000)),
    { code: 'not_a_store' },
  ],
  ['that is a store', () => copyFileSync(at('kept.db'), at('backup')), { code: 'not_a_store' }],
  ['that is something else', () => writeFileSync(at('backup'), 'x'.repeat(5000)), { code: 'not_a_store' }],
])('a backup %s restores nothing', async (_, spoil, error) => {
  await backUp()
  await gateway.close()
  renameSync(database(), at('kept.db'))
  removeStore()
  spoil()
  await expect(restore(true)).rejects.toMatchObject(error)
  expect(readdirSync(at('data')).filter((name) => name.startsWith('apostille.db'))).toEqual([])
})
