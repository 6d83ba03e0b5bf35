/**
 * The reference of the command line, made of the commands themselves.
 *
 * @module
 */
import {
  type DescribedArgument,
  type DescribedCommand,
  type DescribedFlag,
  describeCommands,
} from '../src/cli/command-tree.ts'
import { buildOutputSchema } from './command-output.ts'
import { formatShape, type Schema } from './shape.ts'

const intro = `# Command line

Made of the commands themselves by \`npm run generate\`; \`apostille COMMAND --help\` says the same.

- **Operators** run commands beside the gateway: they read the configuration (\`--config\`, \`APOSTILLE_CONFIG\`,
  \`./apostille.yaml\`), and talk to the admin socket that it names. **Workloads** name the gateway (\`--server\`,
  \`APOSTILLE_SERVER\`), who vouches for its certificate (\`--ca-file\`, \`APOSTILLE_CA_FILE\`), and their proof
  (\`--token-file\`, \`APOSTILLE_TOKEN_FILE\`, or \`--cert-file\` with \`--key-file\`). Flags win over variables.
- The **exit code** is 0 when it was done, 1 when it was refused or failed, 2 when it was used wrongly.
- Results go to standard output, everything else to standard error. Colours are for terminals, and \`NO_COLOR\` holds.
- With \`--output json\` a command writes one JSON object, of the shape that is shown here; \`schema/output.schema.json\` of
  the package has all of them as JSON Schema. Members are added and never changed or removed within a major version: pass
  over those that you do not know. Absent is what does not apply. Errors are on standard error:

  \`\`\`ts
  {
    error: {
      code: string
      message: string
      hint?: string
      request_id?: string
      diagnostics?: unknown
    }
  }
  \`\`\`

- Shells complete commands and flags: [completion](#completion).
`

export async function buildCommandReference(): Promise<string> {
  const commands = await describeCommands()
  const outputs = buildOutputSchema().$defs as Readonly<Record<string, Schema>>
  const index = commands.map(({ path, summary }) => `| [\`${path}\`](#${path.replaceAll(' ', '-')}) | ${summary} |`)
  const sections = commands.map((command) => formatCommand(command, outputs))
  return [intro, '| command | |\n|---|---|', ...index, '', ...sections].join('\n')
}

function formatCommand(command: DescribedCommand, outputs: Readonly<Record<string, Schema>>): string {
  const output = outputs[command.path]
  const [about = '', ...blocks] = command.description.split('\n\n')
  return [
    `## ${command.path}`,
    '',
    about,
    ...blocks.map((block) => `\n\`\`\`text\n${block}\n\`\`\``),
    '',
    code(`apostille ${command.usage}`, 'text'),
    '',
    ...formatRows(command),
    'Examples:',
    '',
    code(command.examples.map((example) => `apostille ${example}`).join('\n')),
    '',
    ...(output === undefined ? [] : ['With `--output json`:', '', code(formatOutput(output, outputs), 'ts'), '']),
  ].join('\n')
}

function code(text: string, language = 'sh'): string {
  return `\`\`\`${language}\n${text}\n\`\`\``
}

function formatRows({ arguments: positional, flags }: DescribedCommand): readonly string[] {
  const rows = [...positional.map(formatArgument), ...flags.map(formatFlag)]
  return rows.length === 0 ? [] : ['| | |\n|---|---|', ...rows, '']
}

function formatArgument({ name, required, description, choices }: DescribedArgument): string {
  const written = required ? `<${name}>` : `[${name}]`
  return row(written, [description, ...listChoices(choices)])
}

function formatFlag({ written, description, choices, fallback, variable }: DescribedFlag): string {
  return row(written, [
    description,
    ...listChoices(choices),
    ...(fallback === undefined ? [] : [`Default: \`${fallback}\`.`]),
    ...(variable === undefined ? [] : [`Variable: \`${variable}\`.`]),
  ])
}

function listChoices(choices: readonly string[]): readonly string[] {
  return choices.length === 0 ? [] : [`One of ${choices.map((choice) => `\`${choice}\``).join(', ')}.`]
}

function row(written: string, sentences: readonly string[]): string {
  const told = sentences.map((sentence, at) =>
    at === 0 && sentences.length > 1 && !sentence.endsWith('.') ? `${sentence}.` : sentence,
  )
  return `| \`${written.replaceAll('|', '\\|')}\` | ${told.join(' ').replaceAll('|', '\\|')} |`
}

/** With what it refers to. */
function formatOutput(output: Schema, outputs: Readonly<Record<string, Schema>>): string {
  const shape = formatShape(output)
  const names = [...new Set(JSON.stringify(output).match(/(?<=#\/\$defs\/)\w+/g) ?? [])]
  return [shape, ...names.map((name) => `\ntype ${name} = ${formatShape(outputs[name] ?? {})}`)].join('\n')
}
