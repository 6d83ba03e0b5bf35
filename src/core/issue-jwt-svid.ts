/**
 * Proof and audience → JWT-SVID.
 *
 * @module
 */
import type { JwtSvid } from '../protocol/jwt-svid.ts'
import type { AuthoritySnapshot } from './authority-snapshot.ts'
import type { Configuration } from './config.ts'
import type { Entitlement } from './identify.ts'
import { Refusal } from './refusal.ts'

/** What is asked for. */
export interface JwtSvidRequest {
  readonly kind: 'jwt'
  readonly audience: readonly string[]
  /** Default: the first identity that the proof has. */
  readonly spiffeId?: string
  /** Default: the rule's `jwt_ttl`, which is also the most. */
  readonly ttlSeconds?: number
}

export interface JwtSvidMint {
  readonly config: Pick<Configuration, 'authorities'>
  readonly authorities: AuthoritySnapshot
  readonly entitlement: Entitlement
  readonly ttlSeconds: number
  readonly now: Date
  readonly jti: string
}

/** Signs with the algorithm that the audience takes. Nothing outlives its authority. */
export function mintJwtSvid(request: JwtSvidRequest, mint: JwtSvidMint): JwtSvid | Promise<JwtSvid> {
  const { algorithms, rs256_audiences } = mint.config.authorities.jwt
  const wantsRs256 = request.audience.some((audience) => rs256_audiences.includes(audience))
  const authority = mint.authorities.jwt(wantsRs256 ? 'RS256' : (algorithms[0] ?? 'ES256'))
  if (mint.now >= authority.expiresAt)
    throw new Refusal('no_authority', `the ${authority.algorithm} authority has expired`)
  return authority.svids.issue({
    spiffeId: mint.entitlement.spiffeId,
    audience: request.audience,
    now: mint.now,
    ttlSeconds: Math.min(mint.ttlSeconds, authority.slotSeconds),
    notAfter: authority.expiresAt,
    jti: mint.jti,
    claims: mint.entitlement.claims,
  })
}
