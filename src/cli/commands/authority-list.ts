/**
 * `apostille authority list`
 *
 * @module
 */
import type { Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { type AuthoritiesDocument, formatAuthorities } from '../authority.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'

export function define(command: Command): void {
  command.description('List the signing authorities of each ring: prepared, active and retiring.')
  examples(withConfig(command), 'authority list', 'authority list --output json')
  act<OperatorOptions>(command, async (output, options) => {
    const admin = await openAdmin(options)
    const list = await admin.call<AuthoritiesDocument>({ method: 'GET', path: '/v1/authorities' })
    output.result(list, () => formatAuthorities(list.items, new Date()))
  })
}
