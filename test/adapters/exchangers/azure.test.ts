import { ClientAssertionCredential } from '@azure/identity'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { tokenUrl } from '../../../src/adapters/exchangers/azure.ts'
import type { ClosableExchange } from '../../../src/adapters/exchangers/index.ts'
import type { CloudErrorKind } from '../../../src/core/cloud.ts'
import { exchangerContract } from '../../contracts/exchanger.ts'
import { type Entra, startEntra } from '../../support/clouds/entra.ts'
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
const tenant = '11111111-2222-3333-4444-555555555555'
const clientId = '66666666-7777-8888-9999-000000000000'

const json = (members: Members, status = 200) => ({
  status,
  headers: { 'content-type': 'application/json', 'x-ms-request-id': 'request-1' },
  body: JSON.stringify(members),
})
const given = (changes: Members) => json({ token_type: 'Bearer', expires_in: 3600, access_token: 'a', ...changes })

exchangerContract({
  type: 'azure',
  target: (url) => ({ type: 'azure', tenant, client_id: clientId, authority_host: url }),
  given: (mark, expiresAt) => given({ expires_in: (expiresAt.getTime() - now.getTime()) / 1000, access_token: mark }),
  markOf: (credential) => ('accessToken' in credential ? credential.accessToken : ''),
  tokenOf: ({ body }) => new URLSearchParams(body).get('client_assertion'),
  useless: [
    ['a token without an expiry', given({ expires_in: undefined })],
    ['a token that is over at once', given({ expires_in: 0 })],
    ['an expiry that is text', given({ expires_in: 'soon' })],
    ['an empty token', given({ access_token: '' })],
    ['a token that is no text', given({ access_token: 7 })],
    ['a token that no header can hold', given({ access_token: 'a\r\nb: c' })],
    ['no token', given({ access_token: undefined })],
    ['a token of another kind', given({ token_type: 'pop' })],
    ['an error with status 200', json({ error: 'invalid_client' })],
  ],
  refusal: (text) =>
    json({ error: 'invalid_client', error_description: `AADSTS700213: ${text}`, error_codes: [700213] }, 401),
  refusalCode: 'AADSTS700213',
})

const document = { type: 'azure', tenant, client_id: clientId }

describe('at a cloud', () => {
  const subject = 'spiffe://example.org/ns/payments/sa/api'
  const audience = 'api://AzureADTokenExchange'
  let entra: Entra
  let issuer: TestIssuer
  let exchange: ClosableExchange
  let skewSeconds = 0

  beforeAll(async () => {
    const authority = await createTestAuthority('public CA')
    issuer = await startTestIssuer(authority, makeIssuerKeys())
    entra = await startEntra({
      publicCas: [authority.ca],
      resolve: issuer.resolve,
      deadlineMs: 300,
      now: () => new Date(Date.now() + skewSeconds * 1000),
      keyCache: { maxAgeSeconds: 0 },
    })
    entra.state.tenants.set(tenant, {})
    exchange = createExchanger()
  })
  beforeEach(() => {
    skewSeconds = 0
    issuer.mood = 'well'
    entra.requests.length = 0
    know({})
  })
  afterAll(() => Promise.all([exchange.close(), entra.close(), issuer.close()]))

  function know(changes: { readonly issuer?: string; readonly subject?: string; readonly visibleAt?: Date }): void {
    const credential = { name: 'payments', issuer: issuer.issuer, subject, audiences: [audience], ...changes }
    entra.state.apps.splice(0, Number.POSITIVE_INFINITY, { tenant, clientId, federatedCredentials: [credential] })
  }

  function tokenFor(claims: Members = {}, header: Members = {}): string {
    const iat = Math.floor(Date.now() / 1000) - 30
    return issuer.token({ iss: issuer.issuer, sub: subject, aud: audience, iat, exp: iat + 330, ...claims }, header)
  }

  const target = (more: Members = {}) =>
    targetOf({ ...document, authority_host: entra.url, ca_file: entra.caFile, ...more })

  test('a token becomes an access token, with one request that holds what the protocol asks for and no more', async () => {
    const token = tokenFor()
    const begun = Date.now()
    const wanted = target({ scopes: ['https://vault.azure.net/.default'] })
    const { credential, requestId } = await exchange(exchangeOf(wanted, token))
    expect(entra.requests).toMatchObject([{ method: 'POST', path: `/${tenant}/oauth2/v2.0/token`, search: '' }])
    expect(entra.requests[0]?.fields).toEqual({
      client_id: clientId,
      scope: 'https://vault.azure.net/.default',
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: token,
    })
    const issued = entra.issued.at(-1)
    expect(issued).toMatchObject({ tenant, clientId, resource: 'https://vault.azure.net', subject })
    expect(credential).toMatchObject({ type: 'azure', accessToken: issued?.accessToken })
    expect(credential.expiresAt.getTime() - begun).toBeGreaterThan(3_598_000)
    expect(credential.expiresAt.getTime()).toBeLessThanOrEqual((issued?.expiresAt.getTime() ?? 0) + 1000)
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/)
  })

  interface Broken {
    readonly claims?: Members
    readonly header?: Members
    readonly target?: Members
    readonly world?: () => void
  }

  test.each<[string, Broken, CloudErrorKind, string, RegExp]>([
    [
      'a credential that is not known yet',
      { world: () => know({ visibleAt: new Date(Date.now() + 60_000) }) },
      'refused',
      'AADSTS70021',
      /some minutes/,
    ],
    [
      'another issuer',
      { world: () => know({ issuer: 'https://id.example.org/' }) },
      'refused',
      'AADSTS700211',
      /slash at the end/,
    ],
    ['another audience', { claims: { aud: 'api://else' } }, 'refused', 'AADSTS700212', /audience/],
    [
      'another subject',
      { claims: { sub: 'spiffe://example.org/else' } },
      'refused',
      'AADSTS700213',
      /letter by letter/,
    ],
    ['ES256', { header: { alg: 'ES256', kid: 'ec' } }, 'refused', 'AADSTS5002738', /RS256 only/],
    ['a key that is not published', { header: { kid: 'gone' } }, 'refused', 'AADSTS7000272', /for an hour/],
    ['no such application', { target: { client_id: tenant } }, 'refused', 'AADSTS700016', /no application/],
    ['no such tenant', { target: { tenant: 'else.example' } }, 'refused', 'AADSTS90002', /no such tenant/],
    [
      'a resource that nobody knows',
      { target: { scopes: ['https://else.example/.default'] } },
      'refused',
      'AADSTS500011',
      /resource/,
    ],
    [
      'a token that is over there',
      {
        world: () => {
          skewSeconds = 600
        },
      },
      'expired_token',
      'AADSTS700024',
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
      'AADSTS700024',
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
      'AADSTS501661',
      /over the internet/,
    ],
    [
      'an issuer that hangs',
      {
        world: () => {
          issuer.mood = 'hang'
        },
      },
      'unreachable',
      'AADSTS50166',
      /over the internet/,
    ],
    [
      'throttling',
      { world: () => entra.inject({ kind: 'throttle', retryAfterSeconds: 3 }) },
      'throttled',
      'AADSTS90055',
      /limits the requests/,
    ],
    [
      'a passing failure',
      { world: () => entra.inject({ kind: 'unavailable' }) },
      'unreachable',
      'AADSTS90033',
      /passing failure/,
    ],
    [
      'garbage',
      { world: () => entra.inject({ kind: 'garbage' }) },
      'unreachable',
      'malformed',
      /no token answer of Entra/,
    ],
  ])('%s', async (_, broken, kind, code, fix) => {
    broken.world?.()
    const token = tokenFor(broken.claims, broken.header)
    const failure = await failureOf(exchange, exchangeOf(target(broken.target), token))
    expect({ kind: failure.kind, code: failure.code }).toEqual({ kind, code })
    expect(failure.message).toMatch(fix)
    expect(failure.message).not.toMatch(/Trace ID|Timestamp/)
    expect(entra.requests).toHaveLength(1)
    expect(failure.retryAfterSeconds).toBe(kind === 'throttled' ? 3 : undefined)
    expect(failure.requestId === undefined).toBe(code === 'malformed')
    for (const part of token.split('.')) expect(failure.message).not.toContain(part)
  })
})

