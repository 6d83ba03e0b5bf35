/**
 * Signing authorities: kept in the store for all replicas, rotated without a gap, tainted and revoked by the operator.
 *
 * Every change is one compare-and-set of one document: whoever is faster rotates, the others read what came of it.
 *
 * @module
 */
import { type AuthorityChange, changeAuthority } from './authority-changes.ts'
import { type AuthoritySet, formatAuthoritySet, nextSequence, readAuthoritySet } from './authority-document.ts'
import { type AuthorityMakerDeps, createAuthorityMaker } from './authority-maker.ts'
import { type Authority, planAuthorities, type RingPlan } from './authority-plan.ts'
import { type AuthoritySnapshot, createSnapshotOpener } from './authority-snapshot.ts'
import type { PublishedDocuments } from './published-documents.ts'
import { Refusal } from './refusal.ts'
import type { Store } from './store.ts'
import type { Telemetry } from './telemetry.ts'

export interface AuthoritiesDeps extends AuthorityMakerDeps {
  readonly store: Pick<Store, 'readDocument' | 'writeDocument'>
  readonly telemetry: Telemetry
  /** For how long documents are published as they were last read, of the configuration in use. */
  readonly publishedSeconds: () => number
  /** `iss` of the JWT-SVIDs, of the configuration in use. */
  readonly issuer: () => string
  readonly plans: () => readonly RingPlan[]
  readonly now: () => Date
  /** Milliseconds that only grow. */
  readonly monotonicMs: () => number
}

/** The set as last read, and the operations on it. */
export interface Authorities {
  /** What signs now. @throws {Refusal} `no_authority` when the set was last read over a minute ago */
  readonly current: () => AuthoritySnapshot
  /** What verifiers fetch. @throws {Refusal} `no_authority` when it is older than `publishedSeconds` */
  readonly published: () => PublishedDocuments
  /**
   * Reads the set, and rotates what is due. To be called at least every 5 seconds. An authority that can not be made
   * is reported and tried again, as long as there is another that signs.
   *
   * @throws {Refusal} `no_authority` when nothing signs, and `store_unavailable`
   * @throws {SealError} when a key does not open; nothing was written then
   */
  readonly refresh: () => Promise<void>
  readonly list: () => readonly Authority[]
  /**
   * Prepares, activates, taints or revokes, and answers the authority that this was done to.
   *
   * @throws {Refusal} `not_found`, `conflict`, or `no_authority` when the successor that was asked for can not be made
   */
  readonly change: (change: AuthorityChange) => Promise<Authority>
}

const documentName = 'authorities'
const maxAgeMs = 60_000
const attempts = 8

/** The set as it was read or written, ready for use. */
interface Held {
  readonly body: string
  readonly set: AuthoritySet
  readonly snapshot: AuthoritySnapshot
  /** Grows with each read that begins and each write that ends: who has the greater one knows better. */
  readonly order: number
}

type Stored = Pick<Held, 'body' | 'set' | 'order'> & { readonly version: number }
type Edit = (set: AuthoritySet, now: Date) => AuthoritySet

