import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { SecretManagerServiceClient } from '@google-cloud/secret-manager'
import { GoogleAuth, OAuth2Client } from 'google-auth-library'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { call } from '../support/clouds/cloud-client.ts'
import type { GoogleFederatedToken, GoogleServiceAccountToken } from '../support/clouds/google-project.ts'
import {
  type GoogleSecretManager,
  googleSecretsRuleNames,
  startGoogleSecretManager,
} from '../support/clouds/google-secret-manager.ts'
import { crc32c, permissionOf } from '../support/clouds/google-secrets-rules.ts'
import { addGoogleVersion, createGoogleSecret, type GoogleSecret } from '../support/clouds/google-secrets-state.ts'

const projectNumber = '123456789'
const pool = `projects/${projectNumber}/locations/global/workloadIdentityPools/apostille`
const start = new Date('2026-08-01T12:00:00Z')
const scopes = ['https://www.googleapis.com/auth/cloud-platform']
const expiresAt = new Date(start.getTime() + 3_600_000)
const federated = { accessToken: 'ya29.d.one', pool, attributes: { 'google.subject': 'sync/one' }, scopes, expiresAt }
const acting = { accessToken: 'ya29.c.two', email: 'sync@p.iam.gserviceaccount.com', scopes, expiresAt }

const usualAuthorities = getCACertificates('default')
let store: GoogleSecretManager
let now = start
const federatedTokens: GoogleFederatedToken[] = []
const serviceAccountTokens: GoogleServiceAccountToken[] = []

beforeAll(async () => {
  const sts = { federatedTokens, serviceAccountTokens }
  store = await startGoogleSecretManager({ project: 'payments-prod', projectNumber, sts, now: () => now })
  // Its connections are none that a caller could give authorities to.
  setDefaultCACertificates([...usualAuthorities, store.ca])
})
beforeEach(() => {
  now = start
  federatedTokens.splice(0, Number.POSITIVE_INFINITY, federated)
  serviceAccountTokens.splice(0, Number.POSITIVE_INFINITY, acting)
  store.calm()
  store.state.secrets.clear()
  store.state.writtenAt.length = 0
  store.state.writesPerMinute = 600
  const members = [`principal://iam.googleapis.com/${pool}/subject/sync/one`, `serviceAccount:${acting.email}`]
  store.state.bindings = [{ permissions: Object.values(permissionOf), members }]
  addGoogleVersion(
    createGoogleSecret(store.state, `projects/${projectNumber}/secrets/there`, now, { replication: { automatic: {} } }),
    Buffer.from('value'),
    now,
  )
})
afterAll(async () => {
  setDefaultCACertificates([...usualAuthorities])
  await store.close()
})

const there = (): GoogleSecret => store.state.secrets.get(`projects/${projectNumber}/secrets/there`) as GoogleSecret

interface Asked {
  readonly method?: string
  readonly json?: unknown
  readonly text?: string
  readonly authorization?: string
}

function ask(path: string, { method = 'GET', authorization = `Bearer ${federated.accessToken}`, ...body }: Asked = {}) {
  const headers = { authorization, 'content-type': 'application/json' }
  return call(store, { path: `/v1/${path}`, method, headers, ...body })
}

const secrets = 'projects/payments-prod/secrets'
const post = (json: unknown) => ({ method: 'POST', json })
const patch = (json: unknown) => ({ method: 'PATCH', json })
const automatic = { automatic: {} }
const withLabels = (labels: unknown) => post({ replication: automatic, labels })
const withAnnotations = (annotations: unknown) => post({ replication: automatic, annotations })
const payload = (data: string, more: object = {}) =>
  post({ payload: { data: Buffer.from(data).toString('base64'), ...more } })
const change = (changes: Partial<typeof federated>) => () =>
  void federatedTokens.splice(0, 1, { ...federated, ...changes })
const many = Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`label-${n}`, '']))
const setState = (state: 'DISABLED' | 'DESTROYED') => () => void Object.assign(there().versions[0] ?? {}, { state })

type Case = readonly [rule: string, status: number, code: string, path: string, asked?: Asked, prepare?: () => void]

const bad = 'INVALID_ARGUMENT'

