import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileExpression, type Operation, policyEnvironment, type RequestContext } from '../../src/core/expression.ts'
import { compilePolicies, type Decision, decide, type PolicyInput, type PolicySubject } from '../../src/core/policy.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'

const subject: PolicySubject = {
  spiffe_id: 'spiffe://example.org/ns/payments/sa/api',
  trust_domain: 'example.org',
  path: '/ns/payments/sa/api',
  authenticator: 'cluster',
  rule: 'workloads',
  claims: { team: 'a' },
}
const request: RequestContext = {
  operation: 'exchange',
  address: '10.0.0.1',
  time: new Date('2026-05-04T10:00:00Z'),
  audience: 'x',
}

function input(changes: Partial<PolicyInput>, index = 0): PolicyInput {
  return { path: ['policies', index], effect: 'permit', operations: ['exchange'], ...changes }
}

function compile(policies: readonly Partial<PolicyInput>[]) {
  const compiled = compilePolicies(policies.map(input))
  expect(compiled.problems).toEqual([])
  return compiled.policies
}

const judge = (policies: readonly Partial<PolicyInput>[], grantedByRule = false, now = request) =>
  decide(compile(policies), subject, now, grantedByRule)

const permit = { name: 'p', effect: 'permit' } as const
const forbid = { name: 'f', effect: 'forbid' } as const
const absent = "identity.claims.absent == 'x'"

test.each<[string, Partial<PolicyInput>[], boolean, Decision]>([
  ['nothing is granted by default', [], false, { granted: false, reason: 'no policy permits it', notes: [] }],
  ['a rule grants its own', [], true, { granted: true, reason: 'granted by rule workloads', notes: [] }],
  ['a permit grants', [permit], false, { granted: true, reason: 'permitted by p', policy: 'p', notes: [] }],
  [
    'a permit says its reason',
    [{ ...permit, reason: 'they may' }],
    false,
    { granted: true, reason: 'they may', policy: 'p', notes: [] },
  ],
  [
    'a permit of another operation does not',
    [{ ...permit, operations: ['read'] }],
    false,
    { granted: false, reason: 'no policy permits it', notes: [] },
  ],
  [
    'a permit that does not hold does not',
    [{ ...permit, when: "identity.path == '/x'" }],
    false,
    { granted: false, reason: 'no policy permits it', notes: [] },
  ],
  [
    'a star is every operation',
    [{ ...permit, operations: ['*'] }],
    false,
    { granted: true, reason: 'permitted by p', policy: 'p', notes: [] },
  ],
  [
    'a forbid wins over a permit',
    [permit, forbid],
    false,
    { granted: false, reason: 'forbidden by f', policy: 'f', notes: [] },
  ],
  [
    'a forbid wins over a rule',
    [{ ...forbid, reason: 'only from our networks' }],
    true,
    { granted: false, reason: 'only from our networks', policy: 'f', notes: [] },
  ],
  [
    'a forbid that does not hold is nothing',
    [{ ...forbid, when: "identity.path == '/x'" }],
    true,
    { granted: true, reason: 'granted by rule workloads', notes: [] },
  ],
  [
    'a forbid that fails forbids',
    [{ ...forbid, when: absent, reason: 'because' }],
    true,
    {
      granted: false,
      reason: 'forbidden by f, whose condition came to no value',
      policy: 'f',
      notes: ['forbid f: identity.claims.absent is absent'],
    },
  ],
  [
    'a permit that fails does not apply, and the next may',
    [
      { ...permit, when: absent },
      { ...permit, name: 'q' },
    ],
    false,
    { granted: true, reason: 'permitted by q', policy: 'q', notes: ['permit p: identity.claims.absent is absent'] },
  ],
  [
    'a permit that fails alone leaves nothing',
    [{ ...permit, when: absent }],
    false,
    { granted: false, reason: 'no policy permits it', notes: ['permit p: identity.claims.absent is absent'] },
  ],
  [
    'a failure beside something false is false',
    [{ ...forbid, when: `identity.path == '/x' && ${absent}` }],
    true,
    { granted: true, reason: 'granted by rule workloads', notes: [] },
  ],
  [
    'the first of several forbids decides',
    [
      { ...forbid, when: 'true' },
      { ...forbid, name: 'g' },
    ],
    true,
    { granted: false, reason: 'forbidden by f', policy: 'f', notes: [] },
  ],
])('%s', (_, policies, grantedByRule, decision) => {
  expect(judge(policies, grantedByRule)).toEqual(decision)
})

