import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { api, bearer, type Json, jsonOf, post, type Run } from './asking.ts'

export function publishedDocuments(run: Run): void {
  const paths = ['/.well-known/openid-configuration', '/keys', '/v1/bundle', '/v1/bundle?format=pem']

  test('discovery has every member that AWS, Azure and Google ask for', async () => {
    const answer = await run().fetch('/.well-known/openid-configuration')
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(await answer.json()).toMatchObject({
      issuer: 'https://id.example.org',
      jwks_uri: 'https://id.example.org/keys',
      authorization_endpoint: expect.any(String),
      token_endpoint: 'https://id.example.org/token',
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256', 'RS256'],
      claims_supported: expect.arrayContaining(['sub', 'aud', 'iss', 'exp', 'iat']),
    })
  })

  test('/keys has the key of a token, for signatures only', async () => {
    const issued = await jsonOf(await post(run, '/v1/svid/jwt', { audience: [api] }, bearer(run().issuer.token())))
    const header = JSON.parse(Buffer.from(String(issued.token).split('.')[0] ?? '', 'base64url').toString())
    const { keys } = (await (await run().fetch('/keys')).json()) as { readonly keys: readonly Json[] }
    expect(keys.find(({ kid }) => kid === header.kid)).toMatchObject({ use: 'sig', alg: 'ES256', kty: 'EC' })
    expect(keys.map(({ use }) => use)).not.toContain('x509-svid')
    expect(keys.flatMap((key) => Object.keys(key)).filter((name) => ['d', 'p', 'q', 'k'].includes(name))).toEqual([])
  })

  test('the bundle has X.509 and JWT authorities, a sequence number and a refresh hint', async () => {
    const bundle = await jsonOf(await run().fetch('/v1/bundle'))
    const uses = (bundle.keys as readonly Json[]).map(({ use }) => use)
    expect(new Set(uses)).toEqual(new Set(['x509-svid', 'jwt-svid']))
    expect(bundle.spiffe_sequence).toBeGreaterThan(1_700_000_000)
    expect(bundle.spiffe_refresh_hint).toBe(300)
    const pem = await (await run().fetch('/v1/bundle?format=pem')).text()
    expect(new X509Certificate(pem).subjectAltName).toBe('URI:spiffe://example.org')
  })

  test.each(paths)('%s can be cached by everybody, and asked whether it changed', async (path) => {
    const whole = await run().fetch(path)
    const etag = whole.headers.get('etag') ?? ''
    expect(whole.status).toBe(200)
    expect(etag).toMatch(/^"[\w-]{20,}"$/)
    expect(whole.headers.get('cache-control')).toBe('public, max-age=300')
    expect(whole.headers.get('access-control-allow-origin')).toBe('*')
    for (const asked of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const answer = await run().fetch(path, { headers: { 'if-none-match': asked } })
      expect([answer.status, answer.headers.get('etag'), await answer.text()]).toEqual([304, etag, ''])
      expect(answer.headers.get('cache-control')).toBe('public, max-age=300')
    }
    expect((await run().fetch(path, { headers: { 'if-none-match': '"other"' } })).status).toBe(200)
  })

  test.each(paths)('%s answers HEAD as GET, without its body', async (path) => {
    const [get, head] = await Promise.all([run().fetch(path), run().fetch(path, { method: 'HEAD' })])
    expect([head.status, await head.text()]).toEqual([200, ''])
    for (const name of ['etag', 'cache-control', 'content-type', 'access-control-allow-origin'])
      expect(head.headers.get(name)).toBe(get.headers.get(name))
  })

  test.each(paths.slice(0, 3))('%s lets scripts of other origins ask', async (path) => {
    const answer = await run().fetch(path, { method: 'OPTIONS', headers: { origin: 'https://x.example' } })
    expect(answer.status).toBe(204)
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    expect(answer.headers.get('access-control-allow-methods')).toBe('GET, HEAD, OPTIONS')
  })

  test('a format that there is not is said to be none', async () => {
    const answer = await run().fetch('/v1/bundle?format=der')
    expect([answer.status, (await jsonOf(answer)).code]).toEqual([400, 'malformed_request'])
  })
}
