import { IdentityPoolClient } from 'google-auth-library'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { gcpPlaces } from '../../../src/adapters/exchangers/gcp.ts'
import type { ClosableExchange } from '../../../src/adapters/exchangers/index.ts'
import type { CloudErrorKind } from '../../../src/core/cloud.ts'
import { exchangerContract } from '../../contracts/exchanger.ts'
import { type GoogleSts, startGoogleSts } from '../../support/clouds/google-sts.ts'
import { makeIssuerKeys, startTestIssuer, type TestIssuer } from '../../support/clouds/test-issuer.ts'
import {
  createExchanger,
  exchangeOf,
  failureOf,
  type Members,
  startScriptedCloud,
  targetOf,
} from '../../support/exchanger.ts'
import { createTestAuthority } from '../../support/tls.ts'

const now = new Date('2026-11-23T12:00:00.000Z')
const provider = 'projects/123456789/locations/global/workloadIdentityPools/apostille/providers/apostille'

const json = (members: Members, status = 200) => ({
  status,
  headers: { 'content-type': 'application/json; charset=UTF-8', 'x-request-id': 'request-1' },
  body: JSON.stringify(members),
})
const given = (changes: Members) =>
  json({
    access_token: 'a',
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: 3600,
    ...changes,
  })

exchangerContract({
  type: 'gcp',
  target: (url) => ({ type: 'gcp', provider, token_url: `${url}/v1/token` }),
  given: (mark, expiresAt) => given({ expires_in: (expiresAt.getTime() - now.getTime()) / 1000, access_token: mark }),
  markOf: (credential) => ('accessToken' in credential ? credential.accessToken : ''),
  tokenOf: ({ body }) => new URLSearchParams(body).get('subject_token'),
  useless: [
    ['a token without an expiry', given({ expires_in: undefined })],
    ['a token that is over at once', given({ expires_in: 0 })],
    ['an expiry that is text', given({ expires_in: '3600' })],
    ['an empty token', given({ access_token: '' })],
    ['a token that no header can hold', given({ access_token: 'a\r\nb: c' })],
    ['no token', given({ access_token: undefined })],
    ['a token of another kind', given({ token_type: 'N_A' })],
    ['an error with status 200', json({ error: 'invalid_grant' })],
  ],
  refusal: (text) => json({ error: 'unauthorized_client', error_description: text }, 400),
  refusalCode: 'unauthorized_client',
})

const document = { type: 'gcp', provider }

