import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { expect, test } from 'vitest'
import { formatJwk } from '../../src/protocol/jwk.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import type { Fetch } from '../../src/sdk/ask.ts'
import { createIssuerKeys } from '../../src/sdk/issuer-keys.ts'
import { createJoinEqual } from '../../src/sdk/join-equal.node.ts'

const issuer = 'https://id.example.org'
const trustDomain = parseTrustDomain('example.org')
const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
const [first, second] = [newKey(), newKey()]

type Published = Readonly<Record<string, KeyObject>>

/** An issuer that publishes what it is told to, or is away. */
function world(published: Published = { first }) {
  const issuerNow = { published: published as Published | undefined, maxAge: 'max-age=300', discovery: {} as object }
  const asked: string[] = []
  const clock = { ms: 1_000_000 }
  const fetch: Fetch = async (url, { headers }) => {
    asked.push(url)
    expect(headers).toEqual({})
    const { published: keys, maxAge, discovery } = issuerNow
    if (keys === undefined) return new Response('', { status: 500 })
    const document = url.endsWith('/.well-known/openid-configuration')
      ? { issuer, jwks_uri: `${issuer}/keys`, ...discovery }
      : { keys: Object.entries(keys).map(([kid, key]) => formatJwk(key, { kid, use: 'sig', alg: 'ES256' })) }
    return new Response(JSON.stringify(document), { headers: { 'cache-control': maxAge } })
  }
  const options = { issuer, trustDomain, fetch, now: () => new Date(clock.ms), join: createJoinEqual() }
  const source = createIssuerKeys(options)
  return {
    source,
    issuerNow,
    asked,
    fetches: () => asked.filter((url) => url.endsWith('/keys')).length,
    pass: (seconds: number) => {
      clock.ms += seconds * 1000
    },
    kids: async (kid?: string) => (await source.find(trustDomain, kid)).map((key) => key.kid),
  }
}

test('finds the keys by discovery at the first token, and not before', async () => {
  const { asked, kids } = world()
  expect(asked).toEqual([])
  expect(await kids('first')).toEqual(['first'])
  expect(asked).toEqual([`${issuer}/.well-known/openid-configuration`, `${issuer}/keys`])
})

test('has no keys for another trust domain, and asks nobody for them', async () => {
  const { source, asked } = world()
  expect(await source.find(parseTrustDomain('other.example'), 'first')).toEqual([])
  expect(asked).toEqual([])
})

test.each([
  ['as long as the answer says', 'public, max-age=600', 600],
  ['a minute at least', 'max-age=0', 60],
  ['an hour at most', 'max-age=86400', 3600],
  ['five minutes where it does not say', 'public', 300],
])('keys are used again %s', async (_, maxAge, seconds) => {
  const { issuerNow, fetches, kids, pass } = world()
  issuerNow.maxAge = maxAge
  await kids('first')
  pass(seconds - 1)
  await kids('first')
  expect(fetches()).toBe(1)
  pass(2)
  await kids('first')
  expect(fetches()).toBe(2)
})

test('a key that is new is fetched ahead of time, once in a cool-down', async () => {
  const { issuerNow, fetches, kids, pass } = world()
  await kids('first')
  issuerNow.published = { first, second }
  expect(await kids('second')).toEqual(['first'])
  pass(30)
  expect(await kids('second')).toEqual(['first', 'second'])
  for (let made = 0; made < 50; made++) await kids(`made-up-${made}`)
  expect(fetches()).toBe(2)
})

test('an issuer that was never there is asked once in a while, and not by each token', async () => {
  const { asked, issuerNow, kids, pass } = world()
  issuerNow.published = undefined
  await expect(kids('first')).rejects.toThrow()
  const attempts = asked.length
  for (let token = 0; token < 50; token++) await expect(kids(`unknown-${token}`)).rejects.toThrow()
  expect(asked).toHaveLength(attempts)
  issuerNow.published = { first }
  pass(5)
  expect(await kids('first')).toEqual(['first'])
})

test('equal fetches at the same time are one', async () => {
  const { fetches, kids } = world()
  await Promise.all([kids('first'), kids('first'), kids('first')])
  expect(fetches()).toBe(1)
})

test('while the issuer is away the last good keys serve for a day', async () => {
  const { issuerNow, kids, pass, asked } = world()
  await kids('first')
  issuerNow.published = undefined
  pass(3600)
  expect(await kids('first')).toEqual(['first'])
  const { length } = asked
  pass(4)
  expect(await kids('first')).toEqual(['first'])
  expect(asked.length, 'it is not asked again at once').toBe(length)
  pass(23 * 3600)
  await expect(kids('first')).rejects.toMatchObject({ code: 'unexpected_answer', status: 500 })
  issuerNow.published = { second }
  pass(5)
  expect(await kids('second')).toEqual(['second'])
})

test.each([
  ['of another issuer', { issuer: 'https://other.example' }],
  ['without keys', { jwks_uri: 7 }],
  ['with keys in the clear', { jwks_uri: 'http://id.example.org/keys' }],
])('a discovery document %s is refused', async (_, discovery) => {
  const { issuerNow, kids } = world()
  issuerNow.discovery = discovery
  await expect(kids('first')).rejects.toMatchObject({ code: 'unexpected_answer' })
})

test.each([
  ['an issuer in the clear', { issuer: 'http://id.example.org', trustDomain }],
  ['an issuer with a query', { issuer: 'https://id.example.org?a', trustDomain }],
  ['a trust domain that is none', { issuer, trustDomain: 'Example' }],
])('%s is refused when it is made', (_, options) => {
  expect(() => createIssuerKeys(options)).toThrow(expect.objectContaining({ name: 'ProtocolError' }))
})
