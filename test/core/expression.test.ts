import { expect, test } from 'vitest'
import { proofValues } from '../../src/core/attribute-values.ts'
import { proofAttributes } from '../../src/core/config-authenticators.ts'
import {
  compileExpression,
  constantOf,
  createRuleEnvironments,
  policyEnvironment,
  ruleEnvironment,
} from '../../src/core/expression.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'

const kubernetes = ruleEnvironment(proofAttributes.kubernetes)
const oidc = ruleEnvironment(proofAttributes.oidc)
const request = { operation: 'jwt_svid', address: '10.1.2.3', time: new Date('2026-05-04T10:00:00Z'), audience: 'api' }
const proof = { namespace: 'payments', service_account: 'api', service_account_uid: 'u' }
const claims = {
  run: 5,
  ratio: 1.5,
  ref: 'main',
  groups: ['a', 'b'],
  counts: [1, 2],
  nothing: null,
  on: { k: 'v' },
  big: 2 ** 53,
}

test.each([
  ["proof.namespace == 'payments'", true],
  ["proof.namespace in ['payments', 'web'] && proof.service_account != 'default'", true],
  ["proof['namespace'].startsWith('pay')", true],
  ['has(proof.pod)', false],
  ["has(proof.pod) && proof.pod == 'x'", false],
  ["proof.pod == 'x' && proof.namespace == 'web'", false],
  ["proof.namespace == 'web' && proof.pod == 'x'", false],
  ["proof.pod == 'x' || proof.namespace == 'payments'", true],
  ["in_cidr(request.address, '10.0.0.0/8')", true],
  ["in_cidr(request.address, '192.168.0.0/16')", false],
  ["glob(proof.namespace + '/x', 'pay*/x')", true],
  ["request.time < timestamp('2026-05-04T12:00:00+01:00')", true],
  ["request.time.getHours() == 10 && request.audience == 'api'", true],
])('%s is %s', (text, value) => {
  expect(compileExpression(text, kubernetes, 'bool').evaluate({ proof, request })).toBe(value)
})

test.each([
  ['proof.claims.run == 5', true],
  ['5 == proof.claims.run', true],
  ['proof.claims.run != 5', false],
  ['proof.claims.run in [4, 5]', true],
  ['proof.claims.run > 4 && proof.claims.run <= 5', true],
  ["proof.claims.run == '5'", false],
  ['proof.claims.ratio == 1.5', true],
  ['proof.claims.big == 9007199254740992', true],
  ['int(proof.claims.run) % 2 == 1', true],
  ['2 in proof.claims.counts', true],
  ['3 in proof.claims.counts', false],
  ['proof.claims.counts == [1, 2]', true],
  ["'a' in proof.claims.groups", true],
  ["proof.claims.groups.exists(group, group == 'b')", true],
  ['proof.claims.nothing == null', true],
  ["proof.claims.on == {'k': 'v'}", true],
  ["proof.claims['on']['k'] == 'v'", true],
  ['has(proof.claims.absent)', false],
])('JSON in claims: %s is %s', (text, value) => {
  const variables = { proof: { issuer: 'i', subject: 's', claims }, request }
  expect(compileExpression(text, oidc, 'bool').evaluate(variables)).toBe(value)
})

test.each([
  ["proof.pod == 'x'", 'no_such_key', 'proof.pod is absent'],
  ["proof.pod == 'x' && proof.namespace == 'payments'", 'no_such_key', 'proof.pod is absent'],
  ["!(proof.pod == 'x')", 'no_such_key', 'proof.pod is absent'],
  [
    "in_cidr(proof.namespace, '10.0.0.0/8')",
    'not_an_address',
    "not an address in in_cidr(proof.namespace, '10.0.0.0/8')",
  ],
  ['in_cidr(request.address, proof.namespace)', 'not_an_address_range', 'not an address range in'],
  ["glob(proof.namespace, proof.namespace + '***')", 'not_a_pattern', 'not a pattern in'],
])('%s comes to no value: %s', (text, code, message) => {
  const expression = compileExpression(text, kubernetes, 'bool')
  expect(() => expression.evaluate({ proof, request })).toThrow(
    expect.objectContaining({ name: 'ExpressionError', code, message: expect.stringContaining(message) }),
  )
})

