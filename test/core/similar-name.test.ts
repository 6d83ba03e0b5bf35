import { expect, test } from 'vitest'
import { findSimilarName } from '../../src/core/similar-name.ts'

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
