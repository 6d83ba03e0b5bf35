/**
 * The life of signing authorities as a pure schedule: what the set should look like at a moment in time.
 *
 * An authority's life has three slots of equal length: *prepared* (published, not signing), *active*, *retiring*
 * (published, not signing, its private key deleted). The successor is prepared when its predecessor becomes active, so
 * that a published one always stands ready, and a verifier that fetches at the refresh hint knows it long before use.
 * Only the very first authority of a ring is active at once.
 *
 * @module
 */
import type { SignatureAlgorithm } from '../protocol/algorithms.ts'

/** `x509` is one ring; each JWT algorithm is a ring of its own. */
export type Ring = 'x509' | `jwt/${SignatureAlgorithm}`

export type AuthorityState = 'prepared' | 'active' | 'retiring'

/** One authority as it is kept, without what only its use needs. */
export interface Authority {
  /** X.509: subject key id, lower-case hex. JWT: the `kid`. */
  readonly id: string
  readonly ring: Ring
  readonly algorithm: SignatureAlgorithm
  readonly state: AuthorityState
  readonly createdAt: Date
  /** The third of the lifetime that this one was made with. No credential signed by it may live longer. */
  readonly slotSeconds: number
  /** When it stops signing: planned while active, past once retiring. */
  readonly activeUntil?: Date
  /** When it leaves the bundle. Nothing that it signed is valid after this. */
  readonly expiresAt: Date
  /** Nothing that it signed is a proof any more. */
  readonly taintedAt?: Date
  /** SubjectPublicKeyInfo, DER, base64. */
  readonly publicKey: string
  /** X.509 only: DER, base64. */
  readonly certificate?: string
  /** X.509 under an upstream authority: intermediates between ours and the root, DER, base64, nearest first. */
  readonly upstreamChain?: readonly string[]
  /** X.509 under an upstream authority: the roots that verifiers trust, DER, base64. */
  readonly upstreamRoots?: readonly string[]
  /** Under which name its private key is sealed. */
  readonly keyName: string
  /** Absent once it has stopped signing. */
  readonly sealedKey?: string
}

/** What the configuration asks of a ring. */
export interface RingPlan {
  readonly ring: Ring
  readonly algorithm: SignatureAlgorithm
  readonly ttlSeconds: number
}

export type NewAuthority = Pick<Authority, 'ring' | 'algorithm' | 'createdAt' | 'expiresAt' | 'slotSeconds'> & {
  readonly state: 'prepared' | 'active'
  readonly activeUntil?: Date
}

/** The set after the steps that need no new key, and the authorities that have to be made. */
export interface PlanStep {
  readonly authorities: readonly Authority[]
  readonly wanted: readonly NewAuthority[]
  readonly changed: boolean
}

const addSeconds = (date: Date, seconds: number) => new Date(date.getTime() + seconds * 1000)
const earlier = (a: Date, b: Date) => (a < b ? a : b)

/** Brings the set to `now`. Applying it to its own result changes nothing. */
export function planAuthorities(current: readonly Authority[], plans: readonly RingPlan[], now: Date): PlanStep {
  const kept = current.filter((authority) => authority.expiresAt > now)
  const ringsWanted = new Set(plans.map((plan) => plan.ring))
  const orphans = kept.filter((authority) => !ringsWanted.has(authority.ring))
  const veryFirst = current.length === 0

  const steps = plans.map((plan) => {
    const ring = kept.filter((authority) => authority.ring === plan.ring)
    return planRing(ring, plan, { now, veryFirst })
  })
  const authorities = [
    ...orphans.map((orphan) => stopSigning(orphan, now)),
    ...steps.flatMap((step) => step.authorities),
  ].filter((authority) => authority.expiresAt > now)
  const wanted = steps.flatMap((step) => step.wanted)
  return { authorities, wanted, changed: wanted.length > 0 || differs(current, authorities) }
}

