/**
 * The set of authorities as the store keeps it: one document, read and replaced as a whole, so that a rotation and the
 * sequence number of the bundle that shows it are one atomic step.
 *
 * @module
 */
import type { Authority } from './authority-plan.ts'

export interface AuthoritySet {
  /** `spiffe_sequence` of the published bundle. */
  readonly sequence: number
  readonly authorities: readonly Authority[]
}

export const emptyAuthoritySet: AuthoritySet = { sequence: 0, authorities: [] }

const dates = new Set(['createdAt', 'activeUntil', 'expiresAt', 'taintedAt'])

/** The document is our own, written by {@link formatAuthoritySet}: what breaks here is a bug or a damaged store. */
export function readAuthoritySet(body: string): AuthoritySet {
  if (body === '') return emptyAuthoritySet
  return JSON.parse(body, (key, value) => (dates.has(key) ? new Date(value) : value)) as AuthoritySet
}

export function formatAuthoritySet(set: AuthoritySet): string {
  return JSON.stringify(set)
}

/** Grows with each change, and does not step back when an older copy of the store is restored. */
export function nextSequence(last: number, now: Date): number {
  return Math.max(last + 1, Math.floor(now.getTime() / 1000))
}
