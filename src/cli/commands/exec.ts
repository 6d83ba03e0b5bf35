/**
 * `apostille exec`
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import type { AzureFacts, TargetType } from '../../runtime/target-facts.node.ts'
import type { CloudCredential } from '../../sdk/credential-answer.ts'
import { createFreshKeeper, type KeepFresh } from '../../sdk/fresh.ts'
import { createJoinEqual } from '../../sdk/join-equal.node.ts'
import { catchSignals, runChild } from '../child.ts'
import { CliError, usageError } from '../cli-error.ts'
import type { Environment } from '../credential-formats.ts'
import { describe, isRefusal, startCredentialServer } from '../credential-server.ts'
import {
  awsVariables,
  azureVariables,
  childEnvironment,
  type ExecPlace,
  googleExecDocument,
  googleVariables,
  removedVariables,
} from '../exec-environment.ts'
import { keepFileFresh, machineTiming } from '../fresh-file.ts'
import { act, examples, withProof, withRequired } from '../options.ts'
import { writeError } from '../output.ts'
import { fetchCredential, fetchJwtSvid, type IdentityOptions } from '../target-credential.ts'
import { azureOf } from '../target-facts.ts'
import { collect } from '../values.ts'

interface ExecOptions extends IdentityOptions {
  readonly target: readonly string[]
  readonly tenant?: string
  readonly clientId?: string
  readonly authorityHost?: string
  readonly audience?: string
}

export function define(command: Command): void {
  command
    .description(
      `Run a command with the credentials of targets, one of each cloud at most, and keep them fresh for as long as it runs. SDKs and tools find them by themselves: AWS as in a container, Google as an external account, Azure as a managed identity.

They ask this process on loopback, which asks the gateway. The proof is read anew each time. Signals are passed on, and the exit code is that of the command: 128 and its number after a signal, 127 where there is no such command.`,
    )
    .argument('<command...>', 'after --: what to run, with its arguments')
  withRequired(
    withProof(command),
    new Option(
      '--target <name>',
      "required: a target in the gateway's configuration; may be given again for another cloud",
    ).argParser(collect),
  )
    .option('--spiffe-id <id>', 'which of the identities of the proof (default: the first)')
    .option(
      '--tenant <id>',
      'azure, with --client-id: set AZURE_FEDERATED_TOKEN_FILE instead, for what exchanges by itself (default: managed identity)',
    )
    .option('--client-id <id>', 'azure, with --tenant: application or managed identity (default: managed identity)')
    .option('--authority-host <url>', 'azure, with --tenant: of another cloud (default: the public one)')
    .option('--audience <audience>', 'azure, with --tenant: of the token (default: api://AzureADTokenExchange)')
  examples(
    command,
    'exec --target payments-s3 --server https://id.example.org --token-file /var/run/token -- aws s3 ls',
    'exec --target payments-s3 --target reports --server https://id.example.org --token-file /var/run/token -- node app.js',
  ).addHelpText('after', helpOnVariables)
  act<ExecOptions>(command, async (output, options) => {
    const [name = '', ...args] = command.args
    const { exitCode, error } = await execute(options, name, args)
    if (error) writeError(output.format, error)
    process.exitCode = exitCode
  })
}

const helpOnVariables = `
Variables of this process that the command does not get, by the cloud of the target:
${Object.entries(removedVariables)
  .map(([type, names]) => wrap(`${type}: ${names.join(' ')}`))
  .join('\n')}
AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name an empty file instead; the region of the default profile goes along.`

function wrap(text: string): string {
  return text.replace(/(.{1,110})(?: |$)/g, '  $1\n').trimEnd()
}

/** A target with its type, and what gives its fresh credential. */
interface Opened {
  readonly target: string
  readonly type: TargetType
  readonly get: () => Promise<CloudCredential>
}

