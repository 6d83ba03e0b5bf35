import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AuthenticatedIdentity } from '../../src/core/authenticate.ts'
import { proofAttributes } from '../../src/core/config-authenticators.ts'
import { compileExpression, type RequestContext, ruleEnvironment } from '../../src/core/expression.ts'
import { compileRules, createIdentifier, type RuleInput, renewEntitlement } from '../../src/core/identify.ts'
import type { RuleContext } from '../../src/core/identity-rule.ts'
import type { FirstProof } from '../../src/protocol/first-proof.ts'
import { parseSpiffeId, parseTrustDomain } from '../../src/protocol/spiffe-id.ts'

const context: RuleContext = {
  trustDomain: parseTrustDomain('example.org'),
  authenticators: new Map([
    ['cluster', { type: 'kubernetes' as const }],
    ['github', { type: 'oidc' as const }],
  ]),
  reservedDnsNames: ['id.example.org'],
  reservedAudiences: [],
}
const request: RequestContext = { operation: 'jwt_svid', address: '10.0.0.1', time: new Date('2026-05-04T10:00:00Z') }

function input(changes: Partial<RuleInput>, index = 0): RuleInput {
  const defaults = { x509_ttl: 3600, jwt_ttl: 300, renewable_for: 3600, max_audiences: 1 }
  const lists = { dns_names: [], audiences: [], claims: {} }
  return { path: ['identities', index], spiffe_id: '/web', from: 'cluster', ...lists, ...defaults, ...changes }
}

function compile(rules: readonly Partial<RuleInput>[]) {
  const { rules: compiled, problems } = compileRules(rules.map(input), context)
  expect(problems).toEqual([])
  return compiled
}

function pod(attributes: Readonly<Record<string, unknown>>, authenticator = 'cluster'): AuthenticatedIdentity {
  const type = authenticator === 'cluster' ? 'kubernetes' : 'oidc'
  return { authenticator, type, attributes, recorded: {}, use: { kind: 'rules' } }
}

const api = pod({ namespace: 'payments', service_account: 'api', service_account_uid: 'u' })
const build = pod({ issuer: 'https://i', subject: 's', claims: { run: 5, ref: 'main', list: ['a'] } }, 'github')

const identify = (rules: readonly Partial<RuleInput>[], identity: AuthenticatedIdentity, now = request) =>
  createIdentifier(compile(rules))(identity, now)

test('gives an identity with the names and claims of its rule', () => {
  const { entitlements, notes } = identify(
    [
      {
        name: 'workloads',
        spiffe_id: '/ns/${proof.namespace}/sa/${proof.service_account}',
        when: "proof.namespace in ['payments', 'web'] && proof.service_account != 'default'",
        dns_names: ['${proof.service_account}.${proof.namespace}.svc', 'api', 'api'],
        claims: { line: 'retail', team: { ns: '${proof.namespace}', n: 1 }, pod: '${proof.pod}' },
      },
    ],
    api,
  )
  expect(notes).toEqual([])
  expect(entitlements).toEqual([
    {
      spiffeId: parseSpiffeId('spiffe://example.org/ns/payments/sa/api'),
      rule: expect.objectContaining({ name: 'workloads' }),
      dnsNames: ['api.payments.svc', 'api'],
      claims: { line: 'retail', team: { ns: 'payments', n: 1 } },
    },
  ])
})

test('claims keep their JSON types, and one that can not be written is left out and noted', () => {
  const claims = {
    run: '${proof.claims.run}',
    text: 'run-${proof.claims.run}',
    list: '${proof.claims.list}',
    bad: 'x${proof.claims.list}',
  }
  const { entitlements, notes } = identify([{ name: 'r', from: 'github', when: 'true', claims }], build)
  expect(entitlements[0]?.claims).toEqual({ run: 5, text: 'run-5', list: ['a'] })
  expect(notes).toEqual(['rule r leaves out claim bad: proof.claims.list can not stand within a text'])
})

test('all rules that match apply, in order; of one ID the first rule stands', () => {
  const { entitlements } = identify(
    [
      { name: 'no', spiffe_id: '/no', when: "proof.namespace == 'web'" },
      { name: 'a', spiffe_id: '/a' },
      { name: 'b', spiffe_id: '/ns/${proof.namespace}' },
      { name: 'c', spiffe_id: '/a', when: "proof.namespace == 'payments'" },
      { name: 'd', spiffe_id: '/d', from: 'github', when: 'true' },
    ],
    api,
  )
  expect(entitlements.map(({ spiffeId, rule }) => [spiffeId.path, rule.name])).toEqual([
    ['/a', 'a'],
    ['/ns/payments', 'b'],
  ])
})

