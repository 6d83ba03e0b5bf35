import { expect, test } from 'vitest'
import { api, bearer, claimsOf, json, jsonOf, post, type Run, requestIdOf } from './asking.ts'

export function routes(run: Run): void {
  test.each([
    ['GET', '/'],
    ['GET', '/v1'],
    ['GET', '/v1/svid'],
    ['POST', '/v1/svid/jwt/'],
    ['POST', '/v1/svid/JWT'],
    ['POST', '/V1/svid/jwt'],
    ['POST', '//v1/svid/jwt'],
    ['POST', '/v1//svid/jwt'],
    ['POST', '/v1/svid/%6awt'],
    ['POST', '/v1/svid/jwt%2f'],
    ['POST', '/v1/svid%2fjwt'],
    ['POST', '/v1/svid/jwt%00'],
    ['POST', '/v1/svid/jwt;a=b'],
    ['POST', '/__proto__'],
    ['POST', '/constructor'],
    ['GET', '/metrics'],
    ['GET', '/v1/records'],
    ['POST', '/v1/join-tokens'],
    ['GET', '/v1/authorities'],
    ['POST', '/v1/reload'],
  ])('%s %s is nothing', async (method, path) => {
    const answer = await run().fetch(path, { method, headers: { ...json, ...bearer(run().issuer.token()) } })
    expect(answer.status).toBe(404)
    expect(await answer.json()).toMatchObject({ type: 'about:blank', status: 404, code: 'not_found' })
    expect(await run().recordsOf(requestIdOf(answer))).toEqual([])
  })

  test.each([
    ['GET', '/v1/svid/jwt', 'POST'],
    ['PUT', '/v1/svid/jwt', 'POST'],
    ['DELETE', '/v1/svid/x509', 'POST'],
    ['OPTIONS', '/v1/svid/jwt', 'POST'],
    ['PATCH', '/v1/svids', 'POST'],
    ['GET', '/token', 'POST'],
    ['POST', '/v1/identities', 'GET, HEAD'],
    ['POST', '/keys', 'GET, OPTIONS, HEAD'],
    ['POST', '/v1/bundle', 'GET, OPTIONS, HEAD'],
    ['DELETE', '/livez', 'GET, HEAD'],
  ])('%s %s is not taken, and what is taken is said', async (method, path, allow) => {
    const answer = await run().fetch(path, { method })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, allow])
    expect((await jsonOf(answer)).code).toBe('method_not_allowed')
  })

  test.each(['/livez', '/readyz', '/readyz/documents'])(
    '%s says that all is well, to be asked again each time',
    async (path) => {
      const answer = await run().fetch(path)
      expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store'])
      expect(await answer.json()).toMatchObject({ status: 'ok' })
    },
  )

  test('each answer has a request id of its own, whatever the caller sends', async () => {
    const headers = { 'x-request-id': 'mine' }
    const ids = await Promise.all(
      ['/livez', '/keys', '/v1/identities', '/nowhere'].map(async (path) =>
        requestIdOf(await run().fetch(path, { headers })),
      ),
    )
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{24}$/)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('the query of a request for an SVID means nothing', async () => {
    const answer = await post(
      run,
      '/v1/svid/jwt?audience=x&spiffe_id=y',
      { audience: [api] },
      bearer(run().issuer.token()),
    )
    expect(answer.status).toBe(200)
    expect(claimsOf((await jsonOf(answer)).token).aud).toBe(api)
  })
}