async function execute(options: ExecOptions, name: string, args: readonly string[]) {
  checkUsage(options)
  const opened = await openTargets(options)
  await using run = new AsyncDisposableStack()
  const signals = catchSignals()
  run.defer(signals.stop)
  const folder = await mkdtemp(join(tmpdir(), 'apostille-exec-'))
  run.defer(() => rm(folder, { recursive: true, force: true }))
  const secret = randomBytes(32).toString('base64url')
  const get = Object.fromEntries(opened.map((one) => [one.type, one.get]))
  const server = await startCredentialServer({ secret, get, now: () => new Date() })
  run.defer(server.close)
  const place = {
    origin: server.origin,
    secret,
    emptyFile: join(folder, 'empty'),
    googleFile: join(folder, 'google.json'),
  }
  const added = await Promise.all(opened.map((one) => prepare(one, place, options, run)))
  const types = opened.map(({ type }) => type)
  // Awaited here, as what it needs is taken away at the return.
  return await runChild(
    name,
    args,
    childEnvironment(process.env, types, Object.assign({}, ...added) as Environment),
    signals,
  )
}

function checkUsage({ tokenFile, tenant, clientId }: ExecOptions): void {
  if (tokenFile === '-')
    throw usageError(
      '--token-file: standard input is for the command, and the proof is read again and again: name a file',
    )
  if ((tenant === undefined) !== (clientId === undefined)) throw usageError('--tenant and --client-id go together')
}

/** All are asked for once, so that what can not work fails before the command starts. */
async function openTargets(options: ExecOptions): Promise<readonly Opened[]> {
  const keep = createFreshKeeper<CloudCredential>({
    now: () => new Date(),
    join: createJoinEqual(),
    mayServeOld: (error) => error instanceof CliError && !isRefusal(error),
  })
  const opened = await Promise.all([...new Set(options.target)].map((target) => openTarget(options, target, keep)))
  for (const { target, type } of opened) {
    const other = opened.find((one) => one.type === type && one.target !== target)
    if (other)
      throw usageError(
        `--target: ${target} and ${other.target} are both of type ${type}, and a process has one credential for each cloud`,
      )
  }
  return opened
}

async function openTarget(options: ExecOptions, target: string, keep: KeepFresh<CloudCredential>): Promise<Opened> {
  const get = () => keep(target, async () => (await fetchCredential(options, target)).credential)
  const { type } = await get()
  return { target, type, get: () => get().catch((error: unknown) => tell(error, target)) }
}

/** The SDK in the command shows little of what went wrong. */
function tell(error: unknown, target: string): never {
  if (error instanceof CliError)
    process.stderr.write(`apostille: target ${target}: no fresh credential: ${describe(error)}\n`)
  throw error
}

/** Makes the files that SDKs read. @returns the variables that lead there */
async function prepare(
  { type, target }: Opened,
  place: ExecPlace,
  options: ExecOptions,
  run: AsyncDisposableStack,
): Promise<Environment> {
  if (type === 'aws') {
    await writeFile(place.emptyFile, '', { mode: 0o600 })
    return awsVariables(place, process.env, await readAwsConfig())
  }
  if (type === 'gcp') {
    const secretFile = `${place.googleFile}.secret`
    await writeFile(secretFile, place.secret, { mode: 0o600 })
    const document = googleExecDocument(place.origin, target, secretFile)
    await writeFile(place.googleFile, JSON.stringify(document), { mode: 0o600 })
    return googleVariables(place)
  }
  const facts = azureOf(options)
  if (facts === undefined) return azureVariables(place)
  const tokenFile = `${place.emptyFile}.jwt`
  run.defer((await keepAzureToken(options, target, facts, tokenFile)).stop)
  return azureVariables(place, facts, tokenFile)
}

async function readAwsConfig(): Promise<string> {
  const file = process.env['AWS_CONFIG_FILE'] ?? join(homedir(), '.aws/config')
  return readFile(file, 'utf8').catch(() => '')
}

function keepAzureToken(options: ExecOptions, target: string, { audience }: AzureFacts, path: string) {
  return keepFileFresh({
    path,
    fetch: () => fetchJwtSvid(options, audience),
    failed(error) {
      const said = error instanceof CliError ? describe(error) : 'a bug in apostille'
      process.stderr.write(`apostille: target ${target}: no fresh token: ${said}\n`)
    },
    ...machineTiming,
  })
}
