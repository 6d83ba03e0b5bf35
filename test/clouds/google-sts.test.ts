import { globalAgent } from 'node:https'
import { IdentityPoolClient } from 'google-auth-library'
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type CloudCall, call } from '../support/clouds/cloud-client.ts'
import { extract } from '../support/clouds/google-mapping.ts'
import type { GoogleFederatedToken, GoogleProvider } from '../support/clouds/google-project.ts'
import { type GoogleSts, googleRuleNames, startGoogleSts } from '../support/clouds/google-sts.ts'
import {
  type IssuerKeys,
  type IssuerMood,
  makeIssuerKeys,
  publishedJwk,
  startTestIssuer,
  type TestIssuer,
} from '../support/clouds/test-issuer.ts'
import { createTestAuthority, type TestAuthority } from '../support/tls.ts'
import type { WireAnswer } from '../support/wire.ts'

const pool = 'projects/123456789012/locations/global/workloadIdentityPools/workloads'
const providerName = `${pool}/providers/apostille`
const audience = `//iam.googleapis.com/${providerName}`
const cloudPlatform = 'https://www.googleapis.com/auth/cloud-platform'
const start = new Date('2026-08-01T12:00:00Z')
const seconds = start.getTime() / 1000
const subject = 'spiffe://example.org/ns/payments/sa/api'
const email = 'payments@project.iam.gserviceaccount.com'
const principal = `principal://iam.googleapis.com/${pool}/subject/ns/payments/sa/api`

let authority: TestAuthority
let keys: IssuerKeys

beforeAll(async () => {
  authority = await createTestAuthority('public CA')
  keys = makeIssuerKeys()
})

interface World {
  readonly google: GoogleSts
  readonly issuer: TestIssuer
  readonly resolve: Record<string, string>
  now: Date
}

const open: World[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).flatMap(({ google, issuer }) => [google.close(), issuer.close()]))
})

const provider: GoogleProvider = {
  attributeMapping: {
    'google.subject': "assertion.sub.extract('spiffe://example.org/{id}')",
    'attribute.spiffe_id': 'assertion.sub',
  },
  attributeCondition: "assertion.sub.startsWith('spiffe://example.org/ns/') && google.subject != 'google.subject'",
  oidc: { issuerUri: 'https://id.example.org' },
}

interface Stage {
  /** Of the double's fetches; as in truth by default. */
  readonly deadlineMs?: number
}

async function openWorld({ deadlineMs = 5000 }: Stage = {}): Promise<World> {
  const issuer = await startTestIssuer(authority, keys)
  const resolve = { ...issuer.resolve }
  const google = await startGoogleSts({ publicCas: [authority.ca], resolve, deadlineMs, now: () => world.now })
  const world: World = { google, issuer, resolve, now: start }
  google.state.pools.set(pool, {})
  google.createProvider(providerName, provider)
  google.state.serviceAccounts.set(email, {
    bindings: [{ role: 'roles/iam.workloadIdentityUser', members: [principal] }],
  })
  open.push(world)
  return world
}

interface Change extends Stage {
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
  readonly form?: CloudCall['form']
  readonly world?: (world: World) => void
}

function tokenFor(world: World, { claims, header }: Change): string {
  const standard = {
    iss: world.issuer.issuer,
    sub: subject,
    aud: `https:${audience}`,
    iat: seconds - 30,
    exp: seconds + 300,
  }
  return world.issuer.token({ ...standard, ...claims }, header)
}

function fieldsOf(world: World, change: Change = {}) {
  return {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    audience,
    scope: cloudPlatform,
    requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    subject_token: tokenFor(world, change),
    ...change.form,
  }
}

function exchange(world: World, change: Change = {}): Promise<WireAnswer> {
  return call(world.google, { path: '/v1/token', form: fieldsOf(world, change) })
}

