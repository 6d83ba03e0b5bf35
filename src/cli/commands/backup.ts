/**
 * `apostille backup`
 *
 * @module
 */
import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { writeFileWhole } from '../files.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'

export function define(command: Command): void {
  command
    .description(
      'Write a copy of the store, as it is at one moment, while the gateway runs. Mode 0600, by rename. What is secret in it stays sealed: it is of no use without the seal key, which is not in it, and of which you keep a copy elsewhere. A store in PostgreSQL is backed up by its own tools, such as pg_dump.',
    )
    .argument('<file>', 'where to write it; one that is there is replaced')
  withConfig(command)
  examples(command, 'backup apostille.backup', 'backup /backup/apostille-$(date +%F).backup --output json')
  act<OperatorOptions>(command, async (output, options, [file = '']) => {
    const admin = await openAdmin(options)
    await writeFileWhole(file, await admin.stream({ method: 'POST', path: '/v1/backup' }), 0o600)
    const { size } = await stat(file)
    output.result({ file, bytes: size }, `Wrote ${file} (${size} bytes)`)
    output.note('The seal key is not in it: keep a copy of that elsewhere. Try a restore now and then.')
  })
}
