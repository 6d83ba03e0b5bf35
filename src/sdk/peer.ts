/**
 * What a guarded server knows of the peer of a connection.
 *
 * @module
 */
import type { SpiffeId } from '../protocol/spiffe-id.ts'

/** Who showed an X.509-SVID that is good now. */
export interface Peer {
  readonly spiffeId: SpiffeId
  readonly expiresAt: Date
}

/** Where a connection keeps it: of the registry, so that two copies of this package agree. */
export const peerKey = Symbol.for('apostille.peer')

/**
 * Judged anew each time: a connection may outlive the certificate that it began with.
 *
 * @param socket Of a server that `guardServer` guards: `request.socket`, also of HTTP/2.
 * @returns undefined where the peer showed no SVID, or it has expired, or no bundle vouches for it any more.
 */
export function peerOf(socket: object | null | undefined): Peer | undefined {
  const read = (socket as { readonly [peerKey]?: () => Peer | undefined } | null | undefined)?.[peerKey]
  return read?.()
}
