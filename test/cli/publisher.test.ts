import { afterEach, expect, test, vi } from 'vitest'
import { CliError } from '../../src/cli/cli-error.ts'
import { createPublisher } from '../../src/cli/publisher.ts'

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

/** Writes end as they are told, in order; the last way again and again. */
function world(ends: readonly (Error | undefined)[], exec: readonly string[] = []) {
  const notes: string[] = []
  const written = vi.fn()
  const write = vi.fn(async () => {
    const end = ends[Math.min(write.mock.calls.length, ends.length) - 1]
    if (end) throw end
  })
  const output = { format: 'text', result() {}, note: (text: string) => notes.push(text) } as const
  const hooks = { exec, signalName: 'SIGHUP' } as const
  return { notes, written, write, ...createPublisher({ output, hooks, write, written }) }
}

const full = new CliError('cannot write /run/svid: ENOSPC', { code: 'file' })

test('what can not be written at first is thrown', async () => {
  const { publish, written } = world([full])
  await expect(publish()).rejects.toBe(full)
  expect(written).not.toHaveBeenCalled()
})

test('what can not be written later on is told, and written after a while', async () => {
  vi.useFakeTimers()
  const { publish, write, written, notes } = world([undefined, full, undefined])
  await publish()
  await publish()
  expect([written.mock.calls.length, notes]).toEqual([1, ['not written yet: cannot write /run/svid: ENOSPC']])
  await vi.advanceTimersByTimeAsync(10_000)
  expect([write.mock.calls.length, written.mock.calls.length]).toEqual([3, 2])
})

test('after its end nothing is tried again', async () => {
  vi.useFakeTimers()
  const { publish, stop, write } = world([undefined, full])
  await publish()
  await publish()
  stop()
  await vi.advanceTimersByTimeAsync(60_000)
  expect(write).toHaveBeenCalledTimes(2)
})

test('calls while it writes make it write once more', async () => {
  const { publish, write } = world([undefined])
  await Promise.all([publish(), publish(), publish()])
  expect(write).toHaveBeenCalledTimes(1)
  const first = publish()
  await Promise.resolve()
  await Promise.all([first, publish(), publish()])
  expect(write).toHaveBeenCalledTimes(3)
})

test('a command that hangs keeps nothing from being written', async () => {
  const { publish, written } = world([undefined], ['exec sleep 3'])
  for (let round = 0; round < 3; round++) await publish()
  expect(written).toHaveBeenCalledTimes(3)
})
