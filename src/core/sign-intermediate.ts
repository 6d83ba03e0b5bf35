/**
 * Signs an intermediate below our active X.509 authority, for another issuer of our own trust domain, such as a SPIRE
 * server with a `disk` upstream authority.
 *
 * What it signs chains to our root, and is none of ours to renew: only certificates that an authority of ours signed
 * itself are.
 *
 * @module
 */
import { type CertificateRequest, readCertificateRequest } from '../protocol/certificate-request.ts'
import { ProtocolError } from '../protocol/errors.ts'
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import { buildAuthorityCertificate } from '../protocol/x509-svid.ts'
import type { AuthoritySnapshot } from './authority-snapshot.ts'
import { Refusal } from './refusal.ts'

export interface IntermediateRequest {
  /** PKCS#10: PEM or base64 DER. Only its key is used. */
  readonly csr: string
  readonly ttlSeconds: number
  /** How many authorities may stand below it. */
  readonly pathLength: number
}

export interface SignedIntermediate {
  /** The intermediate, and what is above it up to the root, which is not among them; DER. */
  readonly certificates: readonly Uint8Array[]
  readonly expiresAt: Date
  /** Which authority signed. */
  readonly authorityId: string
}

const backdateMs = 5 * 60_000

export interface IntermediateDeps {
  readonly authorities: () => AuthoritySnapshot
  readonly trustDomain: TrustDomain
  readonly now: () => Date
  readonly randomBytes: (size: number) => Uint8Array
}

/** @throws {Refusal} `malformed_request`, `conflict` when it would outlive the authority that signs it, `no_authority` */
export async function signIntermediate(
  deps: IntermediateDeps,
  request: IntermediateRequest,
): Promise<SignedIntermediate> {
  const active = deps.authorities().x509()
  const now = deps.now()
  const expiresAt = new Date(now.getTime() + request.ttlSeconds * 1000)
  if (expiresAt > active.expiresAt)
    throw new Refusal('conflict', 'the intermediate would outlive the authority that signs it', {
      detail: `ttl: the signing authority ends at ${active.expiresAt.toISOString()}, so at most ${Math.floor(
        (active.expiresAt.getTime() - now.getTime()) / 1000,
      )}s; a longer authorities.x509.ttl gives more from the next authority on`,
    })
  const { certificate } = active.authority
  if (certificate.basicConstraints?.pathLength === 0)
    throw new Refusal('conflict', 'our authority is an intermediate that may sign no other', {
      detail: 'ours stands below an upstream authority and signs leaves only: have the intermediate signed there',
    })
  const intermediate = await buildAuthorityCertificate({
    trustDomain: deps.trustDomain,
    publicKeyInfo: readKey(request.csr).publicKeyInfo,
    serialNumber: deps.randomBytes(16),
    notBefore: new Date(Math.max(now.getTime() - backdateMs, certificate.notBefore.getTime())),
    notAfter: expiresAt,
    issuer: active.authority,
    pathLength: request.pathLength,
    permittedUri: [deps.trustDomain],
  })
  return { certificates: [intermediate, ...active.chain], expiresAt, authorityId: active.id }
}

function readKey(csr: string): CertificateRequest {
  try {
    return readCertificateRequest(csr)
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new Refusal('malformed_request', cause.message, { detail: `csr: ${cause.message}`, cause })
  }
}
