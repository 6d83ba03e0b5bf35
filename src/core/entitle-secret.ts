/**
 * Authenticated identity and path → whether policy lets it read or write there. No identity rule grants it by itself.
 *
 * @module
 */
import { type Candidate, chooseCandidate, type FoundCandidates, findCandidates } from './candidate.ts'
import type { EntitleInput } from './entitle.ts'
import type { RequestContext } from './expression.ts'
import { decide, type PolicySubject } from './policy.ts'
import type { RefusalCode } from './refusal.ts'

export interface SecretEntitleInput
  extends Pick<EntitleInput, 'configured' | 'identity' | 'address' | 'now' | 'spiffeId' | 'readJoinToken'> {
  readonly operation: 'read' | 'write'
  /** Of a secret, or of a folder with the slash at its end. */
  readonly path: string
}

export interface SecretDecision {
  readonly granted: boolean
  /** Of a denial. */
  readonly code: RefusalCode
  readonly reason: string
  readonly notes: readonly string[]
  readonly subject?: PolicySubject
  readonly policy?: string
  /** The proof may be anybody's. */
  readonly stranger?: boolean
  readonly retryAfterSeconds?: number
}

/** At once, unless the store has to be asked about a renewal. */
export function entitleSecret(input: SecretEntitleInput): SecretDecision | Promise<SecretDecision> {
  const found = findCandidates(input)
  return found instanceof Promise ? found.then((later) => decideAmong(input, later)) : decideAmong(input, found)
}

function decideAmong(input: SecretEntitleInput, { candidates, notes }: FoundCandidates): SecretDecision {
  const chosen = chooseCandidate(candidates, input.spiffeId)
  if ('reason' in chosen) return { granted: false, code: 'not_entitled', notes, ...chosen }
  return decideFor(input, chosen, notes)
}

function decideFor(
  { configured, operation, path, address, now }: SecretEntitleInput,
  { subject, ours }: Candidate,
  notes: readonly string[],
): SecretDecision {
  const request: RequestContext = { operation, path, time: now, ...(address !== '' && { address }) }
  const decision = decide(configured.config.policies, subject, request, false)
  const said = { code: 'not_entitled', ...decision, subject, notes: [...notes, ...decision.notes] } as const
  // A foreign trust domain may have any number of workloads that nothing here knows.
  if (!decision.granted) return { ...said, stranger: !ours }
  const wait = configured.limiter(subject.spiffe_id)
  if (wait === 0) return said
  const reason = 'more requests of this identity than limits.per_identity'
  return { ...said, granted: false, code: 'too_many', reason, retryAfterSeconds: wait }
}
