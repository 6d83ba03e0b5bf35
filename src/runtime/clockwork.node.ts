/**
 * What runs again and again beside the requests. A task never overlaps itself, and one that fails is logged and runs
 * again at its next turn.
 *
 * @module
 */
import type { Telemetry } from '../core/telemetry.ts'
import { describeError } from './describe-error.ts'

export interface Task {
  readonly name: string
  /** From the end of one run to the start of the next. */
  readonly everyMs: number
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

function startLoop({ name, everyMs, run }: Task, telemetry: Telemetry): Clockwork {
  let running: Promise<void> = Promise.resolve()
  let closed = false
  let timer = setTimeout(turn, everyMs)

  function turn(): void {
    running = run()
      .then(() => undefined)
      .catch((error: unknown) => {
        telemetry.log('error', `the task ${name} failed and will run again`, { error: describeError(error) })
      })
      .finally(() => {
        if (!closed) timer = setTimeout(turn, everyMs)
      })
  }

  return {
    async close() {
      closed = true
      clearTimeout(timer)
      await running
    },
  }
}
