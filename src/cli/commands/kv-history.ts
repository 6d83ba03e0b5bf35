/**
 * `apostille kv history`
 *
 * @module
 */
import { Argument, type Command } from 'commander'
import { act, examples } from '../options.ts'
import { formatFields, formatMoment, formatTable } from '../output.ts'
import { openSecrets, parsePath, type SecretOptions, type VersionDocument, withSecrets } from '../secret-call.ts'

interface HistoryDocument {
  readonly current_version: number
  readonly max_versions: number
  readonly cas_required: boolean
  readonly custom_metadata: Readonly<Record<string, string>> | null
  readonly versions: Readonly<Record<string, VersionDocument>>
}

export function define(command: Command): void {
  command
    .description('Show the versions of a secret and what is set of it. No value is shown.')
    .addArgument(new Argument('<path>', 'such as payments/db').argParser(parsePath))
  examples(withSecrets(command), 'kv history payments/db', 'kv history payments/db --output json')
  act<SecretOptions>(command, async (output, options, [path = '']) => {
    const call = await openSecrets(command, options)
    const { data } = await call<{ readonly data: HistoryDocument }>({ method: 'GET', folder: 'metadata', path })
    output.result({ path, ...data }, () => formatHistory(data, new Date()))
  })
}

function formatHistory(history: HistoryDocument, now: Date): string {
  const { versions, max_versions, cas_required, custom_metadata } = history
  const rows = Object.entries(versions).map(([number, version]) => [
    number,
    formatMoment(new Date(version.created_time), now),
    stateOf(Number(number), version, history, now),
  ])
  const settings = formatFields([
    ['max versions', String(max_versions)],
    ['check-and-set', cas_required ? 'required' : 'not required'],
    ...Object.entries(custom_metadata ?? {}),
  ])
  return `${formatTable(['VERSION', 'CREATED', 'STATE'], rows)}\n\n${settings}`
}

function stateOf(
  number: number,
  { destroyed, deletion_time: deletedAt }: VersionDocument,
  { current_version: current }: HistoryDocument,
  now: Date,
): string {
  if (destroyed) return 'destroyed'
  if (deletedAt !== '') return `deleted ${formatMoment(new Date(deletedAt), now)}`
  return number === current ? 'current' : 'kept'
}
