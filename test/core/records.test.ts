import { randomBytes } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createSealedKeys } from '../../src/adapters/keys/sealed.ts'
import { createRecordWriter } from '../../src/adapters/stores/record-writer.ts'
import { createSqliteStore } from '../../src/adapters/stores/sqlite.node.ts'
import type { RecordWriter } from '../../src/core/audit.ts'
import type { RecordEntry } from '../../src/core/record.ts'
import { readHead } from '../../src/core/record-chain.ts'
import { openRecordKeys } from '../../src/core/record-keys.ts'
import type { RecordListQuery } from '../../src/core/record-list.ts'
import { createRecords, type Records } from '../../src/core/records.ts'
import type { Store } from '../../src/core/store.ts'
import { silentTelemetry } from '../../src/core/telemetry.ts'
import { makeStoreDirectory } from '../support/store-directory.ts'

const trustDomain = 'example.org'
const at = (seconds: number) => new Date(Date.parse('2026-01-01T12:00:00.000Z') + seconds * 1000)
const keys = createSealedKeys({ sealKey: randomBytes(32), trustDomain, randomBytes })

let directory: ReturnType<typeof makeStoreDirectory>
let store: Store
let writers: Record<'a' | 'b', RecordWriter>
let records: Records
let now: Date

async function open(): Promise<void> {
  store = createSqliteStore({ path: directory.file('a.db'), trustDomain })
  const recordKeys = await openRecordKeys(store, keys)
  const create = (chain: string) =>
    createRecordWriter({ store, chain: () => chain, macKey: recordKeys.macKey, telemetry: silentTelemetry })
  writers = { a: await create('a'), b: await create('b') }
  records = createRecords({ store, writer: writers.a, keys: recordKeys, trustDomain, now: () => now })
}

beforeEach(async () => {
  directory = makeStoreDirectory()
  now = at(10_000)
  await open()
})
afterEach(async () => {
  await store.close()
  directory.remove()
})

const entry = (seconds: number, change: Partial<RecordEntry> = {}): RecordEntry => ({
  time: at(seconds),
  operation: 'jwt_svid.issue',
  decision: 'granted',
  requestId: String(seconds),
  ...change,
})

/** One record a second, by the two chains in turn. */
async function appendSeconds(count: number): Promise<void> {
  const seconds = Array.from({ length: count }, (_, index) => index)
  await Promise.all(seconds.map((second) => writers[second % 2 === 0 ? 'a' : 'b'].append([entry(second)])))
}

const idsOf = (items: readonly { readonly record: { readonly request_id?: string } }[]) =>
  items.map(({ record }) => Number(record.request_id))

async function listAll(query: RecordListQuery): Promise<readonly (readonly number[])[]> {
  const pages: number[][] = []
  let after: string | undefined
  do {
    const page = await records.list({ ...query, ...(after !== undefined && { after }) })
    pages.push(idsOf(page.items))
    after = page.next
  } while (after !== undefined)
  return pages
}

