/**
 * Identity rules: the configuration's words → compiled rules, or what is wrong with them.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import { type AwsScope, proofValues } from './attribute-values.ts'
import type { AuthenticatorType } from './authenticate.ts'
import { findConditionProblem } from './condition.ts'
import { type Attributes, conditionsOf, createConditionIndex, type Found } from './condition-index.ts'
import { proofAttributes } from './config-authenticators.ts'
import { findDnsTemplateProblem } from './dns-name.ts'
import {
  compileExpression,
  createRuleEnvironments,
  type Expression,
  type ExpressionEnvironment,
  ExpressionSyntaxError,
  type Problem,
} from './expression.ts'
import { type PresetName, presetAttributes, presetValues, suggestPreset, tellingAttributes } from './oidc-presets.ts'
import { findSimilarName, listNames } from './similar-name.ts'
import { findPathTemplateProblem } from './spiffe-path.ts'
import { compileTemplate, isLiteral, type Template } from './template.ts'

/** A rule as the configuration has it: durations in seconds, defaults filled in. */
export interface RuleInput {
  readonly path: readonly (string | number)[]
  readonly name?: string | undefined
  readonly spiffe_id: string
  readonly from: string
  readonly when?: string | undefined
  readonly dns_names: readonly string[]
  readonly audiences: readonly string[]
  readonly claims: Readonly<Record<string, unknown>>
  readonly x509_ttl: number
  readonly jwt_ttl: number
  readonly renewable_for: number
  readonly max_audiences: number
  readonly hint?: string | undefined
}

/** What a rule gives to those whom it applies to. */
export interface IdentityRule {
  /** As given, or the first 12 digits of the digest. */
  readonly name: string
  /** SHA-256 over `from`, `when` and `spiffe_id`, lower-case hex: a renewal names its rule by it. */
  readonly digest: string
  readonly from: string
  readonly hint?: string
  /** `'*'` stands for every audience but those that must be written out. */
  readonly audiences: readonly string[]
  readonly x509TtlSeconds: number
  readonly jwtTtlSeconds: number
  /** From the first proof on. */
  readonly renewableForSeconds: number
  readonly maxAudiences: number
}

/** A value in which texts are templates. */
export type ClaimTemplate =
  | { readonly kind: 'text'; readonly template: Template }
  | { readonly kind: 'list'; readonly items: readonly ClaimTemplate[] }
  | { readonly kind: 'object'; readonly members: readonly (readonly [string, ClaimTemplate])[] }
  | { readonly kind: 'value'; readonly value: unknown }

export interface CompiledRule extends IdentityRule {
  readonly when?: Expression
  /** Path of the SPIFFE ID. */
  readonly spiffePath: Template
  readonly dnsNames: readonly Template[]
  readonly claims: readonly (readonly [string, ClaimTemplate])[]
  /** Whether its outcome depends on more than the proof. */
  readonly readsRequest: boolean
  /** Attributes whose presence `when` asks for. */
  readonly guarded: ReadonlySet<string>
}

export interface RuleSet {
  readonly trustDomain: TrustDomain
  readonly reservedAudiences: ReadonlySet<string>
  readonly reservedDnsNames: ReadonlySet<string>
  readonly byDigest: ReadonlyMap<string, CompiledRule>
  /** By authenticator: the rules that may apply to attributes `proof`. */
  readonly find: ReadonlyMap<string, (proof: Attributes) => Found<CompiledRule>>
}

/** What rules need to know of an authenticator. */
export interface RuleSource {
  readonly type: AuthenticatorType
  /** Of type `spiffe`. */
  readonly trustDomain?: TrustDomain
  /** Of type `oidc`, where the vendor is known. */
  readonly preset?: PresetName
  /** Of type `aws`. */
  readonly aws?: AwsScope
}

export interface RuleContext {
  readonly trustDomain: TrustDomain
  readonly authenticators: ReadonlyMap<string, RuleSource>
  /** Hosts of our own that no workload may have as a DNS name. */
  readonly reservedDnsNames: readonly string[]
  /** Audiences that `'*'` does not cover: our issuer first of all. */
  readonly reservedAudiences: readonly string[]
}

