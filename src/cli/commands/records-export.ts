/**
 * `apostille records export`
 *
 * @module
 */
import { once } from 'node:events'
import type { Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { writeFileWhole } from '../files.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'

interface ExportOptions extends OperatorOptions {
  readonly out?: string
}

export function define(command: Command): void {
  command.description(
    'Write all records as JSON lines, oldest first, and after them the signed heads, whatever --output says. Keep an export elsewhere: `records verify --head` then finds records that were cut off.',
  )
  withConfig(command).option('--out <file>', 'write to this file, mode 0600, by rename (default: standard output)')
  examples(command, 'records export --out records.jsonl', 'records export | tail -n 1')
  act<ExportOptions>(command, async (output, options) => {
    const admin = await openAdmin(options)
    const chunks = await admin.stream({ method: 'GET', path: '/v1/records/export' })
    if (options.out === undefined) return await writeOut(chunks)
    await writeFileWhole(options.out, chunks, 0o600)
    output.result({ file: options.out }, `Wrote ${options.out}`)
  })
}

async function writeOut(chunks: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of chunks) if (!process.stdout.write(chunk)) await once(process.stdout, 'drain')
}