describe('a list', () => {
  test('is in the order of time over all chains, a page at a time', async () => {
    await appendSeconds(7)
    expect(await listAll({ limit: 3 })).toEqual([[0, 1, 2], [3, 4, 5], [6]])
    expect(await listAll({ limit: 3, newestFirst: true })).toEqual([[6, 5, 4], [3, 2, 1], [0]])
    expect(await listAll({ limit: 7 })).toEqual([[0, 1, 2, 3, 4, 5, 6]])
  })

  test('of nothing is empty', async () => {
    expect(await records.list({ limit: 5 })).toMatchObject({ items: [] })
    expect((await records.list({ limit: 5 })).next).toBeUndefined()
  })

  test.each<[string, Omit<RecordListQuery, 'limit'>, readonly number[]]>([
    ['operation', { filters: { operation: 'records.prune' } }, [4]],
    ['decision', { filters: { decision: 'refused' } }, [5, 6]],
    ['code', { filters: { code: 'not_entitled' } }, [6]],
    ['SPIFFE ID', { filters: { spiffeId: 'spiffe://example.org/a' } }, [7]],
    ['authenticator', { filters: { authenticator: 'first' } }, [8]],
    ['request', { filters: { requestId: '3' } }, [3]],
    ['rule', { filters: { rule: 'workloads' } }, [9]],
    ['time', { filters: { from: at(2), until: at(4) } }, [2, 3]],
    ['time and decision', { filters: { from: at(6), decision: 'refused' }, newestFirst: true }, [6]],
  ])('holds what fits by %s', async (_, query, expected) => {
    await appendSeconds(4)
    await writers.a.append([
      entry(4, { operation: 'records.prune' }),
      entry(5, { decision: 'refused', code: 'proof_rejected' }),
      entry(6, { decision: 'refused', code: 'not_entitled' }),
      entry(7, { spiffeId: 'spiffe://example.org/a' }),
      entry(8, { authenticator: 'first' }),
      entry(9, { rule: 'workloads' }),
    ])
    expect((await listAll({ ...query, limit: 100 })).flat()).toEqual(expected)
  })

  test('looks at a bounded number of records in one call', async () => {
    await writers.a.append(Array.from({ length: 3000 }, (_, index) => entry(index)))
    const first = await records.list({ filters: { requestId: '2999' }, limit: 5 })
    expect(first.items).toEqual([])
    expect(first.next).toBeDefined()
    expect(await listAll({ filters: { requestId: '2999' }, limit: 5 })).toEqual([[], [2999]])
  })

  test('is not taken in by a text that only looks like the member', async () => {
    const looksRefused = { ...entry(1), reason: '"decision":"refused"', details: { decision: 'refused' } }
    await writers.a.append([looksRefused, { ...entry(2), decision: 'refused', code: 'proof_rejected' }])
    expect(await listAll({ filters: { decision: 'refused' }, limit: 5 })).toEqual([[2]])
  })

  test.each([
    'x',
    '',
    'W10x',
    Buffer.from('[["a",-1]]').toString('base64url'),
    Buffer.from('{}').toString('base64url'),
  ])('does not go on from %j', async (after) => {
    await expect(records.list({ limit: 5, after })).rejects.toMatchObject({ code: 'malformed_request' })
  })
})

test('following finds what comes after, of chains that are new as well', async () => {
  await appendSeconds(3)
  const start = await records.follow({ limit: 10 })
  expect(start.items).toEqual([])
  expect((await records.follow({ limit: 10, after: start.position })).items).toEqual([])
  const recordKeys = await openRecordKeys(store, keys)
  const late = await createRecordWriter({
    store,
    chain: () => 'c',
    macKey: recordKeys.macKey,
    telemetry: silentTelemetry,
  })
  await late.append([entry(5)])
  await writers.a.append([entry(6)])
  const next = await records.follow({ limit: 10, after: start.position })
  expect(idsOf(next.items)).toEqual([5, 6])
  expect((await records.follow({ limit: 10, after: next.position })).items).toEqual([])
})

async function exportAll() {
  const lines: string[] = []
  for await (const line of records.exportLines()) lines.push(line)
  return lines.map((line) => JSON.parse(line))
}

test('an export has each record with its place, and the signed heads at the end', async () => {
  await appendSeconds(4)
  await records.signHeads()
  const lines = await exportAll()
  expect(lines.slice(0, 4).map(({ chain, sequence, record }) => [chain, sequence, record.request_id])).toEqual([
    ['a', 1, '0'],
    ['a', 2, '2'],
    ['b', 1, '1'],
    ['b', 2, '3'],
  ])
  expect(lines[0]).toMatchObject({ time: at(0).toISOString(), mac: expect.stringMatching(/^[0-9a-f]{64}$/) })
  expect(lines.slice(4)).toMatchObject([{ head: { chain: 'a', sequence: 2, kind: 'head' } }])
})

