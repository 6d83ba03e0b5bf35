import { expect, test } from 'vitest'
import type { Fetch } from '../../src/sdk/ask.ts'
import { createJwtSource } from '../../src/sdk/jwt-source.ts'

const audience = 'https://api.example.org'

/** A gateway whose tokens live for an hour, and which fails in the way it is told to. */
function world() {
  const state = { nowMs: Date.UTC(2026, 11, 1), count: 0, failure: undefined as number | 'away' | undefined }
  const asked: unknown[] = []
  const fetch: Fetch = async (_url, { body, headers }) => {
    asked.push([JSON.parse(String(body)), headers['authorization']])
    if (state.failure === 'away') throw new TypeError('fetch failed')
    if (state.failure !== undefined)
      return Response.json({ title: 'No', code: 'not_entitled' }, { status: state.failure })
    const expires = new Date(state.nowMs + 3_600_000).toISOString()
    return Response.json({ spiffe_id: 'spiffe://example.org/web', token: `t${++state.count}`, expires_at: expires })
  }
  let token = async () => 'the-proof'
  const source = createJwtSource({
    server: 'https://id.example.org',
    token: () => token(),
    fetch,
    deadlineMs: 100,
    now: () => new Date(state.nowMs),
  })
  const proof = (next: () => Promise<string>) => {
    token = next
  }
  const tokenOf = async () => (await source.get(audience)).token
  return { state, asked, source, proof, tokenOf }
}

/** Fresh no longer, and good for some time. */
const later = 50 * 60_000

test('one is used again until it is no longer fresh, each audience has its own', async () => {
  const { state, asked, source, tokenOf } = world()
  expect([await tokenOf(), await tokenOf()]).toEqual(['t1', 't1'])
  expect((await source.get({ audience: 'https://db.example.org' })).token).toBe('t2')
  state.nowMs += later
  expect(await tokenOf()).toBe('t3')
  expect(asked[0]).toEqual([{ audience: [audience] }, 'Bearer the-proof'])
})

test.each<[string, (given: ReturnType<typeof world>) => unknown]>([
  ['the gateway is away', ({ state }) => Object.assign(state, { failure: 'away' })],
  ['the proof is not to be had', ({ proof }) => proof(() => Promise.reject(new Error('no metadata service')))],
])('while %s what is left of the last one serves, until a minute before its end', async (_, fail) => {
  const given = world()
  expect(await given.tokenOf()).toBe('t1')
  fail(given)
  given.state.nowMs += later
  expect(await given.tokenOf()).toBe('t1')
  given.state.nowMs += 9.5 * 60_000
  await expect(given.tokenOf()).rejects.toMatchObject({ name: 'ApostilleError' })
})

test('a refusal is heeded at once', async () => {
  const { state, tokenOf } = world()
  await tokenOf()
  state.nowMs += later
  state.failure = 403
  await expect(tokenOf()).rejects.toMatchObject({ code: 'not_entitled' })
  state.nowMs -= later
  await expect(tokenOf()).rejects.toMatchObject({ code: 'not_entitled' })
})

test('its fetch shows the token, and leaves the rest of the request as it is', async () => {
  const { source } = world()
  const sent: Request[] = []
  const fetch = source.fetchAs(audience, async (input, init) => {
    sent.push(new Request(input, init))
    return new Response()
  })
  await fetch('https://api.example.org/x', { method: 'POST', body: 'b', headers: { 'x-a': '1', authorization: 'old' } })
  await fetch(new Request('https://api.example.org/y', { headers: { 'x-b': '2' } }))
  expect(sent.map(({ method, url }) => [method, url])).toEqual([
    ['POST', 'https://api.example.org/x'],
    ['GET', 'https://api.example.org/y'],
  ])
  expect(sent.map(({ headers }) => headers.get('authorization'))).toEqual(['Bearer t1', 'Bearer t1'])
  expect([sent[0]?.headers.get('x-a'), sent[1]?.headers.get('x-b')]).toEqual(['1', '2'])
})
