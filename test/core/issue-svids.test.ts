import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import type { AuthenticatedIdentity, ProofUse } from '../../src/core/authenticate.ts'
import { parseConfiguration } from '../../src/core/config.ts'
import { type Configured, createConfigured } from '../../src/core/configured.ts'
import { createSvidIssuer, type SvidOutcome, type SvidRequest } from '../../src/core/issue-svids.ts'
import { createIdentityLister } from '../../src/core/list-identities.ts'
import type { RecordEntry } from '../../src/core/record.ts'
import { createRecordKeeper } from '../../src/core/record-keeper.ts'
import { Refusal } from '../../src/core/refusal.ts'
import { createRefusalLimiter } from '../../src/core/refusal-limiter.ts'
import type { JoinTokenSpend, StoredJoinToken } from '../../src/core/store.ts'
import { silentTelemetry } from '../../src/core/telemetry.ts'
import { parseCertificate } from '../../src/protocol/certificate.ts'
import { formatPem } from '../../src/protocol/encoding.ts'
import { type FirstProof, firstProofOid, parseFirstProof } from '../../src/protocol/first-proof.ts'
import { parseSpiffeId } from '../../src/protocol/spiffe-id.ts'
import { createTestAuthorities, type TestAuthorities, testPlans } from '../support/authorities.ts'
import { makeTestKey, testNow } from '../support/certificate-authority.ts'
import { makeCsr } from '../support/csr.ts'

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
identities:
  - name: workloads
    spiffe_id: '/ns/\${proof.namespace}/sa/\${proof.service_account}'
    from: cluster
    when: proof.namespace != 'nobody'
    dns_names: ['\${proof.service_account}.\${proof.namespace}.svc']
    audiences: [https://api.example.org, https://db.example.org]
    claims: { team: payments, pod: '\${proof.pod}' }
    x509_ttl: 2h
    jwt_ttl: 10m
  - { name: shared, spiffe_id: '/ns/\${proof.namespace}', from: cluster, when: "proof.namespace != 'nobody'", audiences: ['*'], max_audiences: 2 }
  - name: narrow
    spiffe_id: '/narrow/\${proof.service_account}'
    from: cluster
    when: proof.namespace == 'narrow' && request.audience == 'https://api.example.org'
    audiences: ['*']
    max_audiences: 2
  - { name: machines, spiffe_id: '/vm/\${proof.name}', from: first, audiences: [api], renewable_for: 7d }
policies:
  - { name: night, forbid: '*', when: "request.address == '192.0.2.66'", reason: closed at night }
  - { name: reports, permit: jwt_svid, when: "request.audience == 'https://reports.example.org'" }
  - { name: broken, permit: jwt_svid, when: "request.audience == 'broken' && identity.claims.absent == 'x'" }
`

const key = makeTestKey()
const csr = formatPem('CERTIFICATE REQUEST', makeCsr(key))
const web = 'spiffe://example.org/ns/web/sa/front'
const narrow = 'spiffe://example.org/narrow/front'
const later = (seconds: number) => new Date(testNow.getTime() + seconds * 1000)

function pod(namespace = 'web', use: ProofUse = { kind: 'rules' }): AuthenticatedIdentity {
  const attributes = { namespace, service_account: 'front', service_account_uid: 'u', pod: 'front-1' }
  return { authenticator: 'cluster', type: 'kubernetes', attributes, recorded: { namespace }, use }
}

function machine(id = 'token-1'): AuthenticatedIdentity {
  const attributes = { name: 'one', attributes: {} }
  return {
    authenticator: 'first',
    type: 'join_token',
    attributes,
    recorded: { name: 'one' },
    use: { kind: 'join_token', id },
  }
}

function ours(use: ProofUse): AuthenticatedIdentity {
  const attributes = { spiffe_id: web, trust_domain: 'example.org', path: '/ns/web/sa/front', claims: {} }
  return { authenticator: 'ours', type: 'spiffe', attributes, recorded: { spiffe_id: web }, use }
}

const digestOf = (name: string) =>
  [...parseConfiguration(document).rules.byDigest.values()].find((rule) => rule.name === name)?.digest ?? ''

function renewal(first: Partial<FirstProof> = {}, dnsNames: readonly string[] = []): ProofUse {
  const firstProof = { ruleDigest: digestOf('workloads'), at: testNow, ...first }
  return { kind: 'renewal', spiffeId: parseSpiffeId(web), firstProof, dnsNames }
}

interface Wishes {
  readonly identity?: AuthenticatedIdentity | Refusal
  readonly address?: string
  readonly now?: Date
  readonly append?: 'stored' | 'spent' | Refusal
  readonly revoked?: boolean
  readonly limits?: string
  readonly authorities?: TestAuthorities
}

let world: TestAuthorities
beforeAll(async () => {
  world = createTestAuthorities()
  await world.authorities.refresh()
})

function issuerOf(wishes: Wishes = {}) {
  const { identity = pod(), address = '10.0.0.1', now = testNow, append = 'stored', authorities = world } = wishes
  const config = parseConfiguration(`${document}${wishes.limits ?? ''}`)
  const clock = { now: () => now, monotonicMs: () => 0, telemetry: silentTelemetry }
  const authenticate = () => {
    if (identity instanceof Refusal) throw identity
    return identity
  }
  const configured: Configured = { ...createConfigured(config, [], clock), authenticate }
  const kept: RecordEntry[] = []
  const spent: (JoinTokenSpend | undefined)[] = []
  const writer = {
    append: async (entries: readonly RecordEntry[], spend?: JoinTokenSpend) => {
      if (append instanceof Refusal) throw append
      spent.push(spend)
      if (append === 'spent' && spend) return 'spent' as const
      kept.push(...entries)
      return 'stored' as const
    },
    head: () => {
      throw new Error('not asked for')
    },
    isFailing: () => false,
    close: async () => {},
  }
  const limiter = createRefusalLimiter({ perMinute: () => config.limits.refusals })
  const joinToken = { id: 'token-1', ...(wishes.revoked && { revokedAt: testNow }) } as StoredJoinToken
  const deps = {
    ...{ ...clock, configured: () => configured, authorities: authorities.authorities, randomBytes },
    store: { readJoinToken: async () => joinToken },
    records: createRecordKeeper({ ...clock, writer, limiter }),
  }
  const call = { requestId: 'r', address, proof: { kind: 'bearer', token: 'planted-proof' } as const }
  const issueAll = createSvidIssuer(deps)
  return {
    ...{ kept, spent, config, counted: () => limiter.takeCounted(now, { all: true }) },
    issueAll: (...requests: readonly SvidRequest[]) => issueAll(call, requests),
    issue: async (request: SvidRequest): Promise<SvidOutcome> => {
      const [outcome] = await issueAll(call, [request])
      if (outcome === undefined) throw new Error('no outcome')
      return outcome
    },
    list: () => createIdentityLister(deps)(call),
  }
}

const jwt = (request: Partial<Extract<SvidRequest, { kind: 'jwt' }>> = {}): SvidRequest => ({
  kind: 'jwt',
  audience: ['https://api.example.org'],
  ...request,
})
const x509 = (request: Partial<Extract<SvidRequest, { kind: 'x509' }>> = {}): SvidRequest => ({
  kind: 'x509',
  csr,
  ...request,
})

function claimsOf(outcome: SvidOutcome): Readonly<Record<string, unknown>> {
  if (outcome.kind !== 'jwt') throw new Error(`a ${outcome.kind}`)
  return JSON.parse(Buffer.from(outcome.svid.token.split('.')[1] ?? '', 'base64url').toString())
}

function leafOf(outcome: SvidOutcome) {
  if (outcome.kind !== 'x509') throw new Error(outcome.kind === 'refused' ? outcome.refusal.reason : outcome.kind)
  return parseCertificate(outcome.svid.certificate)
}

const refused = (outcome: SvidOutcome): Refusal => {
  if (outcome.kind !== 'refused') throw new Error(`a ${outcome.kind}`)
  return outcome.refusal
}

describe('a JWT-SVID', () => {
  test('is what the rule says, and its record says so without holding it', async () => {
    const { issue, kept, config } = issuerOf()
    const outcome = await issue(jwt())
    const now = testNow.getTime() / 1000
    expect(claimsOf(outcome)).toEqual({
      ...{ iss: 'https://id.example.org', sub: web, aud: 'https://api.example.org' },
      ...{ exp: now + 600, iat: now - 30, nbf: now - 30, jti: expect.stringMatching(/^[\w-]{22}$/) },
      ...{ team: 'payments', pod: 'front-1' },
    })
    expect(kept).toEqual([
      {
        ...{ time: testNow, requestId: 'r', operation: 'jwt_svid', decision: 'granted', address: '10.0.0.1' },
        ...{ reason: 'granted by rule workloads', authenticator: 'cluster', attributes: { namespace: 'web' } },
        ...{
          spiffeId: web,
          rule: 'workloads',
          document: config.digest,
          proof: expect.stringMatching(/^[0-9a-f]{16}$/),
        },
        issued: {
          ...{ jti: claimsOf(outcome)['jti'], kid: world.one('active', 'jwt/ES256').id },
          ...{ audience: ['https://api.example.org'], expiresAt: later(600) },
        },
      },
    ])
    expect(JSON.stringify(kept)).not.toMatch(/planted-proof|eyJ/)
  })

  test.each<readonly [string, Partial<Extract<SvidRequest, { kind: 'jwt' }>>, number, string]>([
    ['of the shorter time that is asked for', { ttlSeconds: 60 }, 60, web],
    ['of the longest time', { ttlSeconds: 600 }, 600, web],
    [
      'of the identity that is asked for',
      { spiffeId: 'spiffe://example.org/ns/web' },
      300,
      'spiffe://example.org/ns/web',
    ],
  ])('%s', async (_, request, seconds, subject) => {
    const claims = claimsOf(await issuerOf().issue(jwt(request)))
    expect(claims).toMatchObject({ sub: subject, exp: testNow.getTime() / 1000 + seconds })
  })

  test.each([
    [['https://db.example.org'], {}],
    [['https://reports.example.org'], {}],
    [['anything'], { spiffeId: 'spiffe://example.org/ns/web' }],
    [['anything', 'else'], { spiffeId: 'spiffe://example.org/ns/web' }],
  ])('for %j is granted', async (audience, request) => {
    const { aud } = claimsOf(await issuerOf().issue(jwt({ audience, ...request })))
    expect([aud].flat()).toEqual(audience)
  })

  test('of an identity that a rule gives for one audience alone is granted for that one', async () => {
    const { issue } = issuerOf({ identity: pod('narrow') })
    expect(claimsOf(await issue(jwt({ spiffeId: narrow })))).toMatchObject({
      sub: narrow,
      aud: 'https://api.example.org',
    })
  })

  test('of an audience that takes RS256 alone is signed so', async () => {
    const own = createTestAuthorities({
      plans: [...testPlans, { ring: 'jwt/RS256', algorithm: 'RS256', ttlSeconds: 604_800 }],
    })
    await own.authorities.refresh()
    const request = jwt({ audience: ['api://AzureADTokenExchange'], spiffeId: 'spiffe://example.org/ns/web' })
    const outcome = await issuerOf({ authorities: own }).issue(request)
    expect(outcome).toMatchObject({ kind: 'jwt', svid: { kid: own.one('active', 'jwt/RS256').id } })
  })

  test('lives no longer than its authority', async () => {
    const own = createTestAuthorities({ plans: testPlans.map((plan) => ({ ...plan, ttlSeconds: 900 })) })
    await own.authorities.refresh()
    expect(claimsOf(await issuerOf({ authorities: own }).issue(jwt()))['exp']).toBe(testNow.getTime() / 1000 + 300)
    const outcome = await issuerOf({ authorities: own, now: later(500) }).issue(jwt())
    expect(claimsOf(outcome)['exp']).toBe(testNow.getTime() / 1000 + 600)
  })
})

describe('an X.509-SVID', () => {
  test('holds the names of the rule and where it comes from, and its record its number', async () => {
    const { issue, kept } = issuerOf()
    const outcome = await issue(x509())
    const leaf = leafOf(outcome)
    expect(leaf.subjectAltName).toMatchObject({ uris: [web], dnsNames: ['front.web.svc'] })
    expect(leaf.notAfter).toEqual(later(7200))
    expect(leaf.publicKeyInfo.equals(key.publicKeyInfo)).toBe(true)
    expect(parseFirstProof(leaf.extension(firstProofOid)?.value ?? Buffer.alloc(0))).toEqual({
      ...{ ruleDigest: digestOf('workloads'), at: testNow },
    })
    expect(kept).toMatchObject([
      {
        ...{ operation: 'x509_svid', decision: 'granted', spiffeId: web, rule: 'workloads' },
        issued: {
          serialNumber: leaf.serialNumber.toString('hex'),
          kid: world.one('active').id,
          expiresAt: later(7200),
        },
      },
    ])
    expect(JSON.stringify(kept)).not.toMatch(/CERTIFICATE|MII/)
  })

  test('lives no longer than its authority lets one live, and no longer than that itself', async () => {
    const own = createTestAuthorities({ plans: testPlans.map((plan) => ({ ...plan, ttlSeconds: 900 })) })
    await own.authorities.refresh()
    const at = async (now: Date) => leafOf(await issuerOf({ authorities: own, now }).issue(x509())).notAfter
    expect(await at(testNow)).toEqual(later(300))
    expect(await at(later(500))).toEqual(later(600))
  })

  test.each([
    ['that has expired', 600],
    ['that is not valid yet, as the clock was set back', -86_400],
  ])('of an authority %s is not signed, and that is on record', async (_, seconds) => {
    const own = createTestAuthorities({ plans: testPlans.map((plan) => ({ ...plan, ttlSeconds: 900 })) })
    await own.authorities.refresh()
    const { issue, kept } = issuerOf({ authorities: own, now: later(seconds) })
    expect(refused(await issue(x509())).code).toBe('no_authority')
    expect(kept).toMatchObject([{ operation: 'x509_svid', decision: 'refused', code: 'no_authority' }])
  })

  test.each([
    ['nothing', ''],
    ['no request', formatPem('CERTIFICATE', Buffer.from('x'))],
    ['a request that another key signed', formatPem('CERTIFICATE REQUEST', makeCsr(key, makeTestKey()))],
    ['a request of a weak key', formatPem('CERTIFICATE REQUEST', makeCsr(makeTestKey('RSA-1024')))],
  ])('for %s is refused, and says what is wrong with it', async (_, wrong) => {
    const { issue, kept } = issuerOf()
    const refusal = refused(await issue(x509({ csr: wrong })))
    expect(refusal).toMatchObject({ code: 'malformed_request', detail: expect.stringMatching(/^csr: /) })
    expect(kept).toMatchObject([{ decision: 'refused', code: 'malformed_request', reason: refusal.reason }])
  })
})

describe('refused, with a record that says why', () => {
  const none = /no identity rule gives this proof an identity/

  test.each<readonly [string, Wishes, SvidRequest, string, RegExp]>([
    ['a proof that no rule maps', { identity: pod('nobody') }, jwt(), 'not_entitled', none],
    ['a name that comes to no ID', { identity: pod('a/b') }, jwt(), 'not_entitled', none],
    [
      'an identity that the proof does not have',
      {},
      jwt({ spiffeId: 'spiffe://example.org/ns/other' }),
      'not_entitled',
      /none of the 2 that this proof has/,
    ],
    [
      'a longer time than the rule gives',
      {},
      jwt({ ttlSeconds: 601 }),
      'malformed_request',
      /^ttl_seconds: at most 600$/,
    ],
    [
      'a longer time for a certificate',
      {},
      x509({ ttlSeconds: 7201 }),
      'malformed_request',
      /^ttl_seconds: at most 7200$/,
    ],
    [
      'an identity that the proof has for the first of two audiences',
      { identity: pod('narrow') },
      jwt({ audience: ['https://api.example.org', 'https://else.example'], spiffeId: narrow }),
      'not_entitled',
      /none of the 2 that this proof has/,
    ],
    [
      'an identity that the proof has for the second of two audiences',
      { identity: pod('narrow') },
      jwt({ audience: ['https://else.example', 'https://api.example.org'], spiffeId: narrow }),
      'not_entitled',
      /none of the 2 that this proof has/,
    ],
    [
      'two audiences where one is allowed',
      {},
      jwt({ audience: ['https://api.example.org', 'https://db.example.org'] }),
      'malformed_request',
      /^audience: at most 1$/,
    ],
    [
      'an audience of nobody',
      {},
      jwt({ audience: ['https://other.example'] }),
      'not_entitled',
      /^rule workloads does not list audience 'https:\/\/other\.example', and no policy permits it$/,
    ],
    [
      'an audience whose permit fails',
      {},
      jwt({ audience: ['broken'] }),
      'not_entitled',
      /^rule workloads does not list audience 'broken', and no policy permits it$/,
    ],
    [
      'an audience of many strange letters',
      {},
      jwt({ audience: [`a\u0000'${'b'.repeat(300)}`] }),
      'not_entitled',
      /^rule workloads does not list audience 'a\?'b{197}…', and no policy permits it$/,
    ],
    [
      'our issuer, which no star covers',
      {},
      jwt({ audience: ['https://id.example.org'], spiffeId: 'spiffe://example.org/ns/web' }),
      'not_entitled',
      /^rule shared .* audience 'https:\/\/id\.example\.org', nor does its '\*' cover it, and no policy permits it$/,
    ],
    [
      'one audience of two',
      {},
      jwt({ audience: ['x', 'https://id.example.org'], spiffeId: 'spiffe://example.org/ns/web' }),
      'not_entitled',
      /^rule shared .* audience 'https:\/\/id\.example\.org', nor does its '\*' cover it, and no policy permits it$/,
    ],
    ['what a policy forbids', { address: '192.0.2.66' }, jwt(), 'not_entitled', /^closed at night$/],
    ['a certificate that a policy forbids', { address: '192.0.2.66' }, x509(), 'not_entitled', /^closed at night$/],
    [
      'a JWT-SVID of ours for another one',
      { identity: ours({ kind: 'identity_only', spiffeId: parseSpiffeId(web) }) },
      jwt(),
      'not_entitled',
      none,
    ],
    [
      'what is good to tell who its bearer is and nothing more, although a rule would map it',
      { identity: pod('web', { kind: 'identity_only', spiffeId: parseSpiffeId(web) }) },
      jwt(),
      'not_entitled',
      none,
    ],
    [
      'a JWT-SVID of ours for a certificate',
      { identity: ours({ kind: 'identity_only', spiffeId: parseSpiffeId(web) }) },
      x509(),
      'not_entitled',
      none,
    ],
    [
      'a renewal as another identity',
      { identity: ours(renewal()) },
      x509({ spiffeId: 'spiffe://example.org/ns/web' }),
      'not_entitled',
      /none of the 1/,
    ],
    [
      'a renewal when its time is over',
      { identity: ours(renewal()), now: later(86_400) },
      x509(),
      'not_entitled',
      none,
    ],
    [
      'a renewal when the rule is gone',
      { identity: ours(renewal({ ruleDigest: '00'.repeat(32) })) },
      x509(),
      'not_entitled',
      none,
    ],
    [
      'a renewal of what a revoked join token began',
      { identity: ours(renewal({ joinToken: 'token-1' })), revoked: true },
      x509(),
      'not_entitled',
      none,
    ],
  ])('%s', async (_, wishes, request, code, reason) => {
    const { issue, kept } = issuerOf(wishes)
    const refusal = refused(await issue(request))
    expect(refusal).toMatchObject({ code, reason: expect.stringMatching(reason) })
    expect(refusal.detail).toBe(code === 'malformed_request' ? refusal.reason : undefined)
    expect(kept).toHaveLength(1)
    expect(kept[0]).toMatchObject({ decision: 'refused', code, reason: refusal.reason })
    expect(kept[0]).not.toHaveProperty('issued')
  })

  test('what was asked for and what was noticed on the way stand in it', async () => {
    const { issue, kept } = issuerOf()
    await issue(jwt({ audience: ['broken'], spiffeId: web, ttlSeconds: 60 }))
    expect(kept).toMatchObject([
      {
        ...{ spiffeId: web, rule: 'workloads' },
        details: { requested_audience: ['broken'], requested_spiffe_id: web, requested_ttl_seconds: 60 },
        notes: [expect.stringMatching(/^permit broken: /)],
      },
    ])
  })

  test('the policy that forbids stands in it', async () => {
    const { issue, kept } = issuerOf({ address: '192.0.2.66' })
    await issue(jwt())
    expect(kept).toMatchObject([{ policy: 'night', details: { requested_audience: ['https://api.example.org'] } }])
  })

  test('why a renewal has no identity stands in it', async () => {
    const { issue, kept } = issuerOf({ identity: ours(renewal({ joinToken: 'token-1' })), revoked: true })
    await issue(x509())
    expect(kept).toMatchObject([{ notes: ['the join token token-1 that this identity began with is revoked'] }])
  })

  test('more requests than limits.per_identity, with the time to wait', async () => {
    const { issue, kept } = issuerOf({ limits: 'limits: { per_identity: 2 }' })
    for (let count = 0; count < 2; count++) expect((await issue(jwt())).kind).toBe('jwt')
    expect(refused(await issue(jwt()))).toMatchObject({ code: 'too_many', retryAfterSeconds: 30 })
    expect((await issue(jwt({ spiffeId: 'spiffe://example.org/ns/web' }))).kind).toBe('jwt')
    expect(kept.map(({ decision }) => decision)).toEqual(['granted', 'granted', 'refused', 'granted'])
  })

  test('no authority', async () => {
    const { issue, kept } = issuerOf({ authorities: createTestAuthorities() })
    expect(refused(await issue(jwt())).code).toBe('no_authority')
    expect(kept).toMatchObject([{ decision: 'refused', code: 'no_authority' }])
  })
})