describe('heads', () => {
  test('are signed when something came since the last one', async () => {
    const count = async () => (await store.readHeads({ chain: 'a', limit: 100 })).map(({ sequence }) => sequence)
    await records.signHeads()
    expect(await count()).toEqual([])
    await writers.a.append([entry(1), entry(2)])
    await records.signHeads()
    await records.signHeads()
    await writers.a.append([entry(3)])
    await records.signHeads()
    expect(await count()).toEqual([2, 3])
  })

  test('are verified by the public key', () => {
    expect(records.publicKey()).toMatch(/^-----BEGIN PUBLIC KEY-----\n/)
  })
})

/** Does to the database what no operation of ours does. */
async function tamper(statements: string): Promise<void> {
  await store.close()
  const db = new DatabaseSync(directory.file('a.db'))
  db.exec(statements)
  db.close()
  await open()
}

describe('verification', () => {
  const firstOf = { a: 2 ** 40, b: 2 * 2 ** 40 }

  test.each<[string, string, readonly string[]]>([
    ['nothing', 'SELECT 1', []],
    [
      'a changed record',
      `UPDATE records SET body = replace(body, 'granted', 'refused') WHERE id = ${firstOf.a + 3}`,
      ['a changed 3'],
    ],
    ['a deleted record', `DELETE FROM records WHERE id = ${firstOf.b + 2}`, ['b missing 2-2']],
    [
      'records in each other’s place',
      `UPDATE records SET id = -1 WHERE id = ${firstOf.a + 2}; UPDATE records SET id = ${firstOf.a + 2} WHERE id = ${firstOf.a + 4};
       UPDATE records SET id = ${firstOf.a + 4} WHERE id = -1`,
      ['a reordered 2', 'a reordered 4'],
    ],
    ['the end of a chain', `DELETE FROM records WHERE id > ${firstOf.a + 3} AND id < ${firstOf.b}`, ['a cut_off 4-5']],
    ['a moved time', `UPDATE records SET at = at + 1 WHERE id = ${firstOf.b + 1}`, ['b changed 1']],
    [
      'a forged checkpoint',
      `DELETE FROM records WHERE id <= ${firstOf.a + 5}; UPDATE record_heads SET kind = 'checkpoint'`,
      ['a head_signature 5'],
    ],
  ])('finds %s', async (_, statements, expected) => {
    await appendSeconds(10)
    await records.signHeads()
    await tamper(statements)
    const found = (await records.verify()).flatMap(({ findings }) => findings)
    expect(
      found.map(({ chain, kind, sequence, last }) => `${chain} ${kind} ${sequence}${last ? `-${last}` : ''}`),
    ).toEqual(expected)
  })

  test('finds by an exported head what was cut off together with its head', async () => {
    await appendSeconds(10)
    await records.signHeads()
    const expectedHead = readHead((await exportAll()).at(-1).head)
    await tamper(`DELETE FROM records WHERE id > ${firstOf.a + 3} AND id < ${firstOf.b}; DELETE FROM record_heads`)
    expect((await records.verify()).flatMap(({ findings }) => findings)).toEqual([])
    const found = (await records.verify({ expectedHead })).flatMap(({ findings }) => findings)
    expect(found).toEqual([{ kind: 'cut_off', chain: 'a', sequence: 4, last: 5 }])
  })

  test('finds by an exported head that a whole chain is gone', async () => {
    await appendSeconds(2)
    await records.signHeads()
    const expectedHead = readHead((await exportAll()).at(-1).head)
    await tamper("DELETE FROM records; DELETE FROM record_heads; DELETE FROM chains WHERE chain = 'a'")
    const found = (await records.verify({ expectedHead })).flatMap(({ findings }) => findings)
    expect(found).toContainEqual({ kind: 'cut_off', chain: 'a', sequence: 1, last: 1 })
  })

  test('reads more than a page of records and heads', async () => {
    for (let n = 0; n < 1100; n++) {
      await writers.a.append([entry(n), entry(n)])
      await records.signHeads()
    }
    const report = (await records.verify()).find(({ chain }) => chain === 'a')
    expect(report).toMatchObject({ records: 2200, heads: 1100, findingsCount: 0 })
  })
})

