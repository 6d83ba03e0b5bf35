/**
 * `apostille federation list`
 *
 * @module
 */
import type { Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'
import { formatPeers, type PeerDocument } from '../peer.ts'

interface PeersDocument {
  readonly items: readonly PeerDocument[]
  readonly next: string | null
}

export function define(command: Command): void {
  command.description('List the trust domains that we federate with, and how fresh their bundles are.')
  examples(withConfig(command), 'federation list', 'federation list --output json')
  act<OperatorOptions>(command, async (output, options) => {
    const admin = await openAdmin(options)
    const list = await admin.call<PeersDocument>({ method: 'GET', path: '/v1/federation' })
    output.result(list, () => formatPeers(list.items, new Date()))
  })
}
