import { describe, expect, test } from 'vitest'
import {
  buildCallerIdentityRequest,
  createCallerIdentityAsker,
  readCallerIdentity,
} from '../../src/adapters/caller-identity.ts'
import {
  type HttpAnswer,
  type HttpRequest,
  UpstreamError,
  type UpstreamErrorCode,
} from '../../src/adapters/http-client.ts'
import type { PresignedIdentity } from '../../src/protocol/presigned-identity.ts'

const identity: PresignedIdentity = {
  host: 'sts.eu-west-1.amazonaws.com',
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  region: 'eu-west-1',
  signedAt: new Date('2026-07-28T12:34:56Z'),
  expiresSeconds: 60,
  signature: 'a'.repeat(64),
}
const account = '123456789012'

function said(result: unknown): string {
  return JSON.stringify({
    GetCallerIdentityResponse: { GetCallerIdentityResult: result, ResponseMetadata: { RequestId: 'r' } },
  })
}

const role = {
  Account: account,
  Arn: `arn:aws:sts::${account}:assumed-role/payments/i-0123456789abcdef0`,
  UserId: 'AROAEXAMPLE0000000001:i-0123456789abcdef0',
}

function answer(text: string, status = 200, headers: Record<string, string> = {}): HttpAnswer {
  return { status, text, headers: new Headers(headers) }
}

test('asks with the audience in the header that was signed, and for JSON', () => {
  const { url, headers, method } = buildCallerIdentityRequest(identity, 'https://id.example.org')
  expect(new URL(url).origin).toBe('https://sts.eu-west-1.amazonaws.com')
  expect(headers).toEqual({ 'x-k8s-aws-id': 'https://id.example.org', accept: 'application/json' })
  expect(method).toBeUndefined()
})

describe('reads', () => {
  test.each([
    ['a role', role, { user_id: 'AROAEXAMPLE0000000001', role: 'payments', session: 'i-0123456789abcdef0' }],
    [
      'a role of another partition',
      { ...role, Arn: role.Arn.replace('arn:aws:', 'arn:aws-us-gov:') },
      { partition: 'aws-us-gov', role: 'payments' },
    ],
    [
      'a session that is an address',
      {
        Account: account,
        Arn: `arn:aws:sts::${account}:assumed-role/a/jo@example.org`,
        UserId: 'AROAX:jo@example.org',
      },
      { role: 'a', session: 'jo@example.org' },
    ],
    [
      'a user',
      { Account: account, Arn: `arn:aws:iam::${account}:user/jo`, UserId: 'AIDAEXAMPLE0000000001' },
      { user_id: 'AIDAEXAMPLE0000000001', user: 'jo' },
    ],
    [
      'a user with a path',
      { Account: account, Arn: `arn:aws:iam::${account}:user/a/b/jo`, UserId: 'AIDAEXAMPLE0000000001' },
      { user: 'jo', arn: `arn:aws:iam::${account}:user/a/b/jo` },
    ],
  ])('%s', (_, result, expected) => {
    const caller = readCallerIdentity(answer(said(result)))
    expect(caller).toMatchObject({ account, partition: 'aws', arn: result.Arn, ...expected })
    expect('role' in caller).toBe('session' in caller)
    expect('role' in caller).toBe(!('user' in caller))
  })
})

test.each([
  ['root', `arn:aws:iam::${account}:root`, account],
  ['a federated user', `arn:aws:sts::${account}:federated-user/jo`, `${account}:jo`],
  ['a role that nobody assumed', `arn:aws:iam::${account}:role/payments`, 'AROAEXAMPLE'],
  ['a service', `arn:aws:sts::${account}:self`, 'x'],
])('%s is nobody', (_, Arn, UserId) => {
  expect(() => readCallerIdentity(answer(said({ Account: account, Arn, UserId })))).toThrow(
    expect.objectContaining({ name: 'Refusal', code: 'proof_rejected' }),
  )
})

test.each([
  ['nothing', ''],
  ['XML', '<GetCallerIdentityResponse/>'],
  ['an array', '[]'],
  ['another document', '{"GetSessionTokenResponse":{}}'],
  ['no result', '{"GetCallerIdentityResponse":{}}'],
  ['no account', said({ ...role, Account: undefined })],
  ['an account that is a number', said({ ...role, Account: 123456789012 })],
  ['an account that is not that of the ARN', said({ ...role, Account: '210987654321' })],
  ['an ARN of another service', said({ ...role, Arn: role.Arn.replace(':sts:', ':s3:') })],
  ['an ARN with a region', said({ ...role, Arn: role.Arn.replace(':sts::', ':sts:eu-west-1:') })],
  ['an ARN of two lines', said({ ...role, Arn: `${role.Arn}\n` })],
  ['a session of somebody else', said({ ...role, UserId: 'AROAEXAMPLE0000000001:other' })],
  ['a unique ID without its session', said({ ...role, UserId: 'AROAEXAMPLE0000000001' })],
  ['an account twice', said(role).replace('"Arn"', '"Account":"210987654321","Arn"')],
])('an answer that holds %s is malformed', (_, text) => {
  expect(() => readCallerIdentity(answer(text))).toThrow(expect.objectContaining({ code: 'malformed' }))
})

