/**
 * Who is at the other end of a TLS connection: verified by the bundle of its own trust domain, and authorised by its SPIFFE
 * ID. Host names say nothing here.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md#5-validation X509-SVID §5}
 * @module
 */
import type { TLSSocket } from 'node:tls'
import type { Certificate } from '../protocol/certificate.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { type ValidX509Svid, validateX509Svid } from '../protocol/x509-svid.ts'
import { ApostilleError } from './apostille-error.ts'
import { type Authorizer, requireAuthorized } from './authorize.ts'
import { type Peer, peerKey } from './peer.ts'
import { createTrust } from './trust.ts'
import type { X509Source } from './x509-source.node.ts'

export interface PeerCheck {
  readonly source: X509Source
  readonly authorize: Authorizer
  /** What the peer is to be. */
  readonly purpose: 'clientAuth' | 'serverAuth'
}

export interface PeerChecker {
  /** @param chain DER, leaf first. @throws {ApostilleError} `no_svid`, `not_authorized` @throws {ProtocolError} */
  readonly check: (chain: readonly Uint8Array[]) => ValidX509Svid
  /** Remembers whose connection it is, and ends it when the authority of the peer is taken out of its bundle. */
  readonly keep: (socket: TLSSocket, svid: ValidX509Svid) => void
}

export function createPeerChecker({ source, authorize, purpose }: PeerCheck): PeerChecker {
  const authorities = createTrust(source.bundles)
  const kept = new Map<TLSSocket, Certificate>()

  function check(chain: readonly Uint8Array[]): ValidX509Svid {
    if (chain.length === 0) throw new ApostilleError('the peer showed no certificate', { code: 'no_svid' })
    const svid = validateX509Svid(chain, authorities, { now: new Date(), purpose })
    requireAuthorized(svid.spiffeId, authorize)
    return svid
  }

  function endUntrusted(): void {
    const trusted = source.bundles().flatMap(({ x509Authorities }) => x509Authorities)
    // Without an error: who has no listener for one would be ended by it.
    for (const [socket, authority] of kept)
      if (!trusted.some((der) => authority.der.equals(der)) && isTooEarly(authority)) socket.destroy()
  }

  function forget(socket: TLSSocket): void {
    kept.delete(socket)
    if (kept.size === 0) source.events.off('bundles', endUntrusted)
  }

  return {
    check,
    keep(socket, svid) {
      const { path } = svid
      if (kept.size === 0) source.events.on('bundles', endUntrusted)
      kept.set(socket, path[path.length - 1] ?? svid.leaf)
      socket.once('close', () => forget(socket))
      const chain = path.slice(0, -1).map(({ der }) => der)
      Object.defineProperty(socket, peerKey, { value: () => currentPeer(check, chain) })
    },
  }
}

/** An authority that leaves the bundle at its end was rotated, and what it vouched for needs no haste. */
function isTooEarly({ notAfter }: Certificate): boolean {
  return notAfter > new Date()
}

function currentPeer(check: PeerChecker['check'], chain: readonly Uint8Array[]): Peer | undefined {
  try {
    const { spiffeId, leaf } = check(chain)
    return { spiffeId, expiresAt: leaf.notAfter }
  } catch (error) {
    if (error instanceof ProtocolError || error instanceof ApostilleError) return undefined
    throw error
  }
}
