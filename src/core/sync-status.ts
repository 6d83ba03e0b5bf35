/**
 * How syncs stand: what the last runs came to, kept in the store so that every replica tells the same.
 *
 * @module
 */
import type { SyncProblem } from './compare-sync.ts'
import { type Store, StoreError } from './store.ts'

/** What was done in one run at one destination, in secrets. */
export interface SyncCounts {
  readonly current: number
  readonly created: number
  readonly updated: number
  readonly adopted: number
  readonly repaired: number
  readonly marked: number
  readonly removed: number
  /** Would have been removed, were they not too many, or to be left. */
  readonly leftOver: number
  readonly problems: number
}

export const noCounts: SyncCounts = {
  current: 0,
  created: 0,
  updated: 0,
  adopted: 0,
  repaired: 0,
  marked: 0,
  removed: 0,
  leftOver: 0,
  problems: 0,
}

/** A problem of one secret, as it is shown. */
export interface SyncFault extends Omit<SyncProblem, 'kind'> {
  /** Of the comparison, or of the destination's error. */
  readonly kind: string
  /** As the cloud has it. */
  readonly code?: string
  readonly cloudRequestId?: string
  readonly fix?: string
}

/**
 * - `synced`: all is as it should be
 * - `incomplete`: some secrets are not, see the problems
 * - `deletions_held`: more would go than may go without somebody's yes
 * - `failed`: the run came to no end; see the error
 */
export type SyncState = 'synced' | 'incomplete' | 'deletions_held' | 'failed'

export interface DestinationStatus {
  readonly state: SyncState
  readonly finishedAt: Date
  /** When everything was last as it should be. */
  readonly syncedAt?: Date
  /** When every secret was last looked at by itself. */
  readonly lookedAt?: Date
  readonly counts: SyncCounts
  /** The first of them. */
  readonly problems: readonly SyncFault[]
  readonly error?: string
}

export interface SyncStatus {
  /** Of the sync's part of the configuration, at the last run; empty where that was of some destinations only. */
  readonly digest: string
  readonly startedAt: Date
  /** Absent while the first run is under way. */
  readonly finishedAt?: Date
  readonly fence: number
  readonly destinations: Readonly<Record<string, DestinationStatus>>
}

export interface HeldStatus {
  readonly version: number
  readonly status?: SyncStatus
}

/** Kept of each destination. */
export const maxProblems = 50

const nameOf = (sync: string) => `sync/status/${sync}`

/** @throws {StoreError} */
export async function readStatus(store: Pick<Store, 'readDocument'>, sync: string): Promise<HeldStatus> {
  const { version, body } = await store.readDocument(nameOf(sync))
  if (version === 0) return { version }
  try {
    return { version, status: JSON.parse(body, reviveDate) as SyncStatus }
  } catch (cause) {
    throw new StoreError('damaged', `the document ${nameOf(sync)} is not as it was written`, { cause })
  }
}

/** False when another worker wrote meanwhile. @throws {StoreError} */
export function writeStatus(
  store: Pick<Store, 'writeDocument'>,
  sync: string,
  version: number,
  status: SyncStatus,
): Promise<boolean> {
  return store.writeDocument(nameOf(sync), version, JSON.stringify(status))
}

function reviveDate(key: string, value: unknown): unknown {
  return key.endsWith('At') && typeof value === 'string' ? new Date(value) : value
}