describe('a renewal', () => {
  test('gives the same identity as a certificate, with the first proof carried on and the names that still fit', async () => {
    const first = { at: later(-3600), joinToken: 'token-1' }
    const identity = ours(renewal(first, ['front.web.svc', 'old.example.org']))
    const leaf = leafOf(await issuerOf({ identity }).issue(x509()))
    expect(leaf.subjectAltName).toMatchObject({ uris: [web], dnsNames: ['front.web.svc'] })
    expect(parseFirstProof(leaf.extension(firstProofOid)?.value ?? Buffer.alloc(0))).toEqual({
      ...{ ruleDigest: digestOf('workloads'), at: later(-3600), joinToken: 'token-1' },
    })
  })

  test('gives a JWT-SVID of the same identity, without claims that came of the first proof', async () => {
    const claims = claimsOf(await issuerOf({ identity: ours(renewal()) }).issue(jwt()))
    expect(claims).toMatchObject({ sub: web, team: 'payments' })
    expect(claims).not.toHaveProperty('pod')
  })

  test('goes on to the last second of renewable_for', async () => {
    expect((await issuerOf({ identity: ours(renewal()), now: later(86_399) }).issue(jwt())).kind).toBe('jwt')
  })
})

describe('a join token', () => {
  test('is spent with the record of what it got, once for a batch', async () => {
    const { issueAll, spent, kept } = issuerOf({ identity: machine() })
    const outcomes = await issueAll(x509(), jwt({ audience: ['api'] }), jwt({ audience: ['none'] }))
    expect(outcomes.map(({ kind }) => kind)).toEqual(['x509', 'jwt', 'refused'])
    expect(spent).toEqual([{ id: 'token-1', at: testNow }])
    expect(kept.map(({ decision }) => decision)).toEqual(['granted', 'granted', 'refused'])
    const [first] = outcomes
    const leaf = leafOf(first ?? outcomes[1]!)
    expect(parseFirstProof(leaf.extension(firstProofOid)?.value ?? Buffer.alloc(0)).joinToken).toBe('token-1')
  })

  test('is not spent by refusals', async () => {
    const { issueAll, spent, kept } = issuerOf({ identity: machine() })
    const outcomes = await issueAll(jwt({ audience: ['none'] }), x509({ csr: '' }))
    expect(outcomes.map(({ kind }) => kind)).toEqual(['refused', 'refused'])
    expect(spent).toEqual([undefined])
    expect(kept).toHaveLength(2)
  })

  test('is not spent by a look at its identities', async () => {
    const { list, spent, kept } = issuerOf({ identity: machine() })
    expect(await list()).toMatchObject([{ spiffeId: 'spiffe://example.org/vm/one', audiences: ['api'] }])
    expect(spent).toEqual([undefined])
    expect(kept).toMatchObject([{ operation: 'identities', decision: 'granted' }])
  })

  test('whose last use somebody else took meanwhile gets nothing, and that is on record', async () => {
    const { issueAll, kept } = issuerOf({ identity: machine(), append: 'spent' })
    await expect(issueAll(x509(), jwt({ audience: ['api'] }))).rejects.toThrow(
      expect.objectContaining({ code: 'proof_rejected', reason: expect.stringMatching(/no use left/) }),
    )
    expect(kept).toMatchObject([{ decision: 'refused', code: 'proof_rejected', authenticator: 'first' }])
    expect(kept[0]).not.toHaveProperty('issued')
  })
})

