import { expect, test } from 'vitest'
import { UpstreamError } from '../../src/adapters/http-client.ts'
import { buildTokenReview, createTokenReviewer, readTokenReview } from '../../src/adapters/token-review.ts'
import { createFakeClock, createFakeFiles, createFakeUpstream } from '../support/fake-upstream.ts'

const server = 'https://10.0.0.1:6443'
const url = `${server}/apis/authentication.k8s.io/v1/tokenreviews`
const audience = 'https://id.example.org'

/** As kube-apiserver 1.35 answers. */
const accepted = {
  kind: 'TokenReview',
  apiVersion: 'authentication.k8s.io/v1',
  metadata: { managedFields: [{ manager: 'node', operation: 'Update', fieldsV1: { 'f:spec': { 'f:token': {} } } }] },
  spec: { token: 'a.b.c', audiences: [audience] },
  status: {
    authenticated: true,
    user: {
      username: 'system:serviceaccount:shop:web',
      uid: '5b7c1d6e-3c57-4ad2-a1f6-4e6a1f0f6f0a',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:shop', 'system:authenticated'],
      extra: {
        'authentication.kubernetes.io/credential-id': ['JTI=0e9b'],
        'authentication.kubernetes.io/pod-name': ['web-0'],
      },
    },
    audiences: [audience],
  },
}
const denied = {
  kind: 'TokenReview',
  apiVersion: 'authentication.k8s.io/v1',
  metadata: {},
  spec: { token: 'a.b.c' },
  status: { user: {}, error: '[invalid bearer token, service account token has been invalidated]' },
}

function read(document: unknown) {
  return readTokenReview({ status: 201, headers: new Headers(), text: JSON.stringify(document) })
}

test('asks for one audience, with our own token', () => {
  const request = buildTokenReview({ server: `${server}/`, token: 'a.b.c', audience, bearer: 'ours' })
  expect(request).toMatchObject({
    url,
    method: 'POST',
    headers: { authorization: 'Bearer ours', 'content-type': 'application/json' },
  })
  expect(JSON.parse(request.body ?? '')).toEqual({
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token: 'a.b.c', audiences: [audience] },
  })
})

test('reads an answer that accepts', () => {
  expect(read(accepted)).toEqual({
    authenticated: true,
    audiences: [audience],
    username: 'system:serviceaccount:shop:web',
    uid: '5b7c1d6e-3c57-4ad2-a1f6-4e6a1f0f6f0a',
  })
})

test('no authenticated means that it is not', () => {
  expect(read(denied)).toEqual({
    authenticated: false,
    audiences: [],
    error: '[invalid bearer token, service account token has been invalidated]',
  })
})

test.each([
  ['text', { authenticated: 'true' }],
  ['a number', { authenticated: 1 }],
])('authenticated that is %s means that it is not', (_, status) => {
  expect(read({ kind: 'TokenReview', status })).toEqual({ authenticated: false, audiences: [] })
})

test.each([
  ['another kind', { kind: 'Status', status: 'Failure' }],
  ['another kind with a status', { kind: 'Status', status: { authenticated: true } }],
  ['no status', { kind: 'TokenReview' }],
  ['a list', []],
  ['text', 'ok'],
])('refuses %s', (_, document) => {
  expect(() => read(document)).toThrow(expect.objectContaining({ code: 'malformed' }))
})

test('refuses what is no JSON, and says nothing of it', () => {
  const answer = { status: 200, headers: new Headers(), text: 'planted' }
  expect(() => readTokenReview(answer)).toThrow(/^the API server did not answer with JSON$/)
})

function setUp(shareFetches = true) {
  const upstream = createFakeUpstream()
  const clock = createFakeClock()
  const files = createFakeFiles()
  files.texts.set('/token', 'ours')
  upstream.answers.set(url, accepted)
  const review = createTokenReviewer(
    { server, token_file: '/token', audience },
    { request: upstream.request, files, monotonicMs: clock.monotonicMs, shareFetches },
  )
  return { upstream, files, review, ...clock }
}

test.each([
  ['accepts', accepted],
  ['refuses', denied],
])('an answer that %s is good for 10 seconds', async (_, answer) => {
  const { upstream, review, advance } = setUp()
  upstream.answers.set(url, answer)
  expect(await review('a.b.c')).toMatchObject({ ageMs: 0 })
  advance(9999)
  expect(await review('a.b.c')).toMatchObject({ ageMs: 9999 })
  expect(upstream.requests).toHaveLength(1)
  advance(1)
  expect(await review('a.b.c')).toMatchObject({ ageMs: 0 })
  expect(upstream.requests).toHaveLength(2)
})

test('an answer is for its own token only', async () => {
  const { upstream, review } = setUp()
  await review('a.b.c')
  await review('a.b.d')
  expect(upstream.requests).toHaveLength(2)
})

test('one request per token at a time', async () => {
  const { upstream, review } = setUp()
  const release = upstream.hold()
  const answers = Promise.all([...Array(20).fill('a.b.c'), 'a.b.d'].map((token: string) => review(token)))
  release()
  expect(await answers).toHaveLength(21)
  expect(upstream.requests).toHaveLength(2)
})

test('where requests may not wait for each other, each asks', async () => {
  const { upstream, review } = setUp(false)
  await Promise.all([review('a.b.c'), review('a.b.c')])
  expect(upstream.requests).toHaveLength(2)
})

test('a failure is not kept', async () => {
  const { upstream, review } = setUp()
  upstream.answers.set(url, new UpstreamError('timeout', 'late'))
  await expect(review('a.b.c')).rejects.toMatchObject({ code: 'upstream_failed', reason: 'TokenReview: late' })
  upstream.answers.set(url, accepted)
  expect(await review('a.b.c')).toMatchObject({ review: { authenticated: true } })
})

test.each([401, 403])('status %i names the role that is missing', async (status) => {
  const { upstream, review } = setUp()
  upstream.answers.set(url, new UpstreamError('status', `status ${status}`, { status }))
  await expect(review('a.b.c')).rejects.toMatchObject({ reason: expect.stringContaining('system:auth-delegator') })
})

test('our own token is read again when it changes', async () => {
  const { upstream, files, review, advance } = setUp()
  await review('a.b.c')
  files.texts.set('/token', 'newer')
  advance(10_000)
  await review('a.b.c')
  expect(upstream.requests.map(({ headers }) => headers?.authorization)).toEqual(['Bearer ours', 'Bearer newer'])
})

test('without a token of our own nothing is sent', async () => {
  const { upstream, files, review } = setUp()
  files.texts.clear()
  await expect(review('a.b.c')).rejects.toMatchObject({ code: 'upstream_failed' })
  expect(upstream.requests).toEqual([])
})
