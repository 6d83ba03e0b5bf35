import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createAwsAuthenticator } from '../../../src/adapters/authenticators/aws.ts'
import { createConnectUpstream } from '../../../src/adapters/connect-upstream.node.ts'
import type { HttpAnswer, HttpRequest, UpstreamPlace } from '../../../src/adapters/http-client.ts'
import type { Authenticator, Proof } from '../../../src/core/authenticate.ts'
import type { AwsConfig } from '../../../src/core/config-authenticators.ts'
import { type ProofClaim, StoreError } from '../../../src/core/store.ts'
import { type AwsSts, startAwsSts } from '../../support/clouds/aws-sts.ts'
import { createFakeClock, createFakeFiles } from '../../support/fake-upstream.ts'
import { type PresignOptions, presign } from '../../support/presigned-url.ts'
import { createTestAuthority, type TestAuthority } from '../../support/tls.ts'

const issuer = 'https://id.example.org'
const account = '123456789012'
const accessKeyId = 'ASIAIOSFODNN7EXAMPLE'
const secretAccessKey = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
const now = new Date('2026-07-28T12:35:00Z')
const sessionToken = 'FwoGZXIvYXdzEXAMPLE+/token=='
const role = {
  account,
  arn: `arn:aws:sts::${account}:assumed-role/payments/i-0123456789abcdef0`,
  userId: 'AROAEXAMPLE0000000001:i-0123456789abcdef0',
}
const base: AwsConfig = { name: 'cloud', type: 'aws', partition: 'aws', private: false }

let authority: TestAuthority
let sts: AwsSts
const closing: (() => Promise<void>)[] = []

beforeAll(async () => {
  authority = await createTestAuthority()
  sts = await startAwsSts({ authority, publicCas: [], now: () => now })
  sts.state.accessKeys.set(accessKeyId, { accessKeyId, secretAccessKey, sessionToken, ...role })
})
beforeEach(() => {
  sts.requests.length = 0
})
afterAll(async () => {
  await Promise.all(closing.map((close) => close()))
  await sts.close()
})

function createClaims() {
  const taken = new Set<string>()
  const claims: ProofClaim[] = []
  return {
    claims,
    claimProof: async (claim: ProofClaim) => {
      claims.push(claim)
      const key = Buffer.from(claim.digest).toString('hex')
      return !taken.has(key) && Boolean(taken.add(key))
    },
  }
}

function connect(
  change: Partial<AwsConfig> = {},
  store: ReturnType<typeof createClaims> = createClaims(),
): Authenticator {
  const files = createFakeFiles()
  files.texts.set('/ca.pem', authority.ca)
  const made = createAwsAuthenticator(
    { ...base, endpoint: sts.url, ca_file: '/ca.pem', ...change },
    {
      connect: createConnectUpstream({ files, monotonicMs: createFakeClock().monotonicMs }),
      store,
      ours: () => ({ issuer }),
    },
  )
  if (made.close) closing.push(made.close)
  return made
}

const bearer = (token: string): Proof => ({ kind: 'bearer', token })

function proof(change: Partial<PresignOptions> = {}): Proof {
  return bearer(
    presign({
      host: `localhost:${sts.port}`,
      region: 'eu-west-1',
      audience: issuer,
      signedAt: new Date('2026-07-28T12:34:56Z'),
      accessKeyId,
      secretAccessKey,
      securityToken: sessionToken,
      ...change,
    }),
  )
}

const rejected = (reason: string | RegExp) => ({ code: 'proof_rejected', reason: expect.stringMatching(reason) })

test('a request that a role signed for us is an identity, not to be used again', async () => {
  const attributes = {
    account,
    arn: role.arn,
    partition: 'aws',
    user_id: 'AROAEXAMPLE0000000001',
    role: 'payments',
    session: 'i-0123456789abcdef0',
  }
  expect(await connect().authenticate(proof(), now)).toEqual({
    identity: { authenticator: 'cloud', type: 'aws', attributes, recorded: attributes, use: { kind: 'rules' } },
  })
})

