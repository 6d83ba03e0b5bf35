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

type Schema = Readonly<Record<string, unknown>>

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

/** As TypeScript writes types. */
function formatShape(schema: Schema, indent = ''): string {
  const { type, properties, items, anyOf, enum: values, additionalProperties, const: constant, $ref } = schema
  if (constant !== undefined) return JSON.stringify(constant)
  if (Array.isArray(values)) return values.map((value) => `'${String(value)}'`).join(' | ')
  if (Array.isArray(anyOf)) return anyOf.map((option: Schema) => formatShape(option, indent)).join(' | ')
  if (Array.isArray(type)) return type.map((one) => formatShape({ ...schema, type: one }, indent)).join(' | ')
  if (type === 'array') return `${wrap(formatShape(items as Schema, indent))}[]`
  if (properties !== undefined && Object.keys(Object(properties)).length > 0) return formatMembers(schema, indent)
  if (type === 'object') {
    const inner = Object.keys(Object(additionalProperties)).length > 0 ? (additionalProperties as Schema) : {}
    return `Record<string, ${formatShape(inner, indent)}>`
  }
  if ($ref !== undefined) return String($ref).replace('#/$defs/', '')
  return { integer: 'number', string: 'string', boolean: 'boolean', null: 'null' }[String(type)] ?? 'unknown'
}

function formatMembers({ properties, required = [] }: Schema, indent: string): string {
  const inner = `${indent}  `
  const members = Object.entries(properties as Readonly<Record<string, Schema>>).map(([name, member]) => {
    const mark = (required as readonly string[]).includes(name) ? '' : '?'
    const about = member['description'] === undefined ? '' : ` // ${String(member['description'])}`
    return `${inner}${name}${mark}: ${formatShape(member, inner)}${about}`
  })
  return `{\n${members.join('\n')}\n${indent}}`
}

const wrap = (shape: string) => (/ \| /.test(shape) && !shape.startsWith('{') ? `(${shape})` : shape)
