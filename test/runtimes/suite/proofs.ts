import { beforeAll, expect, test } from 'vitest'
import { type BadProof, badProofs } from '../../support/bad-proofs.ts'
import { anyIssuer, api, bearer, jsonOf, post, type Run, refusalOf, requestIdOf } from './asking.ts'

export function proofs(run: Run): void {
  const table = badProofs(anyIssuer).map(({ name }, index) => [name, index] as const)

  let made: readonly BadProof[] = []
  beforeAll(() => {
    made = badProofs(run().issuer)
  })

  test.each(table)('refuses %s on each route, and only the record says why', async (_, index) => {
    const proof = made[index]
    if (proof === undefined) throw new Error('the table has another length')
    const answers = [
      await post(run, '/v1/svid/jwt', { audience: [api] }, proof.headers),
      await run().fetch('/v1/identities', { headers: { ...proof.headers } }),
    ]
    for (const [at, answer] of answers.entries()) {
      const { status, code, record } = await refusalOf(run, answer)
      expect([status, code]).toEqual([401, 'proof_rejected'])
      expect(record).toMatchObject({
        operation: at === 0 ? 'jwt_svid' : 'identities',
        decision: 'refused',
        code: 'proof_rejected',
        reason:
          typeof proof.reason === 'string'
            ? expect.stringContaining(proof.reason)
            : expect.stringMatching(proof.reason),
        document: expect.stringMatching(/^[0-9a-f]{64}$/),
      })
      expect(record?.spiffe_id).toBeUndefined()
    }
  })

  test('all refusals of a proof look alike from outside', async () => {
    const spent = await run().joinToken()
    await post(run, '/v1/svid/jwt', { audience: [api] }, bearer(spent.token))
    const revoked = await run().joinToken()
    await run().revokeJoinToken(revoked.id)
    const more = [spent.token, revoked.token].map((token) => ({ headers: bearer(token) }))

    const seen = new Set<string>()
    for (const { headers } of [...made, ...more])
      seen.add(await appearance(await post(run, '/v1/svid/jwt', { audience: [api] }, headers)))
    expect([...seen]).toEqual([
      JSON.stringify({
        status: 401,
        headers: [
          ['cache-control', 'no-store'],
          ['content-length', '148'],
          ['content-type', 'application/problem+json'],
          ['www-authenticate', 'Bearer'],
          ['x-request-id', '*'],
        ],
        body: {
          type: 'about:blank',
          title: 'The proof of identity was not accepted',
          status: 401,
          code: 'proof_rejected',
          request_id: '*',
        },
      }),
    ])
  })

  test('a scheme has no case', async () => {
    const headers = { authorization: `bEARER   ${run().issuer.token()}` }
    expect((await run().fetch('/v1/identities', { headers })).status).toBe(200)
  })

  test('the name of its own authenticator changes nothing', async () => {
    const headers = { ...bearer(run().issuer.token()), 'apostille-authenticator': 'ci' }
    expect((await run().fetch('/v1/identities', { headers })).status).toBe(200)
  })

  test('a proof without an identity is told so, as it is no secret of ours', async () => {
    const answer = await post(run, '/v1/svid/jwt', { audience: [api] }, bearer(run().issuer.token({ sub: 'nobody' })))
    const { status, code, record } = await refusalOf(run, answer)
    expect([status, code]).toEqual([403, 'not_entitled'])
    expect(record).toMatchObject({
      authenticator: 'ci',
      attributes: { subject: 'nobody' },
      code: 'not_entitled',
      reason: expect.stringContaining('no identity rule'),
    })
  })

  test('lists the identities of a proof, with hint, audiences and TTLs', async () => {
    const { token } = await run().joinToken()
    const answer = await run().fetch('/v1/identities', { headers: bearer(token) })
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(await answer.json()).toEqual({
      items: [
        {
          spiffe_id: 'spiffe://example.org/vm/one',
          hint: 'machine',
          audiences: [api, 'https://id.example.org/elsewhere'],
          dns_names: ['one.vm.example.org'],
          x509_ttl_seconds: 3600,
          jwt_ttl_seconds: 300,
        },
      ],
      next: null,
    })
  })

  test('a JWT-SVID of ours tells who it is and gets nothing else, on no route', async () => {
    const { token } = await run().joinToken(20)
    const ask = (audience: string) => post(run, '/v1/svid/jwt', { audience: [audience] }, bearer(token))
    expect((await refusalOf(run, await ask('https://id.example.org'))).record).toMatchObject({ code: 'not_entitled' })

    const other = String((await jsonOf(await ask(api))).token)
    const { status, record } = await refusalOf(run, await run().fetch('/v1/identities', { headers: bearer(other) }))
    expect(status).toBe(401)
    expect(record?.reason).toContain('the SVID is not accepted')
  })
}

/** All that a caller can tell one answer from another by. */
async function appearance(answer: Response): Promise<string> {
  const id = requestIdOf(answer)
  const text = (await answer.text()).replaceAll(id, '*')
  const headers = new Map([...answer.headers].filter(([name]) => !['date', 'connection', 'keep-alive'].includes(name)))
  headers.set('x-request-id', '*')
  if (!headers.has('content-length')) headers.set('content-length', String(text.length - 1 + id.length))
  return JSON.stringify({ status: answer.status, headers: [...headers].sort(), body: JSON.parse(text) })
}
