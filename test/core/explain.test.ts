import { expect, test } from 'vitest'
import type { AuthenticatedIdentity } from '../../src/core/authenticate.ts'
import { parseConfiguration } from '../../src/core/config.ts'
import { createConfigured } from '../../src/core/configured.ts'
import { type ExplainedRequest, explain } from '../../src/core/explain.ts'
import { createExplainer } from '../../src/core/explainer.ts'
import { parseRecord, type RecordDocument } from '../../src/core/record.ts'
import { Refusal } from '../../src/core/refusal.ts'
import { parseSpiffeId } from '../../src/protocol/spiffe-id.ts'
import { testNow } from '../support/certificate-authority.ts'

const document = `
trust_domain: example.org
issuer: https://id.example.org
listen: { address: 127.0.0.1:8443 }
store: sqlite:a.db
seal: { file: seal.key }
authenticators:
  cluster: { type: kubernetes, issuer: https://k.example, audience: a }
  first: { type: join_token }
  ours: { type: spiffe, trust_domain: example.org }
  other: { type: spiffe, trust_domain: other.example }
federation: { other.example: { bundle: other.json } }
identities:
  - name: workloads
    spiffe_id: '/ns/\${proof.namespace}/sa/\${proof.service_account}'
    from: cluster
    when: proof.namespace in ['web', 'payments'] && !(proof.service_account == 'default' || has(proof.node))
    audiences: [https://api.example.org, https://db.example.org]
    max_audiences: 2
  - { name: pods, from: cluster, spiffe_id: '/pod/\${proof.pod}', when: proof.pod.startsWith('front-') }
  - { name: machines, spiffe_id: '/vm/\${proof.name}', from: first, when: "proof.attributes.role == 'web'" }
  - { name: foreign, spiffe_id: '/other\${proof.path}', from: other }
targets:
  s3: { type: aws, role_arn: 'arn:aws:iam::123456789012:role/x', region: eu-west-1 }
  vault: { type: aws, role_arn: 'arn:aws:iam::123456789012:role/y', region: eu-west-1 }
policies:
  - { name: office, forbid: '*', when: "!in_cidr(request.address, '10.0.0.0/8')", reason: only from our networks }
  - { name: s3, permit: exchange, to: s3, when: "identity.path.startsWith('/ns/payments/')" }
  - { name: team, permit: [read, write], when: "request.path.startsWith('team/')" }
limits: { per_identity: 1 }
`
const config = parseConfiguration(document)

const configured = createConfigured(config, [], { now: () => testNow, monotonicMs: () => 0 } as Parameters<
  typeof createConfigured
>[2])

function pod(more: Readonly<Record<string, string>> = {}): AuthenticatedIdentity {
  const attributes = { namespace: 'web', service_account: 'front', service_account_uid: 'u', ...more }
  return { authenticator: 'cluster', type: 'kubernetes', attributes, recorded: attributes, use: { kind: 'rules' } }
}

/** As {@link document}, with another policy. */
function configuredWith(policy: string) {
  const more = parseConfiguration(document.replace('policies:\n', `policies:\n  - ${policy}\n`))
  return createConfigured(more, [], { now: () => testNow, monotonicMs: () => 0 } as Parameters<
    typeof createConfigured
  >[2])
}

const ask = (identity: AuthenticatedIdentity, request: Partial<ExplainedRequest> = {}) =>
  explain({
    configured,
    identity,
    request: { operation: 'x509_svid', address: '10.0.0.1', time: testNow, ...request },
    readJoinToken: async () => undefined,
  })

