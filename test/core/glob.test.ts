import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findPatternProblem, literalPrefix, matchesGlob } from '../../src/core/glob.ts'

test.each([
  ['/ns/web', '/ns/web', true],
  ['/ns/web', '/ns/*', true],
  ['/ns/web/sa/x', '/ns/*', false],
  ['/ns/web/sa/x', '/ns/**', true],
  ['/ns/web/sa/x', '/ns/*/sa/*', true],
  ['/ns/web/db/sa/x', '/ns/*/sa/*', false],
  ['/ns/web/db/sa/x', '/ns/**/sa/*', true],
  ['/ns/', '/ns/*', true],
  ['', '*', true],
  ['', '', true],
  ['a', '', false],
  ['abab', '*ab', true],
  ['abac', '*ab', false],
  ['a/b', '*', false],
  ['a/b', '**', true],
  ['dependabot[bot]', '*[bot]', true],
  ['dependabotb', '*[bot]', false],
  ['axb', 'a?b', false],
  ['repo:org/app:ref:refs/heads/main', 'repo:org/*:ref:refs/heads/main', true],
  ['repo:org/app:x/y:ref:refs/heads/main', 'repo:org/*:ref:refs/heads/main', false],
])('%j against %j: %s', (text, pattern, expected) => {
  expect(matchesGlob(text, pattern)).toBe(expected)
})

/** The definition, without a thought for time. */
function matchesByDefinition(text: string, pattern: string): boolean {
  if (pattern === '') return text === ''
  const double = pattern.startsWith('**')
  if (!double && pattern[0] !== '*')
    return text[0] === pattern[0] && matchesByDefinition(text.slice(1), pattern.slice(1))
  const rest = pattern.slice(double ? 2 : 1)
  for (let length = 0; length <= text.length; length++) {
    if (!double && text.slice(0, length).includes('/')) return false
    if (matchesByDefinition(text.slice(length), rest)) return true
  }
  return false
}

test('agrees with the definition', () => {
  const text = fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 10 }).map((units) => units.join(''))
  const pattern = fc.array(fc.constantFrom('a', 'b', '/', '*', '**'), { maxLength: 7 }).map((units) => units.join(''))
  fc.assert(
    fc.property(text, pattern, (a, b) => {
      fc.pre(!b.includes('***'))
      expect(matchesGlob(a, b)).toBe(matchesByDefinition(a, b))
    }),
    { numRuns: 2000 },
  )
})

test('a pattern that would make a regular expression try every split comes to an end', () => {
  expect(matchesGlob('a'.repeat(10_000), `${'a*'.repeat(60)}b`)).toBe(false)
})

test('says what is wrong with a pattern', () => {
  expect(findPatternProblem('/ns/**')).toBeUndefined()
  expect(findPatternProblem('/ns/***')).toContain('***')
  expect(findPatternProblem('a'.repeat(257))).toContain('256')
})

test('knows what every match begins with', () => {
  expect(literalPrefix('/ns/*/x')).toBe('/ns/')
  expect(literalPrefix('/ns')).toBe('/ns')
})
