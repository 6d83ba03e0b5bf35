/**
 * `apostille authority prepare|activate|taint|revoke`
 *
 * @module
 */
import { Argument, type Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import type { AuthorityDocument } from '../authority.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'

type Action = 'prepare' | 'activate' | 'taint' | 'revoke'

interface ChangeOptions extends OperatorOptions {
  readonly force?: true
}

interface ActionRow {
  readonly description: string
  readonly on: 'ring' | 'id'
  readonly example: string
  readonly done: (authority: AuthorityDocument) => string
}

const exampleId = '3c0b5e8d7a1f49260bd1'

const actions: Readonly<Record<Action, ActionRow>> = {
  prepare: {
    description: 'Put a fresh successor in place of the one that stands ready. It does not sign yet.',
    on: 'ring',
    example: 'authority prepare x509',
    done: ({ ring, id }) => `${id} stands ready in ${ring}: activate it once verifiers had the time to see it`,
  },
  activate: {
    description:
      'Let the successor sign from now on; the one before it retires. Refused until verifiers had the time to see the successor.',
    on: 'ring',
    example: 'authority activate jwt/ES256',
    done: ({ ring, id }) => `${id} signs for ${ring} from now on`,
  },
  taint: {
    description:
      'From now on nothing that this authority signed is a proof, and its workloads prove themselves anew. If it was active, its successor signs.',
    on: 'id',
    example: `authority taint ${exampleId}`,
    done: ({ ring, id }) => `Tainted ${id} of ${ring}`,
  },
  revoke: {
    description: 'Taint this authority and take it out of the bundle: nobody accepts what it signed.',
    on: 'id',
    example: `authority revoke ${exampleId}`,
    done: ({ ring, id }) => `Revoked ${id} of ${ring}`,
  },
}

export function define(command: Command): void {
  const action = command.name() as Action
  const row = actions[action]
  command
    .description(row.description)
    .addArgument(
      row.on === 'ring'
        ? new Argument('<ring>', 'which kind of SVIDs it signs').choices([
            'x509',
            'jwt/ES256',
            'jwt/ES384',
            'jwt/RS256',
          ])
        : new Argument('<id>', 'as `authority list` shows it'),
    )
  withConfig(command)
  if (action === 'activate')
    command.option(
      '--force',
      'do not wait: verifiers that have not fetched the bundle refuse its SVIDs (default: wait)',
    )
  examples(command, row.example)
  act<ChangeOptions>(command, async (output, options, [named]) => {
    const admin = await openAdmin(options)
    const body = { action, [row.on]: named, ...(options.force && { force: true }) }
    const authority = await admin.call<AuthorityDocument>({ method: 'POST', path: '/v1/authorities', body })
    output.result(authority, row.done(authority))
  })
}
