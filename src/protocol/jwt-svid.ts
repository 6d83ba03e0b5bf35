/**
 * JWT-SVIDs: the claims are built, read again as others will read them and signed, and tokens of others are validated.
 *
 * Where the specification leaves room: a validator, too, holds the JOSE header to the closed set (§2), since a header that
 * no JWT-SVID may have marks something else; claims that RFC 7519 defines have its types when they are there; and `sub` has
 * a path, as the trust domain itself is no workload.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md JWT-SVID}
 * @module
 */
import type { KeyObject } from 'node:crypto'
import { algorithmRow, fitsAlgorithm, isSignatureAlgorithm, type SignatureAlgorithm } from './algorithms.ts'
import { ProtocolError } from './errors.ts'
import { isJsonObject, parseStrictJson, parseStrictJsonBytes } from './json.ts'
import { type CompactJws, encodeJwsHeader, parseCompactJws, signCompactJws, verifyCompactJws } from './jws.ts'
import type { Signer } from './signer.ts'
import { parseSpiffeId, type SpiffeId, type TrustDomain } from './spiffe-id.ts'

/** What a JWT-SVID of ours says of itself, and besides it whatever the rule adds. */
export interface JwtSvidClaims extends Readonly<Record<string, unknown>> {
  readonly iss: string
  readonly sub: string
  /** A string for one audience, an array for several. */
  readonly aud: string | readonly string[]
  /** Seconds since 1970, as `iat` and `nbf`. */
  readonly exp: number
  readonly iat: number
  readonly nbf: number
  readonly jti: string
}

/** What a JWT-SVID is asked to say. */
export interface JwtSvidInput {
  /** Has a path. */
  readonly spiffeId: SpiffeId
  /** At least one. */
  readonly audience: readonly string[]
  readonly now: Date
  /** A whole number above 0. */
  readonly ttlSeconds: number
  /** The end of the signing authority, which the token does not outlive. */
  readonly notAfter?: Date
  readonly jti: string
  /** JSON values. One with the name of a standard claim is left out. */
  readonly claims: Readonly<Record<string, unknown>>
}

/** An issued JWT-SVID. */
export interface JwtSvid {
  readonly token: string
  readonly spiffeId: SpiffeId
  readonly audience: readonly string[]
  readonly jti: string
  readonly kid: string
  readonly expiresAt: Date
}

/** A key that signs the JWT-SVIDs of a trust domain. */
export interface JwtAuthorityKey {
  readonly kid: string
  readonly key: KeyObject
  /** The only algorithm that the key is for, where that is known. */
  readonly algorithm?: SignatureAlgorithm
}

export interface JwtSvidValidation {
  /** The `jwt-svid` keys in the bundle of that trust domain and no other; none when it is not trusted. */
  readonly keys: (trustDomain: TrustDomain) => readonly JwtAuthorityKey[]
  /** What the validator identifies with; one of them is among the token's. Not compared when absent. */
  readonly audience?: string | readonly string[]
  readonly now: Date
  /** How far the clocks may differ: 0 for our own tokens, 60 for those of others. */
  readonly leewaySeconds: number
}

/** A JWT-SVID that {@link validateJwtSvid} vouches for. */
export interface ValidatedJwtSvid {
  readonly spiffeId: SpiffeId
  /** All that the token names. */
  readonly audience: readonly string[]
  readonly expiresAt: Date
  readonly issuedAt?: Date
  readonly jti?: string
  readonly kid?: string
  readonly algorithm: SignatureAlgorithm
  /** The whole payload. */
  readonly claims: Readonly<Record<string, unknown>>
}

/** A JWT taken apart, of which nothing is verified. Made by {@link parseJwt}. */
export interface ParsedJwt {
  readonly jws: CompactJws
  readonly claims: Readonly<Record<string, unknown>>
}

interface JwtSvidHeader {
  readonly algorithm: SignatureAlgorithm
  readonly kid?: string
}

const backdatedSeconds = 30
const maxNumericDate = 253_402_300_799 // the last second of the year 9999, as far as a time of RFC 3339 goes
const headerNames = new Set(['alg', 'kid', 'typ']) // §2
const types: readonly unknown[] = [undefined, 'JWT', 'JOSE'] // §2.3

/**
 * The payload: `iat` and `nbf` 30 s back for clocks that are behind, `exp` counted from `now` and not after `notAfter`.
 *
 * @throws {ProtocolError} `jwt_subject`, `jwt_audience`, `jwt_claims` for an input that is not as {@link JwtSvidInput} says
 */
export function buildJwtSvidClaims(input: JwtSvidInput & { readonly issuer: string }): JwtSvidClaims {
  const { spiffeId, audience, claims } = input
  if (spiffeId.path === '') throw new ProtocolError('jwt_subject', 'the ID has no path')
  readAudience(audience)

  const now = Math.floor(input.now.getTime() / 1000)
  return {
    ...claims,
    iss: input.issuer,
    sub: spiffeId.uri,
    aud: audience.length === 1 ? (audience[0] ?? '') : audience,
    exp: expiry(input, now),
    iat: now - backdatedSeconds,
    nbf: now - backdatedSeconds,
    jti: input.jti,
  }
}

