/**
 * Files that are written again and again, each time whole, and what follows from that.
 *
 * @module
 */
import { CliError } from './cli-error.ts'
import type { Output } from './output.ts'
import { createHookRunner, type HookOptions } from './renewal-hook.ts'
import { tellTrouble } from './watch.ts'

export interface Publisher {
  /** Writes what is current; a call while it writes makes it write once more. Rejects when the first writing fails. */
  readonly publish: () => Promise<void>
  readonly stop: () => void
}

const writeAgainMs = 10_000

/**
 * @param deps.write Writes what is current.
 * @param deps.hooks What comes after it; the next writing does not wait for it.
 */
export function createPublisher(deps: {
  readonly output: Output
  readonly hooks: HookOptions
  readonly write: () => Promise<void>
  readonly written: () => void
}): Publisher {
  const { output, hooks, write, written } = deps
  const follow = createHookRunner(hooks, (error) => tellTrouble(output, 'warning', error))
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
    follow()
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
