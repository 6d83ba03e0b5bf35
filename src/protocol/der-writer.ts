/**
 * DER: a writer that allocates once. Lengths add up while the tree is made, so that writing is one pass.
 *
 * @see {@link https://www.itu.int/rec/T-REC-X.690 X.690 §10 and §11}
 * @module
 */
import { Buffer } from 'node:buffer'
import { tags } from './der.ts'
import { ProtocolError } from './errors.ts'

/** An element to write: `parts` one after the other are its content, bytes as they are and nodes encoded. */
export interface DerNode {
  readonly tag: number
  readonly parts: readonly DerPart[]
  readonly contentBytes: number
}

/** What stands in a {@link DerNode}: another one, or bytes that are written as they are. */
export type DerPart = Uint8Array | DerNode

export function derNode(tag: number, ...parts: readonly DerPart[]): DerNode {
  let contentBytes = 0
  for (const part of parts) contentBytes += sizeOf(part)
  return { tag, parts, contentBytes }
}

/** A non-negative INTEGER of big-endian `octets`. */
export function derInteger(octets: Uint8Array): DerNode {
  let start = 0
  while (start < octets.length - 1 && octets[start] === 0) start += 1
  const magnitude = octets.subarray(start)
  return (magnitude[0] ?? 0x80) < 0x80
    ? derNode(tags.integer, magnitude)
    : derNode(tags.integer, Buffer.of(0), magnitude)
}

export function derBoolean(value: boolean): DerNode {
  return derNode(tags.boolean, Buffer.of(value ? 0xff : 0))
}

/** A BIT STRING of whole octets. */
export function derBitString(octets: Uint8Array): DerNode {
  return derNode(tags.bitString, noUnusedBits, octets)
}

const noUnusedBits = Buffer.of(0)

/** @param text Characters up to U+00FF; the tag says which of them the type allows. */
export function derText(tag: number, text: string): DerNode {
  return derNode(tag, Buffer.from(text, 'latin1'))
}

/** @param dotted Such as `2.5.29.17`; arcs made of a UUID (2.25.x) have up to 39 digits. @throws {ProtocolError} `der` */
export function derOid(dotted: string): DerNode {
  if (!oidPattern.test(dotted)) throw new ProtocolError('der', 'not a dotted OID')
  const [first = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt)
  if (first < 2n && second > 39n) throw new ProtocolError('der', 'not a dotted OID')
  return derNode(tags.oid, Buffer.from([first * 40n + second, ...rest].flatMap(septetsOf)))
}

const oidPattern = /^[0-2](?:\.(?:0|[1-9]\d{0,38}))+$/

function septetsOf(arc: bigint): readonly number[] {
  const septets = [Number(arc & 0x7fn)]
  for (let rest = arc >> 7n; rest > 0n; rest >>= 7n) septets.unshift(Number(rest & 0x7fn) | 0x80)
  return septets
}

/** In whole seconds, as UTCTime or GeneralizedTime by RFC 5280 §4.1.2.5. @param time From 1950 to 9999. */
export function derTime(time: Date): DerNode {
  const digits = Buffer.allocUnsafe(timeBytes(time))
  writeTime(digits, 0, time)
  return derNode(digits.length === utcTimeBytes ? tags.utcTime : tags.generalizedTime, digits)
}

const utcTimeBytes = 13
const generalizedTimeBytes = 15

/** How long the content of a {@link derTime} is. */
export function timeBytes(time: Date): number {
  return time.getUTCFullYear() < 2050 ? utcTimeBytes : generalizedTimeBytes
}

/** Writes the content of a {@link derTime}: each part as two digits, and the Z of UTC. */
export function writeTime(target: Buffer, start: number, time: Date): void {
  const year = time.getUTCFullYear()
  let at = year < 2050 ? start : writePair(target, start, Math.floor(year / 100))
  at = writePair(target, at, year % 100)
  at = writePair(target, at, time.getUTCMonth() + 1)
  at = writePair(target, at, time.getUTCDate())
  at = writePair(target, at, time.getUTCHours())
  at = writePair(target, at, time.getUTCMinutes())
  at = writePair(target, at, time.getUTCSeconds())
  target[at] = 0x5a
}

function writePair(target: Buffer, at: number, pair: number): number {
  target[at] = 0x30 + Math.floor(pair / 10)
  target[at + 1] = 0x30 + (pair % 10)
  return at + 2
}

/** Writes `node` into one buffer. */
export function formatDer(node: DerNode): Buffer {
  const target = Buffer.allocUnsafe(sizeOf(node))
  writePart(target, 0, node)
  return target
}

function sizeOf(part: DerPart): number {
  return part instanceof Uint8Array ? part.length : headerBytes(part.contentBytes) + part.contentBytes
}

function headerBytes(contentBytes: number): number {
  if (contentBytes < 0x80) return 2
  if (contentBytes < 0x100) return 3
  return contentBytes < 0x10000 ? 4 : 5
}

function writePart(target: Buffer, start: number, part: DerPart): number {
  if (part instanceof Uint8Array) {
    target.set(part, start)
    return start + part.length
  }
  let at = start + headerBytes(part.contentBytes)
  writeHeader(target, start, part)
  for (const inner of part.parts) at = writePart(target, at, inner)
  return at
}

function writeHeader(target: Buffer, at: number, { tag, contentBytes }: DerNode): void {
  target[at] = tag
  const lengthBytes = headerBytes(contentBytes) - 2
  target[at + 1] = lengthBytes === 0 ? contentBytes : 0x80 | lengthBytes
  if (lengthBytes > 0) target.writeUIntBE(contentBytes, at + 2, lengthBytes)
}
