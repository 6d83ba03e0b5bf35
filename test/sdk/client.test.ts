import { afterEach, expect, test, vi } from 'vitest'
import type { Fetch, FetchInit } from '../../src/sdk/ask.ts'
import { type ClientOptions, createClient } from '../../src/sdk/client.ts'

const aws = {
  AccessKeyId: 'ASIA',
  SecretAccessKey: 'secret',
  Token: 'session',
  Expiration: '2026-01-01T01:00:00Z',
  AccountId: '123456789012',
  RoleArn: 'arn:aws:iam::123456789012:role/payments',
}
const token = {
  access_token: 'access',
  token_type: 'Bearer',
  expires_in: 3600,
  expires_at: '2026-01-01T01:00:00.000Z',
  target_type: 'azure',
}
const problem = (code: string, status: number) => ({ title: 'No', code, status, request_id: 'abc' })

type Reply = readonly [body: unknown, status?: number, headers?: Record<string, string>] | Error

/** Answers in order, the last one again and again; keeps what was asked. */
function fake(...replies: Reply[]) {
  const asked: (FetchInit & { readonly url: string })[] = []
  const fetch: Fetch = async (url, init) => {
    asked.push({ url, ...init })
    const reply = replies.length > 1 ? replies.shift()! : replies[0]!
    if (reply instanceof Error) throw reply
    const [body, status = 200, headers = {}] = reply
    return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status, headers })
  }
  return { asked, fetch }
}

function clientOf(fetch: Fetch, options: Partial<ClientOptions> = {}) {
  return createClient({ server: 'https://id.example.org', token: 'the-proof', fetch, ...options })
}

afterEach(() => {
  vi.useRealTimers()
})

/** Lets pauses pass without waiting. */
async function patiently<T>(start: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  let done = false
  const work = start().finally(() => {
    done = true
  })
  work.catch(() => undefined)
  while (!done) await vi.advanceTimersByTimeAsync(100)
  return work
}

test('asks for a credential of AWS with the proof', async () => {
  const { fetch, asked } = fake([aws])
  expect(await clientOf(fetch, { authenticator: 'ci', spiffeId: 'spiffe://a/b' }).getCredential('s3')).toEqual({
    type: 'aws',
    accessKeyId: 'ASIA',
    secretAccessKey: 'secret',
    sessionToken: 'session',
    expiresAt: new Date('2026-01-01T01:00:00Z'),
    accountId: '123456789012',
    roleArn: 'arn:aws:iam::123456789012:role/payments',
  })
  expect(asked).toMatchObject([
    {
      url: 'https://id.example.org/v1/credentials/s3?spiffe_id=spiffe%3A%2F%2Fa%2Fb',
      method: 'GET',
      headers: { authorization: 'Bearer the-proof', 'apostille-authenticator': 'ci' },
      redirect: 'manual',
    },
  ])
})

test.each(['azure', 'gcp'] as const)('asks for an access token of %s', async (type) => {
  const { fetch } = fake([{ ...token, target_type: type }])
  expect(await clientOf(fetch).getCredential('vault')).toEqual({
    type,
    accessToken: 'access',
    expiresAt: new Date('2026-01-01T01:00:00Z'),
  })
})

test('asks for a JWT-SVID', async () => {
  const svid = { spiffe_id: 'spiffe://a/b', token: 'e.y.J', expires_at: '2026-01-01T01:00:00Z' }
  const { fetch, asked } = fake([svid])
  expect(await clientOf(fetch, { server: 'http://127.0.0.1:8080/below/' }).getJwtSvid({ audience: 'api' })).toEqual({
    spiffeId: 'spiffe://a/b',
    token: 'e.y.J',
    expiresAt: new Date('2026-01-01T01:00:00Z'),
  })
  expect(asked).toMatchObject([
    { url: 'http://127.0.0.1:8080/below/v1/svid/jwt', method: 'POST', body: '{"audience":["api"]}' },
  ])
})

test('the proof is asked for again for each request', async () => {
  const { fetch, asked } = fake([aws])
  let count = 0
  const client = clientOf(fetch, { token: async () => `proof-${++count}\n` })
  await client.getCredential('s3')
  await client.getCredential('s3')
  expect(asked.map(({ headers }) => headers['authorization'])).toEqual(['Bearer proof-1', 'Bearer proof-2'])
})

test.each([
  ['not a URL', 'id.example.org'],
  ['http to another machine', 'http://id.example.org'],
  ['another scheme', 'ftp://localhost'],
  ['a user', 'https://me@id.example.org'],
  ['a query', 'https://id.example.org/?a=b'],
])('a server that is %s is refused', (_, server) => {
  expect(() => createClient({ server })).toThrow(expect.objectContaining({ code: 'usage' }))
})

