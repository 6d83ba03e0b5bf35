/**
 * Authenticated identity and request → the identity that it gets, and whether policy lets it have what it asks for.
 *
 * @module
 */
import type { AuthenticatedIdentity } from './authenticate.ts'
import type { Configured } from './configured.ts'
import { coversAudience, type Entitlement, type Operation, type RequestContext, renewEntitlement } from './identify.ts'
import { type Decision, decide, type PolicySubject } from './policy.ts'
import { quote } from './quote.ts'
import type { RefusalCode } from './refusal.ts'
import type { Store } from './store.ts'

export interface EntitleInput {
  readonly configured: Configured
  readonly identity: AuthenticatedIdentity
  readonly operation: Operation
  readonly address: string
  readonly now: Date
  /** For a JWT-SVID; each is decided on its own, so that a permit for one does not carry another. */
  readonly audience?: readonly string[]
  readonly spiffeId?: string
  readonly ttlSeconds?: number
  readonly readJoinToken: Store['readJoinToken']
}

export interface Granted {
  readonly granted: true
  readonly entitlement: Entitlement
  readonly ttlSeconds: number
  readonly reason: string
  readonly notes: readonly string[]
}

export interface Denied {
  readonly granted: false
  readonly code: RefusalCode
  readonly reason: string
  readonly notes: readonly string[]
  readonly entitlement?: Entitlement
  /** No identity rule gives the proof anything, so that it may be anybody's. */
  readonly stranger?: boolean
  /** Name of the policy that forbids it. */
  readonly policy?: string
  /** What the caller may know: what is wrong with its own request. */
  readonly detail?: string
  readonly retryAfterSeconds?: number
}

/** At once, unless the store has to be asked about a renewal. */
export function entitle(input: EntitleInput): Granted | Denied | Promise<Granted | Denied> {
  const found = findEntitlements(input)
  return found instanceof Promise ? found.then((later) => entitleAmong(input, later)) : entitleAmong(input, found)
}

function entitleAmong(input: EntitleInput, found: FoundEntitlements): Granted | Denied {
  const chosen = chooseIdentity(input, found)
  if ('granted' in chosen) return chosen
  const { entitlement, notes } = chosen
  const malformed = checkRequest(input, entitlement)
  if (malformed)
    return { granted: false, code: 'malformed_request', reason: malformed, detail: malformed, notes, entitlement }

  const decision = decideAll(input, entitlement)
  const allNotes = decision.notes.length === 0 ? notes : [...notes, ...decision.notes]
  if (!decision.granted) return deny(input, entitlement, decision, allNotes)

  const wait = input.configured.limiter(entitlement.spiffeId.uri)
  if (wait > 0) {
    const reason = 'more requests of this identity than limits.per_identity'
    return { granted: false, code: 'too_many', reason, notes: allNotes, entitlement, retryAfterSeconds: wait }
  }
  const ttlSeconds = input.ttlSeconds ?? ruleTtl(input.operation, entitlement)
  return { granted: true, entitlement, ttlSeconds, reason: decision.reason, notes: allNotes }
}

/** Where no policy spoke, the rule is what the operator can change, and which audience it lacks. */
function deny(
  input: EntitleInput,
  entitlement: Entitlement,
  { reason, policy, audience = input.audience?.[0] }: AudienceDecision,
  notes: readonly string[],
): Denied {
  const denied = { granted: false, code: 'not_entitled', notes, entitlement } as const
  if (policy !== undefined) return { ...denied, reason, policy }
  const { rule } = entitlement
  if (audience === undefined) return { ...denied, reason }
  const wildcard = rule.audiences.includes('*') ? ", nor does its '*' cover it" : ''
  return {
    ...denied,
    reason: `rule ${rule.name} does not list audience ${quote(audience, maxQuoted)}${wildcard}, and ${reason}`,
  }
}

const maxQuoted = 200

/** The identity that was asked for among those that the proof has, else the first. */
function chooseIdentity(
  input: EntitleInput,
  { entitlements, notes }: FoundEntitlements,
): { readonly entitlement: Entitlement; readonly notes: readonly string[] } | Denied {
  const entitlement =
    input.spiffeId === undefined
      ? entitlements[0]
      : entitlements.find((candidate) => candidate.spiffeId.uri === input.spiffeId)
  if (entitlement !== undefined) return { entitlement, notes }
  const reason =
    entitlements.length === 0
      ? 'no identity rule gives this proof an identity'
      : `the identity asked for is none of the ${entitlements.length} that this proof has (${entitlements
          .slice(0, 5)
          .map(({ spiffeId }) => spiffeId.uri)
          .join(', ')})`
  return { granted: false, code: 'not_entitled', reason, notes, stranger: entitlements.length === 0 }
}

