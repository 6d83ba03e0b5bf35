/**
 * Expressions of rules and policies: CEL that is parsed and type-checked when the document is read, and only evaluated
 * for a request.
 *
 * Numbers of `claims` are doubles, as in `google.protobuf.Struct`: they compare with the integers of an expression by
 * their value, and arithmetic asks for `int(…)`.
 *
 * @see {@link https://github.com/google/cel-spec/blob/master/doc/langdef.md CEL}
 * @module
 */
import { Environment, EvaluationError, type ParseResult } from '@marcbachmann/cel-js'
import { isInRange, parseAddress, parseAddressRange } from './address-range.ts'
import { type AttributeValues, type KnownNames, policyValues, requestValues } from './attribute-values.ts'
import type { AttributeType } from './config-authenticators.ts'
import { type CheckContext, checkTree, ExpressionSyntaxError } from './expression-checks.ts'
import { pathOf, sourceOf, type Tree, textOf } from './expression-tree.ts'
import { findPatternProblem, matchesGlob } from './glob.ts'
import type { Template } from './template.ts'

export { ExpressionSyntaxError } from './expression-checks.ts'

/** What a policy can permit or forbid. */
export type Operation = 'x509_svid' | 'jwt_svid' | 'exchange' | 'read' | 'write'

export const operations: readonly Operation[] = ['x509_svid', 'jwt_svid', 'exchange', 'read', 'write']

/** A mistake in the configuration document. */
export interface Problem {
  readonly path: readonly (string | number)[]
  readonly message: string
  /** UTF-16 units from the start of the text at `path`, where the mistake is in an expression. */
  readonly offset?: number
}

/** The request, as rules and policies see it. `identities` asks which identities a proof has, and gives none. */
export interface RequestContext {
  readonly operation: Operation | 'identities'
  /** IP address of the caller; absent where it is not known, so that a `forbid` that reads it forbids. */
  readonly address?: string
  readonly time: Date
  /** Of a JWT-SVID or an exchange: decisions are made for one audience at a time. */
  readonly audience?: string
  /** Of a secret that is read or written; of a folder of them with the slash at its end. Only policies see it. */
  readonly path?: string
}

/** The values of the variables, such as `{ proof, request }`. An absent attribute has no key. */
export type Variables = Readonly<Record<string, unknown>>

export interface Expression {
  readonly text: string
  /** `bool`, `string`, …, `dyn` where only the value will tell. */
  readonly type: string
  /** Attributes, such as `proof.namespace`. */
  readonly reads: ReadonlySet<string>
  readonly tree: Tree
  /** @throws {ExpressionError} */
  readonly evaluate: (variables: Variables) => unknown
  /** A node of its tree, outside of macros, as an expression by itself: to tell why the whole came to its value. */
  readonly part: (node: Tree) => Expression
}

/** Variables with their types, and our functions. */
export interface ExpressionEnvironment extends CheckContext {
  readonly cel: Environment
  /** Templates by their text: in a thousand rules they are mostly the same. */
  readonly templates: Map<string, Template>
}

/**
 * An evaluation that came to no value, which is not the same as `false`. The message quotes the expression and never a
 * value, as values may be secret.
 */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError'
  /** `no_such_key` for what is absent, `no_such_overload` for a value of another type, … */
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

const maxTextLength = 16_384
const celTypes = { string: 'string', 'maybe string': 'string', map: 'map', timestamp: 'google.protobuf.Timestamp' }

type Attributes = Readonly<Record<string, keyof typeof celTypes>>

const requestAttributes: Attributes = {
  operation: 'string',
  address: 'maybe string',
  time: 'timestamp',
  audience: 'maybe string',
}

const identityAttributes: Attributes = {
  spiffe_id: 'string',
  trust_domain: 'string',
  path: 'string',
  authenticator: 'string',
  rule: 'string',
  claims: 'map',
}

/** Of an exchange; other operations have none. */
const targetAttributes: Attributes = { name: 'maybe string', type: 'maybe string' }

/** What identity rules see: `proof`, with the attributes of one kind of authenticator, and `request`. */
export function ruleEnvironment(
  attributes: Readonly<Record<string, AttributeType>>,
  values: AttributeValues = new Map(),
  suggest?: CheckContext['suggest'],
): ExpressionEnvironment {
  const environment = createEnvironment({ proof: attributes, request: requestAttributes }, values)
  return suggest ? { ...environment, suggest } : environment
}

/** {@link ruleEnvironment} for many authenticators: those with the same attributes share what the library holds of them. */
export function createRuleEnvironments(): typeof ruleEnvironment {
  const known = new Map<string, ExpressionEnvironment>()
  return (attributes, values = new Map(), suggest) => {
    const key = JSON.stringify(attributes)
    const first = known.get(key) ?? ruleEnvironment(attributes)
    known.set(key, first)
    return { ...first, templates: new Map(), values: withRequestValues(values), ...(suggest && { suggest }) }
  }
}

/** What policies see: `identity`, `request` and `target`. Names that are known are checked where an expression mentions them. */
export function policyEnvironment(known: KnownNames = {}): ExpressionEnvironment {
  const request: Attributes = { ...requestAttributes, path: 'maybe string' }
  const variables = { identity: identityAttributes, request, target: targetAttributes }
  return createEnvironment(variables, policyValues(known))
}

