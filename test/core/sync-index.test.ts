import { expect, test } from 'vitest'
import { createDigestTable, createNumbers, type Digest } from '../../src/core/digest-table.ts'
import type { HeldSecret } from '../../src/core/secret-destination.ts'
import { createSyncIndex } from '../../src/core/sync-index.ts'

const owner = 'example.org/s/d/1'
const held = (name: string, group: string, more: Partial<HeldSecret> = {}): HeldSecret => {
  const stamp = { owner, source: '', basis: 'basis', fingerprint: `of ${name}`, group, parts: 2 }
  return { name, state: 'whole', stamp, ...more }
}
const indexOf = (...secrets: readonly HeldSecret[]) => {
  const index = createSyncIndex(owner, (name) => name.toLowerCase())
  for (const secret of secrets) index.add(secret)
  return index
}

test.each([
  ['all of its secrets stand', [held('a', 'g'), held('b', 'g')], 2],
  ['one is missing', [held('a', 'g')], 0],
  ['one was edited', [held('a', 'g'), held('b', 'g', { state: 'edited' })], 0],
  ['there are more than it should give', [held('a', 'g'), held('b', 'g'), held('c', 'g')], 0],
  ['another group has them', [held('a', 'h'), held('b', 'h')], 0],
])('a path is current when %s', (_, secrets, count) => {
  expect(indexOf(...secrets).current('g', 'basis')).toBe(count)
  expect(indexOf(...secrets).current('g', 'another basis')).toBe(0)
})

test('a page that comes twice counts once', () => {
  const index = indexOf(held('a', 'g'), held('b', 'g'), held('A', 'g'))
  expect([index.current('g', 'basis'), index.count()]).toEqual([2, { ours: 2, leftOver: 2 }])
})

test('a name is found in any spelling that is one there', () => {
  const index = indexOf(held('Name', 'g'))
  expect(index.find('NAME')?.holds('of Name')).toBe(true)
  expect(index.find('NAME')?.holds('of another')).toBe(false)
  expect(index.find('other')).toBeUndefined()
})

test('a name is claimed once, and not where another path keeps it', () => {
  const index = indexOf(held('a', 'g'), held('b', 'g'))
  index.keep('g')
  expect(index.claim('a', 'h')).toBe(false)
  index.settle('g')
  expect(index.claim('a', 'h')).toBe(true)
  expect(index.claim('A', 'g')).toBe(false)
  expect(index.claim('a', 'h')).toBe(true)
})

test.each([
  ['its path was not seen', () => undefined, ['a', 'b']],
  ['its path is current', (index: ReturnType<typeof indexOf>) => index.keep('g'), []],
  [
    'its path gives other names now',
    (index: ReturnType<typeof indexOf>) => {
      index.keep('g')
      index.claim('a', 'g')
      index.settle('g')
    },
    ['b'],
  ],
])('a secret is left over when %s', (_, prepare, expected) => {
  const secrets = [held('a', 'g'), held('b', 'g')]
  const index = indexOf(...secrets)
  prepare(index)
  expect(secrets.filter(index.isLeftOver).map(({ name }) => name)).toEqual(expected)
  expect(index.count().leftOver).toBe(expected.length)
})

test('what others have, or came meanwhile, is never left over', () => {
  const foreign: HeldSecret = { name: 'c', state: 'whole' }
  const index = indexOf(foreign)
  expect([index.isLeftOver(foreign), index.isLeftOver(held('new', 'g'))]).toEqual([false, false])
})

test('a table keeps thousands of digests apart, also those that share a slot', () => {
  const table = createDigestTable()
  const numbers = createNumbers()
  const digests = [...Array(5000).keys()].map((at): Digest => [at % 7, at, 0, 0])
  for (const [at, digest] of digests.entries()) numbers.set(table.add(digest), at)
  expect(digests.every((digest, at) => numbers.get(table.find(digest) ?? -1) === at)).toBe(true)
  expect([table.add([0, 0, 0, 0]), table.find([0, 0, 0, 1]), table.size()]).toEqual([0, undefined, 5000])
})
