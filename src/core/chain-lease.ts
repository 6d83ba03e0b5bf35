/**
 * Which chain of records a replica writes: one that nobody else writes, free since its last writer went, or a new one.
 *
 * The lease keeps two from writing one chain, which would slow both. It is not what keeps the chain whole: a number that
 * is taken is refused by the store, whoever comes late. So it needs no clock that replicas share: a holder renews its
 * lease, and one that was not renewed for as long as somebody watched is set free by whoever watched, after the head of
 * what its holder left has been signed.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { formatHex } from '../protocol/encoding.ts'
import type { Store } from './store.ts'
import type { Telemetry } from './telemetry.ts'

export interface ChainLeaseDeps {
  readonly store: Pick<Store, 'readDocument' | 'writeDocument' | 'listDocuments'>
  /** Signs up to where a chain goes that its writer has left. */
  readonly signHead: (chain: string) => Promise<void>
  readonly telemetry: Telemetry
  /** Milliseconds that only grow. */
  readonly monotonicMs: () => number
  readonly randomBytes: (size: number) => Uint8Array
}

export interface ChainLease {
  /** Undefined while none is held, as where the store takes no writes. */
  readonly chain: () => string | undefined
  /**
   * Takes a chain where none is held, and sets those free that their writers have left. To be called at start, and every
   * {@link renewMs} from then on.
   *
   * @throws {StoreError}
   */
  readonly renew: () => Promise<void>
  /** At a stop, when nothing is written any more. @throws {StoreError} */
  readonly release: () => Promise<void>
}

export const renewMs = 15_000
/** A holder that is alive has renewed some times by then, one that was frozen for as long finds another chain. */
export const abandonedMs = 60_000
const prefix = 'chains/'
const free = ''

interface Held {
  readonly name: string
  readonly version: number
}

/** How long a version has been seen, in looks that followed on each other. */
interface Watched {
  readonly version: number
  readonly sinceMs: number
}

export function createChainLease(deps: ChainLeaseDeps): ChainLease {
  const { store, telemetry } = deps
  const holder = formatHex(deps.randomBytes(8))
  let held: Held | undefined
  let watched: ReadonlyMap<string, Watched> = new Map()
  let lookedAtMs = Number.NEGATIVE_INFINITY

  async function keep(): Promise<void> {
    if (held === undefined) return
    const { name, version } = held
    if (await store.writeDocument(name, version, holder)) held = { name, version: version + 1 }
    else {
      held = undefined
      telemetry.log('warning', 'another replica has taken over the chain of records', { chain: chainOf(name) })
    }
  }

  async function take(names: readonly string[]): Promise<void> {
    for (const name of names) if (held === undefined) held = await takeFree(name)
    if (held !== undefined) return
    const name = prefix + formatHex(deps.randomBytes(4))
    if (await store.writeDocument(name, 0, holder)) held = { name, version: 1 }
  }

  async function takeFree(name: string): Promise<Held | undefined> {
    const { version, body } = await store.readDocument(name)
    if (version === 0 || body !== free || !(await store.writeDocument(name, version, holder))) return undefined
    return { name, version: version + 1 }
  }

  /** What was seen before a pause of ours says nothing of the others: they may have been as cut off as we were. */
  function look(found: readonly { readonly name: string; readonly version: number }[]): readonly string[] {
    const nowMs = deps.monotonicMs()
    const former = nowMs - lookedAtMs > 3 * renewMs ? new Map<string, Watched>() : watched
    lookedAtMs = nowMs
    const since = (name: string, version: number) => {
      const before = former.get(name)
      return before?.version === version ? before.sinceMs : nowMs
    }
    watched = new Map(found.map(({ name, version }) => [name, { version, sinceMs: since(name, version) }]))
    return [...watched].filter(([, { sinceMs }]) => nowMs - sinceMs >= abandonedMs).map(([name]) => name)
  }

  async function setFree(name: string): Promise<void> {
    const { version, body } = await store.readDocument(name)
    if (version !== watched.get(name)?.version || body === free || name === held?.name) return
    await deps.signHead(chainOf(name))
    if (await store.writeDocument(name, version, free))
      telemetry.log('info', 'a chain of records that its writer has left is free', { chain: chainOf(name) })
  }

  return {
    chain: () => held && chainOf(held.name),
    async renew() {
      await keep()
      const found = await store.listDocuments({ prefix })
      for (const name of look(found)) await setFree(name)
      if (held === undefined) await take(shuffled(found, deps.randomBytes))
    },
    async release() {
      const last = held
      held = undefined
      if (last !== undefined) await store.writeDocument(last.name, last.version, free)
    },
  }
}

const chainOf = (name: string) => name.slice(prefix.length)

/** So that replicas that start together do not all try for the same. */
function shuffled(
  found: readonly { readonly name: string }[],
  randomBytes: ChainLeaseDeps['randomBytes'],
): readonly string[] {
  const drawn = found.map(({ name }) => ({ name, lot: Buffer.from(randomBytes(4)).readUInt32BE() }))
  return drawn.sort((a, b) => a.lot - b.lot).map(({ name }) => name)
}
