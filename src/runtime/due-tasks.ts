/**
 * What runs again and again where no timer may: whoever comes by runs what is due. A task never overlaps itself, and one
 * that fails is logged and runs again when it is due again.
 *
 * @module
 */
import type { Telemetry } from '../core/telemetry.ts'
import { describeError } from './describe-error.ts'

export interface DueTask {
  readonly name: string
  /** From the start of one run to the earliest of the next. */
  readonly everyMs: number
  readonly run: () => Promise<unknown>
}

/** Runs what is due, and settles when that is done; never rejects. */
export type RunDueTasks = () => Promise<void>

export function createDueTasks(
  tasks: readonly DueTask[],
  { telemetry, monotonicMs }: { readonly telemetry: Telemetry; readonly monotonicMs: () => number },
): RunDueTasks {
  const begunAtMs = new Map<DueTask, number>()
  const running = new Map<DueTask, Promise<void>>()

  async function runOne(task: DueTask): Promise<void> {
    try {
      await task.run()
    } catch (error) {
      telemetry.log('error', `the task ${task.name} failed and will run again`, { error: describeError(error) })
    } finally {
      running.delete(task)
    }
  }

  function runIfDue(task: DueTask, nowMs: number): Promise<void> | undefined {
    const begun = begunAtMs.get(task)
    if (running.has(task) || (begun !== undefined && nowMs - begun < task.everyMs)) return running.get(task)
    begunAtMs.set(task, nowMs)
    const run = runOne(task)
    running.set(task, run)
    return run
  }

  return async () => {
    const nowMs = monotonicMs()
    await Promise.all(tasks.map((task) => runIfDue(task, nowMs)))
  }
}
