/**
 * What is refused of an expression before its types are looked at: what could cost much, what names nothing, and what
 * can never be true.
 *
 * Functions are a closed list. `matches` is left out for its cost, `lowerAscii` and `upperAscii` because the library
 * folds all of Unicode with them: the Kelvin sign would become a `k`.
 *
 * @module
 */
import { parseAddressRange } from './address-range.ts'
import type { AttributeValues } from './attribute-values.ts'
import { childrenOf, comparisonOf, pathOf, sourceOf, stringOf, type Tree } from './expression-tree.ts'
import { findPatternProblem, literalPrefix } from './glob.ts'
import { findSimilarName } from './similar-name.ts'

/** An expression or template that is refused. `offset` counts UTF-16 units from the start of the text. */
export class ExpressionSyntaxError extends Error {
  override readonly name = 'ExpressionSyntaxError'
  readonly offset: number

  constructor(message: string, offset: number, options?: ErrorOptions) {
    super(message, options)
    this.offset = offset
  }
}

/** The variables of an expression: for each, the attributes that it has. */
export type Variables = ReadonlyMap<string, ReadonlySet<string>>

export interface CheckContext {
  readonly variables: Variables
  readonly values: AttributeValues
  /** What was probably meant by an attribute that there is not, such as `proof.ref`. */
  readonly suggest?: (attribute: string) => string | undefined
}

const maxNodes = 200

const functions = new Set('has size string int double bool timestamp duration type dyn in_cidr glob'.split(' '))
const methods = new Set('size startsWith endsWith contains trim substring indexOf lastIndexOf split join'.split(' '))
const timeMethods = new Set(
  'getFullYear getMonth getDate getDayOfMonth getDayOfWeek getHours getMinutes getSeconds getMilliseconds'.split(' '),
)
const macros = new Set('exists all exists_one map filter'.split(' '))

// RFC 3339 §5.6 with a time zone: without one the library would read the zone of the process.
const timestampPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/

/** Where in the expression the walk is. */
interface Scope {
  /** Variables of the macro around, if there is one. */
  readonly own: ReadonlySet<string>
  readonly inMacro: boolean
}

/**
 * The attributes that an expression reads, such as `proof.namespace`.
 *
 * @throws {ExpressionSyntaxError}
 */
export function checkTree(root: Tree, context: CheckContext): ReadonlySet<string> {
  const reads = new Set<string>()
  let nodes = 0

  const visit = (node: Tree, scope: Scope): void => {
    if (++nodes > maxNodes) fail(root, `more than ${maxNodes} nodes: split the condition or shorten its lists`)
    const attribute = attributeOf(node, context)
    if (attribute) {
      nodes++
      reads.add(attribute)
      return
    }
    checkNode(node, scope, context)
    for (const [child, inner] of scopesBelow(node, scope, context.variables)) visit(child, inner)
  }
  visit(root, { own: new Set(), inMacro: false })
  return reads
}

function fail(node: Tree, message: string): never {
  failAt(node.start, message)
}

function failAt(offset: number, message: string): never {
  throw new ExpressionSyntaxError(message, offset)
}

/** `proof.namespace`, also written `proof['namespace']`; `undefined` where the node is no attribute of a variable. */
function attributeOf(node: Tree, { variables, suggest }: CheckContext): string | undefined {
  if (node.op !== '.' && node.op !== '[]') return undefined
  const [left] = node.args
  const known = left.op === 'id' ? variables.get(left.args) : undefined
  if (!known) return undefined
  const [variable, name] = pathOf(node) ?? []
  if (name === undefined) fail(node, `the attribute of ${sourceOf(left)} must be written out`)
  if (!known.has(name))
    failAt(offsetOfName(node, name), describeUnknown(variable, name, known, suggest?.(`${variable}.${name}`)))
  return `${variable}.${name}`
}

function offsetOfName(node: Tree & { readonly op: '.' | '[]' }, name: string): number {
  return node.op === '.' ? node.end - name.length : node.args[1].start
}

function describeUnknown(
  variable: string | undefined,
  name: string,
  known: ReadonlySet<string>,
  suggestion: string | undefined,
): string {
  const similar = findSimilarName(name, [...known])
  const meant = similar === undefined ? `it has ${[...known].join(', ')}` : `did you mean ${similar}?`
  return `${variable} has no ${name} here: ${suggestion ?? meant}`
}

function checkNode(node: Tree, scope: Scope, context: CheckContext): void {
  if (node.op === 'id') checkName(node, scope, context.variables)
  else if (node.op === 'value') checkLiteral(node)
  else if (node.op === 'call') checkCall(node, node.args[0], node.args[1])
  else if (node.op === 'rcall') checkMethod(node, node.args[0], node.args[2], scope)
  else if (node.op === 'in' && scope.inMacro && node.args[1].op !== 'list')
    fail(node, '`in` over a list that is not written out stands in a macro: the two together are nested loops')
  else if (node.op === '+' && scope.inMacro && !node.args.some(isScalar))
    fail(node, '`+` of what may be lists stands in a macro: join texts around one that is written out, or use string()')
  checkComparison(node, context.values)
}