test.each([
  ['for somebody else', () => ({ audience: 'https://other.example' })],
  ['for a cluster', () => ({ audience: 'my-cluster' })],
  ['for our issuer with a slash', () => ({ audience: `${issuer}/` })],
  ['by another key', () => ({ secretAccessKey: 'other' })],
  ['by a key that there is not', () => ({ accessKeyId: 'ASIAIOSFODNN7EXAMPLF' })],
  ['with the token of another session', () => ({ securityToken: 'other' })],
])('a signature %s is refused by STS, and claims nothing', async (_, change) => {
  const store = createClaims()
  await expect(connect({}, store).authenticate(proof(change()), now)).rejects.toMatchObject(
    rejected(/STS does not accept it: 403 (SignatureDoesNotMatch|InvalidClientTokenId)/),
  )
  expect([sts.requests.length, store.claims.length]).toEqual([1, 0])
})

test('of a signature that is used by many at once, one is good', async () => {
  const store = createClaims()
  const replicas = [connect({}, store), connect({}, store)]
  const one = proof()
  const outcomes = await Promise.allSettled(
    [...replicas, ...replicas].map((authenticator) => authenticator.authenticate(one, now)),
  )
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected', 'rejected'])
  await expect(replicas[0]?.authenticate(one, now)).rejects.toMatchObject(rejected('used before'))
})

test('the same signature in another spelling is the same', async () => {
  const authenticator = connect()
  const first = proof()
  const url = Buffer.from((first.kind === 'bearer' ? first.token : '').slice(11), 'base64url').toString()
  const spelt = `${url.replaceAll('%2F', '/').replace('/?Action=GetCallerIdentity&', '/?')}&Action=GetCallerIdentity`
  await authenticator.authenticate(first, now)
  const again = bearer(`k8s-aws-v1.${Buffer.from(spelt).toString('base64url')}`)
  await expect(authenticator.authenticate(again, now)).rejects.toMatchObject(rejected('used before'))
})

test('a claim lasts as long as any replica may take the signature', async () => {
  const store = createClaims()
  await connect({}, store).authenticate(proof(), now)
  expect(store.claims).toEqual([{ digest: expect.anything(), at: now, expiresAt: new Date('2026-07-28T12:54:56Z') }])
  expect(store.claims[0]?.digest).toHaveLength(32)
})

test('no claim, no identity', async () => {
  const claimProof = async () => {
    throw new StoreError('unavailable', 'the disk is full')
  }
  await expect(connect({}, { claims: [], claimProof }).authenticate(proof(), now)).rejects.toMatchObject({
    name: 'Refusal',
    code: 'store_unavailable',
    reason: expect.stringContaining('the disk is full'),
  })
})

describe('STS is not asked about', () => {
  test.each([
    ['a token that is no URL', () => bearer('k8s-aws-v1.AAAA'), 'presigned_identity'],
    ['another host', () => proof({ host: 'sts.eu-west-1.amazonaws.com' }), 'presigned_identity_host'],
    ['an old signature', () => proof({ signedAt: new Date('2026-07-28T12:19:59Z') }), 'presigned_identity_expired'],
    ['one of the future', () => proof({ signedAt: new Date('2026-07-28T12:36:01Z') }), 'presigned_identity_not_yet'],
    ['a region that is not wanted', () => proof({ region: 'us-east-1' }), 'us-east-1, which is not in regions'],
    ['a certificate', (): Proof => ({ kind: 'certificate', chain: [] }), 'a certificate, not a token'],
  ])('%s', async (_, make, reason) => {
    const authenticator = connect({ regions: ['eu-west-1', 'eu-central-1'] })
    await expect(authenticator.authenticate(make(), now)).rejects.toMatchObject(rejected(reason))
    expect(sts.requests).toEqual([])
  })
})

test.each([
  ['another account', { accounts: ['210987654321'] }, 'account 123456789012, which is not in accounts'],
  ['another partition', { partition: 'aws-us-gov' as const }, 'of partition aws'],
])('a caller of %s is refused, and claims nothing', async (_, change, reason) => {
  const store = createClaims()
  const region = 'partition' in change ? 'us-gov-west-1' : 'eu-west-1'
  await expect(connect(change, store).authenticate(proof({ region }), now)).rejects.toMatchObject(rejected(reason))
  expect(store.claims).toEqual([])
})

