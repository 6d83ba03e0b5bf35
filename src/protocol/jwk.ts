/**
 * JSON Web Keys: public RSA and EC keys, read, written and named by their thumbprint.
 *
 * One spelling per key: coordinates have the full length of the field and integers no leading zero, as RFC 7518 §6 asks.
 * A document that holds a private member is refused, since a key that was published that way is nobody's any more.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc7517 RFC 7517}
 * @see {@link https://www.rfc-editor.org/rfc/rfc7518#section-6 RFC 7518 §6}
 * @see {@link https://www.rfc-editor.org/rfc/rfc7638 RFC 7638}
 * @module
 */
import type { Buffer } from 'node:buffer'
import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { rsaModulusBits } from './algorithms.ts'
import { asBuffer, parseBase64Url } from './encoding.ts'
import { ProtocolError } from './errors.ts'
import { isJsonObject } from './json.ts'

/** A checked public key with what its document says of it. Made by {@link parseJwk}. */
export interface Jwk {
  /** Public; RSA of 2048 to 4096 bits, or EC on P-256, P-384 or P-521. */
  readonly key: KeyObject
  readonly kty: 'EC' | 'RSA'
  readonly kid?: string
  readonly use?: string
  readonly alg?: string
  /** As written: base64 of DER, leaf first; not compared with `key`. */
  readonly x5c?: readonly string[]
}

/** What stands beside the key parameters. */
export interface JwkMembers {
  readonly use?: string
  readonly kid?: string
  readonly alg?: string
  readonly x5c?: readonly string[]
}

interface EcParameters {
  readonly kty: 'EC'
  readonly crv: string
  readonly x: string
  readonly y: string
}

interface RsaParameters {
  readonly kty: 'RSA'
  readonly n: string
  readonly e: string
}

type KeyParameters = EcParameters | RsaParameters

/** A public key as JSON. */
export type JwkDocument = JwkMembers & KeyParameters

/** Bytes of a coordinate. RFC 7518 §6.2.1.2 */
const curves: Readonly<Record<string, number>> = { 'P-256': 32, 'P-384': 48, 'P-521': 66 }

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

const maxExponentBytes = 8 // what OpenSSL takes for large moduli; more makes verifying a way to burn time

/** @throws {ProtocolError} `jwk` for anything but one public RSA or EC key of the sizes above */
export function parseJwk(value: unknown): Jwk {
  if (!isJsonObject(value)) throw new ProtocolError('jwk', 'not an object')
  if (privateMembers.some((name) => Object.hasOwn(value, name)))
    throw new ProtocolError('jwk', 'holds a private member')

  const parameters = readParameters(value)
  return { key: importKey(parameters), kty: parameters.kty, ...readMembers(value) }
}

/**
 * @param publicKey SubjectPublicKeyInfo, DER, or a public `KeyObject`.
 * @throws {ProtocolError} `jwk` for a key that {@link parseJwk} would not take
 */
export function formatJwk(publicKey: Uint8Array | KeyObject, members: JwkMembers): JwkDocument {
  const { use, kid, alg, x5c } = members
  return {
    ...(use === undefined ? {} : { use }),
    ...exportParameters(publicKey),
    ...(kid === undefined ? {} : { kid }),
    ...(alg === undefined ? {} : { alg }),
    ...(x5c === undefined ? {} : { x5c }),
  }
}

/**
 * The SHA-256 thumbprint in base64url, which serves as `kid`. RFC 7638 §3
 *
 * @param publicKey SubjectPublicKeyInfo, DER, or a public `KeyObject`.
 * @throws {ProtocolError} `jwk` as {@link formatJwk}
 */
export function thumbprintJwk(publicKey: Uint8Array | KeyObject): string {
  const parameters = exportParameters(publicKey)
  // The required members only, by name in the order of code points. §3.2
  const required =
    parameters.kty === 'EC'
      ? { crv: parameters.crv, kty: parameters.kty, x: parameters.x, y: parameters.y }
      : { e: parameters.e, kty: parameters.kty, n: parameters.n }
  return createHash('sha256').update(JSON.stringify(required)).digest('base64url')
}

