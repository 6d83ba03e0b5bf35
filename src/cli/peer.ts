/**
 * Federated trust domains as the admin socket tells of them.
 *
 * @module
 */
import { formatFields, formatMoment, formatTable } from './output.ts'

export interface PeerDocument {
  readonly trust_domain: string
  readonly endpoint?: string
  readonly profile?: string
  readonly endpoint_spiffe_id?: string
  readonly sequence?: string
  readonly refresh_hint_seconds?: number
  readonly x509_authorities: number
  readonly jwt_authorities: number
  readonly source?: string
  readonly confirmed_at?: string
  readonly next_poll_at?: string
  readonly failures: number
  readonly problem?: string
  /** The document as it is held; in details only. */
  readonly bundle?: string
}

export function formatPeers(peers: readonly PeerDocument[], now: Date): string {
  if (peers.length === 0) return 'The configuration has no federation.'
  const rows = peers.map((peer) => [
    peer.trust_domain,
    peer.sequence ?? '-',
    `${peer.x509_authorities} X.509, ${peer.jwt_authorities} JWT`,
    peer.confirmed_at === undefined ? 'never' : formatMoment(new Date(peer.confirmed_at), now),
    peer.problem === undefined ? 'ok' : `${peer.failures} failed: ${peer.problem}`,
  ])
  return formatTable(['TRUST DOMAIN', 'SEQUENCE', 'KEYS', 'CONFIRMED', 'STATE'], rows)
}

export function formatPeer(peer: PeerDocument, now: Date): string {
  const moment = (text: string | undefined) => (text === undefined ? 'never' : formatMoment(new Date(text), now))
  return formatFields([
    ['trust domain', peer.trust_domain],
    ['endpoint', peer.endpoint ?? 'none: the file is all there is'],
    ['profile', peer.profile ?? '-'],
    ['endpoint id', peer.endpoint_spiffe_id ?? '-'],
    ['sequence', peer.sequence ?? '-'],
    ['keys', `${peer.x509_authorities} X.509, ${peer.jwt_authorities} JWT`],
    ['source', peer.source ?? '-'],
    ['confirmed', moment(peer.confirmed_at)],
    ['next poll', peer.endpoint === undefined ? '-' : moment(peer.next_poll_at)],
    ['problem', peer.problem === undefined ? 'none' : `${peer.problem} (${peer.failures} failures)`],
  ])
}
