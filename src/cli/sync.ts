/**
 * Syncs as the admin API tells them, and as people read them.
 *
 * @module
 */
import type { Admin } from './admin-call.ts'
import { CliError } from './cli-error.ts'
import { readLines } from './line-stream.ts'
import { formatFields, formatMoment, oneLine } from './output.ts'

export interface CountsDocument {
  readonly current: number
  readonly created: number
  readonly updated: number
  readonly adopted: number
  readonly repaired: number
  readonly marked: number
  readonly removed: number
  readonly left_over: number
  readonly problems: number
}

export interface ReferenceDocument {
  readonly path: string
  readonly key?: string
}

export interface FaultDocument {
  readonly kind: string
  readonly message: string
  readonly source?: ReferenceDocument
  readonly name?: string
  readonly code?: string
  readonly cloud_request_id?: string
  readonly fix?: string
}

export type SyncState = 'synced' | 'incomplete' | 'deletions_held' | 'failed'

export interface DestinationDocument {
  readonly state: SyncState
  readonly finished_at: string
  readonly synced_at?: string
  readonly counts: CountsDocument
  readonly problems: readonly FaultDocument[]
  readonly error?: string
}

export interface StatusDocument {
  readonly started_at: string
  readonly finished_at?: string
  readonly fence: number
  readonly destinations: Readonly<Record<string, DestinationDocument>>
}

export interface SyncDocument {
  readonly name: string
  readonly source: string
  readonly paths: readonly string[]
  readonly destinations: readonly string[]
  readonly spiffe_id: string
  readonly paused: boolean
  readonly running: boolean
  readonly status?: StatusDocument
}

export interface SyncsDocument {
  readonly items: readonly SyncDocument[]
  readonly next: string | null
}

export interface SyncOptions {
  readonly destination?: string
}

interface ErrorLine {
  readonly error?: { readonly code: string; readonly detail?: string }
}

/**
 * What a plan or a run says on the way goes to `each`; the last line is answered.
 *
 * @throws {CliError} what went wrong behind the first line
 */
export async function askLines<Line extends object, Last extends object>(
  admin: Admin,
  request: { readonly path: string; readonly body: unknown },
  isLast: (line: Line | Last) => line is Last,
  each: (line: Line) => void,
): Promise<Last> {
  const chunks = await admin.stream({ method: 'POST', ...request })
  for await (const line of readLines(chunks)) {
    const value = JSON.parse(line) as (Line | Last) & ErrorLine
    if (value.error !== undefined) throw failure(value.error)
    if (isLast(value)) return value
    each(value)
  }
  throw new CliError('the answer broke off', {
    code: 'broken_off',
    hint: 'Look at the log of the gateway, and try again.',
  })
}

function failure({ code, detail }: NonNullable<ErrorLine['error']>): CliError {
  return new CliError(detail ?? 'the gateway could not go on', { code, hint: 'Look at its log, and try again.' })
}

export function syncPath(name: string, act: string): string {
  return `/v1/syncs/${encodeURIComponent(name)}/${act}`
}

/** The worst that is known of any destination; `never run` before there is anything. */
export function stateOf({ status, paused, running }: SyncDocument): string {
  if (running) return 'running'
  if (paused) return 'paused'
  const order: readonly SyncState[] = ['failed', 'deletions_held', 'incomplete', 'synced']
  const states = Object.values(status?.destinations ?? {}).map(({ state }) => state)
  return order.find((state) => states.includes(state))?.replace('_', ' ') ?? 'never run'
}

const counted: readonly (readonly [keyof CountsDocument, string])[] = [
  ['created', 'created'],
  ['updated', 'updated'],
  ['adopted', 'adopted'],
  ['repaired', 'repaired'],
  ['marked', 'marked'],
  ['removed', 'removed'],
  ['left_over', 'left over'],
  ['problems', 'with problems'],
]

/** Such as `2 created, 40 as they should be`. */
export function formatCounts(counts: CountsDocument): string {
  const parts = counted.flatMap(([key, word]) => (counts[key] > 0 ? [`${counts[key]} ${word}`] : []))
  return [...parts, `${counts.current} as they should be`].join(', ')
}

export function formatDestination(name: string, document: DestinationDocument, now: Date): string {
  const { state, counts, finished_at: finished, synced_at: synced, problems, error } = document
  const fields = formatFields([
    ['destination', name],
    ['state', state.replace('_', ' ')],
    ['error', error],
    ['last run', formatMoment(new Date(finished), now)],
    ['all as it should be', synced === undefined ? 'never yet' : formatMoment(new Date(synced), now)],
    ['secrets', formatCounts(counts)],
  ])
  return [fields, ...problems.map((problem) => `  ${formatFault(problem)}`)].join('\n')
}

/** One line: what of, what is wrong, and what helps. */
export function formatFault({ kind, message, source, name, code, cloud_request_id: id }: FaultDocument): string {
  const where = name ?? (source && formatReference(source)) ?? ''
  const details = [code, id && `request ${id}`].filter(Boolean).join(', ')
  return oneLine(`${where}: ${kind.replaceAll('_', ' ')}${details === '' ? '' : ` (${details})`}: ${message}`)
}

export function formatReference({ path, key }: ReferenceDocument): string {
  return key === undefined ? path : `${path}#${key}`
}
