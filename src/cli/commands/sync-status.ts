/**
 * `apostille sync status`
 *
 * @module
 */
import type { Command } from 'commander'
import { type Admin, openAdmin } from '../admin-call.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'
import { formatFields } from '../output.ts'
import { formatDestination, type SyncDocument, type SyncsDocument, stateOf } from '../sync.ts'

export function define(command: Command): void {
  command
    .description('Show what the last runs of syncs came to, with what is in the way of single secrets.')
    .argument('[sync]', 'as the configuration names it (default: all)')
  withConfig(command)
  examples(command, 'sync status', 'sync status payments')
  act<OperatorOptions>(command, async (output, options, [name]) => {
    const admin = await openAdmin(options)
    const syncs = name === undefined ? await listAll(admin) : [await show(admin, name)]
    const value = name === undefined ? { items: syncs } : syncs[0]
    const now = new Date()
    output.result(value, () =>
      syncs.length === 0 ? 'The configuration has no syncs.' : syncs.map((sync) => format(sync, now)).join('\n\n'),
    )
  })
}

function show(admin: Admin, name: string): Promise<SyncDocument> {
  return admin.call<SyncDocument>({ method: 'GET', path: `/v1/syncs/${encodeURIComponent(name)}` })
}

async function listAll(admin: Admin): Promise<readonly SyncDocument[]> {
  const found: SyncDocument[] = []
  let after: string | undefined
  do {
    const query = { limit: '1000', after }
    const page: SyncsDocument = await admin.call({ method: 'GET', path: '/v1/syncs', query })
    found.push(...page.items)
    after = page.next ?? undefined
  } while (after !== undefined)
  return found
}

function format(sync: SyncDocument, now: Date): string {
  const { name, source, paths, spiffe_id: spiffeId, status } = sync
  const head = formatFields([
    ['sync', name],
    ['state', stateOf(sync)],
    ['from', `${source}: ${paths.join(', ')}`],
    ['as', spiffeId],
  ])
  const destinations = Object.entries(status?.destinations ?? {})
  return [head, ...destinations.map(([destination, document]) => formatDestination(destination, document, now))].join(
    '\n\n',
  )
}