const mood = (wanted: IssuerMood) => (world: World) => {
  world.issuer.mood = wanted
}
const clock = (ms: number) => (world: World) => {
  world.now = new Date(start.getTime() + ms)
}
const publish = (name: string, value: unknown) => (world: World) => {
  world.issuer.discovery[name] = value
}
const otherKeys = (world: World) => {
  world.issuer.jwks = [publishedJwk(makeIssuerKeys(), 'rsa')]
}
const resolveToGoogle = ({ resolve, google }: World) => {
  resolve['id.example.org'] = `127.0.0.1:${google.port}`
}
const providerIs = (changes: Partial<GoogleProvider>) => (world: World) =>
  world.google.state.providers.set(providerName, { ...provider, ...changes })
const mapping = (attributeMapping: Record<string, string>) => providerIs({ attributeMapping })
const uploaded = (jwk: (own: Record<string, unknown>) => Record<string, unknown>) => (world: World) =>
  providerIs({ oidc: { ...provider.oidc, jwksJson: JSON.stringify({ keys: [jwk(publishedJwk(keys, 'rsa'))] }) } })(
    world,
  )
const withAudience = (name: string) => ({ audience: `//iam.googleapis.com/${name}` })
const wide = (bytes: number) => ({ padding: 'a'.repeat(bytes) })
const padded = { ...provider.attributeMapping, 'attribute.padding': 'assertion.padding' }

type Case = readonly [rule: string, error: string, change: Change]

