import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRoster, type RosterEntry } from '../../src/runtime/roster.ts'
import { keptKilobytes } from '../support/small-collections.ts'

test('is a set in the order of its additions, whatever comes and goes', () => {
  const steps = fc.array(fc.oneof(fc.constant('add' as const), fc.nat(20)))
  fc.assert(
    fc.property(steps, (wanted) => {
      const roster = createRoster<{ readonly name: number }>()
      const expected = new Map<RosterEntry<{ readonly name: number }>, number>()
      const added: RosterEntry<{ readonly name: number }>[] = []
      for (const [name, step] of wanted.entries()) {
        const entry = step === 'add' ? roster.add({ name }) : added[step]
        if (entry === undefined) continue
        if (step === 'add') {
          added.push(entry)
          expected.set(entry, name)
        } else {
          roster.delete(entry)
          expected.delete(entry)
        }
        expect([...roster].map((item) => item.name)).toEqual([...expected.values()])
        expect(roster.size()).toBe(expected.size)
        expect(roster.oldest()).toBe([...expected.keys()][0])
      }
    }),
  )
})

test('an iteration has what was there when it began, even when that is deleted meanwhile', () => {
  const roster = createRoster<{ readonly name: string }>()
  const entries = ['a', 'b', 'c'].map((name) => roster.add({ name }))
  const seen: string[] = []
  for (const { name } of roster) {
    seen.push(name)
    for (const entry of entries) roster.delete(entry)
  }
  expect(seen).toEqual(['a', 'b', 'c'])
  expect([...roster]).toEqual([])
})

test('what is gone does not outlive a small collection, as it does in a Set', () => {
  const roster = createRoster<object>()
  const open: RosterEntry<object>[] = []
  const kept = keptKilobytes((load) => {
    open.push(roster.add(load))
    const oldest = open.length > 32 ? open.shift() : undefined
    if (oldest) roster.delete(oldest)
  })
  expect(kept).toBeLessThan(1)
})
