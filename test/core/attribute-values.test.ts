import { expect, test } from 'vitest'
import { isDnsLabel, policyValues, proofValues, requestValues } from '../../src/core/attribute-values.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'

const values = new Map([
  ...proofValues('kubernetes'),
  ...policyValues({ authenticators: ['cluster-a'], rules: ['web'] }),
  ...requestValues(['read', 'write']),
])
const spiffe = proofValues('spiffe', parseTrustDomain('spire.example'))

test.each([
  ['proof.namespace', 'payments', 'equals'],
  ['proof.namespace', 'pay-', 'starts'],
  ['proof.namespace', '', 'starts'],
  ['proof.service_account', 'a.b-c', 'equals'],
  ['proof.pod', 'web-', 'starts'],
  ['identity.path', '/ns/web', 'equals'],
  ['identity.path', '/ns/', 'starts'],
  ['identity.path', '/ns/we', 'starts'],
  ['identity.path', '', 'equals'],
  ['request.path', 'payments/db', 'equals'],
  ['request.path', 'payments/', 'equals'],
  ['request.path', '', 'equals'],
  ['request.path', 'payments/', 'starts'],
  ['request.path', 'pay', 'starts'],
  ['request.path', '', 'starts'],
  ['identity.spiffe_id', 'spiffe://example.org/ns', 'equals'],
  ['identity.spiffe_id', 'spiffe:', 'starts'],
  ['identity.spiffe_id', 'spiffe://exam', 'starts'],
  ['identity.trust_domain', 'example.org', 'equals'],
  ['identity.authenticator', 'cluster-a', 'equals'],
  ['identity.rule', 'we', 'starts'],
  ['request.operation', 'read', 'equals'],
  ['request.address', '::1', 'equals'],
] as const)('%s can be %j (%s)', (attribute, text, kind) => {
  expect(values.get(attribute)?.(text, kind)).toBeUndefined()
})

test.each([
  ['proof.namespace', 'Has Space', 'equals'],
  ['proof.namespace', 'a.b', 'equals'],
  ['proof.namespace', 'a'.repeat(64), 'equals'],
  ['proof.namespace', 'pay-', 'equals'],
  ['proof.namespace', '/ns', 'starts'],
  ['proof.service_account', 'ns:sa', 'equals'],
  ['identity.path', 'ns/web', 'equals'],
  ['request.path', '/payments/db', 'equals'],
  ['request.path', '/payments', 'starts'],
  ['request.path', 'a//', 'starts'],
  ['request.path', 'a b', 'equals'],
  ['identity.path', 'ns', 'starts'],
  ['identity.path', '/ns/', 'equals'],
  ['identity.path', '//', 'starts'],
  ['identity.path', '/a/../b', 'equals'],
  ['identity.path', '/a b', 'starts'],
  ['identity.spiffe_id', '/ns/web', 'equals'],
  ['identity.spiffe_id', '/ns', 'starts'],
  ['identity.trust_domain', 'Example.org', 'equals'],
  ['identity.authenticator', 'cluster-b', 'equals'],
  ['identity.rule', 'x', 'starts'],
  ['request.operation', 'jwt-svid', 'equals'],
  ['request.address', '10.0.0.300', 'equals'],
] as const)('%s can never be %j (%s)', (attribute, text, kind) => {
  expect(values.get(attribute)?.(text, kind)).toBeTypeOf('string')
})

test.each([
  ['proof.spiffe_id', 'spiffe://spire.example/web', 'equals', true],
  ['proof.spiffe_id', 'spiffe://other.example/web', 'equals', false],
  ['proof.spiffe_id', 'spiffe://spire.example/we', 'starts', true],
  ['proof.spiffe_id', 'spiffe://spire.exampleweb', 'starts', false],
  ['proof.spiffe_id', 'spiffe://spire', 'starts', true],
  ['proof.trust_domain', 'spire.example', 'equals', true],
  ['proof.trust_domain', 'other.example', 'equals', false],
  ['proof.path', '/web', 'equals', true],
  ['proof.path', 'web', 'equals', false],
] as const)('of SVIDs of spire.example, %s and %j (%s): %s', (attribute, text, kind, possible) => {
  expect(spiffe.get(attribute)?.(text, kind) === undefined).toBe(possible)
})

test('nothing is assumed of OIDC tokens', () => {
  expect(proofValues('oidc').size).toBe(0)
})

test.each([
  ['a', true],
  ['a-1', true],
  ['a'.repeat(63), true],
  ['a'.repeat(64), false],
  ['', false],
  ['A', false],
  ['-a', false],
  ['a-', false],
  ['a.b', false],
  ['a_b', false],
])('label %j: %s', (text, expected) => {
  expect(isDnsLabel(text)).toBe(expected)
})
