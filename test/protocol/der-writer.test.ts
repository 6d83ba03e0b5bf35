import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  checkDer,
  childrenOf,
  contentOf,
  type DerElement,
  readBitString,
  readBoolean,
  readDer,
  readOid,
  readPositiveInteger,
  readTime,
  tags,
} from '../../src/protocol/der.ts'
import {
  type DerNode,
  derBitString,
  derBoolean,
  derInteger,
  derNode,
  derOid,
  derText,
  derTime,
  formatDer,
} from '../../src/protocol/der-writer.ts'

test.each([
  ['an INTEGER without spare zeros', derInteger(Buffer.of(0, 0, 5)), '020105'],
  ['an INTEGER with its sign octet', derInteger(Buffer.of(0x80)), '02020080'],
  ['zero', derInteger(Buffer.of(0)), '020100'],
  ['TRUE', derBoolean(true), '0101ff'],
  ['FALSE', derBoolean(false), '010100'],
  ['a BIT STRING', derBitString(Buffer.of(0xa0)), '030200a0'],
  ['text', derText(tags.ia5String, 'az'), '1602617a'],
  ['an OID', derOid('1.2.840.113549.1.9.14'), '06092a864886f70d01090e'],
  ['an OID of a UUID', derOid(`2.25.${2n ** 128n - 1n}`), `06146983${'ff'.repeat(17)}7f`],
  ['an OID under 2', derOid('2.999.3'), '0603883703'],
  ['a UTCTime', derTime(new Date('2049-12-31T23:59:59.999Z')), `170d${Buffer.from('491231235959Z').toString('hex')}`],
  [
    'a GeneralizedTime',
    derTime(new Date('2050-01-01T00:00:00Z')),
    `180f${Buffer.from('20500101000000Z').toString('hex')}`,
  ],
  ['bytes as they are', derNode(tags.sequence, Buffer.of(5, 0), derNode(tags.null)), '300405000500'],
])('writes %s', (_, node, hex) => {
  expect(formatDer(node).toString('hex')).toBe(hex)
})

test.each([127, 128, 255, 256, 65_532])('writes the length of %i octets as the reader takes it', (length) => {
  const bytes = formatDer(derNode(tags.octetString, Buffer.alloc(length, 7)))
  expect(contentOf(readDer(bytes)).length).toBe(length)
})

test('writes lengths of three octets', () => {
  expect(formatDer(derNode(tags.octetString, Buffer.alloc(65_536))).subarray(0, 5)).toEqual(Buffer.of(4, 0x83, 1, 0, 0))
})

test.each(['', '1', '3.1', '1.40', '1.2.', '1.02', '1.2.x', '-1.2', `1.2.${'1'.repeat(40)}`])(
  'refuses the OID %j',
  (text) => {
    expect(() => derOid(text)).toThrow(expect.objectContaining({ code: 'der' }))
  },
)

test('OIDs, numbers and times are read as they were written', () => {
  const arcs = fc.array(fc.nat(999_999_999), { maxLength: 6 })
  fc.assert(
    fc.property(fc.nat(39), arcs, (second, rest) => {
      const dotted = [1, second, ...rest].join('.')
      expect(readOid(readDer(formatDer(derOid(dotted))))).toBe(dotted)
    }),
  )
  fc.assert(
    fc.property(fc.bigInt({ min: 1n, max: 2n ** 160n }), (value) => {
      const digits = value.toString(16)
      const octets = Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex')
      expect(readPositiveInteger(readDer(formatDer(derInteger(octets))))).toEqual(octets)
    }),
  )
  const seconds = fc.integer({ min: Date.UTC(1950) / 1000, max: Date.UTC(9999, 11) / 1000 })
  fc.assert(
    fc.property(seconds, (second) => {
      const time = new Date(second * 1000)
      expect(readTime(readDer(formatDer(derTime(time))))).toEqual(time)
    }),
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, flag) => {
      expect(readBitString(readDer(formatDer(derBitString(bytes)))).equals(bytes)).toBe(true)
      expect(readBoolean(readDer(formatDer(derBoolean(flag))))).toBe(flag)
    }),
  )
})

/** A tree of SEQUENCEs and OCTET STRINGs. */
type Tree = Uint8Array | readonly Tree[]

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof({ maxDepth: 5 }, fc.uint8Array({ maxLength: 200 }), fc.array(tie('tree'), { maxLength: 4 })),
}))

test('a tree is read as it was written', () => {
  const write = (node: Tree): DerNode =>
    node instanceof Uint8Array ? derNode(tags.octetString, node) : derNode(tags.sequence, ...node.map(write))
  const readTree = (element: DerElement): Tree =>
    element.tag === tags.octetString ? new Uint8Array(contentOf(element)) : childrenOf(element).map(readTree)
  fc.assert(
    fc.property(tree, (node) => {
      const element = readDer(formatDer(write(node)))
      checkDer(element)
      expect(readTree(element)).toEqual(node)
    }),
  )
})
