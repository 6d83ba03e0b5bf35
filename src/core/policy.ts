/**
 * Identity and request → decision, with its reason.
 *
 * A `forbid` wins over everything, then comes what the identity rule grants, then a `permit`; nothing else is granted. A
 * `forbid` whose condition comes to no value forbids, a `permit` whose condition does so does not apply.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { SpiffeId, TrustDomain } from '../protocol/spiffe-id.ts'
import type { KnownNames } from './attribute-values.ts'
import { findConditionProblem } from './condition.ts'
import { type Attributes, conditionsOf, createConditionIndex, type Found } from './condition-index.ts'
import {
  compileExpression,
  type Expression,
  type ExpressionEnvironment,
  ExpressionError,
  ExpressionSyntaxError,
  type Operation,
  operations,
  type Problem,
  policyEnvironment,
  type RequestContext,
  type Variables,
} from './expression.ts'
import { findSimilarName } from './similar-name.ts'

/** A policy as the configuration has it. */
export interface PolicyInput {
  readonly path: readonly (string | number)[]
  readonly name?: string | undefined
  readonly effect: 'permit' | 'forbid'
  readonly operations: readonly (Operation | '*')[]
  /** Names of the targets of an exchange; `'*'` or absent: all of them. */
  readonly to?: readonly string[] | undefined
  /** Absent: always. */
  readonly when?: string | undefined
  readonly reason?: string | undefined
}

/** `identity`, as the expressions of policies see it. */
export interface PolicySubject {
  readonly spiffe_id: string
  readonly trust_domain: string
  readonly path: string
  readonly authenticator: string
  readonly rule: string
  readonly claims: Readonly<Record<string, unknown>>
}

/** Where no proof is at hand that would say more. */
export function bareSubject({ uri, trustDomain, path }: SpiffeId): PolicySubject {
  return { spiffe_id: uri, trust_domain: trustDomain, path, authenticator: '', rule: '', claims: {} }
}

export interface Decision {
  readonly granted: boolean
  /** For operators. */
  readonly reason: string
  /** Name of the policy that decided. */
  readonly policy?: string
  /** Policies whose condition came to no value. */
  readonly notes: readonly string[]
}

export interface Policy {
  /** As given, or the first 12 digits of a digest. */
  readonly name: string
  readonly effect: PolicyInput['effect']
  readonly operations: PolicyInput['operations']
  readonly to?: readonly string[]
  readonly when?: Expression
  readonly reason?: string
  /** Place in the configuration. */
  readonly order: number
}

type FindPolicies = (identity: Attributes) => Found<Policy>

/** The policies of one effect by operation, `identities` included, which only `'*'` covers. */
interface PolicyIndex {
  /** Without those of single targets. */
  readonly byOperation: ReadonlyMap<RequestContext['operation'], FindPolicies>
  /** Of an exchange: those that name this target. */
  readonly byTarget: ReadonlyMap<string, FindPolicies>
}

export interface PolicySet {
  readonly forbid: PolicyIndex
  readonly permit: PolicyIndex
  /** Ours; absent where nothing else is told from it. */
  readonly trustDomain?: TrustDomain
  /** In the order of the configuration, for whoever looks at what they say. */
  readonly all: readonly Policy[]
}

/** Policies without problems, and every problem of the others. */
export function compilePolicies(inputs: readonly PolicyInput[], known: PolicyNames = {}) {
  const environment = policyEnvironment(known)
  const problems: Problem[] = []
  const policies: Policy[] = []
  const names = new Set<string>()
  const targets = known.targets && new Set(known.targets)
  for (const [order, input] of inputs.entries()) {
    const found: Problem[] = []
    const policy = { ...compilePolicy(input, { environment, targets, problems: found }), order }
    if (input.name !== undefined && names.has(input.name))
      found.push({ path: [...input.path, 'name'], message: `two policies are named ${input.name}` })
    names.add(policy.name)
    for (const problem of found) problems.push(problem)
    if (found.length === 0) policies.push(policy)
  }
  return { policies: createPolicySet(policies, known.trustDomain), problems: problems as readonly Problem[] }
}

