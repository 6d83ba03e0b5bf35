/** Secrets of a real Vault, and of a mounted folder, go through a whole server to a double of AWS. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { issuer, startCloudStandIn } from '../../examples/support/cloud-stand-in.ts'
import { type AwsSecretsManager, startAwsSecretsManager } from '../support/clouds/aws-secrets-manager.ts'
import { current, versionAt } from '../support/clouds/aws-secrets-state.ts'
import { startAwsSts } from '../support/clouds/aws-sts.ts'
import type { CloudOptions } from '../support/clouds/cloud-server.ts'
import { createTestMount, type TestMount } from '../support/mounted.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { poll } from './support/command.ts'
import { startGateway, type TestGateway } from './support/gateway.ts'
import { ask } from './support/https.ts'
import { buildDeadlineMs } from './support/parts.ts'
import { startVault, type Vault } from './support/vault.ts'

const account = '123456789012'
const region = 'eu-west-1'
const roleArn = `arn:aws:iam::${account}:role/sync`

const stack = cleanupAfterAll()
let vault: Vault
let gateway: TestGateway
let store: AwsSecretsManager
let folder: TestMount

beforeAll(async () => {
  vault = await startVault(stack)
  folder = stack.use(await createTestMount())
  await folder.mount('db', { user: 'app', password: 'one' })
  const standIn = await startCloudStandIn(await makeFolder(stack), startAws)
  const { sts, caFile } = { sts: standIn.cloud.sts, caFile: standIn.caFile }
  store = standIn.cloud.store
  stack.defer(sts.close)
  stack.defer(store.close)
  const files = standIn.places.map(([, value]) => value)
  gateway = await startGateway(stack, (origin) => ({
    issuer,
    listen: { address: `127.0.0.1:${new URL(origin).port}`, tls: { certificate: files[1], key: files[2] } },
    targets: { aws: { type: 'aws', role_arn: roleArn, region, endpoint: sts.url, ca_file: caFile } },
    sources: {
      team: {
        type: 'vault',
        address: vault.origin,
        ca_file: vault.caFile,
        role: 'apostille',
        audience: 'vault',
      },
      mounted: { type: 'directory', path: folder.root, secrets: 'folders' },
    },
    destinations: { aws: { type: 'aws-secrets-manager', target: 'aws', endpoint: store.url, ca_file: caFile } },
    syncs: {
      'from-vault': { source: 'team', paths: ['payments/**'], destinations: ['aws'], name: hole('vault', 'path') },
      'from-files': { source: 'mounted', paths: ['*'], destinations: ['aws'], name: hole('files', 'path') },
    },
  }))
  standIn.pointTo({ url: gateway.origin } as Parameters<typeof standIn.pointTo>[0])
  await trustUs(await readFile(caFile, 'utf8'))
}, buildDeadlineMs)

const hole = (start: string, name: string) => `${start}/$${'{'}secret.${name}}`

async function startAws(options: CloudOptions) {
  const sts = await startAwsSts(options)
  sts.createOidcProvider({ account, url: issuer, clientIds: ['sts.amazonaws.com'] })
  const store = await startAwsSecretsManager({ authority: options.authority, account, region, sts: sts.state })
  const Principal = { Federated: `arn:aws:iam::${account}:oidc-provider/id.example.org` }
  const Condition = {
    StringEquals: { 'id.example.org:aud': 'sts.amazonaws.com' },
    StringLike: { 'id.example.org:sub': 'spiffe://example.org/apostille/sync/*' },
  }
  const Statement = { Effect: 'Allow', Principal, Action: 'sts:AssumeRoleWithWebIdentity', Condition } as const
  sts.state.roles.set(roleArn, { arn: roleArn, trustPolicy: { Version: '2012-10-17', Statement } })
  store.state.policies.set(roleArn, [{ Effect: 'Allow', Action: 'secretsmanager:*', Resource: '*' }])
  return { sts, store }
}

/** As docs/secret-sync.md has it. */
async function trustUs(ca: string): Promise<void> {
  await vault.must('sys/auth/jwt', { json: { type: 'jwt' } })
  const config = { jwks_url: `${gateway.origin}/keys`, jwks_ca_pem: ca, bound_issuer: issuer }
  await vault.must('auth/jwt/config', { json: config })
  const policy = `path "secret/data/payments/*" { capabilities = ["read"] }
    path "secret/metadata/payments/*" { capabilities = ["list"] }`
  await vault.must('sys/policies/acl/apostille', { json: { policy } })
  const role = {
    role_type: 'jwt',
    user_claim: 'sub',
    token_policies: ['apostille'],
    token_ttl: '15m',
    bound_audiences: ['vault'],
    bound_subject: 'spiffe://example.org/apostille/sync/from-vault',
  }
  await vault.must('auth/jwt/role/apostille', { json: role })
}