test.each<[string, Partial<RuleInput>, string]>([
  ['absent in when', { when: "proof.pod.startsWith('x')" }, 'rule r does not apply: proof.pod is absent'],
  ['absent and compared', { when: "proof.pod == 'x'" }, 'rule r does not apply: proof.pod is absent or no text'],
  ['absent in spiffe_id', { spiffe_id: '/${proof.pod}' }, 'rule r does not apply: proof.pod is absent'],
  ['absent in a DNS name', { dns_names: ['${proof.pod}'] }, 'rule r does not apply: proof.pod is absent'],
  ['no segment', { spiffe_id: "/${proof.namespace + '/x'}" }, 'is not one segment of a path'],
  ['no label', { dns_names: ["${proof.namespace + '.x'}"] }, 'is not one lower-case label'],
  ['reserved path', { spiffe_id: "/${proof.namespace == 'payments' ? 'apostille' : 'x'}" }, 'comes to a reserved path'],
  ['reserved name', { dns_names: ["${'id'}.example.org"] }, 'comes to a reserved DNS name'],
  ['too long', { spiffe_id: `/${'a'.repeat(2030)}/\${proof.namespace}` }, 'comes to more than 2048 bytes'],
])('a rule does not apply and says why: %s', (_, rule, note) => {
  const { entitlements, notes } = identify([{ name: 'r', ...rule }], api)
  expect(entitlements).toEqual([])
  expect(notes).toEqual([expect.stringContaining(note)])
})

test.each([
  ["proof.namespace == 'web'"],
  ["proof.namespace == 'web' && proof.pod == 'x'"],
  ["proof.namespace == 'web' && proof.pod.startsWith('x')"],
  ["has(proof.pod) && proof.pod == 'x'"],
])('a rule that is simply false says nothing: %s', (when) => {
  expect(identify([{ when }], api)).toEqual({ entitlements: [], notes: [] })
})

test('a thousand rules that compare one absent attribute are one note', () => {
  const rules = Array.from({ length: 1000 }, (_, n) => ({
    name: `r${n}`,
    spiffe_id: `/p${n}`,
    when: `proof.pod == 'p${n}'`,
  }))
  expect(identify(rules, api).notes).toEqual(['rule r0 and 999 more do not apply: proof.pod is absent or no text'])
})

test('notes are cut short', () => {
  const rules = Array.from({ length: 30 }, (_, n) => ({ spiffe_id: `/\${proof.pod}/${n}` }))
  const { notes } = identify(rules, api)
  expect(notes).toHaveLength(21)
  expect(notes.at(-1)).toBe('and 10 notes more')
})

test('an identity that no rule is from has none', () => {
  expect(identify([], api)).toEqual({ entitlements: [], notes: [] })
})

test('what depends on the proof alone is remembered; what reads the request is decided each time', () => {
  const rules = compile([
    { name: 'always', spiffe_id: '/always' },
    { name: 'inside', spiffe_id: '/inside', when: "in_cidr(request.address, '10.0.0.0/8')" },
    { name: 'last', spiffe_id: '/last' },
  ])
  const identifier = createIdentifier(rules)
  const pathsAt = (address: string) =>
    identifier(api, { ...request, address }).entitlements.map(({ spiffeId }) => spiffeId.path)
  expect(pathsAt('10.0.0.1')).toEqual(['/always', '/inside', '/last'])
  expect(pathsAt('192.0.2.1')).toEqual(['/always', '/last'])
  expect(pathsAt('10.0.0.2')).toEqual(['/always', '/inside', '/last'])

  const still = createIdentifier(compile([{ spiffe_id: '/always' }]))
  expect(still(api, request)).toBe(still(api, { ...request, address: '192.0.2.1' }))
  expect(still(pod(api.attributes), request)).not.toBe(still(api, request))
})

test('no note repeats a value', () => {
  const secret = pod({ namespace: 'tr0ub4dor/x', service_account: 'api', service_account_uid: 'u' })
  const { notes } = identify(
    [{ spiffe_id: '/${proof.namespace}' }, { spiffe_id: '/a', when: 'int(proof.namespace) == 1' }],
    secret,
  )
  expect(notes).toHaveLength(2)
  expect(notes.join()).not.toContain('tr0ub4dor')
})

const atoms = [
  "proof.namespace == 'a'",
  "'b' == proof.namespace",
  "proof.namespace in ['a', 'b']",
  "proof.namespace.startsWith('a')",
  "proof.namespace != 'a'",
  "proof.service_account == 'a'",
  "proof.service_account in ['b', 'c']",
  "proof.pod == 'a'",
  "proof.pod in ['a', 'b']",
  "proof.pod.startsWith('a')",
  "!(proof.pod == 'a')",
  "proof.node == 'a'",
  'has(proof.pod)',
  'has(proof.node)',
  'int(proof.service_account_uid) == 1',
  "request.address == '10.0.0.1'",
  "in_cidr(request.address, '10.0.0.0/8')",
  "(proof.namespace == 'a' || proof.pod == 'a')",
  "(proof.node == 'b' && proof.namespace == 'a')",
  "(proof.pod == 'b' ? proof.namespace == 'a' : false)",
]

