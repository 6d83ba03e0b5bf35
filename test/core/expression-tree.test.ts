import { Environment } from '@marcbachmann/cel-js'
import { expect, test } from 'vitest'
import { comparisonOf, conjunctsOf, pathOf, presenceOf, sourceOf, textOf } from '../../src/core/expression-tree.ts'

const parse = (text: string) => new Environment().parse(text).ast

test('splits a conjunction however it is bracketed', () => {
  const source = conjunctsOf(parse('a && (b && (c || d)) && !e')).map(sourceOf)
  expect(source).toEqual(['a', 'b', 'c || d', '!e'])
})

test.each([
  ['proof.namespace', ['proof', 'namespace']],
  ["proof.claims['a.b/c'].d", ['proof', 'claims', 'a.b/c', 'd']],
  ['proof.claims[x]', undefined],
  ['f().x', undefined],
  ["'a'", undefined],
])('path of %s', (text, path) => {
  expect(pathOf(parse(text))).toEqual(path)
})

test.each([
  ["a.b == 'x'", { kind: 'equals', path: ['a', 'b'], texts: ['x'], negated: false }],
  ["'x' == a.b", { kind: 'equals', path: ['a', 'b'], texts: ['x'], negated: false }],
  ["a.b != 'x'", { kind: 'equals', path: ['a', 'b'], texts: ['x'], negated: true }],
  ["a.b in ['x', 'y']", { kind: 'equals', path: ['a', 'b'], texts: ['x', 'y'], negated: false }],
  ["a.b.startsWith('x')", { kind: 'starts', path: ['a', 'b'], texts: ['x'], negated: false }],
  ["a.b.endsWith('x')", undefined],
  ['a.b == 5', undefined],
  ['a.b in [5]', undefined],
  ["'x' in a.b", undefined],
  ['a.b == c.d', undefined],
])('comparison of %s', (text, comparison) => {
  expect(comparisonOf(parse(text))).toEqual(comparison)
})

test('tells what has() asks for', () => {
  expect(presenceOf(parse('has(a.b)'))).toEqual(['a', 'b'])
  expect(presenceOf(parse('a.b'))).toBeUndefined()
})

test.each([
  ['!(a || b)', '!(a || b)'],
  ['(a || b) == (c || d)', '(a || b) == (c || d)'],
  ['((a) || b).size() == 1', '((a) || b).size() == 1'],
  ["a == ')' || b == '('", "a == ')' || b == '('"],
  [String.raw`a == "\")" || b`, String.raw`a == "\")" || b`],
])('the text of %s is an expression', (text, whole) => {
  const [, inner = parse('x')] = conjunctsOf(parse(`x && (${text}) && y`))
  expect(textOf(inner)).toBe(whole)
})