test('an address range decides with the request, and an address that is none forbids', () => {
  const policies = [{ ...forbid, operations: ['*' as const], when: "!in_cidr(request.address, '10.0.0.0/8')" }]
  expect(judge(policies, true).granted).toBe(true)
  expect(judge(policies, true, { ...request, address: '192.0.2.1' }).granted).toBe(false)
  expect(judge(policies, true, { ...request, address: 'unix' })).toMatchObject({
    granted: false,
    notes: ["forbid f: not an address in in_cidr(request.address, '10.0.0.0/8')"],
  })
})

test('the audience is there for operations that have one', () => {
  const { audience: _, ...without } = request
  const policies = [{ ...permit, when: "request.audience == 'x'" }]
  expect(judge(policies).granted).toBe(true)
  expect(judge(policies, false, without)).toMatchObject({
    granted: false,
    notes: ['permit p: request.audience is absent'],
  })
})

test('listing identities falls under a star and under nothing else', () => {
  const listing = { ...request, operation: 'identities' as const }
  expect(judge([{ ...forbid, operations: ['*'] }], true, listing).granted).toBe(false)
  expect(
    judge([{ ...forbid, operations: ['jwt_svid', 'x509_svid', 'exchange', 'read', 'write'] }], true, listing).granted,
  ).toBe(true)
})

test('a policy without a name is called by a digest of what it says', () => {
  const { policy } = judge([{}])
  expect(policy).toMatch(/^permit-[0-9a-f]{12}$/)
  expect(judge([{ when: 'true' }]).policy).not.toBe(policy)
})

test('notes are cut short', () => {
  const policies = Array.from({ length: 30 }, (_, n) => ({ name: `p${n}`, when: absent }))
  expect(judge(policies).notes).toHaveLength(20)
})

test.each<[string, Partial<PolicyInput>, (string | number)[], string]>([
  [
    'unknown variable',
    { when: "proof.namespace == 'a'" },
    ['when'],
    'unknown variable proof: there are identity and request',
  ],
  ['unknown attribute', { when: "identity.name == 'a'" }, ['when'], 'identity has no name here'],
  ['never true', { when: 'false' }, ['when'], 'never true'],
  ['no slash', { when: "identity.path == 'no-slash'" }, ['when'], 'a path starts with a slash'],
  [
    'contradiction',
    { when: "identity.rule == 'a' && identity.rule == 'b'" },
    ['when'],
    'identity.rule can not all hold',
  ],
  ['no condition', { when: 'identity.path' }, ['when'], 'a condition is true or false'],
  ['cost', { when: "identity.path.matches('.*')" }, ['when'], 'matches is not taken'],
  ['no operation', { operations: [] }, [], 'of no operation'],
])('refuses %s', (_, policy, path, message) => {
  const { problems } = compilePolicies([input(policy)])
  expect(problems).toEqual([
    expect.objectContaining({ path: ['policies', 0, ...path], message: expect.stringContaining(message) }),
  ])
})

test('names are used once, and names that are mentioned are there', () => {
  expect(compilePolicies([input({ name: 'a' }), input({ name: 'a' }, 1)]).problems).toEqual([
    { path: ['policies', 1, 'name'], message: 'two policies are named a' },
  ])
  const { problems } = compilePolicies([input({ when: "identity.authenticator == 'clutser'" })], {
    authenticators: ['cluster'],
  })
  expect(problems[0]?.message).toContain('the authenticators are cluster')
})

const atoms = [
  "identity.path == '/a'",
  "identity.path in ['/a', '/a/b']",
  "identity.path.startsWith('/a')",
  "identity.path.startsWith('/a/')",
  "identity.spiffe_id.startsWith('spiffe://example.org/b')",
  "identity.rule == 'r'",
  "identity.claims.team == 'x'",
  "identity.claims.team in ['x', 'y']",
  "identity.claims.team.startsWith('x')",
  'has(identity.claims.team)',
  "identity.claims.other == 'x'",
  "request.audience == 'x'",
  "!in_cidr(request.address, '10.0.0.0/8')",
  "(identity.claims.team == 'x' || identity.path == '/b')",
]

