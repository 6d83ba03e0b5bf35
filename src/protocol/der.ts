/**
 * DER: a strict reader that works on offsets.
 *
 * Everything that BER would allow a second spelling for is refused: indefinite and over-long lengths, constructed
 * strings, INTEGERs with spare octets, BOOLEANs other than 00 and FF. Only what certificates need is read: no tag
 * numbers above 30 and no element above {@link maxDerBytes}. The order of a SET OF is not checked, as requests of
 * common tools have it wrong and nothing here is decided by it.
 *
 * @see {@link https://www.itu.int/rec/T-REC-X.690 X.690 §10 and §11}
 * @module
 */
import type { Buffer } from 'node:buffer'
import { asBuffer } from './encoding.ts'
import { ProtocolError } from './errors.ts'

/** Identifier octets of the universal types that certificates use. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** Largest element that is read. */
export const maxDerBytes = 65_536

/** Deepest nesting that {@link checkDer} follows. */
export const maxDerDepth = 16

const maxOidBytes = 64
const classBits = 0xc0
const constructedBit = 0x20
const numberBits = 0x1f

/** One element: where it lies in `source`, header and content. Nothing is copied. */
export interface DerElement {
  readonly source: Buffer
  /** The identifier octet, class and constructed bit included. */
  readonly tag: number
  readonly start: number
  readonly contentStart: number
  readonly end: number
}

/** The identifier octet of `[number]`; `constructed` for EXPLICIT tags and for IMPLICIT ones of SEQUENCE and SET. */
export function contextTag(number: number, form: 'primitive' | 'constructed'): number {
  return 0x80 | number | (form === 'constructed' ? constructedBit : 0)
}

/**
 * The one element that `bytes` is: nothing may follow it.
 *
 * @throws {ProtocolError} `der`
 */
export function readDer(bytes: Uint8Array): DerElement {
  if (bytes.length > maxDerBytes) throw new ProtocolError('der', 'too large')
  const element = readElement(asBuffer(bytes), 0, bytes.length)
  if (element.end !== bytes.length) throw new ProtocolError('der', 'trailing bytes')
  return element
}

/** @throws {ProtocolError} `der` when there is none or it has another tag */
export function expectTag(element: DerElement | undefined, tag: number): DerElement {
  if (element?.tag !== tag) throw new ProtocolError('der', 'another type is expected here')
  return element
}

/**
 * The elements in a SEQUENCE, SET or constructed context tag.
 *
 * @throws {ProtocolError} `der`
 */
export function childrenOf(parent: DerElement): readonly DerElement[] {
  if ((parent.tag & constructedBit) === 0) throw new ProtocolError('der', 'not a constructed type')
  const children: DerElement[] = []
  let at = parent.contentStart
  while (at < parent.end) {
    const child = readElement(parent.source, at, parent.end)
    children.push(child)
    at = child.end
  }
  return children
}

/** The elements of a SEQUENCE. @throws {ProtocolError} `der` */
export function sequenceOf(element: DerElement | undefined): readonly DerElement[] {
  return childrenOf(expectTag(element, tags.sequence))
}

/** The one element in an EXPLICIT tag. @throws {ProtocolError} `der` */
export function onlyChildOf(parent: DerElement): DerElement {
  const [child, ...rest] = childrenOf(parent)
  if (child === undefined || rest.length > 0) throw new ProtocolError('der', 'one element is expected here')
  return child
}

/** Header and content: the same memory. */
export function encodingOf(element: DerElement): Buffer {
  return element.source.subarray(element.start, element.end)
}

/** The content: the same memory. */
export function contentOf(element: DerElement): Buffer {
  return element.source.subarray(element.contentStart, element.end)
}

function readElement(source: Buffer, start: number, limit: number): DerElement {
  if (limit - start < 2) throw new ProtocolError('der', 'cut short')
  const tag = source[start] as number
  checkTag(tag)
  const first = source[start + 1] as number
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f
  const contentStart = start + 2 + lengthBytes
  if (contentStart > limit) throw new ProtocolError('der', 'cut short')
  const end = contentStart + (first < 0x80 ? first : readLongLength(source, start + 2, lengthBytes))
  if (end > limit) throw new ProtocolError('der', 'cut short')
  return { source, tag, start, contentStart, end }
}

