import { describe, expect, test } from 'vitest'
import type { AuthoritySet } from '../../src/core/authority-document.ts'
import { type RingPlan, slotSeconds } from '../../src/core/authority-plan.ts'
import type { SignatureAlgorithm } from '../../src/protocol/algorithms.ts'
import { createWorld, emergencies, type World } from '../support/rotation-world.ts'

const minute = 60
const hour = 60 * minute
const day = 24 * hour

function plansOf(ttlSeconds: number, algorithms: readonly SignatureAlgorithm[] = ['ES256']): readonly RingPlan[] {
  return [
    { ring: 'x509', algorithm: 'ES256', ttlSeconds },
    ...algorithms.map((algorithm): RingPlan => ({ ring: `jwt/${algorithm}`, algorithm, ttlSeconds })),
  ]
}

/** What holds after every write, whatever happened. */
function expectSound(sets: readonly AuthoritySet[]): void {
  for (const [index, { sequence, authorities }] of sets.entries()) {
    expect(sequence).toBeGreaterThan(sets[index - 1]?.sequence ?? 0)
    for (const ring of new Set(authorities.map((authority) => authority.ring))) {
      const inRing = authorities.filter((authority) => authority.ring === ring)
      expect(inRing.filter(({ state }) => state === 'active').length).toBeLessThanOrEqual(1)
      expect(inRing.filter(({ state }) => state === 'prepared').length).toBeLessThanOrEqual(1)
    }
    for (const { state, sealedKey } of authorities) expect(sealedKey === undefined).toBe(state === 'retiring')
    expect(new Set(authorities.map(({ id }) => id)).size).toBe(authorities.length)
  }
}

function expectNoGap(world: World): void {
  expectSound(world.sets())
  expect(world.rejections.slice(0, 3)).toEqual([])
  expect([...emergencies(world.sets())]).toEqual([])
  expect(world.counts().issued).toBeGreaterThan(20)
}

function made(world: World, ring: string): number {
  return new Set(
    world.sets().flatMap(({ authorities }) => authorities.filter((one) => one.ring === ring).map(({ id }) => id)),
  ).size
}

test('a month of rotation: nobody who polls at the hint or at max-age rejects an unexpired SVID', async () => {
  const world = await createWorld({
    ...{ plans: plansOf(7 * day, ['ES256', 'RS256']), verifiers: 4, issueEveryMs: 4 * hour * 1000, seed: 1 },
  })
  await world.run(31 * day)
  expectNoGap(world)
  expect(world.counts().unissued).toBe(0)
  const rotations = Math.floor((31 * day) / slotSeconds(7 * day))
  for (const ring of ['x509', 'jwt/ES256']) expect(made(world, ring)).toBe(rotations + 2)
})

describe.each([
  ['the shortest lifetime', 180, 20 * minute],
  ['a short lifetime', 10 * minute, hour],
  ['a day, as below an upstream authority', day, 3 * day],
])('with %s', (_, ttlSeconds, seconds) => {
  const options = { plans: plansOf(ttlSeconds), verifiers: 4, issueEveryMs: (slotSeconds(ttlSeconds) * 1000) / 8 }

  test('no verifier rejects an unexpired SVID', async () => {
    const world = await createWorld({ ...options, seed: 2 })
    await world.run(seconds)
    expectNoGap(world)
    expect(world.counts().unissued).toBe(0)
  })

  test('three replicas whose clocks are 30 s apart rotate once each time', async () => {
    const world = await createWorld({ ...options, offsetsMs: [0, 30_000, -30_000], seed: 3 })
    await world.run(seconds)
    expectNoGap(world)
    const most = Math.ceil((seconds + 60) / slotSeconds(ttlSeconds)) + 2
    expect(made(world, 'x509')).toBeLessThanOrEqual(most)
    expect(made(world, 'x509')).toBeGreaterThan(most - 4)
  })
})

describe('while the gateway is away, verifiers keep what they have', () => {
  const options = { plans: plansOf(7 * day), verifiers: 4, issueEveryMs: hour * 1000 }
  const slot = slotSeconds(7 * day)

  test.each([
    ['minutes', 20 * minute],
    ['hours', 9 * hour],
    ['a slot', slot],
    ['days, over two rotations', 2 * slot + hour],
    ['until shortly before the last key expires', 3 * slot - 2 * hour],
  ])('%s: what signs afterwards is known to all', async (_, seconds) => {
    const world = await createWorld({ ...options, seed: 4 })
    await world.run(slot + hour)
    world.stop()
    await world.run(seconds)
    world.restart()
    await world.run(slot)
    expectNoGap(world)
    expect(world.counts().unissued).toBe(0)
  })

  test('longer than any key lives: new ones sign at once, and verifiers know them at their next look', async () => {
    const world = await createWorld({ ...options, issueEveryMs: minute * 1000, seed: 5 })
    await world.run(hour)
    world.stop()
    await world.run(30 * day)
    world.restart()
    const backMs = world.nowMs()
    await world.run(2 * hour)
    expectSound(world.sets())
    expect(world.counts().unissued).toBe(0)
    expect(emergencies(world.sets()).size).toBe(2)
    expect(world.rejections.filter(({ atMs }) => atMs > backMs + 301_000)).toEqual([])
  })

  test.each([1, 2])('again and again (%i)', async (seed) => {
    const world = await createWorld({ ...options, plans: plansOf(hour), issueEveryMs: 2 * minute * 1000, seed })
    for (let round = 0; round < 8; round++) {
      await world.run(13 * minute + seed * 71)
      world.stop()
      await world.run(7 * minute * (1 + ((round * seed) % 4)))
      world.restart()
    }
    await world.run(hour)
    expectNoGap(world)
  })
})

