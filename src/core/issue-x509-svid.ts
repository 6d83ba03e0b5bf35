/**
 * Proof and CSR → X.509-SVID.
 *
 * @module
 */
import { type CertificateRequest, readCertificateRequest } from '../protocol/certificate-request.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { type FirstProof, firstProofOid, formatFirstProof } from '../protocol/first-proof.ts'
import type { X509Svid } from '../protocol/x509-svid.ts'
import { buildX509Svid } from '../protocol/x509-svid.ts'
import type { ActiveX509Authority, AuthoritySnapshot } from './authority-snapshot.ts'
import type { Entitlement } from './identify.ts'
import { Refusal } from './refusal.ts'

/** What is asked for. */
export interface X509SvidRequest {
  readonly kind: 'x509'
  /** PKCS#10: PEM or base64 DER. Only its key is used. */
  readonly csr: string
  /** Default: the first identity that the proof has. */
  readonly spiffeId?: string
  /** Default: the rule's `x509_ttl`, which is also the most. */
  readonly ttlSeconds?: number
}

export interface X509SvidMint {
  readonly authorities: AuthoritySnapshot
  readonly entitlement: Entitlement
  readonly ttlSeconds: number
  readonly now: Date
  readonly firstProof: FirstProof
  readonly serialNumber: Uint8Array
}

/** An X.509-SVID with what a TLS peer wants to see of it. */
export interface IssuedX509Svid extends X509Svid {
  /** Leaf first, then intermediates; DER. */
  readonly certificates: readonly Uint8Array[]
  readonly authorityId: string
}

/** @throws {Refusal} `malformed_request` for a request that is broken, or whose key or signature is not taken */
export function readCsr(text: string): CertificateRequest {
  try {
    return readCertificateRequest(text)
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw new Refusal('malformed_request', `the certificate request is refused: ${cause.message}`, {
      detail: `csr: ${cause.message}`,
      cause,
    })
  }
}

/** Signs the key of `csr`. Nothing outlives its authority. */
export function mintX509Svid(csr: CertificateRequest, mint: X509SvidMint): IssuedX509Svid | Promise<IssuedX509Svid> {
  const active = mint.authorities.x509()
  if (mint.now >= active.expiresAt) throw new Refusal('no_authority', 'the X.509 authority has expired')
  // As when the clock was set back further than the certificate is backdated.
  if (mint.now < active.authority.certificate.notBefore)
    throw new Refusal('no_authority', 'the X.509 authority is not valid yet: look at the clock')
  const svid = buildX509Svid(active.authority, {
    spiffeId: mint.entitlement.spiffeId,
    publicKeyInfo: csr.publicKeyInfo,
    serialNumber: mint.serialNumber,
    now: mint.now,
    ttlSeconds: Math.min(mint.ttlSeconds, active.slotSeconds),
    dnsNames: mint.entitlement.dnsNames,
    extension: { oid: firstProofOid, value: formatFirstProof(mint.firstProof) },
  })
  return svid instanceof Promise ? svid.then((later) => withChain(later, active)) : withChain(svid, active)
}

function withChain(svid: X509Svid, active: ActiveX509Authority): IssuedX509Svid {
  return { ...svid, certificates: [svid.certificate, ...active.chain], authorityId: active.id }
}
