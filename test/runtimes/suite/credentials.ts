import { expect, test } from 'vitest'
import { anyIssuer, bearer, type Run, refusalOf } from './asking.ts'

/** The cloud of these targets is away: what is tested here is who gets as far as that. */
export function credentials(run: Run): void {
  const ask = (target: string, headers: Readonly<Record<string, string>>) =>
    run().fetch(`/v1/credentials/${target}`, { headers })

  test('a proof with a permit gets as far as the cloud, and the record says what it answered', async () => {
    const answer = await ask('away', bearer(run().issuer.token()))
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const records = await run().recordsOf(answer.headers.get('x-request-id') ?? '')
    expect(await answer.json()).toMatchObject({ status: 502, code: 'upstream_failed' })
    expect(records).toMatchObject([
      { operation: 'exchange_token', decision: 'granted', target: 'away', issued: { audience: ['sts.amazonaws.com'] } },
      {
        operation: 'exchange',
        decision: 'refused',
        code: 'upstream_failed',
        target: 'away',
        spiffe_id: 'spiffe://example.org/ci/build',
        reason: expect.stringContaining('target away: aws unreachable'),
      },
    ])
  })

  test.each([
    ['no permit', 'shut', 'build', 403, 'not_entitled', 'no policy permits it'],
    ['no such target', 'else', 'build', 403, 'not_entitled', "there is no target 'else'"],
    ['somebody whom no rule knows', 'away', 'nobody', 403, 'not_entitled', 'no identity rule gives'],
  ])('%s is refused with nothing said', async (_, target, subject, status, code, reason) => {
    const answer = await ask(target, bearer(run().issuer.token({ sub: subject })))
    const refusal = await refusalOf(run, answer)
    expect(refusal).toMatchObject({ status, code, detail: undefined })
    expect(refusal.record).toMatchObject({ operation: 'exchange', target, reason: expect.stringContaining(reason) })
  })

  test('a token may stand alone in Authorization, as SDKs of AWS send it, here and nowhere else', async () => {
    const token = run().issuer.token({ sub: 'build' })
    const here = await refusalOf(run, await ask('shut', { authorization: token }))
    expect(here.code).toBe('not_entitled')
    const elsewhere = await run().fetch('/v1/identities', { headers: { authorization: token } })
    expect((await refusalOf(run, elsewhere)).code).toBe('proof_rejected')
  })

  test.each([
    ['no proof', {}],
    ['another scheme', { authorization: 'Basic a' }],
    ['a forged token', { authorization: `${anyIssuer.token()}x` }],
  ])('%s is no proof', async (_, headers) => {
    const { status, code } = await refusalOf(run, await ask('away', headers))
    expect([status, code]).toEqual([401, 'proof_rejected'])
  })

  test('the identity may be named, and nothing else asked', async () => {
    const proof = bearer(run().issuer.token({ sub: 'build' }))
    const named = await ask('shut?spiffe_id=spiffe%3A%2F%2Fexample.org%2Fbuild', proof)
    expect((await refusalOf(run, named)).record).toMatchObject({
      spiffe_id: 'spiffe://example.org/build',
      details: { requested_spiffe_id: 'spiffe://example.org/build' },
    })
    for (const query of ['role=x', 'spiffe_id=x', 'spiffe_id=spiffe://a/b&spiffe_id=spiffe://a/c']) {
      const { status, code } = await refusalOf(run, await ask(`away?${query}`, proof))
      expect([query, status, code]).toEqual([query, 400, 'malformed_request'])
    }
  })

  test.each(['', 'a%2Fb', '..%2Fkeys', 'a/b', '-a', 'a'.repeat(64)])('%j is the name of no target', async (name) => {
    const answer = await ask(name, bearer(run().issuer.token()))
    expect(answer.status).toBe(404)
  })

  test('it is for reading only', async () => {
    const answer = await run().fetch('/v1/credentials/away', { method: 'POST' })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  })
}
