import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  firstPollsMs,
  intervalSeconds,
  isDue,
  isOverdue,
  leaseMs,
  nextPoll,
} from '../../src/core/federation-schedule.ts'

const now = new Date('2026-08-01T12:00:00Z')
const later = (seconds: number) => new Date(now.getTime() + seconds * 1000)
const hinted = (refreshHintSeconds: number) => ({ bundle: '{}', refreshHintSeconds })

test.each([
  ['the hint', hinted(120), 120],
  ['five minutes without one', { bundle: '{}' }, 300],
  ['not every second, whatever the hint', hinted(0), 10],
  ['at least daily, whatever the hint', hinted(2 ** 40), 86_400],
  ['a minute while nothing is held', {}, 60],
])('asks at the interval: %s', (_, state, seconds) => {
  expect(intervalSeconds(state)).toBe(seconds)
})

test.each([
  ['at the hint at the latest', 0, false, 0, 300],
  ['up to a quarter earlier', 0, false, 1, 225],
  ['after the first at any time from a quarter on', 0, true, 1, 75],
  ['after a failure twice as late', 1, false, 0, 600],
  ['or a quarter later than that', 1, false, 1, 750],
  ['after two four times as late', 2, false, 0, 1200],
  ['and no later after a hundred', 100, false, 0, 1200],
])('asks next %s', (_, failures, isLate, random, seconds) => {
  expect(nextPoll(now, { failures, ...hinted(300) }, { random, isLate })).toEqual(later(seconds))
})

test.each([
  ['an hour', 1800, 3600],
  ['the interval, where that is longer', 7200, 7200],
])('waits after failures no longer than %s', (_, hint, seconds) => {
  expect(nextPoll(now, { failures: 9, ...hinted(hint) }, { random: 0, isLate: false })).toEqual(later(seconds))
})

test.each([
  ['its time has come', 0, true],
  ['it has long passed', -1_000_000, true],
  ['it is still to come', 1, false],
  ['another replica asks right now', leaseMs / 1000, false],
  ['the clock went back: nothing is ever put off for so long', 376, true],
])('is due: %s', (_, pollAt, due) => {
  expect(isDue({ pollAt: later(pollAt), failures: 0, ...hinted(300) }, now)).toBe(due)
})

test('what was put off by failures is not due before its time', () => {
  const state = { failures: 2, ...hinted(300) }
  const pollAt = nextPoll(now, state, { random: 1, isLate: false })
  expect(isDue({ ...state, pollAt }, now)).toBe(false)
})

test('a time that was set is kept, and is not overdue when it comes', () => {
  const states = fc.record({
    failures: fc.nat(50),
    refreshHintSeconds: fc.nat(10 ** 6),
    bundle: fc.constant('{}'),
  })
  const luck = fc.record({ random: fc.double({ min: 0, max: 1, noNaN: true }), isLate: fc.boolean() })
  fc.assert(
    fc.property(states, luck, (state, options) => {
      const next = { ...state, pollAt: nextPoll(now, state, options) }
      expect(isDue(next, now)).toBe(false)
      expect(isDue(next, next.pollAt)).toBe(true)
      expect(isOverdue(next, next.pollAt)).toBe(false)
    }),
  )
})

test('is overdue a quarter of the interval later', () => {
  const state = { pollAt: now, failures: 0, ...hinted(300) }
  expect([75, 76].map((seconds) => isOverdue(state, later(seconds)))).toEqual([false, true])
})

test.each([
  [1, 100],
  [100, 10_000],
  [1000, 30_000],
])('the first polls of %i peers are spread over %i ms', (peers, ms) => {
  expect(firstPollsMs(peers)).toBe(ms)
})
