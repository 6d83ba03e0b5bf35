/**
 * What runs again and again beside the requests. A task never overlaps itself. One that fails is logged, once for each
 * reason in a row, and runs again.
 *
 * @module
 */
import type { Telemetry } from '../core/telemetry.ts'
import { describeError } from './describe-error.ts'

export interface Task {
  readonly name: string
  /** From the end of one run to the start of the next. */
  readonly everyMs: number
  /** The same after a run that failed. Default: `everyMs`. */
  readonly retryMs?: number
  readonly run: () => Promise<unknown>
}

export interface Clockwork {
  /** Waits for the runs under way. */
  readonly close: () => Promise<void>
}

export function startClockwork(tasks: readonly Task[], telemetry: Telemetry): Clockwork {
  const loops = tasks.map((task) => startLoop(task, telemetry))
  return {
    async close() {
      await Promise.all(loops.map((loop) => loop.close()))
    },
  }
}

function startLoop({ name, everyMs, retryMs = everyMs, run }: Task, telemetry: Telemetry): Clockwork {
  let running: Promise<void> = Promise.resolve()
  let closed = false
  let problem: string | undefined
  let timer = setTimeout(turn, everyMs)

  function turn(): void {
    running = run()
      .then(() => report(undefined))
      .catch((error: unknown) => report(describeError(error)))
      .finally(() => {
        if (!closed) timer = setTimeout(turn, problem === undefined ? everyMs : retryMs)
      })
  }

  function report(error: string | undefined): void {
    if (error !== undefined && error !== problem)
      telemetry.log('error', `the task ${name} failed and will run again`, { error })
    if (error === undefined && problem !== undefined) telemetry.log('info', `the task ${name} works again`)
    problem = error
  }

  return {
    async close() {
      closed = true
      clearTimeout(timer)
      await running
    },
  }
}