describe('somebody whom no rule knows', () => {
  const limits = 'limits: { refusals: 2 }'

  test('is on record up to limits.refusals, in batches too, and counted beyond it', async () => {
    const { issueAll, kept, counted } = issuerOf({ identity: pod('nobody'), limits })
    const outcomes = await issueAll(jwt(), x509(), jwt(), jwt())
    expect(outcomes.map((outcome) => refused(outcome).code)).toEqual(Array(4).fill('not_entitled'))
    expect((await issueAll(jwt()))[0]).toMatchObject({ kind: 'refused' })
    expect(kept.map(({ operation }) => operation)).toEqual(['jwt_svid', 'x509_svid'])
    expect(counted()).toMatchObject([
      { operation: 'refusals.counted', code: 'not_entitled', address: '10.0.0.0/24', details: { count: 3 } },
    ])
  })

  test('is counted when it asks for its identities, of which there are none', async () => {
    const { list, kept, counted } = issuerOf({ identity: pod('nobody'), limits })
    for (let time = 0; time < 3; time++) expect(await list()).toEqual([])
    expect(kept).toHaveLength(2)
    expect(counted()).toMatchObject([{ details: { count: 1 } }])
  })

  test('is not one whom a rule knows: its refusals are on record one by one', async () => {
    const { issueAll, list, kept, counted } = issuerOf({ limits: 'limits: { refusals: 0 }' })
    const other = jwt({ spiffeId: 'spiffe://example.org/ns/other' })
    await issueAll(other, jwt({ audience: ['none'] }), x509({ csr: 'none' }), jwt())
    await list()
    expect(kept).toHaveLength(5)
    expect(counted()).toEqual([])
  })
})