export function createAuthorities(deps: AuthoritiesDeps): Authorities {
  const bringToNow = createPlanner(deps)
  const open = createSnapshotOpener(deps)
  let held: Held | undefined
  let readAtMs = Number.NEGATIVE_INFINITY
  let lastOrder = 0

  /**
   * Opens all its keys, so that nothing is ever written over a set whose keys do not open. One of an older version is
   * that of a copy of the store that lags behind, or of a store that was restored: it is written over before it is used.
   */
  async function adopt({ set, body, version, order }: Stored, asOfMs: number, isOurs: boolean): Promise<void> {
    const issuer = deps.issuer()
    const isSame = held?.body === body && held.snapshot.version === version && held.snapshot.issuer === issuer
    const snapshot = isSame && held ? held.snapshot : await open(set, version, issuer)
    if (held !== undefined && (held.order > order || (held.snapshot.version > version && !isOurs))) return
    const former = held?.set.authorities
    held = { body, set, snapshot, order }
    readAtMs = Math.max(readAtMs, asOfMs)
    if (!isSame) reportAuthorities(deps.telemetry, set, former)
  }

  async function read(): Promise<Stored> {
    const order = ++lastOrder
    const startedMs = deps.monotonicMs()
    const { body, version } = await deps.store.readDocument(documentName)
    const stored = { body, version, order, set: held?.body === body ? held.set : readAuthoritySet(body) }
    await adopt(stored, startedMs, false)
    return stored
  }

  /** Reads, lets `edit` change the set, brings it to now, writes; again when another replica was faster. */
  async function update(edit: Edit, mustMake: boolean): Promise<void> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const published = held?.set.sequence ?? 0
      const stored = await read()
      const now = deps.now()
      const { set, failure } = await bringToNow(edit(stored.set, now), now)
      if (failure && (mustMake || stored.version === 0)) throw failure.cause
      // A sequence below the one that was published is that of a store that was restored under us.
      const isCurrent = set === stored.set && set.sequence >= published
      const sequence = nextSequence(Math.max(stored.set.sequence, published), now)
      if (!isCurrent && !(await write(stored.version, { ...set, sequence }))) continue
      if (failure?.isFatal) throw failure.cause
      return
    }
    throw new Refusal(
      'store_unavailable',
      `the set of authorities changed ${attempts} times while it was being written`,
    )
  }

  /** False when another replica was faster. */
  async function write(version: number, set: AuthoritySet): Promise<boolean> {
    const body = formatAuthoritySet(set)
    const startedMs = deps.monotonicMs()
    if (!(await deps.store.writeDocument(documentName, version, body))) return false
    await adopt({ body, set, version: version + 1, order: ++lastOrder }, startedMs, true)
    return true
  }

  function heldFor(ageMs: number, age: string): AuthoritySnapshot {
    if (held === undefined || deps.monotonicMs() - readAtMs > ageMs)
      throw new Refusal('no_authority', `the set of authorities could not be read for ${age}`, { retryAfterSeconds: 5 })
    return held.snapshot
  }

  return {
    current: () => heldFor(maxAgeMs, 'over a minute'),
    published: () => heldFor(deps.publishedSeconds() * 1000, 'longer than documents are published').documents,
    refresh: () => update((set) => set, false),
    list: () => held?.set.authorities ?? [],
    async change(change) {
      let named: Authority | undefined
      const edit: Edit = (set, now) => {
        const edited = changeAuthority(set, change, now)
        named = edited.named
        return edited.set
      }
      await update(edit, change.action === 'prepare')
      const changed = held?.set.authorities.find((authority) =>
        change.action === 'prepare'
          ? authority.ring === change.ring && authority.state === 'prepared'
          : authority.id === named?.id,
      )
      const answer = changed ?? named
      if (answer === undefined) throw new Refusal('not_found', 'no such authority')
      return answer
    },
  }
}

interface Planned {
  /** The set that was given itself, when there is nothing to do. */
  readonly set: AuthoritySet
  /** Why an authority that is wanted could not be made; fatal when its ring has none that signs. */
  readonly failure?: { readonly cause: unknown; readonly isFatal: boolean }
}

/** The plan carried out: a ring whose new authority can not be made does not stand in the way of the others. */
function createPlanner(deps: AuthoritiesDeps) {
  const makeAuthority = createAuthorityMaker(deps)
  let reported = ''

  /** Once, until another reason comes or none. */
  function report(cause: unknown): void {
    const reason = cause instanceof Refusal ? cause.reason : cause instanceof Error ? cause.message : ''
    if (reason !== reported)
      deps.telemetry.log('error', 'a signing authority can not be made: this is tried again', { reason })
    reported = reason
  }

  return async (set: AuthoritySet, now: Date): Promise<Planned> => {
    const plans = deps.plans()
    let { authorities } = set
    for (;;) {
      const step = planAuthorities(authorities, plans, now)
      const outcomes = await Promise.allSettled(step.wanted.map(makeAuthority))
      const made = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
      authorities = made.length > 0 ? [...step.authorities, ...made] : step.authorities
      const planned = authorities === set.authorities ? set : { ...set, authorities }
      const failed = outcomes.findIndex((outcome) => outcome.status === 'rejected')
      if (failed >= 0) {
        const cause: unknown = (outcomes[failed] as PromiseRejectedResult).reason
        report(cause)
        return { set: planned, failure: { cause, isFatal: !isSigning(authorities, step.wanted[failed]?.ring) } }
      }
      if (made.length > 0) continue
      reported = ''
      return { set: planned }
    }
  }
}

function isSigning(authorities: readonly Authority[], ring: Authority['ring'] | undefined): boolean {
  return authorities.some((authority) => authority.ring === ring && authority.state === 'active')
}

function reportAuthorities(telemetry: Telemetry, set: AuthoritySet, former: readonly Authority[] = []): void {
  telemetry.gauge('apostille_bundle_sequence', set.sequence)
  for (const authority of former)
    if (!set.authorities.some((now) => now.ring === authority.ring && now.state === authority.state))
      reportAuthority(telemetry, authority, {})
  for (const authority of set.authorities) reportAuthority(telemetry, authority, authority)
}

/** @param times None for one that is gone. */
function reportAuthority(
  telemetry: Telemetry,
  { ring, state }: Authority,
  { createdAt, activeUntil, expiresAt }: Partial<Authority>,
): void {
  const labels = { ring, state }
  telemetry.gauge('apostille_authority_created_timestamp_seconds', unixTime(createdAt), labels)
  telemetry.gauge('apostille_authority_active_until_timestamp_seconds', unixTime(activeUntil), labels)
  telemetry.gauge('apostille_authority_expiry_timestamp_seconds', unixTime(expiresAt), labels)
}

const unixTime = (time: Date | undefined) => time && time.getTime() / 1000
