/**
 * JWS in its compact serialisation: three parts, each with one spelling.
 *
 * A signature is made by a {@link Signer} in the DER form and carried as r‖s; converting it here is several times faster in
 * Node 24 than asking `crypto.sign` for the JOSE form.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc7515 RFC 7515}
 * @see {@link https://www.rfc-editor.org/rfc/rfc7518#section-3.4 RFC 7518 §3.4}
 * @module
 */
import { Buffer } from 'node:buffer'
import type { KeyObject } from 'node:crypto'
import { algorithmRow, type SignatureAlgorithm, verifySignature } from './algorithms.ts'
import { asBuffer, formatBase64Url, parseBase64Url } from './encoding.ts'
import { ProtocolError } from './errors.ts'
import { isJsonObject, parseStrictJsonBytes } from './json.ts'
import type { Signer } from './signer.ts'

/** A token taken apart and not yet verified. Made by {@link parseCompactJws}. */
export interface CompactJws {
  /** The protected header, which is the only one in this form. */
  readonly header: Readonly<Record<string, unknown>>
  readonly payload: Buffer
  /** As carried: for ECDSA r‖s. */
  readonly signature: Buffer
  /** What was signed: the first two parts as written. */
  readonly signingInput: string
}

/** Longest token that is read, in characters. */
export const maxJwsLength = 16 * 1024

/**
 * @throws {ProtocolError} `jws` for anything but three parts, none empty, of canonical base64url, the first of them a JSON
 * object, in 16 KiB
 */
export function parseCompactJws(token: string): CompactJws {
  if (token.length > maxJwsLength) throw new ProtocolError('jws', 'too long')
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  // Other characters that do not belong, a third dot among them, are no base64url.
  if (first < 1 || second <= first + 1 || second === token.length - 1) throw new ProtocolError('jws', 'not three parts')

  return {
    header: readHeader(decodePart(token.slice(0, first))),
    payload: decodePart(token.slice(first + 1, second)),
    signature: decodePart(token.slice(second + 1)),
    signingInput: token.slice(0, second),
  }
}

/** The first part of a token; worth keeping, as it is the same for every token of a key. */
export function encodeJwsHeader(header: Readonly<Record<string, unknown>>): string {
  return encodeText(JSON.stringify(header))
}

/**
 * Signs at once when the signer does.
 *
 * @param encodedHeader Made by {@link encodeJwsHeader}; its `alg` is the signer's.
 * @param payload The text that is signed, such as JSON.
 * @throws {ProtocolError} `jws_signature` when the signer's answer is no signature of its algorithm, `jws` when nobody would
 * read the token as it is above 16 KiB
 */
export function signCompactJws(signer: Signer, encodedHeader: string, payload: string): string | Promise<string> {
  const signingInput = `${encodedHeader}.${encodeText(payload)}`
  const signature = signer.sign(Buffer.from(signingInput, 'latin1'))
  if (ArrayBuffer.isView(signature)) return join(signingInput, encodeSignature(signer.algorithm, signature))
  return signature.then((answer) => join(signingInput, encodeSignature(signer.algorithm, answer)))
}

/** Whether `key` made the signature; `false` as well for a key or a signature that is not of `algorithm`. */
export function verifyCompactJws(jws: CompactJws, algorithm: SignatureAlgorithm, key: KeyObject): boolean {
  const { coordinateBytes } = algorithmRow(algorithm)
  const signature = coordinateBytes === undefined ? jws.signature : rawToDer(jws.signature, coordinateBytes)
  if (signature === undefined) return false
  return verifySignature(algorithm, key, Buffer.from(jws.signingInput, 'latin1'), signature)
}

/**
 * The JOSE form r‖s of an ECDSA signature in DER. RFC 7518 §3.4
 *
 * @param coordinateBytes Bytes of r and of s: 32, 48 or 66.
 * @throws {ProtocolError} `jws_signature` for any other DER than two positive integers of at most that length
 */
export function ecdsaDerToRaw(der: Uint8Array, coordinateBytes: number): Buffer {
  const bytes = asBuffer(der)
  const start = contentStart(bytes)
  const rEnd = integerEnd(bytes, start)
  if (integerEnd(bytes, rEnd) !== bytes.length) throw new ProtocolError('jws_signature', 'bytes after s')

  const raw = Buffer.allocUnsafe(2 * coordinateBytes).fill(0)
  copyInteger(bytes, start, raw, coordinateBytes)
  copyInteger(bytes, rEnd, raw, 2 * coordinateBytes)
  return raw
}

/**
 * The DER form of an ECDSA signature in the JOSE form.
 *
 * @throws {ProtocolError} `jws_signature` unless it is 64, 96 or 132 bytes with neither r nor s zero
 */