describe('at a cloud', () => {
  const subject = 'spiffe://example.org/ns/payments/sa/api'
  const audience = `https://iam.googleapis.com/${provider}`
  const pool = provider.replace(/\/providers\/.*/, '')
  const email = 'payments@project.iam.gserviceaccount.com'
  let google: GoogleSts
  let issuer: TestIssuer
  let exchange: ClosableExchange
  let skewSeconds = 0

  beforeAll(async () => {
    const authority = await createTestAuthority('public CA')
    issuer = await startTestIssuer(authority, makeIssuerKeys())
    google = await startGoogleSts({
      publicCas: [authority.ca],
      resolve: issuer.resolve,
      deadlineMs: 300,
      now: () => new Date(Date.now() + skewSeconds * 1000),
      keyCache: { maxAgeSeconds: 0 },
    })
    exchange = createExchanger()
  })
  beforeEach(() => {
    skewSeconds = 0
    issuer.mood = 'well'
    google.requests.length = 0
    google.state.pools.set(pool, {})
    know({})
    bind(['roles/iam.workloadIdentityUser'])
  })
  afterAll(() => Promise.all([exchange.close(), google.close(), issuer.close()]))

  function know(changes: Members): void {
    google.createProvider(provider, {
      attributeMapping: { 'google.subject': 'assertion.sub' },
      oidc: { issuerUri: issuer.issuer },
      ...changes,
    })
  }

  function bind(roles: readonly string[]): void {
    const members = [`principal://iam.googleapis.com/${pool}/subject/${subject}`]
    google.state.serviceAccounts.set(email, { bindings: roles.map((role) => ({ role, members })) })
  }

  function tokenFor(claims: Members = {}): string {
    const iat = Math.floor(Date.now() / 1000) - 30
    const header = { alg: 'ES256', kid: 'ec' }
    return issuer.token({ iss: issuer.issuer, sub: subject, aud: audience, iat, exp: iat + 330, ...claims }, header)
  }

  const target = (more: Members = {}) =>
    targetOf({ ...document, token_url: google.tokenUrl, ca_file: google.caFile, ...more })
  const asAccount = (more: Members = {}) =>
    target({ service_account: email, impersonation_url: google.url, lifetime: '30m', ...more })

  test('a token becomes a federated token, for the scopes of the target', async () => {
    const token = tokenFor()
    const scopes = ['https://www.googleapis.com/auth/devstorage.read_only']
    const { credential } = await exchange(exchangeOf(target({ scopes }), token))
    expect(google.requests.map(({ path }) => path)).toEqual(['/v1/token'])
    expect(google.requests[0]?.fields).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      audience: `//iam.googleapis.com/${provider}`,
      scope: scopes[0],
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    })
    const given = google.federatedTokens.at(-1)
    expect(credential).toMatchObject({ type: 'gcp', accessToken: given?.accessToken })
    expect(credential.expiresAt.getTime()).toBeLessThanOrEqual((given?.expiresAt.getTime() ?? 0) + 1000)
  })

  test.each([
    ['by its base', () => google.url],
    ['with a slash', () => `${google.url}/`],
    ['in whole', () => google.impersonationUrl(email)],
  ])('the federated token becomes one of the service account, whose URL is given %s', async (_, url) => {
    const scopes = ['https://www.googleapis.com/auth/devstorage.read_only', 'https://www.googleapis.com/auth/bigquery']
    const { credential } = await exchange(exchangeOf(asAccount({ scopes, impersonation_url: url() }), tokenFor()))
    const given = google.serviceAccountTokens.at(-1)
    expect(given).toMatchObject({ email, scopes })
    expect(credential).toMatchObject({ type: 'gcp', accessToken: given?.accessToken })
    expect(Math.abs(credential.expiresAt.getTime() - Date.now() - 1_800_000)).toBeLessThan(5000)
    expect(google.federatedTokens.at(-1)?.scopes).toEqual(['https://www.googleapis.com/auth/cloud-platform'])
  })

  test("Google's own client asks for the same", async () => {
    const token = tokenFor()
    await exchange(exchangeOf(asAccount(), token))
    const ours = google.requests.splice(0)
    const client = new IdentityPoolClient({
      type: 'external_account',
      audience: `//iam.googleapis.com/${provider}`,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: google.tokenUrl,
      service_account_impersonation_url: google.impersonationUrl(email),
      service_account_impersonation: { token_lifetime_seconds: 1800 },
      scopes: ['https://www.googleapis.com/auth/cloud-platform'],
      subject_token_supplier: { getSubjectToken: async () => token },
    })
    const sent: { readonly url: string; readonly body: unknown }[] = []
    interface Sending {
      readonly url: string | URL
      readonly data: unknown
    }
    const transporter = {
      async request({ url, data }: Sending) {
        sent.push({ url: String(url), body: data instanceof URLSearchParams ? Object.fromEntries(data) : data })
        return {
          data: { access_token: 'federated', expires_in: 3600, accessToken: 'a', expireTime: '2030-01-01T00:00:00Z' },
        }
      },
    }
    Object.assign(client, {
      transporter,
      stsCredential: Object.assign(Reflect.get(client, 'stsCredential'), { transporter }),
    })
    await client.getAccessToken()
    expect(sent.map(({ url }) => new URL(url).pathname)).toEqual(ours.map(({ path }) => path))
    expect(sent[0]?.body).toEqual(ours[0]?.fields)
    expect(sent[1]?.body).toEqual(JSON.parse(ours[1]?.body ?? ''))
  })

  interface Broken {
    readonly claims?: Members
    readonly account?: boolean
    readonly target?: Members
    readonly world?: () => void
  }

  const throttle = () => google.inject({ kind: 'throttle', retryAfterSeconds: 3 })
  test.each<[string, Broken, CloudErrorKind, string, RegExp]>([
    [
      'a pool that is gone',
      { world: () => google.state.pools.set(pool, { deleted: true }) },
      'refused',
      'invalid_target',
      /disabled or deleted/,
    ],
    [
      'another issuer',
      { world: () => know({ oidc: { issuerUri: 'https://else.example' } }) },
      'refused',
      'invalid_grant',
      /issuer has to be ours/,
    ],
    ['another audience', { claims: { aud: 'else' } }, 'refused', 'invalid_grant', /allowed audiences/],
    [
      'a condition that does not hold',
      { world: () => know({ attributeCondition: "assertion.sub == 'else'" }) },
      'refused',
      'unauthorized_client',
      /attribute condition/,
    ],
    [
      'a subject that is too long',
      { claims: { sub: `spiffe://example.org/${'a'.repeat(120)}` } },
      'refused',
      'invalid_grant',
      /extract/,
    ],
    [
      'a token that is over there',
      {
        world: () => {
          skewSeconds = 600
        },
      },
      'expired_token',
      'invalid_grant',
      /clock/,
    ],
    [
      'a token of the future there',
      {
        world: () => {
          skewSeconds = -600
        },
      },
      'expired_token',
      'invalid_grant',
      /clock/,
    ],
    [
      'an issuer that is away',
      {
        world: () => {
          issuer.mood = 'failing'
        },
      },
      'unreachable',
      'invalid_grant',
      /over the internet/,
    ],
    ['throttling', { world: throttle }, 'throttled', 'RESOURCE_EXHAUSTED', /limits the requests/],
    [
      'a service that is away',
      { world: () => google.inject({ kind: 'unavailable' }) },
      'unreachable',
      'UNAVAILABLE',
      /unavailable/,
    ],
    [
      'an internal error',
      { world: () => google.inject({ kind: 'unavailable', status: 500 }) },
      'unreachable',
      'INTERNAL',
      /unavailable/,
    ],
    [
      'garbage',
      { world: () => google.inject({ kind: 'garbage' }) },
      'unreachable',
      'malformed',
      /no token answer of Google/,
    ],
    [
      'an account that does not trust the pool',
      { account: true, world: () => bind([]) },
      'refused',
      'PERMISSION_DENIED',
      /workloadIdentityUser/,
    ],
    [
      'a lifetime that is not allowed',
      { account: true, target: { lifetime: '2h' } },
      'refused',
      'INVALID_ARGUMENT',
      /organization policy/,
    ],
  ])('%s', async (_, broken, kind, code, fix) => {
    broken.world?.()
    const token = tokenFor(broken.claims)
    const wanted = broken.account ? asAccount(broken.target) : target(broken.target)
    const failure = await failureOf(exchange, exchangeOf(wanted, token))
    expect({ kind: failure.kind, code: failure.code }).toEqual({ kind, code })
    expect(failure.message).toMatch(fix)
    expect(google.requests).toHaveLength(broken.account ? 2 : 1)
    expect(failure.retryAfterSeconds).toBe(kind === 'throttled' ? 3 : undefined)
    for (const part of token.split('.')) expect(failure.message).not.toContain(part)
  })
})

