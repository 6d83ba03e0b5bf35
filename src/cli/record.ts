/**
 * Records as the admin socket tells of them, as lines and in full.
 *
 * @module
 */
import { type Command, Option } from 'commander'
import type { OperatorOptions } from './options.ts'
import { formatFields, formatTable, formatTime, oneLine } from './output.ts'
import { summariseDetails } from './record-summary.ts'
import { parseTime } from './values.ts'

export interface RecordDocument {
  readonly chain: string
  readonly sequence: number
  readonly time: string
  readonly operation: string
  readonly decision: 'granted' | 'refused'
  readonly request_id?: string
  readonly code?: string
  readonly reason?: string
  readonly spiffe_id?: string
  readonly target?: string
  readonly details?: Readonly<Record<string, unknown>>
  readonly [name: string]: unknown
}

export interface RecordPageDocument {
  readonly items: readonly RecordDocument[]
  readonly next: string | null
  readonly position: string
}

export interface RecordFilterOptions extends OperatorOptions {
  readonly operation?: string
  readonly decision?: string
  readonly code?: string
  readonly spiffeId?: string
  readonly authenticator?: string
  readonly requestId?: string
  readonly rule?: string
  readonly from?: string
  readonly until?: string
}

const parsePast = (text: string) => parseTime(text, new Date()).toISOString()

export function withFilters(command: Command): Command {
  return command
    .option('--request-id <id>', 'only the record of this request, shown in full')
    .option('--operation <name>', 'only this operation, such as jwt_svid (default: all)')
    .addOption(new Option('--decision <decision>', 'only these (default: all)').choices(['granted', 'refused']))
    .option('--code <code>', 'only refusals with this code, such as proof_rejected (default: all)')
    .option('--spiffe-id <id>', 'only those of this SPIFFE ID (default: all)')
    .option('--authenticator <name>', 'only proofs that this authenticator took (default: all)')
    .option('--rule <name>', 'only what this identity rule gave (default: all)')
    .option('--from <time>', 'from this time on: RFC 3339, or 1h for an hour ago (default: the first)', parsePast)
    .option('--until <time>', 'before this time, said in the same way (default: now)', parsePast)
}

/** The filters as the admin API names them. */
export function filterQuery(options: RecordFilterOptions): Readonly<Record<string, string | undefined>> {
  const { operation, decision, code, authenticator, rule, from, until } = options
  return {
    operation,
    decision,
    code,
    authenticator,
    rule,
    from,
    until,
    spiffe_id: options.spiffeId,
    request_id: options.requestId,
  }
}

export function formatRecords(records: readonly RecordDocument[]): string {
  const rows = records.map((record) => [
    formatTime(new Date(record.time)),
    record.decision,
    record.operation,
    record.spiffe_id ?? '-',
    record.request_id ?? '-',
    reasonOf(record),
  ])
  return formatTable(['TIME', 'DECISION', 'OPERATION', 'SPIFFE ID', 'REQUEST ID', 'REASON'], rows, process.stdout)
}

/** Without a table, as it is not known what comes. */
export function formatRecordLine(record: RecordDocument): string {
  const parts = [
    formatTime(new Date(record.time)),
    record.decision,
    record.operation,
    record.spiffe_id,
    reasonOf(record),
  ]
  const id = record.request_id === undefined ? '' : `  (${record.request_id})`
  return oneLine(`${parts.filter((part) => part !== undefined && part !== '').join('  ')}${id}`)
}

/** Every member of it, in the order in which it is kept. */
export function formatRecordInFull(record: RecordDocument): string {
  return formatFields(
    Object.entries(record).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
  )
}

function reasonOf({ operation, code, reason, details, target }: RecordDocument): string {
  const about = summariseDetails(operation, details)
  // Why a secret was read says little without which, and an exchange little without for what.
  const said = operation.startsWith('kv.') ? [about, reason] : [nameTarget(target, reason), reason ?? about]
  return [code, ...said].filter((part) => part !== undefined).join(': ')
}

function nameTarget(target: string | undefined, reason = ''): string | undefined {
  return target === undefined || reason.includes(target) ? undefined : target
}