/** Claims of every JWT-SVID, which a rule can not replace. */
const ownClaims = new Set(['iss', 'sub', 'aud', 'exp', 'iat', 'nbf', 'jti'])

type Path = Problem['path']
type Report = (path: Path, message: string, offset?: number) => void

/** Rules without problems, in order, and every problem of the others. */
export function compileRules(inputs: readonly RuleInput[], context: RuleContext) {
  const problems: Problem[] = []
  const report: Report = (path, message, offset) =>
    problems.push({ path, message, ...(offset !== undefined && { offset }) })
  const environmentOf = createRuleEnvironments()
  const environments = new Map(
    [...context.authenticators].map(([name, row]) => [name, createRuleEnvironment(row, environmentOf)]),
  )
  const reserved = new Set(context.reservedDnsNames.map((name) => name.toLowerCase()))
  const known = [...context.authenticators.keys()]
  const digests = inputs.map(digestRule)
  const compiled = inputs.map((input, index) => {
    const environment = environments.get(input.from)
    return compileRule(input, { ...context, digest: digests[index] ?? '', known, reserved, environment, report })
  })
  reportDuplicates(inputs, { digests, compiled }, report)
  const sound = compiled.filter((rule) => rule !== undefined)
  return { rules: createRuleSet(sound, context), problems: problems as readonly Problem[] }
}

function createRuleEnvironment(
  { type, trustDomain, aws, preset }: RuleSource,
  environmentOf: ReturnType<typeof createRuleEnvironments>,
) {
  if (preset !== undefined)
    return environmentOf({ ...proofAttributes[type], ...presetAttributes(preset) }, presetValues(preset))
  if (type === 'oidc') return environmentOf(proofAttributes.oidc, proofValues(type), suggestPreset)
  return environmentOf(proofAttributes[type], proofValues(type, trustDomain, aws))
}

function createRuleSet(rules: readonly CompiledRule[], context: RuleContext): RuleSet {
  const byAuthenticator = Map.groupBy(rules, ({ from }) => from)
  return {
    trustDomain: context.trustDomain,
    reservedAudiences: new Set(context.reservedAudiences),
    reservedDnsNames: new Set(context.reservedDnsNames.map((name) => name.toLowerCase())),
    byDigest: new Map(rules.map((rule) => [rule.digest, rule])),
    find: new Map([...byAuthenticator].map(([name, group]) => [name, indexRules(group)])),
  }
}

function indexRules(rules: readonly CompiledRule[]) {
  return createConditionIndex(rules.map((value) => ({ keys: conditionsOf(value.when?.tree, 'proof').keys, value })))
}

interface RuleCompilation extends RuleContext {
  readonly digest: string
  /** Names of authenticators. */
  readonly known: readonly string[]
  /** DNS names in lower case. */
  readonly reserved: ReadonlySet<string>
  readonly environment: ExpressionEnvironment | undefined
  readonly report: Report
}

function compileRule(input: RuleInput, context: RuleCompilation): CompiledRule | undefined {
  const { digest, reserved, environment, report } = context
  let failed = false
  const note: Report = (path, message, offset) => {
    failed = true
    report([...input.path, ...path], message, offset)
  }
  checkSource(input, context, note)
  if (!environment) return undefined
  const compiler = { environment, note }
  const when = compileWhen(input, context, compiler)
  const spiffePath = compileField(compiler, ['spiffe_id'], input.spiffe_id, findPathTemplateProblem)
  const dnsNames = input.dns_names.map((name, index) =>
    compileField(compiler, ['dns_names', index], name, (template) => findDnsTemplateProblem(template, reserved)),
  )
  const claims = compileClaims(input.claims, compiler)
  if (failed || !spiffePath) return undefined
  return assembleRule(input, {
    digest,
    when,
    spiffePath,
    dnsNames: dnsNames.filter((name) => name !== undefined),
    claims,
  })
}

