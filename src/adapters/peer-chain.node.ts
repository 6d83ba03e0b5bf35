/**
 * The certificates that the peer of a TLS connection showed.
 *
 * @module
 */
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'
import { maxChainLength } from '../protocol/x509-svid.ts'

/** One more than is taken: a chain that is too long is to be refused, not cut to one that fits. */
const maxRead = maxChainLength + 1

/** DER, leaf first, at most 9; empty when it showed none. What they are worth is not judged here. */
export function readPeerChain(socket: Pick<TLSSocket, 'getPeerCertificate'>): readonly Uint8Array[] {
  const chain: Uint8Array[] = []
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  while (next?.raw !== undefined && chain.length < maxRead) {
    chain.push(next.raw)
    const issuer: DetailedPeerCertificate | undefined = next.issuerCertificate
    next = issuer?.raw?.equals(next.raw) ? undefined : issuer
  }
  return chain
}
