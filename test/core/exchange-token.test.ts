import { createHash, randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import type { AuthenticatedIdentity, ProofUse } from '../../src/core/authenticate.ts'
import { type CloudAnswer, CloudError, type CloudErrorKind, type CloudExchange } from '../../src/core/cloud.ts'
import { parseConfiguration } from '../../src/core/config.ts'
import { type Configured, createConfigured } from '../../src/core/configured.ts'
import { createTokenExchanger } from '../../src/core/exchange-token.ts'
import type { RecordEntry } from '../../src/core/record.ts'
import { createRecordKeeper } from '../../src/core/record-keeper.ts'
import { Refusal } from '../../src/core/refusal.ts'
import { createRefusalLimiter } from '../../src/core/refusal-limiter.ts'
import type { JoinTokenSpend, StoredJoinToken } from '../../src/core/store.ts'
import { silentTelemetry } from '../../src/core/telemetry.ts'
import { parseSpiffeId } from '../../src/protocol/spiffe-id.ts'
import { createTestAuthorities, testPlans } from '../support/authorities.ts'
import { testNow } from '../support/certificate-authority.ts'

const roleArn = 'arn:aws:iam::123456789012:role/payments'
const azureApp = 'tenant: contoso.example, client_id: 66666666-7777-8888-9999-000000000000'

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
  spire: { type: spiffe, trust_domain: spire.example }
federation: { spire.example: { bundle: x.json } }
identities:
  - { name: workloads, spiffe_id: '/ns/\${proof.namespace}/sa/\${proof.service_account}', from: cluster, when: "proof.namespace != 'nobody'", claims: { team: payments } }
  - { name: shared, spiffe_id: '/ns/\${proof.namespace}', from: cluster, when: "proof.namespace != 'nobody'" }
  - { name: machines, spiffe_id: '/vm/\${proof.name}', from: first }
targets:
  s3: { type: aws, role_arn: '${roleArn}', region: eu-west-1 }
  tagged:
    type: aws
    role_arn: '${roleArn}'
    region: eu-west-1
    session_name: '\${identity.rule}@\${target.name}'
    tags: { spiffe_id: '\${identity.spiffe_id}', team: '\${identity.claims.team}' }
    transitive_tags: [team]
    source_identity: true
    acts_as: /cloud/tagged
  vault: { type: azure, ${azureApp} }
  closed: { type: aws, role_arn: '${roleArn}', region: eu-west-1 }
policies:
  - { name: all, permit: exchange, to: [s3, tagged, vault], when: "identity.path.startsWith('/ns/') || identity.path.startsWith('/vm/')" }
  - { name: partner, permit: exchange, to: [s3, tagged], when: "identity.spiffe_id == 'spiffe://spire.example/partner'" }
  - { name: night, forbid: exchange, when: "request.address == '192.0.2.66'" }
limits: { per_identity: 1000 }
`

const web = 'spiffe://example.org/ns/web/sa/front'
const later = (seconds: number) => new Date(testNow.getTime() + seconds * 1000)

function pod(namespace = 'web'): AuthenticatedIdentity {
  const attributes = { namespace, service_account: 'front', service_account_uid: 'u' }
  return { authenticator: 'cluster', type: 'kubernetes', attributes, recorded: { namespace }, use: { kind: 'rules' } }
}

function svid(spiffeId: string, use: ProofUse, authenticator = 'ours'): AuthenticatedIdentity {
  const { trustDomain, path } = parseSpiffeId(spiffeId)
  const attributes = { spiffe_id: spiffeId, trust_domain: trustDomain, path, claims: { team: 'svid' } }
  return { authenticator, type: 'spiffe', attributes, recorded: { spiffe_id: spiffeId }, use }
}

const machine: AuthenticatedIdentity = {
  authenticator: 'first',
  type: 'join_token',
  attributes: { name: 'one', attributes: {} },
  recorded: { name: 'one' },
  use: { kind: 'join_token', id: 'token-1' },
}

/** An X.509-SVID of ours, of an identity that began with a join token. */
const renewing: AuthenticatedIdentity = (() => {
  const [rule] = [...parseConfiguration(document).rules.byDigest.values()].filter(({ name }) => name === 'machines')
  const firstProof = { ruleDigest: rule?.digest ?? '', at: testNow, joinToken: 'token-1' }
  const spiffeId = parseSpiffeId('spiffe://example.org/vm/one')
  return svid(spiffeId.uri, { kind: 'renewal', spiffeId, firstProof, dnsNames: [] })
})()

const joinTokenOf = (id: string): StoredJoinToken => ({
  id,
  authenticator: 'first',
  name: 'one',
  attributes: {},
  createdAt: testNow,
  expiresAt: testNow,
  digest: new Uint8Array(32),
  uses: 1,
  usesLeft: 0,
})
const revocationOf = (revokedAt: Date | undefined) => (revokedAt === undefined ? {} : { revokedAt })

const ownJwt = svid(web, { kind: 'identity_only', spiffeId: parseSpiffeId(web) })
const partner = svid('spiffe://spire.example/partner', { kind: 'rules' }, 'spire')

const own = createTestAuthorities({
  plans: [...testPlans, { ring: 'jwt/RS256', algorithm: 'RS256', ttlSeconds: 86_400 }],
})
beforeAll(() => own.authorities.refresh())

type Answering = (exchange: CloudExchange, count: number) => CloudAnswer | CloudError

const hourLater = (): Date => later(3600)
const credentialOf = ({ target }: CloudExchange, count: number): CloudAnswer =>
  target.type === 'aws'
    ? {
        credential: {
          type: 'aws',
          accessKeyId: `ASIA${count}`,
          secretAccessKey: 'secret',
          sessionToken: 'session',
          expiresAt: hourLater(),
          roleArn,
        },
        requestId: `request-${count}`,
      }
    : { credential: { type: 'azure', accessToken: `token-${count}`, expiresAt: hourLater() } }

/** A world with a cloud that answers as told, a clock, and records in memory. */
function createWorld(answer: Answering = credentialOf, text = document, { authorities } = own) {
  const world = {
    identity: pod() as AuthenticatedIdentity,
    now: testNow,
    ms: 0,
    pauses: [] as number[],
    asked: [] as CloudExchange[],
    records: [] as RecordEntry[],
    spends: [] as (JoinTokenSpend | undefined)[],
    spent: false,
    failing: false,
    revokedAt: undefined as Date | undefined,
    answer,
    text,
    async exchangeAtCloud(exchange: CloudExchange): Promise<CloudAnswer> {
      world.asked.push(exchange)
      await Promise.resolve()
      const found = world.answer(exchange, world.asked.length)
      if (found instanceof CloudError) throw found
      return found
    },
  }
  const running = new Map<string, Promise<unknown>>()
  const writer = {
    async append(entries: readonly RecordEntry[], spend?: JoinTokenSpend) {
      if (world.failing) throw new Refusal('store_unavailable', 'the disk is full')
      if (spend && world.spent) return 'spent' as const
      world.records.push(...entries)
      world.spends.push(spend)
      return 'stored' as const
    },
    head: () => {
      throw new Error('not asked for')
    },
    isFailing: () => world.failing,
    close: async () => {},
  }
  const limiter = createRefusalLimiter({ perMinute: () => 1000 })
  const read = new Map<string, Configured>()
  function configured(): Configured {
    const clocks = { telemetry: silentTelemetry, now: () => world.now, monotonicMs: () => world.ms }
    const known = read.get(world.text) ?? createConfigured(parseConfiguration(world.text), [], clocks)
    read.set(world.text, known)
    return { ...known, authenticate: () => world.identity }
  }
  const deps = {
    configured,
    authorities,
    store: { readJoinToken: async (id: string) => ({ ...joinTokenOf(id), ...revocationOf(world.revokedAt) }) },
    records: createRecordKeeper({ writer, limiter, telemetry: silentTelemetry, now: () => world.now }),
    telemetry: silentTelemetry,
    now: () => world.now,
    monotonicMs: () => world.ms,
    randomBytes: (size: number) => randomBytes(size),
    exchangeAtCloud: (exchange: CloudExchange) => world.exchangeAtCloud(exchange),
    joinEqual<T>(key: string, run: () => Promise<T>): Promise<T> {
      const known = running.get(key) ?? run().finally(() => running.delete(key))
      running.set(key, known)
      return known as Promise<T>
    },
    async pause(ms: number) {
      world.pauses.push(ms)
      world.ms += ms
    },
    deadline: () => new AbortController().signal,
  }
  const exchange = createTokenExchanger(deps)
  const ask = (target = 's3', more: { readonly spiffeId?: string; readonly address?: string } = {}) =>
    exchange(
      { requestId: 'r', address: more.address ?? '10.0.0.1' },
      { target, ...(more.spiffeId !== undefined && { spiffeId: more.spiffeId }) },
    )
  const claims = (index = 0) => {
    const payload = world.asked[index]?.token.split('.')[1] ?? ''
    return JSON.parse(Buffer.from(payload, 'base64url').toString())
  }
  const header = (index = 0) =>
    JSON.parse(Buffer.from(world.asked[index]?.token.split('.')[0] ?? '', 'base64url').toString())
  return { world, ask, claims, header }
}

const failure = (kind: CloudErrorKind, more: { readonly retryAfterSeconds?: number } = {}) =>
  new CloudError(kind, 'the cloud said so', { code: 'SomeCode', status: 503, requestId: 'q-1', ...more })

const refusalOf = async (asked: Promise<unknown>): Promise<Refusal> => {
  const error = await asked.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof Refusal) return error
  throw new Error('no refusal', { cause: error })
}

const digestOf = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 8)

describe('what goes to the cloud', () => {
  test('a token of the identity, for the target alone, with a name for the session', async () => {
    const { world, ask, claims, header } = createWorld()
    expect(await ask()).toMatchObject({ type: 'aws', accessKeyId: 'ASIA1' })
    expect(claims()).toEqual({
      iss: 'https://id.example.org',
      sub: web,
      aud: 'sts.amazonaws.com',
      iat: expect.any(Number),
      nbf: expect.any(Number),
      exp: testNow.getTime() / 1000 + 300,
      jti: expect.any(String),
    })
    expect(header()).toMatchObject({ alg: 'ES256', typ: 'JWT' })
    expect(world.asked[0]?.sessionName).toBe(`ns.web.sa.front-${digestOf(web)}`)
  })

  test('tags and source identity, and the identity that the target acts as', async () => {
    const { world, ask, claims } = createWorld()
    await ask('tagged')
    const acting = 'spiffe://example.org/cloud/tagged'
    expect(claims()).toMatchObject({
      sub: acting,
      'https://aws.amazon.com/tags': {
        principal_tags: { spiffe_id: [web], team: ['payments'] },
        transitive_tag_keys: ['team'],
      },
      'https://aws.amazon.com/source_identity': `cloud.tagged-${digestOf(acting)}`,
    })
    expect(world.asked[0]?.sessionName).toBe('workloads@tagged')
  })

  test('RS256 for Entra', async () => {
    const { ask, header, claims } = createWorld()
    await ask('vault')
    expect(header().alg).toBe('RS256')
    expect(claims().aud).toBe('api://AzureADTokenExchange')
  })

  test('a token that the cloud does not take is never signed in the place of one that it takes', async () => {
    const es384 = createTestAuthorities({ plans: [{ ring: 'jwt/ES384', algorithm: 'ES384', ttlSeconds: 86_400 }] })
    await es384.authorities.refresh()
    const google =
      'bucket: { type: gcp, provider: projects/1/locations/global/workloadIdentityPools/pool/providers/prov }'
    const text = `${document.replace('  closed:', `  ${google}\n  closed:`).replace('to: [s3,', 'to: [bucket, s3,')}
authorities: { jwt: { algorithms: [ES384, ES256, RS256] } }`
    const { world, ask, header } = createWorld(credentialOf, text, es384)
    const { code, retryAfterSeconds } = await refusalOf(ask('bucket'))
    expect([code, retryAfterSeconds]).toEqual(['no_authority', 5])
    expect(world.asked).toEqual([])
    await ask('s3')
    expect(header().alg).toBe('ES384')
  })

  test('no token that is longer than every cloud takes', async () => {
    const tags = Array.from({ length: 40 }, (_, n) => `tag-${n}: '${'x'.repeat(200)}'`).join(', ')
    const { world, ask } = createWorld(credentialOf, document.replace('tags: {', `tags: { ${tags},`))
    const { code, reason } = await refusalOf(ask('tagged'))
    expect([code, reason]).toEqual(['not_entitled', 'the token for target tagged is longer than 8192 characters'])
    expect(world.asked).toEqual([])
    expect(world.records).toMatchObject([{ operation: 'exchange', decision: 'refused', reason }])
  })

  test('a template that comes to what the field does not take is a refusal that says so', async () => {
    const { world, ask } = createWorld()
    world.identity = machine
    const { code, reason } = await refusalOf(ask('tagged'))
    expect([code, reason]).toEqual(['not_entitled', expect.stringContaining('team is absent')])
    expect(world.asked).toEqual([])
  })
})

describe('who gets it', () => {
  test.each<[string, AuthenticatedIdentity, string, string | undefined]>([
    ['a workload that a rule maps', pod(), 's3', undefined],
    ['a JWT-SVID of ours', ownJwt, 's3', undefined],
    ['a join token', machine, 's3', undefined],
    ['an X.509-SVID of ours', renewing, 's3', undefined],
    ['a foreign SPIFFE ID, where the target says whom it acts as', partner, 'tagged', undefined],
    ['a foreign SPIFFE ID without a rule, where it does not', partner, 's3', 'no rule maps this foreign SPIFFE ID'],
    ['a workload that no rule knows', pod('nobody'), 's3', 'no identity rule gives this proof an identity'],
    ['a target that no policy opens', pod(), 'closed', 'no policy permits it'],
    ['a target that is not there', pod(), 'else', "there is no target 'else'"],
    [
      'a foreign SPIFFE ID that no policy names',
      svid('spiffe://spire.example/other', { kind: 'rules' }, 'spire'),
      'tagged',
      'no policy permits it',
    ],
  ])('%s', async (_, identity, target, reason) => {
    const { world, ask } = createWorld()
    world.identity = identity
    if (reason === undefined) {
      expect(await ask(target)).toMatchObject({ type: 'aws' })
      return
    }
    const refusal = await refusalOf(ask(target))
    expect([refusal.code, refusal.reason]).toEqual(['not_entitled', expect.stringContaining(reason)])
    expect(world.records).toMatchObject([{ operation: 'exchange', decision: 'refused', target, code: 'not_entitled' }])
    expect(world.asked).toEqual([])
  })

  test('the identity that is asked for, when the proof has it', async () => {
    const { ask, claims } = createWorld()
    await ask('s3', { spiffeId: 'spiffe://example.org/ns/web' })
    expect(claims().sub).toBe('spiffe://example.org/ns/web')
    const { code } = await refusalOf(ask('s3', { spiffeId: 'spiffe://example.org/ns/other' }))
    expect(code).toBe('not_entitled')
  })

  test('an X.509-SVID of ours is good for as long as its rule stands and its join token is not revoked', async () => {
    const { world, ask, claims } = createWorld()
    world.identity = renewing
    await ask()
    expect(claims().sub).toBe('spiffe://example.org/vm/one')
    expect(world.records.at(-1)).toMatchObject({ rule: 'machines', spiffeId: 'spiffe://example.org/vm/one' })
    world.revokedAt = testNow
    expect((await refusalOf(ask())).code).toBe('not_entitled')
    expect(world.records.at(-1)?.notes).toEqual([
      expect.stringContaining('token-1 that this identity began with is revoked'),
    ])
    world.revokedAt = undefined
    world.now = later(24 * 3600)
    expect((await refusalOf(ask())).code).toBe('not_entitled')
    world.now = testNow
    world.text = document.replace("'/vm/${proof.name}'", "'/machine/${proof.name}'")
    expect((await refusalOf(ask())).code).toBe('not_entitled')
  })

  test('nobody past the limit of an identity', async () => {
    const { ask } = createWorld(credentialOf, document.replace('per_identity: 1000', 'per_identity: 1'))
    await ask()
    const { code, retryAfterSeconds } = await refusalOf(ask())
    expect([code, retryAfterSeconds]).toEqual(['too_many', expect.any(Number)])
  })
})

describe('records', () => {
  test('name what left and what was asked, and hold neither credential nor token', async () => {
    const { world, ask, claims } = createWorld()
    await ask('tagged', { spiffeId: web })
    const [token, handed] = world.records
    expect(token).toMatchObject({
      operation: 'exchange_token',
      decision: 'granted',
      target: 'tagged',
      spiffeId: web,
      issued: { jti: claims().jti, audience: ['sts.amazonaws.com'] },
    })
    expect(handed).toMatchObject({
      operation: 'exchange',
      decision: 'granted',
      reason: 'permitted by all',
      policy: 'all',
      target: 'tagged',
      spiffeId: web,
      rule: 'workloads',
      issued: { jti: claims().jti, credentialId: 'ASIA1', expiresAt: later(3600) },
      details: {
        requested_spiffe_id: web,
        acts_as: 'spiffe://example.org/cloud/tagged',
        session_name: 'workloads@tagged',
        cloud_request_id: 'request-1',
      },
    })
    const text = JSON.stringify(world.records)
    for (const secret of ['secret', 'session', world.asked[0]?.token ?? '?']) expect(text).not.toContain(`"${secret}"`)
  })

  test('no record, no credential', async () => {
    const { world, ask } = createWorld()
    await ask()
    world.failing = true
    expect((await refusalOf(ask())).code).toBe('store_unavailable')
  })

  test('no record, no token to a cloud', async () => {
    const { world, ask } = createWorld()
    world.failing = true
    expect((await refusalOf(ask())).code).toBe('store_unavailable')
    expect(world.asked).toEqual([])
  })

  test('a join token is spent with the record of the credential, and one without a use left gets nothing', async () => {
    const { world, ask } = createWorld()
    world.identity = machine
    await ask()
    expect(world.spends).toEqual([undefined, { id: 'token-1', at: testNow }])
    world.spent = true
    expect((await refusalOf(ask())).code).toBe('proof_rejected')
    expect(world.records.at(-1)).toMatchObject({ code: 'proof_rejected', target: 's3' })
  })
})

describe('reuse', () => {
  test('until a share of its life is over, and the record says so', async () => {
    const { world, ask } = createWorld()
    await ask()
    world.now = later(0.7 * 3600 - 1)
    await ask()
    expect(world.asked).toHaveLength(1)
    expect(world.records.at(-1)).toMatchObject({ issued: { credentialId: 'ASIA1', expiresAt: later(3600) } })
    expect(world.records.at(-1)?.details).toEqual({
      acts_as: web,
      session_name: `ns.web.sa.front-${digestOf(web)}`,
      reused: true,
    })
    world.now = later(0.7 * 3600)
    expect(await ask()).toMatchObject({ accessKeyId: 'ASIA2' })
  })

  test.each<[string, number]>([
    ['set back by an hour', -3600],
    ['set forward and back again', 0],
  ])('not past its end by the time that passed, when the clock is %s', async (_title, shiftSeconds) => {
    const { world, ask } = createWorld()
    await ask()
    world.now = later(shiftSeconds)
    world.ms = 0.7 * 3_600_000 - 1
    await ask()
    expect(world.asked).toHaveLength(1)
    world.answer = () => failure('unreachable')
    world.ms += 1
    expect(await ask()).toMatchObject({ accessKeyId: 'ASIA1' })
    expect(world.asked.length).toBeGreaterThan(1)
    world.ms = 3_600_000 - 60_000
    expect((await refusalOf(ask())).code).toBe('upstream_failed')
  })

  test('of one without an end worth the name for no longer than clouds give', async () => {
    const { world, ask } = createWorld((exchange, count) => {
      const { credential } = credentialOf(exchange, count)
      return { credential: { ...credential, expiresAt: new Date('9999-12-31T23:59:59Z') } }
    })
    await ask()
    world.now = later(0.7 * 12 * 3600 - 1)
    expect(await ask()).toMatchObject({ accessKeyId: 'ASIA1' })
    world.now = later(0.7 * 12 * 3600)
    expect(await ask()).toMatchObject({ accessKeyId: 'ASIA2' })
  })

  test('never for another identity, target or session', async () => {
    const { world, ask } = createWorld()
    await ask('s3')
    await ask('tagged')
    await ask('s3', { spiffeId: 'spiffe://example.org/ns/web' })
    world.identity = pod('shop')
    await ask('s3')
    await ask('tagged')
    expect(world.asked).toHaveLength(5)
  })

  test('never for another identity where the cloud has no name for a session', async () => {
    const { world, ask, claims } = createWorld()
    await ask('vault')
    world.identity = pod('other')
    expect(await ask('vault')).toMatchObject({ accessToken: 'token-2' })
    expect([claims(0).sub, claims(1).sub]).toEqual([web, 'spiffe://example.org/ns/other/sa/front'])
  })

  test('only after the decision is made again', async () => {
    const { world, ask } = createWorld()
    await ask()
    expect((await refusalOf(ask('s3', { address: '192.0.2.66' }))).code).toBe('not_entitled')
    world.text = document.replace('to: [s3, tagged, vault]', 'to: [tagged]')
    expect((await refusalOf(ask())).code).toBe('not_entitled')
    expect(world.asked).toHaveLength(1)
  })

  test('not once the target is another', async () => {
    const { world, ask } = createWorld()
    await ask()
    world.text = document.replaceAll('role/payments', 'role/other')
    await ask()
    expect(world.asked).toHaveLength(2)
  })

  test('equal requests at once are one exchange, each with its record', async () => {
    const { world, ask } = createWorld()
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask()))
    expect(new Set(answers).size).toBe(1)
    expect(world.asked).toHaveLength(1)
    expect(world.records.filter(({ operation }) => operation === 'exchange')).toHaveLength(50)
  })

  test('a token is signed once for several attempts within half of its life', async () => {
    const { world, ask } = createWorld()
    await ask('s3')
    await ask('closed').catch(() => undefined)
    world.text = document.replaceAll('role/payments', 'role/other')
    await ask('s3')
    expect(world.asked[1]?.token).toBe(world.asked[0]?.token)
    world.now = later(151)
    world.text = document.replaceAll('role/payments', 'role/third')
    await ask('s3')
    expect(world.asked[2]?.token).not.toBe(world.asked[0]?.token)
  })
})

describe('a cloud that fails', () => {
  const failingFirst =
    (failures: readonly CloudError[]): Answering =>
    (exchange, count) =>
      failures[count - 1] ?? credentialOf(exchange, count)

  test.each<[CloudErrorKind, number]>([
    ['unreachable', 2],
    ['throttled', 2],
    ['expired_token', 2],
    ['refused', 1],
  ])('%s', async (kind, asked) => {
    const { world, ask } = createWorld(failingFirst([failure(kind)]))
    const outcome = await ask().then(
      () => 'granted',
      (error: Refusal) => error.code,
    )
    expect(world.asked).toHaveLength(asked)
    expect(outcome).toBe(kind === 'refused' ? 'upstream_failed' : 'granted')
  })

  test('is not asked again for some seconds after it refused, for that identity and target alone', async () => {
    const { world, ask } = createWorld(() => failure('refused'))
    expect((await refusalOf(ask())).retryAfterSeconds).toBe(5)
    world.ms += 2500
    const again = await refusalOf(ask())
    expect([again.code, again.retryAfterSeconds, world.asked.length]).toEqual(['upstream_failed', 3, 1])
    // Each caller is on record with what the cloud said.
    const refused = world.records.filter(({ operation }) => operation === 'exchange')
    expect(refused).toMatchObject([{ code: 'upstream_failed' }, { code: 'upstream_failed', spiffeId: web }])
    expect(refused[1]?.reason).toBe(refused[0]?.reason)

    world.answer = credentialOf
    expect(await ask('vault')).toMatchObject({ type: 'azure' })
    world.identity = pod('other')
    expect(await ask()).toMatchObject({ type: 'aws' })
    world.identity = pod()
    world.ms += 2500
    expect(await ask()).toMatchObject({ type: 'aws' })
  })

  test('gets a new token where the first was too old there', async () => {
    const { world, ask } = createWorld(failingFirst([failure('expired_token')]))
    await ask()
    expect(world.asked[1]?.token).not.toBe(world.asked[0]?.token)
    expect(world.pauses).toEqual([])
  })

  test('is asked so often and no more, with pauses, and only the operator is told why', async () => {
    const { world, ask } = createWorld(() => failure('unreachable'))
    const refusal = await refusalOf(ask())
    expect(world.asked).toHaveLength(4)
    expect(world.pauses).toHaveLength(3)
    for (const [index, pause] of world.pauses.entries()) expect(pause).toBeLessThan(200 * 2 ** index)
    expect([refusal.code, refusal.retryAfterSeconds, refusal.detail]).toEqual(['upstream_failed', 1, undefined])
    expect(world.records.at(-1)).toMatchObject({
      code: 'upstream_failed',
      spiffeId: web,
      reason: 'target s3: aws unreachable (SomeCode, HTTP 503, request q-1): the cloud said so',
    })
  })

  test('is asked again as late as it says, and not at all when that is past the deadline', async () => {
    const patient = createWorld(failingFirst([failure('throttled', { retryAfterSeconds: 3 })]))
    await patient.ask()
    expect(patient.world.pauses).toEqual([3000])
    const late = createWorld(() => failure('throttled', { retryAfterSeconds: 60 }))
    expect((await refusalOf(late.ask())).retryAfterSeconds).toBe(60)
    expect(late.world.asked).toHaveLength(1)
  })

  test('is left alone after failing again and again, for that target only', async () => {
    const { world, ask } = createWorld(({ target }, count) =>
      target.name === 's3' ? failure('unreachable') : credentialOf({ target } as CloudExchange, count),
    )
    for (let time = 0; time < 5; time++) await ask().catch(() => undefined)
    const asked = world.asked.length
    const refusal = await refusalOf(ask())
    expect(world.asked).toHaveLength(asked)
    expect([refusal.code, refusal.retryAfterSeconds]).toEqual(['upstream_failed', 5])
    expect(world.records.at(-1)?.reason).toContain('circuit_open')
    expect(await ask('tagged')).toMatchObject({ type: 'aws' })
    world.ms += 5000
    world.answer = credentialOf
    expect(await ask()).toMatchObject({ type: 'aws' })
  })

  test('is not left alone for a crowd of ours that had no turn in time', async () => {
    const { world, ask } = createWorld(
      () => new CloudError('unreachable', 'too many requests of ours were before this one', { code: 'crowded' }),
    )
    for (let time = 0; time < 6; time++) expect((await refusalOf(ask())).code).toBe('upstream_failed')
    world.answer = credentialOf
    expect(await ask()).toMatchObject({ type: 'aws' })
  })

  test('that was left alone stays so when what failed is ours', async () => {
    const { world, ask } = createWorld(() => failure('unreachable'))
    for (let time = 0; time < 5; time++) await ask().catch(() => undefined)
    world.ms += 5000
    world.now = later(200)
    world.failing = true
    expect((await refusalOf(ask())).code).toBe('store_unavailable')
    world.failing = false
    await ask().catch(() => undefined)
    expect((await refusalOf(ask())).retryAfterSeconds).toBeGreaterThan(5)
    expect(world.records.at(-1)?.reason).toContain('circuit_open')
  })

  test('and hangs holds so many callers and no more, and none of what needs no cloud', async () => {
    const { promise: silence, resolve: speak } = Promise.withResolvers<void>()
    const { world, ask } = createWorld(credentialOf, document.replace('per_identity: 1000', 'per_identity: 10000'))
    await ask('vault')
    const { exchangeAtCloud } = world
    world.exchangeAtCloud = async (exchange) => {
      await silence
      return exchangeAtCloud(exchange)
    }
    const waiting = Array.from({ length: 1500 }, () => ask())
    const refusal = await refusalOf(ask())
    expect([refusal.code, refusal.retryAfterSeconds]).toEqual(['overloaded', 1])
    expect(world.records.at(-1)).toMatchObject({ operation: 'exchange', code: 'overloaded', spiffeId: web })
    expect(await ask('vault')).toMatchObject({ accessToken: 'token-1' })
    speak()
    expect(new Set(await Promise.all(waiting)).size).toBe(1)
    expect(await ask()).toMatchObject({ accessKeyId: 'ASIA2' })
  })

  test('does not take away what is still good, unless it says no', async () => {
    const { world, ask } = createWorld()
    await ask()
    world.now = later(3000)
    world.answer = () => failure('unreachable')
    expect(await ask()).toMatchObject({ accessKeyId: 'ASIA1' })
    expect(world.records.at(-1)).toMatchObject({ notes: [expect.stringContaining('an earlier one serves')] })
    world.answer = () => failure('refused')
    expect((await refusalOf(ask())).code).toBe('upstream_failed')
    world.answer = () => failure('unreachable')
    world.ms += 5000
    expect(await ask()).toMatchObject({ accessKeyId: 'ASIA1' })
    world.now = later(3600 - 60)
    expect((await refusalOf(ask())).code).toBe('upstream_failed')
  })
})
