import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { compileRules, coversAudience, type RuleContext, type RuleInput } from '../../src/core/identity-rule.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'

const context: RuleContext = {
  trustDomain: parseTrustDomain('example.org'),
  authenticators: new Map([
    ['cluster', { type: 'kubernetes' as const }],
    ['github', { type: 'oidc' as const }],
    ['spire', { type: 'spiffe' as const, trustDomain: parseTrustDomain('spire.example') }],
    ['ours', { type: 'spiffe' as const, trustDomain: parseTrustDomain('example.org') }],
    ['first', { type: 'join_token' as const }],
  ]),
  reservedDnsNames: ['ID.example.org'],
  reservedAudiences: ['https://id.example.org'],
}

function input(changes: Partial<RuleInput>, index = 0): RuleInput {
  const defaults = { x509_ttl: 3600, jwt_ttl: 300, renewable_for: 86_400, max_audiences: 1 }
  const lists = { dns_names: [], audiences: [], claims: {} }
  return { path: ['identities', index], spiffe_id: '/web', from: 'cluster', ...lists, ...defaults, ...changes }
}

const problemsOf = (...rules: Partial<RuleInput>[]) => compileRules(rules.map(input), context).problems

test.each<[string, Partial<RuleInput>, (string | number)[], string]>([
  [
    'unknown authenticator',
    { from: 'nobody' },
    ['from'],
    'there is no authenticator nobody: the authenticators are cluster, github',
  ],
  ['misspelt authenticator', { from: 'clutser' }, ['from'], 'there is no authenticator clutser: did you mean cluster?'],
  ['our own SVIDs', { from: 'ours' }, ['from'], 'takes SVIDs of our own'],
  ['unknown attribute', { when: "proof.subject == 'a'" }, ['when'], 'proof has no subject here: it has namespace'],
  ['no condition', { when: 'proof.namespace' }, ['when'], 'a condition is true or false'],
  ['never true', { when: 'false' }, ['when'], 'never true'],
  ['contradiction', { when: "proof.namespace == 'a' && proof.namespace == 'b'" }, ['when'], 'can not all hold'],
  ['impossible value', { when: "proof.namespace == 'Has Space'" }, ['when'], 'can never match'],
  [
    'foreign trust domain',
    { from: 'spire', when: "proof.trust_domain == 'example.org'" },
    ['when'],
    'it is spire.example',
  ],
  ['cost', { when: "proof.namespace.matches('a')" }, ['when'], 'matches is not taken'],
  ['open issuer', { from: 'github' }, [], "write a condition on proof, or `when: 'true'` to mean everybody"],
  [
    'open issuer, request only',
    { from: 'github', when: "request.address == '::1'" },
    ['when'],
    'every user of the issuer',
  ],
  [
    'open issuer, its own name',
    { from: 'github', when: "proof.issuer == 'https://i'" },
    ['when'],
    'every user of the issuer',
  ],
  ['open issuer, true in other words', { from: 'github', when: '1 == 1' }, ['when'], 'every user of the issuer'],
  ['whole ID', { spiffe_id: 'spiffe://example.org/web' }, ['spiffe_id'], 'write the path only'],
  ['broken path', { spiffe_id: '/ns/${proof.namespace}/' }, ['spiffe_id'], 'not a path'],
  ['reserved path', { spiffe_id: '/apostille/x' }, ['spiffe_id'], 'reserved'],
  ['unknown in template', { spiffe_id: '/${proof.nope}' }, ['spiffe_id'], 'proof has no nope'],
  ['broken DNS name', { dns_names: ['web', 'a_b'] }, ['dns_names', 1], 'not a DNS name'],
  ['reserved DNS name', { dns_names: ['id.example.org'] }, ['dns_names', 0], 'reserved'],
  ['own claim', { claims: { aud: 'x' } }, ['claims', 'aud'], 'aud is set by the issuer'],
  ['broken claim', { claims: { a: { b: ['${proof.}'] } } }, ['claims', 'a', 'b', 0], 'expected IDENTIFIER'],
])('%s', (_, rule, path, message) => {
  const [problem, ...others] = problemsOf(rule)
  expect(problem).toMatchObject({ path: ['identities', 0, ...path], message: expect.stringContaining(message) })
  expect(others).toEqual([])
})

