/**
 * `apostille kv delete|undelete|destroy|purge`
 *
 * @module
 */
import { Argument, type Command, Option } from 'commander'
import { act, examples, withRequired } from '../options.ts'
import {
  collectVersions,
  openSecrets,
  parsePath,
  type SecretOptions,
  type SecretRequest,
  withSecrets,
} from '../secret-call.ts'

type Action = 'delete' | 'undelete' | 'destroy' | 'purge'

interface VersionsOptions extends SecretOptions {
  readonly versions?: readonly number[]
}

interface ActionRow {
  readonly description: string
  readonly versions: 'required' | 'optional' | 'none'
  readonly example: string
  readonly done: (path: string, versions: string) => string
}

const actions: Readonly<Record<Action, ActionRow>> = {
  delete: {
    description:
      'Delete versions of a secret, so that they are not read any more. They are kept, and can be undeleted.',
    versions: 'optional',
    example: 'kv delete payments/db --versions 1,2',
    done: (path, versions) => `Deleted ${versions} of ${path}`,
  },
  undelete: {
    description: 'Bring deleted versions of a secret back.',
    versions: 'required',
    example: 'kv undelete payments/db --versions 3',
    done: (path, versions) => `Brought ${versions} of ${path} back`,
  },
  destroy: {
    description: 'Destroy versions of a secret. Their data is gone for ever; that they were there is still told.',
    versions: 'required',
    example: 'kv destroy payments/db --versions 1,2',
    done: (path, versions) => `Destroyed ${versions} of ${path}`,
  },
  purge: {
    description: 'Remove a secret with all of its versions and settings, for ever.',
    versions: 'none',
    example: 'kv purge payments/db',
    done: (path) => `Removed ${path}`,
  },
}

export function define(command: Command): void {
  const action = command.name() as Action
  const row = actions[action]
  command.description(row.description).addArgument(new Argument('<path>', 'such as payments/db').argParser(parsePath))
  const option = new Option(
    '--versions <n,…>',
    row.versions === 'required'
      ? 'required: which ones, such as 1,2; may be given again'
      : 'which ones, such as 1,2; may be given again (default: the current one)',
  ).argParser(collectVersions)
  withSecrets(command)
  if (row.versions === 'required') withRequired(command, option)
  if (row.versions === 'optional') command.addOption(option)
  examples(command, row.example)
  act<VersionsOptions>(command, async (output, options, [path = '']) => {
    const call = await openSecrets(command, options)
    const { versions } = options
    await call(requestOf(action, path, versions))
    const named = versions === undefined ? 'the current version' : `version ${versions.join(', ')}`
    output.result({ path, ...(versions && { versions }), done: action }, row.done(path, named))
  })
}

function requestOf(action: Action, path: string, versions: readonly number[] | undefined): SecretRequest {
  if (action === 'purge') return { method: 'DELETE', folder: 'metadata', path }
  if (versions === undefined) return { method: 'DELETE', folder: 'data', path }
  return { method: 'POST', folder: action, path, body: { versions } }
}
