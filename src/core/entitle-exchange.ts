/**
 * Authenticated identity and target → who it is to the target, and whether policy lets it be exchanged.
 *
 * @module
 */
import type { SpiffeId } from '../protocol/spiffe-id.ts'
import { type Candidate, chooseCandidate, type FoundCandidates, findCandidates } from './candidate.ts'
import type { EntitleInput } from './entitle.ts'
import { ExpressionError, type RequestContext } from './expression.ts'
import { decideExchange, type PolicySubject } from './policy.ts'
import { quote } from './quote.ts'
import type { RefusalCode } from './refusal.ts'
import type { Session, Target } from './target.ts'

export interface ExchangeInput
  extends Pick<EntitleInput, 'configured' | 'identity' | 'address' | 'now' | 'spiffeId' | 'readJoinToken'> {
  readonly targetName: string
}

export interface GrantedExchange {
  readonly granted: true
  readonly target: Target
  readonly subject: PolicySubject
  /** `sub` of the token. */
  readonly acting: SpiffeId
  readonly session: Session
  readonly reason: string
  /** Name of the policy that permits it. */
  readonly policy?: string
  readonly notes: readonly string[]
}

export interface DeniedExchange {
  readonly granted: false
  readonly code: RefusalCode
  readonly reason: string
  readonly notes: readonly string[]
  readonly subject?: PolicySubject
  readonly policy?: string
  /** No identity rule gives the proof anything, so that it may be anybody's. */
  readonly stranger?: boolean
  readonly retryAfterSeconds?: number
}

/** At once, unless the store has to be asked about a renewal. */
export function entitleExchange(
  input: ExchangeInput,
): GrantedExchange | DeniedExchange | Promise<GrantedExchange | DeniedExchange> {
  const target = input.configured.config.targets.get(input.targetName)
  const found = findCandidates({ ...input, operation: 'exchange', ...(target && { audience: [target.audience] }) })
  return found instanceof Promise ? found.then((later) => decideAmong(input, later)) : decideAmong(input, found)
}

/** What is said of every denial of one request. */
interface Denying {
  readonly subject?: PolicySubject
  readonly notes: readonly string[]
  readonly stranger?: boolean
}

function deny(reason: string, denying: Denying & Partial<DeniedExchange>): DeniedExchange {
  return { granted: false, code: 'not_entitled', reason, ...denying }
}

function decideAmong(input: ExchangeInput, { candidates, notes }: FoundCandidates): GrantedExchange | DeniedExchange {
  const { configured, targetName, spiffeId: wanted } = input
  const chosen = chooseCandidate(candidates, wanted)
  if ('reason' in chosen) return deny(chosen.reason, { notes, stranger: chosen.stranger })
  const target = configured.config.targets.get(targetName)
  // A foreign trust domain may have any number of workloads that nothing here knows.
  const denying = { subject: chosen.subject, notes, stranger: !chosen.ours }
  return target ? decideFor(input, chosen, target, denying) : deny(`there is no target ${quote(targetName)}`, denying)
}

function decideFor(
  { configured, address, now }: ExchangeInput,
  { subject, ours, spiffeId }: Candidate,
  target: Target,
  denying: Denying,
): GrantedExchange | DeniedExchange {
  const request: RequestContext = {
    operation: 'exchange',
    time: now,
    audience: target.audience,
    ...(address !== '' && { address }),
  }
  const shown = { name: target.name, type: target.type }
  const {
    granted,
    reason,
    policy,
    notes: decided,
  } = decideExchange(configured.config.policies, subject, request, shown)
  const notes = [...denying.notes, ...decided]
  if (!granted) return deny(reason, { ...denying, notes, ...(policy !== undefined && { policy }) })
  const known = { subject, notes }
  if (!ours && target.actsAs === undefined)
    return deny(
      'no rule maps this foreign SPIFFE ID to one of ours, and the target does not say whom it acts as',
      known,
    )
  const wait = configured.limiter(subject.spiffe_id)
  if (wait > 0) {
    const limited = { ...known, code: 'too_many', retryAfterSeconds: wait } as const
    return deny('more requests of this identity than limits.per_identity', limited)
  }
  const acting = target.actsAs ?? spiffeId
  try {
    const session = target.sessionOf(acting, { identity: subject, request, target: shown })
    return { granted, target, subject, acting, session, reason, notes, ...(policy !== undefined && { policy }) }
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    return deny(`target ${target.name} is of no use to this identity: ${error.message}`, known)
  }
}