const cases: readonly Case[] = [
  ['grant_type', 'unsupported_grant_type', { form: { grant_type: 'client_credentials' } }],
  ['requested_token_type', 'invalid_request', { form: { requested_token_type: undefined } }],
  ['subject_token_type', 'invalid_request', { form: { subject_token_type: 'jwt' } }],
  ['subject_token', 'invalid_request', { form: { subject_token: undefined } }],
  ['scope', 'invalid_scope', { form: { scope: undefined } }],
  ['scope', 'invalid_scope', { form: { scope: 'cloud-platform' } }],
  ['options_size', 'invalid_request', { form: { options: `{"a":"${'a'.repeat(4 * 1024 * 1024)}"}` } }],
  ['options_json', 'invalid_request', { form: { options: 'userProject=1' } }],
  ['audience_form', 'invalid_request', { form: { audience: `https:${audience}` } }],
  ['audience_form', 'invalid_request', { form: { audience: providerName } }],
  [
    'audience_project_number',
    'invalid_request',
    { form: withAudience(providerName.replace('123456789012', 'my-project')) },
  ],
  ['pool_active', 'invalid_target', { world: ({ google }) => google.state.pools.set(pool, { disabled: true }) }],
  ['pool_active', 'invalid_target', { world: ({ google }) => google.state.pools.set(pool, { deleted: true }) }],
  ['pool_active', 'invalid_target', { form: withAudience(providerName.replace('workloads', 'other')) }],
  ['provider_known', 'invalid_target', { form: withAudience(providerName.replace('apostille', 'other')) }],
  ['provider_enabled', 'invalid_target', { world: providerIs({ disabled: true }) }],
  ['token_jwt', 'invalid_grant', { form: { subject_token: 'opaque' } }],
  ['token_alg', 'invalid_grant', { header: { alg: 'ES384', kid: 'p384' } }],
  ['token_alg', 'invalid_grant', { header: { alg: 'RS384' } }],
  ['token_kid', 'invalid_grant', { header: { kid: undefined } }],
  ['token_issuer', 'invalid_grant', { claims: { iss: 'https://id.example.org/' } }],
  ['token_issuer', 'invalid_grant', { claims: { iss: undefined } }],
  ['token_audience', 'invalid_grant', { claims: { aud: 'https://id.example.org' } }],
  ['token_audience', 'invalid_grant', { claims: { aud: undefined } }],
  [
    'token_audience',
    'invalid_grant',
    { world: providerIs({ oidc: { ...provider.oidc, allowedAudiences: ['https://other.example'] } }) },
  ],
  ['token_issued_at', 'invalid_grant', { claims: { iat: undefined } }],
  ['token_issued_in_future', 'invalid_grant', { claims: { iat: seconds + 61 } }],
  ['token_issued_in_future', 'invalid_grant', { world: clock(-600_000) }],
  ['token_expiry', 'invalid_grant', { claims: { exp: undefined } }],
  ['token_expired', 'invalid_grant', { claims: { exp: seconds } }],
  ['token_expired', 'invalid_grant', { world: clock(600_000) }],
  ['token_lifetime', 'invalid_grant', { claims: { exp: seconds - 30 + 48 * 3600 } }],
  ['token_not_yet_valid', 'invalid_grant', { claims: { nbf: seconds + 61 } }],
  ['jwks_upload_json', 'invalid_grant', { world: providerIs({ oidc: { ...provider.oidc, jwksJson: '<html>' } }) }],
  ['jwks_upload_members', 'invalid_grant', { world: uploaded((own) => ({ ...own, key_ops: ['verify'] })) }],
  ['jwks_upload_use', 'invalid_grant', { world: uploaded((own) => ({ ...own, use: 'jwt-svid' })) }],
  ['issuer_reached', 'invalid_grant', { world: ({ resolve }) => delete resolve['id.example.org'] }],
  ['issuer_deadline', 'invalid_grant', { deadlineMs: 50, world: mood('jwks hangs') }],
  ['issuer_tls', 'invalid_grant', { world: resolveToGoogle }],
  ['issuer_no_redirect', 'invalid_grant', { world: mood('redirect') }],
  ['issuer_status', 'invalid_grant', { world: mood('failing') }],
  ['issuer_json', 'invalid_grant', { world: mood('not json') }],
  ['discovery_issuer', 'invalid_grant', { world: publish('issuer', 'https://id.example.org/') }],
  ['discovery_jwks_uri', 'invalid_grant', { world: publish('jwks_uri', undefined) }],
  ['discovery_jwks_uri', 'invalid_grant', { world: publish('jwks_uri', 'http://id.example.org/keys') }],
  ['key_known', 'invalid_grant', { header: { kid: 'next' } }],
  ['signature', 'invalid_grant', { world: otherKeys }],
  ['mapping_evaluates', 'invalid_grant', { world: mapping({ 'google.subject': 'assertion.email' }) }],
  ['subject_present', 'invalid_grant', { world: mapping({ 'google.subject': "assertion.sub.extract('none/{id}')" }) }],
  ['subject_length', 'invalid_grant', { claims: { sub: `spiffe://example.org/ns/${'a'.repeat(125)}` } }],
  ['subject_length', 'invalid_grant', { claims: { sub: `spiffe://example.org/ns/${'é'.repeat(63)}` } }],
  ['mapped_size', 'invalid_grant', { claims: wide(8192), world: mapping(padded) }],
  ['attribute_condition', 'unauthorized_client', { claims: { sub: 'spiffe://example.org/other/api' } }],
  [
    'attribute_condition',
    'unauthorized_client',
    { world: providerIs({ attributeCondition: 'assertion.admin == true' }) },
  ],
]

test.each(cases)('a token exchange breaks %s: %s', async (rule, error, change) => {
  const world = await openWorld(change)
  change.world?.(world)
  const answer = await exchange(world, change)
  const seen = { rule: world.google.requests[0]?.refusedBy, status: answer.status, ...answer.json() }
  expect(seen).toEqual({ rule, status: 400, error, error_description: expect.any(String) })
  expect(world.google.federatedTokens).toEqual([])
})

const federated: GoogleFederatedToken = {
  accessToken: 'ya29.d.federated',
  pool,
  attributes: { 'google.subject': 'ns/payments/sa/api', 'attribute.spiffe_id': subject },
  scopes: [cloudPlatform],
  expiresAt: new Date(start.getTime() + 300_000),
}

interface Impersonation {
  readonly path?: string
  readonly body?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
  readonly token?: Partial<GoogleFederatedToken>
  readonly account?: object
}

