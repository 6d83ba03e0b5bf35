/**
 * The program: its commands by name, each loaded when it is the one that was asked for.
 *
 * @module
 */
import { Command, CommanderError, type Option } from 'commander'
import { packageVersion } from '../runtime/package-version.node.ts'
import { CliError, usageError } from './cli-error.ts'
import { currentInvocation } from './invocation.ts'
import type { CommandModule } from './options.ts'
import { type OutputFormat, writeError } from './output.ts'

interface CommandRow {
  readonly summary: string
  readonly load: () => Promise<CommandModule>
}

const groups: Readonly<Record<string, string>> = {
  svid: 'Get SVIDs for a proof of identity',
  proof: 'Make a proof of identity of what a cloud says of this workload',
  'join-token': 'Tokens with which a workload starts',
  authority: 'The keys that sign',
  trust: 'What to set up at a cloud so that a target works',
  federation: 'Trust domains that we federate with',
  kv: 'Our own versioned secrets',
  sync: 'Secrets that are kept equal in the stores of clouds',
  records: 'What was asked, decided and issued',
  seal: 'The key that wraps what is secret in the store',
}

const changeAuthority = () => import('./commands/authority-change.ts')
const trust = () => import('./commands/trust.ts')
const federationPeer = () => import('./commands/federation-peer.ts')
const kvVersions = () => import('./commands/kv-versions.ts')