test('what a caller wrote is cut in the record of its refusal, and marked', async () => {
  const long = 'a'.repeat(2000)
  const identity = { ...pod('nobody'), recorded: { subject: long, issuer: 'short' } }
  const { issueAll, kept } = issuerOf({ identity })
  await issueAll(jwt({ spiffeId: `spiffe://example.org/${long}`, audience: [long] }))
  const cut = `${'a'.repeat(255)}…`
  expect(kept).toMatchObject([
    {
      attributes: { subject: cut, issuer: 'short' },
      details: {
        requested_spiffe_id: `spiffe://example.org/${'a'.repeat(235)}`.slice(0, 255).concat('…'),
        requested_audience: [cut],
      },
    },
  ])
})

test('a forbid that reads the address forbids where it is not known', async () => {
  const { issue, list, kept } = issuerOf({ address: '' })
  expect(refused(await issue(jwt())).code).toBe('not_entitled')
  expect(await list()).toEqual([])
  expect(kept[0]).toMatchObject({ policy: 'night' })
})

describe('no record, no credential', () => {
  test.each<readonly [string, SvidRequest]>([
    ['a JWT-SVID', jwt()],
    ['an X.509-SVID', x509()],
    ['a refusal', jwt({ audience: ['none'] })],
  ])('%s does not leave when its record can not be kept', async (_, request) => {
    const append = new Refusal('store_unavailable', 'the disk is full')
    await expect(issuerOf({ append }).issueAll(request)).rejects.toBe(append)
  })

  test('a batch leaves as a whole or not at all', async () => {
    const append = new Refusal('overloaded', 'too many wait')
    await expect(issuerOf({ append }).issueAll(jwt(), x509(), jwt())).rejects.toBe(append)
  })

  test('a bug ends the batch, and nothing of it is on record', async () => {
    const broken = { ...world, authorities: { ...world.authorities, current: () => undefined as never } }
    const { issueAll, kept } = issuerOf({ authorities: broken })
    await expect(issueAll(jwt())).rejects.toThrow(TypeError)
    expect(kept).toEqual([])
  })
})