describe('when the clock of the gateway jumps', () => {
  test.each([
    ['ahead', [4]],
    ['back', [-4]],
    ['ahead and back again', [4, 0]],
    ['back and ahead again', [-4, 0]],
    ['to and fro', [4, -4, 3, -2, 0]],
  ])('%s by minutes, what is unexpired is accepted', async (_, jumps) => {
    const world = await createWorld({ plans: plansOf(hour), verifiers: 4, issueEveryMs: 90_000, seed: 6 })
    await world.run(31 * minute)
    for (const minutes of jumps) {
      for (const gateway of world.gateways) gateway.offsetMs = minutes * 60_000
      await world.run(17 * minute)
    }
    await world.run(hour)
    expectNoGap(world)
  })
})

describe('when the configuration changes', () => {
  const options = { plans: plansOf(7 * day), verifiers: 4, issueEveryMs: 10 * minute * 1000 }

  test.each([
    ['shorter', 7 * day, 180, 3 * day],
    ['longer', 10 * minute, 7 * day, 6 * hour],
  ])('to a %s lifetime, no verifier rejects an unexpired SVID', async (_, before, after, seconds) => {
    const world = await createWorld({ ...options, plans: plansOf(before), issueEveryMs: 5 * minute * 1000, seed: 7 })
    await world.run(3 * before > day ? day : hour)
    world.changePlans(plansOf(after))
    await world.run(hour)
    world.issueEvery(before > day ? 2 * hour : 5 * minute)
    await world.run(seconds)
    expectNoGap(world)
    expect(world.counts().unissued).toBe(0)
    expect(
      world
        .sets()
        .at(-1)
        ?.authorities.some((one) => one.slotSeconds === slotSeconds(after)),
    ).toBe(true)
  })

  test('another algorithm of JWT-SVIDs takes over once verifiers know it, and the old one signs until then', async () => {
    const world = await createWorld({ ...options, issueEveryMs: minute * 1000, seed: 8 })
    await world.run(hour)
    world.changePlans(plansOf(7 * day, ['ES384']))
    await world.run(10 * minute)
    expect(states(world, 'jwt/ES256')).toEqual(['active'])
    expect(states(world, 'jwt/ES384')).toEqual(['prepared'])
    await world.run(hour)
    expect(states(world, 'jwt/ES256')).toEqual(['retiring'])
    expect(states(world, 'jwt/ES384')).toEqual(['active', 'prepared'])
    world.issueEvery(3 * hour)
    await world.run(3 * day)
    expect(states(world, 'jwt/ES256')).toEqual([])
    expectNoGap(world)
    expect(world.counts().unissued).toBe(0)
  })

  test('an algorithm that is added signs nothing before three times the refresh hint', async () => {
    const world = await createWorld({ ...options, issueEveryMs: minute * 1000, seed: 9 })
    await world.run(hour)
    world.changePlans(plansOf(7 * day, ['ES256', 'RS256']))
    const { unissued } = world.counts()
    await world.run(14 * minute)
    expect(states(world, 'jwt/RS256')).toEqual(['prepared'])
    expect(world.counts().unissued).toBeGreaterThan(unissued)
    await world.run(2 * minute)
    expect(states(world, 'jwt/RS256')).toEqual(['active', 'prepared'])
    world.issueEvery(3 * hour)
    await world.run(2 * day)
    expectNoGap(world)
  })
})

describe('what operators do by hand', () => {
  const options = { verifiers: 4, seed: 10 }

  test('a successor that is prepared just before its turn waits until it is known', async () => {
    const world = await createWorld({ ...options, plans: plansOf(hour), issueEveryMs: 20_000 })
    await world.run(19 * minute + 50)
    await world.gateways[0]?.authorities.change({ action: 'prepare', ring: 'x509' })
    await world.gateways[0]?.authorities.change({ action: 'prepare', ring: 'jwt/ES256' })
    await world.run(2 * hour)
    expectNoGap(world)
  })

  test('a shorter lifetime and a fresh successor in one minute wait for those who hold the old hint', async () => {
    const world = await createWorld({ ...options, plans: plansOf(7 * day), issueEveryMs: 3 * minute * 1000 })
    await world.run(hour)
    world.changePlans(plansOf(180))
    for (const ring of ['x509', 'jwt/ES256'] as const) {
      await world.gateways[0]?.authorities.change({ action: 'prepare', ring })
      const early = world.gateways[0]?.authorities.change({ action: 'activate', ring, force: false })
      await expect(early).rejects.toMatchObject({ code: 'conflict' })
    }
    await world.run(15 * minute + 1)
    for (const ring of ['x509', 'jwt/ES256'] as const)
      await world.gateways[0]?.authorities.change({ action: 'activate', ring, force: false })
    await world.run(20 * minute)
    expectNoGap(world)
  })

  test('after an early activation, replicas that have not seen it sign nothing that outlives the bundle', async () => {
    const world = await createWorld({
      ...{ ...options, plans: plansOf(hour), issueEveryMs: 5_000, offsetsMs: [30_000, -30_000, 0] },
    })
    await world.run(10 * minute)
    for (const ring of ['x509', 'jwt/ES256'] as const)
      await world.gateways[0]?.authorities.change({ action: 'activate', ring, force: false })
    await world.run(3 * minute)
    world.issueEvery(minute)
    await world.run(hour)
    expectNoGap(world)
  })
})

function states(world: World, ring: string): readonly string[] {
  const { authorities = [] } = world.sets().at(-1) ?? {}
  return authorities.filter((authority) => authority.ring === ring).map(({ state }) => state)
}
