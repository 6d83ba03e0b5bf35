import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AuthoritySet } from '../../src/core/authority-document.ts'
import { formatAuthoritySet, nextSequence, readAuthoritySet } from '../../src/core/authority-document.ts'
import {
  type Authority,
  leavesAt,
  planAuthorities,
  type RingPlan,
  refreshHintSeconds,
  slotSeconds,
  stopSigning,
} from '../../src/core/authority-plan.ts'

const day = 86_400
const slot = slotSeconds(7 * day)
const start = new Date('2026-03-01T00:00:00Z')
const plus = (seconds: number, from = start) => new Date(from.getTime() + seconds * 1000)

const x509: RingPlan = { ring: 'x509', algorithm: 'ES256', ttlSeconds: 7 * day }
const es256: RingPlan = { ring: 'jwt/ES256', algorithm: 'ES256', ttlSeconds: 7 * day }
const rs256: RingPlan = { ring: 'jwt/RS256', algorithm: 'RS256', ttlSeconds: 7 * day }
const es384: RingPlan = { ring: 'jwt/ES384', algorithm: 'ES384', ttlSeconds: 7 * day }

let made = 0

/** Applies the plan, making what it wants, until it wants nothing. */
function settle(current: readonly Authority[], plans: readonly RingPlan[], now: Date): readonly Authority[] {
  const { authorities, wanted } = planAuthorities(current, plans, now)
  if (wanted.length === 0) return authorities
  const added = wanted.map(({ startsAt: _startsAt, ...rest }): Authority => {
    made++
    return { ...rest, id: `id ${made}`, keyName: `${made}`, publicKey: '', sealedKey: 'sealed' }
  })
  return settle([...authorities, ...added], plans, now)
}

const inState = (set: readonly Authority[], state: Authority['state'], ring = 'x509') =>
  set.filter((authority) => authority.ring === ring && authority.state === state)

function one(set: readonly Authority[], state: Authority['state'], ring = 'x509'): Authority {
  const [found, ...others] = inState(set, state, ring)
  if (found === undefined || others.length > 0) throw new Error(`not one ${state} of ${ring}`)
  return found
}

describe('from nothing', () => {
  const set = settle([], [x509, es256], start)

  test('the first of each ring is active at once, with a successor that waits a slot', () => {
    for (const ring of ['x509', 'jwt/ES256']) {
      const active = one(set, 'active', ring)
      expect(active).toMatchObject({ activeUntil: plus(slot), expiresAt: plus(2 * slot), slotSeconds: slot })
      expect(one(set, 'prepared', ring)).toMatchObject({ createdAt: start, expiresAt: plus(3 * slot) })
    }
    expect(set).toHaveLength(4)
  })

  test('a slot later the successor signs, and another stands ready', () => {
    const next = settle(set, [x509, es256], plus(slot))
    expect(one(next, 'active').id).toBe(one(set, 'prepared').id)
    expect(one(next, 'active')).toMatchObject({ activeUntil: plus(2 * slot), expiresAt: plus(3 * slot) })
    expect(one(next, 'retiring')).toMatchObject({ activeUntil: plus(slot), expiresAt: plus(2 * slot) })
    expect(one(next, 'retiring')).not.toHaveProperty('sealedKey')
    expect(one(next, 'prepared')).toMatchObject({ expiresAt: plus(4 * slot) })
  })

  test('what retires leaves a little after it expired, as no two clocks are the same', () => {
    const second = settle(set, [x509], plus(slot))
    expect(inState(settle(second, [x509], plus(2 * slot + 299)), 'retiring')).toHaveLength(2)
    expect(inState(settle(second, [x509], plus(2 * slot + 300)), 'retiring')).toHaveLength(1)
  })
})

