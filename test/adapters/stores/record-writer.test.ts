import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createRecordWriter, type RecordWriterDeps } from '../../../src/adapters/stores/record-writer.ts'
import { createSqliteStore } from '../../../src/adapters/stores/sqlite.node.ts'
import type { RecordEntry } from '../../../src/core/record.ts'
import { type RecordBatch, type Store, StoreError } from '../../../src/core/store.ts'
import { silentTelemetry, type Telemetry } from '../../../src/core/telemetry.ts'
import { createTelemetryLog } from '../../support/fake-upstream.ts'
import { findingsOf, headOf, macKey, verifyRecords } from '../../support/record-chain.ts'
import { makeStoreDirectory } from '../../support/store-directory.ts'

const noon = new Date('2026-01-01T12:00:00.000Z')
const entry = (requestId: string): RecordEntry => ({ time: noon, operation: 'test', decision: 'granted', requestId })

let directory: ReturnType<typeof makeStoreDirectory>
let store: Store
/** What the store was asked to keep, and what it does instead. */
let batches: RecordBatch[]
let interfere: (batch: RecordBatch, keep: () => Promise<readonly number[]>) => Promise<readonly number[]>

beforeEach(() => {
  directory = makeStoreDirectory()
  store = createSqliteStore({ path: directory.file('a.db'), trustDomain: 'example.org' })
  batches = []
  interfere = (_, keep) => keep()
})
afterEach(async () => {
  await store.close()
  directory.remove()
})

const createWriter = (change: Partial<RecordWriterDeps> = {}) =>
  createRecordWriter({
    store: {
      ...store,
      appendRecords: (batch) => {
        batches.push(batch)
        return interfere(batch, () => store.appendRecords(batch))
      },
    },
    chain: () => 'main',
    macKey,
    telemetry: silentTelemetry,
    ...change,
  })

const createToken = (id: string, uses: number) =>
  store.createJoinToken({
    ...{ id, authenticator: 'first', name: 'web', digest: Buffer.from(id), attributes: {}, uses, usesLeft: uses },
    createdAt: noon,
    expiresAt: new Date(noon.getTime() + 60_000),
  })

const stored = () => store.readRecords({ chain: 'main', limit: 1_000_000 })
const storedIds = async () => (await stored()).map(({ body }) => JSON.parse(body).request_id)
const isWhole = async () => (await verifyRecords(await stored())).findingsCount === 0
const range = (count: number) => Array.from({ length: count }, (_, index) => String(index))

describe('a turn of the event loop', () => {
  test('is one write, in the order of the calls', async () => {
    const writer = await createWriter()
    const outcomes = await Promise.all(range(40).map((id) => writer.append([entry(id), entry(`${id}b`)])))
    expect(new Set(outcomes)).toEqual(new Set(['stored']))
    expect(batches).toHaveLength(1)
    expect(await storedIds()).toEqual(range(40).flatMap((id) => [id, `${id}b`]))
    expect(await isWhole()).toBe(true)
    expect(writer.head()).toMatchObject({ chain: 'main', sequence: 80 })
  })

  test('that brings very much is several writes', async () => {
    const writer = await createWriter()
    await Promise.all(range(2500).map((id) => writer.append([entry(id)])))
    expect(batches.map(({ records }) => records.length)).toEqual([1000, 1000, 500])
    expect(await storedIds()).toEqual(range(2500))
    expect(await isWhole()).toBe(true)
  })

  test('leaves what comes during a write to the next', async () => {
    const writer = await createWriter()
    let later: Promise<unknown> | undefined
    interfere = async (_, keep) => {
      later ??= Promise.all([writer.append([entry('c')]), writer.append([entry('d')])])
      await new Promise((resolve) => setImmediate(resolve))
      return keep()
    }
    await Promise.all([writer.append([entry('a')]), writer.append([entry('b')])])
    await later
    expect(batches.map(({ records }) => records.length)).toEqual([2, 2])
    expect(await storedIds()).toEqual(['a', 'b', 'c', 'd'])
    expect(await isWhole()).toBe(true)
  })

  test('is measured', async () => {
    const seen: (readonly [string, number])[] = []
    const telemetry: Telemetry = { ...silentTelemetry, observe: (metric, value) => void seen.push([metric, value]) }
    const writer = await createWriter({ telemetry })
    await Promise.all(range(3).map((id) => writer.append([entry(id)])))
    expect(seen).toContainEqual(['apostille_store_commit_records', 3])
    expect(seen.map(([metric]) => metric)).toContain('apostille_store_commit_duration_seconds')
  })
})

