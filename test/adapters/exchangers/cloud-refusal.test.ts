import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  buildCloudError,
  buildMalformedError,
  cleanText,
  readExpiresIn,
  readRetryAfter,
} from '../../../src/adapters/exchangers/cloud-refusal.ts'

const now = new Date('2026-11-23T12:00:00.000Z')
const answered = (status: number, headers: Readonly<Record<string, string>> = {}) => ({
  status,
  headers: new Headers(headers),
  text: '',
})
const base64Url = fc.stringMatching(/^[A-Za-z0-9_-]{30,60}$/)

test.each([
  ['lines', 'a\r\n\tb\u0000c', 'a b c'],
  ['what turns text around', 'a\u202eb\u2028c\u200bd', 'a b c d'],
  ['a token', 'no: eyJhbGciOiJFUzI1NiJ9.eyJhIjoxfQ.c2ln, sorry', 'no: [removed], sorry'],
  ['a token that is cut off', 'no: eyJhbGciOiJFUz', 'no: [removed]'],
  ['a token in a URL', 'a=eyJhbGciOiJFUzI1NiJ9%2EeyJhIjoxfQ&b=1', 'a=[removed]&b=1'],
  ['a long run', `x ${'a'.repeat(64)} y`, 'x [removed] y'],
  ['names and ARNs', 'arn:aws:iam::123456789012:role/payments of https://id.example.org', undefined],
  ['a SPIFFE ID', `spiffe://example.org/ns/${'a-b.'.repeat(10)}`, undefined],
  ['text of any script', 'Клиент не найден 客户', undefined],
])('of %s a line is left', (_, text, expected = text) => {
  expect(cleanText(text, [])).toBe(expected)
})

test('no piece of a secret is left that is long enough to tell something', () => {
  fc.assert(
    fc.property(
      fc.array(base64Url, { minLength: 3, maxLength: 3 }),
      fc.nat(30),
      fc.integer({ min: 12, max: 60 }),
      (parts, at, length) => {
        const secret = parts.join('.')
        const piece = secret.slice(at, at + length)
        const cleaned = cleanText(`it is '${piece}' which is wrong`, [secret])
        for (let start = 0; start + 12 <= piece.length; start++)
          if (cleaned.includes(piece.slice(start, start + 12))) return false
        return cleaned.startsWith("it is '") && cleaned.endsWith("' which is wrong")
      },
    ),
  )
})

test('a text of any size is at most 300 characters, and whole ones', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 5000 }), (text) => {
      const cleaned = cleanText(text, [])
      return cleaned.length <= 300 && cleaned.isWellFormed() && !/[\p{Cc}\u2028\u2029]/u.test(cleaned)
    }),
  )
  expect(cleanText('\u{1f600}'.repeat(500), [])).toMatch(/^(?:\u{1f600}){149}…$/u)
})

test.each([
  [null, undefined],
  ['5', 5],
  ['0', 1],
  ['999999', 3600],
  ['Mon, 23 Nov 2026 12:00:10 GMT', 10],
  ['Mon, 23 Nov 2026 11:00:00 GMT', 1],
  ['soon', undefined],
  ['-1', undefined],
  ['', undefined],
])('Retry-After %j is %j seconds', (value, expected) => {
  expect(readRetryAfter(value, now)).toBe(expected)
})

test.each([
  [3600, '2026-11-23T13:00:00.000Z'],
  [0.5, '2026-11-23T12:00:00.500Z'],
  [0, undefined],
  [-1, undefined],
  ['3600', undefined],
  [null, undefined],
  [Number.NaN, undefined],
  [1e300, undefined],
])('expires_in %j is %j', (value, expected) => {
  expect(readExpiresIn(value, now)?.toISOString()).toBe(expected)
})

const fixes = [
  { code: 'Busy', kind: 'throttled', fix: 'wait' },
  { code: 'No', says: /clock/, kind: 'expired_token', fix: 'set the clock' },
  { code: 'No', fix: 'ask somebody' },
] as const
const build = (code: string, text: string, answer = answered(400), requestId?: string) =>
  buildCloudError({ code, text, requestId }, { answer, fixes, secrets: ['s'.repeat(40)], now })

test.each([
  ['No', 'the clock', 400, 'expired_token', "it says 'the clock'; set the clock"],
  ['No', 'never', 400, 'refused', "it says 'never'; ask somebody"],
  ['No', '', 400, 'refused', 'it gives no reason; ask somebody'],
  ['Busy', 'x', 503, 'throttled', "it says 'x'; wait"],
  ['Other', 'x', 400, 'refused', "it says 'x'"],
  ['Other', 'x', 408, 'unreachable', "it says 'x'"],
  ['Other', 'x', 429, 'throttled', "it says 'x'"],
  ['Other', 'x', 502, 'unreachable', "it says 'x'"],
])('%s, %s with %i is %s', (code, text, status, kind, message) => {
  expect(build(code, text, answered(status))).toMatchObject({ kind, code, status, message })
})

test.each([
  ['a code with spaces', 'a b', 'unknown'],
  ['a code of a secret', 's'.repeat(40), 'unknown'],
  ['a long code', 'c'.repeat(65), 'unknown'],
  ['an empty code', '', 'unknown'],
])('%s is not told', (_, code, expected) => {
  expect(build(code, 'x').code).toBe(expected)
})

test('a request id that is none is left out, and so is Retry-After where trying again changes nothing', () => {
  expect(build('No', 'x', answered(400), 'a\nb').requestId).toBeUndefined()
  expect(build('No', 'x', answered(400), 'a-b').requestId).toBe('a-b')
  expect(build('No', 'x', answered(400, { 'retry-after': '5' })).retryAfterSeconds).toBeUndefined()
  expect(build('Busy', 'x', answered(400, { 'retry-after': '5' })).retryAfterSeconds).toBe(5)
})

test.each([
  [200, 'unreachable', 'malformed'],
  [403, 'unreachable', 'http_403'],
  [429, 'throttled', 'http_429'],
])('an answer that is none with %i is %s', (status, kind, code) => {
  const error = buildMalformedError('what is this', { answer: answered(status), requestId: 'a', now })
  expect(error).toMatchObject({ kind, code, status, requestId: 'a', message: 'what is this' })
})
