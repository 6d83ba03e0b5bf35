import { expect, test } from 'vitest'
import { makeTestKey } from '../../support/certificate-authority.ts'
import { makeCsr } from '../../support/csr.ts'
import type { SubjectRequest } from '../../support/http-subject.ts'
import spiffeIds from '../../vectors/spiffe-id.json' with { type: 'json' }
import { api, bearer, type Json, json, post, type Run, refusalOf, requestIdOf, workload } from './asking.ts'

export function badInput(run: Run): void {
  const token = () => bearer(run().issuer.token())
  const ask = (body: unknown, headers: SubjectRequest['headers'] = token()) => post(run, '/v1/svid/jwt', body, headers)

  test.each<[string, unknown]>([
    ['nothing', ''],
    ['no JSON', '{"audience": ["a"]'],
    ['a list', []],
    ['text', '"audience"'],
    ['null', 'null'],
    ['a byte order mark', `\ufeff{"audience":["${api}"]}`],
    ['two members of one name', `{"audience":["${api}"],"audience":["https://db.example.org"]}`],
    ['two members of one name, one escaped', `{"audience":["${api}"],"\\u0061udience":["x"]}`],
    ['a member named __proto__', `{"audience":["${api}"],"__proto__":{}}`],
    ['JSON nested 10,000 deep', `{"audience":${'['.repeat(10_000)}${']'.repeat(10_000)}}`],
    ['objects nested 10,000 deep', '{"a":'.repeat(10_000)],
    ['half a surrogate pair', '{"audience":["\\ud800"]}'],
    ['no audience', {}],
    ['empty audience', { audience: [] }],
    ['audience of empty text', { audience: [''] }],
    ['audience that is text', { audience: api }],
    ['audience that is a number', { audience: [1] }],
    ['17 audiences', { audience: Array.from({ length: 17 }, (_, at) => `a${at}`) }],
    ['an audience of 2049 characters', { audience: ['a'.repeat(2049)] }],
    ['more audiences than the rule has', { audience: [api, 'https://db.example.org', 'c'] }],
    ['an unknown field', { audience: [api], sub: 'admin' }],
    ['ttl 0', { audience: [api], ttl_seconds: 0 }],
    ['a negative ttl', { audience: [api], ttl_seconds: -1 }],
    ['a fraction as ttl', { audience: [api], ttl_seconds: 1.5 }],
    ['a ttl that is text', { audience: [api], ttl_seconds: '60' }],
    ['a ttl beyond all numbers', `{"audience":["${api}"],"ttl_seconds":1e400}`],
    ['a ttl above the rule', { audience: [api], ttl_seconds: 301 }],
    ['a SPIFFE ID that is null', { audience: [api], spiffe_id: null }],
    ...spiffeIds.refused.map(([name = '', id]): [string, unknown] => [
      `a SPIFFE ID with ${name}`,
      { audience: [api], spiffe_id: id },
    ]),
    ['a SPIFFE ID of 2049 bytes', { audience: [api], spiffe_id: `spiffe://example.org/${'a'.repeat(2028)}` }],
  ])('refuses %s', async (_, body) => {
    const { status, code, detail, record } = await refusalOf(run, await ask(body))
    expect([status, code]).toEqual([400, 'malformed_request'])
    expect(detail).toEqual(expect.any(String))
    expect(record).toMatchObject({ operation: 'jwt_svid', decision: 'refused', code: 'malformed_request' })
  })

  test('what is malformed is said of fields, never with what the caller wrote there', async () => {
    const secret = 'planted-secret'
    for (const body of [
      { audience: [api], [secret]: 1 },
      { audience: [api], spiffe_id: secret },
      { audience: [{ [secret]: secret }] },
      `{"audience": ${secret}}`,
      `{"audience": ["${secret}"`,
    ]) {
      const answer = await ask(body)
      const text = await answer.clone().text()
      const { record } = await refusalOf(run, answer)
      expect(text + JSON.stringify(record)).not.toContain(secret)
    }
  })

  test('bytes that are not UTF-8 are refused', async () => {
    const body = Buffer.concat([Buffer.from('{"audience":["'), Buffer.of(0xff), Buffer.from('"]}')])
    const answer = await run().fetch('/v1/svid/jwt', { method: 'POST', headers: { ...json, ...token() }, body })
    expect(await refusalOf(run, answer)).toMatchObject({ status: 400, detail: 'the body is not UTF-8' })
  })

  test.each([
    ['/v1/svid/jwt', 'text/plain'],
    ['/v1/svid/jwt', 'application/x-www-form-urlencoded'],
    ['/v1/svid/jwt', 'application/jsonx'],
    ['/v1/svid/x509', 'application/pkcs10'],
    ['/v1/svids', 'multipart/form-data; boundary=a'],
  ])('%s does not take %s', async (path, type) => {
    const answer = await post(run, path, '{}', { ...token(), 'content-type': type })
    expect(await refusalOf(run, answer)).toMatchObject({ status: 415, code: 'unsupported_media_type' })
  })

  test.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON'])('takes %s', async (type) => {
    const answer = await ask({ audience: [api] }, { ...token(), 'content-type': type })
    expect(answer.status).toBe(200)
  })

  test('a body of 128 KiB is read, one of a byte more is not', async () => {
    const padded = (bytes: number) => JSON.stringify({ audience: [api] }).padEnd(bytes, ' ')
    expect((await ask(padded(128 * 1024))).status).toBe(200)
    const { status, code, record } = await refusalOf(run, await ask(padded(128 * 1024 + 1)))
    expect([status, code]).toEqual([413, 'too_large'])
    expect(record?.code).toBe('too_large')
  })

  test('a certificate request that is cut off is refused at each byte', async () => {
    const der = makeCsr(workload.key)
    for (let end = 0; end < der.length; end += 100) {
      const cut = Array.from({ length: Math.min(100, der.length - end) }, (_, at) => ({
        x509: { csr: der.subarray(0, end + at).toString('base64') || 'A' },
      }))
      const answer = await post(run, '/v1/svids', { requests: cut }, token())
      const { results } = (await answer.json()) as { readonly results: readonly Json[] }
      expect(results.map(({ code }) => code)).toEqual(cut.map(() => 'malformed_request'))
      const records = await run().recordsOf(requestIdOf(answer))
      expect(records.map(({ code }) => code)).toEqual(cut.map(() => 'malformed_request'))
    }
  })

  test.each([
    ['a wrong signature', () => makeCsr(workload.key, makeTestKey()), 'certificate_request_signature'],
    ['a key of 1024 bits', () => makeCsr(makeTestKey('RSA-1024')), 'certificate_key'],
    ['an unknown curve', () => makeCsr(makeTestKey('secp256k1')), 'certificate_key'],
    ['a byte more', () => Buffer.concat([makeCsr(workload.key), Buffer.of(0)]), 'certificate_request'],
    ['too many bytes', () => Buffer.alloc(20_000, 0x30), 'certificate_request'],
  ])('refuses a certificate request with %s', async (_, make, code) => {
    const answer = await post(run, '/v1/svid/x509', { csr: make().toString('base64') }, token())
    const { status, detail, record } = await refusalOf(run, answer)
    expect(status).toBe(400)
    expect(detail).toContain(`csr: ${code}`)
    expect(record).toMatchObject({ operation: 'x509_svid', code: 'malformed_request', authenticator: 'ci' })
  })
}
