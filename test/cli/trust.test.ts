import { afterAll, expect, test, vi } from 'vitest'
import { readHcl } from '../support/hcl.ts'
import { makeFolder, runCli, testConfiguration } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const clientId = '66666666-7777-8888-9999-000000000000'
const folder = makeFolder()
afterAll(() => folder.remove())

const config = folder.write(
  'apostille.yaml',
  `${testConfiguration.replace('https://localhost', 'https://id.example.org').replace('[ES256]', '[ES256, RS256]')}
targets:
  s3: { type: aws, role_arn: 'arn:aws:iam::123456789012:role/payments', region: eu-west-1, acts_as: /cloud/payments }
  vault: { type: azure, tenant: contoso.example, client_id: ${clientId}, acts_as: /cloud/payments }
  bucket: { type: gcp, provider: projects/123456789/locations/global/workloadIdentityPools/workloads/providers/apostille }
policies:
  - { name: machines, permit: exchange, to: [s3, vault, bucket], when: "identity.path.startsWith('/vm/')" }
`,
)
const env = { APOSTILLE_CONFIG: config }
const trust = (...args: readonly string[]) => runCli(['trust', ...args], { env })

test('commands go to stdout and nothing else does', async () => {
  const { code, stdout, stderr } = await trust('aws', 's3')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(
    /^# Trust of AWS for target s3 of https:\/\/id\.example\.org\n# acts as spiffe:\/\/example\.org\/cloud\/payments\n/,
  )
  expect(stdout).toContain('aws iam create-role \\\n  --role-name payments \\\n')
})

test('Terraform is printed as it goes into a file', async () => {
  const { stdout } = await trust('azure', 'vault', '--managed-identity', '--format', 'terraform')
  expect(readHcl(stdout).map(({ labels }) => labels.at(0))).toContain('azurerm_federated_identity_credential')
})

test.each([
  ['--format', 'json'],
  ['--output', 'json'],
])('%s %s is the documents, with what is to be noticed', async (...flags) => {
  const { stdout, stderr } = await trust('gcp', 'bucket', '--as', '/vm/a', '--as', `/vm/${'b'.repeat(120)}`, ...flags)
  expect(stderr).toBe('')
  expect(JSON.parse(stdout)).toMatchObject({
    target: 'bucket',
    type: 'gcp',
    issuer: 'https://id.example.org',
    subjects: ['spiffe://example.org/vm/a', expect.any(String)],
    provider: { attributeMapping: { 'google.subject': "assertion.sub.extract('spiffe://example.org/{id}')" } },
    warnings: [{ code: 'subject_long', severity: 'warning' }],
  })
})

test('keys for an issuer that Google can not reach are read from a file', async () => {
  const key = {
    kid: 'k1',
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  }
  const file = folder.write('keys.json', JSON.stringify({ keys: [key] }))
  const { code, stdout } = await trust('gcp', 'bucket', '--as', '/vm/a', '--jwks-file', file, '--format', 'json')
  const { jwksJson } = JSON.parse(stdout).provider.oidc
  expect([code, JSON.parse(jwksJson)]).toEqual([0, { keys: [{ ...key, alg: 'ES256', use: 'sig' }] }])
})

test('in text, what is to be noticed goes to stderr', async () => {
  const local = folder.write(
    'local.yaml',
    testConfiguration.concat(`
targets:
  s3: { type: aws, role_arn: 'arn:aws:iam::123456789012:role/payments', region: eu-west-1, acts_as: /cloud/payments }
`),
  )
  const { code, stdout, stderr } = await runCli(['trust', 'aws', 's3', '--config', local])
  expect(code).toBe(0)
  expect(stderr).toMatch(/^warning: clouds read the issuer's documents over the internet, and localhost is not there\n/)
  expect(stdout).not.toContain('warning')
})

test.each([
  ['a target of another cloud', ['aws', 'vault'], 2, 'trust azure vault'],
  ['callers that nobody names', ['gcp', 'bucket'], 2, '--as ID'],
  ['a caller where the target acts as one', ['aws', 's3', '--as', '/vm/a'], 2, 'Leave --as out'],
  ['a caller that is none', ['gcp', 'bucket', '--as', 'vm'], 2, 'Expected a path'],
  ['a target that is not there', ['aws', 'none'], 1, 'There are: s3, vault, bucket.'],
  ['a target that is misspelt', ['aws', 'buckte'], 1, 'Did you mean bucket? There are:'],
  ['no target', ['aws'], 2, '--help'],
  ['no cloud', [], 2, '--help'],
  ['another format', ['aws', 's3', '--format', 'yaml'], 2, 'terraform'],
  ['a flag of another cloud', ['aws', 's3', '--managed-identity'], 2, '--help'],
  ['keys for another cloud', ['aws', 's3', '--jwks-file', config], 2, '--help'],
  [
    'keys that are none',
    ['gcp', 'bucket', '--as', '/vm/a', '--jwks-file', config],
    2,
    'Give what the issuer serves at /keys.',
  ],
  ['a file that is not there', ['gcp', 'bucket', '--as', '/vm/a', '--jwks-file', 'none.json'], 1, 'none.json'],
])('%s is refused', async (_, args, code, hint) => {
  const result = await trust(...args)
  expect([result.code, result.stdout]).toEqual([code, ''])
  expect(result.stderr).toContain(hint)
})

test('a configuration with mistakes, or none, is told', async () => {
  const broken = folder.write('broken.yaml', 'version: 1\n')
  const mistakes = await runCli(['trust', 'aws', 's3', '--config', broken])
  expect([mistakes.code, mistakes.stderr]).toEqual([
    1,
    expect.stringMatching(/errors\nSee: .* check .*broken\.yaml\n$/),
  ])
  const none = await runCli(['trust', 'aws', 's3'], { cwd: folder.path, env: { APOSTILLE_CONFIG: 'none.yaml' } })
  expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('there is no configuration at none.yaml')])
})
