import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  checkDer,
  childrenOf,
  contentOf,
  contextTag,
  type DerElement,
  encodingOf,
  expectTag,
  maxDerBytes,
  onlyChildOf,
  readBitString,
  readBits,
  readBoolean,
  readDer,
  readInteger,
  readOctetString,
  readOid,
  readPositiveInteger,
  readSmallInteger,
  readTime,
  sequenceOf,
  tags,
} from '../../src/protocol/der.ts'
import { ProtocolError } from '../../src/protocol/errors.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const read = (text: string) => readDer(hex(text))
const der = expect.objectContaining({ name: 'ProtocolError', code: 'der' })

test('an element knows its header, its content and its children, and copies nothing', () => {
  const bytes = hex('30 08 02 01 05 a0 03 04 01 ff')
  const element = readDer(bytes)
  const [number, tagged] = childrenOf(element)

  expect(encodingOf(element).equals(bytes)).toBe(true)
  expect(contentOf(element).buffer).toBe(bytes.buffer)
  expect(readSmallInteger(number)).toBe(5)
  expect(readOctetString(onlyChildOf(expectTag(tagged, contextTag(0, 'constructed'))))).toEqual(hex('ff'))
})

test.each([
  ['nothing', ''],
  ['a tag alone', '30'],
  ['a length beyond the end', '04 02 00'],
  ['a long length that is cut short', '04 82 01'],
  ['trailing bytes', '05 00 00'],
  ['the indefinite form', '30 80 00 00'],
  ['a long length below 128', '04 81 01 00'],
  ['a long length with a leading zero', `04 82 00 80 ${'00'.repeat(128)}`],
  ['a length of four octets', '04 84 00 00 00 01 00'],
  ['a tag number above 30', '1f 01 00'],
  ['a context tag number above 30', '9f 1f 00'],
  ['the end-of-contents tag', '00 00'],
  ['a constructed OCTET STRING', '24 03 04 01 00'],
  ['a primitive SEQUENCE', '10 00'],
])('refuses %s', (_, text) => {
  expect(() => read(text)).toThrow(der)
})

test('refuses an element above the limit, and takes one at it', () => {
  const atLimit = Buffer.concat([hex('04 82 ff fc'), Buffer.alloc(maxDerBytes - 4)])
  expect(encodingOf(readDer(atLimit)).length).toBe(maxDerBytes)
  expect(() => readDer(Buffer.concat([hex('04 82 ff fd'), Buffer.alloc(maxDerBytes - 3)]))).toThrow(der)
})

test.each<[string, string, (element: DerElement) => unknown, unknown]>([
  ['INTEGER', '02 02 00 80', readInteger, hex('00 80')],
  ['negative INTEGER', '02 01 80', readInteger, hex('80')],
  ['positive INTEGER', '02 02 00 80', readPositiveInteger, hex('80')],
  ['small INTEGER', '02 02 01 00', readSmallInteger, 256],
  ['BOOLEAN TRUE', '01 01 ff', readBoolean, true],
  ['BOOLEAN FALSE', '01 01 00', readBoolean, false],
  ['BIT STRING of octets', '03 02 00 81', readBitString, hex('81')],
  ['BIT STRING of bits', '03 02 07 80', readBits, { unusedBits: 7, bytes: hex('80') }],
  ['empty BIT STRING', '03 01 00', readBitString, hex('')],
  ['OCTET STRING', '04 01 61', readOctetString, hex('61')],
  ['OID under 2', '06 03 55 1d 11', readOid, '2.5.29.17'],
  ['OID under 1', '06 06 2a 86 48 86 f7 0d', readOid, '1.2.840.113549'],
  ['OID under 0', '06 02 09 01', readOid, '0.9.1'],
  ['OID of a UUID', `06 14 69 83 ${'ff'.repeat(17)} 7f`, readOid, `2.25.${2n ** 128n - 1n}`],
  [
    'UTCTime of this century',
    `17 0d ${Buffer.from('491231235959Z').toString('hex')}`,
    readTime,
    new Date('2049-12-31T23:59:59Z'),
  ],
  [
    'UTCTime of the last century',
    `17 0d ${Buffer.from('500101000000Z').toString('hex')}`,
    readTime,
    new Date('1950-01-01T00:00:00Z'),
  ],
  ['leap day', `17 0d ${Buffer.from('240229000000Z').toString('hex')}`, readTime, new Date('2024-02-29T00:00:00Z')],
  [
    'GeneralizedTime',
    `18 0f ${Buffer.from('99991231235959Z').toString('hex')}`,
    readTime,
    new Date('9999-12-31T23:59:59Z'),
  ],
])('reads %s', (_, text, reader, value) => {
  expect(reader(read(text))).toEqual(value)
})

