/**
 * Flags that several commands share.
 *
 * @module
 */
import { type Command, Option } from 'commander'
import { usageError } from './cli-error.ts'
import { currentInvocation } from './invocation.ts'
import { createOutput, type Output, type OutputFormat } from './output.ts'
import { parseServerUrl } from './values.ts'

export interface OutputOptions {
  readonly output: OutputFormat
}

export interface OperatorOptions extends OutputOptions {
  readonly config: string
}

export interface ServerOptions extends OutputOptions {
  readonly server: URL
  readonly caFile?: string
}

export interface WorkloadOptions extends ServerOptions {
  readonly authenticator?: string
  readonly tokenFile?: string
  readonly certFile?: string
  readonly keyFile?: string
}

/** What a file of `commands/` gives: it says its flags and does its work. */
export interface CommandModule {
  readonly define: (command: Command) => void
}

/** @param words Each example is what follows the name of the program. */
export function examples(command: Command, ...words: readonly string[]): Command {
  const prefix = currentInvocation()
  return command.addHelpText('after', `\nExamples:\n${words.map((line) => `  ${prefix} ${line}`).join('\n')}`)
}

export function withOutput(command: Command): Command {
  return command.addOption(
    new Option('--output <format>', 'text for people, json for programs: one object on stdout')
      .choices(['text', 'json'])
      .default('text'),
  )
}

/** For commands that talk to the admin socket of a running gateway. */
export function withConfig(command: Command): Command {
  return withOutput(command.addOption(configOption()))
}

export function configOption(purpose = 'configuration document; it names the admin socket'): Option {
  return new Option('--config <file>', purpose).env('APOSTILLE_CONFIG').default('./apostille.yaml')
}

/** A flag that must be given. Checked after unknown flags, so that a misspelt one is told as such. */
export function withRequired(command: Command, option: Option): Command {
  return command.addOption(option).hook('preAction', () => {
    if (command.getOptionValue(option.attributeName()) !== undefined) return
    const variable = option.envVar === undefined ? '' : ` or ${option.envVar}`
    throw usageError(
      `${option.long} is missing: give ${option.flags}${variable}`,
      `See: ${currentInvocation()} ${pathOf(command)} --help`,
    )
  })
}

function pathOf(command: Command): string {
  const names: string[] = []
  for (let at: Command | null = command; at?.parent; at = at.parent) names.unshift(at.name())
  return names.join(' ')
}

export function withServer(command: Command): Command {
  return withOutput(
    withRequired(
      command,
      serverOption('required: where the gateway listens, such as https://id.example.org'),
    ).addOption(caFileOption()),
  )
}

/** For what both a workload and an operator may ask for: without a server it is asked over the admin socket. */
export function withOptionalServer(command: Command): Command {
  return withOutput(
    command
      .addOption(serverOption('where the gateway listens, such as https://id.example.org (default: the admin socket)'))
      .addOption(caFileOption())
      .addOption(configOption()),
  )
}

/** For commands that need no more of a gateway than the issuer that it says it is. */
export function withDiscovery(command: Command): Command {
  return withOutput(
    command
      .addOption(serverOption('the gateway that the proof is for, which says its issuer (default: none is asked)'))
      .addOption(caFileOption()),
  )
}

function serverOption(description: string): Option {
  return new Option('--server <url>', description).env('APOSTILLE_SERVER').argParser(parseServerUrl)
}

function caFileOption(): Option {
  return new Option(
    '--ca-file <file>',
    "PEM of the authorities that vouch for the server's certificate (default: those that Node knows)",
  ).env('APOSTILLE_CA_FILE')
}

/** For commands that prove an identity: the proof is a token or a certificate with its key. */
export function withProof(command: Command): Command {
  return addProof(withServer(command))
}

/** For what a workload may ask with a proof, and an operator over the admin socket. */
export function withOptionalProof(command: Command): Command {
  return addProof(withOptionalServer(command))
}

function addProof(command: Command): Command {
  return command
    .addOption(
      new Option('--token-file <file>', 'the proof: a file that holds a token; - is standard input').env(
        'APOSTILLE_TOKEN_FILE',
      ),
    )
    .option('--cert-file <file>', 'the proof: PEM of an X.509-SVID, leaf first; goes with --key-file')
    .option('--key-file <file>', 'PEM of the private key of --cert-file')
    .option('--authenticator <name>', 'only this authenticator may take the proof (default: any)')
}

/** Runs `run` with an {@link Output} of the format that was asked for. */
export function act<Options extends OutputOptions>(
  command: Command,
  run: (output: Output, options: Options, args: readonly string[]) => Promise<void>,
): void {
  command.action(async () => {
    const options = command.opts() as Options
    await run(createOutput(options.output), options, command.processedArgs as string[])
  })
}
