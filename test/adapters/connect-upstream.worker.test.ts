import { expect, test } from 'vitest'
import { createFetchBundle } from '../../src/adapters/bundle-endpoint.worker.ts'
import { createConnectUpstream } from '../../src/adapters/connect-upstream.worker.ts'
import { parseSpiffeId } from '../../src/protocol/spiffe-id.ts'

/** What was asked for, in order; each is answered in turn, the last answer again and again. */
function fakeFetch(...answers: readonly (() => Response)[]) {
  const asked: { readonly url: string; readonly init: RequestInit }[] = []
  const fetch = async (url: string, init: RequestInit) => {
    const answer = answers[Math.min(asked.push({ url, init }), answers.length) - 1]
    if (answer === undefined) throw new TypeError('Network connection lost.')
    return answer()
  }
  return { fetch, asked }
}

const ok = () => new Response('{}')
const place = { hosts: ['issuer.example'] }

test('asks over https alone, follows nothing, and tells the platform nothing of its own', async () => {
  const { fetch, asked } = fakeFetch(ok)
  const client = createConnectUpstream({ fetch })(place)
  expect(await client.request({ url: 'https://issuer.example/keys' })).toMatchObject({ status: 200, text: '{}' })
  expect(asked).toMatchObject([{ url: 'https://issuer.example/keys', init: { method: 'GET', redirect: 'manual' } }])
  expect(Object.keys(asked[0]?.init ?? {})).not.toContain('repeatable')
  await expect(client.request({ url: 'http://issuer.example/keys' })).rejects.toMatchObject({ code: 'tls' })
})

test.each([
  ['loopback', 'https://127.0.0.1/keys', {}, 'address'],
  ['loopback in another spelling', 'https://2130706433/keys', {}, 'address'],
  ['loopback of IPv6', 'https://[::1]/keys', {}, 'address'],
  ['the metadata service', 'https://169.254.169.254/latest', {}, 'address'],
  ['a private address', 'https://10.0.0.1/keys', {}, 'address'],
  ['a private address that is configured', 'https://10.0.0.1/keys', { hosts: ['10.0.0.1'] }, undefined],
  ['a private address where private ones are meant', 'https://10.0.0.1/keys', { private: true }, undefined],
  ['a public address', 'https://192.0.43.8/keys', {}, undefined],
  ['an authority of its own', 'https://issuer.example/keys', { caFile: './ca.pem' }, 'tls'],
])('%s', async (_, url, more, code) => {
  const { fetch, asked } = fakeFetch(ok)
  const outcome = createConnectUpstream({ fetch })({ ...place, ...more }).request({ url })
  if (code === undefined) expect((await outcome).status).toBe(200)
  else await expect(outcome).rejects.toMatchObject({ code })
  expect(asked).toHaveLength(code === undefined ? 1 : 0)
})

test.each([
  ['a redirect', () => new Response(null, { status: 302, headers: { location: 'https://10.0.0.1/' } }), 'redirect'],
  ['too many bytes', () => new Response('x'.repeat(257 * 1024)), 'too_large'],
])('%s is a failure', async (_, answer, code) => {
  const { fetch } = fakeFetch(answer)
  await expect(
    createConnectUpstream({ fetch })(place).request({ url: 'https://issuer.example/' }),
  ).rejects.toMatchObject({ code })
})

test('what the platform says of a connection that failed is not told on', async () => {
  const { fetch } = fakeFetch()
  const outcome = createConnectUpstream({ fetch })(place).request({ url: 'https://issuer.example/' })
  await expect(outcome).rejects.toMatchObject({ code: 'network', message: 'issuer.example could not be reached' })
})

const web = { url: 'https://peer.example/bundle', profile: 'https_web', private: false } as const
const never = new AbortController().signal

test('a bundle is read where a redirect leads, each hop under the same rules', async () => {
  const redirect = (location: string) => () => new Response(null, { status: 307, headers: { location } })
  const good = fakeFetch(redirect('https://other.example/bundle'), () => new Response('{"keys":[]}'))
  expect(await createFetchBundle(good)(web, [], never)).toBe('{"keys":[]}')
  expect(good.asked.map(({ url }) => url)).toEqual([web.url, 'https://other.example/bundle'])
  const bad = fakeFetch(redirect('https://127.0.0.1/bundle'), ok)
  await expect(createFetchBundle(bad)(web, [], never)).rejects.toMatchObject({ code: 'address' })
})

test('an endpoint of profile https_spiffe is never asked', async () => {
  const { fetch, asked } = fakeFetch(ok)
  const spiffeId = parseSpiffeId('spiffe://peer.example/spire/server')
  const endpoint = { url: web.url, profile: 'https_spiffe', spiffeId, private: false } as const
  await expect(createFetchBundle({ fetch })(endpoint, [], never)).rejects.toMatchObject({ code: 'tls' })
  expect(asked).toEqual([])
})