describe('a proof that is not accepted', () => {
  const identity = new Refusal('proof_rejected', 'the signature does not verify')

  test('ends the batch, with one record and without an identity in it', async () => {
    const { issueAll, kept } = issuerOf({ identity })
    await expect(issueAll(jwt(), x509())).rejects.toBe(identity)
    expect(kept).toEqual([
      {
        ...{ time: testNow, requestId: 'r', operation: 'jwt_svid', decision: 'refused', address: '10.0.0.1' },
        ...{ document: expect.any(String), proof: expect.any(String) },
        ...{ code: 'proof_rejected', reason: 'the signature does not verify' },
      },
    ])
  })

  test('is only counted beyond limits.refusals', async () => {
    const { issueAll, kept } = issuerOf({ identity, limits: 'limits: { refusals: 0 }' })
    await expect(issueAll(jwt())).rejects.toBe(identity)
    expect(kept).toEqual([])
  })
})

describe('the identities of a proof', () => {
  test('are not shown where a policy forbids everything, and the record says so', async () => {
    const { list, kept } = issuerOf({ address: '192.0.2.66' })
    expect(await list()).toEqual([])
    expect(kept[0]?.notes).toEqual(['2 more are not shown, as a policy forbids everything here'])
  })

  test('are those of all rules that match, the default first', async () => {
    expect(await issuerOf().list()).toEqual([
      {
        ...{ spiffeId: web, audiences: ['https://api.example.org', 'https://db.example.org'] },
        ...{ dnsNames: ['front.web.svc'], x509TtlSeconds: 7200, jwtTtlSeconds: 600 },
      },
      {
        spiffeId: 'spiffe://example.org/ns/web',
        audiences: ['*'],
        dnsNames: [],
        x509TtlSeconds: 3600,
        jwtTtlSeconds: 300,
      },
    ])
  })

  test('of a JWT-SVID of ours is the one that it names, without anything that it could get', async () => {
    const identity = ours({ kind: 'identity_only', spiffeId: parseSpiffeId(web) })
    expect(await issuerOf({ identity }).list()).toEqual([{ spiffeId: web, audiences: [], dnsNames: [] }])
  })

  test('are none where no rule matches, which is no refusal', async () => {
    const { list, kept } = issuerOf({ identity: pod('nobody') })
    expect(await list()).toEqual([])
    expect(kept).toMatchObject([{ decision: 'granted', reason: '0 identities' }])
  })
})