test('a rule that applies says what it gives, one that does not which comparison was false and what it read', async () => {
  const { rules, otherRules, decision } = await ask(pod({ pod: 'back-1' }))
  expect(otherRules).toBe(2)
  expect(rules).toEqual([
    {
      name: 'workloads',
      applies: true,
      spiffeId: 'spiffe://example.org/ns/web/sa/front',
      notes: [],
      when: expect.objectContaining({ value: true, joins: 'all' }),
    },
    {
      name: 'pods',
      applies: false,
      notes: [],
      when: { text: "proof.pod.startsWith('front-')", value: false, read: { 'proof.pod': 'back-1' } },
    },
  ])
  expect(decision).toMatchObject({ granted: true, rule: 'workloads', reason: 'granted by rule workloads' })
})

test('each term of a condition has its own value, within alternatives and negations too', async () => {
  const { rules } = await ask(pod({ namespace: 'shop', node: 'n1' }))
  expect(rules[0]?.when).toEqual({
    text: "proof.namespace in ['web', 'payments'] && !(proof.service_account == 'default' || has(proof.node))",
    value: false,
    joins: 'all',
    parts: [
      { text: "proof.namespace in ['web', 'payments']", value: false, read: { 'proof.namespace': 'shop' } },
      {
        text: "!(proof.service_account == 'default' || has(proof.node))",
        value: false,
        joins: 'not',
        parts: [
          {
            text: "proof.service_account == 'default' || has(proof.node)",
            value: true,
            joins: 'any',
            parts: [
              { text: "proof.service_account == 'default'", value: false, read: { 'proof.service_account': 'front' } },
              { text: 'has(proof.node)', value: true, read: { 'proof.node': 'n1' } },
            ],
          },
        ],
      },
    ],
  })
})

test('a comparison with something absent says so', async () => {
  const { rules } = await ask(pod())
  expect(rules[1]).toMatchObject({
    applies: false,
    when: { value: 'failed', problem: 'proof.pod is absent', read: {} },
    notes: ['rule pods does not apply: proof.pod is absent'],
  })
})

test('of the policies it says which were asked, and why not', async () => {
  const { policies, decision } = await ask(pod({ namespace: 'payments' }), { operation: 'exchange', target: 's3' })
  expect(policies).toEqual([
    { name: 'office', effect: 'forbid', applies: false, when: expect.objectContaining({ value: false, joins: 'not' }) },
    {
      name: 's3',
      effect: 'permit',
      applies: true,
      when: expect.objectContaining({ value: true, read: { 'identity.path': '/ns/payments/sa/front' } }),
    },
    { name: 'team', effect: 'permit', applies: false, passedOver: 'it is about read, write' },
  ])
  expect(decision).toMatchObject({ granted: true, policy: 's3' })
})

test.each<[string, Partial<ExplainedRequest>, object]>([
  ['a forbid', { address: '192.0.2.1' }, { granted: false, code: 'not_entitled', policy: 'office' }],
  [
    'a forbid that fails',
    { address: '' },
    { granted: false, policy: 'office', notes: expect.arrayContaining(['forbid office: request.address is absent']) },
  ],
  [
    'an audience that no rule lists',
    { operation: 'jwt_svid', audience: ['https://api.example.org', 'x'] },
    { granted: false, reason: expect.stringContaining(`does not list audience 'x'`) },
  ],
  ['an audience of the rule', { operation: 'jwt_svid', audience: ['https://api.example.org'] }, { granted: true }],
  [
    'a target of others',
    { operation: 'exchange', target: 'vault' },
    { granted: false, reason: 'no policy permits it' },
  ],
  [
    'a target that is none',
    { operation: 'exchange', target: 'no' },
    { granted: false, reason: `there is no target 'no'` },
  ],
  ['a secret of the team', { operation: 'read', path: 'team/a' }, { granted: true, policy: 'team' }],
  ['a secret of others', { operation: 'write', path: 'a' }, { granted: false }],
  ['a TTL above the rule', { ttlSeconds: 999_999 }, { granted: false, code: 'malformed_request' }],
  ['an identity of others', { spiffeId: 'spiffe://example.org/x' }, { granted: false, code: 'not_entitled' }],
])('%s decides as it does for a request', async (_, request, decision) => {
  // Twice, as the limit of one a minute is not for explanations.
  await ask(pod(), request)
  expect((await ask(pod(), request)).decision).toMatchObject(decision)
})

