/**
 * Authenticated attributes → SPIFFE IDs, by the identity rules.
 *
 * Rules are pure: the same attributes and request always give the same identities. Of several rules that give one SPIFFE
 * ID the first stands.
 *
 * @module
 */
import type { SpiffeId } from '../protocol/spiffe-id.ts'
import type { AuthenticatedIdentity, ProofUse } from './authenticate.ts'
import { type Attributes, type OpenEntries, readPath } from './condition-index.ts'
import { buildDnsName, fitsDnsTemplate } from './dns-name.ts'
import { ExpressionError, type RequestContext, type Variables } from './expression.ts'
import {
  type ClaimTemplate,
  type CompiledRule,
  type IdentityRule,
  isLiteralClaim,
  type RuleSet,
} from './identity-rule.ts'
import { buildRuleId } from './spiffe-path.ts'
import { evaluateTemplate, isLiteral } from './template.ts'

export type { Operation, Problem, RequestContext } from './expression.ts'
export { compileRules, coversAudience, type IdentityRule, type RuleInput, type RuleSet } from './identity-rule.ts'

/** One identity that a proof has, and what its SVIDs hold. */
export interface Entitlement {
  readonly spiffeId: SpiffeId
  readonly rule: IdentityRule
  readonly dnsNames: readonly string[]
  readonly claims: Readonly<Record<string, unknown>>
}

export interface Identification {
  /** In the order of the rules: the first is the default. */
  readonly entitlements: readonly Entitlement[]
  /** Why rules that might have applied did not, for operators: names of rules and attributes, never their values. */
  readonly notes: readonly string[]
}

/** What one rule comes to. */
export interface Outcome {
  readonly entitlement?: Entitlement
  readonly notes: readonly string[]
}

/** The rules that may apply to one identity, each with its outcome where that is the same for every request. */
interface Candidates {
  readonly candidates: readonly { readonly rule: CompiledRule; readonly outcome?: Outcome }[]
  readonly notes: readonly string[]
}

/** What is remembered of an identity, no more of it than is needed, as thousands may be held. */
type Prepared = Identification | Candidates

const maxNotes = 20

/**
 * The function that identifies. It remembers what rules come to for an identity as long as somebody else holds that
 * identity; whatever reads `request` is evaluated each time.
 */
export function createIdentifier(rules: RuleSet) {
  const remembered = new WeakMap<AuthenticatedIdentity, Prepared>()
  return (identity: AuthenticatedIdentity, request: RequestContext): Identification => {
    let prepared = remembered.get(identity)
    if (!prepared) {
      prepared = prepare(rules, identity)
      remembered.set(identity, prepared)
    }
    if ('entitlements' in prepared) return prepared
    return identifyNow(rules, prepared, { proof: identity.attributes, request })
  }
}

function prepare(rules: RuleSet, { authenticator, attributes }: AuthenticatedIdentity): Prepared {
  const found = rules.find.get(authenticator)?.(attributes) ?? { candidates: [], open: [] }
  const notes = describeOpen(found.open, attributes)
  if (found.candidates.some(({ readsRequest }) => readsRequest)) {
    const candidates = found.candidates.map((rule) =>
      rule.readsRequest ? { rule } : { rule, outcome: applyRule(rules, rule, { proof: attributes }) },
    )
    return { candidates, notes }
  }
  const outcomes = found.candidates.map((rule) => applyRule(rules, rule, { proof: attributes }))
  return joinOutcomes(outcomes, notes)
}

function identifyNow(rules: RuleSet, { candidates, notes }: Candidates, variables: Variables): Identification {
  const outcomes = candidates.map(({ rule, outcome }) => outcome ?? applyRule(rules, rule, variables))
  return joinOutcomes(outcomes, notes)
}

function joinOutcomes(outcomes: readonly Outcome[], notes: readonly string[]): Identification {
  const [only] = outcomes
  if (only?.entitlement && outcomes.length === 1 && only.notes.length + notes.length === 0)
    return { entitlements: [only.entitlement], notes }
  const byUri = new Map<string, Entitlement>()
  for (const { entitlement } of outcomes) {
    if (entitlement && !byUri.has(entitlement.spiffeId.uri)) byUri.set(entitlement.spiffeId.uri, entitlement)
  }
  return {
    entitlements: [...byUri.values()],
    notes: shorten([...outcomes.flatMap((outcome) => outcome.notes), ...notes]),
  }
}

function shorten(notes: readonly string[]): readonly string[] {
  if (notes.length <= maxNotes) return notes
  return [...notes.slice(0, maxNotes), `and ${notes.length - maxNotes} notes more`]
}

