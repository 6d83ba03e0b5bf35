/**
 * One configuration made ready: its authenticators, its rules, its policies. A request sees one of these from start to
 * end, whatever is reloaded meanwhile.
 *
 * @module
 */
import type { AuthenticatedIdentity, Authenticator, Proof } from './authenticate.ts'
import type { Configuration } from './config.ts'
import { createIdentifier, type Identification, type RequestContext } from './identify.ts'
import { createProofRouter, type ProofRouterDeps } from './proof-router.ts'
import { createIdentityLimiter, type IdentityLimiter } from './rate-limit.ts'

export interface Configured {
  readonly config: Configuration
  /** Path of the issuer without a slash at its end: empty for most. */
  readonly issuerPath: string
  readonly authenticators: readonly Authenticator[]
  /** @throws {Refusal} `proof_rejected`, `upstream_failed` */
  readonly authenticate: (
    proof: Proof | undefined,
    narrowed?: string,
  ) => AuthenticatedIdentity | Promise<AuthenticatedIdentity>
  readonly identify: (identity: AuthenticatedIdentity, request: RequestContext) => Identification
  readonly limiter: IdentityLimiter
}

export function createConfigured(
  config: Configuration,
  authenticators: readonly Authenticator[],
  deps: Omit<ProofRouterDeps, 'authenticators'>,
): Configured {
  return {
    config,
    issuerPath: new URL(config.issuer).pathname.replace(/\/$/, ''),
    authenticators,
    authenticate: createProofRouter({ ...deps, authenticators }),
    identify: createIdentifier(config.rules),
    limiter: createIdentityLimiter(config.limits.per_identity, deps.monotonicMs),
  }
}