/** Of the universal types SEQUENCE and SET are constructed, and nothing else is (X.690 §10.2). */
function checkTag(tag: number): void {
  const number = tag & numberBits
  if (number === numberBits) throw new ProtocolError('der', 'a tag number above 30')
  if ((tag & classBits) !== 0) return
  const isConstructed = (tag & constructedBit) !== 0
  if (number === 0 || isConstructed !== (number === 16 || number === 17)) throw new ProtocolError('der', 'tag')
}

/** X.690 §10.1: definite, and in the fewest octets. */
function readLongLength(source: Buffer, at: number, count: number): number {
  if (count === 0 || count > 3) throw new ProtocolError('der', 'indefinite or too long')
  let length = 0
  for (let index = at; index < at + count; index += 1) length = (length << 8) | (source[index] as number)
  if (length < 0x80 || length < 1 << (8 * (count - 1))) throw new ProtocolError('der', 'length is not minimal')
  return length
}

/** Two's complement, big-endian, at least one octet. @throws {ProtocolError} `der` */
export function readInteger(element: DerElement | undefined): Buffer {
  return checkInteger(contentOf(expectTag(element, tags.integer)))
}

function checkInteger(content: Buffer): Buffer {
  const [first, second] = content
  if (first === undefined) throw new ProtocolError('der', 'empty INTEGER')
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) {
    throw new ProtocolError('der', 'INTEGER is not minimal')
  }
  return content
}

/** The octets of an INTEGER above 0, without the sign octet. @throws {ProtocolError} `der` */
export function readPositiveInteger(element: DerElement | undefined): Buffer {
  const content = readInteger(element)
  const first = content[0] as number
  if (first >= 0x80 || (first === 0 && content.length === 1)) throw new ProtocolError('der', 'INTEGER is not positive')
  return first === 0 ? content.subarray(1) : content
}

/** An INTEGER from 0 to 2³¹ − 1, of type INTEGER or under an implicit `tag`. @throws {ProtocolError} `der` */
export function readSmallInteger(element: DerElement | undefined, tag: number = tags.integer): number {
  const content = checkInteger(contentOf(expectTag(element, tag)))
  if (content.length > 4 || (content[0] as number) >= 0x80) throw new ProtocolError('der', 'INTEGER out of range')
  return content.readUIntBE(0, content.length)
}

/** @throws {ProtocolError} `der` */
export function readBoolean(element: DerElement | undefined): boolean {
  const content = contentOf(expectTag(element, tags.boolean))
  const value = content[0]
  if (content.length !== 1 || (value !== 0 && value !== 0xff)) throw new ProtocolError('der', 'BOOLEAN')
  return value === 0xff
}

/** A BIT STRING of whole octets. @throws {ProtocolError} `der` */
export function readBitString(element: DerElement | undefined): Buffer {
  const { unusedBits, bytes } = readBits(element)
  if (unusedBits !== 0) throw new ProtocolError('der', 'BIT STRING of broken octets')
  return bytes
}

/** A BIT STRING; unused bits are zero (X.690 §11.2.1). @throws {ProtocolError} `der` */
export function readBits(element: DerElement | undefined): { readonly unusedBits: number; readonly bytes: Buffer } {
  const content = contentOf(expectTag(element, tags.bitString))
  const unusedBits = content[0] ?? 8
  const last = content[content.length - 1] ?? 0
  if (unusedBits > 7 || (content.length === 1 && unusedBits > 0)) throw new ProtocolError('der', 'BIT STRING')
  if (content.length > 1 && (last & ((1 << unusedBits) - 1)) !== 0) throw new ProtocolError('der', 'BIT STRING padding')
  return { unusedBits, bytes: content.subarray(1) }
}

/** @throws {ProtocolError} `der` */
export function readOctetString(element: DerElement | undefined): Buffer {
  return contentOf(expectTag(element, tags.octetString))
}

/** Dotted decimal, such as `2.5.29.17`. @throws {ProtocolError} `der` */
export function readOid(element: DerElement | undefined): string {
  const { source, contentStart, end } = expectTag(element, tags.oid)
  if (end === contentStart || end - contentStart > maxOidBytes) throw new ProtocolError('der', 'OID length')
  if ((source[end - 1] as number) >= 0x80) throw new ProtocolError('der', 'OID is cut short')
  let text = ''
  let at = contentStart
  while (at < end) {
    const stop = endOfArc(source, at)
    text += text === '' ? firstArcs(readArc(source, at, stop)) : `.${readArc(source, at, stop)}`
    at = stop
  }
  return text
}

