import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { createKubernetesAuthenticator } from '../../../src/adapters/authenticators/kubernetes.ts'
import { UpstreamError, type UpstreamPlace } from '../../../src/adapters/http-client.ts'
import type { KubernetesConfig } from '../../../src/core/config-authenticators.ts'
import { silentTelemetry } from '../../../src/core/telemetry.ts'
import { createFakeClock, createFakeFiles, createFakeUpstream } from '../../support/fake-upstream.ts'
import { type Members, rsaSigner, signToken } from '../../support/raw-token.ts'

const issuer = 'https://kubernetes.default.svc.cluster.local'
const audience = 'https://id.example.org'
const server = 'https://10.0.0.1:6443'
const reviewUrl = `${server}/apis/authentication.k8s.io/v1/tokenreviews`
const now = new Date('2026-03-01T12:00:00Z')
const seconds = now.getTime() / 1000

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'sa', alg: 'RS256', use: 'sig' }

const accountUid = '5b7c1d6e-3c57-4ad2-a1f6-4e6a1f0f6f0a'
const bound = {
  namespace: 'shop',
  node: { name: 'node-1', uid: '0d6f2f6e-7a3f-4a0b-9a8e-0f4f6d3f5b11' },
  pod: { name: 'web-0', uid: '9f1c0d2e-0c1b-4b57-8f0e-2f5a1d0c7a22' },
  serviceaccount: { name: 'web', uid: accountUid },
}
/** As TokenRequest of kube-apiserver 1.35 makes them. */
const claims = {
  aud: [audience],
  exp: seconds + 600,
  iat: seconds,
  iss: issuer,
  jti: '0e9b2a44-8d4c-4f0c-9f6e-0f1c2d3e4f50',
  'kubernetes.io': bound,
  nbf: seconds,
  sub: 'system:serviceaccount:shop:web',
}

function make(changed: Members = {}): { readonly kind: 'bearer'; readonly token: string } {
  const token = signToken({ alg: 'RS256', kid: 'sa' }, { ...claims, ...changed }, rsaSigner(privateKey))
  return { kind: 'bearer', token }
}

const reviewed = {
  kind: 'TokenReview',
  status: {
    authenticated: true,
    user: { username: 'system:serviceaccount:shop:web', uid: accountUid },
    audiences: [audience],
  },
}

function setUp(changed: Partial<KubernetesConfig> = {}) {
  const upstream = createFakeUpstream()
  const clock = createFakeClock()
  const files = createFakeFiles()
  const places: UpstreamPlace[] = []
  const closed: UpstreamPlace[] = []
  files.texts.set('/keys.json', JSON.stringify({ keys: [jwk] }))
  files.texts.set('/token', 'ours')
  upstream.answers.set(reviewUrl, reviewed)
  const config: KubernetesConfig = {
    name: 'cluster-a',
    type: 'kubernetes',
    issuer,
    audience,
    jwks_file: '/keys.json',
    private: false,
    max_stale: 86_400,
    ...changed,
  }
  const authenticator = createKubernetesAuthenticator(config, {
    connect(place) {
      places.push(place)
      return { request: upstream.request, close: async () => void closed.push(place) }
    },
    files,
    now: () => new Date(clock.monotonicMs()),
    monotonicMs: clock.monotonicMs,
    telemetry: silentTelemetry,
    shareFetches: true,
  })
  return { upstream, files, places, closed, authenticator, ...clock }
}

const tokenReview = { server, ca_file: '/cluster-ca.pem', token_file: '/token' }

test('the token of a pod on a node says all that there is', async () => {
  const { identity, reusableUntil, stillHolds } = await setUp().authenticator.authenticate(make(), now)
  const attributes = {
    namespace: 'shop',
    service_account: 'web',
    service_account_uid: accountUid,
    pod: 'web-0',
    pod_uid: bound.pod.uid,
    node: 'node-1',
    node_uid: bound.node.uid,
  }
  expect(identity).toEqual({
    authenticator: 'cluster-a',
    type: 'kubernetes',
    attributes,
    recorded: attributes,
    use: { kind: 'rules' },
  })
  expect(reusableUntil).toEqual(new Date('2026-03-01T12:05:00Z'))
  expect(stillHolds?.()).toBe(true)
})

