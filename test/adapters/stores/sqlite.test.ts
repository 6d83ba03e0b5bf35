import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { migrations } from '../../../src/adapters/stores/migrations.ts'
import { createSqliteStore } from '../../../src/adapters/stores/sqlite.node.ts'
import { storeContract } from '../../contracts/store.ts'
import { makeStoreDirectory } from '../../support/store-directory.ts'

const trustDomain = 'example.org'
const scripts = join(import.meta.dirname, '../../support')

storeContract('SQLite', async () => {
  const directory = makeStoreDirectory()
  return {
    open: async (name) => createSqliteStore({ path: directory.file('a.db'), trustDomain: name }),
    close: async () => directory.remove(),
  }
})

const modeOf = (path: string) => statSync(path).mode & 0o777

test('makes the directory and the file for its owner alone', async () => {
  using directory = makeStoreDirectory()
  const path = directory.file('new/deep/a.db')
  const store = createSqliteStore({ path, trustDomain })
  await store.writeDocument('a', 0, 'x')
  expect(modeOf(directory.file('new'))).toBe(0o700)
  expect(modeOf(directory.file('new/deep'))).toBe(0o700)
  expect(modeOf(path)).toBe(0o600)
  expect(modeOf(`${path}-wal`)).toBe(0o600)
  await store.close()
})

test('says in the file whose it is, and in which schema', async () => {
  using directory = makeStoreDirectory()
  const path = directory.file('a.db')
  await createSqliteStore({ path, trustDomain }).close()
  const header = readFileSync(path)
  expect(header.toString('latin1', 68, 72)).toBe('Apos')
  expect(header.readInt32BE(60)).toBe(migrations.length)
})

function makeDatabase(path: string, statements: string): void {
  const db = new DatabaseSync(path)
  db.exec(statements)
  db.close()
}

test.each<[string, (path: string) => void, string]>([
  [
    'a file that is no database',
    (path) => writeFileSync(path, 'hello, this is a text file\n'.repeat(100)),
    'not_a_store',
  ],
  ['a short file', (path) => writeFileSync(path, 'x'), 'not_a_store'],
  ['a file of zeros', (path) => writeFileSync(path, Buffer.alloc(4096)), 'not_a_store'],
  [
    'a database of another application',
    (path) => makeDatabase(path, 'CREATE TABLE t (a); INSERT INTO t VALUES (1)'),
    'not_a_store',
  ],
  [
    'a database of another application with a write-ahead log',
    (path) => makeDatabase(path, 'PRAGMA application_id = 7; PRAGMA journal_mode = WAL; CREATE TABLE t (a)'),
    'not_a_store',
  ],
])('refuses %s and does not change it', (_, make, code) => {
  using directory = makeStoreDirectory()
  const path = directory.file('a.db')
  make(path)
  const before = readFileSync(path)
  expect(() => createSqliteStore({ path, trustDomain })).toThrow(expect.objectContaining({ code }))
  expect(readFileSync(path).equals(before)).toBe(true)
})

test('refuses a database of a newer version and does not change it', async () => {
  using directory = makeStoreDirectory()
  const path = directory.file('a.db')
  await createSqliteStore({ path, trustDomain }).close()
  makeDatabase(path, `PRAGMA user_version = ${migrations.length + 1}`)
  const before = readFileSync(path)
  expect(() => createSqliteStore({ path, trustDomain })).toThrow(expect.objectContaining({ code: 'newer_version' }))
  expect(readFileSync(path).equals(before)).toBe(true)
})

test('refuses a store that was made for another purpose, whatever its trust domain', async () => {
  using directory = makeStoreDirectory()
  const path = directory.file('a.db')
  const dev = createSqliteStore({ path, trustDomain, purpose: 'dev' })
  await dev.writeDocument('a', 0, 'kept')
  await dev.close()
  for (const name of [trustDomain, 'other.example'])
    expect(() => createSqliteStore({ path, trustDomain: name })).toThrow(
      expect.objectContaining({ code: 'other_purpose' }),
    )
  const again = createSqliteStore({ path, trustDomain, purpose: 'dev' })
  expect((await again.readDocument('a')).body).toBe('kept')
  await again.close()
})

test('a database that is damaged is refused in words of ours', async () => {
  using directory = makeStoreDirectory()
  const path = directory.file('a.db')
  await createSqliteStore({ path, trustDomain }).close()
  const bytes = readFileSync(path)
  writeFileSync(path, bytes.fill(0xff, 100, 4096))
  expect(() => createSqliteStore({ path, trustDomain })).toThrow(expect.objectContaining({ code: 'not_a_store' }))
})

test.each([
  ['is a directory', 'directory'],
  ['lies below a file', 'file/a.db'],
])('a path that %s is unavailable', (_, name) => {
  using directory = makeStoreDirectory()
  mkdirSync(directory.file('directory'))
  writeFileSync(directory.file('file'), '')
  const path = directory.file(name)
  expect(() => createSqliteStore({ path, trustDomain })).toThrow(expect.objectContaining({ code: 'unavailable' }))
})