describe('a ring that the configuration adds', () => {
  const before = settle([], [x509, es256], start)
  const added = settle(before, [x509, es256, rs256], plus(3600))

  test('has no active one until three times the refresh hint have passed', () => {
    expect(refreshHintSeconds([slot])).toBe(300)
    expect(inState(added, 'active', 'jwt/RS256')).toEqual([])
    const waiting = settle(added, [x509, es256, rs256], plus(3600 + 899))
    expect(waiting).toBe(added)
    const signing = settle(added, [x509, es256, rs256], plus(3600 + 900))
    expect(one(signing, 'active', 'jwt/RS256').id).toBe(one(added, 'prepared', 'jwt/RS256').id)
    expect(one(signing, 'active', 'jwt/RS256').activeUntil).toEqual(plus(3600 + 900 + slot))
  })

  test('signs at once after everything has expired, as nothing is known to anybody then', () => {
    expect(inState(settle(added, [x509, es256, rs256], plus(30 * day)), 'active', 'jwt/RS256')).toHaveLength(1)
    expect(inState(settle(before, [x509, es256], plus(30 * day)), 'active', 'jwt/ES256')).toHaveLength(1)
    expect(inState(settle(before, [x509, es256], plus(30 * day)), 'active')).toHaveLength(1)
  })

  test('in the place of another waits while that one goes on', () => {
    const changed = settle(before, [x509, es384], plus(3600))
    expect(one(changed, 'active', 'jwt/ES256').sealedKey).toBe('sealed')
    expect(inState(changed, 'prepared', 'jwt/ES256')).toEqual([])
    const taken = settle(changed, [x509, es384], plus(3600 + 900))
    expect(one(taken, 'active', 'jwt/ES384').id).toBe(one(changed, 'prepared', 'jwt/ES384').id)
    expect(one(taken, 'retiring', 'jwt/ES256')).not.toHaveProperty('sealedKey')
  })

  test('one that is taken away stops at once, and is published as long as what it signed lives', () => {
    const both = settle([], [x509, es256, rs256], start)
    const without = settle(both, [x509, es256], plus(100))
    expect(inState(without, 'prepared', 'jwt/RS256')).toEqual([])
    expect(one(without, 'retiring', 'jwt/RS256').expiresAt).toEqual(plus(100 + slot + 120))
  })
})

describe('a taint', () => {
  const set = settle([], [x509], start)
  const taint = (wrong: Authority, now: Date) => set.map((one) => (one === wrong ? { ...one, taintedAt: now } : one))

  test('of the active one lets its successor sign at once, however young it is', () => {
    const next = settle(taint(one(set, 'active'), plus(1)), [x509], plus(1))
    expect(one(next, 'active').id).toBe(one(set, 'prepared').id)
    expect(one(next, 'retiring').taintedAt).toEqual(plus(1))
  })

  test('of the prepared one puts another in its place, which waits until it is known', () => {
    const next = settle(taint(one(set, 'prepared'), plus(slot - 1)), [x509], plus(slot - 1))
    expect(one(next, 'prepared').id).not.toBe(one(set, 'prepared').id)
    const due = settle(next, [x509], plus(slot + 898))
    expect(one(due, 'active').id).toBe(one(set, 'active').id)
    expect(one(settle(next, [x509], plus(slot + 899)), 'active').id).toBe(one(next, 'prepared').id)
  })

  test('of both leaves one that nobody knows yet, and no gap', () => {
    const all = set.map((authority) => ({ ...authority, taintedAt: start }))
    const next = settle(all, [x509], plus(1))
    expect(one(next, 'active').createdAt).toEqual(plus(1))
  })
})

test('a replica that has not seen the change yet signs nothing that outlives its key in the bundle', () => {
  for (const seconds of [60, 200, slot]) {
    const active = { ...one(settle([], [{ ...x509, ttlSeconds: 3 * seconds }], start), 'active') }
    const stopped = stopSigning({ ...active, expiresAt: plus(10 * seconds) }, plus(5))
    // A minute for the snapshot that it holds, and half a minute for its clock and for that of whoever publishes.
    expect(leavesAt(stopped).getTime()).toBeGreaterThanOrEqual(plus(5 + 60 + 60 + seconds).getTime())
  }
})

test('without a successor the active one signs to its end', () => {
  const active = { ...one(settle([], [x509], start), 'active') }
  const { authorities, wanted } = planAuthorities([active], [x509], plus(2 * slot - 1))
  expect(authorities).toEqual([active])
  expect(wanted).toMatchObject([{ state: 'prepared', startsAt: plus(2 * slot - 1 + 900) }])
  expect(planAuthorities([active], [x509], plus(2 * slot)).wanted).toMatchObject([{ state: 'active' }])
})