function planRing(
  ring: readonly Authority[],
  plan: RingPlan,
  { now, veryFirst }: { readonly now: Date; readonly veryFirst: boolean },
): Omit<PlanStep, 'changed'> {
  let authorities = ring.map((authority) => (isSpent(authority, now) ? stopSigning(authority, now) : authority))
  const wanted: NewAuthority[] = []

  if (!authorities.some((authority) => authority.state === 'active')) {
    const successor = authorities.find((authority) => authority.state === 'prepared')
    if (successor && mayTakeOver(successor, authorities, now))
      authorities = authorities.map((authority) => (authority === successor ? activate(authority, now) : authority))
    else if (!successor && (veryFirst || ring.length > 0)) wanted.push(firstOf(plan, now))
  }
  const waiting = authorities.some((authority) => authority.state === 'prepared')
  if (!waiting) wanted.push(preparedOf(plan, now))
  return { authorities, wanted }
}

/**
 * A ring that the configuration adds later has no predecessor: its first authority waits until verifiers had three
 * times the refresh hint to see it (Federation §4.1). After a taint there is no waiting.
 */
function mayTakeOver(successor: Authority, ring: readonly Authority[], now: Date): boolean {
  const hasPredecessor = ring.some((authority) => authority.state === 'retiring')
  return hasPredecessor || addSeconds(successor.createdAt, 3 * refreshHintSeconds([successor.slotSeconds])) <= now
}

/** An active one whose time is over or that is tainted; a prepared one that has no full slot left to sign and retire in. */
function isSpent(authority: Authority, now: Date): boolean {
  if (authority.state === 'active') return authority.taintedAt !== undefined || (authority.activeUntil ?? now) <= now
  if (authority.state === 'prepared')
    return authority.taintedAt !== undefined || addSeconds(now, authority.slotSeconds) >= authority.expiresAt
  return false
}

/** Its private key goes; it stays published for as long as anything that it signed can live. */
export function stopSigning(authority: Authority, now: Date): Authority {
  if (authority.state === 'retiring') return authority
  const { sealedKey: _deleted, ...rest } = authority
  const signedNothing = authority.state === 'prepared'
  return {
    ...rest,
    state: 'retiring',
    activeUntil: now,
    expiresAt: signedNothing ? now : earlier(authority.expiresAt, addSeconds(now, authority.slotSeconds)),
  }
}

export function activate(authority: Authority, now: Date): Authority {
  const lastMoment = addSeconds(authority.expiresAt, -authority.slotSeconds)
  return { ...authority, state: 'active', activeUntil: earlier(addSeconds(now, authority.slotSeconds), lastMoment) }
}

export function preparedOf(plan: RingPlan, now: Date): NewAuthority {
  return {
    ring: plan.ring,
    algorithm: plan.algorithm,
    state: 'prepared',
    createdAt: now,
    slotSeconds: slotSeconds(plan.ttlSeconds),
    expiresAt: addSeconds(now, 3 * slotSeconds(plan.ttlSeconds)),
  }
}

function firstOf(plan: RingPlan, now: Date): NewAuthority {
  const slot = slotSeconds(plan.ttlSeconds)
  return {
    ...preparedOf(plan, now),
    state: 'active',
    activeUntil: addSeconds(now, slot),
    expiresAt: addSeconds(now, 2 * slot),
  }
}

/** A third of an authority's lifetime: the longest TTL that a rule may have. */
export function slotSeconds(ttlSeconds: number): number {
  return Math.floor(ttlSeconds / 3)
}

/** How long a verifier may keep what it fetched: a tenth of the shortest slot, at most 5 minutes. */
export function refreshHintSeconds(slots: readonly number[]): number {
  return Math.max(1, Math.min(300, Math.floor(Math.min(...slots) / 10)))
}

function differs(before: readonly Authority[], after: readonly Authority[]): boolean {
  if (before.length !== after.length) return true
  const known = new Set(before)
  return after.some((authority) => !known.has(authority))
}
