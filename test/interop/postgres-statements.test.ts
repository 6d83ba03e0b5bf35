/**
 * 25, 50 and 100 replicas on one PostgreSQL, each with 200 and with 800 requests among them: what reaches the server for a
 * rotation, a join token and a lease is so much for each replica and so much for each request, and nothing for each of both.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { cleanupAfterAll } from './support/cleanup.ts'
import { buildDeadlineMs } from './support/parts.ts'
import { makeDatabase, startPostgres } from './support/postgres.ts'
import { type Count, type Counts, countingSettings, createStatementCounter } from './support/postgres-statements.ts'
import { type SimulatedReplicas, startReplicas } from './support/simulated-replicas.ts'

const sizes = [25, 50, 100]
/** Among all replicas. At least two for each, so that what one of them asks for in a turn is always several. */
const loads = [200, 800]
const week = 7 * 86_400

/** What is to happen once among all, and how often it did. */
type Outcome = Readonly<Record<string, number>>
type Phase = (replicas: SimulatedReplicas, requests: number) => Promise<Outcome>

const phases = {
  /** Requests for JWT-SVIDs, as in all that follow; then all find at once that the authorities are to be rotated. */
  async rotation({ all, issue, meet, pass }, requests) {
    const signing = () => all.map(({ authorities }) => authorities.current().x509().id)
    const [former = ''] = signing()
    await issue(requests)
    pass(week)
    meet(all.length)
    await Promise.all(all.map(({ authorities }) => authorities.refresh()))
    const now = new Set(signing())
    return { signing: now.size, former: now.has(former) ? 1 : 0 }
  },
  /** In which nothing is to be done but to look, to renew the lease of a chain and to sign its head. */
  async period({ all, issue, pass }, requests) {
    pass(15)
    await issue(requests)
    await Promise.all(
      all.map(async ({ authorities, federation, tendRecords }) => {
        await authorities.refresh()
        await federation.refresh()
        await tendRecords()
      }),
    )
    return { chains: new Set(all.map(({ chain }) => chain())).size / all.length }
  },
  /** All find at once that the time of a federated endpoint has come, and look again for what it said. */
  async poll({ all, issue, meet, pass, poll, polls, publish }, requests) {
    const before = polls()
    publish(requests)
    pass(40)
    await issue(requests)
    meet(all.length)
    await poll()
    await Promise.all(all.map(({ federation }) => federation.refresh()))
    const current = all.filter(({ peerSequence }) => peerSequence() === BigInt(requests))
    return { asked: polls() - before, current: current.length / all.length }
  },
  /** All requests have a join token of one use, and have found it before any of them spends it. */
  async join({ join, makeJoinToken, meet }, requests) {
    const token = await makeJoinToken()
    meet(requests)
    return { granted: await join(token, requests) }
  },
  /** All try for the lease at once, and again while one has it; its holder renews it, and gives it back. */
  async sync({ all, issue, meet }, requests) {
    const name = `of-${requests}`
    meet(all.length)
    const leases = await Promise.all(all.map(({ takeSync }) => takeSync(name)))
    await issue(requests)
    const again = await Promise.all(all.map(({ takeSync }, index) => (leases[index] ? undefined : takeSync(name))))
    const held = leases.flatMap((lease) => lease ?? [])
    for (const lease of held) {
      await lease.keep([])
      await lease.release()
    }
    return { held: held.length, again: again.filter((lease) => lease !== undefined).length }
  },
} satisfies Record<string, Phase>

type PhaseName = keyof typeof phases
const phaseNames = Object.keys(phases) as PhaseName[]

interface Cell {
  readonly replicas: number
  readonly requests: number
  readonly phase: PhaseName
  readonly outcome: Outcome
  readonly counts: Counts
}

const stack = cleanupAfterAll()
const cells: Cell[] = []

beforeAll(async () => {
  const server = await startPostgres(stack, 18, { settings: { ...countingSettings, max_connections: '300' } })
  await makeDatabase(server, 'statements')
  const counter = await createStatementCounter(server, 'statements')
  for (const size of sizes) {
    const replicas = await startReplicas(server.url('statements'), `of-${size}.example.org`, size)
    try {
      for (const requests of loads)
        for (const phase of phaseNames) {
          let outcome: Outcome = {}
          const counts = await counter.during(async () => {
            outcome = await phases[phase](replicas, requests)
          })
          cells.push({ replicas: size, requests, phase, outcome, counts })
        }
    } finally {
      await replicas.close()
    }
  }
}, buildDeadlineMs)

test.each<[PhaseName, string, Outcome]>([
  ['rotation', 'one rotates, and all sign with what came of it', { signing: 1, former: 0 }],
  ['period', 'each has a chain of its own', { chains: 1 }],
  ['poll', 'one asks, and all hold what was said', { asked: 1, current: 1 }],
  ['join', 'one request is granted', { granted: 1 }],
  ['sync', 'one has the lease, and nobody else while it has it', { held: 1, again: 0 }],
])('%s: %s', (phase, _, expected) => {
  expect(cellsOf(phase).map(({ outcome }) => outcome)).toEqual(cellsOf(phase).map(() => expected))
})