describe('pruning', () => {
  test('takes what is older, leaves a checkpoint, and is on record', async () => {
    await appendSeconds(10)
    await records.signHeads()
    expect(await records.prune({ before: at(6), requestId: 'p' })).toEqual({ removed: 6 })
    expect((await listAll({ limit: 100, filters: { operation: 'jwt_svid.issue' } })).flat()).toEqual([6, 7, 8, 9])
    const acts = await records.list({ limit: 5, filters: { operation: 'records.prune' } })
    expect(acts.items.map(({ record }) => record)).toMatchObject([
      { request_id: 'p', details: { before: at(6).toISOString() } },
    ])
    const reports = await records.verify()
    expect(reports).toMatchObject([
      { chain: 'a', prunedUpTo: 3, records: 3, findingsCount: 0 },
      { chain: 'b', prunedUpTo: 3, records: 2, findingsCount: 0 },
    ])
  })

  test('of everything leaves chains that go on', async () => {
    await appendSeconds(10)
    now = at(20)
    expect(await records.prune({ before: at(20) })).toEqual({ removed: 10 })
    await writers.b.append([entry(21)])
    await store.close()
    await open()
    await writers.b.append([entry(22)])
    expect((await records.verify()).map(({ findingsCount }) => findingsCount)).toEqual([0, 0])
    expect(await store.readRecords({ chain: 'b', limit: 9 })).toMatchObject([{ sequence: 6 }, { sequence: 7 }])
  })

  test('goes through more than a page, and twice', async () => {
    await writers.a.append(Array.from({ length: 2500 }, (_, index) => entry(index)))
    expect(await records.prune({ before: at(1200) })).toEqual({ removed: 1200 })
    expect(await records.prune({ before: at(1200) })).toEqual({ removed: 0 })
    expect(await records.prune({ before: at(2400) })).toEqual({ removed: 1200 })
    expect(await records.verify()).toMatchObject([{ prunedUpTo: 2400, findingsCount: 0 }])
  })

  test('stops before the first record that is young, where the clock was set back', async () => {
    await writers.a.append([1, 2, 500, 3, 4].map((second) => entry(second)))
    expect(await records.prune({ before: at(100) })).toEqual({ removed: 2 })
  })

  test('of the future is refused', async () => {
    await expect(records.prune({ before: at(10_001) })).rejects.toMatchObject({ code: 'malformed_request' })
  })
})

describe('the keys of the records', () => {
  test('are made once, whoever is first', async () => {
    using other = makeStoreDirectory()
    const fresh = createSqliteStore({ path: other.file('a.db'), trustDomain })
    const opened = await Promise.all([openRecordKeys(fresh, keys), openRecordKeys(fresh, keys)])
    const [one, two] = opened.map(({ macKey, signer }) => [macKey.export().toString('hex'), signer.publicKey])
    expect(one).toEqual(two)
    expect((await fresh.readDocument('records/keys')).version).toBe(1)
    await fresh.close()
  })

  test('are not made anew when there are records', async () => {
    await appendSeconds(1)
    await expect(tamper("DELETE FROM documents WHERE name = 'records/keys'")).rejects.toMatchObject({ code: 'damaged' })
  })

  test('do not open under another seal key, and stay as they are', async () => {
    const before = await store.readDocument('records/keys')
    const others = createSealedKeys({ sealKey: randomBytes(32), trustDomain, randomBytes })
    await expect(openRecordKeys(store, others)).rejects.toMatchObject({ name: 'SealError' })
    expect(await store.readDocument('records/keys')).toEqual(before)
  })
})