describe('a join token', () => {
  test('without a use left keeps out its own request and no other', async () => {
    await createToken('once', 1)
    await createToken('twice', 2)
    const writer = await createWriter()
    const spend = (id: string) => ({ id, at: noon })
    const outcomes = await Promise.all([
      writer.append([entry('a')]),
      writer.append([entry('b'), entry('b2')], spend('once')),
      writer.append([entry('c')], spend('once')),
      writer.append([entry('d')], spend('none')),
      writer.append([entry('e')], spend('twice')),
      writer.append([entry('f')]),
      writer.append([entry('g')], spend('twice')),
    ])
    expect(outcomes).toEqual(['stored', 'stored', 'spent', 'spent', 'stored', 'stored', 'stored'])
    expect(await storedIds()).toEqual(['a', 'b', 'b2', 'e', 'f', 'g'])
    expect((await store.readJoinToken('twice'))?.usesLeft).toBe(0)
    expect(await isWhole()).toBe(true)
    expect(await writer.append([entry('h')])).toBe('stored')
    expect(await isWhole()).toBe(true)
  })

  test('that keeps out everything of a turn leaves no trace', async () => {
    const writer = await createWriter()
    expect(await writer.append([entry('a')], { id: 'none', at: noon })).toBe('spent')
    expect(writer.head().sequence).toBe(0)
    expect(await stored()).toEqual([])
  })
})

describe('a write that fails', () => {
  const full = new StoreError('unavailable', 'the database can not be used: database or disk is full')

  test('refuses its requests and no others, and the chain goes on without a gap', async () => {
    const writer = await createWriter()
    await writer.append([entry('a')])
    interfere = () => Promise.reject(full)
    const outcomes = await Promise.allSettled([writer.append([entry('b')]), writer.append([entry('c')])])
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'store_unavailable', cause: full } })
    expect(writer.head().sequence).toBe(1)
    interfere = (_, keep) => keep()
    expect(await writer.append([entry('d')])).toBe('stored')
    expect(await storedIds()).toEqual(['a', 'd'])
    expect(await isWhole()).toBe(true)
  })

  test('after it was kept all the same does not fork the chain', async () => {
    const writer = await createWriter()
    interfere = async (_, keep) => {
      await keep()
      throw full
    }
    await expect(writer.append([entry('a')])).rejects.toMatchObject({ code: 'store_unavailable' })
    interfere = (_, keep) => keep()
    await writer.append([entry('b')])
    expect(await storedIds()).toEqual(['a', 'b'])
    expect(await isWhole()).toBe(true)
  })

  test('because somebody else wrote in the chain is tried again behind that', async () => {
    const [one, two] = [await createWriter(), await createWriter()]
    await one.append([entry('a')])
    expect(await two.append([entry('b')])).toBe('stored')
    expect(await one.append([entry('c')])).toBe('stored')
    expect(await storedIds()).toEqual(['a', 'b', 'c'])
    expect(await isWhole()).toBe(true)
  })

  test('because somebody else always is faster is given up', async () => {
    const writer = await createWriter()
    interfere = () => Promise.reject(new StoreError('conflict', 'the store has an entry of that key'))
    await expect(writer.append([entry('a')])).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(batches).toHaveLength(3)
  })

  test('after which the store has lost records leaves their numbers free, so that it is seen', async () => {
    const log = createTelemetryLog()
    let isLosing = false
    const losing: Store = {
      ...store,
      appendRecords: (batch) => (isLosing ? Promise.reject(full) : store.appendRecords(batch)),
      lastRecord: async () => (await stored())[0],
    }
    const writer = await createWriter({ telemetry: log, store: losing })
    await writer.append(range(3).map(entry))
    isLosing = true
    await expect(writer.append([entry('b')])).rejects.toThrow()
    isLosing = false
    await writer.append([entry('c')])
    expect((await stored()).map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4])
    const lost = (await stored()).filter(({ sequence }) => sequence !== 2 && sequence !== 3)
    expect(findingsOf(await verifyRecords(lost))).toEqual(['missing 2-3'])
    expect(log.lines).toContainEqual(
      expect.objectContaining({ name: 'error', fields: { chain: 'main', kept: 3, found: 1 } }),
    )
  })

  test('is failing until one succeeds', async () => {
    const writer = await createWriter()
    expect(writer.isFailing()).toBe(false)
    interfere = () => Promise.reject(full)
    await expect(writer.append([entry('a')])).rejects.toThrow()
    expect(writer.isFailing()).toBe(true)
    interfere = (_, keep) => keep()
    await writer.append([entry('b')])
    expect(writer.isFailing()).toBe(false)
  })

  test('is said once, and that it works again as well', async () => {
    const lines: string[] = []
    const writer = await createWriter({ telemetry: { ...silentTelemetry, log: (level) => void lines.push(level) } })
    interfere = () => Promise.reject(full)
    for (const id of range(3)) await expect(writer.append([entry(id)])).rejects.toThrow()
    interfere = (_, keep) => keep()
    for (const id of range(3)) await writer.append([entry(id)])
    expect(lines).toEqual(['error', 'info'])
  })
})

