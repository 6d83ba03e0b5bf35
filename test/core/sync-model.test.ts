/**
 * Random histories of a sync against a model: whatever sources, outsiders, faults and crashes do, a run without faults
 * ends with the destination as the model says.
 *
 * @module
 */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Refusal } from '../../src/core/refusal.ts'
import { DestinationError, type DestinationErrorKind } from '../../src/core/secret-destination.ts'
import { SourceError } from '../../src/core/secret-source.ts'
import type { Syncs } from '../../src/core/syncs.ts'
import { createSyncWorld, type SyncWorld } from '../support/sync-world.ts'

const paths = ['a', 'b', 'c/d', 'c-d', 'e'] as const
/** Two of the paths come to one of these in the alphabet of Key Vault. */
const names = ['a', 'b', 'c-d', 'e', 'f'] as const
const faults: readonly DestinationErrorKind[] = [
  'unreachable',
  'throttled',
  'busy',
  'forbidden',
  'refused',
  'too_large',
]

type Step =
  | { readonly kind: 'set' | 'delete'; readonly path: string; readonly value: number }
  | { readonly kind: 'edit' | 'edit-unstamped' | 'remove-outside'; readonly name: string }
  | Run
  | { readonly kind: 'wait'; readonly ms: number }

interface Run {
  readonly kind: 'run'
  readonly failures: readonly Failure[]
  readonly allowDeletions: boolean
  /** Of the write of records, and of the look at the source, of that number. */
  readonly storeFailsAt: number
  readonly sourceFailsAt: number
}

/**
 * Of the request of that number: refused before, answer lost after, or the process dies there, or it stands still for so
 * long that another one has taken its turn and ended it by then.
 */
interface Failure {
  readonly at: number
  readonly phase: 'before' | 'after'
  readonly fault: DestinationErrorKind | 'crash' | 'freeze'
}

const failure = fc.record({
  at: fc.nat(30),
  phase: fc.constantFrom('before' as const, 'after' as const),
  fault: fc.oneof(fc.constantFrom(...faults), fc.constantFrom('crash' as const, 'freeze' as const)),
})

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('set' as const), path: fc.constantFrom(...paths), value: fc.nat(3) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('delete' as const),
      path: fc.constantFrom(...paths),
      value: fc.constant(0),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('edit' as const, 'edit-unstamped' as const, 'remove-outside' as const),
      name: fc.constantFrom(...names),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('run' as const),
      failures: fc.array(failure, { maxLength: 6 }),
      allowDeletions: fc.boolean(),
      storeFailsAt: fc.nat(40),
      sourceFailsAt: fc.nat(40),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1000, 40_000, 3_600_000) }),
  },
)

const settings = fc.record({
  conflict: fc.constantFrom('refuse', 'adopt'),
  granularity: fc.constantFrom('path', 'key'),
  hasRevisions: fc.boolean(),
})

/** What a secret of that path holds; each value is findable wherever it should not be. */
const fieldsOf = (value: number) =>
  value === 0 ? { one: 'hunter2-0' } : { one: `hunter2-${value}`, two: `hunter2-two-${value % 2}` }

interface Tracked {
  /** Names whose secret somebody else made, with its value. */
  readonly foreign: Map<string, string>
}

test('random histories end as the model says, and nothing that is not ours is touched', {
  timeout: 120_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(settings, fc.array(step, { minLength: 1, maxLength: 30 }), async (options, steps) => {
      const { hasRevisions, ...document } = options
      const world = await createSyncWorld(
        `syncs: { payments: { paths: ['**'], destinations: [azure], conflict: ${document.conflict}, granularity: ${document.granularity} } }`,
      )
      world.source.hasRevisions = hasRevisions
      const tracked: Tracked = { foreign: new Map() }
      for (const each of steps) await take(world, tracked, each)

      world.clouds.azure.onRequest = () => undefined
      world.pass(60_000)
      await run(world.createProcess(), true)
      expectModel(world, tracked, document)

      const { requests } = world.clouds.azure
      Object.assign(requests, { write: 0, remove: 0 })
      await run(world.createProcess(), true)
      expect(requests).toMatchObject({ write: 0, remove: 0 })
      expect(world.told()).not.toMatch(/hunter2|outsider/)
    }),
    {
      numRuns: 150,
      examples: [
        // A process that dies at one request while it stands still at another.
        [
          { conflict: 'refuse', granularity: 'key', hasRevisions: false },
          [
            { kind: 'set', path: 'a', value: 0 },
            { kind: 'set', path: 'e', value: 1 },
            {
              kind: 'run',
              failures: [
                { at: 3, phase: 'before', fault: 'crash' },
                { at: 4, phase: 'before', fault: 'freeze' },
              ],
              allowDeletions: false,
              storeFailsAt: 0,
              sourceFailsAt: 0,
            },
          ],
        ],
        // A path whose name another has keeps what else it had, though its source has that no more.
        [
          { conflict: 'refuse', granularity: 'key', hasRevisions: false },
          [
            { kind: 'set', path: 'c-d', value: 0 },
            { kind: 'set', path: 'c/d', value: 1 },
            { kind: 'run', failures: [], allowDeletions: false, storeFailsAt: 0, sourceFailsAt: 0 },
            { kind: 'set', path: 'c/d', value: 0 },
          ],
        ],
      ],
    },
  )
})

