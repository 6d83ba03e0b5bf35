import { expect, test } from 'vitest'
import { createAlarm, halfOf, pauseAfterFailure } from '../../src/sdk/alarm.ts'
import { handClock } from '../support/sdk-gateway.ts'

const by = (chance: number) => ({ ...handClock(), random: () => chance })
const at = (ms: number) => new Date(ms)

test.each([
  [0, 45],
  [0.5, 50],
  [1, 55],
])('half of a life by chance %d is %d percent of it', (chance, percent) => {
  expect(halfOf({ from: at(1000), expiresAt: at(101_000) }, by(chance))).toEqual(at(1000 + percent * 1000))
})

test.each([
  ['the first pause', 1, 3_600_000, 1, 1_000],
  ['the least of it', 1, 3_600_000, 0, 500],
  ['the fourth', 4, 3_600_000, 1, 8_000],
  ['the longest', 20, 3_600_000, 1, 60_000],
  ['no longer than an eighth of what is left', 20, 80_000, 1, 10_000],
  ['nor shorter than a second, however little that is', 20, -5_000, 1, 1_000],
])('%s', (_, failures, leftMs, chance, expected) => {
  expect(pauseAfterFailure(failures, leftMs, by(chance))).toBe(expected)
})

/** A clock that can be set, and the pauses that were asked for. */
function world() {
  const asked: { readonly ms: number; readonly end: () => void }[] = []
  const clock = { ms: 0, cancelled: 0, rung: 0 }
  const alarm = createAlarm({
    now: () => at(clock.ms),
    random: () => 0,
    startTimer(callback, ms) {
      asked.push({ ms, end: callback })
      return () => void clock.cancelled++
    },
  })
  return { asked, alarm, clock, ring: () => void clock.rung++ }
}

test('it wakes once a minute to look at the clock, and rings when the time has come', () => {
  const { asked, alarm, clock, ring } = world()
  alarm.set(at(90_000), ring)
  clock.ms = 60_000
  asked[0]?.end()
  expect([asked.map(({ ms }) => ms), clock.rung]).toEqual([[60_000, 30_000], 0])
  clock.ms = 90_000
  asked[1]?.end()
  expect(clock.rung).toBe(1)
})

test('a clock that was put forward, or a machine that slept, rings at the next look', () => {
  const { asked, alarm, clock, ring } = world()
  alarm.set(at(3_600_000), ring)
  clock.ms = 7_200_000
  asked[0]?.end()
  expect(clock.rung).toBe(1)
})

test('another time takes the place of the one before', () => {
  const { alarm, clock, ring } = world()
  alarm.set(at(1_000), ring)
  alarm.set(at(2_000), ring)
  alarm.cancel()
  expect(clock.cancelled).toBe(2 + 0)
})
