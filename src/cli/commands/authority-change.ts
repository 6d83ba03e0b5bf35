/**
 * `apostille authority prepare|activate|taint|revoke`
 *
 * @module
 */
import { Argument, type Command } from 'commander'
import { type Admin, openAdmin } from '../admin-call.ts'
import type { AuthoritiesDocument, AuthorityDocument } from '../authority.ts'
import { CliError } from '../cli-error.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'
import { formatTime } from '../output.ts'

type Action = 'prepare' | 'activate' | 'taint' | 'revoke'

interface ChangeOptions extends OperatorOptions {
  readonly force?: true
}

interface ActionRow {
  readonly description: string
  readonly on: 'ring' | 'id'
  readonly example: string
  readonly done: (authority: AuthorityDocument) => string
  /** Whether it matters who signs now. */
  readonly tellsSigner?: true
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
    tellsSigner: true,
  },
  revoke: {
    description: 'Taint this authority and take it out of the bundle: nobody accepts what it signed.',
    on: 'id',
    example: `authority revoke ${exampleId}`,
    done: ({ ring, id }) => `Revoked ${id} of ${ring}`,
    tellsSigner: true,
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
    const asked = new Date()
    const authority = await change(admin, body)
    if (output.format === 'json') return output.result(authority, '')
    const signer = row.tellsSigner ? await tellSigner(admin, authority.ring) : ''
    output.result(authority, `${tellDone(row, action, authority, asked)}${signer}`)
  })
}

async function change(admin: Admin, body: Readonly<Record<string, unknown>>): Promise<AuthorityDocument> {
  try {
    return await admin.call<AuthorityDocument>({ method: 'POST', path: '/v1/authorities', body })
  } catch (error) {
    if (!(error instanceof CliError) || error.code !== 'conflict' || body['action'] !== 'activate') throw error
    const { code, message, requestId } = error
    const hint = 'Wait, or use --force: verifiers that have not fetched the bundle until then refuse its SVIDs.'
    throw new CliError(message, { code, hint, ...(requestId !== undefined && { requestId }), cause: error })
  }
}

/** A second taint changes nothing. */
function tellDone(row: ActionRow, action: Action, authority: AuthorityDocument, asked: Date): string {
  const { id, ring, tainted_at: taintedAt } = authority
  if (action !== 'taint' || taintedAt === undefined || new Date(taintedAt) >= asked) return row.done(authority)
  return `${id} of ${ring} was tainted already, at ${formatTime(new Date(taintedAt))}`
}

async function tellSigner(admin: Admin, ring: string): Promise<string> {
  const { items } = await admin.call<AuthoritiesDocument>({ method: 'GET', path: '/v1/authorities' })
  const signer = items.find((authority) => authority.ring === ring && authority.state === 'active')
  return signer === undefined ? '; nothing signs for it now' : `; ${signer.id} signs now`
}
