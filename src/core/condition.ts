/**
 * Conditions: the `when` of rules and policies.
 *
 * @module
 */
import { conditionsOf } from './condition-index.ts'
import { constantOf, type Expression } from './expression.ts'
import { conjunctsOf, type Tree } from './expression-tree.ts'

const never = 'this condition is never true'

/** What is wrong with a condition that is well-typed, if it is certain: it never holds, or never comes to a value. */
export function findConditionProblem(condition: Expression): string | undefined {
  const { value } = evaluateConstant(condition)
  if (value === 'failed') return 'this condition can not be evaluated'
  if (value === false || conjunctsOf(condition.tree).some(isFalse)) return never
  const contradiction = ['proof', 'identity', 'request']
    .map((variable) => conditionsOf(condition.tree, variable).contradiction)
    .find((path) => path !== undefined)
  return contradiction && `${never}: what it asks of ${contradiction} can not all hold`
}

function evaluateConstant(condition: Expression): { readonly value?: unknown } {
  try {
    return constantOf(condition) ?? {}
  } catch {
    return { value: 'failed' }
  }
}

function isFalse(node: Tree): boolean {
  return node.op === 'value' && node.args === false
}