describe('whatever happens', () => {
  const rings = fc.constantFrom([x509], [x509, es256], [x509, es256, rs256], [x509, rs256], [x509, es384])
  const ttl = fc.constantFrom(180, 600, 3600, day, 7 * day)
  const step = fc.record({
    plans: fc.tuple(rings, ttl).map(([plans, ttlSeconds]) => plans.map((plan) => ({ ...plan, ttlSeconds }))),
    /** Mostly onward, sometimes back, sometimes far. */
    seconds: fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 0, max: 700 }) },
      { weight: 2, arbitrary: fc.integer({ min: -400, max: 0 }) },
      { weight: 2, arbitrary: fc.integer({ min: 0, max: 4 * day }) },
    ),
    taint: fc.option(fc.nat(11)),
  })
  const life = fc.array(step, { minLength: 1, maxLength: 25 })

  interface Moment {
    readonly before: readonly Authority[]
    readonly set: readonly Authority[]
    readonly plans: readonly RingPlan[]
    readonly now: Date
  }

  function live(steps: readonly { plans: readonly RingPlan[]; seconds: number; taint: number | null }[]) {
    const moments: Moment[] = []
    let now = start
    let set: readonly Authority[] = []
    for (const { plans, seconds, taint } of steps) {
      now = plus(seconds, now)
      const at = now
      const before = set.map((authority, index) => (index === taint ? { ...authority, taintedAt: at } : authority))
      set = settle(before, plans, now)
      moments.push({ before, set, plans, now })
    }
    return moments
  }

  const holds = (check: (moment: Moment) => void) =>
    fc.assert(
      fc.property(life, (steps) => live(steps).forEach(check)),
      { numRuns: 150 },
    )

  test('planning again changes nothing, even on a clock that is half a minute behind', () => {
    holds(({ set, plans, now }) => {
      expect(planAuthorities(set, plans, now)).toEqual({ authorities: set, wanted: [] })
      expect(planAuthorities(set, plans, now).authorities).toBe(set)
      expect(planAuthorities(set, plans, plus(-30, now)).wanted).toEqual([])
    })
  })

  test('a ring never has two that sign, and always one that stands ready', () => {
    holds(({ set, plans }) => {
      for (const { ring } of plans) {
        expect(inState(set, 'active', ring).length).toBeLessThanOrEqual(1)
        expect(inState(set, 'prepared', ring)).toHaveLength(1)
      }
    })
  })

  test('a ring that had one that signs has one', () => {
    holds(({ before, set, plans }) => {
      for (const { ring } of plans)
        if (inState(before, 'active', ring).length > 0) expect(inState(set, 'active', ring)).toHaveLength(1)
      expect(inState(set, 'active', 'x509')).toHaveLength(1)
    })
  })

  test('something always signs JWT-SVIDs, once something did', () => {
    holds(({ before, set, plans, now }) => {
      const signing = (authorities: readonly Authority[]) =>
        authorities.some(({ ring, state }) => ring !== 'x509' && state === 'active')
      const untainted = before.filter(({ taintedAt }) => taintedAt === undefined)
      const goesOn = untainted.filter(({ expiresAt }) => expiresAt > now)
      if (plans.length > 1 && signing(goesOn)) expect(signing(set)).toBe(true)
    })
  })

  test('the private key is gone as soon as it no longer signs', () => {
    holds(({ set }) => {
      for (const { state, sealedKey } of set) expect(sealedKey === undefined).toBe(state === 'retiring')
    })
  })

  test('what signs is not tainted and not expired, and what it signs may live for as long as is left of it', () => {
    holds(({ set, now }) => {
      for (const { state, taintedAt, expiresAt } of set) {
        if (state === 'active') expect(taintedAt).toBeUndefined()
        if (state !== 'retiring') expect(expiresAt.getTime()).toBeGreaterThan(now.getTime())
      }
    })
  })

  test('nothing that may have signed leaves before the last that it can have signed has expired', () => {
    holds(({ before, set, now }) => {
      const left = before.filter(({ id }) => !set.some((authority) => authority.id === id))
      for (const authority of left.filter(({ state }) => state !== 'prepared'))
        expect(leavesAt(authority).getTime()).toBeLessThanOrEqual(now.getTime())
      for (const authority of before.filter(({ state }) => state === 'active')) {
        const stopped = set.find(({ id, state }) => id === authority.id && state === 'retiring')
        const reaches = Math.min(authority.expiresAt.getTime(), now.getTime() + authority.slotSeconds * 1000)
        if (stopped) expect(stopped.expiresAt.getTime()).toBeGreaterThanOrEqual(reaches)
      }
    })
  })

  test('it is kept and read back as it was', () => {
    holds(({ set }) => {
      const document: AuthoritySet = { sequence: 7, authorities: set }
      expect(readAuthoritySet(formatAuthoritySet(document))).toEqual(document)
    })
  })
})

describe('the refresh hint', () => {
  test.each([
    [[60], 6],
    [[200, 60], 6],
    [[3000], 300],
    [[slot], 300],
    [[slot, 5], 1],
  ])('of slots %j is %i s', (slots, hint) => {
    expect(refreshHintSeconds(slots)).toBe(hint)
  })
})

test.each([
  ['grows by one within a second', 1_772_323_200, start, 1_772_323_201],
  ['is the time otherwise', 5, start, 1_772_323_200],
  ['does not step back with the clock', 1_772_323_300, start, 1_772_323_301],
])('the sequence %s', (_, last, now, next) => {
  expect(nextSequence(last, now)).toBe(next)
})
