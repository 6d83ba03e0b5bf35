import { describe, expect, test } from 'vitest'
import { createIdentityLimiter } from '../../src/core/rate-limit.ts'

function limiterOf(perMinute: number | undefined) {
  const clock = { ms: 1_000_000 }
  const take = createIdentityLimiter(perMinute, () => clock.ms)
  const takeMany = (count: number, id = 'a') => Array.from({ length: count }, () => take(id))
  return { clock, take, takeMany }
}

test('without a limit there is always room', () => {
  expect(new Set(limiterOf(undefined).takeMany(10_000))).toEqual(new Set([0]))
})

describe('six a minute', () => {
  test('six at once, and then one each ten seconds', () => {
    const { clock, takeMany, take } = limiterOf(6)
    expect(takeMany(7)).toEqual([0, 0, 0, 0, 0, 0, 10])
    clock.ms += 9_999
    expect(take('a')).toBe(1)
    clock.ms += 1
    expect(takeMany(2)).toEqual([0, 10])
  })

  test('what is refused takes no room', () => {
    const { clock, takeMany } = limiterOf(6)
    takeMany(1000)
    clock.ms += 60_000
    expect(takeMany(7).filter((wait) => wait === 0)).toHaveLength(6)
  })

  test('room that was not used is not saved up beyond a minute', () => {
    const { clock, takeMany } = limiterOf(6)
    takeMany(3)
    clock.ms += 3_600_000
    expect(takeMany(10).filter((wait) => wait === 0)).toHaveLength(6)
  })

  test('each identity has its own', () => {
    const { takeMany } = limiterOf(6)
    takeMany(7)
    expect(takeMany(6, 'b')).toEqual([0, 0, 0, 0, 0, 0])
  })
})

test.each([1, 7, 600, 100_000])('of %i a minute no more come through, in any minute', (perMinute) => {
  const { clock, take } = limiterOf(perMinute)
  const granted: number[] = []
  const stepMs = Math.max(1, Math.floor(20_000 / perMinute))
  for (let round = 0; round < 9 * Math.min(perMinute, 1000); round++) {
    if (take('a') === 0) granted.push(clock.ms)
    clock.ms += stepMs
  }
  // A full bucket and what flows in while it is emptied.
  const within = granted.map((from) => granted.filter((at) => at >= from && at < from + 60_000).length)
  expect(Math.max(...within)).toBeLessThanOrEqual(2 * perMinute)
  expect(granted.length).toBeLessThanOrEqual(perMinute * (1 + (clock.ms - 1_000_000) / 60_000) + 1)
})

test('identities that are remembered are bounded: the one that asked longest ago is forgotten', () => {
  const { take, takeMany } = limiterOf(1)
  expect(takeMany(2, 'first')).toEqual([0, 60])
  for (let count = 0; count < 99_999; count++) take(`id ${count}`)
  expect(take('first')).toBe(60)
  take('one more')
  expect(take('first')).toBe(0)
})