describe('statements: some, so many for each replica, and so many for each request', () => {
  test.each<[PhaseName, Readonly<Record<string, readonly [number, number, number]>>]>([
    [
      'rotation',
      {
        'append records': [0, 1, 0],
        // Once more by those who were too late.
        'read a document': [-1, 2, 0],
        'replace a document': [0, 1, 0],
      },
    ],
    [
      'period',
      {
        'append records': [0, 1, 0],
        'list documents': [0, 2, 0],
        'read a document': [0, 1, 0],
        'replace a document': [0, 1, 0],
        'write a head': [0, 1, 0],
      },
    ],
    [
      'poll',
      {
        'append records': [1, 1, 0],
        'list documents': [0, 1, 0],
        // By all but the one who asked: that they were too late, and what came of it.
        'read a document': [-2, 2, 0],
        'replace a document': [1, 1, 0],
      },
    ],
    [
      'join',
      {
        'make a join token': [1, 0, 0],
        'find a join token': [0, 0, 1],
        'lock join tokens': [0, 1, 0],
        // The use, and of each replica the refusals of all others of its turn.
        'append records': [1, 1, 0],
      },
    ],
    [
      'sync',
      {
        'append records': [0, 1, 0],
        'lock a folder': [0, 1, 0],
        'make a document': [0, 1, 0],
        'read a document': [-1, 2, 0],
        'replace a document': [2, 0, 0],
      },
    ],
  ])('%s', (phase, expected) => {
    const kinds = new Set(cellsOf(phase).flatMap(({ counts }) => Object.keys(counts)))
    kinds.delete('spend a join token')
    expect(Object.fromEntries([...kinds].map((kind) => [kind, fitOf(phase, kind)]))).toEqual(expected)
  })
})

test('a use is tried for once by each request, and once more by each replica that saw one left', () => {
  for (const { replicas, requests, counts } of cellsOf('join')) {
    const { calls, rows } = counts['spend a join token'] ?? none
    expect(calls - requests).toBeGreaterThanOrEqual(1)
    expect(calls - requests).toBeLessThanOrEqual(replicas)
    expect(rows).toBe(calls - requests + 1)
  }
})

test.each<[PhaseName, string, number]>([
  ['rotation', 'replace a document', 1],
  // The time of the next poll, and what was said.
  ['poll', 'replace a document', 2],
  ['sync', 'make a document', 1],
])('%s: of all that try to %s, %i does', (phase, kind, rows) => {
  expect(cellsOf(phase).map(({ counts }) => counts[kind]?.rows)).toEqual(cellsOf(phase).map(() => rows))
})

test('requests add as many rows among many replicas as among few', () => {
  const [few, ...more] = sizes.map(rowsAddedByRequests)
  expect(few).toMatchObject({ 'rotation: append records': 600, 'rotation: read a document': 0 })
  for (const added of more) expect(added).toEqual(few)
})

const none: Count = { calls: 0, rows: 0 }

function cellsOf(wanted: PhaseName): readonly Cell[] {
  return cells.filter(({ phase }) => phase === wanted)
}

/**
 * By least squares; where any count is not what the fit says, all counts instead. Sizes and loads are a full grid, so that
 * the slope over one does not depend on the other.
 */
function fitOf(phase: PhaseName, kind: string): readonly number[] | readonly string[] {
  const points = cellsOf(phase).map(({ replicas, requests, counts }) => {
    return { replicas, requests, calls: counts[kind]?.calls ?? 0 }
  })
  const mean = (of: keyof (typeof points)[number]) => points.reduce((sum, point) => sum + point[of], 0) / points.length
  const slope = (over: 'replicas' | 'requests') => {
    const sumOf = (of: typeof over | 'calls') =>
      points.reduce((sum, point) => sum + (point[over] - mean(over)) * point[of], 0)
    return sumOf('calls') / sumOf(over)
  }
  const [perReplica, perRequest] = [slope('replicas'), slope('requests')]
  const base = mean('calls') - perReplica * mean('replicas') - perRequest * mean('requests')
  const isFit = points.every(
    ({ replicas, requests, calls }) => Math.abs(base + perReplica * replicas + perRequest * requests - calls) < 1e-6,
  )
  if (!isFit)
    return points.map(({ replicas, requests, calls }) => `${replicas} replicas, ${requests} requests: ${calls}`)
  return [base, perReplica, perRequest].map((value) => Math.round(value * 1e6) / 1e6 + 0)
}

/** From the first load to the second. */
function rowsAddedByRequests(size: number): Readonly<Record<string, number>> {
  const added: Record<string, number> = {}
  for (const { replicas, requests, phase, counts } of cells)
    for (const [kind, { rows }] of Object.entries(counts)) {
      if (replicas !== size || kind === 'spend a join token') continue
      const name = `${phase}: ${kind}`
      added[name] = (added[name] ?? 0) + (requests === loads[0] ? -rows : rows)
    }
  return added
}