function impersonate(world: World, change: Impersonation = {}): Promise<WireAnswer> {
  world.google.federatedTokens.push({ ...federated, ...change.token })
  const known = world.google.state.serviceAccounts.get(email)
  if (change.account)
    world.google.state.serviceAccounts.set(email, { bindings: known?.bindings ?? [], ...change.account })
  return call(world.google, {
    path: change.path ?? new URL(world.google.impersonationUrl(email)).pathname,
    json: change.body ?? { scope: [cloudPlatform], lifetime: '3600s' },
    headers: { authorization: `Bearer ${federated.accessToken}`, ...change.headers },
  })
}

const body = (changes: object) => ({ body: { scope: [cloudPlatform], ...changes } })
const bound = (role: string, member: string) => ({ account: { bindings: [{ role, members: [member] }] } })
const method = (project: string, account: string) =>
  `/v1/projects/${project}/serviceAccounts/${account}:generateAccessToken`
const user = 'roles/iam.workloadIdentityUser'

const impersonationCases: readonly (readonly [rule: string, status: number, code: string, change: Impersonation])[] = [
  ['impersonation_bearer', 401, 'UNAUTHENTICATED', { headers: { authorization: federated.accessToken } }],
  ['impersonation_token', 401, 'UNAUTHENTICATED', { headers: { authorization: 'Bearer ya29.d.other' } }],
  ['impersonation_token_expired', 401, 'UNAUTHENTICATED', { token: { expiresAt: start } }],
  ['impersonation_project', 400, 'INVALID_ARGUMENT', { path: method('123456789012', email) }],
  ['impersonation_token_scope', 403, 'PERMISSION_DENIED', { token: { scopes: [`${cloudPlatform}.read-only`] } }],
  ['impersonation_body', 400, 'INVALID_ARGUMENT', { body: [] as unknown as Record<string, unknown> }],
  ['impersonation_scope', 400, 'INVALID_ARGUMENT', body({ scope: [] })],
  ['impersonation_scope_known', 400, 'INVALID_ARGUMENT', body({ scope: ['cloud-platform'] })],
  ['impersonation_delegates', 400, 'INVALID_ARGUMENT', body({ delegates: [email] })],
  ['impersonation_lifetime_form', 400, 'INVALID_ARGUMENT', body({ lifetime: '1h' })],
  ['impersonation_lifetime_positive', 400, 'INVALID_ARGUMENT', body({ lifetime: '0s' })],
  ['impersonation_account', 403, 'PERMISSION_DENIED', { path: method('-', 'other@project.iam.gserviceaccount.com') }],
  ['impersonation_account', 403, 'PERMISSION_DENIED', { account: { disabled: true } }],
  ['impersonation_binding', 403, 'PERMISSION_DENIED', bound(user, `${principal}-2`)],
  ['impersonation_binding', 403, 'PERMISSION_DENIED', bound('roles/viewer', principal)],
  ['impersonation_lifetime_limit', 400, 'INVALID_ARGUMENT', body({ lifetime: '3601s' })],
  [
    'impersonation_lifetime_limit',
    400,
    'INVALID_ARGUMENT',
    { ...body({ lifetime: '43201s' }), account: { hasLongLifetime: true } },
  ],
]

describe('generateAccessToken', () => {
  test.each(impersonationCases)('breaks %s: %i %s', async (rule, status, code, change) => {
    const world = await openWorld()
    const answer = await impersonate(world, change)
    const seen = { rule: world.google.requests[0]?.refusedBy, status: answer.status, ...answer.json() }
    const error = { code: status, status: code, message: expect.any(String) }
    expect(seen).toEqual({ rule, status, error })
    expect(world.google.serviceAccountTokens).toEqual([])
  })

  test.each([
    ['its subject', principal],
    ['an attribute', `principalSet://iam.googleapis.com/${pool}/attribute.spiffe_id/${subject}`],
    ['everybody of the pool', `principalSet://iam.googleapis.com/${pool}/*`],
  ])('takes who is bound by %s', async (_, member) => {
    const world = await openWorld()
    const answer = await impersonate(world, { ...body({ lifetime: '600s' }), ...bound(user, member) })
    expect(answer.json()).toEqual({
      accessToken: world.google.serviceAccountTokens[0]?.accessToken,
      expireTime: '2026-08-01T12:10:00Z',
    })
  })

  test('gives 12 hours where the organisation allows it', async () => {
    const world = await openWorld()
    const answer = await impersonate(world, { ...body({ lifetime: '43200s' }), account: { hasLongLifetime: true } })
    expect(answer.json()).toMatchObject({ expireTime: '2026-08-02T00:00:00Z' })
  })
})

