import { ClientAssertionCredential } from '@azure/identity'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { type CloudCall, call } from '../support/clouds/cloud-client.ts'
import { type Entra, entraRuleNames, startEntra } from '../support/clouds/entra.ts'
import type { FederatedCredential } from '../support/clouds/entra-directory.ts'
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

const tenant = '11111111-2222-3333-4444-555555555555'
const clientId = '66666666-7777-8888-9999-000000000000'
const start = new Date('2026-08-01T12:00:00Z')
const seconds = start.getTime() / 1000
const subject = 'spiffe://example.org/ns/payments/sa/api'
const audience = 'api://AzureADTokenExchange'
const path = `/${tenant}/oauth2/v2.0/token`

let authority: TestAuthority
let keys: IssuerKeys

beforeAll(async () => {
  authority = await createTestAuthority('public CA')
  keys = makeIssuerKeys()
})

interface World {
  readonly entra: Entra
  readonly issuer: TestIssuer
  readonly resolve: Record<string, string>
  now: Date
}

const open: World[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).flatMap(({ entra, issuer }) => [entra.close(), issuer.close()]))
})

const credential: FederatedCredential = {
  name: 'payments-api',
  issuer: 'https://id.example.org',
  subject,
  audiences: [audience],
}

interface Stage {
  readonly issuer?: string
  /** Of the double's fetches; as in truth by default. */
  readonly deadlineMs?: number
}

async function openWorld({ issuer: name, deadlineMs = 5000 }: Stage = {}): Promise<World> {
  const issuer = await startTestIssuer(authority, keys, name)
  const resolve = { ...issuer.resolve }
  const entra = await startEntra({ publicCas: [authority.ca], resolve, deadlineMs, now: () => world.now })
  const world: World = { entra, issuer, resolve, now: start }
  entra.state.tenants.set(tenant, {})
  entra.state.apps.push({ tenant, clientId, federatedCredentials: [] })
  await entra.addFederatedCredential(clientId, { ...credential, issuer: issuer.issuer })
  open.push(world)
  return world
}

interface Change extends Stage {
  readonly path?: string
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
  readonly form?: CloudCall['form']
  readonly headers?: Readonly<Record<string, string>>
  readonly world?: (world: World) => void
}

function assertionFor(world: World, { claims, header }: Change): string {
  const standard = { iss: world.issuer.issuer, sub: subject, aud: audience, iat: seconds - 30, exp: seconds + 300 }
  return world.issuer.token({ ...standard, ...claims }, header)
}

