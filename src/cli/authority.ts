/**
 * Signing authorities as the admin socket tells of them.
 *
 * @module
 */
import { formatDistance, formatTable } from './output.ts'

export interface AuthorityDocument {
  readonly id: string
  /** `x509`, or `jwt/` and its algorithm. */
  readonly ring: string
  readonly algorithm: string
  readonly state: string
  readonly created_at: string
  readonly active_until?: string
  readonly expires_at: string
  readonly tainted_at?: string
  readonly upstream: boolean
}

export interface AuthoritiesDocument {
  readonly items: readonly AuthorityDocument[]
  readonly next: string | null
}

/** In the order of their lives. */
const states = ['prepared', 'active', 'retiring']

/** By ring, then by state. Times are told from `now`, so that a row fits a terminal. */
export function formatAuthorities(authorities: readonly AuthorityDocument[], now: Date): string {
  if (authorities.length === 0) return 'There are no authorities.'
  const sorted = authorities.toSorted(
    (a, b) => b.ring.localeCompare(a.ring) || states.indexOf(a.state) - states.indexOf(b.state),
  )
  const rows = sorted.map((authority) => [
    authority.ring,
    authority.tainted_at === undefined ? authority.state : `${authority.state}, tainted`,
    authority.algorithm,
    authority.id,
    authority.active_until === undefined ? '-' : formatDistance(new Date(authority.active_until), now),
    formatDistance(new Date(authority.expires_at), now),
  ])
  return formatTable(['RING', 'STATE', 'ALGORITHM', 'ID', 'SIGNS UNTIL', 'EXPIRES'], rows)
}