test('a caller of an account that is wanted is an identity', async () => {
  const authenticator = connect({ accounts: ['210987654321', account] })
  await expect(authenticator.authenticate(proof(), now)).resolves.toMatchObject({
    identity: { authenticator: 'cloud' },
  })
})

test('a connection that breaks is tried once more', async () => {
  sts.inject({ kind: 'reset' })
  await expect(connect().authenticate(proof(), now)).resolves.toMatchObject({ identity: { type: 'aws' } })
  sts.inject({ kind: 'reset' }, 2)
  await expect(connect().authenticate(proof(), now)).rejects.toMatchObject({ code: 'upstream_failed' })
  expect(sts.requests).toHaveLength(4)
})

test.each([
  ['throttles', { kind: 'throttle', retryAfterSeconds: 7 }, '400 Throttling'],
  ['is out of order', { kind: 'unavailable' }, '503 ServiceUnavailable'],
  ['answers nonsense', { kind: 'garbage' }, 'did not answer with a caller identity'],
] as const)('an STS that %s is a failure of its own, and costs no claim', async (_, fault, reason) => {
  const store = createClaims()
  const authenticator = connect({}, store)
  const one = proof()
  sts.inject(fault)
  await expect(authenticator.authenticate(one, now)).rejects.toMatchObject({
    code: 'upstream_failed',
    reason: expect.stringContaining(reason),
  })
  expect(sts.requests).toHaveLength(1)
  await expect(authenticator.authenticate(one, now)).resolves.toMatchObject({ identity: { type: 'aws' } })
})

test('an STS that nobody vouches for sees nothing', async () => {
  const files = createFakeFiles()
  files.texts.set('/ca.pem', (await createTestAuthority()).ca)
  const stranger = createAwsAuthenticator(
    { ...base, endpoint: sts.url, ca_file: '/ca.pem' },
    {
      connect: createConnectUpstream({ files, monotonicMs: () => 0 }),
      store: createClaims(),
      ours: () => ({ issuer }),
    },
  )
  closing.push(async () => stranger.close?.())
  await expect(stranger.authenticate(proof(), now)).rejects.toMatchObject({ code: 'upstream_failed' })
  expect(sts.requests).toEqual([])
})

test('an STS that is not there is a failure of its own', async () => {
  const gone = connect({ endpoint: 'https://localhost:1' })
  const one = proof({ host: 'localhost:1' })
  await expect(gone.authenticate(one, now)).rejects.toMatchObject({
    code: 'upstream_failed',
    reason: expect.stringContaining('localhost:1 could not be reached'),
  })
})

describe('says what is for it', () => {
  const host = 'sts.eu-west-1.amazonaws.com'

  test('by the host that was signed', async () => {
    const regional = connect({ endpoint: undefined })
    const govCloud = connect({ endpoint: undefined, partition: 'aws-us-gov' })
    const endpoint = connect()
    for (const authenticator of [regional, govCloud, endpoint])
      expect(authenticator).toMatchObject({ name: 'cloud', type: 'aws', accepts: { awsIdentities: true } })
    const owners = async (one: Proof) => Promise.all([regional, govCloud, endpoint].map((each) => each.owns?.(one)))
    expect(await owners(proof({ host }))).toEqual([true, false, false])
    expect(await owners(proof({ host: 'sts.us-gov-west-1.amazonaws.com' }))).toEqual([false, true, false])
    expect(await owners(proof())).toEqual([false, false, true])
    expect(await owners(bearer('k8s-aws-v1.AAAA'))).toEqual([false, false, false])
  })

  test('where it may connect to is what the configuration says', () => {
    const places: UpstreamPlace[] = []
    const unused = async (_: HttpRequest): Promise<HttpAnswer> => Promise.reject(new Error('not asked'))
    const deps = {
      connect: (place: UpstreamPlace) => {
        places.push(place)
        return { request: unused, close: async () => {} }
      },
      store: createClaims(),
      ours: () => ({ issuer }),
    }
    createAwsAuthenticator(base, deps)
    createAwsAuthenticator({ ...base, private: true, endpoint: 'https://sts.internal:8443', ca_file: '/ca' }, deps)
    expect(places).toEqual([
      { hosts: [], private: false },
      { hosts: ['sts.internal'], private: true, caFile: '/ca' },
    ])
  })
})
