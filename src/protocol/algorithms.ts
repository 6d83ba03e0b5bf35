/**
 * Signature algorithms: one row each, and nothing else in the program lists them.
 *
 * The nine of the JWT-SVID specification and no more: `none`, HMAC and EdDSA have no row, so they cannot be expressed.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md#21-algorithm JWT-SVID §2.1}
 * @see {@link https://www.rfc-editor.org/rfc/rfc7518#section-3.1 RFC 7518 §3.1}
 * @module
 */
import { constants, type KeyObject, sign, verify } from 'node:crypto'
import { ProtocolError } from './errors.ts'

/** What a row says of its key and of its signature. */
interface AlgorithmRow {
  readonly hash: 'sha256' | 'sha384' | 'sha512'
  readonly keyType: 'ec' | 'rsa'
  /** OpenSSL's name of the curve, for `ec`. */
  readonly curve?: 'prime256v1' | 'secp384r1' | 'secp521r1'
  /** Bytes of r and of s in the JOSE form, for `ec`. */
  readonly coordinateBytes?: number
  readonly pss?: true
  /** X.509 signature algorithm, dotted; PSS has parameters of its own and is not used in certificates here. */
  readonly oid?: string
}

export const algorithms = {
  ES256: {
    hash: 'sha256',
    keyType: 'ec',
    curve: 'prime256v1',
    coordinateBytes: 32,
    oid: '1.2.840.10045.4.3.2',
  },
  ES384: {
    hash: 'sha384',
    keyType: 'ec',
    curve: 'secp384r1',
    coordinateBytes: 48,
    oid: '1.2.840.10045.4.3.3',
  },
  ES512: {
    hash: 'sha512',
    keyType: 'ec',
    curve: 'secp521r1',
    coordinateBytes: 66,
    oid: '1.2.840.10045.4.3.4',
  },
  RS256: { hash: 'sha256', keyType: 'rsa', oid: '1.2.840.113549.1.1.11' },
  RS384: { hash: 'sha384', keyType: 'rsa', oid: '1.2.840.113549.1.1.12' },
  RS512: { hash: 'sha512', keyType: 'rsa', oid: '1.2.840.113549.1.1.13' },
  PS256: { hash: 'sha256', keyType: 'rsa', pss: true },
  PS384: { hash: 'sha384', keyType: 'rsa', pss: true },
  PS512: { hash: 'sha512', keyType: 'rsa', pss: true },
} as const satisfies Record<string, AlgorithmRow>

export type SignatureAlgorithm = keyof typeof algorithms

/** Smallest and largest RSA modulus that is taken, in bits. */
export const rsaModulusBits = { min: 2048, max: 4096 } as const

export function isSignatureAlgorithm(name: unknown): name is SignatureAlgorithm {
  return typeof name === 'string' && Object.hasOwn(algorithms, name)
}

/**
 * The row for `name`.
 *
 * @throws {ProtocolError} `algorithm` for anything outside the table
 */
export function algorithmRow(name: unknown): AlgorithmRow {
  if (!isSignatureAlgorithm(name)) throw new ProtocolError('algorithm', 'not a signature algorithm of the table')
  return algorithms[name]
}

/** Of each key what the last question answered: Node asks OpenSSL for its type and curve, which takes some µs. */
const fitting = new WeakMap<KeyObject, { readonly algorithm: SignatureAlgorithm; readonly fits: boolean }>()

/** Whether `key` (public or private) is of the type, curve and size that `algorithm` asks for. */
export function fitsAlgorithm(algorithm: SignatureAlgorithm, key: KeyObject): boolean {
  const known = fitting.get(key)
  if (known?.algorithm === algorithm) return known.fits
  const fits = isOfAlgorithm(algorithm, key)
  fitting.set(key, { algorithm, fits })
  return fits
}

function isOfAlgorithm(algorithm: SignatureAlgorithm, key: KeyObject): boolean {
  const row: AlgorithmRow = algorithms[algorithm]
  if (key.asymmetricKeyType !== row.keyType) return false
  if (row.keyType === 'ec') return key.asymmetricKeyDetails?.namedCurve === row.curve
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  return bits >= rsaModulusBits.min && bits <= rsaModulusBits.max
}

/**
 * The plain call, as the options-object form with a KeyObject is slow in Node 24 and refused by workerd. PSS needs the
 * options and so is only verified where tokens of others use it.
 *
 * @param signature For ECDSA the DER form.
 */
export function verifySignature(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!fitsAlgorithm(algorithm, key)) return false
  const row: AlgorithmRow = algorithms[algorithm]
  if (row.pss === undefined) return verify(row.hash, data, key, signature)
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  return verify(row.hash, data, { key: key.export({ type: 'spki', format: 'pem' }), ...padding }, signature)
}

/**
 * Signs at once with a key that is at hand, which whoever made it checked with {@link fitsAlgorithm}.
 *
 * @returns For ECDSA the DER form.
 * @throws {ProtocolError} `algorithm` for PSS, which the plain call does not make
 */
export function signWithKey(algorithm: SignatureAlgorithm, key: KeyObject, data: Uint8Array): Uint8Array {
  const row: AlgorithmRow = algorithms[algorithm]
  if (row.pss) throw new ProtocolError('algorithm', 'PSS is verified only')
  return sign(row.hash, data, key)
}