test('a policy on a target of others is passed over', async () => {
  const { policies } = await ask(pod(), { operation: 'exchange', target: 'vault' })
  expect(policies[1]).toMatchObject({ name: 's3', passedOver: 'it is about the targets s3' })
})

test('without an identity no policy is asked', async () => {
  const { policies, decision } = await ask(pod({ namespace: 'shop' }))
  expect(policies).toEqual([])
  expect(decision).toMatchObject({ granted: false, reason: 'no identity rule gives this proof an identity' })
})

test('long values are cut', async () => {
  const { rules } = await ask(pod({ namespace: 'x'.repeat(10_000) }))
  const read = rules[0]?.when?.parts?.[0]?.read?.['proof.namespace']
  expect(read).toMatch(/^x{255}…$/)
})

const at = { time: testNow.toISOString(), request_id: 'r1' }

/** Of these records. */
const explainer = (...records: readonly RecordDocument[]) =>
  createExplainer({
    configured: () => configured,
    store: { readJoinToken: async () => undefined },
    records: {
      list: async ({ after }) =>
        // What is looked for may be pages away.
        after === undefined
          ? { items: [], next: 'more', position: '' }
          : {
              items: records
                .map((record, index) => ({
                  chain: 'main',
                  sequence: index + 1,
                  record: parseRecord(JSON.stringify(record)),
                }))
                .reverse(),
              position: '',
            },
    },
    now: () => testNow,
  })

const recorded = { authenticator: 'cluster', attributes: pod().attributes, decision: 'refused' } as const

test.each<[string, Omit<RecordDocument, 'time'>, object]>([
  [
    'a token for an audience that was asked for',
    { ...recorded, operation: 'jwt_svid', details: { requested_audience: ['x'] }, address: '10.0.0.1' },
    { reason: expect.stringContaining(`audience 'x'`) },
  ],
  [
    'a token that was issued',
    {
      ...recorded,
      operation: 'jwt_svid',
      issued: { audience: ['https://api.example.org'], expires_at: at.time },
      address: '10.0.0.1',
    },
    { granted: true },
  ],
  ['an exchange', { ...recorded, operation: 'exchange', target: 'vault', address: '10.0.0.1' }, { granted: false }],
  [
    'a secret',
    { ...recorded, operation: 'kv.write', details: { path: 'team/a' }, address: '10.0.0.1' },
    { granted: true, policy: 'team' },
  ],
  [
    'another identity and lifetime',
    {
      ...recorded,
      operation: 'x509_svid',
      details: { requested_spiffe_id: 'spiffe://example.org/ns/web/sa/front', requested_ttl_seconds: 9_999_999 },
    },
    { code: 'malformed_request' },
  ],
  [
    'a foreign SVID, of which the ID is kept',
    {
      decision: 'granted',
      operation: 'x509_svid',
      authenticator: 'other',
      attributes: { spiffe_id: 'spiffe://other.example/a' },
      address: '10.0.0.1',
    },
    { granted: true, spiffeId: 'spiffe://example.org/other/a' },
  ],
])('a record of %s is decided again', async (_, record, decision) => {
  const [explained] = await explainer({ ...at, ...record }).explainRecords('r1')
  expect(explained?.explanation?.decision).toMatchObject(decision)
})

test.each<[string, Omit<RecordDocument, 'time'>, string]>([
  ['an act of an operator', { operation: 'authority.taint', decision: 'granted' }, 'no rule or policy decides'],
  ['a proof that was none', { operation: 'x509_svid', decision: 'refused' }, 'no proof was accepted'],
  [
    'a proof of a former authenticator',
    { ...recorded, authenticator: 'old', operation: 'exchange' },
    'no authenticator old',
  ],
  ['an SVID of ours', { ...recorded, authenticator: 'ours', operation: 'x509_svid' }, 'an SVID of ours'],
])('%s is not', async (_, record, why) => {
  const [explained] = await explainer({ ...at, ...record }).explainRecords('r1')
  expect(explained?.explanation).toBeUndefined()
  expect(explained?.unexplained).toContain(why)
})

