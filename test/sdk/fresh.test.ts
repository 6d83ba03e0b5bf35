import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createFreshKeeper, freshUntil } from '../../src/sdk/fresh.ts'
import { createJoinEqual } from '../../src/sdk/join-equal.node.ts'

const start = Date.parse('2026-01-01T00:00:00Z')
const at = (seconds: number) => new Date(start + seconds * 1000)

test.each([
  ['an hour', 3600, 2700],
  ['a quarter of an hour', 900, 450],
  ['five minutes', 300, 150],
  ['two minutes', 120, 60],
  ['a minute', 60, 0],
  ['half a minute', 30, -30],
])('what has %s is fresh for a while', (_, leftSeconds, freshSeconds) => {
  expect(freshUntil({ expiresAt: at(leftSeconds) }, at(0))).toEqual(at(freshSeconds))
})

test('nothing is fresh in its last minute', () => {
  fc.assert(
    fc.property(fc.integer({ min: -1000, max: 100_000 }), (leftSeconds) => {
      expect(freshUntil({ expiresAt: at(leftSeconds) }, at(0)).getTime()).toBeLessThanOrEqual(
        at(leftSeconds - 60).getTime(),
      )
    }),
  )
})

/** Each load gives the next of `outcomes`: how long it lives in seconds, or an error. */
function keeper(outcomes: (number | Error)[], mayServeOld = true) {
  const world = { seconds: 0, loads: 0 }
  const now = () => at(world.seconds)
  const keep = createFreshKeeper<{ readonly load: number; readonly expiresAt: Date }>({
    now,
    mayServeOld: () => mayServeOld,
    join: createJoinEqual(),
  })
  const get = (key = 'a') =>
    keep(key, async () => {
      const outcome = outcomes[world.loads++]
      if (outcome instanceof Error) throw outcome
      return { load: world.loads, expiresAt: at(world.seconds + (outcome ?? 0)) }
    })
  return { world, get }
}

test('what is fresh is used again, and what is not is had anew', async () => {
  const { world, get } = keeper([3600, 3600])
  expect((await get()).load).toBe(1)
  world.seconds = 2699
  expect((await get()).load).toBe(1)
  world.seconds = 2700
  expect((await get()).load).toBe(2)
})

test('keys are kept apart', async () => {
  const { get } = keeper([3600, 3600])
  expect([(await get('a')).load, (await get('b')).load, (await get('a')).load]).toEqual([1, 2, 1])
})

test('equal calls at the same time are one load', async () => {
  const { world, get } = keeper([3600])
  const all = await Promise.all(Array.from({ length: 50 }, () => get()))
  expect(new Set(all).size).toBe(1)
  expect(world.loads).toBe(1)
})

test('without a join each call loads', async () => {
  let loads = 0
  const keep = createFreshKeeper({ now: () => at(0), mayServeOld: () => true })
  const load = async () => ({ load: ++loads, expiresAt: at(3600) })
  await Promise.all([keep('a', load), keep('a', load)])
  expect(loads).toBe(2)
})

test('an old one serves while it is worth it, when the next is not to be had', async () => {
  const { world, get } = keeper([3600, new Error('away'), new Error('away'), 3600])
  await get()
  world.seconds = 3539
  expect((await get()).load).toBe(1)
  world.seconds = 3540
  await expect(get()).rejects.toThrow('away')
  expect((await get()).load).toBe(4)
})

test('a failure that is an answer is thrown, and the old one forgotten', async () => {
  const { world, get } = keeper([3600, new Error('refused'), new Error('refused')], false)
  await get()
  world.seconds = 2700
  await expect(get()).rejects.toThrow('refused')
  world.seconds = 0
  await expect(get()).rejects.toThrow('refused')
})
