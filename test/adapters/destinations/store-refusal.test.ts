import { expect, test } from 'vitest'
import { spellingsOf } from '../../../src/adapters/destinations/push-check.ts'
import { buildStoreError, buildUnreadError, type StoreFix } from '../../../src/adapters/destinations/store-refusal.ts'
import type { HttpAnswer } from '../../../src/adapters/http-client.ts'
import type { SecretValue } from '../../../src/core/secret-destination.ts'

const now = new Date('2026-08-01T12:00:00Z')
const fixes: readonly StoreFix[] = [
  { code: 'Denied', says: /needs (\w+:\w+)/, kind: 'forbidden', fix: 'allow $1' },
  { code: 'Denied', kind: 'forbidden', fix: 'ask somebody' },
  { code: 'Odd', says: /needs (.*)/, fix: 'allow $1' },
]

function answerOf(status: number, headers: Record<string, string> = {}): HttpAnswer {
  return { status, headers: new Headers(headers), text: '' }
}

function build(code: string, text: string, status = 400, secrets: readonly string[] = [], headers = {}) {
  return buildStoreError({ code, text, requestId: 'id-1' }, { answer: answerOf(status, headers), fixes, secrets, now })
}

test('it is told in the cloud’s words, with what to do and how the cloud calls the request', () => {
  const error = build('Denied', 'The role\r\nneeds store:Write.')
  expect(error).toMatchObject({
    kind: 'forbidden',
    code: 'Denied',
    status: 400,
    requestId: 'id-1',
    fix: 'allow store:Write',
  })
  expect(error.message).toBe("it says 'The role needs store:Write.'; allow store:Write")
})

test('what is taken from the text into the advice is a name', () => {
  expect(build('Odd', 'needs <script>').fix).toBe('allow what it names')
  expect(build('Odd', `needs ${'x'.repeat(101)}`).fix).toBe('allow what it names')
})

test.each([
  [401, 'forbidden'],
  [403, 'forbidden'],
  [404, 'refused'],
  [408, 'unreachable'],
  [409, 'conflict'],
  [413, 'too_large'],
  [429, 'throttled'],
  [500, 'unreachable'],
  [503, 'unreachable'],
])('a code that nobody knows counts by its status %i: %s', (status, kind) => {
  expect(build('Unheard', 'no', status).kind).toBe(kind)
})

test('how long to wait is told where waiting helps', () => {
  const headers = { 'retry-after': '7' }
  expect(build('Unheard', 'no', 503, [], headers).retryAfterSeconds).toBe(7)
  expect(build('Denied', 'no', 403, [], headers).retryAfterSeconds).toBeUndefined()
})

const values: readonly (readonly [string, SecretValue, string])[] = [
  ['a password', 'hunter2!', 'the value hunter2! is bad'],
  ['a short one', 'abc', 'the value "abc" is bad'],
  ['a part of a long one', `${'x'.repeat(500)}correct horse battery staple`, 'near "horse batt"'],
  ['its JSON spelling', '{"a":"line\nline"}', String.raw`bad: {\"a\":\"line\nline\"}`],
  [
    'its base64',
    Buffer.from([1, 2, 3, 250, 251, 252, 7, 8, 9]),
    `bad: ${Buffer.from([1, 2, 3, 250, 251, 252, 7, 8, 9]).toString('base64')}`,
  ],
  ['words of a dictionary', 'correct horse battery staple', 'it is "correct horse battery staple"'],
]

test.each(values)('a text that repeats %s is not told at all', (_, value, text) => {
  const error = build('Denied', text, 400, spellingsOf(value))
  expect(error.message).toBe('it answers Denied; ask somebody')
})

test('a word that is short enough to be a chance is told', () => {
  expect(build('Denied', 'no to it', 400, ['no']).message).toContain("'no to it'")
})

test('a token is never told', () => {
  const token = `eyJhbGciOiJSUzI1NiJ9.${'p4yl0ad'.repeat(20)}.s1gnature`
  for (const text of [`bad token ${token}`, `bad ${token.slice(30, 60)}`, `bad ${token.slice(0, 25)}`]) {
    const { message } = build('Denied', text, 401, [token])
    for (let at = 0; at + 12 < token.length; at += 4) expect(message).not.toContain(token.slice(at, at + 12))
  }
})

test('a code that is none is not told either', () => {
  expect(build('<b>x</b>', 'no').code).toBe('unknown')
  expect(build('<b>x</b>', '').message).toBe('it answers unknown')
})

test.each([
  [200, 'unreachable', 'malformed'],
  [403, 'unreachable', 'http_403'],
  [429, 'throttled', 'http_429'],
])('an answer with %i that is none of the cloud’s is to be tried again', (status, kind, code) => {
  const error = buildUnreadError('it answered something else', answerOf(status, { 'retry-after': '9' }), now)
  expect([error.kind, error.code, error.retryAfterSeconds]).toEqual([kind, code, 9])
})
