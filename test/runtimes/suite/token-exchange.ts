import { expect, test } from 'vitest'
import { badProofs } from '../../support/bad-proofs.ts'
import type { SubjectRequest } from '../../support/http-subject.ts'
import { api, claimsOf, exchange, jsonOf, jwtType, post, type Run, requestIdOf } from './asking.ts'

export function tokenExchange(run: Run): void {
  const form = (changes: Readonly<Record<string, string | readonly string[] | undefined>> = {}) => {
    const fields = {
      grant_type: exchange,
      subject_token: run().issuer.token(),
      subject_token_type: jwtType,
      audience: api,
      ...changes,
    }
    return new URLSearchParams(
      Object.entries(fields).flatMap(([name, value]) =>
        [value ?? []].flat().map((one): [string, string] => [name, one]),
      ),
    ).toString()
  }
  const ask = (body: string, headers: SubjectRequest['headers'] = {}) =>
    post(run, '/token', body, { 'content-type': 'application/x-www-form-urlencoded', ...headers })

  test('a token goes in and a JWT-SVID comes out', async () => {
    const answer = await ask(form())
    expect(answer.status).toBe(200)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('pragma')).toBe('no-cache')
    const body = await jsonOf(answer)
    expect(body).toEqual({
      access_token: expect.any(String),
      issued_token_type: jwtType,
      token_type: 'N_A',
      expires_in: expect.any(Number),
    })
    expect(body.expires_in).toBeGreaterThan(290)
    expect(claimsOf(body.access_token)).toMatchObject({ sub: 'spiffe://example.org/ci/build', aud: api })
    expect(await run().recordsOf(requestIdOf(answer))).toMatchObject([{ operation: 'jwt_svid', decision: 'granted' }])
  })

  test('takes a join token, several audiences, our own spiffe_id, and what it does not know', async () => {
    const { token } = await run().joinToken()
    expect((await ask(form({ subject_token: token }))).status).toBe(200)
    const audience = [api, 'https://db.example.org']
    const two = await jsonOf(await ask(form({ audience, scope: 'openid', resource: 'https://x', foo: ['a', 'b'] })))
    expect(claimsOf(two.access_token).aud).toEqual(audience)
    const named = await jsonOf(await ask(form({ spiffe_id: 'spiffe://example.org/build', audience: 'builders' })))
    expect(claimsOf(named.access_token).sub).toBe('spiffe://example.org/build')
  })

  const rows: [string, () => string, number, string, string][] = [
    ['no grant type', () => form({ grant_type: undefined }), 400, 'invalid_request', 'malformed_request'],
    [
      'another grant type',
      () => form({ grant_type: 'client_credentials' }),
      400,
      'unsupported_grant_type',
      'malformed_request',
    ],
    ['no subject token', () => form({ subject_token: undefined }), 400, 'invalid_request', 'malformed_request'],
    ['no type of it', () => form({ subject_token_type: undefined }), 400, 'invalid_request', 'malformed_request'],
    [
      'another type of it',
      () => form({ subject_token_type: 'urn:ietf:params:oauth:token-type:saml2' }),
      400,
      'invalid_request',
      'malformed_request',
    ],
    [
      'another type to be issued',
      () => form({ requested_token_type: 'urn:ietf:params:oauth:token-type:access_token' }),
      400,
      'invalid_request',
      'malformed_request',
    ],
    ['no audience', () => form({ audience: undefined }), 400, 'invalid_request', 'malformed_request'],
    [
      'an actor',
      () => form({ actor_token: 'a', actor_token_type: jwtType }),
      400,
      'invalid_request',
      'malformed_request',
    ],
    [
      'a repeated grant type',
      () => form({ grant_type: [exchange, exchange] }),
      400,
      'invalid_request',
      'malformed_request',
    ],
    ['a repeated subject token', () => `${form()}&subject_token=x`, 400, 'invalid_request', 'malformed_request'],
    ['a repeated spiffe_id', () => `${form()}&spiffe_id=a&spiffe_id=b`, 400, 'invalid_request', 'malformed_request'],
    ['no SPIFFE ID', () => form({ spiffe_id: 'spiffe://example.org/a/' }), 400, 'invalid_request', 'malformed_request'],
    [
      'more audiences than the rule has',
      () => form({ audience: ['a', 'b', 'c'] }),
      400,
      'invalid_request',
      'malformed_request',
    ],
    ['nothing', () => '', 400, 'invalid_request', 'malformed_request'],
    ['JSON', () => JSON.stringify({ grant_type: exchange }), 400, 'invalid_request', 'malformed_request'],
    [
      'an audience that nothing grants',
      () => form({ audience: 'https://else.example' }),
      400,
      'invalid_target',
      'not_entitled',
    ],
    [
      'an identity of others',
      () => form({ spiffe_id: 'spiffe://example.org/x' }),
      400,
      'invalid_target',
      'not_entitled',
    ],
    [
      'a subject without identity',
      () => form({ subject_token: run().issuer.token({ sub: 'nobody' }) }),
      400,
      'invalid_target',
      'not_entitled',
    ],
    [
      'an expired subject token',
      () => form({ subject_token: run().issuer.token({ exp: 1 }) }),
      400,
      'invalid_request',
      'proof_rejected',
    ],
    ['no token at all', () => form({ subject_token: 'x' }), 400, 'invalid_request', 'proof_rejected'],
    [
      'a token of 17 KiB',
      () => form({ subject_token: run().issuer.token({ pad: 'a'.repeat(13_000) }) }),
      400,
      'invalid_request',
      'proof_rejected',
    ],
    ['a body above 128 KiB', () => form({ pad: 'a'.repeat(128 * 1024) }), 413, 'invalid_request', 'too_large'],
  ]
  test.each(rows)('refuses %s as RFC 6749 says', async (_, make, status, error, code) => {
    const answer = await ask(make())
    const body = await jsonOf(answer)
    expect([answer.status, body.error]).toEqual([status, error])
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('www-authenticate')).toBeNull()
    expect(body.request_id).toBe(requestIdOf(answer))
    expect(Object.keys(body)).toEqual(
      code === 'malformed_request' ? ['error', 'error_description', 'request_id'] : ['error', 'request_id'],
    )
    expect(await run().recordsOf(requestIdOf(answer))).toMatchObject([
      { operation: 'jwt_svid', decision: 'refused', code },
    ])
  })

  test('client authentication is refused, not ignored', async () => {
    const answer = await ask(form(), { authorization: 'Basic YTpi' })
    expect([answer.status, (await jsonOf(answer)).error]).toEqual([400, 'invalid_request'])
  })

  test('the body is a form and nothing else', async () => {
    const answer = await post(run, '/token', JSON.stringify({ grant_type: exchange }))
    expect([answer.status, (await jsonOf(answer)).error]).toEqual([400, 'invalid_request'])
    expect(await run().recordsOf(requestIdOf(answer))).toMatchObject([{ code: 'unsupported_media_type' }])
  })

  test('all refusals of a subject token look alike', async () => {
    const seen = new Set<string>()
    for (const { headers } of badProofs(run().issuer)) {
      const token = headers.authorization?.replace(/^Bearer /, '')
      if (token === undefined || headers['apostille-authenticator'] !== undefined) continue
      const answer = await ask(form({ subject_token: token }))
      if (answer.status === 200) continue
      seen.add(JSON.stringify([answer.status, (await answer.text()).replace(requestIdOf(answer), '*')]))
    }
    expect([...seen]).toEqual([JSON.stringify([400, '{"error":"invalid_request","request_id":"*"}'])])
  })

  test('a JWT-SVID of ours is not exchanged for another', async () => {
    const { access_token } = await jsonOf(await ask(form()))
    const answer = await ask(form({ subject_token: String(access_token) }))
    expect([answer.status, (await jsonOf(answer)).error]).toEqual([400, 'invalid_request'])
  })
}