export interface FoundEntitlements {
  readonly entitlements: readonly Entitlement[]
  readonly notes: readonly string[]
}

/** Every identity that the proof has, by what the proof is good for. */
export function findEntitlements(
  input: Pick<EntitleInput, 'configured' | 'identity' | 'address' | 'now' | 'readJoinToken'> & {
    readonly operation: RequestContext['operation']
    readonly audience?: readonly string[]
  },
): FoundEntitlements | Promise<FoundEntitlements> {
  const { configured, identity } = input
  const { use } = identity
  if (use.kind === 'identity_only')
    return { entitlements: [], notes: ['a JWT-SVID of ours gets no other SVID, so that a stolen one does not live on'] }
  if (use.kind !== 'renewal') return identifyForEach(input)

  const renewed = renewEntitlement(configured.config.rules, use, requestContext(input))
  if ('refused' in renewed) return { entitlements: [], notes: [renewed.refused] }
  const { joinToken } = use.firstProof
  if (joinToken === undefined) return { entitlements: [renewed], notes: [] }
  return unlessRevoked(input.readJoinToken, joinToken, renewed)
}

async function unlessRevoked(
  readJoinToken: Store['readJoinToken'],
  joinToken: string,
  renewed: Entitlement,
): Promise<FoundEntitlements> {
  if ((await readJoinToken(joinToken))?.revokedAt === undefined) return { entitlements: [renewed], notes: [] }
  return { entitlements: [], notes: [`the join token ${joinToken} that this identity began with is revoked`] }
}

/** A rule may read the audience: with several, only what the proof has for each of them counts. */
function identifyForEach(
  input: Pick<EntitleInput, 'configured' | 'identity' | 'address' | 'now' | 'audience'> &
    Pick<RequestContext, 'operation'>,
): FoundEntitlements {
  const { configured, identity, audience = [] } = input
  const [first, ...others] = audience
  const found = configured.identify(identity, requestContext(input, first))
  if (others.length === 0) return found
  const further = others.map((other) => configured.identify(identity, requestContext(input, other)).entitlements)
  const inAll = ({ spiffeId, rule }: Entitlement) =>
    further.every((entitlements) =>
      entitlements.some((other) => other.spiffeId.uri === spiffeId.uri && other.rule.digest === rule.digest),
    )
  return { ...found, entitlements: found.entitlements.filter(inAll) }
}

/** A TTL or a number of audiences above the rule's is the caller's mistake, and is said so. */
function checkRequest(input: EntitleInput, { rule }: Entitlement): string | undefined {
  const most = input.operation === 'jwt_svid' ? rule.jwtTtlSeconds : rule.x509TtlSeconds
  if (input.ttlSeconds !== undefined && input.ttlSeconds > most) return `ttl_seconds: at most ${most}`
  if (input.audience !== undefined && input.audience.length > rule.maxAudiences)
    return `audience: at most ${rule.maxAudiences}`
  return undefined
}

interface AudienceDecision extends Decision {
  /** Which of several is denied. */
  readonly audience?: string | undefined
}

function decideAll(input: EntitleInput, entitlement: Entitlement): AudienceDecision {
  const subject = policySubject(input.identity, entitlement)
  const { policies, rules } = input.configured.config
  if (input.audience === undefined) return decide(policies, subject, requestContext(input), true)
  const decideOne = (audience: string) =>
    decide(policies, subject, requestContext(input, audience), coversAudience(rules, entitlement.rule, audience))
  const [only] = input.audience
  if (only !== undefined && input.audience.length === 1) return decideOne(only)
  const decisions = input.audience.map(decideOne)
  const at = decisions.findIndex((decision) => !decision.granted)
  const denied = decisions[at]
  if (denied) return { ...denied, audience: input.audience[at] }
  const [first] = decisions
  return { ...(first ?? { granted: false, reason: 'no audience' }), notes: decisions.flatMap(({ notes }) => notes) }
}

/** What policies see as `identity`. */
export function policySubject(identity: AuthenticatedIdentity, { spiffeId, rule, claims }: Entitlement): PolicySubject {
  return {
    spiffe_id: spiffeId.uri,
    trust_domain: spiffeId.trustDomain,
    path: spiffeId.path,
    authenticator: identity.authenticator,
    rule: rule.name,
    claims,
  }
}

function requestContext(
  input: { readonly operation: RequestContext['operation']; readonly address: string; readonly now: Date },
  audience?: string,
): RequestContext {
  const { operation, address, now } = input
  return {
    operation,
    time: now,
    ...(address !== '' && { address }),
    ...(audience !== undefined && { audience }),
  }
}

function ruleTtl(operation: Operation, { rule }: Entitlement): number {
  return operation === 'jwt_svid' ? rule.jwtTtlSeconds : rule.x509TtlSeconds
}
