import { expect, test } from 'vitest'
import { proofValues } from '../../src/core/attribute-values.ts'
import { proofAttributes } from '../../src/core/config-authenticators.ts'
import { compileExpression, policyEnvironment, ruleEnvironment } from '../../src/core/expression.ts'

const kubernetes = ruleEnvironment(proofAttributes.kubernetes, proofValues('kubernetes'))
const oidc = ruleEnvironment(proofAttributes.oidc)

test.each([
  ["proof.namespace.matches('a.*')", 'matches is not taken', 0],
  ["matches(proof.namespace, 'a.*')", 'matches is not taken', 0],
  ["true && proof.namespace.matches('a')", 'matches is not taken', 8],
  ["proof.namespace.lowerAscii() == 'a'", 'unknown function lowerAscii', 0],
  ["shout(proof.namespace) == 'a'", 'unknown function shout', 0],
  ["cel.bind(x, proof.namespace, x == 'a')", 'unknown function bind', 0],
  ["bytes('a') == bytes('a')", 'unknown function bytes', 0],
  ["b'a' == b'a'", 'neither bytes', 0],
  ['5u == 5u', 'neither bytes nor unsigned', 0],
  ["namespaces == 'a'", 'unknown variable namespaces: there are proof and request', 0],
  ["namespace == 'a'", 'reserved identifier: namespace', 0],
  ["identity.path == '/a'", 'unknown variable identity', 0],
  ["proof.name == 'a'", 'proof has no name here: it has namespace', 6],
  ["proof.namspace == 'a'", 'proof has no namspace here: did you mean namespace?', 6],
  ["proof . name == 'a'", 'proof has no name here: it has namespace', 8],
  ['has(proof.name)', 'proof has no name here', 10],
  ["proof['name'] == 'a'", 'proof has no name here', 6],
  ["proof[request.address] == 'a'", 'must be written out', 0],
  ['proof == proof', 'proof is no value of its own', 0],
  ['size(proof) == 1', 'proof is no value of its own', 5],
  ["[1].exists(proof, proof.namespace == 'a')", 'proof is taken', 11],
  ["in_cidr(request.address, '10.0.0.0')", 'prefix length', 25],
  ["in_cidr(request.address, '10.0.0.1/8')", 'beyond the prefix', 25],
  ["glob(proof.namespace, '***')", '***', 22],
  ["glob(proof.namespace, '/ns/*')", 'can never match', 0],
  ["glob(proof.namespace, 'a b')", 'can never match', 0],
  ["request.time > timestamp('2027-01-01')", 'not a time with its zone', 25],
  ["request.time > timestamp('2027-01-01T00:00:00')", 'not a time with its zone', 25],
  ["request.time.getHours('Europe/Nowhere') == 9", 'not a time zone', 22],
  ['request.time.getHours(request.address) == 9', 'not a time zone', 22],
  ["proof.namespace == 'Has Space'", "proof.namespace can never match 'Has Space'", 0],
  ["'Has Space' == proof.namespace", 'can never match', 0],
  ["proof.namespace != 'Has Space'", 'can never match', 0],
  ["proof.namespace in ['a', 'B']", "can never match 'B'", 0],
  ["proof.namespace.startsWith('/ns')", 'can never match', 0],
  ["request.path == 'payments/db'", 'request has no path here', 8],
  ["request.operation == 'jwt-svid'", 'the operations are x509_svid, jwt_svid', 0],
  [`proof.namespace in [${Array(200).fill("'a'").join(', ')}]`, 'more than 200 nodes', 0],
])('refuses %s', (text, message, offset) => {
  expect(() => compileExpression(text, kubernetes, 'bool')).toThrow(
    expect.objectContaining({ name: 'ExpressionSyntaxError', message: expect.stringContaining(message), offset }),
  )
})

test.each([
  ['proof.claims.l.exists(x, x in proof.claims.m)', 'nested loops'],
  ['proof.claims.l.exists(x, proof.claims.m.exists(y, x == y))', 'exists stands in another macro'],
  ['proof.claims.l.map(x, proof.claims.m.filter(y, y == x)).size() > 0', 'filter stands in another macro'],
  ["proof.claims.l.exists(x, 'a' in x.split(','))", 'nested loops'],
  ["proof.claims.l.filter(x, x != 'a').exists(x, x == 'b')", 'chains are not taken'],
  ['proof.claims.l.map(x, x).map(x, x).map(x, x).size() > 0', 'chains are not taken'],
  ["[proof.claims.l.map(x, x)].exists(x, x == ['b'])", 'chains are not taken'],
  ['proof.claims.l.map(x, x + x).size() > 0', 'may be lists'],
  ['proof.claims.l.map(x, (x + x) + (x + x)).size() > 0', 'may be lists'],
  ['proof.claims.l.exists(x, (x + [x]).size() > 3)', 'may be lists'],
])('refuses loops in loops: %s', (text, message) => {
  expect(() => compileExpression(text, oidc, 'bool')).toThrow(message)
})

test.each([
  ["proof.claims.l.exists(x, x in ['a', 'b'])"],
  ["proof.claims.l.filter(x, x != 'a').size() > 0 && proof.claims.l.exists(x, x == 'b')"],
  ["proof.claims.l.exists(x, 'a:' + x + string(x) == 'a:bb')"],
  ['proof.claims.l.exists(x, size(x) + 1 > 3)'],
  ["has(proof.claims.ref) && proof.claims['job_workflow_ref'].startsWith('a')"],
  ["request.time < timestamp('2027-01-01T00:00:00+02:00') && request.time.getHours('Europe/Berlin') < 18"],
  ['type(proof.claims.run) == double'],
  ["'a' in proof.claims.groups"],
  ["glob(proof.subject, 'repo:org/*:ref:refs/heads/main')"],
])('takes %s', (text) => {
  expect(compileExpression(text, oidc, 'bool').type).toBe('bool')
})

test('takes 200 nodes', () => {
  const text = `proof.namespace in [${Array(196).fill("'a'").join(', ')}]`
  expect(compileExpression(text, kubernetes, 'bool').reads).toEqual(new Set(['proof.namespace']))
})

test('names that a policy mentions are looked up where they are known', () => {
  const known = policyEnvironment({ authenticators: ['a'], rules: ['web'] })
  expect(() => compileExpression("identity.rule == 'wbe'", known, 'bool')).toThrow('the rules are web')
  expect(compileExpression("identity.rule == 'wbe'", policyEnvironment(), 'bool').type).toBe('bool')
})
