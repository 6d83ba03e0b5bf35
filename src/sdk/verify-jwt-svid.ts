/**
 * Verification of JWT-SVIDs for those who receive them: offline with a bundle, or with the keys of an issuer.
 *
 * @module
 */
import { ProtocolError } from '../protocol/errors.ts'
import {
  type JwtAuthorityKey,
  type ParsedJwt,
  parseJwt,
  type ValidatedJwtSvid,
  validateJwtSvid,
} from '../protocol/jwt-svid.ts'
import { parseSpiffeId, type TrustDomain } from '../protocol/spiffe-id.ts'
import type { TrustBundle } from '../protocol/trust-bundle.ts'
import { type Authorizer, requireAuthorized } from './authorize.ts'

/** Where keys are found. */
export interface JwtKeySource {
  /** The only `iss` of its tokens; absent: any, as SPIFFE asks for none. */
  readonly issuer?: string
  /**
   * Keys that vouch for names of that trust domain, and for no others; none where it is not trusted.
   *
   * @param kid Of the token; others may be among the answer.
   * @throws {ApostilleError} when they are not to be had now
   */
  readonly find: (
    trustDomain: TrustDomain,
    kid: string | undefined,
  ) => readonly JwtAuthorityKey[] | Promise<readonly JwtAuthorityKey[]>
}

export interface JwtVerification {
  /** Bundles, one for each trust domain that is trusted, or `createIssuerKeys`, or a source of `apostille/node`. */
  readonly keys: TrustBundle | readonly TrustBundle[] | JwtKeySource
  /** What this service is called in tokens: one of them is among the token's. */
  readonly audience: string | readonly string[]
  /** Whose tokens are taken; default: those of everybody whose trust domain is trusted. */
  readonly authorize?: Authorizer
  /** How far the clocks may differ, in seconds; default: 0. */
  readonly leewaySeconds?: number
  /** Default: the clock of the runtime. */
  readonly now?: () => Date
}

/**
 * The identity that `token` proves, and its claims.
 *
 * @throws {ProtocolError} for a token that is not accepted: `jws`, `jws_header`, `jws_signature`, `algorithm`, `jwt_subject`,
 *   `jwt_claims`, `jwt_expired`, `jwt_not_yet_valid`, `jwt_audience`
 * @throws {ApostilleError} `not_authorized`; `unreachable` and others when keys are not to be had now
 */
export async function verifyJwtSvid(token: string, verification: JwtVerification): Promise<ValidatedJwtSvid> {
  const { audience, authorize, leewaySeconds = 0, now = () => new Date() } = verification
  const source = toSource(verification.keys)
  const parsed = parseJwt(token)
  const keys = await findKeys(source, parsed)
  const svid = validateJwtSvid(parsed, { keys: () => keys, audience, leewaySeconds, now: now() })
  if (source.issuer !== undefined && svid.claims['iss'] !== source.issuer)
    throw new ProtocolError('jwt_claims', 'the token is of another issuer')
  if (authorize) requireAuthorized(svid.spiffeId, authorize)
  return svid
}

/** Those of the trust domain that `sub` names; what is wrong with it otherwise, the validation says. */
async function findKeys(source: JwtKeySource, { jws, claims }: ParsedJwt): Promise<readonly JwtAuthorityKey[]> {
  const trustDomain = trustDomainOf(claims['sub'])
  if (trustDomain === undefined) return []
  const { kid } = jws.header
  return source.find(trustDomain, typeof kid === 'string' ? kid : undefined)
}

function trustDomainOf(subject: unknown): TrustDomain | undefined {
  try {
    return parseSpiffeId(String(subject)).trustDomain
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}

function toSource(keys: JwtVerification['keys']): JwtKeySource {
  if (isSource(keys)) return keys
  const bundles = [keys].flat()
  return { find: (trustDomain) => bundles.find((bundle) => bundle.trustDomain === trustDomain)?.jwtAuthorities ?? [] }
}

function isSource(keys: JwtVerification['keys']): keys is JwtKeySource {
  return !Array.isArray(keys) && 'find' in keys
}