test('what an expression says of its failure holds no value', () => {
  const secret = 'tr0ub4dor'
  const texts = [
    'int(proof.subject) == 1',
    'bool(proof.subject)',
    "proof.claims[proof.subject] == 'x'",
    'duration(proof.subject) == duration("1s")',
  ]
  for (const text of texts) {
    const expression = compileExpression(text, oidc, 'bool')
    try {
      expression.evaluate({ proof: { issuer: 'i', subject: secret, claims: {} } })
      expect.unreachable()
    } catch (error) {
      expect((error as Error).name).toBe('ExpressionError')
      expect(`${(error as Error).message} ${String((error as Error).cause)}`).not.toContain(secret)
    }
  }
})

test.each([
  ['proof.namespace ==', 'unexpected token', 18],
  ["proof.namespace = 'a'", 'unexpected character: =, write ==', 16],
  ["proof.namespace == 'a' | proof.namespace == 'b'", 'unexpected character: |, write ||', 23],
  ["proof.namespace == 'a' # proof.pod == 'b'", 'unexpected character: #', 23],
  ["proof.namespace == 'a", 'unterminated string', 19],
  ['proof.namespace == 5', 'no such overload: string == int', 0],
  ['proof.namespace', 'a condition is true or false, and this is string', 0],
  ["has('a')", 'has() invalid argument', 4],
  ['', 'unexpected token', 0],
  [`${'!'.repeat(20_000)}true`, 'more than 16384 characters', 0],
  [`${'('.repeat(300)}true${')'.repeat(300)}`, 'exceeded maxDepth', 250],
])('refuses %s', (text, message, offset) => {
  expect(() => compileExpression(text, kubernetes, 'bool')).toThrow(
    expect.objectContaining({ message: expect.stringContaining(message), offset }),
  )
})

test('a claim alone is no condition', () => {
  expect(() => compileExpression('proof.claims.admin', oidc, 'bool')).toThrow('compare it with something')
})

test('tells which attributes an expression reads', () => {
  const { reads } = compileExpression(
    "has(proof.pod) && request.time.getHours() < 5 && proof['namespace'] == 'a'",
    kubernetes,
    'bool',
  )
  expect(reads).toEqual(new Set(['proof.pod', 'request.time', 'proof.namespace']))
})

test('a lone attribute is read as it is, or is absent', () => {
  const expression = compileExpression('proof.pod', kubernetes, 'any')
  expect(expression.evaluate({ proof: { pod: 'web-0' } })).toBe('web-0')
  expect(() => expression.evaluate({ proof: {} })).toThrow(expect.objectContaining({ code: 'no_such_key' }))
  expect(() => expression.evaluate({ proof: { pod: 5 } })).toThrow(
    expect.objectContaining({ code: 'field_type_mismatch' }),
  )
})

test('policies see identity and request', () => {
  const identity = { path: '/ns/web/x', claims: { team: 'a' } }
  const text = "identity.path.startsWith('/ns/web/') && identity.claims.team == 'a' && request.operation == 'jwt_svid'"
  expect(compileExpression(text, policyEnvironment(), 'bool').evaluate({ identity, request })).toBe(true)
})

test('an expression without variables has its value once and for all', () => {
  expect(constantOf(compileExpression('1 < 2', kubernetes, 'bool'))).toEqual({ value: true })
  expect(constantOf(compileExpression('has(proof.pod)', kubernetes, 'bool'))).toBeUndefined()
})

test('authenticators with the same attributes share the environment of the library, each with its own values', () => {
  const environmentOf = createRuleEnvironments()
  const spiffe = (name: string) =>
    environmentOf(proofAttributes.spiffe, proofValues('spiffe', parseTrustDomain(name)), () => name)
  const [a, b] = [spiffe('a.example'), spiffe('b.example')]
  expect(a.cel).toBe(b.cel)
  expect(environmentOf(proofAttributes.oidc).cel).not.toBe(a.cel)
  expect([a.suggest?.('x'), b.suggest?.('x'), environmentOf(proofAttributes.spiffe).suggest]).toEqual([
    'a.example',
    'b.example',
    undefined,
  ])
  const condition = "proof.trust_domain == 'a.example'"
  expect(compileExpression(condition, a, 'bool').evaluate({ proof: { trust_domain: 'a.example' } })).toBe(true)
  expect(() => compileExpression(condition, b, 'bool')).toThrow(/a\.example/)
})
