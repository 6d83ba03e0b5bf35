/**
 * SPIFFE bundles: the keys of one trust domain, read and written as a JWK Set.
 *
 * A key that cannot be used costs that key only (§4.1.3), be it of an unknown type or broken: what is left decides, and when
 * nothing is left the domain is not trusted. A document that is no JWK Set is refused, so that an answer that was mangled on
 * its way is not taken for "all keys are revoked".
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Trust_Domain_and_Bundle.md SPIFFE Trust Domain and Bundle}
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md#6-representation-in-the-spiffe-bundle X509-SVID §6}
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md#6-representation-in-the-spiffe-bundle JWT-SVID §6}
 * @module
 */
import { Buffer } from 'node:buffer'
import { type KeyObject, X509Certificate } from 'node:crypto'
import { fitsAlgorithm, isSignatureAlgorithm } from './algorithms.ts'
import { asBuffer, formatBase64, parseBase64 } from './encoding.ts'
import { ProtocolError } from './errors.ts'
import { isJsonObject, parseStrictJson } from './json.ts'
import { formatJwk, type Jwk, type JwkDocument, parseJwk } from './jwk.ts'
import type { JwtAuthorityKey } from './jwt-svid.ts'
import type { TrustDomain } from './spiffe-id.ts'

/** The keys that may vouch for the names of one trust domain. Made by {@link parseTrustBundle} or by its own authorities. */
export interface TrustBundle {
  readonly trustDomain: TrustDomain
  /** From 0 to 2^64 - 1; grows with every change. */
  readonly sequence?: bigint
  /** How often to look for a newer one; a whole number. */
  readonly refreshHintSeconds?: number
  /** Certificates, DER. */
  readonly x509Authorities: readonly Uint8Array[]
  /** Leave `algorithm` out in bundles of our own: §4.2 wants no members that it does not name. */
  readonly jwtAuthorities: readonly JwtAuthorityKey[]
}

/** Longest bundle document that is read, in bytes of UTF-8. */
export const maxTrustBundleBytes = 1024 * 1024

/** Most keys in a bundle that is read: reading one takes some 0.1 ms, during which nothing else runs. */
export const maxTrustBundleKeys = 1000

const maxSequence = 2n ** 64n - 1n // §4.1.1

/**
 * The bundle of `trustDomain`, which the document itself does not name.
 *
 * @throws {ProtocolError} `bundle` for a document that is no JWK Set, is above 1 MiB or has more than 1,000 keys
 */
export function parseTrustBundle(trustDomain: TrustDomain, text: string): TrustBundle {
  if (Buffer.byteLength(text) > maxTrustBundleBytes) throw new ProtocolError('bundle', 'too long')
  const document = parseDocument(text)
  const entries = readEntries(document.keys)
  const sequence = readSequence(text, document.spiffe_sequence)
  const refreshHintSeconds = readRefreshHint(document.spiffe_refresh_hint)
  return {
    trustDomain,
    ...(sequence === undefined ? {} : { sequence }),
    ...(refreshHintSeconds === undefined ? {} : { refreshHintSeconds }),
    x509Authorities: entries.filter((entry) => entry.use === 'x509-svid').flatMap(usable(readX509Authority)),
    jwtAuthorities: entries.filter((entry) => entry.use === 'jwt-svid').flatMap(usable(readJwtAuthority)),
  }
}

/**
 * The document of `bundle`.
 *
 * @throws {ProtocolError} `bundle` for a sequence or hint out of range or a certificate that is not DER, `jwk` for a key that
 * {@link parseTrustBundle} would pass over
 */
export function formatTrustBundle(bundle: TrustBundle): string {
  const keys = [...bundle.x509Authorities.map(formatX509Authority), ...bundle.jwtAuthorities.map(formatJwtAuthority)]
  const members = [`"keys":${JSON.stringify(keys)}`]
  if (bundle.refreshHintSeconds !== undefined) members.unshift(`"spiffe_refresh_hint":${formatRefreshHint(bundle)}`)
  // JSON.stringify has no numbers above 2^53.
  if (bundle.sequence !== undefined) members.unshift(`"spiffe_sequence":${formatSequence(bundle.sequence)}`)
  return `{${members.join(',')}}`
}

function parseDocument(text: string): Readonly<Record<string, unknown>> {
  const document = parseText(text)
  if (!isJsonObject(document)) throw new ProtocolError('bundle', 'not an object')
  return document
}

function parseText(text: string): unknown {
  try {
    return parseStrictJson(text)
  } catch (cause) {
    throw new ProtocolError('bundle', 'not JSON', { cause })
  }
}