/**
 * Issues JWT-SVIDs with one key, at once when the signer answers at once.
 *
 * @param options.kid The name of the key in the bundle and the key set.
 * @throws {ProtocolError} `jws_header` for an empty `kid`. `issue` throws, or its promise rejects with, what
 * {@link buildJwtSvidClaims} throws, `jws` for a token above 16 KiB, and `jwt_claims` when the token does not say what was
 * asked, as when a claim is no JSON value
 */
export function createJwtSvidSigner(options: {
  readonly signer: Signer
  readonly kid: string
  readonly issuer: string
}): { readonly issue: (input: JwtSvidInput) => JwtSvid | Promise<JwtSvid> } {
  const { signer, kid, issuer } = options
  const encodedHeader = encodeJwsHeader({ alg: signer.algorithm, kid, typ: 'JWT' })
  readHeader(parseCompactJws(`${encodedHeader}.e30.AA`).header)

  return {
    issue: (input) => {
      const payload = JSON.stringify(buildJwtSvidClaims({ ...input, issuer }))
      const said = checkPayload(readClaims(payload), issuer, input)
      const token = signCompactJws(signer, encodedHeader, payload)
      return typeof token === 'string'
        ? { token, kid, ...said }
        : token.then((later) => ({ token: later, kid, ...said }))
    },
  }
}

/**
 * What is to be read of a token before it is known who verifies it.
 *
 * @throws {ProtocolError} `jws`, `jwt_claims` for a payload that is no JSON object
 */
export function parseJwt(token: string): ParsedJwt {
  const jws = parseCompactJws(token)
  return { jws, claims: readClaims(jws.payload) }
}

/**
 * The identity that `token` proves.
 *
 * Trust comes from `sub` alone, never from `iss`. Without a `kid` every key of the right type is tried (§2.2).
 *
 * @throws {ProtocolError} `jws`, `jws_header`, `algorithm`, `jwt_subject`, `jws_signature`, `jwt_claims`, `jwt_expired`,
 * `jwt_not_yet_valid`, `jwt_audience`
 */
export function validateJwtSvid(token: string | ParsedJwt, validation: JwtSvidValidation): ValidatedJwtSvid {
  const jws = typeof token === 'string' ? parseCompactJws(token) : token.jws
  const header = readHeader(jws.header) // §4: `alg` before anything else
  const claims = typeof token === 'string' ? readClaims(jws.payload) : token.claims
  const spiffeId = readSubject(claims.sub)
  checkSignature(jws, header, validation.keys(spiffeId.trustDomain))

  const times = readTimes(claims)
  checkTime(times, validation.now, validation.leewaySeconds)
  const audience = readAudience(claims.aud)
  if (validation.audience !== undefined) checkAudience(audience, validation.audience)
  return { spiffeId, audience, ...readRest(times, claims), ...header, claims }
}

function readRest({ exp, iat }: JwtTimes, claims: Readonly<Record<string, unknown>>) {
  readOptionalString(claims.iss)
  const jti = readOptionalString(claims.jti)
  return {
    expiresAt: new Date(exp * 1000),
    ...(iat === undefined ? {} : { issuedAt: new Date(iat * 1000) }),
    ...(jti === undefined ? {} : { jti }),
  }
}

function expiry({ ttlSeconds, notAfter }: JwtSvidInput, now: number): number {
  if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds <= 0) throw new ProtocolError('jwt_claims', 'ttl out of range')
  const end = notAfter === undefined ? Number.POSITIVE_INFINITY : Math.floor(notAfter.getTime() / 1000)
  const exp = Math.min(now + ttlSeconds, end)
  if (!(exp > now)) throw new ProtocolError('jwt_claims', 'the authority has ended')
  return exp
}

/**
 * The very text that is signed, read as a stranger would read it, says what was asked. Before it is signed, since the
 * signature cannot be taken back.
 */
function checkPayload(
  claims: Readonly<Record<string, unknown>>,
  issuer: string,
  { spiffeId, audience: asked, now, ttlSeconds, notAfter, jti }: JwtSvidInput,
): Omit<JwtSvid, 'token' | 'kid'> {
  const audience = readAudience(claims.aud)
  const times = readTimes(claims)
  checkTime(times, now, 0)
  const latest = Math.min(now.getTime() + ttlSeconds * 1000, notAfter?.getTime() ?? Number.POSITIVE_INFINITY)
  const same = claims.iss === issuer && claims.sub === spiffeId.uri && claims.jti === jti && equal(audience, asked)
  if (!same || times.exp * 1000 > latest) throw new ProtocolError('jwt_claims', 'the token does not say what was asked')
  return { spiffeId, audience, jti, expiresAt: new Date(times.exp * 1000) }
}