describe('impersonation', () => {
  const email = 'payments@project.iam.gserviceaccount.com'
  const federated = given({ access_token: 'ya29.federated-token-of-the-pool' })
  const refusal = (status: number, code: string, message: string) =>
    json({ error: { code: status, status: code, message } }, status)

  test.each([
    ['no token', json({ expireTime: '2030-01-01T00:00:00Z' }), 'unreachable', 'malformed'],
    ['an empty token', json({ accessToken: '', expireTime: '2030-01-01T00:00:00Z' }), 'unreachable', 'malformed'],
    ['no expiry', json({ accessToken: 'a' }), 'unreachable', 'malformed'],
    ['an expiry that is no time', json({ accessToken: 'a', expireTime: 'soon' }), 'unreachable', 'malformed'],
    [
      'an expiry in the past',
      json({ accessToken: 'a', expireTime: '2020-01-01T00:00:00Z' }),
      'unreachable',
      'malformed',
    ],
    ['a page', { body: '<html>' }, 'unreachable', 'malformed'],
    ['a page with 404', { status: 404, body: '<html>' }, 'unreachable', 'http_404'],
    ['no such account', refusal(404, 'NOT_FOUND', 'no'), 'refused', 'NOT_FOUND'],
    [
      'an API that is off',
      refusal(403, 'PERMISSION_DENIED', 'API has not been used in project 1'),
      'refused',
      'PERMISSION_DENIED',
    ],
    [
      'a text that repeats the token',
      refusal(401, 'UNAUTHENTICATED', 'ya29.federated-token-of-the-pool'),
      'refused',
      'UNAUTHENTICATED',
    ],
    ['a redirect', { status: 307, headers: { location: '/' } }, 'unreachable', 'redirect'],
  ])('%s is no credential', async (_, answer, kind, code) => {
    const cloud = await startScriptedCloud()
    cloud.script(federated, answer)
    const exchange = createExchanger()
    const places = { token_url: `${cloud.url}/v1/token`, impersonation_url: cloud.url, service_account: email }
    const failure = await failureOf(
      exchange,
      exchangeOf(targetOf({ ...document, ...places, ca_file: cloud.caFile }), 'a.b.c'),
    )
    expect([failure.kind, failure.code]).toEqual([kind, code])
    expect(failure.message).not.toContain('federated-token')
    expect(cloud.requests).toHaveLength(2)
    await exchange.close()
    await cloud.close()
  })
})

test.each([
  [
    'googleapis.com',
    'https://sts.googleapis.com/v1/token',
    'https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.example:generateAccessToken',
  ],
  [
    'other.example',
    'https://sts.other.example/v1/token',
    'https://iamcredentials.other.example/v1/projects/-/serviceAccounts/a@b.example:generateAccessToken',
  ],
])('the places of %s', (universe, token, impersonation) => {
  const { document: parsed } = targetOf({ ...document, universe, service_account: 'a@b.example' })
  expect(gcpPlaces(parsed as never)).toEqual({ token, impersonation })
})