function readEntries(keys: unknown): readonly Readonly<Record<string, unknown>>[] {
  if (!Array.isArray(keys)) throw new ProtocolError('bundle', 'keys is not an array') // §4.1.3
  if (keys.length > maxTrustBundleKeys) throw new ProtocolError('bundle', 'too many keys')
  return keys.map((entry) => {
    if (!isJsonObject(entry)) throw new ProtocolError('bundle', 'a key is not an object')
    return entry
  })
}

/**
 * Absent unless it is an integer. §4.1.1 only recommends the sequence and forbids to require it, so refusing the document
 * over it would cost more trust than ignoring it.
 */
function readSequence(text: string, parsed: unknown): bigint | undefined {
  if (typeof parsed !== 'number' || parsed < 0) return undefined
  const source = numberSource(text, 'spiffe_sequence')
  if (!/^\d{1,20}$/.test(source)) return undefined
  const sequence = BigInt(source)
  return sequence <= maxSequence ? sequence : undefined
}

/** A member of the outermost object as it is written, since a parsed number has lost what is above 2^53. */
function numberSource(text: string, member: string): string {
  const sources = new Map<unknown, string>()
  const root: unknown = JSON.parse(
    text,
    function (this: unknown, name: string, value: unknown, context?: { readonly source?: string }) {
      if (name === member) sources.set(this, context?.source ?? '')
      return value
    },
  )
  return sources.get(root) ?? ''
}

/** Absent unless it is a whole number: it is only a hint. §4.1.2 */
function readRefreshHint(value: unknown): number | undefined {
  return isRefreshHint(value) ? value : undefined
}

function isRefreshHint(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

/** Leaves out the entries that `read` refuses. §4.1.3 */
function usable<T>(read: (jwk: Jwk) => T): (entry: unknown) => readonly T[] {
  return (entry) => {
    try {
      return [read(parseJwk(entry))]
    } catch (error) {
      if (error instanceof ProtocolError) return []
      throw error
    }
  }
}

/** X509-SVID §6.2: the first value of `x5c`, and only of an entry that has one. */
function readX509Authority({ key, x5c }: Jwk): Uint8Array {
  const der = parseBase64(x5c?.[0] ?? '')
  // RFC 7517 §4.7: the parameters are those of the first certificate.
  if (!certificateKey(der).equals(key)) throw new ProtocolError('bundle', 'x5c and the parameters are two keys')
  return der
}

/** JWT-SVID §6.1: `kid` is set. */
function readJwtAuthority({ kid, key, alg }: Jwk): JwtAuthorityKey {
  if (kid === undefined || kid === '') throw new ProtocolError('bundle', 'a jwt-svid key without kid')
  if (alg === undefined) return { kid, key }
  if (!isSignatureAlgorithm(alg) || !fitsAlgorithm(alg, key)) throw new ProtocolError('bundle', 'alg is not of the key')
  return { kid, key, algorithm: alg }
}

/** `X509Certificate` also reads PEM and passes over what follows the certificate; only the DER itself is meant. */
function certificateKey(der: Uint8Array): KeyObject {
  const { raw, publicKey } = parseCertificate(der)
  if (!raw.equals(der)) throw new ProtocolError('bundle', 'not one DER certificate')
  return publicKey
}

/** The key is read inside, as that throws for types that OpenSSL does not know. */
function parseCertificate(der: Uint8Array): { readonly raw: Buffer; readonly publicKey: KeyObject } {
  try {
    const { raw, publicKey } = new X509Certificate(asBuffer(der))
    return { raw, publicKey }
  } catch (cause) {
    throw new ProtocolError('bundle', 'not a certificate of a known key', { cause })
  }
}

/** X509-SVID §6.1: one certificate and no `kid`. */
function formatX509Authority(der: Uint8Array): JwkDocument {
  return formatJwk(certificateKey(der), { use: 'x509-svid', x5c: [formatBase64(der)] })
}

function formatJwtAuthority({ kid, key, algorithm }: JwtAuthorityKey): JwkDocument {
  return formatJwk(key, { use: 'jwt-svid', kid, ...(algorithm === undefined ? {} : { alg: algorithm }) })
}

function formatSequence(sequence: bigint): string {
  if (sequence < 0n || sequence > maxSequence) throw new ProtocolError('bundle', 'sequence out of range')
  return String(sequence)
}

function formatRefreshHint({ refreshHintSeconds }: TrustBundle): string {
  if (!isRefreshHint(refreshHintSeconds)) throw new ProtocolError('bundle', 'refresh hint out of range')
  return String(refreshHintSeconds)
}
