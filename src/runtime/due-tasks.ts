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

/** Each settles when what it ran, or found running, is done; neither rejects. */
export interface DueTasks {
  readonly runDue: () => Promise<void>
  /** Whether due or not. */
  readonly runAll: () => Promise<void>
}

export function createDueTasks(
  tasks: readonly DueTask[],
  { telemetry, monotonicMs }: { readonly telemetry: Telemetry; readonly monotonicMs: () => number },
): DueTasks {
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

  function run(task: DueTask, nowMs: number): Promise<void> {
    const already = running.get(task)
    if (already) return already
    begunAtMs.set(task, nowMs)
    const begun = runOne(task)
    running.set(task, begun)
    return begun
  }

  const isDue = (task: DueTask, nowMs: number) =>
    running.has(task) || nowMs - (begunAtMs.get(task) ?? Number.NEGATIVE_INFINITY) >= task.everyMs

  async function runThose(wanted: (task: DueTask, nowMs: number) => boolean): Promise<void> {
    const nowMs = monotonicMs()
    await Promise.all(tasks.filter((task) => wanted(task, nowMs)).map((task) => run(task, nowMs)))
  }

  return { runDue: () => runThose(isDue), runAll: () => runThose(() => true) }
}