/** Every policy evaluated in order, without an index. */
function decidePlainly(
  policies: readonly PolicyInput[],
  identity: PolicySubject,
  now: RequestContext,
  grantedByRule: boolean,
) {
  const environment = policyEnvironment()
  const notes: string[] = []
  const holds = (policy: PolicyInput) => {
    try {
      return compileExpression(policy.when ?? 'true', environment, 'bool').evaluate({ identity, request: now }) === true
    } catch (error) {
      notes.push(`${policy.effect} ${policy.name}: ${(error as Error).message}`)
      return policy.effect === 'forbid'
    }
  }
  const covering = policies.filter(
    ({ operations }) => operations.includes('*') || operations.includes(now.operation as Operation),
  )
  const forbidding = covering.filter(({ effect }) => effect === 'forbid').find(holds)
  if (forbidding) return { granted: false, policy: forbidding.name, notes }
  if (grantedByRule) return { granted: true, policy: undefined, notes }
  const permitting = covering.filter(({ effect }) => effect === 'permit').find(holds)
  return { granted: permitting !== undefined, policy: permitting?.name, notes }
}

test('the index decides exactly as evaluating every policy does', () => {
  const policy = fc.record({
    effect: fc.constantFrom('permit' as const, 'forbid' as const),
    operations: fc.constantFrom<Operation | '*'>('exchange', 'read', '*').map((operation) => [operation]),
    when: fc.array(fc.constantFrom(...atoms), { minLength: 1, maxLength: 3 }).map((parts) => parts.join(' && ')),
  })
  const identity = fc
    .record({
      path: fc.constantFrom('/a', '/a/b', '/ab', '/b'),
      rule: fc.constantFrom('r', 's'),
      claims: fc.record(
        { team: fc.constantFrom<unknown>('x', 'y', 5, null), other: fc.constant('x') },
        { requiredKeys: [] },
      ),
    })
    .map((parts) => ({ ...subject, ...parts, spiffe_id: `spiffe://example.org${parts.path}` }))
  const now = fc.record({
    operation: fc.constantFrom<Operation>('exchange', 'read'),
    address: fc.constantFrom('10.0.0.1', '::1', 'unix'),
  })
  fc.assert(
    fc.property(
      fc.array(policy, { maxLength: 10 }),
      identity,
      now,
      fc.boolean(),
      (policies, who, when, grantedByRule) => {
        const inputs = policies.map((row, n) => input({ ...row, name: `p${n}` }, n))
        const { policies: compiled, problems } = compilePolicies(inputs)
        const sound = inputs.filter(({ path }) => !problems.some((problem) => problem.path[1] === path[1]))
        const context = { ...request, ...when }
        const { granted, policy: decided, notes } = decide(compiled, who, context, grantedByRule)
        expect({ granted, policy: decided, notes }).toEqual(decidePlainly(sound, who, context, grantedByRule))
      },
    ),
    { numRuns: 500 },
  )
})

test.each([
  [undefined, false],
  ["identity.path == '/ns/payments/sa/api'", false],
  ["identity.claims.team == 'a'", false],
  ["identity.spiffe_id == 'spiffe://partner.example/ns/payments/sa/api'", true],
  ["identity.trust_domain == 'partner.example' && identity.path.startsWith('/ns/')", true],
  ["identity.authenticator == 'cluster'", true],
])('a permit when %s is for a workload of another trust domain: %s', (when, granted) => {
  const trustDomain = parseTrustDomain('example.org')
  const { policies } = compilePolicies([input({ ...permit, when })], { trustDomain })
  const foreign = {
    ...subject,
    trust_domain: 'partner.example',
    spiffe_id: 'spiffe://partner.example/ns/payments/sa/api',
  }
  const decision = decide(policies, foreign, request, false)
  expect(decision.granted).toBe(granted)
  expect(decision.notes).toEqual(granted ? [] : [expect.stringMatching(/^permit p: not for other trust domains/)])
  const forbidding = compilePolicies([input({ ...forbid, when: undefined })], { trustDomain }).policies
  expect(decide(forbidding, foreign, request, true).granted).toBe(false)
})
