/**
 * Signing authorities as the admin socket tells of them.
 *
 * @module
 */
import { formatMoment, formatTable } from './output.ts'

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

export function formatAuthorities(authorities: readonly AuthorityDocument[], now: Date): string {
  if (authorities.length === 0) return 'There are no authorities.'
  const rows = authorities.map((authority) => [
    authority.ring,
    authority.tainted_at === undefined ? authority.state : `${authority.state}, tainted`,
    authority.algorithm,
    authority.id,
    authority.active_until === undefined ? '-' : formatMoment(new Date(authority.active_until), now),
    formatMoment(new Date(authority.expires_at), now),
  ])
  return formatTable(['RING', 'STATE', 'ALGORITHM', 'ID', 'SIGNS UNTIL', 'EXPIRES'], rows)
}
