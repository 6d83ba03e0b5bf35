/**
 * `apostille sync list`
 *
 * @module
 */
import type { Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'
import { formatTable } from '../output.ts'
import { type SyncDocument, type SyncsDocument, stateOf } from '../sync.ts'
import { parseCount } from '../values.ts'

interface ListOptions extends OperatorOptions {
  readonly limit: number
  readonly after?: string
}

export function define(command: Command): void {
  command.description('List the syncs of the configuration in use, and how they stand.')
  withConfig(command)
    .option('--limit <n>', 'at most so many', parseCount, 100)
    .option('--after <name>', 'only those after this one (default: from the start)')
  examples(command, 'sync list')
  act<ListOptions>(command, async (output, { limit, after, ...options }) => {
    const admin = await openAdmin(options)
    const query = { limit: String(limit), after }
    const found = await admin.call<SyncsDocument>({ method: 'GET', path: '/v1/syncs', query })
    output.result(found, () => format(found))
    if (found.next !== null) output.note(`There are more: --after ${found.next}`)
  })
}

function format({ items }: SyncsDocument): string {
  if (items.length === 0) return 'The configuration has no syncs.'
  return formatTable(['NAME', 'STATE', 'SOURCE', 'DESTINATIONS', 'PATHS'], items.map(rowOf), process.stdout)
}

function rowOf(sync: SyncDocument): readonly string[] {
  const { name, source, destinations, paths } = sync
  return [name, stateOf(sync), source, destinations.join(', '), paths.join(', ')]
}
