import { expect, test } from 'vitest'
import { formatPem } from '../../src/protocol/encoding.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { formatTrustBundle, type TrustBundle } from '../../src/protocol/trust-bundle.ts'
import { ApostilleError } from '../../src/sdk/apostille-error.ts'
import type { Ask } from '../../src/sdk/ask.ts'
import { createBundleFollower } from '../../src/sdk/bundle-follower.ts'
import { authorityOf, bundleOf } from '../support/own-source.ts'

const ours = parseTrustDomain('example.org')
const [first, second] = [authorityOf('example.org'), authorityOf('example.org')]
const partner = bundleOf('partner.example', authorityOf('partner.example'))
const pem = formatPem('CERTIFICATE', first.der)

/** A gateway that publishes what it is told to; texts stand for what it might answer instead. */
function world(published: Record<string, TrustBundle | string | undefined>) {
  const asked: string[] = []
  const ask: Ask = async ({ path, headers = {}, isPublic }) => {
    asked.push(`${path} ${headers['if-none-match'] ?? ''}`.trim())
    expect(isPublic).toBe(true)
    const bundle = published[path]
    if (bundle === undefined) throw new ApostilleError('none', { code: 'not_found', status: 404 })
    const text = typeof bundle === 'string' ? bundle : formatTrustBundle(bundle)
    const etag = `"${text.length}-${text.slice(0, 40)}"`
    const isSame = headers['if-none-match'] === etag
    return { status: isSame ? 304 : 200, text: isSame ? '' : text, headers: new Headers({ etag }) }
  }
  return { published, asked, ask }
}

const at = (sequence: number, ...authorities: Parameters<typeof bundleOf>[1][]) => ({
  ...bundleOf('example.org', ...authorities),
  sequence: BigInt(sequence),
})

test('begins with the authorities that came with the SVID, and goes on with what is published', async () => {
  const { ask, asked } = world({ '/v1/bundle': at(1, first, second), '/v1/bundles/partner.example': partner })
  const follower = createBundleFollower(['partner.example'])
  expect(follower.take(ours, pem)).toBe(true)
  expect(follower.bundles().map(({ x509Authorities }) => x509Authorities.length)).toEqual([1])
  expect(await follower.refresh(ask)).toEqual({ changed: true })
  expect(follower.bundles().map(({ trustDomain }) => trustDomain)).toEqual(['example.org', 'partner.example'])
  expect(follower.find(ours)?.x509Authorities.length).toBe(2)
  expect(asked).toEqual(['/v1/bundle', '/v1/bundles/partner.example'])
})

test('asks whether it changed, and keeps the very same bundle where it did not', async () => {
  const { ask, asked } = world({ '/v1/bundle': at(1, first) })
  const follower = createBundleFollower([])
  follower.take(ours, pem)
  await follower.refresh(ask)
  const [before] = follower.bundles()
  expect(await follower.refresh(ask)).toEqual({ changed: false })
  expect(follower.bundles()[0]).toBe(before)
  expect(asked[1]).toMatch(/^\/v1\/bundle ".+"$/)
})

test('an answer from before a rotation does not undo it', async () => {
  const { ask, published } = world({ '/v1/bundle': at(7, second) })
  const follower = createBundleFollower([])
  follower.take(ours, pem)
  await follower.refresh(ask)
  published['/v1/bundle'] = at(6, first)
  expect(await follower.refresh(ask)).toEqual({ changed: false })
  expect(follower.find(ours)?.x509Authorities).toEqual([second.der])
})

test('what fails leaves the last good one, and the others are refreshed', async () => {
  const { ask, published } = world({ '/v1/bundle': at(1, first), '/v1/bundles/partner.example': partner })
  const follower = createBundleFollower(['partner.example'])
  follower.take(ours, pem)
  await follower.refresh(ask)
  published['/v1/bundles/partner.example'] = undefined
  published['/v1/bundle'] = at(2, first, second)
  expect(await follower.refresh(ask)).toMatchObject({ changed: true, failure: { code: 'not_found' } })
  expect(follower.bundles()[1]?.x509Authorities.length).toBe(1)
  published['/v1/bundle'] = '<html>'
  expect(await follower.refresh(ask)).toMatchObject({ changed: false, failure: { code: 'unexpected_answer' } })
  expect(follower.find(ours)?.x509Authorities.length).toBe(2)
})

test('what is no failure of the gateway is a bug', async () => {
  const follower = createBundleFollower([])
  follower.take(ours, pem)
  await expect(follower.refresh(() => Promise.reject(new TypeError('a bug')))).rejects.toThrow('a bug')
})

test('the authorities that come with the next SVID take the place of those before, JWT keys stay', async () => {
  const { ask } = world({ '/v1/bundle': at(1, first) })
  const follower = createBundleFollower([])
  follower.take(ours, pem)
  await follower.refresh(ask)
  expect(follower.take(ours, pem)).toBe(false)
  expect(follower.take(ours, formatPem('CERTIFICATE', second.der))).toBe(true)
})

test.each([
  ['as the bundle asks for', 60, 60_000],
  ['5 seconds at least', 0, 5_000],
  ['5 minutes at most', 86_400, 300_000],
  ['5 minutes where it does not say', undefined, 300_000],
])('it is to be asked again %s', (_, refreshHintSeconds, expected) => {
  const start = { ...at(1, first), ...(refreshHintSeconds !== undefined && { refreshHintSeconds }) }
  expect(createBundleFollower([], [start]).refreshAfterMs()).toBe(expected)
})

test('a trust domain that is none is refused', () => {
  expect(() => createBundleFollower(['Example'])).toThrow(expect.objectContaining({ code: 'trust_domain_name' }))
})