function assembleRule(
  input: RuleInput,
  parts: Pick<CompiledRule, 'digest' | 'spiffePath' | 'dnsNames' | 'claims'> & {
    readonly when: Expression | undefined
  },
): CompiledRule {
  const { digest, when, ...templates } = parts
  const reads = [when, parts.spiffePath, ...parts.dnsNames, ...parts.claims.flatMap(([, claim]) => templatesOf(claim))]
  return {
    name: input.name ?? digest.slice(0, 12),
    digest,
    from: input.from,
    ...(input.hint !== undefined && { hint: input.hint }),
    audiences: input.audiences,
    x509TtlSeconds: input.x509_ttl,
    jwtTtlSeconds: input.jwt_ttl,
    renewableForSeconds: input.renewable_for,
    maxAudiences: input.max_audiences,
    ...(when && { when }),
    ...templates,
    readsRequest: reads.some((part) => part && [...part.reads].some((name) => name.startsWith('request.'))),
    guarded: conditionsOf(when?.tree, 'proof').guarded,
  }
}

/** The three texts as JSON, so that no two rules share a form. */
function digestRule({ from, when, spiffe_id }: RuleInput): string {
  const canonical = JSON.stringify({ from, when: when ?? null, spiffe_id })
  return createHash('sha256').update(canonical).digest('hex')
}

function checkSource({ from }: RuleInput, { authenticators, known, trustDomain }: RuleCompilation, note: Report): void {
  const source = authenticators.get(from)
  if (!source) note(['from'], `there is no authenticator ${from}: ${otherThan(from, known)}`)
  else if (source.type === 'spiffe' && source.trustDomain === trustDomain)
    note(['from'], `${from} takes SVIDs of our own, which no rule maps to another: an X.509-SVID is renewed as it is`)
}

function otherThan(name: string, known: readonly string[]): string {
  const similar = findSimilarName(name, known)
  if (similar !== undefined) return `did you mean ${similar}?`
  return known.length === 0 ? 'add it to authenticators' : `the authenticators are ${listNames(known)}`
}

interface Compiler {
  readonly environment: ExpressionEnvironment
  readonly note: Report
}

/** An expression or template at its place; `undefined` after a problem was noted. */
function attempt<T>({ note }: Compiler, path: Path, compile: () => T): T | undefined {
  try {
    return compile()
  } catch (error) {
    if (!(error instanceof ExpressionSyntaxError)) throw error
    note(path, error.message, error.offset)
    return undefined
  }
}

function compileField(
  compiler: Compiler,
  path: Path,
  text: string,
  findProblem: (template: Template) => string | undefined,
) {
  const template = attempt(compiler, path, () => compileTemplate(text, compiler.environment))
  const problem = template && findProblem(template)
  if (problem) compiler.note(path, problem)
  return problem ? undefined : template
}

/** What a condition has to do where an authenticator takes proofs of the whole world. */
interface Openness {
  readonly who: string
  readonly remedy: string
  /** What is wrong with one that does not; by default that it holds for every user. */
  readonly finding?: string
  /** Whether what the condition reads tells some users from others. */
  readonly narrows: (expression: Expression) => boolean
}

const everybody = "`when: 'true'` to mean everybody"

function opennessOf(from: string, source: RuleSource | undefined): Openness | undefined {
  if (source?.preset !== undefined) return opennessOfPreset(from, source.preset)
  if (source?.type === 'oidc')
    return { who: `the issuer of ${from}`, remedy: `write a condition on proof, or ${everybody}`, narrows }
  if (source?.type !== 'aws' || source.aws?.accounts) return undefined
  const remedy = `set accounts of ${from}, compare proof.account or proof.arn, or write ${everybody}`
  return { who: 'AWS', remedy, narrows: namesAccount }
}

/** Anybody can name a branch `main` or an environment `production`. */
function opennessOfPreset(from: string, preset: PresetName): Openness {
  const telling = ['subject', 'claims', ...tellingAttributes(preset)].map((name) => `proof.${name}`)
  return {
    who: `the issuer of ${from}`,
    finding: 'nothing that this reads tells whose proof it is',
    remedy: `compare ${telling.slice(2, 6).join(', ')} or proof.subject, or write ${everybody}`,
    narrows: ({ reads }) => telling.some((name) => reads.has(name)),
  }
}

