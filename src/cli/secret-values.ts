/**
 * The data of a secret as flags say it: `key=value`, `key=@file`, `key=-`, or a JSON document.
 *
 * @module
 */
import { CliError, usageError } from './cli-error.ts'
import { readTextFile } from './files.ts'

export interface SecretValues {
  readonly data: Readonly<Record<string, unknown>>
  /** Keys whose value came from standard input and is one line with a line end. */
  readonly withLineEnd: readonly string[]
}

/**
 * Files and standard input are taken as they are.
 *
 * @param json File that holds all of the data.
 * @throws {CliError} `usage`, `file`
 */
export async function readSecretValues(words: readonly string[], json: string | undefined): Promise<SecretValues> {
  if (json !== undefined && words.length > 0) throw usageError('--json holds all of the data: leave key=value out')
  if (json !== undefined) return { data: parseData(await readTextFile(json, 'the data'), json), withLineEnd: [] }
  if (words.length === 0)
    throw usageError('there is no data', 'Give key=- for standard input, key=@FILE, key=value, or --json FILE.')
  const pairs = words.map(splitPair)
  const keys = pairs.map(([key]) => key)
  const repeated = keys.find((key, index) => keys.indexOf(key) !== index)
  if (repeated !== undefined) throw usageError(`${repeated} is given twice`)
  if (pairs.filter(([, value]) => value === '-').length > 1)
    throw usageError('only one value can come from standard input')
  const data: [string, string][] = []
  for (const [key, value] of pairs) data.push([key, await readValue(key, value)])
  const withLineEnd = data.filter(([, value], index) => pairs[index]?.[1] === '-' && /^[^\n]*\n$/.test(value))
  return { data: Object.fromEntries(data), withLineEnd: withLineEnd.map(([key]) => key) }
}

/** The message repeats nothing: it may be a value. */
function splitPair(word: string): readonly [key: string, value: string] {
  const at = word.indexOf('=')
  if (at < 1)
    throw usageError(
      'one of the words behind the path is not key=value, and is not shown as it may be secret',
      'Give key=- for standard input, key=@FILE, or key=value.',
    )
  return [word.slice(0, at), word.slice(at + 1)]
}

async function readValue(key: string, value: string): Promise<string> {
  if (value === '-') return readTextFile('-', `the value of ${key}`)
  if (value.startsWith('@')) return readTextFile(value.slice(1), `the value of ${key}`)
  return value
}

function parseData(text: string, file: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The cause is left out: its message quotes the text.
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Readonly<Record<string, unknown>>
  throw new CliError(`${file === '-' ? 'standard input' : file} holds no JSON object`, { code: 'file' })
}