test.each([
  [
    'a transient error',
    400,
    { error: 'invalid_request', error_codes: [90033], error_description: 'AADSTS90033: a' },
    'unreachable',
    'AADSTS90033',
  ],
  [
    'a code in the text alone',
    400,
    { error: 'invalid_client', error_description: 'AADSTS700024: a' },
    'expired_token',
    'AADSTS700024',
  ],
  ['no code', 400, { error: 'temporarily_unavailable' }, 'unreachable', 'temporarily_unavailable'],
  ['a code of another shape', 400, { error: 'invalid_client', error_codes: ['x'] }, 'refused', 'invalid_client'],
  ['an error that is text of its own', 400, { error: 'a b c' }, 'refused', 'unknown'],
  ['a loop', 429, { error: 'invalid_grant', error_codes: [50196] }, 'throttled', 'AADSTS50196'],
])('%s', async (_, status, members, kind, code) => {
  const cloud = await startScriptedCloud()
  cloud.script(json({ ...members, trace_id: 'trace-1' }, status))
  const exchange = createExchanger()
  const wanted = targetOf({ ...document, authority_host: cloud.url, ca_file: cloud.caFile })
  expect(await failureOf(exchange, exchangeOf(wanted, 'a.b.c'))).toMatchObject({
    kind,
    code,
    status,
    requestId: 'trace-1',
  })
  await exchange.close()
  await cloud.close()
})

test.each([
  'https://login.microsoftonline.com',
  'https://login.microsoftonline.us',
  'https://login.partner.microsoftonline.cn',
])('the endpoint of %s is the one that the library knows', async (host) => {
  const asked: string[] = []
  const httpClient = {
    sendRequest: async (request: { readonly url: string }) => {
      asked.push(request.url.replace(/\?.*$/, ''))
      throw new Error('far enough')
    },
  } as never
  const options = { authorityHost: host, disableInstanceDiscovery: true, httpClient, retryOptions: { maxRetries: 0 } }
  const credential = new ClientAssertionCredential(tenant, clientId, async () => 'a.b.c', options)
  await expect(credential.getToken('https://vault.azure.net/.default')).rejects.toThrow()
  const { document: parsed } = targetOf({ ...document, authority_host: `${host}/` })
  expect(asked).toContain(tokenUrl(parsed as never))
})
