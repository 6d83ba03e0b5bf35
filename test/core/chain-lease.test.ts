import { createHash } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { abandonedMs, type ChainLease, createChainLease, renewMs } from '../../src/core/chain-lease.ts'
import { createTelemetryLog } from '../support/fake-upstream.ts'
import { createMemoryStore, type MemoryStore } from '../support/memory-store.ts'

let store: MemoryStore
let nowMs: number
let log: ReturnType<typeof createTelemetryLog>
/** Chains whose head was signed for a writer that left them. */
let signed: string[]

beforeEach(() => {
  store = createMemoryStore()
  nowMs = 0
  log = createTelemetryLog()
  signed = []
})

function createReplica(name: string, seen: MemoryStore = store): ChainLease {
  let drawn = 0
  return createChainLease({
    store: seen,
    signHead: async (chain) => void signed.push(chain),
    telemetry: log,
    monotonicMs: () => nowMs,
    randomBytes: (size) => createHash('sha256').update(`${name} ${drawn++}`).digest().subarray(0, size),
  })
}

/** All of them renew, again and again, for as long. */
async function pass(ms: number, replicas: readonly ChainLease[]): Promise<void> {
  for (const end = nowMs + ms; nowMs < end; ) {
    nowMs += renewMs
    for (const replica of replicas) await replica.renew()
  }
}

const chainsOf = async () => (await store.listDocuments({ prefix: 'chains/' })).map(({ name }) => name.slice(7)).sort()

test('every replica has a chain of its own, and keeps it', async () => {
  const replicas = ['a', 'b', 'c'].map((name) => createReplica(name))
  await Promise.all(replicas.map((replica) => replica.renew()))
  const held = replicas.map((replica) => replica.chain())
  expect(new Set(held).size).toBe(3)
  await pass(10 * abandonedMs, replicas)
  expect(replicas.map((replica) => replica.chain())).toEqual(held)
  expect(await chainsOf()).toEqual([...held].sort())
  expect(signed).toEqual([])
})

test('a chain that was let go in order is taken by the next, and by one alone', async () => {
  const first = createReplica('a')
  await first.renew()
  const chain = first.chain()
  await first.release()
  expect(first.chain()).toBeUndefined()
  const [second, third] = [createReplica('b'), createReplica('c')]
  await Promise.all([second.renew(), third.renew()])
  expect([second.chain(), third.chain()].filter((name) => name === chain)).toHaveLength(1)
  expect(await chainsOf()).toHaveLength(2)
})

describe('a chain whose writer is gone', () => {
  test('is set free with a signed head by those that watched it, and taken by whoever comes', async () => {
    const [gone, stays] = [createReplica('a'), createReplica('b')]
    await gone.renew()
    await stays.renew()
    await pass(abandonedMs - renewMs, [stays])
    expect(signed).toEqual([])
    await pass(2 * renewMs, [stays])
    expect(signed).toEqual([gone.chain()])
    await pass(10 * abandonedMs, [stays])
    expect(signed).toEqual([gone.chain()])
    const next = createReplica('c')
    await next.renew()
    expect(next.chain()).toBe(gone.chain())
  })

  test('is another one for its writer when that comes back', async () => {
    const [frozen, stays] = [createReplica('a'), createReplica('b')]
    await frozen.renew()
    const before = frozen.chain()
    await pass(2 * abandonedMs, [stays])
    const next = createReplica('c')
    await next.renew()
    await frozen.renew()
    expect(next.chain()).toBe(before)
    expect(frozen.chain()).not.toBe(before)
    expect(log.lines).toContainEqual(
      expect.objectContaining({
        name: 'warning',
        text: 'another replica has taken over the chain of records',
        fields: { chain: before },
      }),
    )
  })

  test('is left alone by one that was itself away, until it has watched for as long', async () => {
    const [other, away] = [createReplica('a'), createReplica('b')]
    await other.renew()
    await away.renew()
    nowMs += 10 * abandonedMs
    await away.renew()
    expect(signed).toEqual([])
    await pass(2 * abandonedMs, [other, away])
    expect(signed).toEqual([])
    expect(other.chain()).toBeDefined()
  })
})

test('many that start at once after all were killed make no more chains than there are replicas', async () => {
  for (let round = 0; round < 5; round++) {
    const replicas = Array.from({ length: 20 }, (_, index) => createReplica(`${round}.${index}`))
    await Promise.all(replicas.map((replica) => replica.renew()))
    expect(new Set(replicas.map((replica) => replica.chain())).size).toBe(20)
    await pass(2 * abandonedMs, replicas)
  }
  expect((await chainsOf()).length).toBeLessThanOrEqual(40)
})

test('where the store takes no writes there is no chain, and one as soon as it does', async () => {
  const replica = createReplica('a')
  store.beforeWrite = () => {
    throw new Error('read only')
  }
  await expect(replica.renew()).rejects.toThrow('read only')
  expect(replica.chain()).toBeUndefined()
  store.beforeWrite = () => undefined
  await replica.renew()
  expect(replica.chain()).toMatch(/^[0-9a-f]{8}$/)
})

test('an outage of the store costs nobody its chain', async () => {
  const replicas = ['a', 'b', 'c'].map((name) => createReplica(name))
  for (const replica of replicas) await replica.renew()
  const held = replicas.map((replica) => replica.chain())
  await pass(abandonedMs, replicas)
  store.beforeRead = store.beforeWrite = () => {
    throw new Error('away')
  }
  for (let turn = 0; turn < 10; turn++) {
    nowMs += renewMs
    for (const replica of replicas) await replica.renew().catch(() => undefined)
  }
  store.beforeRead = store.beforeWrite = () => undefined
  await pass(2 * abandonedMs, replicas)
  expect(replicas.map((replica) => replica.chain())).toEqual(held)
})

test('a replica asks the store for a number of things that does not grow with the others', async () => {
  const replicas = Array.from({ length: 100 }, (_, index) => createReplica(String(index)))
  for (const replica of replicas) await replica.renew()
  let asked = 0
  store.beforeRead = store.beforeWrite = () => void asked++
  await pass(4 * abandonedMs, replicas)
  expect(asked / replicas.length / ((4 * abandonedMs) / renewMs)).toBe(2)
})
