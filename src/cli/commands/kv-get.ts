/**
 * `apostille kv get`
 *
 * @module
 */
import { Argument, type Command } from 'commander'
import { CliError } from '../cli-error.ts'
import { act, examples } from '../options.ts'
import { formatMoment, formatTable, type Output } from '../output.ts'
import { type MetadataDocument, openSecrets, parsePath, type SecretOptions, withSecrets } from '../secret-call.ts'
import { parseCount } from '../values.ts'

interface GetOptions extends SecretOptions {
  readonly field?: string
  readonly version?: number
}

interface SecretDocument {
  readonly data: Readonly<Record<string, unknown>>
  readonly metadata: MetadataDocument
}

export function define(command: Command): void {
  command
    .description(
      'Read a secret. Values go to standard output, and to nothing else. A value of --field is written as it is, without a line end unless it goes to a terminal.',
    )
    .addArgument(new Argument('<path>', 'such as payments/db').argParser(parsePath))
  withSecrets(command)
    .option('--field <key>', 'only the value of this key (default: all of them)')
    .option('--version <n>', 'an older version (default: the current one)', parseCount)
  examples(
    command,
    'kv get payments/db',
    'kv get payments/db --field password --version 3',
    'kv get payments/db --output json --server https://id.example.org --token-file /var/run/token',
  )
  act<GetOptions>(command, async (output, options, [path = '']) => {
    const call = await openSecrets(command, options)
    const query = { version: options.version?.toString() }
    const { data: secret } = await call<{ readonly data: SecretDocument }>({
      method: 'GET',
      folder: 'data',
      path,
      query,
    })
    if (options.field === undefined) show(output, path, secret)
    else showField(output, options.field, secret)
  })
}

function show(output: Output, path: string, { data, metadata }: SecretDocument): void {
  const rows = Object.entries(data).map(([key, value]) => [key, formatValue(value)])
  output.note(`${path}, version ${metadata.version}, of ${formatMoment(new Date(metadata.created_time), new Date())}\n`)
  output.result({ path, data, metadata }, () =>
    rows.length === 0 ? 'It holds no key.' : formatTable(['KEY', 'VALUE'], rows),
  )
}

/** In one line, and told apart from what is no text or would move the cursor. */
function formatValue(value: unknown): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return typeof value === 'string' && !/[\u0000-\u001f"]/.test(value) ? value : JSON.stringify(value)
}

function showField(output: Output, field: string, { data }: SecretDocument): void {
  if (!Object.hasOwn(data, field))
    throw new CliError(`this version has no key ${field}`, {
      code: 'no_such_key',
      hint: `Its keys: ${Object.keys(data).join(', ') || 'none'}`,
    })
  const value = data[field]
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  if (output.format === 'json') output.result(value, '')
  else process.stdout.write(process.stdout.isTTY ? `${text}\n` : text)
}