/** Every command, in the order of the help. */
export const commands: Readonly<Record<string, CommandRow>> = {
  init: { summary: 'Write a first configuration', load: () => import('./commands/init.ts') },
  dev: { summary: 'Run a gateway for development, without configuration', load: () => import('./commands/dev.ts') },
  serve: { summary: 'Run the gateway', load: () => import('./commands/serve.ts') },
  check: { summary: 'Check a configuration document', load: () => import('./commands/check.ts') },
  'svid jwt': { summary: 'Get a JWT-SVID', load: () => import('./commands/svid-jwt.ts') },
  'svid x509': { summary: 'Get or renew an X.509-SVID', load: () => import('./commands/svid-x509.ts') },
  identities: { summary: 'Show which SPIFFE IDs a proof has', load: () => import('./commands/identities.ts') },
  'proof aws': { summary: 'Prove an AWS role or user', load: () => import('./commands/proof-aws.ts') },
  'proof azure': { summary: 'Prove an Azure managed identity', load: () => import('./commands/proof-azure.ts') },
  'proof gcp': { summary: 'Prove a Google service account', load: () => import('./commands/proof-gcp.ts') },
  credentials: { summary: 'Get the credential of a cloud', load: () => import('./commands/credentials.ts') },
  exec: {
    summary: 'Run a command with credentials of clouds that stay fresh',
    load: () => import('./commands/exec.ts'),
  },
  bundle: { summary: 'Show the trust bundle of the gateway', load: () => import('./commands/bundle.ts') },
  'join-token create': { summary: 'Make a join token', load: () => import('./commands/join-token-create.ts') },
  'join-token list': { summary: 'List join tokens', load: () => import('./commands/join-token-list.ts') },
  'join-token revoke': { summary: 'Revoke a join token', load: () => import('./commands/join-token-revoke.ts') },
  'authority list': { summary: 'List signing authorities', load: () => import('./commands/authority-list.ts') },
  'authority prepare': {
    summary: 'Put a fresh successor in place of the one that stands ready',
    load: changeAuthority,
  },
  'authority activate': { summary: 'Let the successor sign from now on', load: changeAuthority },
  'authority taint': { summary: 'Take nothing as a proof that an authority signed', load: changeAuthority },
  'authority revoke': { summary: 'Taint an authority and take it out of the bundle', load: changeAuthority },
  'authority sign-intermediate': {
    summary: 'Sign an intermediate for another issuer of our trust domain',
    load: () => import('./commands/authority-sign-intermediate.ts'),
  },
  'trust aws': { summary: 'Print the trust policy of a role, with its OIDC provider', load: trust },
  'trust azure': { summary: 'Print the federated credentials of an application or identity', load: trust },
  'trust gcp': { summary: 'Print the pool and provider of workload identities', load: trust },
  'federation list': { summary: 'List federated trust domains', load: () => import('./commands/federation-list.ts') },
  'federation show': { summary: 'Show one federated trust domain', load: federationPeer },
  'federation refresh': { summary: 'Ask a bundle endpoint now', load: federationPeer },
  'federation import': {
    summary: 'Make the first bundle of a trust domain',
    load: () => import('./commands/federation-import.ts'),
  },
  'federation export': { summary: 'Write the bundle of a federated trust domain', load: federationPeer },
  'kv put': { summary: 'Write a version of a secret', load: () => import('./commands/kv-put.ts') },
  'kv get': { summary: 'Read a secret', load: () => import('./commands/kv-get.ts') },
  'kv list': { summary: 'List secrets and folders', load: () => import('./commands/kv-list.ts') },
  'kv history': { summary: 'Show the versions of a secret', load: () => import('./commands/kv-history.ts') },
  'kv delete': { summary: 'Delete versions of a secret, so that they can be undeleted', load: kvVersions },
  'kv undelete': { summary: 'Bring deleted versions back', load: kvVersions },
  'kv destroy': { summary: 'Destroy versions of a secret for ever', load: kvVersions },
  'kv configure': { summary: 'Set what is kept of a secret', load: () => import('./commands/kv-configure.ts') },
  'kv purge': { summary: 'Remove all of a secret for ever', load: kvVersions },
  'sync list': { summary: 'List syncs', load: () => import('./commands/sync-list.ts') },
  'sync plan': { summary: 'Show what a run of a sync would do', load: () => import('./commands/sync-plan.ts') },
  'sync apply': { summary: 'Run a sync now', load: () => import('./commands/sync-apply.ts') },
  'sync status': {
    summary: 'Show what the last runs of syncs came to',
    load: () => import('./commands/sync-status.ts'),
  },
  'records list': { summary: 'List records', load: () => import('./commands/records-list.ts') },
  'records follow': { summary: 'Show records as they are kept', load: () => import('./commands/records-follow.ts') },
  'records verify': {
    summary: 'Look for records that were changed or removed',
    load: () => import('./commands/records-verify.ts'),
  },
  'records export': { summary: 'Write all records as JSON lines', load: () => import('./commands/records-export.ts') },
  'records prune': { summary: 'Remove old records', load: () => import('./commands/records-prune.ts') },
  'records key': {
    summary: 'Show the public key that signs the records',
    load: () => import('./commands/records-key.ts'),
  },
  'seal rotate': {
    summary: 'Put another seal key in the place of the present one',
    load: () => import('./commands/seal-rotate.ts'),
  },
  backup: { summary: 'Write a copy of the store of a running gateway', load: () => import('./commands/backup.ts') },
  restore: { summary: 'Make a store out of a backup', load: () => import('./commands/restore.ts') },
  explain: {
    summary: 'Say which rule or policy grants or refuses something',
    load: () => import('./commands/explain.ts'),
  },
  doctor: {
    summary: 'Find the link that fails on the way to a credential',
    load: () => import('./commands/doctor.ts'),
  },
  reload: { summary: 'Put a changed configuration into use', load: () => import('./commands/reload.ts') },
  completion: {
    summary: 'Print a script that completes commands in a shell',
    load: () => import('./commands/completion.ts'),
  },
}

/** Sets the exit code of the process: 0 done, 1 refused or failed, 2 used wrongly. */
export async function runProgram(words: readonly string[]): Promise<void> {
  endQuietlyOnBrokenPipe()
  const args = asFlag(words)
  const format = askedFormat(args)
  try {
    const program = await createProgram(args, format)
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    process.exitCode = report(error, format, args)
  }
}

/** `help svid x509` is `svid x509 --help`: the library's own stops at `svid`. */
function asFlag(words: readonly string[]): readonly string[] {
  const [first, ...rest] = words
  return first === 'help' ? [...rest, '--help'] : words
}

/** With `apostille … | head` the reader leaves early, and that is no failure. */
function endQuietlyOnBrokenPipe(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0)
      throw error
    })
}

