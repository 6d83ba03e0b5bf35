import { expect, test, vi } from 'vitest'
import { createDueTasks } from '../../src/runtime/due-tasks.ts'
import { createTelemetryLog } from '../support/fake-upstream.ts'

function openTasks(run: () => Promise<unknown>) {
  const clock = { ms: 0 }
  const telemetry = createTelemetryLog()
  const tasks = createDueTasks([{ name: 'one', everyMs: 100, run }], { telemetry, monotonicMs: () => clock.ms })
  return { ...tasks, clock, telemetry }
}

test('a task runs when it is due, first at once', async () => {
  const run = vi.fn(async () => undefined)
  const { runDue, runAll, clock } = openTasks(run)
  await runDue()
  await runDue()
  expect(run).toHaveBeenCalledTimes(1)
  clock.ms = 99
  await runDue()
  expect(run).toHaveBeenCalledTimes(1)
  clock.ms = 100
  await runDue()
  expect(run).toHaveBeenCalledTimes(2)
  await runAll()
  expect(run).toHaveBeenCalledTimes(3)
})

test('a task that runs is waited for, and not begun again', async () => {
  const held = Promise.withResolvers<void>()
  const run = vi.fn(() => held.promise)
  const { runDue, runAll, clock } = openTasks(run)
  let done = 0
  const waiting = [runDue(), runAll()].map((running) => running.then(() => done++))
  clock.ms = 1000
  waiting.push(runDue().then(() => done++))
  expect([run.mock.calls.length, done]).toEqual([1, 0])
  held.resolve()
  await Promise.all(waiting)
  await runDue()
  expect(run).toHaveBeenCalledTimes(2)
})

test('one that fails is logged, and runs again when it is due', async () => {
  const run = vi.fn(() => Promise.reject(new Error('no disk')))
  const { runDue, clock, telemetry } = openTasks(run)
  await runDue()
  expect(telemetry.lines).toMatchObject([{ name: 'error', fields: { error: 'no disk' } }])
  clock.ms = 100
  await runDue()
  expect(run).toHaveBeenCalledTimes(2)
})
