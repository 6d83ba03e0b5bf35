/**
 * `apostille join-token list`
 *
 * @module
 */
import type { Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { formatJoinTokens, type JoinTokenDocument } from '../join-token.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'
import { parseCount } from '../values.ts'

interface ListOptions extends OperatorOptions {
  readonly limit: number
  readonly after?: string
}

interface JoinTokensDocument {
  readonly items: readonly JoinTokenDocument[]
  readonly next: string | null
}

export function define(command: Command): void {
  command.description('List join tokens, by id. The tokens themselves are shown only where they are made.')
  withConfig(command)
    .option('--limit <n>', 'at most this many, up to 1000', parseCount, 100)
    .option('--after <next>', 'go on after this one: `next` of the list before (default: from the first)')
  examples(command, 'join-token list', 'join-token list --output json')
  act<ListOptions>(command, async (output, { limit, after, ...options }) => {
    const admin = await openAdmin(options)
    const query = { limit: String(limit), after }
    const list = await admin.call<JoinTokensDocument>({ method: 'GET', path: '/v1/join-tokens', query })
    output.result(list, () => formatJoinTokens(list.items, new Date()))
    if (list.next !== null) output.note(`There are more: --after ${list.next}`)
  })
}
