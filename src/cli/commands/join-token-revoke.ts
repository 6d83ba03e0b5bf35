/**
 * `apostille join-token revoke`
 *
 * @module
 */
import type { Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import type { JoinTokenDocument } from '../join-token.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'

export function define(command: Command): void {
  command
    .description('Revoke a join token. What it started is not renewed any more.')
    .argument('<id>', 'as `join-token list` shows it; not the token itself')
  examples(withConfig(command), 'join-token revoke 5f1a9c04d2e37b68')
  act<OperatorOptions>(command, async (output, options, [id = '']) => {
    const admin = await openAdmin(options)
    const revoked = await admin.call<JoinTokenDocument>({
      method: 'DELETE',
      path: `/v1/join-tokens/${encodeURIComponent(id)}`,
    })
    output.result(revoked, `Revoked ${revoked.id} (${revoked.name})`)
  })
}