function ask(world: World, change: Change = {}): Promise<WireAnswer> {
  const form = {
    grant_type: 'client_credentials',
    client_id: clientId,
    scope: 'https://vault.azure.net/.default',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertionFor(world, change),
    ...change.form,
  }
  return call(world.entra, { path: change.path ?? path, form, ...(change.headers && { headers: change.headers }) })
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
const keysAre = (jwks: () => Record<string, unknown>[]) => (world: World) => {
  world.issuer.jwks = jwks()
}
const resolveToEntra = ({ resolve, entra }: World) => {
  resolve['id.example.org'] = `127.0.0.1:${entra.port}`
}
const otherApp = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee'

type Case = readonly [rule: string, status: number, error: string, code: number, change: Change]

const cases: readonly Case[] = [
  ['tenant_known', 400, 'invalid_request', 90002, { path: path.replace(tenant, otherApp) }],
  ['grant_type', 400, 'invalid_request', 900144, { form: { grant_type: undefined } }],
  ['grant_type', 400, 'invalid_request', 900144, { headers: { 'content-type': 'application/json' } }],
  ['grant_type_client_credentials', 400, 'unsupported_grant_type', 70003, { form: { grant_type: 'password' } }],
  ['client_id', 400, 'invalid_request', 900144, { form: { client_id: undefined } }],
  ['app_known', 400, 'unauthorized_client', 700016, { form: { client_id: otherApp } }],
  ['scope', 400, 'invalid_request', 900144, { form: { scope: undefined } }],
  ['scope_default', 400, 'invalid_scope', 1002012, { form: { scope: 'https://vault.azure.net/secrets.read' } }],
  [
    'scope_single_resource',
    400,
    'invalid_request',
    28000,
    { form: { scope: 'https://vault.azure.net/.default https://graph.microsoft.com/.default' } },
  ],
  ['scope_resource_known', 400, 'invalid_resource', 500011, { form: { scope: 'https://other.example/.default' } }],
  ['assertion_present', 401, 'invalid_client', 7000218, { form: { client_assertion: undefined } }],
  ['assertion_type', 400, 'invalid_request', 900144, { form: { client_assertion_type: 'jwt-bearer' } }],
  ['assertion_jwt', 401, 'invalid_client', 50027, { form: { client_assertion: 'opaque' } }],
  ['assertion_algorithm', 400, 'invalid_request', 5002738, { header: { alg: 'ES256', kid: 'ec' } }],
  ['assertion_algorithm', 400, 'invalid_request', 5002738, { header: { alg: 'PS256' } }],
  ['assertion_kid', 401, 'invalid_client', 50027, { header: { kid: undefined } }],
  ...['iss', 'sub', 'aud', 'exp'].map(
    (name): Case => ['assertion_claims', 401, 'invalid_client', 50027, { claims: { [name]: undefined } }],
  ),
  [
    'assertion_not_entra',
    401,
    'invalid_client',
    700222,
    { claims: { iss: `https://login.microsoftonline.com/${tenant}/v2.0` } },
  ],
  [
    'assertion_enterprise',
    401,
    'invalid_client',
    7002381,
    {
      issuer: 'https://token.actions.githubusercontent.com',
      world: ({ entra }) => entra.state.tenants.set(tenant, { needsEnterpriseClaim: true }),
    },
  ],
  [
    'credential_visible',
    401,
    'invalid_client',
    70021,
    { world: ({ entra }) => entra.state.apps[0]?.federatedCredentials.splice(0) },
  ],
  ['credential_matches_issuer', 401, 'invalid_client', 700211, { claims: { iss: 'https://id.example.org/' } }],
  ['credential_matches_issuer', 401, 'invalid_client', 700211, { claims: { iss: 'https://ID.example.org' } }],
  ['credential_matches_audience', 401, 'invalid_client', 700212, { claims: { aud: 'api://azureadtokenexchange' } }],
  ['credential_matches_audience', 401, 'invalid_client', 700212, { claims: { aud: [audience, 'other'] } }],
  ['credential_matches_subject', 401, 'invalid_client', 700213, { claims: { sub: subject.replace('api', 'API') } }],
  ['credential_matches_subject', 401, 'invalid_client', 700213, { claims: { sub: `${subject}/` } }],
  ['assertion_expired', 401, 'invalid_client', 700024, { claims: { exp: seconds } }],
  ['assertion_expired', 401, 'invalid_client', 700024, { world: clock(600_000) }],
  ['assertion_not_yet_valid', 401, 'invalid_client', 700024, { claims: { nbf: seconds + 301 } }],
  ['assertion_issued_in_future', 401, 'invalid_client', 700024, { claims: { iat: seconds + 301 } }],
  ['assertion_issued_in_future', 401, 'invalid_client', 700024, { world: clock(-600_000) }],
  ['issuer_reached', 400, 'invalid_request', 50166, { world: ({ resolve }) => delete resolve['id.example.org'] }],
  ['issuer_deadline', 400, 'invalid_request', 50166, { deadlineMs: 50, world: mood('hang') }],
  ['issuer_tls', 400, 'invalid_request', 50166, { world: resolveToEntra }],
  ['issuer_no_redirect', 400, 'invalid_request', 501661, { world: mood('redirect') }],
  ['issuer_no_redirect', 400, 'invalid_request', 501661, { world: mood('jwks redirects') }],
  ['issuer_status', 400, 'invalid_request', 501661, { world: mood('failing') }],
  ['issuer_json', 400, 'invalid_request', 90061, { world: mood('not json') }],
  ['discovery_issuer', 400, 'invalid_request', 90061, { world: publish('issuer', 'https://id.example.org/') }],
  ['discovery_jwks_uri', 400, 'invalid_request', 90061, { world: publish('jwks_uri', undefined) }],
  ['discovery_jwks_uri', 400, 'invalid_request', 90061, { world: publish('jwks_uri', 'http://id.example.org/keys') }],
  ['key_known', 401, 'invalid_client', 7000272, { header: { kid: 'next' } }],
  [
    'key_among_first_100',
    401,
    'invalid_client',
    7000272,
    {
      world: keysAre(() => [
        ...Array.from({ length: 100 }, (_, n) => publishedJwk(keys, 'rsa', `old-${n}`)),
        publishedJwk(keys, 'rsa'),
      ]),
    },
  ],
  [
    'key_use_sig',
    401,
    'invalid_client',
    7000272,
    { world: keysAre(() => [{ ...publishedJwk(keys, 'rsa'), use: 'jwt-svid' }]) },
  ],
  [
    'key_use_sig',
    401,
    'invalid_client',
    7000272,
    { world: keysAre(() => [{ ...publishedJwk(keys, 'rsa'), use: undefined }]) },
  ],
  ['signature', 401, 'invalid_client', 50013, { world: keysAre(() => [publishedJwk(makeIssuerKeys(), 'rsa')]) }],
]

test.each(cases)('a token request breaks %s: %i %s AADSTS%i', async (rule, status, error, code, change) => {
  const world = await openWorld(change)
  change.world?.(world)
  const answer = await ask(world, change)
  const body = answer.json()
  expect({ rule: world.entra.requests[0]?.refusedBy, status: answer.status, ...body }).toMatchObject({
    rule,
    status,
    error,
    error_codes: [code],
    error_description: expect.stringMatching(`^AADSTS${code}: `),
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/),
    trace_id: expect.any(String),
    correlation_id: expect.any(String),
  })
  expect(world.entra.issued).toEqual([])
})