/** What the names of synced secrets see: where the secret stands at its source. */
export function syncEnvironment(): ExpressionEnvironment {
  const secret: Attributes = { path: 'string', name: 'string', folder: 'string', key: 'maybe string' }
  return createEnvironment({ secret }, new Map())
}

function createEnvironment(
  variables: Readonly<Record<string, Attributes>>,
  values: AttributeValues,
): ExpressionEnvironment {
  const cel = new Environment()
    .registerFunction('in_cidr(string, string): bool', isInCidr, { async: false })
    .registerFunction('glob(string, string): bool', fitsPattern, { async: false })
  const names = new Map<string, ReadonlySet<string>>()
  for (const [name, attributes] of Object.entries(variables)) {
    const schema = Object.fromEntries(Object.entries(attributes).map(([key, type]) => [key, celTypes[type]]))
    cel.registerVariable({ name, schema })
    names.set(name, new Set(Object.keys(attributes)))
  }
  return { cel, templates: new Map(), variables: names, values: withRequestValues(values) }
}

function withRequestValues(values: AttributeValues): AttributeValues {
  return new Map([...values, ...requestValues([...operations, 'identities'])])
}

function isInCidr(address: string, cidr: string): boolean {
  const parsed = parseAddress(address)
  if (!parsed) throw new EvaluationError({ code: 'not_an_address', message: 'not an IP address' })
  const range = parseAddressRange(cidr)
  if (typeof range === 'string') throw new EvaluationError({ code: 'not_an_address_range', message: range })
  return isInRange(parsed, range)
}

function fitsPattern(text: string, pattern: string): boolean {
  const problem = findPatternProblem(pattern)
  if (problem) throw new EvaluationError({ code: 'not_a_pattern', message: problem })
  return matchesGlob(text, pattern)
}

/** @throws {ExpressionSyntaxError} for everything that is wrong with the text */
export function compileExpression(
  text: string,
  environment: ExpressionEnvironment,
  expectedType: 'bool' | 'any',
): Expression {
  if (text.length > maxTextLength) throw new ExpressionSyntaxError(`more than ${maxTextLength} characters`, 0)
  const parsed = parse(text, environment)
  const reads = checkTree(parsed.ast, environment)
  const type = checkType(parsed)
  if (expectedType === 'bool' && type !== 'bool')
    throw new ExpressionSyntaxError(`a condition is true or false, and this is ${typeNoun(type)}`, 0)
  const part = (node: Tree) => compileExpression(textOf(node), environment, 'any')
  return { text, type, reads, tree: parsed.ast, evaluate: createEvaluator(parsed), part }
}

/** A lone attribute, as most templates hold, is read without the library when it is a string or absent. */
function createEvaluator(parsed: ParseResult): Expression['evaluate'] {
  const [variable, attribute, ...rest] = pathOf(parsed.ast) ?? []
  if (variable === undefined || attribute === undefined || rest.length > 0)
    return (variables) => evaluate(parsed, variables)
  return (variables) => {
    const value = (variables[variable] as Variables | undefined)?.[attribute]
    if (typeof value === 'string') return value
    if (value === undefined) throw new ExpressionError('no_such_key', `${variable}.${attribute} is absent`)
    return evaluate(parsed, variables)
  }
}

/** The value where the expression needs no variable, and is the same for ever. @throws {ExpressionError} */
export function constantOf(expression: Expression): { readonly value: unknown } | undefined {
  return expression.reads.size === 0 ? { value: expression.evaluate({}) } : undefined
}

function parse(text: string, environment: ExpressionEnvironment): ParseResult {
  try {
    return environment.cel.parse(text)
  } catch (error) {
    throw readSyntaxError(error)
  }
}

function checkType(parsed: ParseResult): string {
  const { valid, type, error } = parsed.check()
  if (!valid || type === undefined) throw readSyntaxError(error)
  return type
}

const typeNouns: Readonly<Record<string, string>> = {
  dyn: 'a claim of any type: compare it with something',
  int: 'a number',
}

function typeNoun(type: string): string {
  return typeNouns[type] ?? type
}

function readSyntaxError(error: unknown): ExpressionSyntaxError {
  const { summary, range } = error as { readonly summary?: string; readonly range?: { readonly start: number } }
  const message = summary === undefined ? 'not an expression' : summary.charAt(0).toLowerCase() + summary.slice(1)
  const doubled = /^unexpected character: ([=&|])$/.exec(message)?.[1]
  const meant = doubled === undefined ? '' : `, write ${doubled}${doubled}`
  return new ExpressionSyntaxError(`${message}${meant}`, range?.start ?? 0, { cause: error })
}

function evaluate(parsed: ParseResult, variables: Variables): unknown {
  try {
    return parsed(variables)
  } catch (error) {
    throw readEvaluationError(error)
  }
}

const maxQuoted = 80

/** No cause is kept: the library's messages may hold values. */
function readEvaluationError(error: unknown): ExpressionError {
  if (!(error instanceof EvaluationError)) return new ExpressionError('failed', 'the expression failed')
  const source = error.node ? sourceOf(error.node) : ''
  const quoted = source.length > maxQuoted ? `${source.slice(0, maxQuoted)}…` : source
  if (error.code === 'no_such_key') return new ExpressionError(error.code, `${quoted} is absent`)
  const reason = error.code.replaceAll('_', ' ')
  return new ExpressionError(error.code, quoted === '' ? reason : `${reason} in ${quoted}`)
}
