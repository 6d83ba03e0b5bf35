/**
 * Tokens of OIDC providers and clusters: JWTs that are signed by a key of one issuer, for one audience, now.
 *
 * What tokens of different kinds have in common is accepted, and nothing that could make one kind pass for another:
 *
 * - `typ` is absent, `JWT`, `JOSE` or `at+jwt` (RFC 9068). Every other explicit type is that of something else, such as a
 *   logout token, a DPoP proof or a security event (RFC 8725 §3.11).
 * - Headers that bring or name a key (`jwk`, `jku`, `x5u`, `x5c`) and those that change how the rest is read (`crit`, `b64`)
 *   are refused. Fingerprints such as `x5t`, which Entra sends, are passed over: keys are found by `kid` alone.
 * - The algorithm is that of the key. `alg` must agree with it and never chooses.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc7519 RFC 7519}
 * @see {@link https://www.rfc-editor.org/rfc/rfc8725 RFC 8725}
 * @module
 */
import { compactVerify, errors } from 'jose'
import { quote } from '../core/quote.ts'
import { Refusal } from '../core/refusal.ts'
import { isSignatureAlgorithm } from '../protocol/algorithms.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { isJsonObject, parseStrictJsonBytes } from '../protocol/json.ts'
import { type CompactJws, parseCompactJws } from '../protocol/jws.ts'
import type { VerificationKey } from '../protocol/key-set.ts'
import type { RemoteJwks } from './remote-jwks.ts'

export interface ForeignTokenRules {
  readonly keys: Pick<RemoteJwks, 'find' | 'size'>
  /** Equal to `iss`, to the letter. */
  readonly issuer: string
  /** One of `aud`. */
  readonly audience: string
  readonly now: Date
  /** How far the issuer's clock may be from ours; 60 by default. */
  readonly leewaySeconds?: number
}

/** A token whose signature, issuer, audience and times hold. */
export interface ForeignToken {
  /** As signed. */
  readonly claims: Readonly<Record<string, unknown>>
  /** 1 to 2048 characters. */
  readonly subject: string
  readonly expiresAt: Date
  /** Of the issuer's keys, one of which verified it. */
  readonly keysVersion: number
}

/**
 * @throws {Refusal} `proof_rejected` with a reason for the operator; `upstream_failed` when the issuer's keys are not at
 * hand
 */
export async function verifyForeignToken(token: string, rules: ForeignTokenRules): Promise<ForeignToken> {
  const jws = readToken(token)
  const header = readHeader(jws.header)
  const claims = readClaims(jws)
  checkIssuerAndAudience(claims, rules)
  const expiresAt = checkTimes(claims, rules)
  const subject = readSubject(claims)
  return { claims, subject, expiresAt, keysVersion: await checkSignature(token, header, rules) }
}

const allowedTypes = new Set(['jwt', 'jose', 'at+jwt'])
const refusedHeaders = ['crit', 'b64', 'jwk', 'jku', 'x5u', 'x5c']
const maxKidLength = 512
const maxSubjectLength = 2048

interface TokenHeader {
  readonly alg: string
  readonly kid: string | undefined
}

function rejected(reason: string, cause?: unknown): Refusal {
  return new Refusal('proof_rejected', reason, cause === undefined ? {} : { cause })
}

function readToken(token: string): CompactJws {
  try {
    return parseCompactJws(token)
  } catch (cause) {
    if (cause instanceof ProtocolError) throw rejected(`the token is no compact JWS (${describe(cause)})`, cause)
    throw cause
  }
}

function readHeader(header: Readonly<Record<string, unknown>>): TokenHeader {
  const refused = refusedHeaders.find((name) => Object.hasOwn(header, name))
  if (refused !== undefined) throw rejected(`the header has ${refused}, which is not accepted`)

  const { typ, alg, kid } = header
  // Media types have no case, and leave out `application/`. RFC 7515 §4.1.9
  const type = typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : undefined
  if (typ !== undefined && (type === undefined || !allowedTypes.has(type))) {
    throw rejected(`typ is ${describeValue(typ)}, which is another kind of token`)
  }
  if (!isSignatureAlgorithm(alg)) throw rejected(`alg is ${describeValue(alg)}, which is not accepted`)
  if (kid === undefined) return { alg, kid }
  if (typeof kid !== 'string' || kid === '' || kid.length > maxKidLength) {
    throw rejected(`kid is not a string of 1 to ${maxKidLength} characters`)
  }
  return { alg, kid }
}

