/**
 * SVIDs and identities as the gateway answers them, read.
 *
 * @module
 */
import { type Document, numberOf, textOf, textsOf, timeOf } from './answer-fields.ts'

export interface JwtSvid {
  readonly spiffeId: string
  readonly token: string
  readonly expiresAt: Date
}

/** For the key of the request; see `createX509Source` of `apostille/node` for one that stays fresh. */
export interface IssuedX509Svid {
  readonly spiffeId: string
  /** PEM, leaf first. */
  readonly certificates: string
  /** PEM: who vouches for SVIDs of this trust domain. */
  readonly bundle: string
  readonly expiresAt: Date
}

/** What a proof is good for. */
export interface Identity {
  readonly spiffeId: string
  readonly hint?: string
  /** That a JWT-SVID may be for; `*` is everybody. */
  readonly audiences: readonly string[]
  readonly dnsNames: readonly string[]
  readonly x509TtlSeconds: number
  readonly jwtTtlSeconds: number
}

/** @throws {ApostilleError} `unexpected_answer` */
export function readJwtSvid(document: Document): JwtSvid {
  return {
    spiffeId: textOf(document, 'spiffe_id'),
    token: textOf(document, 'token'),
    expiresAt: timeOf(document, 'expires_at'),
  }
}

/** @throws {ApostilleError} `unexpected_answer` */
export function readX509Svid(document: Document): IssuedX509Svid {
  return {
    spiffeId: textOf(document, 'spiffe_id'),
    certificates: textOf(document, 'certificates'),
    bundle: textOf(document, 'bundle'),
    expiresAt: timeOf(document, 'expires_at'),
  }
}

/** @throws {ApostilleError} `unexpected_answer` */
export function readIdentity(document: Document): Identity {
  const { hint } = document
  return {
    spiffeId: textOf(document, 'spiffe_id'),
    ...(typeof hint === 'string' && { hint }),
    audiences: textsOf(document, 'audiences'),
    dnsNames: textsOf(document, 'dns_names'),
    x509TtlSeconds: numberOf(document, 'x509_ttl_seconds'),
    jwtTtlSeconds: numberOf(document, 'jwt_ttl_seconds'),
  }
}
