/**
 * What an operator may do to the set of authorities by hand.
 *
 * @module
 */
import type { AuthoritySet } from './authority-document.ts'
import { type Authority, activate, type Ring, stopSigning } from './authority-plan.ts'
import { Refusal } from './refusal.ts'

export type AuthorityChange =
  /** A fresh successor takes the place of the one that stands ready. */
  | { readonly action: 'prepare'; readonly ring: Ring }
  /** The successor signs from now on. `force` skips the time that verifiers need to see it. */
  | { readonly action: 'activate'; readonly ring: Ring; readonly force: boolean }
  /** From now on nothing that it signed is a proof; if it was active, its successor signs. */
  | { readonly action: 'taint'; readonly id: string }
  /** Tainted, and out of the bundle as well. */
  | { readonly action: 'revoke'; readonly id: string }

export interface ChangedSet {
  readonly set: AuthoritySet
  readonly named: Authority
}

/** The set with the change made; what it then lacks (a successor, say) is made by the next plan. */
export function changeAuthority(set: AuthoritySet, change: AuthorityChange, now: Date): ChangedSet {
  switch (change.action) {
    case 'prepare':
      return remove(set, inState(set, change.ring, 'prepared'))
    case 'activate':
      return activateSuccessor(set, change.ring, change.force, now)
    case 'taint':
      return replace(set, byId(set, change.id), (authority) => ({
        ...authority,
        taintedAt: authority.taintedAt ?? now,
      }))
    case 'revoke':
      return revoke(set, byId(set, change.id), now)
  }
}

function activateSuccessor(set: AuthoritySet, ring: Ring, force: boolean, now: Date): ChangedSet {
  const successor = inState(set, ring, 'prepared')
  const wait = successor.leadSeconds
  const age = (now.getTime() - successor.createdAt.getTime()) / 1000
  if (age < wait && !force)
    throw new Refusal('conflict', 'the successor was not published long enough', {
      detail: `the successor was published ${Math.floor(age)} s ago and verifiers need ${wait} s to see it`,
    })
  const active = set.authorities.find((authority) => authority.ring === ring && authority.state === 'active')
  const retired = active ? replace(set, active, (authority) => stopSigning(authority, now)).set : set
  return replace(retired, successor, (authority) => activate(authority, now))
}

/** As after a taint, the successor of an active one does not wait. */
function revoke(set: AuthoritySet, authority: Authority, now: Date): ChangedSet {
  if (authority.upstreamRoots !== undefined)
    throw new Refusal('conflict', 'an intermediate under an upstream authority can not be revoked here', {
      detail:
        'verifiers trust the root above this authority, so leaving it out of the bundle changes nothing for them: taint it, and its lifetime (authorities.x509.ttl) is the bound',
    })
  const removed = remove(set, authority)
  const successor = removed.set.authorities.find(({ ring, state }) => ring === authority.ring && state === 'prepared')
  if (authority.state !== 'active' || successor === undefined) return removed
  return { ...removed, set: replace(removed.set, successor, (next) => activate(next, now)).set }
}

function byId(set: AuthoritySet, id: string): Authority {
  const authority = set.authorities.find((candidate) => candidate.id === id)
  if (authority === undefined)
    throw new Refusal('not_found', 'no such authority', { detail: 'no authority has that id' })
  return authority
}

function inState(set: AuthoritySet, ring: Ring, state: Authority['state']): Authority {
  const authority = set.authorities.find((candidate) => candidate.ring === ring && candidate.state === state)
  if (authority === undefined)
    throw new Refusal('not_found', `no authority of ${ring} is ${state}`, {
      detail: `no authority of ${ring} is ${state}`,
    })
  return authority
}

function replace(set: AuthoritySet, authority: Authority, edit: (authority: Authority) => Authority): ChangedSet {
  const named = edit(authority)
  return { named, set: { ...set, authorities: set.authorities.map((other) => (other === authority ? named : other)) } }
}

function remove(set: AuthoritySet, authority: Authority): ChangedSet {
  return { named: authority, set: { ...set, authorities: set.authorities.filter((other) => other !== authority) } }
}