test('an error in an expression says where in the text', () => {
  expect(problemsOf({ spiffe_id: '/ns/${proof.nope}' })[0]).toMatchObject({
    path: ['identities', 0, 'spiffe_id'],
    offset: 12,
  })
})

test('all mistakes are told at once', () => {
  const problems = problemsOf({ when: 'false', spiffe_id: 'x', dns_names: ['A'], claims: { iss: 'x' } }, { from: 'x' })
  expect(problems.map(({ path }) => path.join('.'))).toEqual([
    'identities.0.when',
    'identities.0.spiffe_id',
    'identities.0.dns_names.0',
    'identities.0.claims.iss',
    'identities.1.from',
  ])
})

test('names are used once', () => {
  const [problem] = problemsOf({ name: 'web' }, { name: 'web', spiffe_id: '/other' })
  expect(problem).toEqual({ path: ['identities', 1, 'name'], message: 'two rules are named web' })
})

test('a rule that an earlier one makes void is told', () => {
  const [problem] = problemsOf({ name: 'web' }, { name: 'web2', audiences: ['x'] })
  expect(problem).toMatchObject({
    path: ['identities', 1],
    message: expect.stringContaining('never applies: web has the same'),
  })
})

test.each<[string, Partial<RuleInput>]>([
  ['everybody, in so many words', { from: 'github', when: 'true' }],
  ['a condition on the proof', { from: 'github', when: "proof.claims.repository == 'org/app'" }],
  ['a join token', { from: 'first', when: "proof.attributes.role == 'db'" }],
  ['a foreign path', { from: 'spire', spiffe_id: '/spire-domain${proof.path}' }],
  [
    'a cluster without condition',
    { spiffe_id: '/ns/${proof.namespace}', audiences: ['*'], claims: { a: 1, b: [true, null] } },
  ],
])('takes %s', (_, rule) => {
  expect(problemsOf(rule)).toEqual([])
})

test('a rule keeps what was configured, and is named by a digest where it has no name', () => {
  const rule = input({ when: "proof.namespace == 'a'", hint: 'internal', audiences: ['x'], max_audiences: 2 })
  const { rules } = compileRules([rule], context)
  const [digest, compiled] = [...rules.byDigest][0] ?? []
  const canonical = `{"from":"cluster","when":"proof.namespace == 'a'","spiffe_id":"/web"}`
  expect(digest).toBe(createHash('sha256').update(canonical).digest('hex'))
  expect(compiled).toMatchObject({
    name: digest?.slice(0, 12),
    digest,
    from: 'cluster',
    hint: 'internal',
    audiences: ['x'],
    x509TtlSeconds: 3600,
    jwtTtlSeconds: 300,
    renewableForSeconds: 86_400,
    maxAudiences: 2,
  })
})

test('the digest covers from, when and spiffe_id, and nothing else', () => {
  const digestOf = (changes: Partial<RuleInput>) =>
    [...compileRules([input(changes)], context).rules.byDigest.keys()][0]
  const same = digestOf({})
  expect(digestOf({ name: 'web', audiences: ['x'], x509_ttl: 60, dns_names: ['web'], claims: { a: 1 } })).toBe(same)
  expect(digestOf({ spiffe_id: '/other' })).not.toBe(same)
  expect(digestOf({ when: 'true' })).not.toBe(same)
  expect(digestOf({ from: 'first' })).not.toBe(same)
})

test.each([
  [['a'], 'a', true],
  [['a'], 'b', false],
  [[], 'a', false],
  [['*'], 'a', true],
  [['a', '*'], 'b', true],
  [['*'], 'https://id.example.org', false],
  [['*', 'https://id.example.org'], 'https://id.example.org', true],
])('audiences %j cover %s: %s', (audiences, audience, expected) => {
  const { rules } = compileRules([input({ audiences })], context)
  const [rule] = rules.byDigest.values()
  expect(rule && coversAudience(rules, rule, audience)).toBe(expected)
})
