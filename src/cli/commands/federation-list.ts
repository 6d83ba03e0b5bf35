/**
 * `apostille federation list`
 *
 * @module
 */
import type { Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'
import { formatPeers, type PeerDocument } from '../peer.ts'
import { parseCount } from '../values.ts'

interface ListOptions extends OperatorOptions {
  readonly limit: number
  readonly after?: string
}

interface PeersDocument {
  readonly items: readonly PeerDocument[]
  readonly next: string | null
}

export function define(command: Command): void {
  command.description('List the trust domains that we federate with, and how fresh their bundles are.')
  withConfig(command)
    .option('--limit <n>', 'at most this many, up to 1000', parseCount, 100)
    .option('--after <next>', 'go on after this one: `next` of the list before (default: from the first)')
  examples(command, 'federation list', 'federation list --output json')
  act<ListOptions>(command, async (output, { limit, after, ...options }) => {
    const admin = await openAdmin(options)
    const query = { limit: String(limit), after }
    const list = await admin.call<PeersDocument>({ method: 'GET', path: '/v1/federation', query })
    output.result(list, () => formatPeers(list.items, new Date()))
    if (list.next !== null) output.note(`There are more: --after ${list.next}`)
  })
}
