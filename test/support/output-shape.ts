/**
 * Holds what a command wrote with `--output json` against the shape that it is published with.
 *
 * @module
 */
import { commandOutputs, errorOutput } from '../../scripts/command-output.ts'

interface Written {
  readonly stdout: string
  readonly stderr: string
}

/** @throws {Error} saying where it differs */
export function requireShape(args: readonly string[], { stdout, stderr }: Written): void {
  if (!asksForJson(args)) return
  const path = commandOf(args)
  if (path !== undefined && stdout.startsWith('{')) require(path, commandOutputs[path], stdout)
  if (stderr.startsWith('{"error":')) require('error', errorOutput, stderr)
}

function require(what: string, schema: { readonly parse: (value: unknown) => unknown }, text: string): void {
  try {
    schema.parse(JSON.parse(text))
  } catch (error) {
    throw new Error(`the output of ${what} is not of its published shape (scripts/command-output.ts): ${text}`, {
      cause: error,
    })
  }
}

/** What follows `--` is for the command that `exec` runs. */
function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  const own = end < 0 ? args : args.slice(0, end)
  return own.includes('--output=json') || own[own.indexOf('--output') + 1] === 'json'
}

type Path = keyof typeof commandOutputs

function commandOf(args: readonly string[]): Path | undefined {
  const [first = '', second = ''] = args
  return [`${first} ${second}`, first].find((path): path is Path => Object.hasOwn(commandOutputs, path))
}
