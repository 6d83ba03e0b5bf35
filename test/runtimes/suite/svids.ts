import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { makeCsr } from '../../support/csr.ts'
import { api, bearer, claimsOf, type Json, jsonOf, post, type Run, refusalOf, requestIdOf, workload } from './asking.ts'

export function svids(run: Run): void {
  test('a proof becomes a JWT-SVID, and its record names it', async () => {
    const answer = await post(run, '/v1/svid/jwt', { audience: [api], ttl_seconds: 60 }, bearer(run().issuer.token()))
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('content-type')).toBe('application/json')
    const issued = await jsonOf(answer)
    const claims = claimsOf(issued.token)
    expect(claims).toMatchObject({ iss: 'https://id.example.org', sub: 'spiffe://example.org/ci/build', aud: api })
    expect(new Date(String(issued.expires_at)).getTime()).toBe(claims.exp * 1000)
    expect(await run().recordsOf(requestIdOf(answer))).toMatchObject([
      {
        operation: 'jwt_svid',
        decision: 'granted',
        authenticator: 'ci',
        spiffe_id: issued.spiffe_id,
        rule: 'jobs',
        details: { requested_ttl_seconds: 60 },
        issued: { jti: claims.jti, audience: [api], expires_at: issued.expires_at },
      },
    ])
  })

  test('a proof becomes an X.509-SVID for the key of the request', async () => {
    const { token } = await run().joinToken()
    const answer = await post(run, '/v1/svid/x509', { csr: workload.csr }, bearer(token))
    const issued = await jsonOf(answer)
    const leaf = new X509Certificate(String(issued.certificates))
    expect(leaf.subjectAltName).toBe('URI:spiffe://example.org/vm/one, DNS:one.vm.example.org')
    expect(leaf.publicKey.export({ type: 'spki', format: 'der' }).equals(workload.key.publicKeyInfo)).toBe(true)
    expect(leaf.verify(new X509Certificate(String(issued.bundle)).publicKey)).toBe(true)
    const [record] = await run().recordsOf(requestIdOf(answer))
    expect(record?.issued?.serial_number).toBe(leaf.serialNumber.toLowerCase())
  })

  test('base64 of DER serves as well as PEM', async () => {
    const { token } = await run().joinToken()
    const csr = makeCsr(workload.key).toString('base64')
    expect((await post(run, '/v1/svid/x509', { csr }, bearer(token))).status).toBe(200)
  })

  test('of several identities the one that is asked for is given, else the first', async () => {
    const ask = async (spiffe_id?: string) => {
      const body = { audience: [spiffe_id?.endsWith('/build') ? 'builders' : api], spiffe_id }
      return post(run, '/v1/svid/jwt', body, bearer(run().issuer.token()))
    }
    expect((await jsonOf(await ask())).spiffe_id).toBe('spiffe://example.org/ci/build')
    expect((await jsonOf(await ask('spiffe://example.org/build'))).spiffe_id).toBe('spiffe://example.org/build')
    const { status, code, record } = await refusalOf(run, await ask('spiffe://example.org/other'))
    expect([status, code]).toEqual([403, 'not_entitled'])
    expect(record).toMatchObject({ details: { requested_spiffe_id: 'spiffe://example.org/other' } })
  })

  test('an audience that nothing grants is refused', async () => {
    const answer = await post(run, '/v1/svid/jwt', { audience: ['https://else.example'] }, bearer(run().issuer.token()))
    expect(await refusalOf(run, answer)).toMatchObject({ status: 403, code: 'not_entitled', detail: undefined })
  })
}

