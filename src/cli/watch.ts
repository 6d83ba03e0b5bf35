/**
 * Commands that keep files fresh until they are stopped: one piece of work after another, and one line for each that counts.
 *
 * @module
 */
import { type CliError, usageError } from './cli-error.ts'
import type { WorkloadOptions } from './options.ts'
import { type Output, writeError } from './output.ts'
import type { HookOptions } from './renewal-hook.ts'

export interface WatchFlags extends HookOptions {
  readonly out?: string
  readonly watch?: string
}

/** @throws {CliError} `usage` */
export function checkWatchFlags({ out, watch, exec, signal, tokenFile }: WatchFlags & WorkloadOptions): void {
  if (out !== undefined && watch !== undefined)
    throw usageError('--out and --watch do not go together: --watch writes where it says')
  if (watch === undefined && (exec ?? signal) !== undefined) throw usageError('--exec and --signal go with --watch')
  if (watch !== undefined && tokenFile === '-')
    throw usageError('--token-file: with --watch the proof is read again and again: name a file')
}

/** Comes back at SIGTERM or SIGINT. */
export function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
}

/** What went wrong and does not end the watch. @param what Such as `not renewed yet`. */
export function tellTrouble(output: Output, what: string, error: CliError): void {
  if (output.format === 'json') writeError('json', error)
  else
    output.note(`${what}: ${error.message}${error.requestId === undefined ? '' : ` (request id ${error.requestId})`}`)
}

/** One line for each renewal: of JSON on standard output for programs, on standard error for people. */
export function tellRenewal(output: Output, value: unknown, text: () => string): void {
  if (output.format === 'json') process.stdout.write(`${JSON.stringify(value)}\n`)
  else output.note(text())
}