export function ecdsaRawToDer(raw: Uint8Array): Buffer {
  const known = raw.length === 64 || raw.length === 96 || raw.length === 132
  const der = known ? rawToDer(asBuffer(raw), raw.length / 2) : undefined
  if (der === undefined) throw new ProtocolError('jws_signature', 'not r and s')
  return der
}

function encodeText(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url')
}

function join(signingInput: string, signature: string): string {
  const token = `${signingInput}.${signature}`
  if (token.length > maxJwsLength) throw new ProtocolError('jws', 'too long')
  return token
}

function decodePart(part: string): Buffer {
  try {
    return parseBase64Url(part)
  } catch (cause) {
    throw new ProtocolError('jws', 'a part is not base64url', { cause })
  }
}

function readHeader(bytes: Buffer): Readonly<Record<string, unknown>> {
  const header = parseHeader(bytes)
  if (!isJsonObject(header)) throw new ProtocolError('jws', 'the header is not an object')
  return header
}

function parseHeader(bytes: Buffer): unknown {
  try {
    return parseStrictJsonBytes(bytes)
  } catch (cause) {
    throw new ProtocolError('jws', 'the header is not JSON', { cause })
  }
}

function encodeSignature(algorithm: SignatureAlgorithm, signature: Uint8Array): string {
  const { coordinateBytes } = algorithmRow(algorithm)
  return formatBase64Url(coordinateBytes === undefined ? signature : ecdsaDerToRaw(signature, coordinateBytes))
}

/** Where the two integers begin: after a SEQUENCE header in the short form, or the long one that P-521 needs. */
function contentStart(der: Buffer): number {
  const long = der[1] === 0x81
  const start = long ? 3 : 2
  const length = der[start - 1] ?? 0
  if (der[0] !== 0x30 || length !== der.length - start || length >= 0x80 !== long) {
    throw new ProtocolError('jws_signature', 'not one DER sequence')
  }
  return start
}

/** The end of the INTEGER at `at`, which is positive and in its shortest form. */
function integerEnd(der: Buffer, at: number): number {
  const length = der[at + 1] ?? 0
  const end = at + 2 + length
  const high = der[at + 2] ?? 0
  if (der[at] !== 0x02 || length === 0 || length >= 0x80 || end > der.length) {
    throw new ProtocolError('jws_signature', 'not a DER integer')
  }
  const padded = high === 0 && (der[at + 3] ?? 0) < 0x80
  if (high >= 0x80 || padded || (length === 1 && high === 0)) {
    throw new ProtocolError('jws_signature', 'not a positive DER integer')
  }
  return end
}

/** Copies the INTEGER at `at`, right-aligned to `rawEnd`. */
function copyInteger(der: Buffer, at: number, raw: Buffer, rawEnd: number): void {
  const from = der[at + 2] === 0 ? at + 3 : at + 2
  const end = at + 2 + (der[at + 1] ?? 0)
  if (end - from > raw.length / 2) throw new ProtocolError('jws_signature', 'an integer longer than the curve allows')
  der.copy(raw, rawEnd - (end - from), from, end)
}

function rawToDer(raw: Buffer, coordinateBytes: number): Buffer | undefined {
  if (raw.length !== 2 * coordinateBytes) return undefined
  const r = integerStart(raw, 0, coordinateBytes)
  const s = integerStart(raw, coordinateBytes, raw.length)
  if (r === coordinateBytes || s === raw.length) return undefined

  const rBytes = integerBytes(raw, r, coordinateBytes)
  const length = rBytes + integerBytes(raw, s, raw.length)
  const header = length < 0x80 ? [0x30, length] : [0x30, 0x81, length]
  const der = Buffer.allocUnsafe(header.length + length)
  der.set(header)
  writeInteger(raw.subarray(r, coordinateBytes), der, header.length)
  writeInteger(raw.subarray(s), der, header.length + rBytes)
  return der
}

/** The first byte that is not zero; `end` when there is none. */
function integerStart(raw: Buffer, start: number, end: number): number {
  let at = start
  while (at < end && raw[at] === 0) at++
  return at
}

/** Of the INTEGER whose magnitude is `raw` from `start` to `end`. */
function integerBytes(raw: Buffer, start: number, end: number): number {
  return 2 + needsSign(raw[start]) + end - start
}

function needsSign(first = 0): 0 | 1 {
  return first >= 0x80 ? 1 : 0
}

function writeInteger(magnitude: Buffer, der: Buffer, at: number): void {
  const sign = needsSign(magnitude[0])
  der[at] = 0x02
  der[at + 1] = magnitude.length + sign
  if (sign === 1) der[at + 2] = 0
  magnitude.copy(der, at + 2 + sign)
}
