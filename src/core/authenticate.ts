/**
 * Proof → authenticated identity.
 *
 * @module
 */
import type { FirstProof } from '../protocol/first-proof.ts'
import type { ParsedJwt } from '../protocol/jwt-svid.ts'
import type { SpiffeId, TrustDomain } from '../protocol/spiffe-id.ts'

/** What a caller shows of itself. */
export type Proof =
  | { readonly kind: 'bearer'; readonly token: string }
  /** Certificates of a TLS connection that ends here, DER, leaf first; possession of the key is proven by the handshake. */
  | { readonly kind: 'certificate'; readonly chain: readonly Uint8Array[] }

/** What a proof is good for, besides what rules and policies say. */
export type ProofUse =
  /** Rules map it to identities. */
  | { readonly kind: 'rules' }
  /** A join token: rules map it, and one granted request spends one use. */
  | { readonly kind: 'join_token'; readonly id: string }
  /** An X.509-SVID of ours: the same identity again, while the rule stands. */
  | {
      readonly kind: 'renewal'
      readonly spiffeId: SpiffeId
      readonly firstProof: FirstProof
      /** DNS names in the certificate that is shown. */
      readonly dnsNames: readonly string[]
    }
  /** A JWT-SVID of ours: to be told apart and to be exchanged, never for another SVID. */
  | { readonly kind: 'identity_only'; readonly spiffeId: SpiffeId }

/** Who a proof says its bearer is. Grants nothing. */
export interface AuthenticatedIdentity {
  /** Name of the authenticator in the configuration. */
  readonly authenticator: string
  readonly type: AuthenticatorType
  /** What rules see as `proof`: strings, and for `claims` plain JSON. An absent attribute has no key. */
  readonly attributes: Readonly<Record<string, unknown>>
  /** The attributes that records may hold. */
  readonly recorded: Readonly<Record<string, unknown>>
  readonly use: ProofUse
  /** Of the proof, for records: set when it is verified, so that a proof that is seen again is not digested twice. */
  readonly fingerprint?: string
}

/** An identity, and how long the answer may be used again for the same proof. */
export interface Authentication {
  readonly identity: AuthenticatedIdentity
  /** Absent: not to be used again. Never after the proof's own expiry. */
  readonly reusableUntil?: Date
  /** Asked at each reuse: false once the keys that were used are no longer the authenticator's. */
  readonly stillHolds?: () => boolean
}

export type AuthenticatorType = 'oidc' | 'kubernetes' | 'join_token' | 'spiffe' | 'aws'

/** What can be read of a JWT before anything of it is verified: only good to choose who verifies it. */
export interface UnverifiedJwt {
  readonly issuer?: string
  readonly subject?: string
  readonly audience: readonly string[]
  readonly kid?: string
}

/**
 * Port: checks one kind of proof.
 *
 * A proof that is not accepted is a `Refusal` with code `proof_rejected`, whatever was wrong with it; one that can not
 * be checked because a service is away is `upstream_failed`.
 */
export interface Authenticator {
  readonly name: string
  readonly type: AuthenticatorType
  /** What is routed here, without verification. Exactly one of these is set. */
  readonly accepts:
    | { readonly issuer: string; readonly audience: string }
    | { readonly trustDomain: TrustDomain }
    | { readonly joinTokens: true }
    | { readonly awsIdentities: true }
  /** Whether this issuer's keys hold `kid`: tells apart authenticators of one issuer and one audience. */
  readonly holdsKey?: (kid: string | undefined) => Promise<boolean>
  /** Whether this proof is for this authenticator: asked where several take join tokens, or presigned AWS identities. */
  readonly owns?: (proof: Proof) => Promise<boolean>
  /** At once where nobody has to be asked. @param jwt What is already read of a bearer's `token`. */
  readonly authenticate: (proof: Proof, now: Date, jwt?: ParsedJwt) => Authentication | Promise<Authentication>
  /** Stops timers and connections. */
  readonly close?: () => Promise<void>
}
