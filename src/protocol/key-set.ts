/**
 * The public keys of an issuer, as its JWK Set has them.
 *
 * A key that cannot be used here is left out alone, as RFC 7517 §5 asks: another type or purpose, an algorithm outside the
 * table, parameters that are no key. Each key has exactly one algorithm. An EC key has that of its curve, and an RSA key
 * without `alg` has RS256, the default of OpenID Connect, so that no token chooses how its own key is used.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc7517#section-5 RFC 7517 §5}
 * @see {@link https://openid.net/specs/openid-connect-core-1_0.html#IDToken OpenID Connect Core §2}
 * @module
 */
import { createHash, type JsonWebKey, type KeyObject } from 'node:crypto'
import { algorithms, fitsAlgorithm, isSignatureAlgorithm, type SignatureAlgorithm } from './algorithms.ts'
import { ProtocolError } from './errors.ts'
import { isJsonObject, parseStrictJson } from './json.ts'
import { parseJwk } from './jwk.ts'

/** A public key with the one algorithm that it verifies. */
export interface VerificationKey {
  readonly kid?: string
  /** The parameters of the key alone: every runtime verifies with this form. */
  readonly jwk: Readonly<JsonWebKey>
  readonly algorithm: SignatureAlgorithm
}

export interface KeySet {
  /** Several may have one `kid`. */
  readonly keys: readonly VerificationKey[]
  /** How many the document holds besides. */
  readonly leftOut: number
  /** Of `keys`, whatever their order: equal when they are. */
  readonly digest: string
}

const maxKeys = 100

/**
 * @param text A JWK Set, JSON.
 * @throws {ProtocolError} `json`; `jwk` when it has no list `keys`, or one of more than 100
 */
export function parseKeySet(text: string): KeySet {
  const document = parseStrictJson(text)
  const listed: unknown = isJsonObject(document) ? document.keys : undefined
  if (!Array.isArray(listed)) throw new ProtocolError('jwk', 'a key set has no list of keys')
  if (listed.length > maxKeys) throw new ProtocolError('jwk', `a key set of more than ${maxKeys} keys`)

  const keys = listed.flatMap((value: unknown) => readKey(value) ?? [])
  return { keys, leftOut: listed.length - keys.length, digest: digestKeys(keys) }
}

function readKey(value: unknown): VerificationKey | undefined {
  if (!isForVerifying(value)) return undefined
  try {
    const { key, kid, alg } = parseJwk(value)
    const algorithm = alg === undefined ? defaultAlgorithm(key) : alg
    if (!isSignatureAlgorithm(algorithm) || !fitsAlgorithm(algorithm, key)) return undefined
    return { jwk: publicJwk(key), algorithm, ...(kid === undefined ? {} : { kid }) }
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}

/** Without members that are not there: workerd names those of a private key as well, with no value. */
function publicJwk(key: KeyObject): JsonWebKey {
  return Object.fromEntries(Object.entries(key.export({ format: 'jwk' })).filter(([, value]) => value !== undefined))
}

function isForVerifying(value: unknown): boolean {
  if (!isJsonObject(value)) return false
  const { use = 'sig', key_ops: operations = ['verify'] } = value
  return use === 'sig' && Array.isArray(operations) && operations.includes('verify')
}

function defaultAlgorithm(key: KeyObject): SignatureAlgorithm | undefined {
  if (key.asymmetricKeyType === 'rsa') return 'RS256'
  return Object.keys(algorithms)
    .filter(isSignatureAlgorithm)
    .find((name) => fitsAlgorithm(name, key))
}

function digestKeys(keys: readonly VerificationKey[]): string {
  const lines = keys.map(({ kid, algorithm, jwk: { crv, x, y, n, e } }) =>
    JSON.stringify([kid ?? null, algorithm, crv, x, y, n, e]),
  )
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex')
}