const utcTime = (text: string) => `17 ${text.length.toString(16).padStart(2, '0')} ${Buffer.from(text).toString('hex')}`
const generalizedTime = (text: string) => `18 ${utcTime(text).slice(3)}`

test.each<[string, string, (element: DerElement) => unknown]>([
  ['an empty INTEGER', '02 00', readInteger],
  ['an INTEGER with a spare zero', '02 02 00 7f', readInteger],
  ['a negative INTEGER with a spare octet', '02 02 ff 80', readInteger],
  ['zero where a positive INTEGER belongs', '02 01 00', readPositiveInteger],
  ['a negative one where a positive INTEGER belongs', '02 01 ff', readPositiveInteger],
  ['a negative small INTEGER', '02 01 ff', readSmallInteger],
  ['a small INTEGER of five octets', '02 05 01 00 00 00 00', readSmallInteger],
  ['an OCTET STRING where an INTEGER belongs', '04 01 00', readInteger],
  ['a BOOLEAN of 01', '01 01 01', readBoolean],
  ['a BOOLEAN of two octets', '01 02 ff ff', readBoolean],
  ['an empty BOOLEAN', '01 00', readBoolean],
  ['an empty BIT STRING without its first octet', '03 00', readBits],
  ['eight unused bits', '03 02 08 00', readBits],
  ['unused bits of nothing', '03 01 01', readBits],
  ['unused bits that are set', '03 02 01 01', readBits],
  ['broken octets where whole ones belong', '03 02 01 00', readBitString],
  ['an empty OID', '06 00', readOid],
  ['an OID that is cut short', '06 02 55 9d', readOid],
  ['an OID with a spare octet', '06 03 55 80 01', readOid],
  ['an OID of 65 octets', `06 41 ${'01'.repeat(65)}`, readOid],
  ['an INTEGER where a SEQUENCE belongs', '02 01 00', sequenceOf],
  ['the children of an OCTET STRING', '04 01 00', childrenOf],
  ['two elements in an explicit tag', 'a0 04 05 00 05 00', onlyChildOf],
  ['no element in an explicit tag', 'a0 00', onlyChildOf],
  ['a UTCTime without seconds', utcTime('4912312359Z'), readTime],
  ['a UTCTime with an offset', utcTime('491231235959+0000'), readTime],
  ['a UTCTime without Z', utcTime('4912312359590'), readTime],
  ['30 February', utcTime('240230000000Z'), readTime],
  ['29 February of a common year', utcTime('230229000000Z'), readTime],
  ['month 0', utcTime('240029000000Z'), readTime],
  ['month 13', utcTime('241301000000Z'), readTime],
  ['hour 24', utcTime('240101240000Z'), readTime],
  ['minute 60', utcTime('240101006000Z'), readTime],
  ['second 60', utcTime('240101000060Z'), readTime],
  ['a sign among the digits', utcTime('24010100000-Z'), readTime],
  ['a GeneralizedTime before 2050', generalizedTime('20491231235959Z'), readTime],
  ['a GeneralizedTime with a fraction', generalizedTime('20501231235959.5Z'), readTime],
  ['an INTEGER where a time belongs', '02 01 00', readTime],
])('refuses %s', (_, text, reader) => {
  expect(() => reader(read(text))).toThrow(der)
})

test('a missing element is refused', () => {
  expect(() => expectTag(undefined, tags.integer)).toThrow(der)
})

test.each([
  ['a BOOLEAN inside of a SEQUENCE', '30 03 01 01 01'],
  ['a NULL with content', '30 03 05 01 00'],
  ['an element that is cut short', 'a0 03 30 01 30'],
])('a walk over everything refuses %s', (_, text) => {
  expect(() => checkDer(read(text))).toThrow(der)
})

test('a walk goes 16 levels deep and no deeper', () => {
  const nested = (levels: number): Buffer =>
    levels === 1 ? hex('05 00') : Buffer.concat([Buffer.of(0x30, 2 * (levels - 1)), nested(levels - 1)])
  expect(checkDer(readDer(nested(16)))).toBeUndefined()
  expect(() => checkDer(readDer(nested(17)))).toThrow(der)
})

test('no bytes make the reader fail in another way', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        checkDer(readDer(bytes))
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError)
      }
    }),
    { numRuns: 2000 },
  )
})
