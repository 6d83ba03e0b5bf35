/**
 * What is told of a run: in metrics, in the log, and in the status that is kept.
 *
 * @module
 */
import { Refusal } from './refusal.ts'
import type { RunOutcome } from './run-sync.ts'
import { DestinationError } from './secret-destination.ts'
import { SourceError } from './secret-source.ts'
import { StoreError } from './store.ts'
import { type DestinationStatus, noCounts, type SyncCounts } from './sync-status.ts'
import type { Telemetry } from './telemetry.ts'

/** Why a run came to no end, for operators; undefined for what is no failure but a mistake of ours. */
export function describeFailure(error: unknown): string | undefined {
  if (error instanceof DestinationError || error instanceof SourceError) {
    const { kind, code, status, requestId, message } = error
    const where = [code, status === undefined ? '' : `HTTP ${status}`, requestId && `request ${requestId}`]
    return `${kind} (${where.filter(Boolean).join(', ')}): ${message}`
  }
  if (error instanceof Refusal) return error.reason
  return error instanceof StoreError ? error.message : undefined
}

export interface RunEnd {
  readonly finishedAt: Date
  /** Whether every secret was to be looked at by itself. */
  readonly closely: boolean
}

/** What stands of the last run is kept where this one came to no end. */
export function statusOf(
  outcome: RunOutcome | string,
  former: DestinationStatus | undefined,
  { finishedAt, closely }: RunEnd,
): DestinationStatus {
  const ended = typeof outcome !== 'string'
  const syncedAt = ended && outcome.state === 'synced' ? finishedAt : former?.syncedAt
  const lookedAt = ended && closely ? finishedAt : former?.lookedAt
  const since = { ...(syncedAt && { syncedAt }), ...(lookedAt && { lookedAt }) }
  if (typeof outcome !== 'string') return { ...outcome, ...since, finishedAt }
  const { counts = noCounts, problems = [] } = former ?? {}
  return { state: 'failed', counts, problems, error: outcome, ...since, finishedAt }
}

const gauges = {
  current: ['current', 'created', 'updated', 'adopted', 'repaired', 'marked'],
  left_over: ['leftOver'],
  problem: ['problems'],
} as const satisfies Record<string, readonly (keyof SyncCounts)[]>

const changes = ['created', 'updated', 'adopted', 'repaired', 'marked', 'removed'] as const

export interface ReportedRun {
  readonly sync: string
  readonly destination: string
  readonly status: DestinationStatus
  readonly durationMs: number
}

export function reportRun({ count, gauge, observe, log }: Telemetry, run: ReportedRun): void {
  const { sync, destination, status, durationMs } = run
  const { state, counts, syncedAt, error } = status
  const labels = { sync, destination }
  count('apostille_sync_runs_total', { ...labels, result: state })
  observe('apostille_sync_run_duration_seconds', durationMs / 1000, labels)
  if (syncedAt) gauge('apostille_sync_synced_timestamp_seconds', syncedAt.getTime() / 1000, labels)
  if (error !== undefined) {
    log('error', 'a sync failed', { ...labels, error })
    return
  }
  for (const [name, keys] of Object.entries(gauges)) {
    const sum = keys.reduce((total, key) => total + counts[key], 0)
    gauge('apostille_sync_secrets', sum, { ...labels, state: name })
  }
  for (const change of changes)
    if (counts[change] > 0) count('apostille_sync_changes_total', { ...labels, change }, counts[change])
  if (state === 'synced' && changes.every((change) => counts[change] === 0)) return
  const { current, leftOver, problems, ...done } = counts
  log(state === 'synced' ? 'info' : 'warning', 'a sync ran', {
    ...labels,
    state,
    ...done,
    left_over: leftOver,
    problems,
  })
}

/** The series of a destination that is gone end. */
export function forgetRun({ gauge }: Telemetry, labels: { readonly sync: string; readonly destination: string }): void {
  gauge('apostille_sync_synced_timestamp_seconds', undefined, labels)
  for (const state of Object.keys(gauges)) gauge('apostille_sync_secrets', undefined, { ...labels, state })
}