function checkName(node: Tree & { readonly op: 'id' }, { own }: Scope, variables: Variables): void {
  const known = variables.get(node.args)
  if (known) fail(node, `${node.args} is no value of its own: name an attribute, such as ${node.args}.${[...known][0]}`)
  if (own.has(node.args) || typeNames.has(node.args)) return
  fail(node, `unknown variable ${node.args}: there are ${[...variables.keys()].join(' and ')}`)
}

/** Names of types, for `type(x) == string`. */
const typeNames = new Set('string bool int double map list null_type'.split(' '))

function checkLiteral(node: Tree & { readonly op: 'value' }): void {
  if (typeof node.args === 'object' && node.args !== null) fail(node, 'neither bytes nor unsigned numbers are taken')
}

function checkCall(node: Tree, name: string, args: readonly Tree[]): void {
  if (name === 'matches') failMatches(node)
  if (!functions.has(name)) fail(node, `unknown function ${name}`)
  const last = args.at(-1)
  const text = stringOf(last)
  if (last === undefined || text === undefined) return
  if (name === 'in_cidr') failIf(last, rangeProblem(text))
  if (name === 'glob') failIf(last, findPatternProblem(text))
  if (name === 'timestamp') failIf(last, !isTimestamp(text) && 'not a time with its zone, such as 2027-01-01T00:00:00Z')
}

function rangeProblem(text: string): string | undefined {
  const range = parseAddressRange(text)
  return typeof range === 'string' ? range : undefined
}

function checkMethod(node: Tree, name: string, args: readonly Tree[], scope: Scope): void {
  if (name === 'matches') failMatches(node)
  if (macros.has(name)) checkMacro(node, name, scope)
  else if (timeMethods.has(name)) checkZone(args)
  else if (!methods.has(name)) fail(node, `unknown function ${name}`)
  if (name === 'split') failIf(node, scope.inMacro && 'split stands in a macro: the two together are nested loops')
}

function checkMacro(node: Tree, name: string, scope: Scope): void {
  failIf(node, scope.inMacro && `${name} stands in another macro: nested loops are not taken`)
  const [receiver] = childrenOf(node)
  failIf(node, receiver && holdsMacro(receiver) && `${name} runs over what another macro made: chains are not taken`)
}

function holdsMacro(node: Tree): boolean {
  return isMacro(node) || childrenOf(node).some(holdsMacro)
}

const scalarCalls = new Set('string size int double'.split(' '))

/** Certain to be no list, which `+` then does not take on its other side either. */
function isScalar(node: Tree): boolean {
  if (node.op === '+') return node.args.some(isScalar)
  if (node.op === 'call') return scalarCalls.has(node.args[0])
  return node.op === 'value'
}

function failMatches(node: Tree): never {
  fail(
    node,
    'matches is not taken, as a regular expression can take seconds: use startsWith, endsWith, contains, in or glob',
  )
}

function failIf(node: Tree, message: string | false | undefined): void {
  if (message) fail(node, message)
}

function checkZone([zone]: readonly Tree[]): void {
  if (!zone) return
  const name = stringOf(zone)
  failIf(
    zone,
    (name === undefined || !isTimeZone(name)) && 'not a time zone that is written out, such as Europe/Berlin',
  )
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name })
    return true
  } catch {
    return false
  }
}

function isTimestamp(text: string): boolean {
  return timestampPattern.test(text) && !Number.isNaN(Date.parse(text))
}

function isMacro(node: Tree): boolean {
  return node.op === 'rcall' && macros.has(node.args[0])
}

/** The nodes below, each with its scope: what follows the variable of a macro is inside of it. */
function scopesBelow(node: Tree, scope: Scope, variables: Variables): readonly (readonly [Tree, Scope])[] {
  const children = childrenOf(node)
  if (!isMacro(node)) return children.map((child) => [child, scope])
  const inner = macroScope(children[1], variables)
  return children.map((child, index) => [child, index === 0 ? scope : inner])
}

function macroScope(variable: Tree | undefined, variables: Variables): Scope {
  if (variable?.op !== 'id') return { own: new Set(), inMacro: true }
  if (variables.has(variable.args)) fail(variable, `${variable.args} is taken: give the macro's variable another name`)
  return { own: new Set([variable.args]), inMacro: true }
}

/** Refuses an attribute held against a literal that it can never be: a slip of the pen that would look like a rule. */
function checkComparison(node: Tree, values: AttributeValues): void {
  const compared = comparisonOf(node)
  const judge = compared && values.get(compared.path.join('.'))
  if (compared && judge) {
    for (const text of compared.texts) failIf(node, neverMessage(compared.path, text, judge(text, compared.kind)))
  }
  if (node.op !== 'call' || node.args[0] !== 'glob') return
  const [subject, pattern] = node.args[1]
  const path = subject && pathOf(subject)
  const text = stringOf(pattern)
  const judgeGlob = path && values.get(path.join('.'))
  if (!judgeGlob || text === undefined) return
  const whole = !text.includes('*')
  failIf(node, neverMessage(path, text, judgeGlob(literalPrefix(text), whole ? 'equals' : 'starts')))
}

function neverMessage(path: readonly string[], text: string, why: string | undefined): string | undefined {
  return why && `${path.join('.')} can never match '${text}': ${why}`
}