const many = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`attribute.a${n}`, 'assertion.sub'] as const))
const oidc = (changes: Partial<GoogleProvider['oidc']>) => ({ oidc: { ...provider.oidc, ...changes } })
const mapped = (more: Record<string, string>) => ({ attributeMapping: { ...provider.attributeMapping, ...more } })

const providerCases: readonly (readonly [rule: string, changes: Partial<GoogleProvider>, name?: string])[] = [
  ['provider_name', {}, `${pool}/providers/Apostille`],
  ['provider_pool', {}, providerName.replace('workloads', 'other')],
  ['provider_issuer', oidc({ issuerUri: 'id.example.org' })],
  ['provider_issuer_https', oidc({ issuerUri: 'http://id.example.org' })],
  ['provider_audiences', oidc({ allowedAudiences: Array.from({ length: 11 }, (_, n) => `a${n}`) })],
  ['provider_audience_length', oidc({ allowedAudiences: ['a'.repeat(257)] })],
  ['provider_subject_mapping', { attributeMapping: { 'attribute.spiffe_id': 'assertion.sub' } }],
  ['provider_mapping_keys', mapped({ 'attribute.SpiffeId': 'assertion.sub' })],
  ['provider_mapping_keys', mapped({ [`attribute.${'a'.repeat(101)}`]: 'assertion.sub' })],
  ['provider_mapping_count', mapped(many(50))],
  ['provider_mapping_length', mapped({ 'attribute.long': `'${'a'.repeat(2047)}'` })],
  ['provider_condition_length', { attributeCondition: `'${'a'.repeat(4094)}'!=''` }],
]

test.each(providerCases.map(([rule, changes, name = providerName]) => [rule, changes, name] as const))(
  'a provider breaks %s',
  async (rule, changes, name) => {
    const { google } = await openWorld()
    expect(() => google.createProvider(name, { ...provider, ...changes })).toThrow(expect.objectContaining({ rule }))
    expect([...google.state.providers.values()]).toEqual([provider])
  },
)

test('every rule is broken by a case, and none is named twice', () => {
  const broken = [...cases, ...impersonationCases, ...providerCases].map(([rule]) => rule)
  expect(new Set(broken)).toEqual(new Set(googleRuleNames))
  expect(new Set(googleRuleNames).size).toBe(googleRuleNames.length)
})

test('exchanges a token, which then acts as a service account', async () => {
  const world = await openWorld()
  const answer = await exchange(world)
  const [token] = world.google.federatedTokens
  expect(answer.json()).toEqual({
    access_token: token?.accessToken,
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: 300,
  })
  expect(token).toMatchObject({
    pool,
    attributes: { 'google.subject': 'ns/payments/sa/api', 'attribute.spiffe_id': subject },
  })
  const acting = await call(world.google, {
    path: new URL(world.google.impersonationUrl(email)).pathname,
    json: { scope: [cloudPlatform] },
    headers: { authorization: `Bearer ${token?.accessToken}` },
  })
  expect(acting.json()).toMatchObject({ expireTime: '2026-08-01T13:00:00Z' })
  expect(world.google.serviceAccountTokens).toMatchObject([{ email, scopes: [cloudPlatform] }])
})