test('a file that may not be written is unavailable, and is not changed', async () => {
  using directory = makeStoreDirectory()
  const path = directory.file('a.db')
  await createSqliteStore({ path, trustDomain }).close()
  const before = readFileSync(path)
  chmodSync(directory.path, 0o755)
  chmodSync(path, 0o444)
  // The superuser may write what nobody may, so that somebody else has to try.
  const other = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
  if (other.uid) chownSync(directory.path, other.uid, other.gid)
  const child = spawnSync(process.execPath, [join(scripts, 'open-store.ts'), path], { encoding: 'utf8', ...other })
  expect(child.stdout).toBe('unavailable\n')
  expect(readFileSync(path).equals(before)).toBe(true)
})

test('a second opener in this process is refused, and the first keeps its lock against others', async () => {
  using directory = makeStoreDirectory()
  const path = directory.file('a.db')
  const store = createSqliteStore({ path, trustDomain })
  expect(() => createSqliteStore({ path, trustDomain })).toThrow(expect.objectContaining({ code: 'in_use' }))
  const child = spawnSync(process.execPath, [join(scripts, 'open-store.ts'), path], { encoding: 'utf8' })
  expect(child.stdout).toBe('in_use\n')
  expect(await store.writeDocument('a', 0, 'x')).toBe(true)
  await store.close()
  await createSqliteStore({ path, trustDomain }).close()
})

test('a process that was killed leaves no lock behind', async () => {
  using directory = makeStoreDirectory()
  const path = directory.file('a.db')
  const child = spawn(process.execPath, [join(scripts, 'open-store.ts'), path, 'stay'])
  await new Promise((resolve) => child.stdout.once('data', resolve))
  expect(() => createSqliteStore({ path, trustDomain })).toThrow(expect.objectContaining({ code: 'in_use' }))
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
  await createSqliteStore({ path, trustDomain }).close()
})

test('the write-ahead log stays small however much is written without a pause', async () => {
  using directory = makeStoreDirectory()
  const path = directory.file('a.db')
  const store = createSqliteStore({ path, trustDomain })
  const perBatch = 32
  const records = (batch: number) =>
    Array.from({ length: perBatch }, (_, index) => {
      const sequence = batch * perBatch + index + 1
      return { chain: 'main', sequence, at: new Date(sequence), mac: Buffer.alloc(32), body: 'x'.repeat(1000) }
    })
  let largest = 0
  for (let batch = 0; batch < 200; batch++) {
    await store.appendRecords({ records: records(batch), spends: [] })
    largest = Math.max(largest, statSync(`${path}-wal`).size)
  }
  await store.close()
  expect(statSync(path).size).toBeGreaterThan(200 * perBatch * 1000)
  // 64 pages, and those of the commit that goes beyond them.
  expect(largest).toBeLessThan(100 * 4096)
})

test('claims that have expired go, so many at a time', async () => {
  using directory = makeStoreDirectory()
  const path = directory.file('a.db')
  const store = createSqliteStore({ path, trustDomain })
  const [early, late] = [new Date(1_000_000), new Date(2_000_000)]
  const claim = (byte: number, at: Date) =>
    store.claimProof({ digest: Buffer.alloc(32, byte), at, expiresAt: new Date(at.getTime() + 1000) })
  const count = () => {
    const db = new DatabaseSync(path)
    const row = db.prepare('SELECT count(*) AS n FROM proof_claims').get()
    db.close()
    return row?.['n']
  }
  for (let byte = 0; byte < 150; byte++) await claim(byte, early)
  await claim(200, late)
  await store.close()
  expect(count()).toBe(51)
  const again = createSqliteStore({ path, trustDomain })
  await again.claimProof({ digest: Buffer.alloc(32, 201), at: late, expiresAt: late })
  await again.close()
  expect(count()).toBe(2)
})

test('a database of the first version gets what came later, and keeps what it has', async () => {
  using directory = makeStoreDirectory()
  const path = directory.file('a.db')
  const head = 'PRAGMA application_id = 0x41706f73; PRAGMA user_version = 1'
  const row = `INSERT INTO documents VALUES ('${trustDomain}', 'a', 3, 'kept')`
  makeDatabase(path, `${migrations[0]}; ${head}; ${row}`)
  const store = createSqliteStore({ path, trustDomain })
  expect(await store.readDocument('a')).toEqual({ version: 3, body: 'kept' })
  const claim = { digest: Buffer.alloc(32), at: new Date(0), expiresAt: new Date(1) }
  expect([await store.claimProof(claim), await store.claimProof(claim)]).toEqual([true, false])
  await store.close()
  expect(readFileSync(path).readInt32BE(60)).toBe(migrations.length)
})
