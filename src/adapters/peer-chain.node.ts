/**
 * The certificates that the peer of a TLS connection showed.
 *
 * @module
 */
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'

const maxChain = 8

/** DER, leaf first, at most 8; empty when it showed none. What they are worth is not judged here. */
export function readPeerChain(socket: Pick<TLSSocket, 'getPeerCertificate'>): readonly Uint8Array[] {
  const chain: Uint8Array[] = []
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  while (next?.raw !== undefined && chain.length < maxChain) {
    chain.push(next.raw)
    const issuer: DetailedPeerCertificate | undefined = next.issuerCertificate
    next = issuer?.raw?.equals(next.raw) ? undefined : issuer
  }
  return chain
}
