/**
 * Identity and request → decision, with its reason.
 *
 * A `forbid` wins over everything, then comes what the identity rule grants, then a `permit`; nothing else is granted. A
 * `forbid` whose condition comes to no value forbids, a `permit` whose condition does so does not apply.
 *
 * @module
 */
import { createHash } from 'node:crypto'
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

/** A policy as the configuration has it. */
export interface PolicyInput {
  readonly path: readonly (string | number)[]
  readonly name?: string | undefined
  readonly effect: 'permit' | 'forbid'
  readonly operations: readonly (Operation | '*')[]
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

export interface Decision {
  readonly granted: boolean
  /** For operators. */
  readonly reason: string
  /** Name of the policy that decided. */
  readonly policy?: string
  /** Policies whose condition came to no value. */
  readonly notes: readonly string[]
}

interface Policy {
  /** As given, or the first 12 digits of a digest. */
  readonly name: string
  readonly effect: PolicyInput['effect']
  readonly operations: PolicyInput['operations']
  readonly when?: Expression
  readonly reason?: string
  /** Place in the configuration. */
  readonly order: number
}

type FindPolicies = (identity: Attributes) => Found<Policy>

/** The policies of each operation, `identities` included, which only `'*'` covers. */
export interface PolicySet {
  readonly forbid: ReadonlyMap<RequestContext['operation'], FindPolicies>
  readonly permit: ReadonlyMap<RequestContext['operation'], FindPolicies>
}

/** Policies without problems, and every problem of the others. */
export function compilePolicies(inputs: readonly PolicyInput[], known: KnownNames = {}) {
  const environment = policyEnvironment(known)
  const problems: Problem[] = []
  const policies: Policy[] = []
  const names = new Set<string>()
  for (const [order, input] of inputs.entries()) {
    const found: Problem[] = []
    const policy = { ...compilePolicy(input, environment, found), order }
    if (input.name !== undefined && names.has(input.name))
      found.push({ path: [...input.path, 'name'], message: `two policies are named ${input.name}` })
    names.add(policy.name)
    problems.push(...found)
    if (found.length === 0) policies.push(policy)
  }
  return { policies: createPolicySet(policies), problems: problems as readonly Problem[] }
}

function compilePolicy(
  input: PolicyInput,
  environment: ExpressionEnvironment,
  problems: Problem[],
): Omit<Policy, 'order'> {
  const { effect, operations: covered, reason } = input
  if (covered.length === 0) problems.push({ path: input.path, message: `a ${effect} of no operation` })
  const when = compileWhen(input, environment, problems)
  return {
    name: input.name ?? `${effect}-${digestPolicy(input).slice(0, 12)}`,
    effect,
    operations: covered,
    ...(when && { when }),
    ...(reason !== undefined && { reason }),
  }
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

function digestPolicy({ effect, operations: covered, when }: PolicyInput): string {
  const canonical = JSON.stringify({ effect, operations: covered, when: when ?? null })
  return createHash('sha256').update(canonical).digest('hex')
}

function createPolicySet(policies: readonly Policy[]): PolicySet {
  return { forbid: indexByOperation(policies, 'forbid'), permit: indexByOperation(policies, 'permit') }
}

function indexByOperation(policies: readonly Policy[], effect: PolicyInput['effect']) {
  const chosen = policies.filter((policy) => policy.effect === effect)
  return new Map(
    ([...operations, 'identities'] as const).map((operation) => [operation, indexPolicies(chosen, operation)]),
  )
}

function indexPolicies(policies: readonly Policy[], operation: RequestContext['operation']): FindPolicies {
  const covering = policies.filter(({ operations: covered }) =>
    covered.some((name) => name === '*' || name === operation),
  )
  return createConditionIndex(
    covering.map((value) => ({ keys: conditionsOf(value.when?.tree, 'identity').keys, value })),
  )
}

/** Whether the request is granted. `grantedByRule`: the identity rule gives what is asked for, such as its own SVID. */
export function decide(
  policies: PolicySet,
  subject: PolicySubject,
  request: RequestContext,
  grantedByRule: boolean,
): Decision {
  const notes: string[] = []
  const variables = { identity: subject, request }
  for (const policy of policiesFor(policies.forbid, variables)) {
    const holds = evaluateCondition(policy, variables, notes)
    if (holds === false) continue
    const reason = holds === true ? (policy.reason ?? `forbidden by ${policy.name}`) : describeFailed(policy)
    return { granted: false, reason, policy: policy.name, notes }
  }
  if (grantedByRule) return { granted: true, reason: `granted by rule ${subject.rule}`, notes }
  for (const policy of policiesFor(policies.permit, variables)) {
    if (evaluateCondition(policy, variables, notes) !== true) continue
    return { granted: true, reason: policy.reason ?? `permitted by ${policy.name}`, policy: policy.name, notes }
  }
  return { granted: false, reason: 'no policy permits it', notes }
}

interface DecisionVariables extends Variables {
  readonly identity: PolicySubject
  readonly request: RequestContext
}

function policiesFor(index: PolicySet['forbid'], { identity, request }: DecisionVariables): readonly Policy[] {
  const { candidates, open } = index.get(request.operation)?.(identity as unknown as Attributes) ?? {
    candidates: [],
    open: [],
  }
  if (open.length === 0) return candidates
  return [...candidates, ...open.flatMap(({ values }) => values)].sort((a, b) => a.order - b.order)
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