test('the index finds exactly what evaluating every rule finds', () => {
  const environment = ruleEnvironment(proofAttributes.kubernetes)
  const when = fc.array(fc.constantFrom(...atoms), { minLength: 1, maxLength: 4 }).map((parts) => parts.join(' && '))
  const value = fc.constantFrom('a', 'b', 'ab', 'c')
  const proof = fc.record(
    {
      namespace: value,
      service_account: value,
      service_account_uid: fc.constantFrom('1', 'x'),
      pod: value,
      node: value,
    },
    { requiredKeys: ['namespace', 'service_account', 'service_account_uid'] },
  )
  const address = fc.constantFrom('10.0.0.1', '192.0.2.1', 'nowhere')
  fc.assert(
    fc.property(fc.uniqueArray(when, { maxLength: 12 }), proof, address, (conditions, attributes, from) => {
      const inputs = conditions.map((text, n) => input({ name: `r${n}`, spiffe_id: `/${n}`, when: text }, n))
      const { rules, problems } = compileRules(inputs, context)
      const sound = inputs.filter(({ path }) => !problems.some((problem) => problem.path[1] === path[1]))
      const now = { ...request, address: from }
      const { entitlements, notes } = createIdentifier(rules)(pod({ ...attributes }), now)

      const outcomes = sound.map(({ name, when: text = '' }) => {
        try {
          return {
            name,
            holds: compileExpression(text, environment, 'bool').evaluate({ proof: attributes, request: now }),
          }
        } catch (error) {
          return { name, failure: `rule ${name} does not apply: ${(error as Error).message}` }
        }
      })
      expect(entitlements.map(({ rule }) => rule.name)).toEqual(
        outcomes.filter(({ holds }) => holds).map(({ name }) => name),
      )
      const failures = outcomes.flatMap(({ failure }) => failure ?? [])
      const single = notes.filter((note) => !note.endsWith('is absent or no text'))
      expect(failures).toEqual(expect.arrayContaining(single))
      expect(single.length === failures.length || notes.length > single.length).toBe(true)
    }),
    { numRuns: 300 },
  )
})

const renewable = {
  name: 'db',
  spiffe_id: '/ns/${proof.namespace}',
  when: "in_cidr(request.address, '192.0.2.0/24')",
  dns_names: ['db.svc', '${proof.service_account}.${proof.namespace}.svc'],
  claims: { line: 'retail', ns: '${proof.namespace}', nested: { a: ['b'] } },
  renewable_for: 3600,
}

function renew(
  changes: Partial<FirstProof> = {},
  dnsNames: readonly string[] = [],
  rule: Partial<RuleInput> = renewable,
) {
  const original = compile([renewable])
  const ruleDigest = [...original.byDigest.keys()][0] ?? ''
  const firstProof = { ruleDigest, at: new Date('2026-05-04T09:00:01Z'), ...changes }
  const spiffeId = parseSpiffeId('spiffe://example.org/ns/payments')
  return renewEntitlement(compile([rule]), { kind: 'renewal', spiffeId, firstProof, dnsNames }, request)
}

test('a renewal gives the same identity, with what the rule says without the first proof', () => {
  expect(renew({}, ['db.svc', 'api.payments.svc', 'old.example.org', 'a.b.c.svc'])).toEqual({
    spiffeId: parseSpiffeId('spiffe://example.org/ns/payments'),
    rule: expect.objectContaining({ name: 'db' }),
    dnsNames: ['db.svc', 'api.payments.svc'],
    claims: { line: 'retail', nested: { a: ['b'] } },
  })
})

test('a renewal follows what changed in the rule beside from, when and spiffe_id', () => {
  const rule = { ...renewable, name: 'db2', dns_names: ['other.svc'], claims: { line: 'wholesale' } }
  expect(renew({}, ['db.svc'], rule)).toMatchObject({
    dnsNames: ['other.svc'],
    claims: { line: 'wholesale' },
    rule: { name: 'db2' },
  })
})

test.each<[string, () => ReturnType<typeof renew>, string]>([
  ['its time is over', () => renew({ at: new Date('2026-05-04T09:00:00Z') }), 'until 2026-05-04T10:00:00.000Z'],
  ['no rule has that digest', () => renew({ ruleDigest: 'ab' }), 'is gone or has changed'],
  [
    'the condition changed',
    () => renew({}, [], { ...renewable, when: "proof.namespace == 'a'" }),
    'is gone or has changed',
  ],
  [
    'a name has become reserved',
    () => renew({}, ['id.example.org'], { ...renewable, dns_names: ['${proof.namespace}.example.org'] }),
    'is reserved',
  ],
])('a renewal is refused when %s', (_, attempt, refused) => {
  expect(attempt()).toEqual({ refused: expect.stringContaining(refused) })
})
