/**
 * `apostille records key`
 *
 * @module
 */
import type { Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'

export function define(command: Command): void {
  command.description('Show the public half of the key that signs the heads of the records, as PEM.')
  examples(withConfig(command), 'records key')
  act<OperatorOptions>(command, async (output, options) => {
    const admin = await openAdmin(options)
    const key = await admin.call<{ readonly public_key: string }>({ method: 'GET', path: '/v1/records/key' })
    output.result(key, key.public_key)
  })
}