const long = 'a'.repeat(601)
const writeCases: readonly (readonly [rule: string, changes: Partial<FederatedCredential>])[] = [
  ['credential_name', { name: '-a' }],
  ['credential_name', { name: 'a'.repeat(121) }],
  ['credential_name_unique', { name: credential.name }],
  ['credential_issuer', { issuer: `https://${long}` }],
  ['credential_issuer', { issuer: 'https://id.example.org ' }],
  ['credential_issuer_url', { issuer: 'id.example.org' }],
  ['credential_subject', { subject: long }],
  ['credential_subject_wildcard', { subject: 'spiffe://example.org/*' }],
  ['credential_audience_single', { audiences: [audience, 'other'] }],
  ['credential_audience', { audiences: [long] }],
  ['credential_description', { description: long }],
  ['credential_unique', { subject }],
]
const another = { ...credential, name: 'another', subject: `${subject}/2` }

test.each(writeCases)('a federated credential breaks %s: %j', async (rule, changes) => {
  const { entra } = await openWorld()
  await expect(entra.addFederatedCredential(clientId, { ...another, ...changes })).rejects.toMatchObject({ rule })
  expect(entra.state.apps[0]?.federatedCredentials).toHaveLength(1)
})

const busyRules = ['credential_concurrent_write', 'credential_count']

test('parallel writes to one application break credential_concurrent_write, and the 21st credential_count', async () => {
  const { entra } = await openWorld()
  const first = entra.addFederatedCredential(clientId, another)
  await expect(entra.addFederatedCredential(clientId, { ...another, name: 'third' })).rejects.toMatchObject({
    rule: busyRules[0],
    status: 409,
  })
  await first
  for (let n = 2; n < 20; n++)
    await entra.addFederatedCredential(clientId, { ...another, name: `more-${n}`, subject: `${subject}/more/${n}` })
  const last = { ...another, name: 'last', subject: `${subject}/last` }
  await expect(entra.addFederatedCredential(clientId, last)).rejects.toMatchObject({ rule: busyRules[1], status: 400 })
})

