/**
 * Commands that keep files fresh until they are stopped: one piece of work after another, and one line for each that counts.
 *
 * @module
 */
import { CliError, usageError } from './cli-error.ts'
import type { WorkloadOptions } from './options.ts'
import { type Output, writeError } from './output.ts'
import { type HookOptions, runHooks } from './renewal-hook.ts'

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

/** Files that are written again and again. */
export interface Publisher {
  /** Writes what is current; a call while it writes makes it write once more. Rejects when the first writing fails. */
  readonly publish: () => Promise<void>
  readonly stop: () => void
}

const writeAgainMs = 10_000

/**
 * @param deps.write Writes what is current.
 * @param deps.hooks What comes after it.
 */
export function createPublisher(deps: {
  readonly output: Output
  readonly hooks: HookOptions
  readonly write: () => Promise<void>
  readonly written: () => void
}): Publisher {
  const { output, hooks, write, written } = deps
  let last: Promise<void> = Promise.resolve()
  let waiting = false
  let isFirst = true
  let retry: NodeJS.Timeout | undefined

  async function writeOnce(): Promise<void> {
    waiting = false
    try {
      await write()
    } catch (error) {
      if (isFirst || !(error instanceof CliError)) throw error
      tellTrouble(output, 'not written yet', error)
      retry = setTimeout(() => void publish(), writeAgainMs)
      return
    }
    isFirst = false
    written()
    await runHooks(hooks, (error) => tellTrouble(output, 'warning', error))
  }

  function publish(): Promise<void> {
    if (waiting) return last
    waiting = true
    clearTimeout(retry)
    last = last.then(writeOnce)
    return last
  }

  return { publish, stop: () => clearTimeout(retry) }
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
