/**
 * `apostille seal rotate`
 *
 * @module
 */
import type { Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'
import { formatFields } from '../output.ts'

interface RotationDocument {
  readonly key: string
  readonly resealed: number
  readonly former_key_file?: string
}

export function define(command: Command): void {
  command.description(
    'Put another seal key in the place of the present one, and seal everything in the store under it: authorities, the keys of the records, versions of secrets. The gateway runs on meanwhile. A stop at any point loses nothing: both keys are read until it is finished, and asked for again it goes on. The key before it is kept beside the new one, for backups that were made under it. A key of the environment is changed in the configuration first: see `seal.also`.',
  )
  examples(withConfig(command), 'seal rotate', 'seal rotate --config /etc/apostille/apostille.yaml --output json')
  act<OperatorOptions>(command, async (output, options) => {
    const admin = await openAdmin(options)
    const rotated = await admin.call<RotationDocument>({ method: 'POST', path: '/v1/seal/rotate' })
    output.result(rotated, () =>
      formatFields([
        ['seal key', rotated.key],
        ['sealed anew', String(rotated.resealed)],
        ['former key', rotated.former_key_file],
      ]),
    )
    if (rotated.former_key_file === undefined)
      output.note('Take `seal.also` out of the configuration and restart, once no replica needs it.')
    else
      output.note('Keep a copy of the new key elsewhere. Remove the former one when no backup is left that it opens.')
  })
}
