import { expect, test } from 'vitest'
import { findSimilarName, listNames } from '../../src/core/similar-name.ts'

const known = ['issuer', 'audience', 'tls', 'ttl', 'x509', 'jwt', 'identities', 'policies', 'trust_domain']

test.each([
  ['isuer', 'issuer'],
  ['issuerr', 'issuer'],
  ['Issuer', 'issuer'],
  ['issure', 'issuer'],
  ['trust-domain', 'trust_domain'],
  ['tsl', 'tls'],
  ['tt', 'ttl'],
  ['indentities', 'identities'],
  ['polices', 'policies'],
])('%s was meant to be %s', (name, meant) => {
  expect(findSimilarName(name, known)).toBe(meant)
})

test.each(['', 'a', 'federation', 'domain', 'audit', 'x', 'issue_rules'])('%s is near to nothing', (name) => {
  expect(findSimilarName(name, known)).toBeUndefined()
})

test('the nearest one is taken', () => {
  expect(findSimilarName('policie', ['police', 'policies', 'policy'])).toBe('police')
  expect(findSimilarName('policiess', ['police', 'policies'])).toBe('policies')
})

test('the first of those that are as near is taken', () => {
  expect(findSimilarName('polic', ['police', 'policy'])).toBe('police')
})

test('among hundreds of names none is looked for', () => {
  const many = Array.from({ length: 201 }, (_, index) => `name-${index}`)
  expect(findSimilarName('nam-7', many.slice(1))).toBe('name-7')
  expect(findSimilarName('nam-7', many)).toBeUndefined()
})

test('names are listed, the first of many', () => {
  const many = Array.from({ length: 23 }, (_, index) => `n${index}`)
  expect(listNames(['a', 'b'])).toBe('a, b')
  expect(listNames(many.slice(0, 20))).toMatch(/, n19$/)
  expect(listNames(many)).toMatch(/, n19 and 3 more$/)
})
