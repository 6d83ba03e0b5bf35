import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { startClockwork } from '../../src/runtime/clockwork.node.ts'
import { createTelemetryLog } from '../support/fake-upstream.ts'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

test('a task runs again and again, and not after the end', async () => {
  const run = vi.fn(async () => undefined)
  const clockwork = startClockwork([{ name: 'a', everyMs: 100, run }], createTelemetryLog())
  await vi.advanceTimersByTimeAsync(99)
  expect(run).toHaveBeenCalledTimes(0)
  await vi.advanceTimersByTimeAsync(201)
  expect(run).toHaveBeenCalledTimes(3)
  await clockwork.close()
  await vi.advanceTimersByTimeAsync(1000)
  expect(run).toHaveBeenCalledTimes(3)
  expect(vi.getTimerCount()).toBe(0)
})

test('one that takes longer than its turn does not overlap itself, and the end waits for it', async () => {
  const held = Promise.withResolvers<void>()
  const run = vi.fn(() => held.promise)
  const clockwork = startClockwork([{ name: 'a', everyMs: 100, run }], createTelemetryLog())
  await vi.advanceTimersByTimeAsync(1000)
  expect(run).toHaveBeenCalledTimes(1)
  let ended = false
  const closing = clockwork.close().then(() => {
    ended = true
  })
  await vi.advanceTimersByTimeAsync(1000)
  expect(ended).toBe(false)
  held.resolve()
  await closing
  expect(run).toHaveBeenCalledTimes(1)
})

test('one that fails is logged and runs again, and the others run on', async () => {
  const telemetry = createTelemetryLog()
  const fails = vi.fn(() => Promise.reject(new Error('no disk')))
  const runs = vi.fn(async () => undefined)
  const tasks = [
    { name: 'fails', everyMs: 100, run: fails },
    { name: 'runs', everyMs: 100, run: runs },
  ]
  const clockwork = startClockwork(tasks, telemetry)
  await vi.advanceTimersByTimeAsync(300)
  expect([fails.mock.calls.length, runs.mock.calls.length]).toEqual([3, 3])
  expect(telemetry.lines[0]).toMatchObject({
    name: 'error',
    text: expect.stringContaining('the task fails failed'),
    fields: { error: 'no disk' },
  })
  await clockwork.close()
})

test('one that fails for the same reason again is logged once, sooner tried again, and said to work again', async () => {
  const telemetry = createTelemetryLog()
  const outcomes = ['no disk', 'no disk', 'no network', undefined, undefined, 'no disk']
  const run = vi.fn(async () => {
    const problem = outcomes.shift()
    if (problem !== undefined) throw new Error(problem)
  })
  const clockwork = startClockwork([{ name: 'a', everyMs: 100, retryMs: 10, run }], telemetry)
  await vi.advanceTimersByTimeAsync(100 + 10 + 10 + 10 + 100 + 100)
  expect(run).toHaveBeenCalledTimes(6)
  expect(telemetry.lines.map(({ name, fields }) => [name, fields?.['error']])).toEqual([
    ['error', 'no disk'],
    ['error', 'no network'],
    ['info', undefined],
    ['error', 'no disk'],
  ])
  await clockwork.close()
})
