/**
 * Tokens of OpenID Connect providers: CI systems, clouds, identity providers.
 *
 * @module
 */
import type { Authentication, Authenticator, Proof } from '../../core/authenticate.ts'
import type { OidcConfig } from '../../core/config-authenticators.ts'
import { Refusal } from '../../core/refusal.ts'
import type { Telemetry } from '../../core/telemetry.ts'
import { verifyForeignToken } from '../foreign-token.ts'
import type { ConnectUpstream } from '../http-client.ts'
import { createRemoteJwks } from '../remote-jwks.ts'
import type { FileReader } from '../watched-file.ts'

/** What authenticators need that ask an issuer for its keys. */
export interface IssuerDeps {
  readonly connect: ConnectUpstream
  readonly files: FileReader
  readonly now: () => Date
  /** Milliseconds that only grow. */
  readonly monotonicMs: () => number
  readonly telemetry: Telemetry
  /** Whether requests may wait for what another one fetches; not on Workers. */
  readonly shareFetches: boolean
}

const reusableMs = 5 * 60_000

export function createOidcAuthenticator(config: OidcConfig, deps: IssuerDeps): Authenticator {
  const { name, issuer, audience } = config
  const upstream = deps.connect(issuerPlace(config))
  const keys = createRemoteJwks(config, { ...deps, request: upstream.request })

  async function authenticate(proof: Proof, now: Date): Promise<Authentication> {
    const token = await verifyForeignToken(requireBearer(proof), { keys, issuer, audience, now })
    const { claims, subject, expiresAt, keysVersion } = token
    return {
      identity: {
        authenticator: name,
        type: 'oidc',
        attributes: { issuer, subject, claims },
        recorded: { issuer, subject },
        use: { kind: 'rules' },
      },
      reusableUntil: reusableUntil(expiresAt, now),
      stillHolds: () => keys.version() === keysVersion,
    }
  }

  return {
    name,
    type: 'oidc',
    accepts: { issuer, audience },
    holdsKey: keys.holds,
    authenticate,
    close: upstream.close,
  }
}

/** Where the keys of an issuer may be fetched from. */
export function issuerPlace(config: Pick<OidcConfig, 'issuer' | 'jwks_uri' | 'ca_file' | 'private'>) {
  const { issuer, jwks_uri: jwksUri, ca_file: caFile } = config
  return {
    hosts: [issuer, jwksUri].flatMap((url) => (url === undefined ? [] : new URL(url).hostname)),
    private: config.private,
    ...(caFile === undefined ? {} : { caFile }),
  }
}

/** @throws {Refusal} `proof_rejected` for a certificate */
export function requireBearer(proof: Proof): string {
  if (proof.kind === 'bearer') return proof.token
  throw new Refusal('proof_rejected', 'the proof is a certificate, not a token')
}

/** Never after the token's own expiry, for which a proof that is shown again has no leeway. */
export function reusableUntil(expiresAt: Date, now: Date): Date {
  return new Date(Math.min(expiresAt.getTime(), now.getTime() + reusableMs))
}
