import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as z from 'zod'
import { audienceField, readJsonBody, requireMediaType, spiffeIdField, ttlField } from '../../src/http/body.ts'

const schema = z.strictObject({
  audience: audienceField,
  spiffe_id: spiffeIdField.optional(),
  ttl_seconds: ttlField.optional(),
  more: z.array(z.strictObject({ a: z.number() })).optional(),
})

const refusal = (detail: string | RegExp) =>
  expect.objectContaining({
    name: 'Refusal',
    code: 'malformed_request',
    detail: typeof detail === 'string' ? detail : expect.stringMatching(detail),
  })

test('reads a body that fits', () => {
  const body = { audience: ['a'], spiffe_id: 'spiffe://example.org/a', ttl_seconds: 60 }
  expect(readJsonBody(JSON.stringify(body), schema)).toEqual(body)
})

test.each([
  ['', 'the body is not JSON (not JSON)'],
  ['{"audience":["a"],"audience":["b"]}', 'the body is not JSON (a member name is repeated)'],
  [`{"a":${'['.repeat(40)}${']'.repeat(40)}}`, 'the body is not JSON (nested too deeply)'],
  ['[]', /^the body: /],
  ['{}', /^audience: /],
  ['{"audience":[]}', /^audience: /],
  ['{"audience":[1]}', /^audience\[0\]: /],
  ['{"audience":["a"],"spiffe_id":"spiffe://A"}', 'spiffe_id: expected a SPIFFE ID'],
  ['{"audience":["a"],"ttl_seconds":0}', /^ttl_seconds: /],
  ['{"audience":["a"],"ttl_seconds":99999999999}', /^ttl_seconds: /],
  ['{"audience":["a"],"secret":1}', 'unknown field in the body'],
  ['{"audience":["a"],"more":[{"a":1,"secret":2}]}', 'unknown field in more[0]'],
  ['{"audience":["a"],"more":[{"a":"secret"}]}', /^more\[0\]\.a: /],
])('refuses %s and names the field', (text, detail) => {
  expect(() => readJsonBody(text, schema)).toThrow(refusal(detail))
})

test('of any body only names of ours are repeated', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.stringMatching(/^[a-z]{12}$/), (value, secret) => {
      const text = JSON.stringify({ [secret]: value, audience: [{ [secret]: secret }], spiffe_id: secret })
      try {
        readJsonBody(text, schema)
        expect.unreachable()
      } catch (error) {
        expect(error).toEqual(refusal(/./))
        const { detail, reason, message } = error as { detail: string; reason: string; message: string }
        expect(`${detail} ${reason} ${message}`).not.toContain(secret)
      }
    }),
  )
})

test.each(['application/json', 'APPLICATION/JSON', 'application/json;charset=utf-8', ' application/json ; a=b'])(
  'takes the media type %s',
  (type) => {
    expect(() => requireMediaType(type, 'application/json')).not.toThrow()
  },
)

test.each([undefined, '', 'text/json', 'application/jsonp', 'application/json, text/plain'])(
  'refuses the media type %s',
  (type) => {
    expect(() => requireMediaType(type, 'application/json')).toThrow(
      expect.objectContaining({ code: 'unsupported_media_type' }),
    )
  },
)
