import { readFileSync, statSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { keepFileFresh } from '../../src/cli/fresh-file.ts'
import { makeFolder } from './run-cli.ts'

const folders: ReturnType<typeof makeFolder>[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) folder.remove()
})

/** Each token lives so many seconds, or is not to be had. */
function world(outcomes: (number | Error)[]) {
  const folder = makeFolder()
  folders.push(folder)
  const path = folder.file('jwt')
  const failures: unknown[] = []
  const timers: { readonly callback: () => void; readonly ms: number }[] = []
  let cancelled = 0
  let count = 0
  const start = () =>
    keepFileFresh({
      path,
      now: () => new Date(0),
      failed: (error) => failures.push(error),
      async fetch() {
        const outcome = outcomes[count++] ?? 0
        if (outcome instanceof Error) throw outcome
        return { token: `token-${count}`, expiresAt: new Date(outcome * 1000) }
      },
      startTimer(callback, ms) {
        timers.push({ callback, ms })
        return () => {
          cancelled++
        }
      },
    })
  /** Lets the timer end that was started last, and waits until the next one is. */
  async function fire(): Promise<void> {
    const known = timers.length
    timers.at(-1)?.callback()
    await expect.poll(() => timers.length).toBe(known + 1)
  }
  return { path, start, fire, failures, timers, cancelled: () => cancelled }
}

test('the file is there at once, for its owner, and is replaced at half of its life', async () => {
  const { path, start, fire, timers } = world([300, 100])
  await start()
  expect(readFileSync(path, 'utf8')).toBe('token-1')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(timers.map(({ ms }) => ms)).toEqual([150_000])
  await fire()
  expect(readFileSync(path, 'utf8')).toBe('token-2')
  expect(timers.at(-1)?.ms).toBe(50_000)
})

test('the first one that is not to be had is thrown', async () => {
  await expect(world([new Error('refused')]).start()).rejects.toThrow('refused')
})

test('a later one that is not to be had is told, tried again, and the file stays', async () => {
  const { path, start, fire, timers, failures } = world([300, new Error('away'), 300])
  await start()
  await fire()
  expect(failures).toEqual([new Error('away')])
  expect(readFileSync(path, 'utf8')).toBe('token-1')
  expect(timers.at(-1)?.ms).toBe(10_000)
  await fire()
  expect(readFileSync(path, 'utf8')).toBe('token-3')
})

test('a token without life does not make it spin', async () => {
  const { start, timers } = world([0])
  await start()
  expect(timers.at(-1)?.ms).toBe(1000)
})

test('nothing goes on after the stop', async () => {
  const { start, timers, cancelled } = world([300, 300])
  const { stop } = await start()
  stop()
  expect([timers.length, cancelled()]).toEqual([1, 1])
})
