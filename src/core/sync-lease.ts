/**
 * The turn of one worker with a sync, among all replicas.
 *
 * The lease is a document of the store that is replaced by compare-and-set. Whatever a worker does is put on record in
 * one atomic write with the renewal of its lease, before it does it: one whose turn went to another can not begin
 * anything. A request that it sent before ends within the lease, as its deadline is shorter than what is left then.
 *
 * @module
 */
import type { RecordWriter } from './audit.ts'
import type { RecordEntry } from './record.ts'
import type { Store } from './store.ts'

/** Another worker has the turn, or this one has lost it. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost'
}

export interface SyncLease {
  /** Greater than that of every turn before, so that records show whose turn came later. */
  readonly fence: number
  /** Keeps the entries and renews the lease, both or neither. @throws {LeaseLost} @throws {Refusal} `store_unavailable` */
  readonly keep: (entries: readonly RecordEntry[]) => Promise<void>
  /** Keeps the entry with whatever is kept next, so that many are one write; nobody waits for it. */
  readonly note: (entry: RecordEntry) => void
  /** Renews it where the time that is left is not that of a request. @throws as {@link keep} */
  readonly hold: () => void | Promise<void>
  /** Keeps what was noted, and lets the next one have its turn at once. @throws as {@link keep} */
  readonly release: () => Promise<void>
}

export interface LeaseDeps {
  readonly store: Pick<Store, 'readDocument' | 'writeDocument'>
  readonly writer: Pick<RecordWriter, 'append'>
  readonly now: () => Date
  readonly monotonicMs: () => number
  /** Resolves after so long. */
  readonly pause: (ms: number) => Promise<void>
  /** Tells this process from every other. */
  readonly holder: string
}

interface LeaseDocument {
  /** Empty: nobody's. */
  readonly holder: string
  readonly fence: number
  readonly expires_at: string
}

const leaseMs = 30_000
/** With less left it is renewed before the next request; longer than any request of a turn takes. */
const renewMs = 20_000
/** What comes within this is one write: each waits for the disk, and holds everything up meanwhile. */
const gatherMs = 5
/** How far the clocks of replicas may be apart. */
const skewMs = 5_000

/** Longest that one operation at a destination may take. */
export const operationMs = renewMs - skewMs

/** Undefined while it is another worker's turn. @throws {StoreError} */
export async function takeLease(deps: LeaseDeps, sync: string): Promise<SyncLease | undefined> {
  const name = `sync/lease/${sync}`
  const { version, body } = await deps.store.readDocument(name)
  const held = version === 0 ? undefined : (JSON.parse(body) as LeaseDocument)
  const isOthers = held !== undefined && held.holder !== '' && held.holder !== deps.holder
  if (isOthers && new Date(held.expires_at).getTime() + skewMs > deps.now().getTime()) return undefined
  const fence = (held?.fence ?? 0) + 1
  const untilMs = deps.monotonicMs() + leaseMs
  const taken = await deps.store.writeDocument(name, version, format(deps, fence))
  return taken ? createLease(deps, { name, version: version + 1, fence, untilMs }) : undefined
}

function format({ holder, now }: LeaseDeps, fence: number): string {
  const expires = new Date(now().getTime() + leaseMs)
  return JSON.stringify({ holder, fence, expires_at: expires.toISOString() } satisfies LeaseDocument)
}

interface Taken {
  readonly name: string
  readonly version: number
  readonly fence: number
  readonly untilMs: number
}

interface Waiting {
  readonly entries: readonly RecordEntry[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

function createLease(deps: LeaseDeps, { name, fence, ...taken }: Taken): SyncLease {
  let { version, untilMs } = taken
  let waiting: Waiting[] = []
  let noted: RecordEntry[] = []
  let writing = false
  let renewing: Promise<void> | undefined
  let lost: unknown

  /** One write at a time, each with all that came meanwhile, as each replaces the document that the last one wrote. */
  async function write(): Promise<void> {
    writing = true
    while (waiting.length > 0) {
      await deps.pause(gatherMs)
      const batch = waiting
      const entries = [...noted, ...batch.flatMap((each) => each.entries)]
      waiting = []
      noted = []
      try {
        await renewWith(entries)
        for (const { resolve } of batch) resolve()
      } catch (error) {
        lost = error
        for (const { reject } of batch) reject(error)
      }
    }
    writing = false
  }

  async function renewWith(entries: readonly RecordEntry[]): Promise<void> {
    if (lost !== undefined) throw lost
    const renewedMs = deps.monotonicMs()
    const change = { name, expected: version, body: format(deps, fence) }
    const outcome = await deps.writer.append(entries, undefined, change)
    if (outcome !== 'stored') throw new LeaseLost('another worker has taken over')
    version += 1
    untilMs = renewedMs + leaseMs
  }

  const keep: SyncLease['keep'] = (entries) =>
    new Promise((resolve, reject) => {
      waiting.push({ entries, resolve, reject })
      if (!writing) void write()
    })

  return {
    fence,
    keep,
    note: (entry) => void noted.push(entry),
    hold() {
      if (lost === undefined && untilMs - deps.monotonicMs() > renewMs) return
      renewing ??= keep([]).finally(() => {
        renewing = undefined
      })
      return renewing
    },
    async release() {
      if (noted.length > 0 && lost === undefined) await keep([])
      const expires = new Date(0).toISOString()
      const free: LeaseDocument = { holder: '', fence, expires_at: expires }
      if (lost === undefined) await deps.store.writeDocument(name, version, JSON.stringify(free))
    },
  }
}
