/**
 * Why a request is granted or refused: each rule and policy that was considered, and what its comparisons came to.
 *
 * The decision is made by the very functions that decide requests. Nothing is issued, spent or counted.
 *
 * @module
 */
import type { AuthenticatedIdentity } from './authenticate.ts'
import type { Configured } from './configured.ts'
import { entitle, policySubject } from './entitle.ts'
import { entitleExchange } from './entitle-exchange.ts'
import { entitleSecret } from './entitle-secret.ts'
import { type ExplainedPart, explainCondition } from './explain-condition.ts'
import type { Operation, RequestContext } from './expression.ts'
import { applyRule } from './identify.ts'
import type { CompiledRule } from './identity-rule.ts'
import { namesForeign, type Policy, type PolicySubject } from './policy.ts'
import type { RefusalCode } from './refusal.ts'
import type { Store } from './store.ts'

/** What is asked for with the proof. */
export interface ExplainedRequest {
  readonly operation: Operation
  /** Of a JWT-SVID. */
  readonly audience?: readonly string[]
  /** Name of the target of an exchange. */
  readonly target?: string
  /** Of a secret. */
  readonly path?: string
  readonly spiffeId?: string
  readonly ttlSeconds?: number
  /** Of the caller; empty where it is not known. */
  readonly address: string
  readonly time: Date
}

export interface ExplainedRule {
  readonly name: string
  readonly applies: boolean
  /** What it gives. */
  readonly spiffeId?: string
  /** Why a rule whose condition holds gives nothing, and what else was noticed. */
  readonly notes: readonly string[]
  readonly when?: ExplainedPart
}

export interface ExplainedPolicy {
  readonly name: string
  readonly effect: 'permit' | 'forbid'
  readonly applies: boolean
  /** Why it was not asked: it is for other operations, targets or trust domains. */
  readonly passedOver?: string
  readonly when?: ExplainedPart
}

export interface ExplainedDecision {
  readonly granted: boolean
  readonly code?: RefusalCode
  readonly reason: string
  readonly spiffeId?: string
  readonly rule?: string
  readonly policy?: string
  readonly notes: readonly string[]
}

export interface Explanation {
  /** Those of the proof's authenticator, in order. */
  readonly rules: readonly ExplainedRule[]
  /** How many rules are for the proofs of others. */
  readonly otherRules: number
  /** In order; none where the proof has no identity that they could be asked about. */
  readonly policies: readonly ExplainedPolicy[]
  readonly decision: ExplainedDecision
}

export interface ExplainInput {
  readonly configured: Configured
  readonly identity: AuthenticatedIdentity
  readonly request: ExplainedRequest
  readonly readJoinToken: Store['readJoinToken']
}

export async function explain(input: ExplainInput): Promise<Explanation> {
  const { configured, identity } = input
  const all = [...configured.config.rules.byDigest.values()]
  const own = all.filter(({ from }) => from === identity.authenticator)
  // What is explained is none of the requests that are counted.
  const uncounted: Configured = { ...configured, limiter: () => 0 }
  const { subject, context, ...decision } = await decideAsUsual({ ...input, configured: uncounted })
  const { policies } = configured.config
  return {
    rules: own.map((rule) => explainRule(input, rule)),
    otherRules: all.length - own.length,
    policies:
      subject === undefined ? [] : policies.all.map((policy) => explainPolicy(input, { policy, subject, context })),
    decision,
  }
}

/** A decision, whom the policies were asked about, and the request as they saw it. */
type Decided = ExplainedDecision & { readonly subject: PolicySubject | undefined; readonly context: RequestContext }

async function decideAsUsual(input: ExplainInput): Promise<Decided> {
  const { operation } = input.request
  if (operation === 'exchange') return decideExchange(input)
  if (operation === 'read' || operation === 'write') return decideSecret(input, operation)
  return decideSvid(input, operation)
}

