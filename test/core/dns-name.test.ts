import { expect, test } from 'vitest'
import { proofAttributes } from '../../src/core/config-authenticators.ts'
import { buildDnsName, findDnsTemplateProblem, fitsDnsTemplate, isDnsName } from '../../src/core/dns-name.ts'
import { ruleEnvironment } from '../../src/core/expression.ts'
import { compileTemplate } from '../../src/core/template.ts'

const environment = ruleEnvironment(proofAttributes.kubernetes)
const template = (text: string) => compileTemplate(text, environment)
const reserved = new Set(['id.example.org'])

test.each([
  ['web', true],
  ['web.payments.svc', true],
  ['1.example', true],
  ['xn--bcher-kva.example', true],
  ['', false],
  ['Web', false],
  ['web.', false],
  ['.web', false],
  ['a..b', false],
  ['*.web', false],
  ['a_b', false],
  ['10.0.0.1', false],
  ['web.123', false],
  [`${'a'.repeat(63)}.b`, true],
  [`${'a'.repeat(64)}.b`, false],
  [Array(127).fill('a').join('.'), true],
  [Array(128).fill('a').join('.'), false],
])('%j a DNS name: %s', (text, expected) => {
  expect(isDnsName(text)).toBe(expected)
})

test.each([
  ['Web.svc', 'not a DNS name'],
  ['*.svc', 'not a DNS name'],
  ['10.0.0.1', 'not a DNS name'],
  ['${proof.namespace}..svc', 'not a DNS name'],
  ['-${proof.namespace}', 'not a DNS name'],
  ['id.example.org', 'reserved'],
  ['${size(proof.namespace)}.svc', 'made of strings'],
])('%j can give no name: %s', (text, message) => {
  expect(findDnsTemplateProblem(template(text), reserved)).toEqual(expect.stringContaining(message))
})

test.each([['web.svc'], ['${proof.namespace}'], ['x-${proof.namespace}.svc'], ['${proof.namespace}.example.org']])(
  '%j may give one',
  (text) => {
    expect(findDnsTemplateProblem(template(text), reserved)).toBeUndefined()
  },
)

test('a label is put in each hole', () => {
  const proof = { namespace: 'payments', service_account: 'api' }
  expect(buildDnsName(template('${proof.service_account}.${proof.namespace}.svc'), { proof }, reserved)).toBe(
    'api.payments.svc',
  )
})

test.each([
  [{ namespace: 'a.b' }, 'not_a_label'],
  [{ namespace: 'A' }, 'not_a_label'],
  [{ namespace: '' }, 'not_a_label'],
  [{ namespace: 5 }, 'field_type_mismatch'],
  [{}, 'no_such_key'],
  [{ namespace: 'id' }, 'reserved'],
  [{ namespace: 'a'.repeat(64) }, 'not_a_label'],
])('%j gives none: %s', (proof, code) => {
  expect(() => buildDnsName(template('${proof.namespace}.example.org'), { proof }, reserved)).toThrow(
    expect.objectContaining({ name: 'ExpressionError', code }),
  )
})

test('a label that grows too long with its text gives none', () => {
  const proof = { namespace: 'a'.repeat(63) }
  expect(() => buildDnsName(template('x-${proof.namespace}'), { proof }, reserved)).toThrow(
    expect.objectContaining({ code: 'dns_name' }),
  )
})

test.each([
  ['api.payments.svc', '${proof.service_account}.${proof.namespace}.svc', true],
  ['x-api.svc', 'x-${proof.namespace}.svc', true],
  ['ab.svc', '${proof.namespace}${proof.service_account}.svc', true],
  ['api.a.payments.svc', '${proof.service_account}.${proof.namespace}.svc', false],
  ['api.payments.svc.cluster', '${proof.service_account}.${proof.namespace}.svc', false],
  ['apixsvc', '${proof.namespace}.svc', false],
  ['-a.svc', '${proof.namespace}.svc', false],
  ['x-.svc', 'x-${proof.namespace}.svc', false],
  ['A.svc', '${proof.namespace}.svc', false],
  ['.svc', '${proof.namespace}.svc', false],
])('%s fits %s: %s', (name, text, expected) => {
  expect(fitsDnsTemplate(name, template(text))).toBe(expected)
})
