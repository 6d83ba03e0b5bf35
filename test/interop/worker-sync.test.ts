/** Secrets of a Worker reach the stores of three clouds: by its clock, by a change, and when an operator asks. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAwsSecretsManager } from '../support/clouds/aws-secrets-manager.ts'
import { current, versionAt } from '../support/clouds/aws-secrets-state.ts'
import { startGoogleSecretManager } from '../support/clouds/google-secret-manager.ts'
import { startKeyVault } from '../support/clouds/key-vault.ts'
import { findKeyVaultSecret } from '../support/clouds/key-vault-state.ts'
import { account, clientId, provider, roleArn, startClouds, tenant } from '../support/clouds-world.ts'
import { createTestAuthority } from '../support/tls.ts'
import { createOutbound, startTestWorker, type TestWorker } from '../support/worker-subject.ts'

const stack = new AsyncDisposableStack()
const subject = 'spiffe://example.org/apostille/sync/payments'
const project = 'payments-prod'
const projectNumber = '123456789'
let worker: TestWorker
/** The value of `payments/db` at each cloud. */
let held: () => readonly unknown[]

beforeAll(async () => {
  const authority = await createTestAuthority('public CA')
  const resolve: Record<string, string> = {}
  const clouds = await startClouds({ authority, publicCas: [authority.ca], resolve, now: () => new Date() })
  stack.defer(clouds.close)
  clouds.knowSubjects([subject])
  const { sts, entra, google } = clouds
  const [aws, azure, gcp] = await Promise.all([
    startAwsSecretsManager({ authority, account, region: 'eu-west-1', sts: sts.state }),
    startKeyVault({ authority, tenant, entra }),
    startGoogleSecretManager({ authority, project, projectNumber, sts: google }),
  ])
  for (const { close } of [aws, azure, gcp]) stack.defer(close)
  aws.state.policies.set(roleArn, [{ Effect: 'Allow', Action: 'secretsmanager:*', Resource: '*' }])
  const rights = ['readMetadata/action', 'setSecret/action', 'update/action', 'delete', 'recover/action']
  azure.state.grants.set(clientId, new Set(rights.map((right) => `Microsoft.KeyVault/vaults/secrets/${right}`)))
  const members = [
    `principal://iam.googleapis.com/${provider.replace(/\/providers\/.*/, '')}/subject/apostille/sync/payments`,
  ]
  const permissions = ['secrets.list', 'secrets.get', 'secrets.create', 'secrets.update', 'secrets.delete']
  permissions.push('versions.list', 'versions.add', 'versions.destroy')
  gcp.state.bindings = [{ permissions: permissions.map((name) => `secretmanager.${name}`), members }]
  held = () => {
    const there = aws.state.secrets.get('payments/db')
    const version = there?.deletion === undefined ? there && versionAt(there, current) : undefined
    return [
      version?.text,
      findKeyVaultSecret(azure.state, 'payments-db', new Date())?.versions.at(-1)?.value,
      gcp.state.secrets.get(`projects/${projectNumber}/secrets/payments-db`)?.versions.at(-1)?.data?.toString(),
    ]
  }

  const targets = Object.fromEntries(
    Object.entries(clouds.targets).map(([name, { ca_file: _, ...target }]) => [name, target]),
  )
  const scopes = ['https://vault.azure.net/.default']
  const document = {
    targets: { ...targets, azure: { ...targets['azure'], scopes } },
    policies: [],
    destinations: {
      aws: { type: 'aws-secrets-manager', target: 'aws', endpoint: aws.url },
      azure: {
        type: 'azure-key-vault',
        target: 'azure',
        vault_url: 'https://payments.vault.azure.net',
        endpoint: azure.url,
      },
      gcp: { type: 'gcp-secret-manager', target: 'gcp', project, endpoint: gcp.url },
    },
    syncs: { payments: { paths: ['payments/*'], destinations: ['aws', 'azure', 'gcp'], max_deletions: 1 } },
  }
  const tls = await authority.issue(['id.example.org'])
  worker = await startTestWorker(document, { tls, outbound: createOutbound(authority.ca) })
  stack.defer(worker.close)
  resolve['id.example.org'] = `127.0.0.1:${worker.url.port}`
}, 60_000)
afterAll(() => stack.disposeAsync())

async function administer(path: string, method = 'GET', body?: object): Promise<{ status: number; text: string }> {
  const headers = { 'content-type': 'application/json' }
  const answer = await worker.administer(path, { method, headers, ...(body && { body: JSON.stringify(body) }) })
  return { status: answer.status, text: await answer.text() }
}

const put = (password: string) => administer('/v1/kv/data/payments/db', 'POST', { data: { password } })
const value = (password: string) => Array.from({ length: 3 }, () => JSON.stringify({ password }))

test('the clock runs what is due, and has waited for it when it has ended', async () => {
  expect((await put('one')).status).toBe(200)
  await worker.tick()
  expect(held()).toEqual(value('one'))
  const { text } = await administer('/v1/syncs/payments')
  const synced = { state: 'synced' }
  expect(JSON.parse(text)).toMatchObject({ status: { destinations: { aws: synced, azure: synced, gcp: synced } } })
})

test('a change is written to all of them a moment later, without the clock', async () => {
  expect((await put('two')).status).toBe(200)
  await expect.poll(() => held(), { timeout: 20_000 }).toEqual(value('two'))
})

test('an operator plans, and applies at once', async () => {
  const planned = await administer('/v1/syncs/payments/plan', 'POST', {})
  expect([planned.status, planned.text]).toEqual([200, expect.stringContaining('"planned"')])
  await expect
    .poll(async () => (await administer('/v1/syncs/payments/apply', 'POST', {})).text, { timeout: 20_000 })
    .toContain('"state":"synced"')
  expect(JSON.parse((await administer('/v1/records/verify', 'POST')).text)).toMatchObject({ ok: true })
})