function readParameters(document: Readonly<Record<string, unknown>>): KeyParameters {
  if (document.kty === 'EC') return readEcParameters(document)
  if (document.kty === 'RSA') return readRsaParameters(document)
  throw new ProtocolError('jwk', 'kty is neither EC nor RSA')
}

function readEcParameters({ crv, x, y }: Readonly<Record<string, unknown>>): EcParameters {
  const bytes = typeof crv === 'string' && Object.hasOwn(curves, crv) ? curves[crv] : undefined
  if (typeof crv !== 'string' || bytes === undefined) throw new ProtocolError('jwk', 'not a curve of the table')
  if (decode(x).length !== bytes || decode(y).length !== bytes) throw new ProtocolError('jwk', 'length of a coordinate')
  return { kty: 'EC', crv, x: String(x), y: String(y) }
}

function readRsaParameters({ n, e }: Readonly<Record<string, unknown>>): RsaParameters {
  const modulus = decode(n)
  const exponent = decode(e)
  // Both are odd, without a leading zero. RFC 7518 §6.3.1
  if (!isOddInteger(modulus) || !isOddInteger(exponent)) throw new ProtocolError('jwk', 'spelling of an RSA integer')
  if (exponent.length > maxExponentBytes || (exponent.length === 1 && exponent[0] === 1)) {
    throw new ProtocolError('jwk', 'RSA exponent out of range')
  }
  const bits = modulus.length * 8 - (Math.clz32(modulus[0] ?? 0) - 24)
  if (bits < rsaModulusBits.min || bits > rsaModulusBits.max) throw new ProtocolError('jwk', 'RSA modulus out of range')
  return { kty: 'RSA', n: String(n), e: String(e) }
}

function isOddInteger(bytes: Buffer): boolean {
  return bytes.length > 0 && bytes[0] !== 0 && (bytes.at(-1) ?? 0) % 2 === 1
}

function decode(value: unknown): Buffer {
  if (typeof value !== 'string') throw new ProtocolError('jwk', 'a key parameter is not a string')
  try {
    return parseBase64Url(value)
  } catch (cause) {
    throw new ProtocolError('jwk', 'a key parameter is not base64url', { cause })
  }
}

/** OpenSSL checks that the point is on the curve. */
function importKey(parameters: KeyParameters): KeyObject {
  try {
    return createPublicKey({ key: { ...parameters }, format: 'jwk' })
  } catch (cause) {
    throw new ProtocolError('jwk', 'the parameters are no public key', { cause })
  }
}

function readMembers(document: Readonly<Record<string, unknown>>): JwkMembers {
  const { kid, use, alg, x5c } = document
  return {
    ...(kid === undefined ? {} : { kid: asString(kid) }),
    ...(use === undefined ? {} : { use: asString(use) }),
    ...(alg === undefined ? {} : { alg: asString(alg) }),
    ...(x5c === undefined ? {} : { x5c: asStrings(x5c) }),
  }
}

function asString(value: unknown): string {
  if (typeof value !== 'string') throw new ProtocolError('jwk', 'a member is not a string')
  return value
}

function asStrings(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw new ProtocolError('jwk', 'x5c is not an array')
  return value.map(asString)
}

/** Only the named parameters leave, so that no private one can. */
function exportParameters(publicKey: Uint8Array | KeyObject): KeyParameters {
  const { kty, crv, x, y, n, e } = toPublicKey(publicKey).export({ format: 'jwk' })
  return readParameters({ kty, crv, x, y, n, e })
}

function toPublicKey(publicKey: Uint8Array | KeyObject): KeyObject {
  const key = publicKey instanceof Uint8Array ? importSpki(publicKey) : publicKey
  if (key.type !== 'public') throw new ProtocolError('jwk', 'not a public key')
  if (key.asymmetricKeyType !== 'ec' && key.asymmetricKeyType !== 'rsa') {
    throw new ProtocolError('jwk', 'kty is neither EC nor RSA')
  }
  return key
}

function importSpki(spki: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: asBuffer(spki), format: 'der', type: 'spki' })
  } catch (cause) {
    throw new ProtocolError('jwk', 'not a SubjectPublicKeyInfo', { cause })
  }
}