const cases: readonly Case[] = [
  ['secrets_bearer', 401, 'UNAUTHENTICATED', secrets, { authorization: 'Basic x' }],
  ['secrets_token', 401, 'UNAUTHENTICATED', secrets, { authorization: 'Bearer ya29.other' }],
  ['secrets_token_expired', 401, 'UNAUTHENTICATED', secrets, {}, change({ expiresAt: start })],
  ['secrets_scope', 403, 'PERMISSION_DENIED', secrets, {}, change({ scopes: [`${scopes[0]}.read-only`] })],
  ['secrets_route', 404, 'NOT_FOUND', 'projects/payments-prod/keys'],
  ['secrets_route', 404, 'NOT_FOUND', `${secrets}/there:rotateSecret`, post({})],
  ['secrets_permission', 403, 'PERMISSION_DENIED', secrets, {}, change({ attributes: { 'google.subject': 'other' } })],
  [
    'secrets_quota',
    429,
    'RESOURCE_EXHAUSTED',
    `${secrets}/there:addVersion`,
    payload('x'),
    () => void store.state.writtenAt.push(...Array.from({ length: 600 }, () => now)),
  ],
  ['secrets_body', 400, bad, `${secrets}?secretId=n`, { method: 'POST', text: '{' }],
  ['secrets_members', 400, bad, `${secrets}?secretId=n`, post({ replication: automatic, colour: 'red' })],
  ['secrets_members', 400, bad, `${secrets}?colour=red`],
  ['secrets_members', 400, bad, `${secrets}/there:addVersion`, post({ payload: { data: '***' } })],
  ['secrets_members', 400, bad, `${secrets}?secretId=n`, post({ replication: { automatic: {}, colour: {} } })],
  ['secrets_members', 400, bad, `${secrets}?secretId=n`, withLabels({ a: 1 })],
  ['secrets_members', 400, bad, `${secrets}?secretId=n`, post({ replication: { userManaged: { replicas: {} } } })],
  ['secrets_members', 400, bad, `${secrets}?secretId=n`, post({ replication: automatic, secretType: 'NONE' })],
  ['secrets_id', 400, bad, `${secrets}?secretId=a.b`, post({ replication: automatic })],
  ['secrets_id', 400, bad, `${secrets}?secretId=${'n'.repeat(256)}`, post({ replication: automatic })],
  ['secrets_replication', 400, bad, `${secrets}?secretId=n`, post({})],
  ['secrets_replication', 400, bad, `${secrets}?secretId=n`, post({ replication: { userManaged: { replicas: [] } } })],
  [
    'secrets_regional_replication',
    400,
    bad,
    'projects/payments-prod/locations/europe-west1/secrets?secretId=n',
    post({ replication: automatic }),
  ],
  ['secrets_label_count', 400, bad, `${secrets}?secretId=n`, withLabels(many)],
  ['secrets_label_key', 400, bad, `${secrets}?secretId=n`, withLabels({ Upper: 'x' })],
  ['secrets_label_value', 400, bad, `${secrets}?secretId=n`, withLabels({ a: 'Upper' })],
  ['secrets_label_value', 400, bad, `${secrets}?secretId=n`, withLabels({ a: 'x'.repeat(64) })],
  ['secrets_annotation_key', 400, bad, `${secrets}?secretId=n`, withAnnotations({ '-a': 'x' })],
  ['secrets_annotation_size', 400, bad, `${secrets}?secretId=n`, withAnnotations({ a: 'x'.repeat(16 * 1024) })],
  ['secrets_payload', 400, bad, `${secrets}/there:addVersion`, payload('')],
  ['secrets_payload_size', 400, bad, `${secrets}/there:addVersion`, payload('x'.repeat(65_537))],
  ['secrets_payload_checksum', 400, bad, `${secrets}/there:addVersion`, payload('x', { dataCrc32c: '1' })],
  ['secrets_mask', 400, bad, `${secrets}/there`, patch({ labels: {} })],
  ['secrets_mask_paths', 400, bad, `${secrets}/there?updateMask=colour`, patch({})],
  ['secrets_mask_mutable', 400, bad, `${secrets}/there?updateMask=name`, patch({})],
  ['secrets_page_size', 400, bad, `${secrets}?pageSize=-1`],
  ['secrets_page_token', 400, bad, `${secrets}?pageToken=x`],
  ['secrets_project', 404, 'NOT_FOUND', 'projects/other/secrets'],
  ['secrets_exists', 409, 'ALREADY_EXISTS', `${secrets}?secretId=there`, post({ replication: automatic })],
  ['secrets_found', 404, 'NOT_FOUND', `${secrets}/elsewhere`],
  ['secrets_version_found', 404, 'NOT_FOUND', `${secrets}/there/versions/2`],
  ['secrets_etag', 400, 'FAILED_PRECONDITION', `${secrets}/there?updateMask=labels`, patch({ etag: '"old"' })],
  ['secrets_etag', 400, 'FAILED_PRECONDITION', `${secrets}/there?etag=%22old%22`, { method: 'DELETE' }],
  [
    'secrets_immutable',
    400,
    'FAILED_PRECONDITION',
    `${secrets}/there?updateMask=replication`,
    patch({ replication: automatic }),
  ],
  [
    'secrets_destroyed',
    400,
    'FAILED_PRECONDITION',
    `${secrets}/there/versions/1:enable`,
    post({}),
    setState('DESTROYED'),
  ],
  ['secrets_disabled', 400, 'FAILED_PRECONDITION', `${secrets}/there/versions/1:access`, {}, setState('DISABLED')],
]

test.each(cases.map((one) => [one[0], one[1], one] as const))('breaks %s: %i', async (rule, status, one) => {
  const [, , code, path, asked, prepare] = one
  prepare?.()
  const answer = await ask(path, asked)
  const { error } = answer.json() as { readonly error?: { readonly status: string } }
  const seen = { rule: store.requests[0]?.refusedBy, status: answer.status, code: error?.status }
  expect(seen).toEqual({ rule, status, code })
})

