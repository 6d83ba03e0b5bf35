import { expect, test } from 'vitest'
import { findConditionProblem } from '../../src/core/condition.ts'
import { proofAttributes } from '../../src/core/config-authenticators.ts'
import { compileExpression, ruleEnvironment } from '../../src/core/expression.ts'

const environment = ruleEnvironment(proofAttributes.oidc)
const findProblem = (text: string) => findConditionProblem(compileExpression(text, environment, 'bool'))

test.each([
  ['false', 'never true'],
  ['1 > 2', 'never true'],
  ["proof.subject == 'a' && false", 'never true'],
  ["proof.subject == 'a' && proof.subject == 'b'", 'what it asks of proof.subject can not all hold'],
  ["proof.subject in ['a', 'b'] && proof.subject == 'c'", 'proof.subject'],
  ["proof.subject == 'ab' && proof.subject.startsWith('b')", 'proof.subject'],
  ["proof.subject.startsWith('a/') && proof.subject.startsWith('b/')", 'proof.subject'],
  ["proof.claims.a == 'x' && (proof.subject == 's' && proof.claims.a == 'y')", 'proof.claims.a'],
  ["request.operation == 'read' && request.operation == 'write'", 'request.operation'],
  ['proof.subject in []', 'proof.subject'],
  ['1 / 0 == 1', 'can not be evaluated'],
])('%s', (text, message) => {
  expect(findProblem(text)).toEqual(expect.stringContaining(message))
})

test.each([
  ['true'],
  ["proof.subject == 'a' || proof.subject == 'b'"],
  ["proof.subject == 'a' && proof.subject != 'b'"],
  ["proof.subject in ['a', 'b'] && proof.subject in ['b', 'c']"],
  ["proof.subject.startsWith('a') && proof.subject.startsWith('ab') && proof.subject == 'abc'"],
  ["proof.claims.a == 'x' && proof.claims.b == 'y'"],
  ["proof.subject == 'a' && (proof.issuer == 'i' || false)"],
])('%s may hold', (text) => {
  expect(findProblem(text)).toBeUndefined()
})