const put = (path: string, data: object) => vault.must(`secret/data/${path}`, { json: { data } })

/** Runs it now. It also runs by itself, so that what is there tells, and not the counts of one run. */
async function apply(
  sync: string,
): Promise<{ readonly state: string; readonly counts: Readonly<Record<string, number>> }> {
  return poll(`${sync} runs`, 30_000, async () => {
    const socketPath = join(gateway.folder, 'admin.sock')
    const { status, text } = await ask(`http://admin/v1/syncs/${sync}/apply`, { socketPath, json: {} })
    // Not twice at a time.
    if (status === 409) return undefined
    const last = text.trim().split('\n').at(-1) ?? ''
    return JSON.parse(last).applied.destinations.aws
  })
}

function held(name: string): unknown {
  const secret = store.state.secrets.get(name)
  const version = secret?.deletion === undefined ? secret && versionAt(secret, current) : undefined
  return version?.text === undefined ? undefined : JSON.parse(version.text)
}

test('secrets of Vault reach AWS, and nothing is written for what has not changed', async () => {
  await put('payments/db', { password: 'one', user: 'app' })
  await put('payments/deep/key', { key: 'k' })
  await put('other/db', { password: 'not ours' })

  expect(await apply('from-vault')).toMatchObject({ state: 'synced' })
  expect(held('vault/payments/db')).toEqual({ password: 'one', user: 'app' })
  expect(held('vault/payments/deep/key')).toEqual({ key: 'k' })
  expect([...store.state.secrets.keys()].filter((name) => name.startsWith('vault/'))).toHaveLength(2)

  // The other sync asks AWS as well.
  expect(await apply('from-files')).toMatchObject({ state: 'synced' })
  const before = store.requests.length
  expect(await apply('from-vault')).toMatchObject({ state: 'synced', counts: { current: 2, created: 0, updated: 0 } })
  const asked = store.requests.slice(before).map(({ headers }) => headers['x-amz-target'])
  expect(new Set(asked)).toEqual(new Set(['secretsmanager.ListSecrets']))
})

test('a new version is one new version there, and a deleted one is gone there', async () => {
  for (let index = 0; index < 8; index++) await put(`payments/more-${index}`, { index })
  await put('payments/db', { password: 'two', user: 'app' })
  expect(await apply('from-vault')).toMatchObject({ state: 'synced' })
  expect(held('vault/payments/more-7')).toEqual({ index: 7 })
  expect(held('vault/payments/db')).toEqual({ password: 'two', user: 'app' })
  expect(store.state.secrets.get('vault/payments/db')?.versions.size).toBe(2)
  expect(store.state.secrets.get('vault/payments/db')?.tags.get('apostille-revision')).toBe('2')

  await vault.must('secret/data/payments/deep/key', { method: 'DELETE' })
  expect(await apply('from-vault')).toMatchObject({ state: 'synced' })
  expect(held('vault/payments/deep/key')).toBeUndefined()
})

test('a Vault that is sealed removes nothing, and says what helps', async () => {
  await vault.seal()
  expect(await apply('from-vault')).toMatchObject({
    state: 'failed',
    error: expect.stringContaining(`unseal ${vault.origin}`),
  })
  expect(held('vault/payments/db')).toEqual({ password: 'two', user: 'app' })
  await vault.unseal()
  expect(await apply('from-vault')).toMatchObject({ state: 'synced' })
})

test('a folder reaches AWS, and a new moment of its volume by itself', async () => {
  expect(await apply('from-files')).toMatchObject({ state: 'synced' })
  expect(held('files/db')).toEqual({ user: 'app', password: 'one' })
  await folder.mount('db', { user: 'app', password: 'two' })
  await poll(
    'the change',
    30_000,
    async () => (held('files/db') as { password?: string })?.password === 'two' || undefined,
  )
  expect(held('files/db')).toEqual({ user: 'app', password: 'two' })
})

test('each token of the sync is on record, and no value and no token is anywhere', async () => {
  const records = await gateway.records()
  const tokens = records.filter(({ operation }) => operation === 'sync.token')
  expect(tokens.length).toBeGreaterThan(0)
  expect(tokens[0]).toMatchObject({
    spiffe_id: 'spiffe://example.org/apostille/sync/from-vault',
    issued: { audience: ['vault'], jti: expect.any(String) },
  })
  const kept = gateway.log() + JSON.stringify(records)
  expect(kept).not.toMatch(/hvs\.|eyJ|not ours/)
})