test('all records of a batch are explained, in their order', async () => {
  const batch = ['jwt_svid', 'x509_svid'].map((operation) => ({ ...at, ...recorded, operation }))
  const explained = await explainer(...batch).explainRecords('r1')
  expect(explained.map(({ record }) => record.operation)).toEqual(['jwt_svid', 'x509_svid'])
})

test('a request that is not on record is not found', async () => {
  await expect(explainer().explainRecords('r1')).rejects.toMatchObject({ code: 'not_found' })
})

test('a proof that is none is told with its reason, and what is no refusal is a bug', async () => {
  const asking = (error: Error) =>
    createExplainer({
      configured: () => ({ ...configured, authenticate: () => Promise.reject(error) }),
      store: { readJoinToken: async () => undefined },
      records: { list: async () => ({ items: [], position: '' }) },
      now: () => testNow,
    }).explainProof({ proof: { kind: 'bearer', token: 'secret' }, operation: 'x509_svid', address: '' })
  const told = await asking(new Refusal('proof_rejected', 'it has expired'))
  expect(told).toMatchObject({ refused: { code: 'proof_rejected', reason: 'it has expired' } })
  expect(JSON.stringify(told)).not.toContain('secret')
  await expect(asking(new TypeError('broken'))).rejects.toThrow('broken')
})

test('an SVID of ours gets what it is good for', async () => {
  const spiffeId = parseSpiffeId('spiffe://example.org/ns/payments/sa/front')
  const attributes = { spiffe_id: spiffeId.uri, trust_domain: 'example.org', path: spiffeId.path, claims: {} }
  const identity: AuthenticatedIdentity = {
    authenticator: 'ours',
    type: 'spiffe',
    attributes,
    recorded: {},
    use: { kind: 'identity_only', spiffeId },
  }
  expect((await ask(identity)).decision).toMatchObject({ granted: false, notes: [expect.stringContaining('JWT-SVID')] })
  expect((await ask(identity, { operation: 'exchange', target: 's3' })).decision).toMatchObject({ granted: true })
})

test('of several audiences the policies are shown with the one that is denied', async () => {
  const db = "request.audience == 'https://db.example.org'"
  const { decision, policies } = await explain({
    configured: configuredWith(`{ name: db, forbid: jwt_svid, when: "${db}" }`),
    identity: pod(),
    request: {
      operation: 'jwt_svid',
      audience: ['https://api.example.org', 'https://db.example.org'],
      address: '10.0.0.1',
      time: testNow,
    },
    readJoinToken: async () => undefined,
  })
  expect(decision).toMatchObject({ granted: false, policy: 'db' })
  expect(policies.find(({ name }) => name === 'db')).toMatchObject({
    applies: true,
    when: { value: true, read: { 'request.audience': 'https://db.example.org' } },
  })
})

test('of a proof that is accepted only what records may hold is told', async () => {
  const identity = { ...pod({ node: 'n-1' }), recorded: { namespace: 'web', service_account: 'front' } }
  const told = await createExplainer({
    configured: () => ({ ...configured, authenticate: async () => identity }),
    store: { readJoinToken: async () => undefined },
    records: { list: async () => ({ items: [], position: '' }) },
    now: () => testNow,
  }).explainProof({ proof: { kind: 'bearer', token: 'secret' }, operation: 'x509_svid', address: '10.0.0.1' })
  expect(told.identity).toEqual({
    authenticator: 'cluster',
    type: 'kubernetes',
    recorded: { namespace: 'web', service_account: 'front' },
    use: 'rules',
  })
})