describe('a writer that starts', () => {
  test('goes on where the chain ended', async () => {
    await (await createWriter()).append([entry('a')])
    const writer = await createWriter()
    expect(writer.head().sequence).toBe(1)
    await writer.append([entry('b')])
    expect(await isWhole()).toBe(true)
  })

  test('goes on from the checkpoint when all was pruned', async () => {
    await (await createWriter()).append(range(3).map(entry))
    const last = (await stored()).at(-1)
    const checkpoint = last && (await headOf(last, 'checkpoint'))
    if (checkpoint) await store.pruneRecords(checkpoint)
    await (await createWriter()).append([entry('b')])
    const records = await stored()
    expect(records.map(({ sequence }) => sequence)).toEqual([4])
    expect((await verifyRecords(records, checkpoint ? [checkpoint] : [])).findings).toEqual([])
  })

  test('says so when the end of the chain is gone', async () => {
    await (await createWriter()).append(range(3).map(entry))
    const last = (await stored()).at(-1)
    if (last) await store.writeHead(await headOf({ ...last, sequence: 5 }))
    const lines: string[] = []
    await createWriter({ telemetry: { ...silentTelemetry, log: (level) => void lines.push(level) } })
    expect(lines).toEqual(['error'])
  })
})

describe('the chain of a writer', () => {
  test('may be another one from one turn to the next, and goes on where that ends', async () => {
    let chain = 'a'
    const writer = await createWriter({ chain: () => chain })
    await writer.append([entry('1')])
    chain = 'b'
    await writer.append([entry('2')])
    chain = 'a'
    await writer.append([entry('3'), entry('4')])
    expect(writer.head()).toMatchObject({ chain: 'a', sequence: 3 })
    const inA = await store.readRecords({ chain: 'a', limit: 10 })
    expect((await verifyRecords(inA, [], { chain: 'a' })).findingsCount).toBe(0)
    expect(inA).toHaveLength(3)
    expect(await store.readRecords({ chain: 'b', limit: 10 })).toHaveLength(1)
  })

  test('may not be known yet: then requests are refused', async () => {
    let chain: string | undefined
    const writer = await createWriter({ chain: () => chain })
    await expect(writer.append([entry('1')])).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(writer.head().sequence).toBe(0)
    chain = 'main'
    expect(await writer.append([entry('2')])).toBe('stored')
    expect(await storedIds()).toEqual(['2'])
  })
})

describe('a writer that is closed', () => {
  test('has written what waited, and takes no more', async () => {
    const writer = await createWriter()
    const waiting = range(1500).map((id) => writer.append([entry(id)]))
    await writer.close()
    expect((await stored()).length).toBe(1500)
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['stored']))
    await expect(writer.append([entry('late')])).rejects.toMatchObject({ code: 'store_unavailable' })
  })
})

test('a queue that is full refuses, and takes again once it is empty', async () => {
  const flushes: (() => void)[] = []
  const writer = await createWriter({ schedule: (flush) => void flushes.push(flush), maxWaitingEntries: 10 })
  const waiting = [writer.append(range(4).map(entry)), writer.append(range(6).map(entry))]
  await expect(writer.append([entry('x')])).rejects.toMatchObject({ code: 'overloaded' })
  for (const flush of flushes) flush()
  expect(await Promise.all(waiting)).toEqual(['stored', 'stored'])
  const again = writer.append([entry('x')])
  flushes.at(-1)?.()
  expect(await again).toBe('stored')
  expect((await storedIds()).length).toBe(11)
})

describe('a document that changes with a record', () => {
  const change = (expected: number, body: string) => ({ name: 'kv/a', expected, body })

  test('is written in the same batch', async () => {
    const writer = await createWriter()
    expect(await writer.append([entry('a')], undefined, change(0, 'one'))).toBe('stored')
    expect(batches).toMatchObject([{ spends: [], changes: [change(0, 'one')] }])
    expect(await store.readDocument('kv/a')).toEqual({ version: 1, body: 'one' })
  })

  test('of several in one turn the first is kept, and the others are told, with the others of the turn kept', async () => {
    const writer = await createWriter()
    await createToken('t', 1)
    const spend = { id: 't', at: noon }
    const outcomes = await Promise.all([
      writer.append([entry('a')]),
      writer.append([entry('b')], undefined, change(0, 'b')),
      writer.append([entry('c')], spend, change(0, 'c')),
      writer.append([entry('d')], spend),
      writer.append([entry('e')], spend, { name: 'kv/e', expected: 0, body: 'e' }),
      writer.append([entry('f')]),
    ])
    expect(outcomes[0]).toBe('stored')
    expect(outcomes).toEqual(['stored', 'stored', 'outdated', 'stored', 'spent', 'stored'])
    expect(await storedIds()).toEqual(['a', 'b', 'd', 'f'])
    expect(await store.readDocument('kv/a')).toEqual({ version: 1, body: 'b' })
    expect((await store.readDocument('kv/e')).version).toBe(0)
    expect(await isWhole()).toBe(true)
  })
})
