import { readFileSync, statSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { keepFileFresh } from '../../src/cli/fresh-file.ts'
import { makeFolder } from './run-cli.ts'

const folders: ReturnType<typeof makeFolder>[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) folder.remove()
})

/** Each token lives so many seconds, or is not to be had. */
function world(outcomes: (number | Error)[], chance = 0.5) {
  const folder = makeFolder()
  folders.push(folder)
  const path = folder.file('jwt')
  const failures: unknown[] = []
  const timers: { readonly callback: () => void; readonly ms: number }[] = []
  let cancelled = 0
  let count = 0
  let nowMs = 0
  const start = () =>
    keepFileFresh({
      path,
      now: () => new Date(nowMs),
      random: () => chance,
      failed: (error) => failures.push(error),
      async fetch() {
        const outcome = outcomes[count++] ?? 0
        if (outcome instanceof Error) throw outcome
        return { token: `token-${count}`, expiresAt: new Date(nowMs + outcome * 1000) }
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
    nowMs += timers.at(-1)?.ms ?? 0
    timers.at(-1)?.callback()
    await expect.poll(() => timers.length).toBe(known + 1)
  }
  /** Time goes by while nothing runs, as in a machine that sleeps. */
  const sleep = (ms: number) => {
    nowMs += ms
  }
  return { path, start, fire, sleep, failures, timers, cancelled: () => cancelled }
}

test('the file is there at once, for its owner, and is replaced at half of its life', async () => {
  const { path, start, fire, timers } = world([100, 50])
  await start()
  expect(readFileSync(path, 'utf8')).toBe('token-1')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(timers.map(({ ms }) => ms)).toEqual([50_000])
  await fire()
  expect(readFileSync(path, 'utf8')).toBe('token-2')
  expect(timers.at(-1)?.ms).toBe(25_000)
})

test.each([
  [0, 45_000],
  [1, 55_000],
])('what began together is not replaced together: with chance %d after %d of 100,000 ms', async (chance, ms) => {
  const { start, timers } = world([100], chance)
  await start()
  expect(timers.map((timer) => timer.ms)).toEqual([ms])
})

test('the first one that is not to be had is thrown', async () => {
  await expect(world([new Error('refused')]).start()).rejects.toThrow('refused')
})

test('a later one that is not to be had is told, tried again after growing pauses, and the file stays', async () => {
  const away = new Error('away')
  const { path, start, fire, timers, failures } = world([100, away, away, away, 100, away], 1)
  await start()
  const pauses: (number | undefined)[] = []
  for (let count = 1; count <= 3; count++) {
    await fire()
    pauses.push(timers.at(-1)?.ms)
  }
  expect([failures, pauses]).toEqual([
    [away, away, away],
    [1_000, 2_000, 4_000],
  ])
  expect(readFileSync(path, 'utf8')).toBe('token-1')
  await fire()
  expect(readFileSync(path, 'utf8')).toBe('token-5')
  await fire()
  expect(timers.at(-1)?.ms).toBe(1_000)
})

test('a machine that slept over it notices within a minute', async () => {
  const { path, start, fire, sleep, timers } = world([86_400, 100])
  await start()
  expect(timers.at(-1)?.ms).toBe(60_000)
  sleep(43_200_000)
  await fire()
  expect(readFileSync(path, 'utf8')).toBe('token-2')
})

test('a life that is longer than a timer can be is no reason to spin', async () => {
  const { start, fire, timers, path } = world([200 * 86_400])
  await start()
  await fire()
  expect(readFileSync(path, 'utf8')).toBe('token-1')
  expect(timers.map(({ ms }) => ms)).toEqual([60_000, 60_000])
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
