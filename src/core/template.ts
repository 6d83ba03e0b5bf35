/**
 * Templates: text with expressions in it, such as `/ns/${proof.namespace}`.
 *
 * `${` always begins an expression and nothing escapes it, as neither paths nor DNS names hold a dollar sign; a claim
 * that needs the two characters writes `${'$'}{`. Braces and quotes inside an expression are its own.
 *
 * @module
 */
import {
  compileExpression,
  type Expression,
  type ExpressionEnvironment,
  ExpressionError,
  ExpressionSyntaxError,
  type Variables,
} from './expression.ts'

/** A piece is literal text or an expression; two texts never follow each other. */
export interface Template {
  readonly text: string
  readonly pieces: readonly (string | Expression)[]
  readonly reads: ReadonlySet<string>
}

/** @throws {ExpressionSyntaxError} with offsets into the whole text */
export function compileTemplate(text: string, environment: ExpressionEnvironment): Template {
  const known = environment.templates.get(text)
  if (known) return known
  const template = readTemplate(text, environment)
  environment.templates.set(text, template)
  return template
}

function readTemplate(text: string, environment: ExpressionEnvironment): Template {
  const pieces: (string | Expression)[] = []
  let at = 0
  while (at < text.length) {
    const open = text.indexOf('${', at)
    const literal = text.slice(at, open < 0 ? text.length : open)
    if (literal !== '') pieces.push(literal)
    if (open < 0) break
    const close = findHoleEnd(text, open + 2)
    pieces.push(compileHole(text, open + 2, close, environment))
    at = close + 1
  }
  return { text, pieces, reads: new Set(pieces.flatMap((piece) => (isHole(piece) ? [...piece.reads] : []))) }
}

export function isHole(piece: string | Expression | undefined): piece is Expression {
  return typeof piece === 'object'
}

/** Whether the text means itself. */
export function isLiteral(template: Template): boolean {
  return !template.pieces.some(isHole)
}

/** The text with `write` of each expression's value in its place. @throws {ExpressionError}, or what `write` throws */
export function fillTemplate(
  { pieces }: Template,
  variables: Variables,
  write: (value: unknown, hole: Expression) => string,
): string {
  let text = ''
  for (const piece of pieces) text += isHole(piece) ? write(piece.evaluate(variables), piece) : piece
  return text
}

/**
 * The value of a template in a claim: one that is a single expression gives its value with its JSON type, any other a
 * text.
 *
 * @throws {ExpressionError} also for a value that JSON can not hold
 */
export function evaluateTemplate(template: Template, variables: Variables): unknown {
  const [first, ...rest] = template.pieces
  if (isHole(first) && rest.length === 0) return toJson(first.evaluate(variables), first)
  return fillTemplate(template, variables, writeScalar)
}

function writeScalar(value: unknown, hole: Expression): string {
  const json = toJson(value, hole)
  if (typeof json === 'object') throw new ExpressionError('not_a_text', `${hole.text} can not stand within a text`)
  return String(json)
}

function toJson(value: unknown, hole: Expression): unknown {
  if (typeof value === 'bigint' && Number.isSafeInteger(Number(value))) return Number(value)
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.map((item) => toJson(item, hole))
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (typeof value === 'object' && isPlain(value))
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, toJson(member, hole)]))
  throw new ExpressionError('not_json', `${hole.text} has no form in JSON`)
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function compileHole(text: string, start: number, end: number, environment: ExpressionEnvironment): Expression {
  const source = text.slice(start, end)
  if (source.trim() === '') throw new ExpressionSyntaxError('an expression is missing between the braces', start)
  try {
    return compileExpression(source, environment, 'any')
  } catch (error) {
    if (!(error instanceof ExpressionSyntaxError)) throw error
    throw new ExpressionSyntaxError(error.message, start + error.offset, { cause: error })
  }
}

/** Where the brace that closes the expression stands. Strings and comments end as CEL's lexis says. */
function findHoleEnd(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const unit = text[at]
    if (unit === '"' || unit === "'") at = findStringEnd(text, at)
    else if (text.startsWith('//', at)) at = endOfLine(text, at)
    else if (unit === '{') depth++
    else if (unit === '}' && depth-- === 0) return at
  }
  throw new ExpressionSyntaxError('an expression begins here and no brace closes it', start - 2)
}

function findStringEnd(text: string, open: number): number {
  const quote = text[open] ?? ''
  const delimiter = text.startsWith(quote.repeat(3), open) ? quote.repeat(3) : quote
  for (let at = open + delimiter.length; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text.startsWith(delimiter, at)) return at + delimiter.length - 1
  }
  return text.length
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return end < 0 ? text.length : end
}