async function take(world: SyncWorld, tracked: Tracked, each: Step): Promise<void> {
  const { source } = world
  if ('path' in each) {
    if (each.kind === 'set') source.set(each.path, fieldsOf(each.value))
    else source.delete(each.path)
  } else if (each.kind === 'wait') world.pass(each.ms)
  else if (each.kind === 'run') await runWithFailures(world, each)
  else meddle(world, tracked, each)
}

/** Somebody else at the destination: edits what is ours, makes and removes secrets. */
function meddle(
  { clouds: { azure } }: SyncWorld,
  { foreign }: Tracked,
  { kind, name }: Extract<Step, { name: string }>,
): void {
  const held = azure.secrets.get(name)
  if (kind === 'remove-outside') {
    azure.discard(name)
    foreign.delete(name)
    return
  }
  azure.edit(name, `outsider-${name}`, { dropStamp: kind === 'edit-unstamped' })
  if (held === undefined) foreign.set(name, `outsider-${name}`)
}

async function runWithFailures(
  world: SyncWorld,
  { failures, allowDeletions, storeFailsAt, sourceFailsAt }: Run,
): Promise<void> {
  let count = 0
  const { syncs, kill } = world.createMortal()
  world.beforeAppend = failingAt(storeFailsAt, () => new Refusal('store_unavailable', 'the disk is full'))
  world.source.onRead = failingAt(sourceFailsAt, () => new SourceError('unreachable', 'no', { code: 'X' }))
  const died = Promise.withResolvers<void>()
  const overtaking: Promise<void>[] = []
  world.clouds.azure.onRequest = async (_, phase) => {
    if (phase === 'before') count += 1
    const found = failures.find((each) => each.at === count && each.phase === phase)
    if (found === undefined) return
    if (found.fault === 'freeze') {
      const turn = overtake(world, allowDeletions)
      overtaking.push(turn)
      return turn
    }
    if (found.fault !== 'crash') throw new DestinationError(found.fault, 'no', { code: 'X' })
    kill()
    died.resolve()
    return new Promise(() => undefined)
  }
  // A process that died answers nothing any more; what it left is found by the next.
  await Promise.race([run(syncs, allowDeletions), died.promise])
  // One that stood still beside the request at which it died was overtaken all the same: that turn ends first.
  await Promise.all(overtaking)
  world.clouds.azure.onRequest = () => undefined
  world.beforeAppend = () => undefined
  world.source.onRead = () => undefined
}

function failingAt(number: number, errorOf: () => Error): () => void {
  let count = 0
  return () => {
    count += 1
    if (count === number) throw errorOf()
  }
}

/** Another process takes the turn, as the lease is over, and runs to its end. */
async function overtake(world: SyncWorld, allowDeletions: boolean): Promise<void> {
  const { azure } = world.clouds
  const { onRequest } = azure
  azure.onRequest = () => undefined
  world.pass(60_000)
  await run(world.createProcess(), allowDeletions)
  azure.onRequest = onRequest
}

/** Refused while the lease of one that died lasts, or where the store fails. */
async function run(syncs: Syncs, allowDeletions: boolean): Promise<void> {
  const request = { sync: 'payments', requestId: 'r', allowDeletions }
  await syncs
    .apply(request, () => undefined)
    .catch((error: { code?: string }) => {
      if (error.code !== 'conflict' && error.code !== 'store_unavailable') throw error
    })
}

function expectModel(world: SyncWorld, { foreign }: Tracked, { conflict, granularity }: Record<string, string>): void {
  const { secrets } = world.clouds.azure
  const wanted = new Map<string, Set<string>>()
  const claimants = new Map<string, Set<string>>()
  for (const [path, { fields }] of world.source.secrets) {
    const values =
      granularity === 'path'
        ? [[path, JSON.stringify(fields)] as const]
        : Object.entries(fields).map(([key, value]) => [`${path}-${key}`, String(value)] as const)
    for (const [name, value] of values) {
      const there = name.replaceAll('/', '-')
      // Where two paths come to one name, either may have it.
      wanted.set(there, (wanted.get(there) ?? new Set()).add(value))
      claimants.set(there, (claimants.get(there) ?? new Set()).add(path))
    }
  }
  // While a path lacks one of its names, nothing that it had is taken away: the other name may be the new one of that.
  const colliding = new Set([...claimants.values()].flatMap((paths) => (paths.size > 1 ? [...paths] : [])))
  const isKept = (source = '') => colliding.has(source.replace(/^kv:/, '').replace(/#.*$/, ''))
  for (const [name, { value, stamp }] of secrets) {
    const isWanted = wanted.has(name)
    if (foreign.has(name) && conflict === 'refuse') expect({ name, stamp }).toEqual({ name, stamp: undefined })
    if (foreign.has(name) && (stamp === undefined || !isWanted)) {
      expect(value).toBe(foreign.get(name))
      expect(isWanted && conflict === 'adopt').toBe(false)
    } else if (isWanted) expect([...(wanted.get(name) ?? [])]).toContain(value)
    // What was ours, and lost its stamp, and is wanted no more, is left to whoever edited it.
    else if (!isKept(stamp?.source)) expect({ name, stamp }).toEqual({ name, stamp: undefined })
  }
  for (const name of wanted.keys()) expect([...secrets.keys()]).toContain(name)
}
