/**
 * SVIDs as proof: of our own trust domain, whose keys are our authorities, or of one that we federate with.
 *
 * What a proof of our own is good for is narrow (`ProofUse`): an X.509-SVID renews itself, a JWT-SVID tells who its bearer
 * is. For our own there is no leeway, as one clock wrote and reads the times.
 *
 * @module
 */
import type { AuthenticatedIdentity, Authentication, Authenticator, Proof, ProofUse } from '../../core/authenticate.ts'
import type { AuthoritySnapshot } from '../../core/authority-snapshot.ts'
import type { SpiffeConfig } from '../../core/config-authenticators.ts'
import { Refusal } from '../../core/refusal.ts'
import type { Certificate } from '../../protocol/certificate.ts'
import { formatHex } from '../../protocol/encoding.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { firstProofOid, parseFirstProof } from '../../protocol/first-proof.ts'
import { validateJwtSvid } from '../../protocol/jwt-svid.ts'
import type { SpiffeId, TrustDomain } from '../../protocol/spiffe-id.ts'
import { maxChainLength, validateX509Svid } from '../../protocol/x509-svid.ts'
import { createForeignSvidAuthenticator, type ForeignSvidDeps } from './foreign-svid.ts'

/** What of our authorities vouches for SVIDs, with a version that changes when any of it does. */
export type OwnAuthorities = Pick<AuthoritySnapshot, 'issuer' | 'version' | 'jwtKeys' | 'x509Issuers' | 'tainted'>

export interface SpiffeDeps extends Pick<ForeignSvidDeps, 'bundleOf'> {
  readonly trustDomain: TrustDomain
  readonly ours: () => OwnAuthorities
}

const reuseMs = 300_000

export function createSpiffeAuthenticator(config: SpiffeConfig, deps: SpiffeDeps): Authenticator {
  if (config.trust_domain === deps.trustDomain) return createOwnSvidAuthenticator(config, deps)
  return createForeignSvidAuthenticator(config, { bundleOf: deps.bundleOf, audience: () => deps.ours().issuer })
}

function createOwnSvidAuthenticator(config: SpiffeConfig, deps: SpiffeDeps): Authenticator {
  return {
    name: config.name,
    type: 'spiffe',
    accepts: { trustDomain: config.trust_domain },
    authenticate: async (proof, now) => {
      const all = deps.ours()
      const verified = orReject(
        () => verify(proof, trusted(config, all, all), now),
        () => findTaintedSigner(proof, config, all, now),
      )
      return authentication(config, deps.ours, all, verified, now)
    },
  }
}

/** A trust domain vouches for its own names only. */
function ofDomain<T>({ trust_domain }: SpiffeConfig, keys: readonly T[]) {
  return (trustDomain: TrustDomain): readonly T[] => (trustDomain === trust_domain ? keys : [])
}

function trusted(config: SpiffeConfig, { issuer }: OwnAuthorities, by: OwnAuthorities['tainted']): Trusted {
  return { issuer, keysOf: ofDomain(config, by.jwtKeys), issuersOf: ofDomain(config, by.x509Issuers) }
}

interface Trusted extends Pick<OwnAuthorities, 'issuer'> {
  readonly keysOf: (trustDomain: TrustDomain) => OwnAuthorities['jwtKeys']
  readonly issuersOf: (trustDomain: TrustDomain) => OwnAuthorities['x509Issuers']
}

interface Verified {
  readonly spiffeId: SpiffeId
  readonly claims: Readonly<Record<string, unknown>>
  readonly expiresAt: Date
  readonly use: ProofUse
}

function verify(proof: Proof, by: Trusted, now: Date): Verified {
  return proof.kind === 'bearer' ? verifyJwt(proof, by, now) : verifyX509(proof, by, now)
}

/** The tainted authority that would vouch for what no other one does. */
function findTaintedSigner(proof: Proof, config: SpiffeConfig, ours: OwnAuthorities, now: Date): string | undefined {
  const { jwtKeys, x509Issuers } = ours.tainted
  const jwts = jwtKeys.map((key) => ({ id: key.kid, jwtKeys: [key], x509Issuers: [] }))
  const x509s = x509Issuers.map((issuer) => ({
    id: formatHex(issuer.subjectKeyId ?? new Uint8Array()),
    jwtKeys: [],
    x509Issuers: [issuer],
  }))
  return [...jwts, ...x509s].find((one) => isVerifiedBy(proof, trusted(config, ours, one), now))?.id
}

function isVerifiedBy(proof: Proof, by: Trusted, now: Date): boolean {
  try {
    verify(proof, by, now)
    return true
  } catch (error) {
    if (error instanceof ProtocolError) return false
    throw error
  }
}

/** Only a token that was made for us and for nobody else: one that an API has seen could be sent on by that API. */
function verifyJwt({ token }: Extract<Proof, { kind: 'bearer' }>, ours: Trusted, now: Date): Verified {
  const svid = validateJwtSvid(token, { keys: ours.keysOf, audience: ours.issuer, now, leewaySeconds: 0 })
  if (svid.audience.length !== 1) throw new ProtocolError('jwt_audience', 'other audiences beside our issuer')
  const { spiffeId, claims, expiresAt } = svid
  return { spiffeId, claims, expiresAt, use: { kind: 'identity_only', spiffeId } }
}

/** Signed by one of our authorities itself: what an intermediate below it signed is somebody else's to renew. */
function verifyX509({ chain }: Extract<Proof, { kind: 'certificate' }>, ours: Trusted, now: Date): Verified {
  if (chain.length > maxChainLength) throw new ProtocolError('x509_svid', 'chain length')
  const { spiffeId, leaf } = validateX509Svid(chain.slice(0, 1), ours.issuersOf, { now })
  const use: ProofUse = {
    kind: 'renewal',
    spiffeId,
    firstProof: readFirstProof(leaf),
    dnsNames: leaf.subjectAltName?.dnsNames ?? [],
  }
  return { spiffeId, claims: {}, expiresAt: leaf.notAfter, use }
}

function readFirstProof(leaf: Certificate) {
  const extension = leaf.extension(firstProofOid)
  if (extension === undefined)
    throw new ProtocolError('x509_svid', 'says nothing of a first proof: not one that workloads get')
  return parseFirstProof(extension.value)
}

function authentication(
  config: SpiffeConfig,
  current: () => OwnAuthorities,
  used: OwnAuthorities,
  { spiffeId, claims, expiresAt, use }: Verified,
  now: Date,
): Authentication {
  const recorded = { spiffe_id: spiffeId.uri }
  const identity: AuthenticatedIdentity = {
    authenticator: config.name,
    type: 'spiffe',
    attributes: { ...recorded, trust_domain: spiffeId.trustDomain, path: spiffeId.path, claims },
    recorded,
    use,
  }
  return {
    identity,
    reusableUntil: new Date(Math.min(expiresAt.getTime(), now.getTime() + reuseMs)),
    // A taint makes a new version: what the tainted one signed must not live on in a cache.
    stillHolds: () => current().version === used.version,
  }
}

function orReject<T>(run: () => T, findTainted: () => string | undefined): T {
  try {
    return run()
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    const tainted = findTainted()
    const why = tainted === undefined ? cause.message : `signed by the tainted authority ${tainted}`
    throw new Refusal('proof_rejected', `the SVID is not accepted: ${why}`, { cause })
  }
}
