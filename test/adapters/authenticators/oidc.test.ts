import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createOidcAuthenticator } from '../../../src/adapters/authenticators/oidc.ts'
import { createConnectUpstream } from '../../../src/adapters/connect-upstream.node.ts'
import type { Authenticator } from '../../../src/core/authenticate.ts'
import type { OidcConfig } from '../../../src/core/config-authenticators.ts'
import { silentTelemetry } from '../../../src/core/telemetry.ts'
import { createFakeClock, createFakeFiles, type FakeClock } from '../../support/fake-upstream.ts'
import { startHttpsServer } from '../../support/https-server.ts'
import { makeSigningJwk, startOidcProvider, type TestProvider } from '../../support/oidc-provider.ts'
import { privateKeyOf, rsaSigner, signToken } from '../../support/raw-token.ts'
import { createTestAuthority, type ServerCertificate, type TestAuthority } from '../../support/tls.ts'

const audience = 'https://id.example.org'
const subject = 'repo:org/app:ref:refs/heads/main'
const rsaOne = makeSigningJwk('RS256', 'rsa-1')
const ecOne = makeSigningJwk('ES256', 'ec-1')
const rsaTwo = makeSigningJwk('RS256', 'rsa-2')

let authority: TestAuthority
let tls: ServerCertificate
let provider: TestProvider
let clock: FakeClock
let authenticator: Authenticator
const closing: (() => Promise<void>)[] = []

beforeAll(async () => {
  authority = await createTestAuthority()
  tls = await authority.issue()
  provider = await startOidcProvider({ tls, ca: authority.ca, keys: [rsaOne, ecOne] })
})
beforeEach(() => {
  clock = createFakeClock()
  authenticator = connect({})
})
afterAll(async () => {
  await Promise.all(closing.map((close) => close()))
  await provider.close()
})

function connect(changed: Partial<OidcConfig>): Authenticator {
  const files = createFakeFiles()
  files.texts.set('/ca.pem', authority.ca)
  const connectUpstream = createConnectUpstream({ files, monotonicMs: clock.monotonicMs })
  const config: OidcConfig = {
    name: 'ci',
    type: 'oidc',
    issuer: provider.issuer,
    audience,
    ca_file: '/ca.pem',
    private: false,
    max_stale: 86_400,
    ...changed,
  }
  const made = createOidcAuthenticator(config, {
    connect: connectUpstream,
    files,
    now: () => new Date(clock.monotonicMs()),
    monotonicMs: clock.monotonicMs,
    telemetry: silentTelemetry,
    shareFetches: true,
  })
  if (made.close !== undefined) closing.push(made.close)
  return made
}

const bearer = (token: string) => ({ kind: 'bearer', token }) as const

test('a token of a real provider is an identity', async () => {
  const token = await provider.token(audience, { subject })
  const now = new Date()
  const { identity, reusableUntil, stillHolds } = await authenticator.authenticate(bearer(token), now)
  expect(identity).toEqual({
    authenticator: 'ci',
    type: 'oidc',
    attributes: {
      issuer: provider.issuer,
      subject,
      claims: expect.objectContaining({ iss: provider.issuer, sub: subject, aud: audience, client_id: 'ci' }),
    },
    recorded: { issuer: provider.issuer, subject },
    use: { kind: 'rules' },
  })
  expect(reusableUntil).toEqual(new Date(now.getTime() + 5 * 60_000))
  expect(stillHolds?.()).toBe(true)
})

test('so is one that is signed with an EC key', async () => {
  const token = await provider.token(audience, { alg: 'ES256', subject })
  await expect(authenticator.authenticate(bearer(token), new Date())).resolves.toMatchObject({
    identity: { attributes: { subject } },
  })
})

test('says what is routed here', async () => {
  expect(authenticator).toMatchObject({ name: 'ci', type: 'oidc', accepts: { issuer: provider.issuer, audience } })
  expect(await authenticator.holdsKey?.('rsa-1')).toBe(true)
  expect(await authenticator.holdsKey?.('rsa-2')).toBe(false)
})

test('an answer is reused no longer than the token lives', async () => {
  const token = await provider.token(audience)
  const later = new Date(Date.now() + 8 * 60_000)
  const { identity, reusableUntil } = await authenticator.authenticate(bearer(token), later)
  const { exp } = identity.attributes.claims as { exp: number }
  expect(reusableUntil).toEqual(new Date(exp * 1000))
})

test('a token for somebody else is refused', async () => {
  const token = await provider.token('https://other.example')
  await expect(authenticator.authenticate(bearer(token), new Date())).rejects.toMatchObject({
    code: 'proof_rejected',
    reason: "aud is 'https://other.example', without 'https://id.example.org'",
  })
})

test('a token that expired is refused', async () => {
  const token = await provider.token(audience)
  const later = new Date(Date.now() + 12 * 60_000)
  await expect(authenticator.authenticate(bearer(token), later)).rejects.toMatchObject({
    code: 'proof_rejected',
    reason: expect.stringMatching(/^exp is 20.*, now is 20/),
  })
})