test('every rule is broken by a case, and none is named twice', () => {
  expect(new Set(cases.map(([rule]) => rule))).toEqual(new Set(googleSecretsRuleNames))
  expect(new Set(googleSecretsRuleNames).size).toBe(googleSecretsRuleNames.length)
})

test('writes are counted by the minute', async () => {
  store.state.writesPerMinute = 1
  expect((await ask(`${secrets}/there:addVersion`, payload('one'))).status).toBe(200)
  expect((await ask(`${secrets}/there:addVersion`, payload('two'))).status).toBe(429)
  now = new Date(now.getTime() + 60_000)
  expect((await ask(`${secrets}/there:addVersion`, payload('two'))).status).toBe(200)
})

test('an added version leaves the etag of the secret, and a change that changes nothing does not', async () => {
  const { etag } = there()
  await ask(`${secrets}/there:addVersion`, payload('two'))
  expect(there().etag).toBe(etag)
  await ask(`${secrets}/there?updateMask=labels`, patch({ labels: {}, etag }))
  expect(there().etag).not.toBe(etag)
})

test('the checksum is CRC-32C', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3_06_92_83)
})

/** The vendor's client as it is, over REST. */
function client(token: string): SecretManagerServiceClient {
  const authClient = new OAuth2Client()
  authClient.setCredentials({ access_token: token, expiry_date: Date.now() + 3_600_000 })
  return new SecretManagerServiceClient({
    apiEndpoint: 'localhost',
    port: store.port,
    fallback: true,
    projectId: 'payments-prod',
    auth: new GoogleAuth({ authClient }) as never,
  })
}

test.each([
  ['a federated token', federated.accessToken],
  ['a token of a service account', acting.accessToken],
])('the vendor’s client creates, adds, reads, changes and deletes with %s', async (_, token) => {
  const manager = client(token)
  const parent = 'projects/payments-prod'
  const [made] = await manager.createSecret({
    parent,
    secretId: 'db',
    secret: { replication: { automatic: {} }, labels: { team: 'payments' }, annotations: { 'a.b': 'C' } },
  })
  expect(made.name).toBe(`projects/${projectNumber}/secrets/db`)
  const name = `${parent}/secrets/db`
  const data = Buffer.from('s3cret')
  const [version] = await manager.addSecretVersion({ parent: name, payload: { data, dataCrc32c: crc32c(data) } })
  expect(version).toMatchObject({ name: `${made.name}/versions/1`, state: 'ENABLED' })
  const [{ payload: read }] = await manager.accessSecretVersion({ name: `${name}/versions/latest` })
  expect(Buffer.from(read?.data as Uint8Array).toString()).toBe('s3cret')
  expect(String(read?.dataCrc32c)).toBe(String(crc32c(data)))

  const secret = { name, labels: { team: 'web' }, etag: made.etag ?? '' }
  const [changed] = await manager.updateSecret({ secret, updateMask: { paths: ['labels'] } })
  expect([changed.labels, changed.annotations]).toEqual([{ team: 'web' }, { 'a.b': 'C' }])
  const stale = manager.updateSecret({ secret, updateMask: { paths: ['labels'] } })
  await expect(stale).rejects.toMatchObject({ code: 9 })
  await manager.destroySecretVersion({ name: `${name}/versions/1` })
  const gone = manager.accessSecretVersion({ name: `${name}/versions/1` })
  await expect(gone).rejects.toMatchObject({ code: 9 })
  await manager.deleteSecret({ name, etag: changed.etag ?? '' })
  await expect(manager.getSecret({ name })).rejects.toMatchObject({ code: 5 })
  await manager.close()
})

test('the vendor’s client lists secrets and versions in pages', async () => {
  for (let n = 0; n < 5; n++) createGoogleSecret(store.state, `projects/${projectNumber}/secrets/n-${n}`, now)
  for (let n = 0; n < 4; n++) addGoogleVersion(there(), Buffer.from('x'), now)
  const manager = client(federated.accessToken)
  const names: string[] = []
  for await (const { name } of manager.listSecretsAsync({ parent: 'projects/payments-prod', pageSize: 2 })) {
    names.push(name?.split('/').at(-1) ?? '')
  }
  expect(names).toEqual(['n-4', 'n-3', 'n-2', 'n-1', 'n-0', 'there'])
  const [versions] = await manager.listSecretVersions({ parent: `${secrets}/there` })
  expect(versions.map(({ name }) => name?.split('/').at(-1))).toEqual(['5', '4', '3', '2', '1'])
  await manager.close()
})

test('the vendor’s client keeps regional secrets apart', async () => {
  const manager = client(federated.accessToken)
  const parent = 'projects/payments-prod/locations/europe-west1'
  await manager.createSecret({ parent, secretId: 'there', secret: {} })
  const [secret] = await manager.getSecret({ name: `${parent}/secrets/there` })
  expect(secret.name).toBe(`projects/${projectNumber}/locations/europe-west1/secrets/there`)
  const [listed] = await manager.listSecrets({ parent })
  expect(listed).toHaveLength(1)
  await manager.close()
})