const problem = (code: string) =>
  JSON.stringify({ Error: { Code: code, Message: 'secret', Type: 'Sender' }, RequestId: 'r' })

describe('an answer that is none', () => {
  test.each([
    [
      'a signature that does not match',
      403,
      problem('SignatureDoesNotMatch'),
      'proof_rejected',
      '403 SignatureDoesNotMatch',
    ],
    ['a key that there is not', 403, problem('InvalidClientTokenId'), 'proof_rejected', '403 InvalidClientTokenId'],
    ['a token that has expired', 403, problem('ExpiredToken'), 'proof_rejected', '403 ExpiredToken'],
    ['a request that is too old', 400, problem('RequestExpired'), 'proof_rejected', '400 RequestExpired'],
    ['a 403 without words', 403, '', 'proof_rejected', '403'],
    ['a 400 without words', 400, '<html>', 'upstream_failed', '400'],
    ['a code that is a text', 400, problem('a b\nc'), 'upstream_failed', '400'],
    ['throttling', 400, problem('Throttling'), 'upstream_failed', '400 Throttling'],
    [
      'throttling that looks like a no',
      403,
      problem('ThrottlingException'),
      'upstream_failed',
      '403 ThrottlingException',
    ],
    ['too many', 429, problem('TooManyRequestsException'), 'upstream_failed', '429 TooManyRequestsException'],
    ['a page that is not there', 404, problem('InvalidAction'), 'upstream_failed', '404 InvalidAction'],
    ['an error of theirs', 500, problem('InternalFailure'), 'upstream_failed', '500 InternalFailure'],
    ['no content', 204, '', 'upstream_failed', '204'],
  ])('%s', (_, status, text, code, reason) => {
    const read = () => readCallerIdentity(answer(text, status, { 'x-amzn-requestid': 'abc-1' }))
    expect(read).toThrow(
      expect.objectContaining({ code, reason: expect.stringContaining(`${reason} (request abc-1)`) }),
    )
    expect(read).not.toThrow(expect.objectContaining({ reason: expect.stringContaining('secret') }))
  })

  test.each([
    ['7', 7],
    ['0', 1],
    ['86400', 60],
    ['soon', undefined],
    ['Wed, 21 Oct 2026 07:28:00 GMT', undefined],
    ['-1', undefined],
  ])('asks to come again after %s: %s', (header, retryAfterSeconds) => {
    expect(() => readCallerIdentity(answer('', 503, { 'retry-after': header }))).toThrow(
      expect.objectContaining({ code: 'upstream_failed', retryAfterSeconds }),
    )
  })
})

describe('asking', () => {
  function askerOf(...answers: readonly (HttpAnswer | UpstreamErrorCode)[]) {
    const requests: HttpRequest[] = []
    const ask = createCallerIdentityAsker({
      request: async (wanted) => {
        const next = answers[requests.push(wanted) - 1] ?? 'timeout'
        if (typeof next === 'string') throw new UpstreamError(next, 'sts failed')
        return next
      },
    })
    return { requests, ask: () => ask(identity, 'https://id.example.org') }
  }

  test('is repeated once when the connection breaks', async () => {
    const { ask, requests } = askerOf('network', answer(said(role)))
    expect(await ask()).toMatchObject({ role: 'payments' })
    expect(requests[1]).toEqual(requests[0])
  })

  test.each([
    ['a connection that breaks again', ['network', 'network'], 2],
    ['no answer in time', ['timeout'], 1],
    ['no trust', ['tls'], 1],
    ['a redirect', ['redirect'], 1],
    ['an address that may not be reached', ['address'], 1],
    ['too much', ['too_large'], 1],
  ] as const)('ends with %s', async (_, codes, asked) => {
    const { ask, requests } = askerOf(...codes)
    await expect(ask()).rejects.toMatchObject({ name: 'Refusal', code: 'upstream_failed' })
    expect(requests).toHaveLength(asked)
  })

  test('a no is asked for once', async () => {
    const { ask, requests } = askerOf(answer(problem('SignatureDoesNotMatch'), 403))
    await expect(ask()).rejects.toMatchObject({ code: 'proof_rejected' })
    expect(requests).toHaveLength(1)
  })

  test('so many wait at once and no more, and those that come later are served', async () => {
    const { promise, resolve } = Promise.withResolvers<HttpAnswer>()
    const ask = createCallerIdentityAsker({ request: () => promise })
    const waiting = Array.from({ length: 64 }, () => ask(identity, 'a'))
    await expect(ask(identity, 'a')).rejects.toMatchObject({ code: 'overloaded' })
    resolve(answer(said(role)))
    expect(await Promise.all(waiting)).toHaveLength(64)
    expect(await ask(identity, 'a')).toMatchObject({ account })
  })
})