function readClaims(jws: CompactJws): Readonly<Record<string, unknown>> {
  const claims = parseClaims(jws)
  if (!isJsonObject(claims)) throw rejected('the claims are not a JSON object')
  return claims
}

function parseClaims(jws: CompactJws): unknown {
  try {
    return parseStrictJsonBytes(jws.payload)
  } catch (cause) {
    if (cause instanceof ProtocolError) throw rejected(`the claims are not JSON (${describe(cause)})`, cause)
    throw cause
  }
}

function checkIssuerAndAudience(claims: Readonly<Record<string, unknown>>, rules: ForeignTokenRules): void {
  if (claims.iss !== rules.issuer) {
    throw rejected(`iss is ${describeValue(claims.iss)}, not ${quote(rules.issuer, 256)}`)
  }
  // A string, or an array of strings. RFC 7519 §4.1.3
  const audience: readonly unknown[] = Array.isArray(claims.aud) ? claims.aud : [claims.aud]
  if (audience.length === 0 || !audience.every((value) => typeof value === 'string')) {
    throw rejected('aud is neither a string nor a list of strings')
  }
  if (audience.includes(rules.audience)) return
  const found = audience.slice(0, 3).map(describeValue).join(', ')
  throw rejected(`aud is ${found}${audience.length > 3 ? ', …' : ''}, without ${quote(rules.audience, 256)}`)
}

function checkTimes(claims: Readonly<Record<string, unknown>>, { now, leewaySeconds = 60 }: ForeignTokenRules): Date {
  const expiresAt = readTime(claims, 'exp')
  const leewayMs = leewaySeconds * 1000
  if (expiresAt === undefined) throw rejected('the token has no exp')
  if (expiresAt.getTime() + leewayMs <= now.getTime()) {
    throw rejected(`exp is ${expiresAt.toISOString()}, now is ${now.toISOString()}`)
  }
  for (const name of ['nbf', 'iat'] as const) {
    const time = readTime(claims, name)
    if (time !== undefined && time.getTime() > now.getTime() + leewayMs) {
      throw rejected(`${name} is ${time.toISOString()}, now is ${now.toISOString()}`)
    }
  }
  return expiresAt
}

const lastSecond = 253_402_300_799 // the end of the year 9999; more is a time in milliseconds

function readTime(claims: Readonly<Record<string, unknown>>, name: 'exp' | 'nbf' | 'iat'): Date | undefined {
  const value = claims[name]
  if (value === undefined) return undefined
  if (typeof value !== 'number' || value < 0 || value > lastSecond) throw rejected(`${name} is not a time in seconds`)
  return new Date(value * 1000)
}

function readSubject(claims: Readonly<Record<string, unknown>>): string {
  const { sub } = claims
  if (typeof sub === 'string' && sub !== '' && sub.length <= maxSubjectLength) return sub
  throw rejected(`sub is not a string of 1 to ${maxSubjectLength} characters`)
}

async function checkSignature(token: string, { alg, kid }: TokenHeader, rules: ForeignTokenRules): Promise<number> {
  const { keys: found, version } = await rules.keys.find(kid)
  const ofKid = kid === undefined ? '' : `kid ${quote(kid)} `
  const ofIssuer = `of issuer ${quote(rules.issuer, 256)}`
  if (found.length === 0) throw rejected(`${ofKid || 'the key '}is not among the ${rules.keys.size()} keys ${ofIssuer}`)

  const fitting = found.filter((key) => key.algorithm === alg)
  if (fitting.length === 0) throw rejected(`alg is ${alg}, which no key ${ofKid}${ofIssuer} is for`)
  for (const key of fitting) if (await isSignedBy(token, key)) return version
  throw rejected(`the signature is not by the key ${ofKid}${ofIssuer}`)
}

async function isSignedBy(token: string, { jwk, algorithm }: VerificationKey): Promise<boolean> {
  try {
    await compactVerify(token, jwk, { algorithms: [algorithm] })
    return true
  } catch (error) {
    if (error instanceof errors.JOSEError) return false
    throw error
  }
}

function describe(error: ProtocolError): string {
  // What is wrong with JSON inside a header is in the cause.
  const { cause } = error
  return cause instanceof ProtocolError && cause.detail !== '' ? `${error.detail}: ${cause.detail}` : error.detail
}

function describeValue(value: unknown): string {
  if (typeof value === 'string') return quote(value)
  return value === undefined ? 'absent' : `of type ${typeof value}`
}
