/**
 * `apostille federation show|refresh|export`
 *
 * @module
 */
import type { Command } from 'commander'
import { type Admin, openAdmin } from '../admin-call.ts'
import { CliError } from '../cli-error.ts'
import { writeFileWhole } from '../files.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'
import { createOutput } from '../output.ts'
import { formatPeer, type PeerDocument } from '../peer.ts'

interface PeerOptions extends OperatorOptions {
  readonly acceptOlder?: true
  readonly out?: string
}

const descriptions = {
  show: 'Show one trust domain that we federate with.',
  refresh:
    'Ask the bundle endpoint now. A bundle with an older sequence number than the one held is refused, as it may be a replay.',
  export: 'Write the bundle that is held of a trust domain, as SPIFFE JSON.',
}

export function define(command: Command): void {
  const action = command.name() as keyof typeof descriptions
  command.description(descriptions[action]).argument('<trust-domain>', 'as the configuration names it')
  withConfig(command)
  if (action === 'refresh')
    command.option('--accept-older', 'take an older bundle too, as after the peer was restored (default: refuse it)')
  if (action === 'export')
    command.option('--out <file>', 'write it to this file, mode 0644, by rename (default: standard output)')
  examples(command, `federation ${action} spire.example`)
  act<PeerOptions>(command, async (output, options, [trustDomain = '']) => {
    const admin = await openAdmin(options)
    const path = `/v1/federation/${encodeURIComponent(trustDomain)}`
    if (action === 'export') {
      const bundle = await readBundle(admin, path, trustDomain)
      // As it is in either format: a sequence number above 2^53 would not survive being read.
      if (options.out === undefined) return createOutput('text').result(undefined, bundle)
      await writeFileWhole(options.out, bundle, 0o644)
      return output.result({ file: options.out }, `Wrote ${options.out}`)
    }
    const peer = await (action === 'show'
      ? admin.call<PeerDocument>({ method: 'GET', path })
      : admin.call<PeerDocument>({
          method: 'POST',
          path: `${path}/refresh`,
          body: { accept_older: options.acceptOlder === true },
        }))
    output.result(peer, () => formatPeer(peer, new Date()))
  })
}

async function readBundle(admin: Admin, path: string, trustDomain: string): Promise<string> {
  const { bundle } = await admin.call<PeerDocument>({ method: 'GET', path })
  if (bundle !== undefined) return bundle
  throw new CliError(`no bundle of ${trustDomain} is held yet`, {
    code: 'not_found',
    hint: 'See why with `federation show`',
  })
}
