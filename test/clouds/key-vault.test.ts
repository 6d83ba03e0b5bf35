import { type KeyVaultSecret as LibrarySecret, SecretClient } from '@azure/keyvault-secrets'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { call } from '../support/clouds/cloud-client.ts'
import type { EntraToken } from '../support/clouds/entra.ts'
import { type KeyVault, keyVaultRuleNames, startKeyVault } from '../support/clouds/key-vault.ts'
import { actionOf } from '../support/clouds/key-vault-rules.ts'
import { deleteKeyVaultSecret, type KeyVaultSecret, setKeyVaultSecret } from '../support/clouds/key-vault-state.ts'

const tenant = '11111111-2222-3333-4444-555555555555'
const clientId = '66666666-7777-8888-9999-000000000000'
const start = new Date('2026-08-01T12:00:00Z')
const token: EntraToken = {
  accessToken: 'eyJ.of.entra',
  tenant,
  clientId,
  resource: 'https://vault.azure.net',
  subject: 's',
  expiresAt: new Date(start.getTime() + 3_600_000),
}

let vault: KeyVault
let now = start
const issued: EntraToken[] = []

beforeAll(async () => {
  vault = await startKeyVault({ tenant, entra: { issued }, now: () => now })
})
beforeEach(() => {
  now = start
  issued.splice(0, Number.POSITIVE_INFINITY, token)
  vault.calm()
  vault.state.secrets.clear()
  vault.state.grants.set(clientId, new Set(Object.values(actionOf)))
  vault.state.settleSeconds = 0
  vault.state.purgeProtection = false
  setKeyVaultSecret(vault.state, 'there', now, { value: 'value' })
})
afterAll(() => vault.close())

const there = (): KeyVaultSecret => vault.state.secrets.get('there') as KeyVaultSecret
const version = () => there().versions[0]?.id ?? ''

interface Asked {
  readonly method?: string
  readonly json?: unknown
  readonly query?: string
  readonly authorization?: string
}

function ask(path: string, { method = 'GET', json, query = 'api-version=7.4', authorization }: Asked = {}) {
  const headers = { authorization: authorization ?? `Bearer ${token.accessToken}` }
  return call(vault, { path: `${path}?${query}`, method, headers, ...(json !== undefined && { json }) })
}

const put = (json: unknown) => ({ method: 'PUT', json })
const tagged = (tags: unknown) => put({ value: 'x', tags })
const many = Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`tag-${n}`, '']))
const replaceToken = (changes: Partial<EntraToken>) => () => void issued.splice(0, 1, { ...token, ...changes })
const remove = () => deleteKeyVaultSecret(vault.state, there(), now)
const settling = () => void Object.assign(there(), { settledAt: new Date(now.getTime() + 1000) })

type Case = readonly [
  rule: string,
  status: number,
  code: string,
  path: () => string,
  asked?: Asked,
  prepare?: () => void,
]
const at = (path: string) => () => path