test('a token that is bound to no pod has no attributes of one', async () => {
  const { namespace, serviceaccount } = bound
  const { identity } = await setUp().authenticator.authenticate(
    make({ 'kubernetes.io': { namespace, serviceaccount } }),
    now,
  )
  expect(identity.attributes).toEqual({ namespace: 'shop', service_account: 'web', service_account_uid: accountUid })
})

test('a node that was gone has a name and no uid', async () => {
  const proof = make({ 'kubernetes.io': { ...bound, node: { name: 'node-1' } } })
  const { identity } = await setUp().authenticator.authenticate(proof, now)
  expect(identity.attributes).toMatchObject({ node: 'node-1' })
  expect(identity.attributes).not.toHaveProperty('node_uid')
})

test.each([
  ['no kubernetes.io', { 'kubernetes.io': undefined }, 'no kubernetes.io claim'],
  ['one that is text', { 'kubernetes.io': 'shop/web' }, 'no kubernetes.io claim'],
  ['no namespace', { 'kubernetes.io': { ...bound, namespace: undefined } }, 'namespace is not'],
  ['a namespace with a colon', { 'kubernetes.io': { ...bound, namespace: 'shop:x' } }, 'namespace is not'],
  ['a namespace like a path', { 'kubernetes.io': { ...bound, namespace: '../x' } }, 'namespace is not'],
  ['a namespace that is a list', { 'kubernetes.io': { ...bound, namespace: ['shop'] } }, 'namespace is not'],
  ['no account', { 'kubernetes.io': { ...bound, serviceaccount: undefined } }, 'no serviceaccount'],
  [
    'an account that is text',
    { 'kubernetes.io': { ...bound, serviceaccount: 'web' } },
    'serviceaccount is not an object',
  ],
  [
    'an account without uid',
    { 'kubernetes.io': { ...bound, serviceaccount: { name: 'web' } } },
    'no serviceaccount with a uid',
  ],
  ['a pod without name', { 'kubernetes.io': { ...bound, pod: { uid: 'x' } } }, 'pod name is not'],
  ['a pod without uid', { 'kubernetes.io': { ...bound, pod: { name: 'web-0' } } }, 'pod without a uid'],
  ['a pod that is null', { 'kubernetes.io': { ...bound, pod: null } }, 'pod is not an object'],
  ['a node with a strange uid', { 'kubernetes.io': { ...bound, node: { name: 'n', uid: 'a b' } } }, 'node uid is not'],
  [
    'a sub of another account',
    { sub: 'system:serviceaccount:shop:admin' },
    "sub is 'system:serviceaccount:shop:admin'",
  ],
  ['a sub of another namespace', { sub: 'system:serviceaccount:kube-system:web' }, 'which is not the service account'],
  ['a sub of another kind', { sub: 'system:node:web' }, 'which is not the service account'],
  ['another audience', { aud: ['https://kubernetes.default.svc'] }, 'aud is'],
  ['no exp, as tokens of secrets', { exp: undefined }, 'no exp'],
])('refuses a token with %s', async (_, changed, reason) => {
  await expect(setUp().authenticator.authenticate(make(changed), now)).rejects.toMatchObject({
    code: 'proof_rejected',
    reason: expect.stringContaining(reason),
  })
})

test('a reviewed token is good for as long as the review is', async () => {
  const { authenticator, advance, upstream, places } = setUp({ token_review: tokenReview })
  const first = await authenticator.authenticate(make(), now)
  expect(first.reusableUntil).toEqual(new Date('2026-03-01T12:00:10Z'))
  advance(4000)
  const second = await authenticator.authenticate(make(), new Date('2026-03-01T12:00:04Z'))
  expect(second.reusableUntil).toEqual(new Date('2026-03-01T12:00:10Z'))
  expect(upstream.requests).toHaveLength(1)
  expect(places[1]).toEqual({ hosts: ['10.0.0.1'], caFile: '/cluster-ca.pem' })
})