/** Anybody can make a role or a user of any name in an account of their own. */
function namesAccount({ reads }: Expression): boolean {
  return ['proof.account', 'proof.arn', 'proof.user_id'].some((name) => reads.has(name))
}

function compileWhen({ from, when }: RuleInput, { authenticators }: RuleContext, compiler: Compiler) {
  const open = opennessOf(from, authenticators.get(from))
  if (when === undefined) {
    if (open) compiler.note([], `${open.who} may have the whole world as its users: ${open.remedy}`)
    return undefined
  }
  const expression = attempt(compiler, ['when'], () => compileExpression(when, compiler.environment, 'bool'))
  if (!expression) return undefined
  const problem = findConditionProblem(expression)
  if (problem) compiler.note(['when'], problem)
  else if (open && !isTrue(expression) && !open.narrows(expression))
    compiler.note(['when'], `${open.finding ?? `this holds for every user of ${open.who}`}: ${open.remedy}`)
  return expression
}

function isTrue({ tree }: Expression): boolean {
  return tree.op === 'value' && tree.args === true
}

/** The issuer is the same in all proofs of one authenticator. */
function narrows({ reads }: Expression): boolean {
  return [...reads].some((name) => name.startsWith('proof.') && name !== 'proof.issuer')
}

function compileClaims(claims: RuleInput['claims'], compiler: Compiler): CompiledRule['claims'] {
  return Object.entries(claims).map(([name, value]) => {
    if (ownClaims.has(name)) compiler.note(['claims', name], `${name} is set by the issuer and can not be replaced`)
    return [name, compileClaim(value, ['claims', name], compiler)] as const
  })
}

function compileClaim(value: unknown, path: Path, compiler: Compiler): ClaimTemplate {
  if (typeof value === 'string') {
    const template = attempt(compiler, path, () => compileTemplate(value, compiler.environment))
    return template ? { kind: 'text', template } : { kind: 'value', value }
  }
  if (Array.isArray(value))
    return { kind: 'list', items: value.map((item, index) => compileClaim(item, [...path, index], compiler)) }
  if (typeof value !== 'object' || value === null) return { kind: 'value', value }
  const members = Object.entries(value).map(
    ([name, member]) => [name, compileClaim(member, [...path, name], compiler)] as const,
  )
  return { kind: 'object', members }
}

/** Every template in a claim. */
export function templatesOf(claim: ClaimTemplate): readonly Template[] {
  if (claim.kind === 'text') return [claim.template]
  if (claim.kind === 'list') return claim.items.flatMap(templatesOf)
  return claim.kind === 'object' ? claim.members.flatMap(([, member]) => templatesOf(member)) : []
}

/** Whether the claim is the same for every proof. */
export function isLiteralClaim(claim: ClaimTemplate): boolean {
  return templatesOf(claim).every(isLiteral)
}

interface Judged {
  readonly digests: readonly string[]
  readonly compiled: readonly (CompiledRule | undefined)[]
}

function reportDuplicates(inputs: readonly RuleInput[], { digests, compiled }: Judged, report: Report): void {
  const names = new Set<string>()
  const sound = new Map<string, string>()
  for (const [index, input] of inputs.entries()) {
    const digest = digests[index] ?? ''
    const name = input.name ?? digest.slice(0, 12)
    const earlier = sound.get(digest)
    if (earlier !== undefined)
      report(input.path, `this rule never applies: ${earlier} has the same from, when and spiffe_id and comes first`)
    else if (names.has(name)) report([...input.path, 'name'], `two rules are named ${name}`)
    names.add(name)
    if (compiled[index]) sound.set(digest, name)
  }
}

/** Whether JWT-SVIDs of the rule may have the audience. */
export function coversAudience(rules: RuleSet, { audiences }: IdentityRule, audience: string): boolean {
  return audiences.includes(audience) || (audiences.includes('*') && !rules.reservedAudiences.has(audience))
}