const cases: readonly Case[] = [
  ['token_present', 401, 'Unauthorized', at('/secrets'), { authorization: 'Basic x' }],
  ['token_of_entra', 401, 'Unauthorized', at('/secrets'), { authorization: 'Bearer eyJ.of.nobody' }],
  [
    'token_audience',
    401,
    'Unauthorized',
    at('/secrets'),
    {},
    replaceToken({ resource: 'https://graph.microsoft.com' }),
  ],
  ['token_tenant', 401, 'Unauthorized', at('/secrets'), {}, replaceToken({ tenant: clientId })],
  ['token_expired', 401, 'Unauthorized', at('/secrets'), {}, replaceToken({ expiresAt: start })],
  ['route', 404, 'NotFound', at('/keys')],
  ['route', 404, 'NotFound', at('/secrets/there/versions/more')],
  ['route', 404, 'NotFound', at('/secrets/there'), { method: 'PATCH', json: {} }],
  ['api_version', 400, 'BadParameter', at('/secrets'), { query: '' }],
  ['api_version', 400, 'BadParameter', at('/secrets'), { query: 'api-version=1.0' }],
  ['permission', 403, 'Forbidden', at('/secrets'), {}, () => vault.state.grants.clear()],
  ['name', 400, 'BadParameter', at('/secrets/under_score'), put({ value: 'x' })],
  ['name', 400, 'BadParameter', at(`/secrets/${'n'.repeat(128)}`), put({ value: 'x' })],
  ['page_size', 400, 'BadParameter', at('/secrets'), { query: 'api-version=7.4&maxresults=26' }],
  ['page_token', 400, 'BadParameter', at('/secrets'), { query: 'api-version=7.4&$skiptoken=%20' }],
  ['body', 400, 'BadParameter', at('/secrets/new'), { method: 'PUT' }],
  ['value', 400, 'BadParameter', at('/secrets/new'), put({})],
  ['value', 400, 'BadParameter', at('/secrets/new'), put({ value: 1 })],
  ['value_size', 400, 'BadParameter', at('/secrets/new'), put({ value: 'é'.repeat(12_801) })],
  ['content_type', 400, 'BadParameter', at('/secrets/new'), put({ value: 'x', contentType: 'c'.repeat(256) })],
  ['tags', 400, 'BadParameter', at('/secrets/new'), tagged({ a: 1 })],
  ['tag_count', 400, 'BadParameter', at('/secrets/new'), tagged(many)],
  ['tag_name', 400, 'BadParameter', at('/secrets/new'), tagged({ ['n'.repeat(513)]: '' })],
  ['tag_value', 400, 'BadParameter', at('/secrets/new'), tagged({ n: 'v'.repeat(257) })],
  [
    'being_deleted',
    409,
    'ObjectIsBeingDeleted',
    at('/secrets/there'),
    put({ value: 'x' }),
    () => {
      remove()
      settling()
    },
  ],
  ['being_recovered', 409, 'ObjectIsBeingRecovered', at('/secrets/there'), put({ value: 'x' }), settling],
  ['deleted_recoverable', 409, 'ObjectIsDeletedButRecoverable', at('/secrets/THERE'), put({ value: 'x' }), remove],
  [
    'purge_protected',
    403,
    'Forbidden',
    at('/deletedsecrets/there'),
    { method: 'DELETE' },
    () => {
      remove()
      vault.state.purgeProtection = true
    },
  ],
  ['found', 404, 'SecretNotFound', at('/secrets/elsewhere')],
  ['found', 404, 'SecretNotFound', at('/secrets/there'), {}, remove],
  ['found', 404, 'SecretNotFound', at('/secrets/there'), {}, settling],
  ['found', 404, 'SecretNotFound', at('/secrets/there/0123'), { method: 'PATCH', json: {} }],
  ['found_deleted', 404, 'SecretNotFound', at('/deletedsecrets/there')],
  ['found_deleted', 404, 'SecretNotFound', at('/deletedsecrets/there/recover'), { method: 'POST' }],
  [
    'disabled',
    403,
    'SecretDisabled',
    () => `/secrets/there/${version()}`,
    {},
    () => void Object.assign(there().versions[0] ?? {}, { enabled: false }),
  ],
]

interface Refused {
  readonly error: { readonly code: string; readonly innererror?: { readonly code: string } }
}

test.each(cases.map((one) => [one[0], one[1], one] as const))('breaks %s: %i', async (rule, status, one) => {
  const [, , code, path, asked, prepare] = one
  prepare?.()
  const answer = await ask(path(), asked)
  const { error } = answer.json() as unknown as Refused
  const seen = { rule: vault.requests[0]?.refusedBy, status: answer.status }
  expect(seen).toEqual({ rule, status })
  // RBAC's own code stands inside of `Forbidden`.
  expect([error.code, error.innererror?.code]).toContain(code)
})

test('every rule is broken by a case, and none is named twice', () => {
  expect(new Set(cases.map(([rule]) => rule))).toEqual(new Set(keyVaultRuleNames))
  expect(new Set(keyVaultRuleNames).size).toBe(keyVaultRuleNames.length)
})

test('whoever has no token is told where there are some', async () => {
  const answer = await call(vault, { path: '/secrets?api-version=7.4' })
  expect(answer.headers['www-authenticate']).toBe(
    `Bearer authorization="https://login.microsoftonline.com/${tenant}", resource="https://vault.azure.net"`,
  )
})

