/**
 * `apostille records prune`
 *
 * @module
 */
import { type Command, Option } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { act, examples, type OperatorOptions, withConfig, withRequired } from '../options.ts'
import { parseTime } from '../values.ts'

interface PruneOptions extends OperatorOptions {
  readonly before: Date
}

export function define(command: Command): void {
  command.description(
    'Remove records that were kept before a time. A signed checkpoint stays in their place, and that they were removed is itself on record. Export them first if they may be asked for.',
  )
  withRequired(
    withConfig(command),
    new Option('--before <time>', 'required: RFC 3339, or a duration: 90d for all that are older').argParser((text) =>
      parseTime(text, new Date()),
    ),
  )
  examples(command, 'records prune --before 90d', 'records prune --before 2026-08-01T00:00:00Z')
  act<PruneOptions>(command, async (output, { before, ...options }) => {
    const admin = await openAdmin(options)
    const pruned = await admin.call<{ readonly removed: number }>({
      method: 'POST',
      path: '/v1/records/prune',
      body: { before: before.toISOString() },
    })
    output.result(pruned, `Removed ${pruned.removed} records`)
  })
}