export function batches(run: Run): void {
  const jwt = (audience: readonly string[] = [api], more: Json = {}) => ({ jwt: { audience, ...more } })
  const x509 = (more: Json = {}) => ({ x509: { csr: workload.csr, ...more } })
  const ask = (requests: unknown, token = run().issuer.token()) => post(run, '/v1/svids', { requests }, bearer(token))

  test('answers each request in its place, refusals too, and records each', async () => {
    const answer = await ask([
      jwt(),
      jwt(['https://else.example']),
      x509(),
      jwt([api], { ttl_seconds: 86_400 }),
      x509({ csr: 'AAAA' }),
    ])
    const { results } = (await answer.json()) as { readonly results: readonly Json[] }
    const id = requestIdOf(answer)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(results).toMatchObject([
      { spiffe_id: 'spiffe://example.org/ci/build', token: expect.any(String) },
      { status: 403, code: 'not_entitled', request_id: id },
      {
        certificates: expect.stringContaining('BEGIN CERTIFICATE'),
        bundle: expect.stringContaining('BEGIN CERTIFICATE'),
      },
      { status: 400, code: 'malformed_request', detail: 'ttl_seconds: at most 300' },
      { status: 400, code: 'malformed_request', detail: expect.stringContaining('csr') },
    ])
    const records = await run().recordsOf(id)
    expect(records.map(({ operation, decision, code }) => [operation, decision, code])).toEqual([
      ['jwt_svid', 'granted', undefined],
      ['jwt_svid', 'refused', 'not_entitled'],
      ['x509_svid', 'granted', undefined],
      ['jwt_svid', 'refused', 'malformed_request'],
      ['x509_svid', 'refused', 'malformed_request'],
    ])
  })

  test('takes a hundred requests and not one more', async () => {
    const full = await ask(Array.from({ length: 100 }, () => jwt()))
    const { results } = (await full.json()) as { readonly results: readonly Json[] }
    expect(new Set(results.map(({ token }) => claimsOf(token).jti)).size).toBe(100)
    expect(await run().recordsOf(requestIdOf(full))).toHaveLength(100)
    expect(await refusalOf(run, await ask(Array.from({ length: 101 }, () => jwt())))).toMatchObject({ status: 400 })
  })

  test.each<[string, unknown]>([
    ['none', []],
    ['no list', {}],
    ['two kinds in one', [{ ...jwt(), ...x509() }]],
    ['no kind', [{}]],
    ['another kind', [{ ssh: {} }]],
    ['one that is malformed', [jwt(), jwt([])]],
    ['a field too many', [jwt([api], { admin: true })]],
  ])('refuses as a whole what says %s', async (_, requests) => {
    const { status, record } = await refusalOf(run, await ask(requests))
    expect(status).toBe(400)
    expect(record).toMatchObject({ operation: 'svids', code: 'malformed_request' })
  })

  test('a batch without a proof is one refusal', async () => {
    const answer = await post(run, '/v1/svids', { requests: [jwt(), x509()] })
    expect(await refusalOf(run, answer)).toMatchObject({ status: 401, code: 'proof_rejected' })
  })
}

export function joinTokens(run: Run): void {
  const ask = (token: string) => post(run, '/v1/svid/jwt', { audience: [api] }, bearer(token))

  test('asking for identities and being refused spend nothing, a grant does', async () => {
    const { token } = await run().joinToken()
    expect((await run().fetch('/v1/identities', { headers: bearer(token) })).status).toBe(200)
    expect((await post(run, '/v1/svid/jwt', { audience: ['https://else.example'] }, bearer(token))).status).toBe(403)
    expect((await post(run, '/v1/svid/x509', { csr: 'AAAA' }, bearer(token))).status).toBe(400)
    expect((await ask(token)).status).toBe(200)
    const { status, record } = await refusalOf(run, await ask(token))
    expect(status).toBe(401)
    expect(record?.reason).toMatch(/^join token [0-9a-f]{16} has no use left$/)
  })

  test('a batch is one use, one of refusals only is none', async () => {
    const { token } = await run().joinToken(2)
    const batch = (audience: string) =>
      post(
        run,
        '/v1/svids',
        { requests: Array.from({ length: 5 }, () => ({ jwt: { audience: [audience] } })) },
        bearer(token),
      )
    expect((await batch('https://else.example')).status).toBe(200)
    expect((await batch(api)).status).toBe(200)
    expect((await batch(api)).status).toBe(200)
    expect((await batch(api)).status).toBe(401)
  })

  test.each([
    [2, 1],
    [50, 1],
    [50, 7],
  ])('of %i requests at once on %i uses, so many are granted', async (requests, uses) => {
    const { token } = await run().joinToken(uses)
    const answers = await Promise.all(Array.from({ length: requests }, () => ask(token)))
    const granted = answers.filter(({ status }) => status === 200)
    expect(granted).toHaveLength(uses)
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(requests - uses)
    const records = (await Promise.all(answers.map((answer) => run().recordsOf(requestIdOf(answer))))).flat()
    expect(records.filter(({ decision }) => decision === 'granted')).toHaveLength(uses)
    expect(records.filter(({ code }) => code === 'proof_rejected')).toHaveLength(requests - uses)
  })

  test('a revoked one is refused', async () => {
    const { token, id } = await run().joinToken(5)
    expect((await ask(token)).status).toBe(200)
    await run().revokeJoinToken(id)
    const { status, record } = await refusalOf(run, await ask(token))
    expect(status).toBe(401)
    expect(record?.reason).toContain(`join token ${id} was revoked`)
  })
}
