/**
 * Why a condition came to its value: each comparison in it by itself, with what it was compared with.
 *
 * @module
 */
import { readPath } from './condition-index.ts'
import { type Expression, ExpressionError, type Variables } from './expression.ts'
import { childrenOf, pathOf, sourceOf, type Tree } from './expression-tree.ts'

/** `failed`: it came to no value. */
export type PartValue = boolean | 'failed'

export interface ExplainedPart {
  readonly text: string
  readonly value: PartValue
  /** Of one that came to no value. */
  readonly problem?: string
  /** What it reads, by the path as it is written; what is absent has no member. */
  readonly read?: Readonly<Record<string, unknown>>
  /** How its parts make its value: all have to hold, any of them, or its only one must not. */
  readonly joins?: 'all' | 'any' | 'not'
  readonly parts?: readonly ExplainedPart[]
}

export function explainCondition(condition: Expression, variables: Variables): ExplainedPart {
  const joined = joinedBy(condition.tree)
  const joins = joinings[condition.tree.op]
  return {
    text: condition.text.trim(),
    ...evaluate(condition, variables),
    ...(joins !== undefined
      ? { joins, parts: joined.map((node) => explainCondition(condition.part(node), variables)) }
      : { read: readBy(condition.tree, variables) }),
  }
}

const joinings: Readonly<Record<string, 'all' | 'any' | 'not'>> = { '&&': 'all', '||': 'any', '!_': 'not' }

function evaluate(condition: Expression, variables: Variables): Pick<ExplainedPart, 'value' | 'problem'> {
  try {
    return { value: condition.evaluate(variables) === true }
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    return { value: 'failed', problem: error.message }
  }
}

/** The terms of the whole chain of `&&` or of `||`. */
function joinedBy(node: Tree): readonly Tree[] {
  if (node.op === '!_') return [node.args]
  if (node.op !== '&&' && node.op !== '||') return []
  return node.args.flatMap((term) => (term.op === node.op ? joinedBy(term) : [term]))
}

function readBy(tree: Tree, variables: Variables): Readonly<Record<string, unknown>> {
  const read: [string, unknown][] = []
  const visit = (node: Tree): void => {
    const path = pathOf(node)
    if (path === undefined) for (const child of childrenOf(node)) visit(child)
    if (path === undefined || path.length < 2) return
    const value = readPath(variables, ['', ...path])
    if (value !== undefined) read.push([sourceOf(node), shown(value)])
  }
  visit(tree)
  return Object.fromEntries(read)
}

/** Room for one value, in UTF-16 units of its JSON. */
const maxShown = 256

function shown(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString()
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > maxShown ? `${text.slice(0, maxShown - 1)}…` : value
}
