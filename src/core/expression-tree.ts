/**
 * The syntax tree of an expression, as its checks and the index of conditions read it.
 *
 * @module
 */
import type { ASTNode, ASTOperator } from '@marcbachmann/cel-js'

export type Tree = ASTNode

/** The nodes directly below, in the order of the text. */
export function childrenOf(node: Tree): readonly Tree[] {
  switch (node.op) {
    case 'value':
    case 'id':
      return []
    case '.':
    case '.?':
      return [node.args[0]]
    case 'call':
      return node.args[1]
    case 'rcall':
      return [node.args[1], ...node.args[2]]
    case 'map':
      return node.args.flat()
    case '!_':
    case '-_':
      return [node.args]
    default:
      return node.args
  }
}

/** `a`, `b` and `c` of `a && b && c`; the expression itself where it is no conjunction. */
export function conjunctsOf(node: Tree): readonly Tree[] {
  return node.op === '&&' ? node.args.flatMap(conjunctsOf) : [node]
}

/** `['proof', 'claims', 'ref']` of `proof.claims.ref` and of `proof.claims['ref']`; `undefined` of anything else. */
export function pathOf(node: Tree): readonly string[] | undefined {
  if (node.op === 'id') return [node.args]
  if (node.op !== '.' && node.op !== '[]') return undefined
  const left = pathOf(node.args[0])
  const name = node.op === '.' ? node.args[1] : stringOf(node.args[1])
  return left && name !== undefined ? [...left, name] : undefined
}

/** The text of a string literal. */
export function stringOf(node: Tree | undefined): string | undefined {
  return node?.op === 'value' && typeof node.args === 'string' ? node.args : undefined
}

/** The texts of a list of string literals. */
export function stringsOf(node: Tree): readonly string[] | undefined {
  if (node.op !== 'list') return undefined
  const texts = node.args.map(stringOf)
  return texts.every((text) => text !== undefined) ? texts : undefined
}

/** A place where a value is held against string literals: equal to one of them, or beginning with the only one. */
export interface Comparison {
  readonly kind: 'equals' | 'starts'
  readonly path: readonly string[]
  readonly texts: readonly string[]
  /** `!=`: true where the value is none of them. */
  readonly negated: boolean
}

/** Reads `==`, `!=`, `in [..]` and `startsWith` with literals; `undefined` for every other node. */
export function comparisonOf(node: Tree): Comparison | undefined {
  if (node.op === '==' || node.op === '!=') {
    return compare('equals', node.args, node.op) ?? compare('equals', [node.args[1], node.args[0]], node.op)
  }
  if (node.op === 'in') return compare('equals', node.args, node.op)
  if (node.op !== 'rcall' || node.args[0] !== 'startsWith') return undefined
  const [argument] = node.args[2]
  return argument && compare('starts', [node.args[1], argument], node.op)
}

function compare(kind: Comparison['kind'], [left, right]: readonly [Tree, Tree], op: ASTOperator) {
  const path = pathOf(left)
  const text = stringOf(right)
  const texts = op === 'in' ? stringsOf(right) : text === undefined ? undefined : [text]
  return path && texts ? { kind, path, texts, negated: op === '!=' } : undefined
}

/** The path that `has(…)` asks for, where the node is that. */
export function presenceOf(node: Tree): readonly string[] | undefined {
  if (node.op !== 'call' || node.args[0] !== 'has') return undefined
  const [argument] = node.args[1]
  return argument && pathOf(argument)
}

/** The piece of the expression's text that the node came from. */
export function sourceOf(node: Tree): string {
  return node.input.slice(node.start, node.end)
}

/** Strings and comments as a whole, so that no parenthesis in them is taken for one. */
const tokens = /"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\/\/.*|[()]/g

/** {@link sourceOf} as an expression by itself: a node does not reach to the parentheses at its ends. */
export function textOf(node: Tree): string {
  const source = sourceOf(node)
  let open = 0
  let unopened = 0
  for (const [token] of source.matchAll(tokens)) {
    if (token === '(') open++
    else if (token === ')' && open > 0) open--
    else if (token === ')') unopened++
  }
  return `${'('.repeat(unopened)}${source}${')'.repeat(open)}`
}