interface PolicyContext {
  readonly environment: ExpressionEnvironment
  /** Their names, where they are known. */
  readonly targets: ReadonlySet<string> | undefined
  /** Where problems go. */
  readonly problems: Problem[]
}

function compilePolicy(input: PolicyInput, { environment, targets, problems }: PolicyContext): Omit<Policy, 'order'> {
  const { effect, operations: covered, reason } = input
  if (covered.length === 0) problems.push({ path: input.path, message: `a ${effect} of no operation` })
  for (const problem of findTargetProblems(input, targets)) problems.push(problem)
  const when = compileWhen(input, environment, problems)
  return {
    name: input.name ?? `${effect}-${digestPolicy(input).slice(0, 12)}`,
    effect,
    operations: covered,
    ...(input.to && !input.to.includes('*') && { to: input.to }),
    ...(when && { when }),
    ...(reason !== undefined && { reason }),
  }
}

function findTargetProblems({ path, operations: covered, to }: PolicyInput, targets: PolicyContext['targets']) {
  if (to === undefined) return []
  const coversExchange = covered.some((name) => name === 'exchange' || name === '*')
  if (!coversExchange) return [{ path: [...path, 'to'], message: 'only an exchange has a target' }]
  return to.flatMap((name) => {
    if (name === '*' || targets === undefined || targets.has(name)) return []
    const similar = findSimilarName(name, [...targets])
    const hint = similar === undefined ? 'add it to targets' : `did you mean ${similar}?`
    return [{ path: [...path, 'to'], message: `there is no target ${name}: ${hint}` }]
  })
}

function compileWhen({ path, when }: PolicyInput, environment: ExpressionEnvironment, problems: Problem[]) {
  if (when === undefined) return undefined
  const at = [...path, 'when']
  try {
    const condition = compileExpression(when, environment, 'bool')
    const problem = findConditionProblem(condition)
    if (problem) problems.push({ path: at, message: problem })
    return condition
  } catch (error) {
    if (!(error instanceof ExpressionSyntaxError)) throw error
    problems.push({ path: at, message: error.message, offset: error.offset })
    return undefined
  }
}

function digestPolicy({ effect, operations: covered, to, when }: PolicyInput): string {
  const canonical = JSON.stringify({ effect, operations: covered, to, when: when ?? null })
  return createHash('sha256').update(canonical).digest('hex')
}

interface PolicyNames extends KnownNames {
  readonly trustDomain?: TrustDomain | undefined
}

function createPolicySet(policies: readonly Policy[], trustDomain: TrustDomain | undefined): PolicySet {
  return {
    ...(trustDomain !== undefined && { trustDomain }),
    forbid: indexByOperation(policies, 'forbid'),
    permit: indexByOperation(policies, 'permit'),
    all: policies,
  }
}

function indexByOperation(policies: readonly Policy[], effect: PolicyInput['effect']): PolicyIndex {
  const chosen = policies.filter((policy) => policy.effect === effect)
  const general = chosen.filter(({ to }) => to === undefined)
  const byOperation = new Map(
    ([...operations, 'identities'] as const).map((operation) => [
      operation,
      indexPolicies(covering(general, operation)),
    ]),
  )
  const named = new Map<string, Policy[]>()
  for (const policy of covering(chosen, 'exchange'))
    for (const target of new Set(policy.to)) named.set(target, [...(named.get(target) ?? []), policy])
  return { byOperation, byTarget: new Map([...named].map(([target, some]) => [target, indexPolicies(some)])) }
}

function covering(policies: readonly Policy[], operation: RequestContext['operation']): readonly Policy[] {
  return policies.filter(({ operations: covered }) => covered.some((name) => name === '*' || name === operation))
}

function indexPolicies(policies: readonly Policy[]): FindPolicies {
  return createConditionIndex(
    policies.map((value) => ({ keys: conditionsOf(value.when?.tree, 'identity').keys, value })),
  )
}