test('PS256 is refused where the provider publishes RS256', async () => {
  const seconds = Math.floor(Date.now() / 1000)
  const claims = { iss: provider.issuer, sub: 'x', aud: audience, exp: seconds + 60 }
  const token = signToken({ alg: 'PS256', kid: 'rsa-1' }, claims, rsaSigner(privateKeyOf(rsaOne), { pss: true }))
  await expect(authenticator.authenticate(bearer(token), new Date())).rejects.toMatchObject({
    code: 'proof_rejected',
    reason: expect.stringContaining('alg is PS256'),
  })
})

test('a certificate is refused', async () => {
  await expect(authenticator.authenticate({ kind: 'certificate', chain: [] }, new Date())).rejects.toMatchObject({
    code: 'proof_rejected',
  })
})

test('follows a provider that rotates its keys, and lets go of what the old ones vouched for', async () => {
  const own = await startOidcProvider({ tls, ca: authority.ca, keys: [rsaOne] })
  const follower = connect({ issuer: own.issuer })
  const former = await own.token(audience)
  const { stillHolds } = await follower.authenticate(bearer(former), new Date())
  await own.close()

  const rotated = await startOidcProvider({ tls, ca: authority.ca, keys: [rsaTwo], port: own.port })
  closing.push(rotated.close)
  clock.advance(1000)
  const token = await rotated.token(audience, { subject })
  await expect(follower.authenticate(bearer(token), new Date())).resolves.toMatchObject({
    identity: { attributes: { subject } },
  })
  expect(stillHolds?.()).toBe(false)
  await expect(follower.authenticate(bearer(former), new Date())).rejects.toMatchObject({
    code: 'proof_rejected',
    reason: `kid 'rsa-1' is not among the 1 keys of issuer '${own.issuer}'`,
  })
})

test('the last good keys serve for 24 hours while the provider is away', async () => {
  const own = await startOidcProvider({ tls, ca: authority.ca, keys: [rsaOne] })
  const follower = connect({ issuer: own.issuer })
  const token = await own.token(audience)
  const { stillHolds } = await follower.authenticate(bearer(token), new Date())
  await own.close()

  clock.advance(24 * 3_600_000)
  await expect(follower.authenticate(bearer(token), new Date())).resolves.toBeDefined()
  expect(stillHolds?.()).toBe(true)

  clock.advance(1)
  expect(stillHolds?.()).toBe(false)
  await expect(follower.authenticate(bearer(token), new Date())).rejects.toMatchObject({
    code: 'upstream_failed',
    reason: expect.stringContaining('could not be reached (ECONNREFUSED)'),
  })
})

test.each([
  ['a redirect', '302', 'answered with a redirect (302)'],
  ['too many bytes', 'large', 'answered with more than 262144 bytes'],
  ['an error', '500', 'answered with status 500'],
  ['no document', 'html', 'not as it should be'],
])('a provider that answers with %s is upstream_failed', async (_, behaviour, reason) => {
  const elsewhere: (string | undefined)[] = []
  const server = await startHttpsServer(tls, (request, response) => {
    elsewhere.push(request.url)
    if (behaviour === '302') response.writeHead(302, { location: `${provider.issuer}${request.url}` }).end()
    else if (behaviour === 'large') response.end(`"${'x'.repeat(262_143)}"`)
    else if (behaviour === '500') response.writeHead(500).end()
    else response.end('<html>')
  })
  closing.push(server.close)
  const follower = connect({ issuer: server.origin })
  const seconds = Math.floor(Date.now() / 1000)
  const claims = { iss: server.origin, sub: 'x', aud: audience, exp: seconds + 60 }
  const token = signToken({ alg: 'RS256', kid: 'rsa-1' }, claims, rsaSigner(privateKeyOf(rsaOne)))
  await expect(follower.authenticate(bearer(token), new Date())).rejects.toMatchObject({
    code: 'upstream_failed',
    reason: expect.stringContaining(reason),
  })
  expect(elsewhere).toEqual(['/.well-known/openid-configuration'])
})

test('keys on another host must not be in our network, unless the issuer is private', async () => {
  let keysAsked = 0
  const server = await startHttpsServer(tls, (request, response) => {
    if (request.url === '/keys') keysAsked++
    const jwksUri = `https://127.0.0.1:${server.port}/keys`
    const { d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...published } = rsaOne as Record<string, unknown>
    response.end(
      JSON.stringify(request.url === '/keys' ? { keys: [published] } : { issuer: server.origin, jwks_uri: jwksUri }),
    )
  })
  closing.push(server.close)
  const seconds = Math.floor(Date.now() / 1000)
  const claims = { iss: server.origin, sub: 'x', aud: audience, exp: seconds + 60 }
  const token = signToken({ alg: 'RS256', kid: 'rsa-1' }, claims, rsaSigner(privateKeyOf(rsaOne)))

  const open = connect({ issuer: server.origin })
  await expect(open.authenticate(bearer(token), new Date())).rejects.toMatchObject({
    code: 'upstream_failed',
    reason: expect.stringContaining('127.0.0.1 has no address that may be connected to'),
  })
  expect(keysAsked).toBe(0)

  const inside = connect({ issuer: server.origin, private: true })
  await expect(inside.authenticate(bearer(token), new Date())).resolves.toBeDefined()
  expect(keysAsked).toBe(1)
})
