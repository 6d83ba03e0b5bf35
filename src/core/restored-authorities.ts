/**
 * What becomes of the authorities of a backup: none of them signs again, as another gateway may have gone on with them
 * since, and whoever holds the backup may have their keys.
 *
 * @module
 */
import type { AuthoritySet } from './authority-document.ts'
import { type Authority, stopSigning } from './authority-plan.ts'

/**
 * @param keepTrust Whether what they signed is still believed: then they stay in the bundle until all of it has expired.
 *   Otherwise they leave it, and every workload proves itself anew. One under an upstream authority can not be taken
 *   out of what verifiers trust, and is tainted.
 */
export function retireRestored(set: AuthoritySet, keepTrust: boolean, now: Date): AuthoritySet {
  return { ...set, authorities: set.authorities.flatMap((authority) => retire(authority, keepTrust, now)) }
}

function retire(authority: Authority, keepTrust: boolean, now: Date): readonly Authority[] {
  // It has signed nothing.
  if (authority.state === 'prepared') return []
  const retired = stopSigning(authority, now)
  if (keepTrust) return [retired]
  return authority.upstreamRoots === undefined ? [] : [{ ...retired, taintedAt: authority.taintedAt ?? now }]
}