test.each([
  ['a form', (world: World): CloudCall => ({ form: fieldsOf(world) })],
  ['JSON', (world: World): CloudCall => ({ json: fieldsOf(world) })],
  ['ES256', (world: World): CloudCall => ({ form: fieldsOf(world, { header: { alg: 'ES256', kid: 'ec' } }) })],
  [
    'its own name without https:',
    (world: World): CloudCall => ({ form: fieldsOf(world, { claims: { aud: audience } }) }),
  ],
  ['options', (world: World): CloudCall => ({ form: fieldsOf(world, { form: { options: '{"userProject":"p"}' } }) })],
])('takes %s', async (_, wanted) => {
  const world = await openWorld()
  const answer = await call(world.google, { path: '/v1/token', ...wanted(world) })
  expect(answer.status, answer.text).toBe(200)
})

test('a federated token lives an hour at most', async () => {
  const world = await openWorld()
  expect((await exchange(world, { claims: { exp: seconds + 7200 } })).json()).toMatchObject({ expires_in: 3600 })
})

test('asks no issuer whose keys were uploaded', async () => {
  const world = await openWorld()
  uploaded((own) => own)(world)
  expect((await exchange(world)).status).toBe(200)
  expect(world.issuer.fetched).toEqual([])
})

test('keys are kept, and an unknown one causes no second look within the pause', async () => {
  const world = await openWorld()
  await exchange(world)
  world.issuer.jwks.push(publishedJwk(keys, 'rsa', 'next'))
  expect((await exchange(world, { header: { kid: 'next' } })).status).toBe(400)
  expect(world.issuer.fetched).toHaveLength(2)

  clock(61_000)(world)
  expect((await exchange(world, { header: { kid: 'next' } })).status).toBe(200)
  expect(world.issuer.fetched).toHaveLength(4)
})

test('fails as it is told', async () => {
  const world = await openWorld()
  world.google.inject({ kind: 'throttle', retryAfterSeconds: 3 })
  world.google.inject({ kind: 'unavailable' })
  world.google.inject({ kind: 'unavailable', status: 500 })
  const throttled = await exchange(world)
  expect([throttled.status, throttled.headers['retry-after']]).toEqual([429, '3'])
  expect(throttled.json()).toMatchObject({ error: { code: 429, status: 'RESOURCE_EXHAUSTED' } })
  expect((await exchange(world)).json()).toMatchObject({ error: { status: 'UNAVAILABLE' } })
  expect((await exchange(world)).json()).toMatchObject({ error: { status: 'INTERNAL' } })
  expect((await exchange(world)).status).toBe(200)
})

test.each([
  ['spiffe://td/ns/a', 'spiffe://td/{id}', 'ns/a'],
  ['spiffe://td/ns/a/sa/b', '/ns/{ns}/sa/', 'a'],
  ['spiffe://td/ns/a', '{scheme}://', 'spiffe'],
  ['spiffe://td/ns/a', '/sa/{sa}', ''],
  ['spiffe://td/ns/a', '/ns/{ns}/sa', ''],
])('extract() of %s by %s is "%s"', (text, template, wanted) => {
  expect(extract(text, template)).toBe(wanted)
})

test("the vendor's SDK exchanges a token and acts as a service account", async () => {
  const world = await openWorld()
  world.now = new Date()
  const issuedAt = Math.floor(world.now.getTime() / 1000)
  // The library's requests to STS take no agent of ours.
  globalAgent.options.ca = world.google.ca
  onTestFinished(() => void delete globalAgent.options.ca)
  const client = new IdentityPoolClient({
    type: 'external_account',
    audience,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: world.google.tokenUrl,
    service_account_impersonation_url: world.google.impersonationUrl(email),
    scopes: [cloudPlatform],
    subject_token_supplier: {
      getSubjectToken: async () => tokenFor(world, { claims: { iat: issuedAt, exp: issuedAt + 300 } }),
    },
  })
  const { token } = await client.getAccessToken()
  expect(token).toBe(world.google.serviceAccountTokens[0]?.accessToken)
})
