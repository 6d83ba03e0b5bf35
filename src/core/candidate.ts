/**
 * The identities of a proof among which a policy decides: those that rules give it, and the SPIFFE ID that an SVID says
 * by itself.
 *
 * @module
 */
import { parseSpiffeId, type SpiffeId } from '../protocol/spiffe-id.ts'
import type { AuthenticatedIdentity } from './authenticate.ts'
import { findEntitlements, policySubject } from './entitle.ts'
import type { PolicySubject } from './policy.ts'
import type { RecordEntry } from './record.ts'

/** One identity that the proof has. `ours`: a token may be signed for it. */
export interface Candidate {
  readonly spiffeId: SpiffeId
  readonly ours: boolean
  readonly subject: PolicySubject
}

export interface FoundCandidates {
  readonly candidates: readonly Candidate[]
  readonly notes: readonly string[]
}

/** At once, unless the store has to be asked about a renewal. */
export function findCandidates(
  input: Parameters<typeof findEntitlements>[0],
): FoundCandidates | Promise<FoundCandidates> {
  const { identity } = input
  if (identity.use.kind === 'identity_only')
    return { candidates: [bareCandidate(identity, identity.use.spiffeId, true)], notes: [] }
  const found = findEntitlements(input)
  const conclude = ({ entitlements, notes }: Awaited<typeof found>): FoundCandidates => {
    const mapped = entitlements.map((entitlement) => ({
      spiffeId: entitlement.spiffeId,
      ours: true,
      subject: policySubject(identity, entitlement),
    }))
    return { candidates: [...mapped, ...foreignCandidates(identity)], notes }
  }
  return found instanceof Promise ? found.then(conclude) : conclude(found)
}

/** A SPIFFE ID of another trust domain is one that policies may name, and that no token of ours says. */
function foreignCandidates(identity: AuthenticatedIdentity): readonly Candidate[] {
  const { type, use, attributes } = identity
  const spiffeId = attributes['spiffe_id']
  if (type !== 'spiffe' || use.kind !== 'rules' || typeof spiffeId !== 'string') return []
  return [bareCandidate(identity, parseSpiffeId(spiffeId), false)]
}

/** Of an SVID that stands for itself: no rule is at hand that would say more. */
function bareCandidate(
  { authenticator, attributes }: AuthenticatedIdentity,
  spiffeId: SpiffeId,
  ours: boolean,
): Candidate {
  const claims = (attributes['claims'] ?? {}) as PolicySubject['claims']
  const { uri, trustDomain, path } = spiffeId
  return {
    spiffeId,
    ours,
    subject: { spiffe_id: uri, trust_domain: trustDomain, path, authenticator, rule: '', claims },
  }
}

/** The one that was asked for, else the first; or why there is none. `stranger`: the proof has no identity at all. */
export function chooseCandidate(
  candidates: readonly Candidate[],
  wanted: string | undefined,
): Candidate | { readonly reason: string; readonly stranger: boolean } {
  const chosen = candidates.find(({ spiffeId }) => wanted === undefined || spiffeId.uri === wanted)
  if (chosen !== undefined) return chosen
  const stranger = candidates.length === 0
  const reason = stranger
    ? 'no identity rule gives this proof an identity'
    : 'the identity asked for is none of this proof'
  return { reason, stranger }
}

/** What records say of whom a policy decided about. */
export function describeSubject({
  subject,
  policy,
  notes,
}: {
  readonly subject?: PolicySubject
  readonly policy?: string
  readonly notes: readonly string[]
}): Partial<RecordEntry> {
  return {
    ...(subject && { spiffeId: subject.spiffe_id }),
    ...(subject && subject.rule !== '' && { rule: subject.rule }),
    ...(policy !== undefined && { policy }),
    ...(notes.length > 0 && { notes }),
  }
}
