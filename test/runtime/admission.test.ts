import { describe, expect, test } from 'vitest'
import { createAdmission } from '../../src/runtime/admission.node.ts'

/** An event loop whose turns are called by hand, a clock, and requests that say what became of them. */
function createWorld() {
  const turns: (() => void)[] = []
  const answered: number[] = []
  const refused: number[] = []
  const gone = new Set<number>()
  let nowMs = 0
  let finished = 0
  let shed = 0
  let shown: number | undefined
  const admission = createAdmission({
    telemetry: {
      count: (metric) => void (metric === 'apostille_http_requests_shed_total' && shed++),
      gauge(_, value) {
        shown = value
      },
    },
    monotonicMs: () => nowMs,
    answering: () => answered.length - finished,
    nextTurn: (begin) => turns.push(begin),
  })
  return {
    answered,
    refused,
    gone,
    shed: () => shed,
    /** How many wait, as operators see it. */
    shown: () => shown,
    pending: () => turns.length,
    arrive(...ids: readonly number[]) {
      for (const id of ids) {
        if (admission.admits()) answered.push(id)
        else
          admission.wait({
            answer: () => void answered.push(id),
            refuse: () => void refused.push(id),
            isGone: () => gone.has(id),
          })
      }
    },
    /** So many of those that were begun have their answer. */
    finish(count: number) {
      finished += count
    },
    turn(laterMs = 1) {
      nowMs += laterMs
      for (const begin of turns.splice(0)) begin()
    },
  }
}

const from = (first: number, count: number) => Array.from({ length: count }, (_, index) => first + index)

describe('what there is room for', () => {
  test('is begun at once, and again in the next turn', () => {
    const world = createWorld()
    world.arrive(...from(0, 64))
    expect(world.answered).toEqual(from(0, 64))
    world.turn()
    world.arrive(...from(64, 64))
    expect(world.answered).toEqual(from(0, 128))
  })

  test('a process at rest is left alone', () => {
    const world = createWorld()
    world.arrive(1)
    world.turn()
    expect(world.pending()).toBe(0)
  })
})

describe('more than one turn can begin', () => {
  test('waits for the next turns, in the order in which it came', () => {
    const world = createWorld()
    world.arrive(...from(0, 150))
    expect(world.answered).toEqual(from(0, 64))
    world.turn()
    expect([world.answered, world.shown()]).toEqual([from(0, 128), 22])
    world.turn()
    expect([world.answered, world.shown()]).toEqual([from(0, 150), 0])
    expect(world.refused).toEqual([])
  })

  test('is not overtaken by what comes later', () => {
    const world = createWorld()
    world.arrive(...from(0, 65))
    world.turn()
    world.arrive(...from(65, 64))
    expect(world.answered).toEqual(from(0, 128))
  })

  test('is passed over when its caller is gone', () => {
    const world = createWorld()
    world.arrive(...from(0, 66))
    world.gone.add(64)
    world.turn()
    expect(world.answered).toEqual([...from(0, 64), 65])
  })
})

describe('what would have to wait too long', () => {
  test('is refused, and counted', () => {
    const world = createWorld()
    world.arrive(...from(0, 70))
    world.turn(101)
    expect(world.refused).toEqual(from(64, 6))
    expect(world.shed()).toBe(6)
    expect(world.answered).toEqual(from(0, 64))
  })

  test('is still answered within the limit', () => {
    const world = createWorld()
    world.arrive(...from(0, 70))
    world.turn(100)
    expect(world.answered).toEqual(from(0, 70))
    expect(world.shed()).toBe(0)
  })

  test('is let go at a fraction of the rate of answers while every turn is full', () => {
    const world = createWorld()
    world.arrive(...from(0, 64), ...from(1000, 100))
    world.turn(60)
    // From here on the 36 that are left of the first wave are late, and a second one fills the turns.
    world.arrive(...from(2000, 200))
    world.turn(41)
    expect(world.answered).toHaveLength(64 + 64 + 64)
    expect(world.refused).toEqual(from(1064, 16))
    world.turn()
    expect(world.answered).toHaveLength(64 + 64 + 64 + 64)
    expect(world.refused).toEqual(from(1064, 32))
    world.turn()
    expect(world.refused).toEqual(from(1064, 36))
  })

  test('is not held for more than a second and a half, however full the turns are', () => {
    const world = createWorld()
    world.arrive(...from(0, 64), ...from(1000, 900))
    for (let turns = 0; turns < 15; turns++) {
      world.turn(99)
      world.arrive(...from(10_000 + turns * 1000, 128))
    }
    expect(world.refused).toContain(1064)
    expect(world.refused).not.toContain(1899)
    world.turn(16)
    expect(world.refused).toContain(1899)
  })

  test('is not refused any more when its caller is gone', () => {
    const world = createWorld()
    world.arrive(...from(0, 65))
    world.gone.add(64)
    world.turn(101)
    expect(world.refused).toEqual([])
    expect(world.shed()).toBe(0)
  })

  test('leaves nothing behind', () => {
    const world = createWorld()
    world.arrive(...from(0, 1000))
    for (let turns = 0; turns < 20; turns++) world.turn(20)
    expect(world.answered.length + world.refused.length).toBe(1000)
    expect(world.pending()).toBe(0)
  })
})

describe('requests that wait for another service', () => {
  test('do not keep others out while there are few', () => {
    const world = createWorld()
    for (let turns = 0; turns < 10; turns++) {
      world.arrive(...from(turns * 64, 64))
      world.turn()
    }
    expect(world.answered).toHaveLength(640)
  })

  test('keep others out when they are many, until some are answered', () => {
    const world = createWorld()
    for (let turns = 0; world.answered.length < 2000; turns++) {
      world.arrive(...from(turns * 50, 50))
      world.turn()
    }
    world.arrive(9000, 9001)
    world.turn()
    expect(world.answered).not.toContain(9000)
    world.finish(1)
    world.turn()
    expect(world.answered).toContain(9000)
    expect(world.answered).not.toContain(9001)
    world.turn(101)
    expect(world.refused).toEqual([9001])
  })
})

test('more than can be held is refused at once', () => {
  const world = createWorld()
  world.arrive(...from(0, 64 + 10_000))
  expect(world.refused).toEqual([])
  world.arrive(20_000)
  expect(world.refused).toEqual([20_000])
})