/** A rule whose condition is false says nothing; one that comes to no value, or to no valid identity, says why. */
export function applyRule(rules: RuleSet, rule: CompiledRule, variables: Variables): Outcome {
  try {
    if (rule.when && rule.when.evaluate(variables) !== true) return { notes: [] }
    const spiffeId = buildRuleId(rules.trustDomain, rule.spiffePath, variables)
    const dnsNames = rule.dnsNames.map((name) => buildDnsName(name, variables, rules.reservedDnsNames))
    const { claims, notes } = fillClaims(rule, variables)
    return { entitlement: { spiffeId, rule, dnsNames: withoutRepeats(dnsNames), claims }, notes }
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    return { notes: [`rule ${rule.name} does not apply: ${error.message}`] }
  }
}

const withoutRepeats = (names: readonly string[]) => (names.length < 2 ? names : [...new Set(names)])

/** A claim that names something absent is left out without a word; one that can not be written is noted. */
function fillClaims(rule: CompiledRule, variables: Variables) {
  const claims: [string, unknown][] = []
  const notes: string[] = []
  for (const [name, claim] of rule.claims) {
    try {
      claims.push([name, fillClaim(claim, variables)])
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      if (error.code !== 'no_such_key') notes.push(`rule ${rule.name} leaves out claim ${name}: ${error.message}`)
    }
  }
  return { claims: Object.fromEntries(claims), notes }
}

function fillClaim(claim: ClaimTemplate, variables: Variables): unknown {
  if (claim.kind === 'text') return evaluateTemplate(claim.template, variables)
  if (claim.kind === 'list') return claim.items.map((item) => fillClaim(item, variables))
  if (claim.kind === 'value') return claim.value
  return Object.fromEntries(claim.members.map(([name, member]) => [name, fillClaim(member, variables)]))
}

interface Waiting {
  readonly first: CompiledRule
  readonly count: number
}

/** One note for each attribute, however many rules compare it. */
function describeOpen(open: readonly OpenEntries<CompiledRule>[], attributes: Attributes): readonly string[] {
  if (open.length === 0) return []
  const waiting = new Map<string, Waiting>()
  for (const { paths, values } of open) {
    for (const path of paths) {
      const name = path.join('.')
      const absent = readPath(attributes, path) === undefined
      const found = countWaiting(values, absent ? name : undefined)
      const earlier = waiting.get(name)
      if (found) waiting.set(name, { first: earlier?.first ?? found.first, count: (earlier?.count ?? 0) + found.count })
    }
  }
  return [...waiting].map(([name, { first, count }]) => {
    const more = count === 1 ? 'does' : `and ${count - 1} more do`
    return `rule ${first.name} ${more} not apply: ${name} is absent or no text`
  })
}

/** The rules that do not themselves ask whether the attribute is there. */
function countWaiting(rules: readonly CompiledRule[], absent: string | undefined): Waiting | undefined {
  let first: CompiledRule | undefined
  let count = 0
  for (const rule of rules) {
    if (absent !== undefined && rule.guarded.has(absent)) continue
    first ??= rule
    count++
  }
  return first && { first, count }
}

type Renewal = Extract<ProofUse, { kind: 'renewal' }>

/**
 * The same identity again, for an X.509-SVID of ours.
 *
 * The attributes of the first proof are gone, so nothing that read them is evaluated again: the digest stands for
 * `from`, `when` and `spiffe_id`, a `when` over `request` included. Of DNS names and claims the literal ones come from
 * the rule as it is now; names from templates are those of the certificate that still fit one, claims from templates
 * are left out.
 */
export function renewEntitlement(
  rules: RuleSet,
  use: Renewal,
  request: RequestContext,
): Entitlement | { readonly refused: string } {
  const rule = rules.byDigest.get(use.firstProof.ruleDigest)
  if (!rule) return { refused: 'the rule that first gave this identity is gone or has changed' }
  const endsAt = use.firstProof.at.getTime() + rule.renewableForSeconds * 1000
  if (request.time.getTime() >= endsAt)
    return { refused: `rule ${rule.name} lets an identity be renewed until ${new Date(endsAt).toISOString()}` }
  const dnsNames = renewDnsNames(rule, use.dnsNames)
  const reserved = dnsNames.some((name) => rules.reservedDnsNames.has(name))
  if (reserved) return { refused: `rule ${rule.name} does not apply: a DNS name of the certificate is reserved` }
  const literal = rule.claims.filter(([, claim]) => isLiteralClaim(claim))
  const claims = Object.fromEntries(literal.map(([name, claim]) => [name, fillClaim(claim, {})]))
  return { spiffeId: use.spiffeId, rule, dnsNames, claims }
}

function renewDnsNames(rule: CompiledRule, shown: readonly string[]): readonly string[] {
  const names = rule.dnsNames.flatMap((template) =>
    isLiteral(template) ? [template.text] : shown.filter((name) => fitsDnsTemplate(name, template)),
  )
  return withoutRepeats(names)
}
