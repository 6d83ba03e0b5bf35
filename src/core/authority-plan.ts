/**
 * The life of signing authorities as a pure schedule: what the set should look like at a moment in time.
 *
 * An authority's life has three slots of equal length: *prepared* (published, not signing), *active*, *retiring*
 * (published, not signing, its private key deleted). The successor is prepared when its predecessor becomes active, so
 * that a published one always stands ready, and a verifier that fetches at the refresh hint knows it long before use.
 * One that was prepared late signs late: its predecessor goes on for as long. Only the very first authority of a ring,
 * or the first after all others expired, is active at once.
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
  /** For how long it is published before it signs, but for a taint: until every copy that lacks it is out of use. */
  readonly leadSeconds: number
  /** When it stops signing: planned while active, past once retiring. */
  readonly activeUntil?: Date
  /** Nothing that it signed is valid after this. It leaves the bundle a little later, see {@link leavesAt}. */
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

/** An authority that is to be made. */
export type NewAuthority = Pick<
  Authority,
  'ring' | 'algorithm' | 'createdAt' | 'expiresAt' | 'slotSeconds' | 'leadSeconds'
> & {
  readonly state: 'prepared' | 'active'
  /** When it begins to sign: now for an active one, else when its turn comes. */
  readonly startsAt: Date
  readonly activeUntil?: Date
}

export interface PlanStep {
  /** The set after the steps that need no new key; `current` itself when there are none. */
  readonly authorities: readonly Authority[]
  /** What is to be made and added. The step after that may want more. */
  readonly wanted: readonly NewAuthority[]
}

/** What the planning of one ring sees of the whole. */
interface RingContext {
  readonly now: Date
  readonly leadSeconds: number
  /** The configuration added this ring to a set that verifiers have fetched already. */
  readonly isAdded: boolean
}

const addSeconds = (date: Date, seconds: number) => new Date(date.getTime() + seconds * 1000)
const earlier = (a: Date, b: Date) => (a < b ? a : b)
const later = (a: Date, b: Date) => (a > b ? a : b)

/** Brings the set to `now`. Once what it wants was made and added, applying it again changes nothing. */
export function planAuthorities(current: readonly Authority[], plans: readonly RingPlan[], now: Date): PlanStep {
  const kept = current.filter((authority) => leavesAt(authority) > now)
  const leadSeconds = leadAfter(current, plans)
  const steps = plans.map((plan) => {
    const inRing = (authority: Authority) => authority.ring === plan.ring
    // The ring of X.509 authorities is in every plan: without one, all that there were are gone.
    const isAdded = plan.ring !== 'x509' && current.length > 0 && !current.some(inRing)
    return planRing(kept.filter(inRing), plan, { now, leadSeconds, isAdded })
  })
  const authorities = [...planOrphans(kept, plans, steps, now), ...steps.flatMap((step) => step.authorities)]
  return {
    authorities: isSame(current, authorities) ? current : authorities,
    wanted: steps.flatMap((step) => step.wanted),
  }
}

/**
 * Federation §4.1: three times the longest that a verifier may keep a copy of the set as it is. The very first has
 * nobody who keeps one.
 */
function leadAfter(current: readonly Authority[], plans: readonly RingPlan[]): number {
  const slots = current.map((authority) => authority.slotSeconds)
  return 3 * refreshHintSeconds(slots.length > 0 ? slots : plans.map((plan) => slotSeconds(plan.ttlSeconds)))
}

function planRing(ring: readonly Authority[], plan: RingPlan, context: RingContext): PlanStep {
  const { now } = context
  const successor = ring.find((authority) => authority.state === 'prepared' && isUsable(authority, context))
  const active = ring.find((authority) => authority.state === 'active')
  const goesOn = active !== undefined && !isOver(active, successor, now)
  const takesOver = !goesOn && successor !== undefined && (hasSigned(ring) || isKnown(successor, now))
  const authorities = ring.flatMap((authority) => {
    if (authority === successor) return [takesOver ? activate(authority, now) : authority]
    if (authority === active && goesOn) return [authority]
    return retire(authority, now)
  })
  const signing = authorities.find((authority) => authority.state === 'active')
  if (signing === undefined && successor === undefined && !context.isAdded)
    return { authorities, wanted: [firstOf(plan, context)] }
  const waiting = authorities.some((authority) => authority.state === 'prepared')
  return { authorities, wanted: waiting ? [] : [preparedOf(plan, signing, context)] }
}

/**
 * Rings that the configuration no longer has stop at once. Where it has others in their place they go on until those
 * may sign, so that a change of algorithm leaves no gap.
 */
