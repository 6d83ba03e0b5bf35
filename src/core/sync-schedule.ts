/**
 * When each sync is to run next.
 *
 * @module
 */
import type { Sync } from './sync.ts'
import type { SyncStatus } from './sync-status.ts'

export interface SyncSchedule {
  /** At once with another configuration or a change at its source, else when its time has come. */
  readonly isDue: (sync: Sync) => boolean
  /** How long there is nothing to do for it after all, as another replica ran it; 0: run it. */
  readonly restMs: (sync: Sync, status: SyncStatus | undefined) => number
  readonly postpone: (sync: Sync, ms: number) => void
  /** After a run. One that failed is tried again sooner, and ever less often. */
  readonly planNext: (sync: Sync, status: SyncStatus) => void
  /** Its source has changed since the last run began. */
  readonly noteChange: (sync: string) => void
  /** A run begins, which sees all changes up to now. */
  readonly begin: (sync: Sync) => void
}

interface Planned {
  /** Of the sync: with another one it is due. */
  readonly digest: string
  readonly atMs: number
  /** In a row. */
  readonly failures: number
}

const retryMs = 15_000

export interface ScheduleDeps {
  readonly now: () => Date
  readonly monotonicMs: () => number
}

export function createSyncSchedule({ now, monotonicMs }: ScheduleDeps): SyncSchedule {
  const changed = new Set<string>()
  const next = new Map<string, Planned>()

  function plan({ name, digest }: Sync, inMs: number, failures: number): void {
    next.set(name, { digest, atMs: monotonicMs() + inMs, failures })
  }

  return {
    isDue({ name, digest }) {
      const planned = next.get(name)
      return planned?.digest !== digest || changed.has(name) || monotonicMs() >= planned.atMs
    },
    restMs({ name, digest, document }, status) {
      if (changed.has(name) || status?.finishedAt === undefined || status.digest !== digest) return 0
      if (hasFailed(status)) return 0
      const sinceMs = now().getTime() - status.startedAt.getTime()
      return sinceMs < 0 ? 0 : Math.max(document.interval * 1000 - sinceMs, 0)
    },
    postpone: (sync, ms) => plan(sync, ms, next.get(sync.name)?.failures ?? 0),
    planNext(sync, status) {
      const intervalMs = sync.document.interval * 1000
      if (!hasFailed(status)) return plan(sync, intervalMs, 0)
      const before = next.get(sync.name)?.failures ?? 0
      return plan(sync, Math.min(intervalMs, retryMs * 2 ** Math.min(before, 10)), before + 1)
    },
    noteChange: (sync) => void changed.add(sync),
    begin: ({ name }) => void changed.delete(name),
  }
}

function hasFailed({ destinations }: SyncStatus): boolean {
  return Object.values(destinations).some(({ state }) => state === 'failed')
}
