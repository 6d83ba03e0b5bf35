import { Buffer } from 'node:buffer'
import { expect, test } from 'vitest'
import { readExtensionList } from '../../src/protocol/certificate-extensions.ts'
import {
  authorityKeyIdExtension,
  derExtension,
  earlierOf,
  laterOf,
  positiveSerialNumber,
  signatureAlgorithmIdentifier,
  subjectKeyIdExtension,
} from '../../src/protocol/certificate-writer.ts'
import { readDer, tags } from '../../src/protocol/der.ts'
import { derNode, formatDer } from '../../src/protocol/der-writer.ts'
import { signatureAlgorithmOf } from '../../src/protocol/public-key-info.ts'

test.each(['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512'] as const)('names %s as it is read', (algorithm) => {
  expect(signatureAlgorithmOf(readDer(signatureAlgorithmIdentifier(algorithm)))).toBe(algorithm)
})

test.each(['PS256', 'PS384', 'PS512'] as const)('has no name for %s', (algorithm) => {
  expect(() => signatureAlgorithmIdentifier(algorithm)).toThrow(expect.objectContaining({ code: 'certificate_key' }))
})

test.each([
  ['a negative number', 'ff', '7f'],
  ['a number with leading zeros', '00', '40'],
  ['a number that is right already', '55', '55'],
])('makes %s positive and keeps its 16 octets', (_, first, expected) => {
  const bytes = Buffer.from(`${first}${'ab'.repeat(15)}`, 'hex')
  expect(positiveSerialNumber(bytes).toString('hex')).toBe(`${expected}${'ab'.repeat(15)}`)
  expect(bytes[0]).toBe(Number.parseInt(first, 16))
})

test.each([0, 15, 17])('refuses a serial number of %i bytes', (length) => {
  expect(() => positiveSerialNumber(Buffer.alloc(length))).toThrow(expect.objectContaining({ code: 'x509_svid' }))
})

test('extensions are read as they were written', () => {
  const value = derNode(tags.null)
  const extensions = [
    derExtension('1.2.3', 'critical', value),
    derExtension('1.2.4', 'not critical', value),
    subjectKeyIdExtension(Buffer.of(1)),
    authorityKeyIdExtension(Buffer.of(2)),
  ]
  expect([...readExtensionList(readDer(formatDer(derNode(tags.sequence, ...extensions))))]).toEqual([
    ['1.2.3', { critical: true, value: Buffer.of(5, 0) }],
    ['1.2.4', { critical: false, value: Buffer.of(5, 0) }],
    ['2.5.29.14', { critical: false, value: Buffer.from('040101', 'hex') }],
    ['2.5.29.35', { critical: false, value: Buffer.from('3003800102', 'hex') }],
  ])
})

test('the earlier and the later of two times, or the one there is', () => {
  const [early, late] = [new Date(1), new Date(2)]
  expect([earlierOf(early, late), earlierOf(late, early), earlierOf(late, undefined)]).toEqual([early, early, late])
  expect([laterOf(early, late), laterOf(late, early), laterOf(early, undefined)]).toEqual([late, late, early])
})
