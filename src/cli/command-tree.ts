/**
 * Every command with its flags, as data: what completion scripts and the reference are made of.
 *
 * @module
 */
import { Command, type Option } from 'commander'
import { currentInvocation } from './invocation.ts'
import { commands } from './program.ts'

export interface DescribedFlag {
  /** As the help writes it, such as `--config <file>`. */
  readonly written: string
  /** Such as `--config`. */
  readonly name: string
  readonly takesValue: boolean
  /** Whether the value is the path of something. */
  readonly isPath: boolean
  readonly choices: readonly string[]
  readonly description: string
  readonly fallback?: string
  readonly variable?: string
}

export interface DescribedArgument {
  readonly name: string
  readonly required: boolean
  readonly description: string
  readonly choices: readonly string[]
  readonly isPath: boolean
}

export interface DescribedCommand {
  /** Such as `svid jwt`. */
  readonly path: string
  readonly summary: string
  readonly description: string
  readonly usage: string
  readonly arguments: readonly DescribedArgument[]
  readonly flags: readonly DescribedFlag[]
  /** Each without the name of the program. */
  readonly examples: readonly string[]
}

/** In the order of the help. Loads every command. */
export async function describeCommands(): Promise<readonly DescribedCommand[]> {
  const described: DescribedCommand[] = []
  for (const [path, { summary, load }] of Object.entries(commands)) {
    const command = new Command(path.split(' ').at(-1))
    ;(await load()).define(command)
    described.push(describe(path, summary, command))
  }
  return described
}

function describe(path: string, summary: string, command: Command): DescribedCommand {
  return {
    path,
    summary,
    description: command.description(),
    usage: `${path} ${command.usage()}`,
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      required: argument.required,
      description: argument.description,
      choices: argument.argChoices ?? [],
      isPath: isPathName(argument.name()),
    })),
    flags: command.options.filter(({ hidden }) => !hidden).map(describeFlag),
    examples: readExamples(command),
  }
}

function describeFlag(option: Option): DescribedFlag {
  const { flags, long, short, required, optional, argChoices = [], description, defaultValue, envVar } = option
  return {
    written: flags,
    name: long ?? short ?? flags,
    takesValue: required || optional,
    isPath: isPathName(/[<[]([\w-]+)/.exec(flags)?.[1] ?? ''),
    choices: argChoices,
    description,
    ...(defaultValue !== undefined && { fallback: String(defaultValue) }),
    ...(envVar !== undefined && { variable: envVar }),
  }
}

function isPathName(name: string): boolean {
  return name === 'file' || name === 'dir'
}

/** As {@link examples} put them behind the help. */
function readExamples(command: Command): readonly string[] {
  const written: string[] = []
  command.configureOutput({ writeOut: (text) => void written.push(text) }).outputHelp()
  const [, listed = ''] = written.join('').split('\nExamples:\n')
  const program = currentInvocation()
  const prefix = `  ${program} `
  return listed
    .split('\n')
    .flatMap((line) => (line.startsWith(prefix) ? [line.slice(prefix.length).replaceAll(program, 'apostille')] : []))
}