function endOfArc(source: Buffer, start: number): number {
  if (source[start] === 0x80) throw new ProtocolError('der', 'OID is not minimal')
  let at = start
  while ((source[at] as number) >= 0x80) at += 1
  return at + 1
}

/** OIDs made of a UUID (2.25.x) have arcs beyond what a number holds: seven octets at a time are within. */
function readArc(source: Buffer, start: number, end: number): number | bigint {
  if (end - start <= 7) return readSeptets(source, start, end)
  let value = 0n
  for (let at = start; at < end; at += 7) {
    const stop = Math.min(at + 7, end)
    value = (value << BigInt(7 * (stop - at))) | BigInt(readSeptets(source, at, stop))
  }
  return value
}

function readSeptets(source: Buffer, start: number, end: number): number {
  let value = 0
  for (let at = start; at < end; at += 1) value = value * 128 + ((source[at] as number) & 0x7f)
  return value
}

/** X.690 §8.19.4: the first two arcs share one number. */
function firstArcs(value: number | bigint): string {
  if (value >= 80) return `2.${typeof value === 'bigint' ? value - 80n : value - 80}`
  return value >= 40 ? `1.${Number(value) - 40}` : `0.${value}`
}

/**
 * The point in time of a UTCTime up to 2049 or a GeneralizedTime from 2050, in the one form of RFC 5280 §4.1.2.5:
 * seconds are there, fractions and offsets are not.
 *
 * @throws {ProtocolError} `der`
 */
export function readTime(element: DerElement | undefined): Date {
  const isUtcTime = element?.tag === tags.utcTime
  const { source, contentStart, end } = expectTag(element, isUtcTime ? tags.utcTime : tags.generalizedTime)
  const yearDigits = isUtcTime ? 2 : 4
  if (end - contentStart !== yearDigits + 11 || source[end - 1] !== 0x5a) throw new ProtocolError('der', 'not a time')
  const written = readDigits(source, contentStart, yearDigits)
  if (!isUtcTime && written < 2050) throw new ProtocolError('der', 'GeneralizedTime before 2050')
  const year = isUtcTime ? written + (written < 50 ? 2000 : 1900) : written
  return readPointInTime(year, source, contentStart + yearDigits)
}

/** `Date.UTC` turns 30 February into March; the way back shows it. */
function readPointInTime(year: number, source: Buffer, at: number): Date {
  const part = (index: number) => readDigits(source, at + 2 * index, 2)
  const [month, day, hour, minute, second] = [part(0), part(1), part(2), part(3), part(4)]
  const time = new Date(Date.UTC(year, month - 1, day, hour, minute, second))
  const isInRange = month >= 1 && month <= 12 && hour < 24 && minute < 60 && second < 60
  if (!isInRange || time.getUTCDate() !== day) throw new ProtocolError('der', 'not a time')
  return time
}

function readDigits(source: Buffer, start: number, count: number): number {
  let value = 0
  for (let at = start; at < start + count; at += 1) {
    const digit = (source[at] as number) - 0x30
    if (digit < 0 || digit > 9) throw new ProtocolError('der', 'not a time')
    value = value * 10 + digit
  }
  return value
}

/**
 * Reads all that `element` holds, for what is ignored later: whatever passes is DER down to {@link maxDerDepth}.
 *
 * @throws {ProtocolError} `der`
 */
export function checkDer(element: DerElement, depth = maxDerDepth): void {
  if (depth === 0) throw new ProtocolError('der', 'nested too deep')
  if ((element.tag & constructedBit) !== 0) {
    for (const child of childrenOf(element)) checkDer(child, depth - 1)
  } else primitiveChecks[element.tag]?.(element)
}

const primitiveChecks: Readonly<Record<number, (element: DerElement) => unknown>> = {
  [tags.boolean]: readBoolean,
  [tags.integer]: readInteger,
  [tags.bitString]: readBits,
  [tags.oid]: readOid,
  [tags.null]: (element) => {
    if (element.end !== element.contentStart) throw new ProtocolError('der', 'NULL')
  },
}
