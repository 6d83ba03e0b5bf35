/**
 * SVIDs of a trust domain that we federate with, as proof: rules map them to identities of ours, policies name them.
 *
 * A trust domain vouches only for its own names, so the keys come from the bundle of the trust domain
 * that the SVID itself is in, and from no other. `iss` of a JWT-SVID says nothing here.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md#6-representation-in-the-spiffe-bundle JWT-SVID §6}
 * @module
 */
import type { Authentication, Authenticator, Proof } from '../../core/authenticate.ts'
import type { SpiffeConfig } from '../../core/config-authenticators.ts'
import type { HeldBundle } from '../../core/federation.ts'
import { Refusal } from '../../core/refusal.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { type JwtSvidValidation, type ParsedJwt, validateJwtSvid } from '../../protocol/jwt-svid.ts'
import type { SpiffeId, TrustDomain } from '../../protocol/spiffe-id.ts'
import { validateX509Svid } from '../../protocol/x509-svid.ts'

export interface ForeignSvidDeps {
  /** Undefined where nothing of the trust domain is trusted. */
  readonly bundleOf: (trustDomain: TrustDomain) => HeldBundle | undefined
  /** What a JWT-SVID must be made for: our issuer. */
  readonly audience: () => string
}

interface Verified {
  readonly spiffeId: SpiffeId
  readonly claims: Readonly<Record<string, unknown>>
  readonly expiresAt: Date
}

/** For the clocks of others; none for our own. */
const leewaySeconds = 60
const reuseMs = 300_000

export function createForeignSvidAuthenticator(config: SpiffeConfig, deps: ForeignSvidDeps): Authenticator {
  const { name, trust_domain: trustDomain } = config
  return {
    name,
    type: 'spiffe',
    accepts: { trustDomain },
    authenticate: (proof, now, jwt) => {
      const held = deps.bundleOf(trustDomain)
      if (held === undefined) throw new Refusal('proof_rejected', `there is no bundle of ${trustDomain} yet`)
      const verified = verify(proof, jwt, held, { audience: deps.audience(), now, leewaySeconds })
      return authentication(name, verified, now, () => deps.bundleOf(trustDomain)?.version === held.version)
    },
  }
}

type Expected = Pick<JwtSvidValidation, 'audience' | 'now' | 'leewaySeconds'>

function verify(proof: Proof, jwt: ParsedJwt | undefined, held: HeldBundle, expected: Expected): Verified {
  const { trustDomain } = held.bundle
  try {
    if (proof.kind === 'bearer') {
      const keys = (wanted: TrustDomain) => (wanted === trustDomain ? held.jwtAuthorities : [])
      return validateJwtSvid(jwt ?? proof.token, { ...expected, keys })
    }
    const authorities = (wanted: TrustDomain) => (wanted === trustDomain ? held.x509Authorities : [])
    const { spiffeId, path } = validateX509Svid(proof.chain, authorities, expected)
    const ends = path.map(({ notAfter }) => notAfter.getTime())
    return { spiffeId, claims: {}, expiresAt: new Date(Math.min(...ends)) }
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    const bundle = `bundle of ${trustDomain}, sequence ${held.bundle.sequence ?? 'unknown'}`
    throw new Refusal('proof_rejected', `the SVID is not accepted: ${cause.message} (${bundle})`, { cause })
  }
}

function authentication(
  authenticator: string,
  { spiffeId, claims, expiresAt }: Verified,
  now: Date,
  stillHolds: () => boolean,
): Authentication {
  const recorded = { spiffe_id: spiffeId.uri }
  return {
    identity: {
      authenticator,
      type: 'spiffe',
      attributes: { ...recorded, trust_domain: spiffeId.trustDomain, path: spiffeId.path, claims },
      recorded,
      use: { kind: 'rules' },
    },
    reusableUntil: new Date(Math.min(expiresAt.getTime(), now.getTime() + reuseMs)),
    stillHolds,
  }
}