/** `target`, as the expressions of policies see it. */
export interface PolicyTarget {
  readonly name: string
  readonly type: string
}

/** Whether the request is granted. `grantedByRule`: the identity rule gives what is asked for, such as its own SVID. */
export function decide(
  policies: PolicySet,
  subject: PolicySubject,
  request: RequestContext,
  grantedByRule: boolean,
): Decision {
  return decideAbout(policies, { identity: subject, request, target: {} }, grantedByRule)
}

/** Whether the identity may be exchanged for the target: only where a permit says so. */
export function decideExchange(
  policies: PolicySet,
  subject: PolicySubject,
  request: RequestContext,
  target: PolicyTarget,
): Decision {
  return decideAbout(policies, { identity: subject, request, target }, false)
}

function decideAbout(policies: PolicySet, variables: DecisionVariables, grantedByRule: boolean): Decision {
  const notes: string[] = []
  for (const policy of policiesFor(policies.forbid, variables)) {
    const holds = evaluateCondition(policy, variables, notes)
    if (holds === false) continue
    const reason = holds === true ? (policy.reason ?? `forbidden by ${policy.name}`) : describeFailed(policy)
    return { granted: false, reason, policy: policy.name, notes }
  }
  if (grantedByRule) return { granted: true, reason: `granted by rule ${variables.identity.rule}`, notes }
  const { trustDomain = variables.identity.trust_domain } = policies
  const isForeign = variables.identity.trust_domain !== trustDomain
  for (const policy of policiesFor(policies.permit, variables)) {
    if (evaluateCondition(policy, variables, notes) !== true) continue
    if (isForeign && !namesForeign(policy)) {
      if (notes.length < maxNotes) notes.push(`permit ${policy.name}: ${notForForeign}`)
      continue
    }
    return { granted: true, reason: policy.reason ?? `permitted by ${policy.name}`, policy: policy.name, notes }
  }
  return { granted: false, reason: 'no policy permits it', notes }
}

/** Workloads of other trust domains have paths, rules and claims of any name: who means them says whose they are. */
export function namesForeign({ when }: Policy): boolean {
  return when !== undefined && foreignNames.some((name) => when.reads.has(name))
}

const notForForeign =
  'not for other trust domains, as its condition reads none of identity.spiffe_id, identity.trust_domain, identity.authenticator'
const foreignNames = ['identity.spiffe_id', 'identity.trust_domain', 'identity.authenticator']

interface DecisionVariables extends Variables {
  readonly identity: PolicySubject
  readonly request: RequestContext
  /** Empty for what has no target. */
  readonly target: Partial<PolicyTarget>
}

function policiesFor(index: PolicyIndex, { identity, request, target }: DecisionVariables): readonly Policy[] {
  const attributes = identity as unknown as Attributes
  const general = index.byOperation.get(request.operation)?.(attributes) ?? nothingFound
  const named = target.name === undefined ? undefined : index.byTarget.get(target.name)?.(attributes)
  if (named === undefined && general.open.length === 0) return general.candidates
  return [...allOf(general), ...(named ? allOf(named) : [])].sort((a, b) => a.order - b.order)
}

const nothingFound: Found<Policy> = { candidates: [], open: [] }

function allOf({ candidates, open }: Found<Policy>): readonly Policy[] {
  return open.length === 0 ? candidates : [...candidates, ...open.flatMap(({ values }) => values)]
}

function describeFailed(policy: Policy): string {
  return `forbidden by ${policy.name}, whose condition came to no value`
}

const maxNotes = 20

/** `failed` is noted, and is for the caller to take as its effect demands. */
function evaluateCondition({ name, effect, when }: Policy, variables: Variables, notes: string[]): boolean | 'failed' {
  if (!when) return true
  try {
    return when.evaluate(variables) === true
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    if (notes.length < maxNotes) notes.push(`${effect} ${name}: ${error.message}`)
    return 'failed'
  }
}
