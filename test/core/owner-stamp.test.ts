import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { destinationRules } from '../../src/core/destination-rules.ts'
import { formatStamp, isStampTag, type OwnerStamp, parseStamp, stampTagCount } from '../../src/core/owner-stamp.ts'
import { ownershipOf } from '../../src/core/secret-destination.ts'

const digest = fc.stringMatching(/^[A-Za-z0-9_-]{22}$/)
const stamps: fc.Arbitrary<OwnerStamp> = fc.record(
  {
    owner: fc.constant('example.org/payments/aws/9f86d081'),
    source: fc.string({ maxLength: 600, unit: 'grapheme' }),
    revision: fc.string({ maxLength: 300, unit: 'binary' }),
    basis: digest,
    fingerprint: digest,
    group: digest,
    parts: fc.nat(999_999),
    version: digest,
  },
  { requiredKeys: ['owner', 'source', 'basis', 'fingerprint', 'group', 'parts'] },
)

test('every destination takes the tags of a stamp, whatever its source is called', () => {
  fc.assert(
    fc.property(stamps, (stamp) => {
      const tags = Object.entries(formatStamp(stamp))
      expect(tags.length).toBeLessThanOrEqual(stampTagCount)
      for (const { tagName, tagValue } of Object.values(destinationRules))
        for (const [tag, value] of tags)
          expect([tagName.pattern.test(tag), tagValue.pattern.test(value)]).toEqual([true, true])
    }),
  )
})

test('what is compared is read back as it was written', () => {
  fc.assert(
    fc.property(stamps, (stamp) => {
      const { source: _, revision: __, ...compared } = stamp
      expect(parseStamp(formatStamp(stamp))).toMatchObject(compared)
    }),
  )
})

test.each([
  ['no owner', { 'apostille-state': 'a:1:b:c' }, undefined],
  ['an empty owner', { 'apostille-owner': '' }, undefined],
  ['an owner without a state', { 'apostille-owner': 'o' }, { owner: 'o', basis: '', fingerprint: '', parts: 0 }],
  ['a state of another form', { 'apostille-owner': 'o', 'apostille-state': 'a:x:b:c' }, { owner: 'o', basis: '' }],
])('with %s it equals nothing', (_, tags, expected) => {
  const stamp = parseStamp(tags)
  if (expected === undefined) expect(stamp).toBeUndefined()
  else expect(stamp).toMatchObject(expected)
})

test.each([
  ['ours', 'example.org/s/d/1', 'example.org/s/d/1'],
  ['free', 'example.org/s/d/2', 'example.org/s/d/1'],
  ['foreign', 'example.org/s/e/1', 'example.org/s/d/1'],
  ['foreign', 'example.com/s/d/1', 'example.org/s/d/1'],
])('it is %s: a secret of %s, for %s', (ownership, held, owner) => {
  const stamp = { owner: held, source: '', basis: '', fingerprint: '', group: '', parts: 1 }
  expect(ownershipOf(stamp, owner)).toBe(ownership)
  expect(ownershipOf(undefined, owner)).toBe('free')
})

test('names of its tags are known in any spelling', () => {
  expect(['apostille-owner', 'Apostille-X', 'apostille', 'x-apostille-y'].map(isStampTag)).toEqual([
    true,
    true,
    false,
    false,
  ])
})