async function decideSvid(input: ExplainInput, operation: 'jwt_svid' | 'x509_svid'): Promise<Decided> {
  const { identity, request } = input
  const { audience = [] } = request
  const ask = (asked: readonly string[]) =>
    entitle({
      ...usual(input),
      operation,
      ...(operation === 'jwt_svid' && { audience: asked }),
      ...(request.ttlSeconds !== undefined && { ttlSeconds: request.ttlSeconds }),
    })
  const decision = await ask(audience)
  const { granted, reason, notes, entitlement } = decision
  const alone = await Promise.all(audience.map((one) => ask([one])))
  const denied = alone.findIndex((one) => !one.granted)
  return {
    granted,
    ...(!decision.granted && {
      code: decision.code,
      ...(decision.policy !== undefined && { policy: decision.policy }),
    }),
    reason,
    notes,
    ...(entitlement && { spiffeId: entitlement.spiffeId.uri, rule: entitlement.rule.name }),
    subject: entitlement && policySubject(identity, entitlement),
    context: contextOf(request, audience[Math.max(0, denied)]),
  }
}

async function decideExchange(input: ExplainInput): Promise<Decided> {
  const { configured, request } = input
  const { target: targetName = '' } = request
  const decision = await entitleExchange({ ...usual(input), targetName })
  return { ...said(decision), context: contextOf(request, configured.config.targets.get(targetName)?.audience) }
}

async function decideSecret(input: ExplainInput, operation: 'read' | 'write'): Promise<Decided> {
  const { path = '' } = input.request
  const decision = await entitleSecret({ ...usual(input), operation, path })
  return { ...said(decision), context: { ...contextOf(input.request), path } }
}

/** What every decision is made from. */
function usual({ configured, identity, request, readJoinToken }: ExplainInput) {
  const { address, time, spiffeId } = request
  return { configured, identity, address, now: time, readJoinToken, ...(spiffeId !== undefined && { spiffeId }) }
}

type SubjectDecision = Awaited<ReturnType<typeof entitleExchange>> | Awaited<ReturnType<typeof entitleSecret>>

function said(decision: SubjectDecision): Omit<Decided, 'context'> {
  const { granted, reason, notes, policy, subject } = decision
  return {
    granted,
    ...(!granted && { code: decision.code }),
    reason,
    notes,
    ...(policy !== undefined && { policy }),
    ...(subject && { spiffeId: subject.spiffe_id, ...(subject.rule !== '' && { rule: subject.rule }) }),
    subject,
  }
}

function contextOf({ operation, address, time }: ExplainedRequest, audience?: string): RequestContext {
  return { operation, time, ...(address !== '' && { address }), ...(audience !== undefined && { audience }) }
}

function explainRule({ configured, identity, request }: ExplainInput, rule: CompiledRule): ExplainedRule {
  const audience = request.audience?.[0] ?? configured.config.targets.get(request.target ?? '')?.audience
  const variables = { proof: identity.attributes, request: contextOf(request, audience) }
  const { entitlement, notes } = applyRule(configured.config.rules, rule, variables)
  return {
    name: rule.name,
    applies: entitlement !== undefined,
    ...(entitlement && { spiffeId: entitlement.spiffeId.uri }),
    notes,
    ...(rule.when && { when: explainCondition(rule.when, variables) }),
  }
}

/** One policy, asked about one identity. */
interface AskedPolicy {
  readonly policy: Policy
  readonly subject: PolicySubject
  readonly context: RequestContext
}

function explainPolicy({ configured, request }: ExplainInput, asked: AskedPolicy): ExplainedPolicy {
  const { name, effect, when } = asked.policy
  const passedOver = whyPassedOver(configured, request, asked)
  if (passedOver !== undefined) return { name, effect, applies: false, passedOver }
  if (when === undefined) return { name, effect, applies: true }
  const target = configured.config.targets.get(request.target ?? '')
  const explained = explainCondition(when, {
    identity: asked.subject,
    request: asked.context,
    target: target === undefined ? {} : { name: target.name, type: target.type },
  })
  // What comes to no value forbids, and permits nothing.
  const applies = explained.value === 'failed' ? effect === 'forbid' : explained.value
  return { name, effect, applies, when: explained }
}

function whyPassedOver(
  { config }: Configured,
  { operation, target = '' }: ExplainedRequest,
  { policy, subject }: AskedPolicy,
): string | undefined {
  const { effect, operations, to } = policy
  if (!operations.some((name) => name === '*' || name === operation)) return `it is about ${operations.join(', ')}`
  if (to !== undefined && !to.includes(target)) return `it is about the targets ${to.join(', ')}`
  if (effect === 'forbid' || subject.trust_domain === config.trustDomain || namesForeign(policy)) return undefined
  return 'it is not for other trust domains'
}
