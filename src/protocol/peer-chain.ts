/**
 * The certificates that the peer of a TLS connection showed.
 *
 * @module
 */
import type { Buffer } from 'node:buffer'
import { maxChainLength } from './x509-svid.ts'

/** One more than is taken: a chain that is too long is to be refused, not cut to one that fits. */
const maxRead = maxChainLength + 1

/** A certificate with the one that issued it, as sockets of Node answer them; a root is its own issuer. */
export interface LinkedCertificate {
  /** Absent, whatever the types say, when the peer showed none. */
  readonly raw: Buffer
  readonly issuerCertificate: LinkedCertificate
}

/** DER, leaf first, at most 9; empty when it showed none. What they are worth is not judged here. */
export function readPeerChain(socket: {
  readonly getPeerCertificate: (detailed: true) => LinkedCertificate
}): readonly Uint8Array[] {
  return chainOf(socket.getPeerCertificate(true))
}

/** As {@link readPeerChain}, of what a `checkServerIdentity` is given. */
export function chainOf(leaf: Partial<LinkedCertificate>): readonly Uint8Array[] {
  const chain: Uint8Array[] = []
  let next: Partial<LinkedCertificate> | undefined = leaf
  while (next?.raw !== undefined && chain.length < maxRead) {
    chain.push(next.raw)
    const issuer: Partial<LinkedCertificate> | undefined = next.issuerCertificate
    next = issuer?.raw?.equals(next.raw) ? undefined : issuer
  }
  return chain
}