/** Before anything is parsed: errors of usage are told in the format that was asked for, too. */
function askedFormat(words: readonly string[]): OutputFormat {
  // What follows `--` is for the command that `exec` runs.
  const end = words.indexOf('--')
  const args = end < 0 ? words : words.slice(0, end)
  const at = args.indexOf('--output')
  return args.includes('--output=json') || (at >= 0 && args[at + 1] === 'json') ? 'json' : 'text'
}

/** Only the command that `args` name has its flags. */
export async function createProgram(args: readonly string[], format: OutputFormat): Promise<Command> {
  const program = new Command('apostille')
  program
    .description('Workload identity issuer and federation gateway.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    // Behind a command `--version` is that command's: a secret has versions, too.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: () => undefined, ...(format === 'json' && { writeErr: () => undefined }) })
    .addHelpText('after', `\nStart with:\n  ${currentInvocation()} dev`)
  const parents = new Map(
    Object.entries(groups).map(([name, summary]) => [name, new Command(name).description(summary)]),
  )
  const asked = pathOf(args)
  for (const [path, row] of Object.entries(commands)) {
    const [first = '', second] = path.split(' ')
    const parent = second === undefined ? program : parentOf(program, parents, first)
    const command = parent.command(second ?? first).description(row.summary)
    if (path !== asked) continue
    ;(await row.load()).define(command)
    unsetEmptyVariables(command.options)
    requireValues(args, command.options, path)
  }
  return program
}

/** Many a CI system sets what it has no value for to nothing. */
function unsetEmptyVariables(options: readonly Option[]): void {
  for (const { envVar } of options) if (envVar !== undefined && process.env[envVar] === '') delete process.env[envVar]
}

/** The library takes the next flag as the value of one that was given none, and then does not know what follows. */
function requireValues(args: readonly string[], options: readonly Option[], path: string): void {
  const end = args.indexOf('--')
  const flags = end < 0 ? args : args.slice(0, end)
  const longs = new Set(options.map(({ long }) => long))
  for (const [at, word] of flags.entries()) {
    const option = options.find(({ long, required }) => required && long === word)
    if (option !== undefined && longs.has(flags[at + 1]))
      throw usageError(
        `${word} has no value, as ${flags[at + 1]} follows: give ${option.flags}`,
        `See: ${currentInvocation()} ${path} --help`,
      )
  }
}

/** A group has its place where the first of its commands has. */
function parentOf(program: Command, parents: ReadonlyMap<string, Command>, name: string): Command {
  const parent = parents.get(name) ?? new Command(name)
  if (!program.commands.includes(parent)) {
    parent.copyInheritedSettings(program)
    program.addCommand(parent)
  }
  return parent
}

/** The command, or else the group, that the arguments name. */
function pathOf(args: readonly string[]): string | undefined {
  const [first = '', second = ''] = args.filter((word) => !word.startsWith('-') && word !== 'help')
  return [`${first} ${second}`, first].find((path) => Object.hasOwn(commands, path) || Object.hasOwn(groups, path))
}

function report(error: unknown, format: OutputFormat, args: readonly string[]): number {
  if (error instanceof CommanderError) return reportUsage(error, format, args)
  if (error instanceof CliError) {
    writeError(format, error)
    return error.exitCode
  }
  const bug = error instanceof Error ? error : new Error(String(error))
  const place =
    bug.stack
      ?.split('\n')
      .find((line) => line.startsWith('    at '))
      ?.trim() ?? ''
  writeError(
    format,
    new CliError(`${bug.name}: ${bug.message}`, { code: 'internal', hint: `This is a bug in apostille, ${place}` }),
  )
  return 1
}

function reportUsage(error: CommanderError, format: OutputFormat, args: readonly string[]): number {
  if (error.exitCode === 0) return 0
  // With no command the help was written, and says it all.
  if (error.code === 'commander.help' && format === 'text') return 2
  const message = error.message
    .replace(/^error: /, '')
    .replace(/^command-argument value /, '')
    .replaceAll('\n', ' ')
  const path = pathOf(args)
  writeError(
    format,
    usageError(
      error.code === 'commander.help' ? 'no command was given' : message,
      `See: ${currentInvocation()}${path === undefined ? '' : ` ${path}`} --help`,
    ),
  )
  return 2
}