test.each([
  ['empty', ''],
  ['two words', 'a b'],
  ['a line end inside', 'a\nb'],
  ['not ASCII', 'ä'],
  ['too long', 'a'.repeat(16_385)],
])('a token that is %s goes nowhere and is in no message', async (_, text) => {
  const { fetch, asked } = fake([aws])
  const error = await clientOf(fetch, { token: text })
    .getCredential('s3')
    .catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ name: 'ApostilleError', code: 'token' })
  if (text !== '') expect(String(error)).not.toContain(text)
  expect(asked).toEqual([])
})

test.each([
  ['proof_rejected', 401],
  ['not_entitled', 403],
  ['malformed_request', 400],
  ['internal', 500],
])('%s is thrown at once with what the gateway said', async (code, status) => {
  const { fetch, asked } = fake([problem(code, status), status])
  await expect(clientOf(fetch).getCredential('s3')).rejects.toMatchObject({
    code,
    status,
    requestId: 'abc',
    message: `No (${code})`,
  })
  expect(asked).toHaveLength(1)
})

test.each([
  ['no JSON', ['<html>'], 'unexpected_answer'],
  ['no object', ['7'], 'unexpected_answer'],
  ['no credential', [{}], 'unexpected_answer'],
  ['half a credential', [{ ...aws, Token: '' }], 'unexpected_answer'],
  ['a time that is none', [{ ...aws, Expiration: 'soon' }], 'unexpected_answer'],
  ['a target of no known type', [{ ...token, target_type: 'x' }], 'unexpected_answer'],
  ['a redirect', ['', 302, { location: 'https://example.org' }], 'unexpected_answer'],
  ['a page of a proxy', ['<html>', 404], 'unexpected_answer'],
  ['more than is read', ['x'.repeat(262_145)], 'unexpected_answer'],
] satisfies [string, Reply, string][])('an answer that is %s is refused', async (_, reply, code) => {
  const { fetch, asked } = fake(reply)
  await expect(clientOf(fetch).getCredential('s3')).rejects.toMatchObject({ code })
  expect(asked).toHaveLength(1)
})

test.each([
  ['upstream_failed', 502],
  ['overloaded', 503],
  ['too_many', 429],
])('%s is tried again', async (code, status) => {
  const { fetch, asked } = fake([problem(code, status), status], [problem(code, status), status], [aws])
  expect(await patiently(() => clientOf(fetch).getCredential('s3'))).toMatchObject({ type: 'aws' })
  expect(asked).toHaveLength(3)
})

test('no connection is tried again', async () => {
  const { fetch, asked } = fake(new TypeError('fetch failed'), [aws])
  expect(await patiently(() => clientOf(fetch).getCredential('s3'))).toMatchObject({ type: 'aws' })
  expect(asked).toHaveLength(2)
})

test.each([
  ['nobody answers', new TypeError('fetch failed'), 'unreachable', 3],
  ['it stays overloaded', [problem('overloaded', 503), 503], 'overloaded', 6],
] satisfies [string, Reply, string, number][])('when %s it gives up', async (_, reply, code, attempts) => {
  const { fetch, asked } = fake(reply)
  await expect(patiently(() => clientOf(fetch).getCredential('s3'))).rejects.toMatchObject({ code })
  expect(asked).toHaveLength(attempts)
})

test('it waits as long as Retry-After says', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  const { fetch, asked } = fake([problem('overloaded', 503), 503, { 'retry-after': '7' }], [aws])
  const work = clientOf(fetch).getCredential('s3')
  await vi.advanceTimersByTimeAsync(6_900)
  expect(asked).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(200)
  expect(await work).toMatchObject({ type: 'aws' })
})

test('it does not wait beyond the deadline, and says what it was told', async () => {
  const { fetch, asked } = fake([problem('overloaded', 503), 503, { 'retry-after': '7' }])
  await expect(clientOf(fetch, { deadlineMs: 5_000 }).getCredential('s3')).rejects.toMatchObject({
    code: 'overloaded',
    retryAfterSeconds: 7,
  })
  expect(asked).toHaveLength(1)
})

test('an answer that does not come is given up at the deadline', async () => {
  const fetch: Fetch = (_url, { signal }) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  const work = () => clientOf(fetch, { deadlineMs: 5_000 }).getCredential('s3')
  await expect(patiently(work)).rejects.toMatchObject({ code: 'timeout', status: undefined })
})

test('a body that breaks off is tried again', async () => {
  const broken = () =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('{"Acc'))
          controller.error(new Error('reset'))
        },
      }),
    )
  let count = 0
  const fetch: Fetch = async () => (++count === 1 ? broken() : new Response(JSON.stringify(aws)))
  expect(await patiently(() => clientOf(fetch).getCredential('s3'))).toMatchObject({ type: 'aws' })
})
