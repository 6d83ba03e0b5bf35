/**
 * `apostille join-token create`
 *
 * @module
 */
import type { Command } from 'commander'
import { openAdmin } from '../admin-call.ts'
import { writeFileWhole } from '../files.ts'
import type { JoinTokenDocument } from '../join-token.ts'
import { act, examples, type OperatorOptions, withConfig } from '../options.ts'
import { formatFields, formatMoment, type Output } from '../output.ts'
import { collectPairs, parseCount, parseDuration } from '../values.ts'

interface CreateOptions extends OperatorOptions {
  readonly uses: number
  /** Seconds. */
  readonly ttl?: number
  readonly name?: string
  readonly attribute?: Readonly<Record<string, string>>
  readonly out?: string
}

type CreatedDocument = JoinTokenDocument & { readonly token: string }

export function define(command: Command): void {
  command
    .description('Make a join token. It is shown this once: only its digest is kept.')
    .argument('<authenticator>', 'an authenticator of type join_token')
  withConfig(command)
    .option('--uses <n>', 'how many requests it grants', parseCount, 1)
    .option('--ttl <duration>', 'how long it is good for, at most 30d (default: 10m)', parseDuration)
    .option('--name <name>', "what rules see as proof.name (default: the token's id)")
    .option(
      '--attribute <name=value>',
      'what rules see as proof.attributes; may be given again (default: none)',
      collectPairs,
    )
    .option('--out <file>', 'write the token to this file, mode 0600, by rename (default: standard output)')
  examples(
    command,
    'join-token create first --name web-1',
    'join-token create first --uses 10 --ttl 1h --attribute role=web --out token',
  )
  act<CreateOptions>(command, async (output, options, [authenticator]) => {
    const admin = await openAdmin(options)
    const created = await admin.call<CreatedDocument>({
      method: 'POST',
      path: '/v1/join-tokens',
      body: {
        authenticator,
        name: options.name,
        attributes: options.attribute,
        uses: options.uses,
        ttl_seconds: options.ttl,
      },
    })
    await (options.out === undefined ? show(output, created) : save(output, created, options.out))
  })
}

function show(output: Output, { token, ...created }: CreatedDocument): void {
  output.result({ ...created, token }, token)
  if (process.stdout.isTTY) output.note(`\n${describe(created)}`)
}

async function save(output: Output, { token, ...created }: CreatedDocument, file: string): Promise<void> {
  await writeFileWhole(file, `${token}\n`, 0o600)
  output.result({ ...created, file }, () => `${describe(created)}\ntoken    ${file}`)
}

function describe({ id, name, uses, expires_at }: JoinTokenDocument): string {
  return formatFields([
    ['id', id],
    ['name', name],
    ['uses', String(uses)],
    ['expires', formatMoment(new Date(expires_at), new Date())],
  ])
}