function planOrphans(
  kept: readonly Authority[],
  plans: readonly RingPlan[],
  steps: readonly PlanStep[],
  now: Date,
): readonly Authority[] {
  const isReady = steps.every(({ authorities, wanted }) =>
    [...authorities, ...wanted].some(({ state }) => state === 'active'),
  )
  const orphans = kept.filter((authority) => !plans.some((plan) => plan.ring === authority.ring))
  return orphans.flatMap((orphan) => {
    const goesOn = !isReady && orphan.state === 'active' && !isOver(orphan, undefined, now)
    return goesOn ? [orphan] : retire(orphan, now)
  })
}

/**
 * Without a successor that verifiers know an active one goes on after its time, as long as what it signs then is good
 * for anything: nothing of it outlives `expiresAt`.
 */
function isOver(active: Authority, successor: Authority | undefined, now: Date): boolean {
  if (active.taintedAt !== undefined || active.expiresAt <= now) return true
  if (successor === undefined || (active.activeUntil ?? now) > now) return false
  return isKnown(successor, now) || addSeconds(now, successor.leadSeconds) >= active.expiresAt
}

/** Whether every copy of the set that is in use holds it. */
function isKnown(prepared: Authority, now: Date): boolean {
  return addSeconds(prepared.createdAt, prepared.leadSeconds) <= now
}

/** What is left of its life lets it sign until a successor is known, and what it signs then live as long again. */
function isUsable(prepared: Authority, { now, leadSeconds }: RingContext): boolean {
  return prepared.taintedAt === undefined && addSeconds(now, 2 * leadSeconds) < prepared.expiresAt
}

function hasSigned(ring: readonly Authority[]): boolean {
  return ring.some((authority) => authority.state !== 'prepared')
}

/** A prepared one has signed nothing, and nobody misses it. */
function retire(authority: Authority, now: Date): readonly Authority[] {
  return authority.state === 'prepared' ? [] : [stopSigning(authority, now)]
}

/** A replica that did not see the change yet signs for as long, and its clock may be behind. */
const lagSeconds = 120

/** Its private key goes; it stays published for as long as anything that it signed can live. */
export function stopSigning(authority: Authority, now: Date): Authority {
  if (authority.state === 'retiring') return authority
  const { sealedKey: _deleted, ...rest } = authority
  const expiresAt = earlier(authority.expiresAt, addSeconds(now, authority.slotSeconds + lagSeconds))
  return { ...rest, state: 'retiring', activeUntil: now, expiresAt }
}

export function activate(authority: Authority, now: Date): Authority {
  const planned = earlier(
    addSeconds(now, authority.slotSeconds),
    addSeconds(authority.expiresAt, -authority.slotSeconds),
  )
  return { ...authority, state: 'active', activeUntil: later(planned, now) }
}

const longestGraceSeconds = 300

/** When it leaves the bundle: not at the very end of what it signed, as no two clocks are the same. */
export function leavesAt({ expiresAt, slotSeconds }: Pick<Authority, 'expiresAt' | 'slotSeconds'>): Date {
  return addSeconds(expiresAt, Math.min(slotSeconds, longestGraceSeconds))
}

function preparedOf(plan: RingPlan, signing: Authority | undefined, { now, leadSeconds }: RingContext): NewAuthority {
  const slot = slotSeconds(plan.ttlSeconds)
  const startsAt = later(signing?.activeUntil ?? now, addSeconds(now, leadSeconds))
  return { ...planned(plan, now, leadSeconds), state: 'prepared', startsAt, expiresAt: addSeconds(startsAt, 2 * slot) }
}

function firstOf(plan: RingPlan, { now, leadSeconds }: RingContext): NewAuthority {
  const slot = slotSeconds(plan.ttlSeconds)
  return {
    ...planned(plan, now, leadSeconds),
    state: 'active',
    startsAt: now,
    activeUntil: addSeconds(now, slot),
    expiresAt: addSeconds(now, 2 * slot),
  }
}

function planned({ ring, algorithm, ttlSeconds }: RingPlan, createdAt: Date, leadSeconds: number) {
  return { ring, algorithm, createdAt, slotSeconds: slotSeconds(ttlSeconds), leadSeconds }
}

/** A third of an authority's lifetime: the longest TTL that a rule may have. */
export function slotSeconds(ttlSeconds: number): number {
  return Math.floor(ttlSeconds / 3)
}

/** How long a verifier may keep what it fetched: a tenth of the shortest slot, at most 5 minutes. */
export function refreshHintSeconds(slots: readonly number[]): number {
  return Math.max(1, Math.min(300, Math.floor(Math.min(...slots) / 10)))
}

function isSame(before: readonly Authority[], after: readonly Authority[]): boolean {
  const known = new Set(before)
  return before.length === after.length && after.every((authority) => known.has(authority))
}