test('deleting and recovering take their time, and keep every version', async () => {
  vault.state.settleSeconds = 5
  const gone = await ask('/secrets/there', { method: 'DELETE' })
  expect(gone.json()).toMatchObject({ recoveryId: `${vault.url}/deletedsecrets/there` })
  expect((await ask('/deletedsecrets/there')).status).toBe(404)
  now = new Date(now.getTime() + 5000)
  expect((await ask('/deletedsecrets/there')).status).toBe(200)
  expect((await ask('/secrets')).json()).toMatchObject({ value: [] })
  await ask('/deletedsecrets/there/recover', { method: 'POST' })
  expect((await ask('/secrets/there')).status).toBe(404)
  now = new Date(now.getTime() + 5000)
  expect((await ask('/secrets/there')).json()).toMatchObject({ value: 'value' })
  expect((await ask(`/secrets/there/${version()}`)).status).toBe(200)
})

test('what is deleted is gone after its time', async () => {
  remove()
  now = new Date(now.getTime() + 90 * 86_400_000)
  replaceToken({ expiresAt: new Date(now.getTime() + 1000) })()
  expect((await ask('/secrets/there', put({ value: 'x' }))).status).toBe(200)
  expect(there().versions).toHaveLength(1)
})

/** The vendor's client as it is, with the latest version of the API. */
function client(): SecretClient {
  const credential = {
    getToken: async () => ({ token: token.accessToken, expiresOnTimestamp: token.expiresAt.getTime() }),
  }
  return new SecretClient(vault.url, credential, {
    disableChallengeResourceVerification: true,
    tlsOptions: { ca: vault.ca },
    retryOptions: { maxRetries: 0 },
  })
}

test('the vendor’s client sets, changes and reads', async () => {
  const secrets = client()
  const made = await secrets.setSecret('db', 'one', { tags: { team: 'payments' }, contentType: 'text/plain' })
  expect(made.properties).toMatchObject({ tags: { team: 'payments' }, contentType: 'text/plain', enabled: true })
  await secrets.setSecret('db', 'two')
  const latest: LibrarySecret = await secrets.getSecret('DB')
  expect([latest.value, latest.properties.tags]).toEqual(['two', undefined])
  const first = made.properties.version ?? ''
  expect((await secrets.getSecret('db', { version: first })).value).toBe('one')
  await secrets.updateSecretProperties('db', first, { tags: { team: 'web' } })
  expect((await secrets.getSecret('db', { version: first })).properties.tags).toEqual({ team: 'web' })
  await expect(secrets.getSecret('elsewhere')).rejects.toMatchObject({ statusCode: 404, code: 'SecretNotFound' })
})

test('the vendor’s client lists in pages', async () => {
  const secrets = client()
  for (let n = 0; n < 60; n++) setKeyVaultSecret(vault.state, `n-${n}`, now, { value: 'x' })
  const names: string[] = []
  for await (const { name } of secrets.listPropertiesOfSecrets()) names.push(name)
  expect(new Set(names).size).toBe(61)
  const none = secrets.listPropertiesOfSecretVersions('elsewhere')
  expect(await none.next()).toMatchObject({ done: true })
})

test('the vendor’s client deletes, recovers and purges', async () => {
  const secrets = client()
  const poller = await secrets.beginDeleteSecret('there', { intervalInMs: 1 })
  const deleted = await poller.pollUntilDone()
  expect(deleted.deletedOn).toEqual(start)
  await expect(secrets.setSecret('there', 'x')).rejects.toMatchObject({ statusCode: 409, code: 'Conflict' })
  await (await secrets.beginRecoverDeletedSecret('there', { intervalInMs: 1 })).pollUntilDone()
  expect((await secrets.getSecret('there')).value).toBe('value')
  await (await secrets.beginDeleteSecret('there', { intervalInMs: 1 })).pollUntilDone()
  await secrets.purgeDeletedSecret('there')
  await expect(secrets.getDeletedSecret('there')).rejects.toMatchObject({ statusCode: 404 })
})
