/**
 * X.509-SVIDs judged by bundles: each by that of its own trust domain, and by no other.
 *
 * @module
 */
import { type Certificate, parseCertificate } from '../protocol/certificate.ts'
import { parsePem } from '../protocol/encoding.ts'
import { ProtocolError } from '../protocol/errors.ts'
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import type { TrustBundle } from '../protocol/trust-bundle.ts'
import { validateX509Svid } from '../protocol/x509-svid.ts'

/** The authorities of a trust domain, certificates that can not be read left out. @param bundles Asked each time. */
export function createTrust(
  bundles: () => readonly TrustBundle[],
): (trustDomain: TrustDomain) => readonly Certificate[] {
  const read = new WeakMap<TrustBundle, readonly Certificate[]>()
  return (trustDomain) => {
    const bundle = bundles().find((candidate) => candidate.trustDomain === trustDomain)
    if (bundle === undefined) return []
    const certificates = read.get(bundle) ?? bundle.x509Authorities.flatMap(readAuthority)
    read.set(bundle, certificates)
    return certificates
  }
}

function readAuthority(der: Uint8Array): readonly Certificate[] {
  try {
    return [parseCertificate(der)]
  } catch (error) {
    if (error instanceof ProtocolError) return []
    throw error
  }
}

/** @param svid `certificates` is PEM, leaf first. */
export function isVouchedFor(
  svid: { readonly certificates: string },
  bundles: readonly TrustBundle[],
  now: Date,
): boolean {
  try {
    const chain = parsePem('CERTIFICATE', svid.certificates)
    validateX509Svid(
      chain,
      createTrust(() => bundles),
      { now },
    )
    return true
  } catch (error) {
    if (error instanceof ProtocolError) return false
    throw error
  }
}
