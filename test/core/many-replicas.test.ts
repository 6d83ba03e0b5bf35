/** A hundred replicas on one store: what is to happen once does, and what each of them asks does not grow with the others. */
import { createSecretKey, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createRecordWriter } from '../../src/adapters/stores/record-writer.ts'
import { createChainLease, renewMs } from '../../src/core/chain-lease.ts'
import type { RecordBatch } from '../../src/core/store.ts'
import { takeLease } from '../../src/core/sync-lease.ts'
import { silentTelemetry } from '../../src/core/telemetry.ts'
import { createTestAuthorities } from '../support/authorities.ts'
import { a, bundleText, createWorld, webPeer } from '../support/federation-world.ts'
import { createMemoryStore } from '../support/memory-store.ts'

const count = 100
const each = Array.from({ length: count }, (_, index) => index)

test('authorities are rotated once, whoever is first, and all sign with what came of it', async () => {
  const store = createMemoryStore()
  const replicas = each.map(() => createTestAuthorities({ store }))
  await Promise.all(replicas.map(({ authorities }) => authorities.refresh()))
  expect(store.written('authorities')).toHaveLength(1)
  const slot = replicas[0]?.one('active').slotSeconds ?? 0
  let reads = 0
  let writes = 0
  store.beforeRead = () => void reads++
  store.beforeWrite = () => void writes++
  for (const { pass } of replicas) pass(slot)
  await Promise.all(replicas.map(({ authorities }) => authorities.refresh()))
  expect(store.written('authorities')).toHaveLength(2)
  expect(new Set(replicas.map(({ authorities }) => authorities.current().x509().id)).size).toBe(1)
  // Two reads of who was too late, and one write that it tried.
  expect(reads).toBeLessThanOrEqual(2 * count)
  expect(writes).toBeLessThanOrEqual(count)

  reads = writes = 0
  await Promise.all(replicas.map(({ authorities }) => authorities.refresh()))
  expect([reads, writes]).toEqual([count, 0])
})

test('an endpoint is asked once at each time, and all hold what it said', async () => {
  const world = createWorld(() => 0.5)
  world.endpoints.set(a, async () => bundleText(a, { sequence: 7, hint: 300 }))
  const replicas = each.map(() => world.start([webPeer(a, bundleText(a, { sequence: 5 }))]))
  await Promise.all(replicas.map((replica) => replica.refresh()))
  for (let turn = 1; turn <= 3; turn++) {
    world.advance(300)
    await Promise.all(replicas.map((replica) => replica.poll()))
    expect(world.asked).toHaveLength(turn)
    await Promise.all(replicas.map((replica) => replica.refresh()))
    expect(replicas.map((replica) => replica.sequences()[a])).toEqual(each.map(() => 7))
  }
})

/** What each of so many replicas asks of the store to keep its chain. */
async function askedForChains(replicas: number) {
  const { readDocument, writeDocument, listDocuments } = createMemoryStore()
  const asked = { read: 0, written: 0, listed: 0 }
  let nowMs = 0
  const store: Parameters<typeof createChainLease>[0]['store'] = {
    async readDocument(name) {
      asked.read++
      return readDocument(name)
    },
    async writeDocument(...change) {
      asked.written++
      return writeDocument(...change)
    },
    async listDocuments(query) {
      asked.listed++
      return listDocuments(query)
    },
  }
  const signHead = async () => undefined
  const deps = { store, signHead, telemetry: silentTelemetry, monotonicMs: () => nowMs, randomBytes }
  const leases = Array.from({ length: replicas }, () => createChainLease(deps))
  await Promise.all(leases.map((lease) => lease.renew()))
  expect(new Set(leases.map((lease) => lease.chain())).size).toBe(replicas)
  Object.assign(asked, { read: 0, written: 0, listed: 0 })
  nowMs += renewMs
  await Promise.all(leases.map((lease) => lease.renew()))
  return Object.fromEntries(Object.entries(asked).map(([kind, times]) => [kind, times / replicas]))
}

test('each has a chain of its own, and renews it with as many statements among a hundred as among ten', async () => {
  const each = { read: 0, written: 1, listed: 1 }
  expect(await askedForChains(10)).toEqual(each)
  expect(await askedForChains(count)).toEqual(each)
})

test('a sync has one of them, and who is too late asks no more than once', async () => {
  const store = createMemoryStore()
  let asked = 0
  store.beforeRead = () => void asked++
  store.beforeWrite = () => void asked++
  const deps = { store, writer: { append: async () => 'stored' as const }, pause: async () => undefined }
  const clocks = { now: () => new Date('2026-01-01T12:00:00Z'), monotonicMs: () => 0 }
  const turns = await Promise.all(each.map((n) => takeLease({ ...deps, ...clocks, holder: String(n) }, 'payments')))
  expect(turns.filter((lease) => lease !== undefined)).toHaveLength(1)
  expect(asked).toBeLessThanOrEqual(2 * count)
})

test('uses of join tokens go with the records of a turn, one write for each replica however many ask', async () => {
  const batches: RecordBatch[] = []
  const store = {
    async appendRecords(batch: RecordBatch) {
      batches.push(batch)
      return []
    },
    lastRecord: async () => undefined,
    readHeads: async () => [],
  }
  const macKey = createSecretKey(Buffer.alloc(32))
  const writers = await Promise.all(
    each.map((n) =>
      createRecordWriter({ store: store as never, chain: () => `c${n}`, macKey, telemetry: silentTelemetry }),
    ),
  )
  const at = new Date('2026-01-01T12:00:00Z')
  const entry = { time: at, operation: 'jwt_svid', decision: 'granted' } as const
  const asking = writers.flatMap((writer) => each.slice(0, 20).map(() => writer.append([entry], { id: 'one', at })))
  expect(new Set(await Promise.all(asking))).toEqual(new Set(['stored']))
  expect(batches).toHaveLength(count)
  expect(batches.map(({ records, spends }) => [records.length, spends.length])).toEqual(each.map(() => [20, 20]))
})
