import { expect, test } from 'vitest'
import { proofAttributes } from '../../src/core/config-authenticators.ts'
import { ruleEnvironment } from '../../src/core/expression.ts'
import { buildRuleId, findPathTemplateProblem, isReservedPath } from '../../src/core/spiffe-path.ts'
import { compileTemplate } from '../../src/core/template.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'

const environment = ruleEnvironment(proofAttributes.spiffe)
const template = (text: string) => compileTemplate(text, environment)

test.each([
  ['/apostille', true],
  ['/apostille/server', true],
  ['/apostille-web', false],
  ['/spire', false],
  ['/spire/server', true],
  ['/spire/agent/x', true],
  ['/spire/agents', false],
])('%s reserved: %s', (path, reserved) => {
  expect(isReservedPath(path)).toBe(reserved)
})

test.each([
  ['', 'starts with a slash'],
  ['ns/web', 'starts with a slash'],
  ['${proof.trust_domain}/x', 'starts with a slash'],
  ['spiffe://example.org/ns', 'write the path only'],
  ['/', 'not a path'],
  ['/ns/', 'not a path'],
  ['/ns//web', 'not a path'],
  ['/ns/../web', 'not a path'],
  ['/ns/has space', 'not a path'],
  ['/ns/${proof.trust_domain}/', 'not a path'],
  ['/ns/${proof.path}', 'not a path'],
  ['/ns:${proof.trust_domain}', 'not a path'],
  [`/${'a'.repeat(2048)}`, '2048 bytes'],
  ['/${size(proof.path)}', 'a path is made of strings'],
  ['/${proof.claims}', 'a path is made of strings'],
  ['/apostille', 'reserved'],
  ['/apostille/${proof.trust_domain}', 'reserved'],
  ['/spire/agent/x-${proof.trust_domain}', 'reserved'],
  ['/spire/server${proof.path}', 'reserved'],
])('%j can give no ID: %s', (text, message) => {
  expect(findPathTemplateProblem(template(text))).toEqual(expect.stringContaining(message))
})

test.each([
  ['/ns/web'],
  ['/${proof.trust_domain}'],
  ['/td-${proof.trust_domain}.x'],
  ['/from/${proof.trust_domain}${proof.path}'],
  ['${proof.path}'],
  ['/spire${proof.path}'],
  ['/spire/agent${proof.trust_domain}'],
  ['/${proof.claims.team}'],
])('%j may give one', (text) => {
  expect(findPathTemplateProblem(template(text))).toBeUndefined()
})

const domain = parseTrustDomain('example.org')
const build = (text: string, proof: Record<string, unknown>) => buildRuleId(domain, template(text), { proof }).uri

test.each([
  ['/ns/${proof.claims.a}', { claims: { a: 'web' } }, 'spiffe://example.org/ns/web'],
  ['/ns/x-${proof.claims.a}', { claims: { a: 'Web_1.2' } }, 'spiffe://example.org/ns/x-Web_1.2'],
  ['/d${proof.path}', { path: '/a/b' }, 'spiffe://example.org/d/a/b'],
  ['/d${proof.path}', { path: '' }, 'spiffe://example.org/d'],
  ['${proof.path}', { path: '/a' }, 'spiffe://example.org/a'],
])('%s with %j', (text, proof, uri) => {
  expect(build(text, proof)).toBe(uri)
})

test.each([
  ['/ns/${proof.claims.a}', { claims: { a: 'a/b' } }, 'not_a_segment'],
  ['/ns/${proof.claims.a}', { claims: { a: '..' } }, 'not_a_segment'],
  ['/ns/${proof.claims.a}', { claims: { a: '' } }, 'not_a_segment'],
  ['/ns/${proof.claims.a}', { claims: { a: 'a%2fb' } }, 'not_a_segment'],
  ['/ns/${proof.claims.a}', { claims: { a: 'ü' } }, 'not_a_segment'],
  ['/ns/${proof.claims.a}', { claims: { a: 5 } }, 'not_a_string'],
  ['/ns/${proof.claims.a}', { claims: {} }, 'no_such_key'],
  ['/ns/x${proof.path + ""}', { path: '/a' }, 'not_a_segment'],
  ['/ns/${proof.claims.a}', { claims: { a: 'a'.repeat(2048) } }, 'spiffe_id_too_long'],
  ['/x${proof.path}', { path: '//' }, 'spiffe_id_path'],
  ['${proof.path}', { path: '' }, 'spiffe_id_path'],
  ['${proof.path}', { path: '/apostille/server' }, 'reserved'],
  ['/spire/${proof.claims.a}', { claims: { a: 'agent' } }, 'reserved'],
])('%s with %j gives none: %s', (text, proof, code) => {
  expect(() => build(text, proof)).toThrow(expect.objectContaining({ name: 'ExpressionError', code }))
})

test('the value that does not fit is not repeated', () => {
  expect(() => build('/ns/${proof.claims.a}', { claims: { a: 'se/cret' } })).toThrow(
    'proof.claims.a is not one segment of a path',
  )
})
