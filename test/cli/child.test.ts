import { expect, test } from 'vitest'
import { catchSignals, runChild } from '../../src/cli/child.ts'

const env = { PATH: process.env['PATH'] ?? '' }

test('a signal that comes before the command runs is not lost', async () => {
  const signals = catchSignals()
  process.emit('SIGUSR2', 'SIGUSR2')
  expect(await runChild('sleep', ['60'], env, signals)).toEqual({ exitCode: 128 + 12 })
  signals.stop()
})

test('after the stop signals do what they did before', async () => {
  const before = process.listenerCount('SIGUSR2')
  const signals = catchSignals()
  expect(process.listenerCount('SIGUSR2')).toBe(before + 1)
  signals.stop()
  expect(process.listenerCount('SIGUSR2')).toBe(before)
})

test.each([
  ['a command that is not there', 'no-such-command', 127, 'there is no such command'],
  ['a folder', '/tmp', 126, 'EACCES'],
])('%s says so', async (_, command, exitCode, told) => {
  const signals = catchSignals()
  const end = await runChild(command, [], env, signals)
  signals.stop()
  expect(end).toMatchObject({ exitCode, error: { code: 'command', message: expect.stringContaining(told) } })
})