function equal(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index])
}

/** Nothing but `alg`, `kid` and `typ`: no `crit`, `b64`, `zip`, and no key or link to one. §2 */
function readHeader(header: Readonly<Record<string, unknown>>): JwtSvidHeader {
  const { alg, kid, typ } = header
  algorithmRow(alg)
  if (!isSignatureAlgorithm(alg)) throw new ProtocolError('algorithm')
  if (!Object.keys(header).every((name) => headerNames.has(name))) {
    throw new ProtocolError('jws_header', 'a parameter outside the closed set')
  }
  if (!types.includes(typ)) throw new ProtocolError('jws_header', 'typ is neither JWT nor JOSE')
  if (kid === undefined) return { algorithm: alg }
  if (typeof kid !== 'string' || kid === '') throw new ProtocolError('jws_header', 'kid is not a string')
  return { algorithm: alg, kid }
}

function readClaims(payload: Uint8Array | string): Readonly<Record<string, unknown>> {
  const claims = parseClaims(payload)
  if (!isJsonObject(claims)) throw new ProtocolError('jwt_claims', 'the payload is not an object')
  return claims
}

function parseClaims(payload: Uint8Array | string): unknown {
  try {
    return typeof payload === 'string' ? parseStrictJson(payload) : parseStrictJsonBytes(payload)
  } catch (cause) {
    throw new ProtocolError('jwt_claims', 'the payload is not JSON', { cause })
  }
}

function readSubject(sub: unknown): SpiffeId {
  if (typeof sub !== 'string') throw new ProtocolError('jwt_subject', 'sub is not a string')
  const spiffeId = parseSubject(sub)
  if (spiffeId.path === '') throw new ProtocolError('jwt_subject', 'sub has no path')
  return spiffeId
}

function parseSubject(sub: string): SpiffeId {
  try {
    return parseSpiffeId(sub)
  } catch (cause) {
    throw new ProtocolError('jwt_subject', 'sub is not a SPIFFE ID', { cause })
  }
}

function checkSignature(jws: CompactJws, { algorithm, kid }: JwtSvidHeader, keys: readonly JwtAuthorityKey[]): void {
  const named = kid === undefined ? keys : keys.filter((authority) => authority.kid === kid)
  if (named.length === 0) throw new ProtocolError('jws_signature', 'the trust domain has no such key')
  const isSigner = (authority: JwtAuthorityKey) =>
    (authority.algorithm ?? algorithm) === algorithm && verifyCompactJws(jws, algorithm, authority.key)
  if (named.some(isSigner)) return
  if (named.some((authority) => isFor(authority, algorithm))) {
    throw new ProtocolError('jws_signature', 'the signature does not verify')
  }
  throw new ProtocolError('algorithm', 'the key is for another algorithm')
}

function isFor(authority: JwtAuthorityKey, algorithm: SignatureAlgorithm): boolean {
  return (authority.algorithm ?? algorithm) === algorithm && fitsAlgorithm(algorithm, authority.key)
}

interface JwtTimes {
  readonly exp: number
  readonly nbf: number | undefined
  readonly iat: number | undefined
}

function readTimes({ exp, nbf, iat }: Readonly<Record<string, unknown>>): JwtTimes {
  return {
    exp: readNumericDate(exp), // §3.3
    nbf: nbf === undefined ? undefined : readNumericDate(nbf),
    iat: iat === undefined ? undefined : readNumericDate(iat),
  }
}

function readOptionalString(value: unknown): string | undefined {
  if (value !== undefined && typeof value !== 'string') throw new ProtocolError('jwt_claims', 'a claim is not a string')
  return value
}

function readAudience(aud: unknown): readonly string[] {
  const values: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (values.length === 0) throw new ProtocolError('jwt_audience', 'no audience')
  return values.map((value) => {
    if (typeof value !== 'string' || value === '')
      throw new ProtocolError('jwt_audience', 'an audience is not a string')
    return value
  })
}

/** RFC 7519 §2 allows fractions of a second. */
function readNumericDate(value: unknown): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= maxNumericDate)) {
    throw new ProtocolError('jwt_claims', 'a time is missing or out of range')
  }
  return value
}

function checkTime({ exp, nbf }: JwtTimes, now: Date, leewaySeconds: number): void {
  const seconds = now.getTime() / 1000
  // Written so that an invalid `now` or leeway expires everything.
  if (!(exp + leewaySeconds > seconds)) throw new ProtocolError('jwt_expired')
  if (nbf !== undefined && !(nbf <= seconds + leewaySeconds)) throw new ProtocolError('jwt_not_yet_valid')
}

function checkAudience(audience: readonly string[], accepted: string | readonly string[]): void {
  const own = typeof accepted === 'string' ? [accepted] : accepted
  if (!audience.some((value) => own.includes(value))) throw new ProtocolError('jwt_audience', 'meant for someone else')
}
