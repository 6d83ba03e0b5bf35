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
import { Refusal } from './refusal.ts'
import type { Store } from './store.ts'
import type { Telemetry } from './telemetry.ts'

export interface AuthoritiesDeps extends AuthorityMakerDeps {
  readonly store: Pick<Store, 'readDocument' | 'writeDocument'>
  readonly telemetry: Telemetry
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
  /** Reads the set, and rotates what is due. To be called at least every 5 seconds. */
  readonly refresh: () => Promise<void>
  readonly list: () => readonly Authority[]
  /**
   * Prepares, activates, taints or revokes, and answers the authority that was named.
   *
   * @throws {Refusal} `not_found`, `conflict`
   */
  readonly change: (change: AuthorityChange) => Promise<Authority>
}

const documentName = 'authorities'
const maxAgeMs = 60_000
const attempts = 8

export function createAuthorities(deps: AuthoritiesDeps): Authorities {
  const makeAuthority = createAuthorityMaker(deps)
  const open = createSnapshotOpener(deps)
  let held: { readonly set: AuthoritySet; readonly snapshot: AuthoritySnapshot } | undefined
  let readAtMs = Number.NEGATIVE_INFINITY

  async function adopt(set: AuthoritySet, version: number): Promise<void> {
    const issuer = deps.issuer()
    if (held?.snapshot.version !== version || held.snapshot.issuer !== issuer) {
      const snapshot = await open(set, version, issuer)
      // A slower read of an older version must not undo a newer one.
      if (held === undefined || snapshot.version >= held.snapshot.version) held = { set, snapshot }
      reportAuthorities(deps.telemetry, held)
    }
    readAtMs = deps.monotonicMs()
  }

  async function bringToNow(set: AuthoritySet, now: Date): Promise<AuthoritySet> {
    const step = planAuthorities(set.authorities, deps.plans(), now)
    if (!step.changed) return set
    const made = await Promise.all(step.wanted.map(makeAuthority))
    return { ...set, authorities: [...step.authorities, ...made] }
  }

  /** Reads, lets `edit` change the set, brings it to now, writes; again when another replica was faster. */
  async function update(edit: (set: AuthoritySet, now: Date) => AuthoritySet): Promise<void> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const now = deps.now()
      const stored = await deps.store.readDocument(documentName)
      const before = stored.version === held?.snapshot.version ? held.set : readAuthoritySet(stored.body)
      const after = await bringToNow(edit(before, now), now)
      if (after === before) return adopt(before, stored.version)

      const next = { ...after, sequence: nextSequence(before.sequence, now) }
      if (await deps.store.writeDocument(documentName, stored.version, formatAuthoritySet(next)))
        return adopt(next, stored.version + 1)
    }
    throw new Refusal(
      'store_unavailable',
      `the set of authorities changed ${attempts} times while it was being written`,
    )
  }

  return {
    current() {
      if (held === undefined || deps.monotonicMs() - readAtMs > maxAgeMs)
        throw new Refusal('no_authority', 'the set of authorities could not be read for over a minute', {
          retryAfterSeconds: 5,
        })
      return held.snapshot
    },
    refresh: () => update((set) => set),
    list: () => held?.set.authorities ?? [],
    async change(change) {
      let named: Authority | undefined
      await update((set, now) => {
        const edited = changeAuthority(set, change, now)
        named = edited.named
        return edited.set
      })
      const after = held?.set.authorities.find((authority) => authority.id === named?.id) ?? named
      if (after === undefined) throw new Refusal('not_found', 'no such authority')
      return after
    },
  }
}

function reportAuthorities(
  telemetry: Telemetry,
  { set, snapshot }: { readonly set: AuthoritySet; readonly snapshot: AuthoritySnapshot },
): void {
  telemetry.gauge('apostille_bundle_sequence', snapshot.sequence)
  for (const authority of set.authorities) {
    const end = authority.activeUntil ?? authority.expiresAt
    telemetry.gauge('apostille_authority_expiry_timestamp_seconds', end.getTime() / 1000, {
      kind: authority.ring,
      state: authority.state,
    })
  }
}
