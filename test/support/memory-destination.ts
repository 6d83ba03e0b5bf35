/**
 * A destination in memory that keeps the port's promises and holds its caller to its own: each request is paced, and has
 * a credential that is good.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { OwnerStamp } from '../../src/core/owner-stamp.ts'
import {
  DestinationError,
  type DestinationTurn,
  type HeldSecret,
  holdsSame,
  type OpenedDestination,
  ownershipOf,
  type SecretDestination,
  type SecretPush,
  type SecretValue,
} from '../../src/core/secret-destination.ts'

/** A secret as it stands there. */
export interface StoredSecret {
  readonly value: SecretValue | undefined
  readonly stamp?: OwnerStamp
  readonly tags: Readonly<Record<string, string>>
  /** Fingerprint of the value that the stamp was written with; another one shows that it was edited. */
  readonly stampedDigest?: string
  /** How many versions were made. */
  readonly versions: number
}

/** One request: what is asked of what, and whether it happened. */
export type Request = 'list' | 'look' | 'write' | 'remove'

export interface MemoryCloud {
  readonly secrets: Map<string, StoredSecret>
  readonly requests: Record<Request, number>
  /** Requests that run at this moment, and the most that ever did. */
  readonly load: { now: number; most: number }
  /** Of a listing. */
  pageSize: number
  /** Whether a listing shows that somebody else gave a secret another value; otherwise a look does. */
  listsEdits: boolean
  /**
   * Runs with each request: what it throws is what the request fails with. `after` says that the cloud has done it by
   * then, and only the answer is lost.
   */
  onRequest: (request: Request, phase: 'before' | 'after', name?: string) => void | Promise<void>
  /** Somebody else writes: the stamp stays as it is, unless it is dropped. */
  readonly edit: (name: string, value: string, options?: { readonly dropStamp?: boolean }) => void
  /** Somebody else removes it with all of its versions. */
  readonly discard: (name: string) => void
  readonly open: (opened: Pick<OpenedDestination, 'credential'>) => SecretDestination
}

export function createMemoryCloud(): MemoryCloud {
  const secrets = new Map<string, StoredSecret>()
  /** Stamps of versions that an edit came after. */
  const formerStamps = new Map<string, OwnerStamp>()
  const cloud: MemoryCloud = {
    secrets,
    requests: { list: 0, look: 0, write: 0, remove: 0 },
    load: { now: 0, most: 0 },
    pageSize: 100,
    listsEdits: true,
    onRequest: () => undefined,
    edit(name, value, { dropStamp = false } = {}) {
      const former = secrets.get(name)
      if (dropStamp && former?.stamp) formerStamps.set(name, former.stamp)
      const { stamp: _, ...unstamped } = former ?? { tags: {} }
      const versions = (former?.versions ?? 0) + 1
      secrets.set(name, { ...(dropStamp ? unstamped : former), tags: former?.tags ?? {}, value, versions })
    },
    discard(name) {
      secrets.delete(name)
      formerStamps.delete(name)
    },
    open: ({ credential }) => createAdapter(cloud, formerStamps, credential),
  }
  return cloud
}

function createAdapter(
  cloud: MemoryCloud,
  formerStamps: Map<string, OwnerStamp>,
  credential: OpenedDestination['credential'],
): SecretDestination {
  const { secrets } = cloud
  const heldAs = (name: string): HeldSecret | undefined => {
    const stored = secrets.get(name)
    return stored && { name, state: stateOf(stored), ...(stored.stamp && { stamp: stored.stamp }) }
  }

  const listed = (held: HeldSecret | undefined): HeldSecret | undefined =>
    held?.state === 'edited' && !cloud.listsEdits ? { ...held, state: 'whole' } : held

  async function request<T>(turn: DestinationTurn, kind: Request, name: string | undefined, run: () => T): Promise<T> {
    await turn.pace(kind === 'list' || kind === 'look' ? 'read' : 'write')
    await credential(turn.signal)
    cloud.load.now += 1
    cloud.load.most = Math.max(cloud.load.most, cloud.load.now)
    try {
      await cloud.onRequest(kind, 'before', name)
      turn.signal.throwIfAborted()
      cloud.requests[kind] += 1
      const result = run()
      await cloud.onRequest(kind, 'after', name)
      return result
    } finally {
      cloud.load.now -= 1
    }
  }

  /** As a listing can not show. */
  async function lookClosely(name: string, turn: DestinationTurn): Promise<HeldSecret | undefined> {
    const held = await request(turn, 'look', name, () => heldAs(name))
    const former = formerStamps.get(name)
    return held !== undefined && held.stamp === undefined && former ? { ...held, state: 'edited', stamp: former } : held
  }

  return {
    async *list(turn) {
      const names = [...secrets.keys()]
      for (let at = 0; at === 0 || at < names.length; at += cloud.pageSize)
        yield await request(turn, 'list', undefined, () =>
          names.slice(at, at + cloud.pageSize).flatMap((name) => listed(heldAs(name)) ?? []),
        )
    },
    find: lookClosely,
    async write(push, turn) {
      // A create that finds the name taken is one request, as everywhere; what is there is then looked at.
      const held = secrets.has(push.name) ? await lookClosely(push.name, turn) : undefined
      if (held) requireWritable(held, push)
      const isSame = held !== undefined && holdsSame(held, push)
      if (isSame && held.stamp?.basis === push.stamp.basis) return { outcome: 'unchanged', id: push.name }
      return request(turn, 'write', push.name, () => {
        const former = secrets.get(push.name)
        const versions = (former?.versions ?? 0) + (isSame ? 0 : 1)
        const { stamp, tags, value } = push
        secrets.set(push.name, { value, stamp, tags, stampedDigest: digestOf(value), versions })
        formerStamps.delete(push.name)
        const version = String(versions)
        if (held === undefined) return { outcome: 'created', id: push.name, version }
        if (isSame) return { outcome: 'marked', id: push.name, version }
        const isOurs = ownershipOf(held.stamp, stamp.owner) === 'ours'
        return { outcome: isOurs ? 'updated' : 'adopted', id: push.name, version }
      })
    },
    async remove(name, owner, turn) {
      const held = await lookClosely(name, turn)
      if (held === undefined) return { outcome: 'absent' }
      if (ownershipOf(held.stamp, owner) !== 'ours') throw conflict()
      await request(turn, 'remove', name, () => cloud.discard(name))
      return { outcome: 'removed', id: name }
    },
  }
}

function stateOf({ value, stamp, stampedDigest }: StoredSecret): HeldSecret['state'] {
  if (value === undefined) return 'empty'
  return stamp !== undefined && stampedDigest !== digestOf(value) ? 'edited' : 'whole'
}

function digestOf(value: SecretValue): string {
  return createHash('sha256').update(value).digest('hex')
}

function requireWritable({ stamp }: HeldSecret, push: SecretPush): void {
  const ownership = ownershipOf(stamp, push.stamp.owner)
  if (ownership === 'ours' || (ownership === 'free' && push.adopts)) return
  throw conflict()
}

function conflict(): DestinationError {
  return new DestinationError('conflict', 'it is not ours', { code: 'NotOurs', requestId: 'request-1' })
}
