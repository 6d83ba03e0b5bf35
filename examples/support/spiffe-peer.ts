/**
 * Who is at the other end of a TLS connection: the SPIFFE ID of a certificate that the handshake has verified.
 *
 * TLS itself checks the chain against the trust domain's authorities, and the times. What it can not check is the name:
 * host names mean nothing between workloads, the SPIFFE ID does.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md#5-validation X509-SVID §5}
 * @module
 */
import type { X509Certificate } from 'node:crypto'

const spiffeIdPattern = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)+$/

/** @throws {PeerError} for a certificate that is no SVID of a workload, or is past its time */
export function readSpiffeId(certificate: X509Certificate | undefined): string {
  if (certificate === undefined) throw new PeerError('the peer showed no certificate')
  if (certificate.ca) throw new PeerError('the peer showed a signing certificate') // §5.2
  // The handshake looked at the time once; a connection may live on.
  if (certificate.validToDate < new Date()) throw new PeerError('the certificate of the peer has expired')
  const names = certificate.subjectAltName ?? ''
  // Node puts quotes around a name that could be read as two. An SVID holds none.
  if (names.includes('"')) throw new PeerError('the certificate of the peer has an ambiguous name')
  const [id, ...more] = names.split(', ').flatMap((name) => (name.startsWith('URI:') ? [name.slice(4)] : []))
  if (id === undefined || more.length > 0 || !spiffeIdPattern.test(id))
    throw new PeerError('the certificate of the peer does not hold exactly one SPIFFE ID') // §2
  return id
}

/** @throws {PeerError} unless the peer is `expected` */
export function requirePeer(certificate: X509Certificate | undefined, expected: string): void {
  const id = readSpiffeId(certificate)
  if (id !== expected) throw new PeerError(`the peer is ${id}, and only ${expected} will do`)
}

/** The peer is not who it should be. */
export class PeerError extends Error {
  override readonly name = 'PeerError'
}
