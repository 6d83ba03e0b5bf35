import { Buffer } from 'node:buffer'
import { expect, test } from 'vitest'
import { readDer } from '../../src/protocol/der.ts'
import { authorityName, emptyName, organizationName, readName } from '../../src/protocol/distinguished-name.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'

test.each<[string, Buffer]>([
  ['an empty name', emptyName],
  ['an organization', organizationName('Example')],
  ['the name of an authority', authorityName(parseTrustDomain('example.org'), '01ab')],
])('reads %s as it stands', (_, name) => {
  expect(readName(readDer(name))).toEqual(name)
})

test('the name of an authority holds its trust domain and its serial number', () => {
  const name = authorityName(parseTrustDomain('example.org'), '01ab').toString('latin1')
  expect(name).toContain('example.org')
  expect(name).toContain('01ab')
})

test('a trust domain that no organization name can hold is left out', () => {
  const [fits, tooLong] = [64, 65].map((length) => authorityName(parseTrustDomain('a'.repeat(length)), '01'))
  expect(fits?.includes('a'.repeat(64))).toBe(true)
  expect(tooLong?.includes('aa')).toBe(false)
})

test.each([
  ['another type', '3100'],
  ['a sequence where a set belongs', '30023000'],
  ['an empty set', '30023100'],
  ['an attribute without value', '3007310530030601 55'],
  ['an attribute with two values', '300b3109300706015505000500'],
  ['a value that is no DER', '300a3108300606015501 0101'],
])('refuses %s', (_, hex) => {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex')
  expect(() => readName(readDer(bytes))).toThrow(expect.objectContaining({ code: 'der' }))
})