test('a reviewed token is not reused beyond its exp', async () => {
  const { authenticator } = setUp({ token_review: tokenReview })
  const { reusableUntil } = await authenticator.authenticate(make({ exp: seconds + 3 }), now)
  expect(reusableUntil).toEqual(new Date('2026-03-01T12:00:03Z'))
})

test.each([
  [
    'refuses, as it does when the pod is gone',
    { user: {}, error: '[invalid bearer token, service account token has been invalidated]' },
    'service account token has been invalidated',
  ],
  ['says nothing', { user: {} }, 'no reason given'],
  ['knows no audiences', { ...reviewed.status, audiences: undefined }, 'did not confirm the audience'],
  ['confirms another audience', { ...reviewed.status, audiences: ['x'] }, 'did not confirm the audience'],
  [
    'knows another user',
    { ...reviewed.status, user: { username: 'system:admin', uid: accountUid } },
    'of another account',
  ],
  [
    'knows a newer account of that name',
    { ...reviewed.status, user: { ...reviewed.status.user, uid: 'newer' } },
    'of another account',
  ],
  ['knows no uid', { ...reviewed.status, user: { username: reviewed.status.user.username } }, 'of another account'],
])('refuses a token when the API server %s', async (_, status, reason) => {
  const { authenticator, upstream } = setUp({ token_review: tokenReview })
  upstream.answers.set(reviewUrl, { kind: 'TokenReview', status })
  await expect(authenticator.authenticate(make(), now)).rejects.toMatchObject({
    code: 'proof_rejected',
    reason: expect.stringContaining(reason),
  })
})

test('no answer of the API server is a refusal, with good keys too', async () => {
  const { authenticator, upstream } = setUp({ token_review: tokenReview })
  upstream.answers.set(reviewUrl, new UpstreamError('timeout', 'late'))
  await expect(authenticator.authenticate(make(), now)).rejects.toMatchObject({ code: 'upstream_failed' })
})

test('no keys are a refusal, with a good review too', async () => {
  const { authenticator, files, upstream } = setUp({ token_review: tokenReview })
  files.texts.delete('/keys.json')
  await expect(authenticator.authenticate(make(), now)).rejects.toMatchObject({ code: 'upstream_failed' })
  expect(upstream.requests).toEqual([])
})

test('the API server sees no token whose signature is wrong', async () => {
  const { authenticator, upstream } = setUp({ token_review: tokenReview })
  const other = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const token = signToken({ alg: 'RS256', kid: 'sa' }, claims, rsaSigner(other.privateKey))
  await expect(authenticator.authenticate({ kind: 'bearer', token }, now)).rejects.toMatchObject({
    code: 'proof_rejected',
  })
  expect(upstream.requests).toEqual([])
})

test('keys may come from the API server itself, which wants to know who asks', async () => {
  const jwksUri = `${server}/openid/v1/jwks`
  const { jwks_file: _, ...config } = {
    jwks_file: undefined,
    jwks_uri: jwksUri,
    ca_file: '/ca.pem',
    token_file: '/token',
  }
  const { authenticator, upstream, places } = setUp({ ...config, jwks_file: undefined } as Partial<KubernetesConfig>)
  upstream.answers.set(jwksUri, { keys: [jwk] })
  await expect(authenticator.authenticate(make(), now)).resolves.toBeDefined()
  expect(upstream.requests).toMatchObject([{ url: jwksUri, headers: { authorization: 'Bearer ours' } }])
  expect(places).toEqual([
    { hosts: ['kubernetes.default.svc.cluster.local', '10.0.0.1'], caFile: '/ca.pem', private: false },
  ])
})

test('what the keys vouched for ends with them', async () => {
  const { authenticator, files, advance } = setUp()
  const { stillHolds } = await authenticator.authenticate(make(), now)
  const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' })
  files.texts.set('/keys.json', JSON.stringify({ keys: [{ ...other, kid: 'sa-2' }] }))
  advance(5000)
  expect(await authenticator.holdsKey?.('sa')).toBe(false)
  expect(stillHolds?.()).toBe(false)
})

test('closes what it opened', async () => {
  const { authenticator, places, closed } = setUp({ token_review: tokenReview })
  await authenticator.close?.()
  expect(closed).toEqual(places)
})