test('every rule is broken by a case, and none is named twice', () => {
  const broken = [...cases, ...writeCases].map(([rule]) => rule)
  expect(new Set([...broken, ...busyRules])).toEqual(new Set(entraRuleNames))
  expect(new Set(entraRuleNames).size).toBe(entraRuleNames.length)
})

test('exchanges an assertion for a token', async () => {
  const world = await openWorld()
  const answer = await ask(world)
  expect(answer.status, answer.text).toBe(200)
  const [issued] = world.entra.issued
  expect(answer.json()).toEqual({
    token_type: 'Bearer',
    expires_in: 3599,
    ext_expires_in: 3599,
    access_token: issued?.accessToken,
  })
  expect(issued).toMatchObject({ tenant, clientId, resource: 'https://vault.azure.net', subject })
  expect(world.entra.requests[0]).toMatchObject({ method: 'POST', path, status: 200, fields: { client_id: clientId } })
})

test('a new credential is seen when it has propagated', async () => {
  const world = await openWorld()
  world.entra.state.apps[0]?.federatedCredentials.splice(0)
  world.entra.state.propagationSeconds = 60
  await world.entra.addFederatedCredential(clientId, credential)
  expect((await ask(world)).json()).toMatchObject({ error_codes: [70021] })
  clock(61_000)(world)
  expect((await ask(world)).status).toBe(200)
})

test('keys are kept, and an unknown one causes no second look within the pause', async () => {
  const world = await openWorld()
  await ask(world)
  world.issuer.jwks.push(publishedJwk(keys, 'rsa', 'next'))
  expect((await ask(world, { header: { kid: 'next' } })).json()).toMatchObject({ error_codes: [7000272] })
  expect(world.issuer.fetched).toHaveLength(2)

  clock(301_000)(world)
  const later = { iat: seconds + 270, exp: seconds + 600 }
  expect((await ask(world, { header: { kid: 'next' }, claims: later })).status).toBe(200)
  expect(world.issuer.fetched).toHaveLength(4)
})

test('repeats the correlation id of its client', async () => {
  const world = await openWorld()
  const headers = { 'client-request-id': otherApp }
  const answer = await ask(world, { headers, form: { client_assertion: 'opaque' } })
  expect(answer.json()).toMatchObject({ correlation_id: otherApp })
})

test('fails as it is told, and only where tokens are asked for', async () => {
  const world = await openWorld()
  world.entra.inject({ kind: 'throttle', retryAfterSeconds: 7 })
  world.entra.inject({ kind: 'unavailable' })
  const metadata = await call(world.entra, { path: `/${tenant}/v2.0/.well-known/openid-configuration` })
  expect(metadata.json()).toMatchObject({ token_endpoint: `${world.entra.url}${path}` })
  const throttled = await ask(world)
  expect([throttled.status, throttled.headers['retry-after']]).toEqual([429, '7'])
  const failing = await ask(world)
  expect([failing.status, failing.json()['error_codes']]).toEqual([503, [90033]])
  expect((await ask(world)).status).toBe(200)
})

test("the vendor's SDK gets a token, and the code of a refusal", async () => {
  const world = await openWorld()
  world.now = new Date()
  const issuedAt = Math.floor(world.now.getTime() / 1000)
  const times = { iat: issuedAt, exp: issuedAt + 300 }
  const options = { authorityHost: world.entra.url, disableInstanceDiscovery: true, tlsOptions: { ca: world.entra.ca } }
  const sdk = (claims: Readonly<Record<string, unknown>>) =>
    new ClientAssertionCredential(tenant, clientId, async () => assertionFor(world, { claims }), options)
  const token = await sdk(times).getToken('https://vault.azure.net/.default')
  expect(token?.token).toBe(world.entra.issued[0]?.accessToken)
  await expect(sdk({ ...times, sub: 'other' }).getToken('https://vault.azure.net/.default')).rejects.toThrow(
    'AADSTS700213',
  )
})
