/**
 * `apostille sync plan`
 *
 * @module
 */
import type { Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { CliError } from '../cli-error.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'
import { oneLine } from '../output.ts'
import {
  askLines,
  type CountsDocument,
  type FaultDocument,
  formatFault,
  formatReference,
  type ReferenceDocument,
  type SyncOptions,
  type SyncState,
  syncPath,
} from '../sync.ts'

type ItemDocument = { readonly destination: string } & (
  | {
      readonly action: 'create' | 'update' | 'adopt' | 'repair' | 'mark'
      readonly name: string
      readonly source: ReferenceDocument
      readonly version?: string
    }
  | { readonly action: 'delete'; readonly name: string; readonly origin?: string }
  | ({ readonly action: 'problem' } & FaultDocument)
)

interface PlanDocument {
  readonly planned: Readonly<
    Record<string, { readonly state: SyncState; readonly counts?: CountsDocument; readonly error?: string }>
  >
}

export function define(command: Command): void {
  command
    .description(
      'Show what a run of a sync would do at its destinations, and what would be in its way. Nothing is written, and no value is shown.',
    )
    .argument('<sync>', 'as the configuration names it')
  withConfig(command).option('--destination <name>', 'only this one (default: all)')
  examples(command, 'sync plan payments', 'sync plan payments --destination aws-prod --output json')
  act<OperatorOptions & SyncOptions>(command, async (output, { destination, ...options }, [name = '']) => {
    const admin = await openAdmin(options)
    const items: ItemDocument[] = []
    const request = { path: syncPath(name, 'plan'), body: { ...(destination !== undefined && { destination }) } }
    const { planned } = await askLines<ItemDocument, PlanDocument>(admin, request, isPlan, (item) => {
      if (output.format === 'json') items.push(item)
      else output.result(item, formatItem(item))
    })
    output.result({ items, planned }, () => Object.entries(planned).map(formatPlanned).join('\n'))
    const failed = Object.entries(planned).flatMap(([at, { error }]) =>
      error === undefined ? [] : [`${at}: ${error}`],
    )
    if (failed.length > 0) throw new CliError(failed.join('\n'), { code: 'sync_failed' })
  })
}

function isPlan(line: ItemDocument | PlanDocument): line is PlanDocument {
  return 'planned' in line
}

const actionWidth = 'problem'.length

function formatItem(item: ItemDocument): string {
  return `${item.action.padEnd(actionWidth)}  ${item.destination}  ${oneLine(describe(item))}`
}

function describe(item: ItemDocument): string {
  if (item.action === 'problem') return formatFault(item)
  if (item.action === 'delete') return item.origin === undefined ? item.name : `${item.name}  (from ${item.origin})`
  const version = item.version === undefined ? '' : `, version ${item.version}`
  return `${item.name}  (from ${formatReference(item.source)}${version})`
}

const would: readonly (readonly [keyof CountsDocument, string])[] = [
  ['created', 'to create'],
  ['updated', 'to update'],
  ['adopted', 'to adopt'],
  ['repaired', 'to repair'],
  ['marked', 'to mark'],
  ['removed', 'to delete'],
  ['problems', 'with problems'],
]

function formatPlanned([destination, { state, counts }]: [string, PlanDocument['planned'][string]]): string {
  if (counts === undefined) return `${destination}: failed`
  const parts = would.flatMap(([key, words]) => (counts[key] > 0 ? [`${counts[key]} ${words}`] : []))
  const held = state === 'deletions_held' ? '; so many deletions wait for `sync apply --yes`' : ''
  return `${destination}: ${[...parts, `${counts.current} as they should be`].join(', ')}${held}`
}
