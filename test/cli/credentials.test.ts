import { execFile, execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { GoogleAuth } from 'google-auth-library'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type CredentialGateway, startCredentialGateway } from '../support/credential-gateway.ts'
import { mainFile, makeFolder, runCli } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let gateway: CredentialGateway
let env: Record<string, string>
let config: string
const provider = 'projects/1/locations/global/workloadIdentityPools/pool/providers/apostille'

const document = `trust_domain: example.org
issuer: https://id.example.org
listen: { address: 127.0.0.1:0 }
store: sqlite:./apostille.db
seal: { file: ./seal.key }
authenticators:
  first: { type: join_token }
identities:
  - { spiffe_id: '/vm/\${proof.name}', from: first }
targets:
  s3: { type: aws, role_arn: 'arn:aws:iam::123456789012:role/payments', region: eu-west-1 }
  vault: { type: azure, tenant: example.onmicrosoft.com, client_id: 11111111-2222-3333-4444-555555555555 }
  storage: { type: gcp, provider: ${provider}, service_account: a@b.iam.gserviceaccount.com, lifetime: 30m }
  private:
    { type: gcp, provider: ${provider}, audience: mine, token_url: 'https://sts.example.org/t', universe: example.org }
policies:
  - { permit: exchange, to: s3 }
  - { permit: exchange, to: vault }
  - { permit: exchange, to: storage }
  - { permit: exchange, to: private }
`

const folder = makeFolder()

beforeAll(async () => {
  gateway = await startCredentialGateway()
  env = {
    APOSTILLE_SERVER: gateway.url,
    APOSTILLE_CA_FILE: gateway.caFile,
    APOSTILLE_TOKEN_FILE: gateway.tokenFile,
  }
  config = folder.write('apostille.yaml', document)
})

afterAll(async () => {
  await gateway?.close()
  folder.remove()
})

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)
const tokenPattern = /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/

/** What a shell has after it read the exports. */
function evaluated(exports: string): Record<string, string> {
  const script = `${exports}\nexec env`
  const lines = execFileSync('/bin/sh', ['-c', script], { env: {}, encoding: 'utf8' }).trim().split('\n')
  return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)))
}

/** Of the credentials that an SDK of AWS finds by these variables alone. */
async function accessKeyOf(variables: Readonly<Record<string, string | undefined>>): Promise<string> {
  const script = `const { STSClient } = await import(${JSON.stringify(import.meta.resolve('@aws-sdk/client-sts'))})
    const { accessKeyId } = await new STSClient({}).config.credentials(); console.log(accessKeyId)`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    env: variables,
  })
  return stdout
}

async function render(target: string, format: string, ...more: readonly string[]) {
  const result = await runCli(['credentials', target, '--format', format, ...more], { env })
  expect(result).toMatchObject({ code: 0 })
  return result
}

test.concurrent('without a format it is for people', async () => {
  const { code, stdout, stderr } = await runCli(['credentials', 's3'], { env })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(
    /^target {13}s3 \(aws\)\nrole {15}arn:\S+\nexpires {12}\S+ \S+Z \(in .+\)\naccess key id {6}ASIAEXAMPLE\n/,
  )
  const token = await runCli(['credentials', 'vault'], { env })
  expect(token.stdout).toMatch(/^target {8}vault \(azure\)\nexpires {7}.*\naccess token {2}azure-access-token\n$/)
})

test.concurrent.each([
  ['--format', 'json'],
  ['--output', 'json'],
])('%s %s is the answer of the gateway', async (...flag) => {
  const aws = await runCli(['credentials', 's3', ...flag], { env })
  expect(JSON.parse(aws.stdout)).toMatchObject({ AccessKeyId: 'ASIAEXAMPLE', Token: 'session-token==' })
  const google = await runCli(['credentials', 'storage', ...flag], { env })
  expect(JSON.parse(google.stdout)).toMatchObject({ access_token: 'gcp-access-token', target_type: 'gcp' })
})

test('a gateway that is overloaded for a moment is asked again, and one that refuses is not', async () => {
  await using own = await startCredentialGateway().then((started) =>
    Object.assign(started, { [Symbol.asyncDispose]: () => started.close() }),
  )
  const at = {
    APOSTILLE_SERVER: own.url,
    APOSTILLE_CA_FILE: own.caFile,
    APOSTILLE_TOKEN_FILE: own.tokenFile,
  }
  own.fail(['overloaded'], ['overloaded'])
  expect(await runCli(['credentials', 's3', '--format', 'process'], { env: at })).toMatchObject({ code: 0, stderr: '' })
  expect(own.requests).toHaveLength(3)
  own.fail(['upstream_failed'])
  const { code, stderr } = await runCli(['credentials', 's3'], { env: at })
  expect([code, stderr]).toEqual([1, expect.stringContaining('upstream_failed')])
  expect(own.requests).toHaveLength(4)
})

test.concurrent('process is what credential_process prints', async () => {
  const { stdout } = await render('s3', 'process')
  expect(JSON.parse(stdout)).toEqual({
    Version: 1,
    AccessKeyId: 'ASIAEXAMPLE',
    SecretAccessKey: "secret/key+'quoted'",
    SessionToken: 'session-token==',
    Expiration: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    AccountId: '123456789012',
  })
})

test.concurrent('the SDK of AWS runs it as credential_process', async () => {
  using own = makeFolder()
  const command = [process.execPath, mainFile, 'credentials', 's3', '--format', 'process'].join(' ')
  const flags = `--server ${gateway.url} --ca-file ${gateway.caFile} --token-file ${gateway.tokenFile}`
  const file = own.write(
    'config',
    `[profile apostille]\nregion = eu-west-1\ncredential_process = ${command} ${flags}\n`,
  )
  const variables = { PATH: process.env['PATH'], AWS_CONFIG_FILE: file, AWS_PROFILE: 'apostille' }
  expect(await accessKeyOf(variables)).toBe('ASIAEXAMPLE\n')
})

test.concurrent.each([
  [
    's3',
    {
      AWS_ACCESS_KEY_ID: 'ASIAEXAMPLE',
      AWS_SECRET_ACCESS_KEY: "secret/key+'quoted'",
      AWS_SESSION_TOKEN: 'session-token==',
      AWS_CREDENTIAL_EXPIRATION: expect.stringMatching(/Z$/),
    },
  ],
  ['vault', { AZURE_ACCESS_TOKEN: 'azure-access-token' }],
  ['storage', { GOOGLE_OAUTH_ACCESS_TOKEN: 'gcp-access-token', CLOUDSDK_AUTH_ACCESS_TOKEN: 'gcp-access-token' }],
])('env of %s is read by a shell', async (target, variables) => {
  const { stdout, stderr } = await render(target, 'env')
  expect(stderr).toBe('')
  expect(evaluated(stdout)).toMatchObject(variables)
})

test.concurrent('container is all that an SDK of AWS needs', async () => {
  const id = 'spiffe://example.org/web'
  const { stdout, stderr } = await render('s3', 'container', '--spiffe-id', id)
  const variables = evaluated(stdout)
  expect(variables).toMatchObject({
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${gateway.url}/v1/credentials/s3?spiffe_id=spiffe%3A%2F%2Fexample.org%2Fweb`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: gateway.tokenFile,
    NODE_EXTRA_CA_CERTS: gateway.caFile,
  })
  expect(stderr).toContain('NODE_EXTRA_CA_CERTS is for Node')
  expect(await accessKeyOf({ ...variables, HOME: folder.path, AWS_REGION: 'eu-west-1' })).toBe('ASIAEXAMPLE\n')
  expect(gateway.requests.map(({ headers }) => headers['authorization'])).toContain('the-proof')
})

test.concurrent('container refuses a token file that SDKs would refuse', async () => {
  const args = ['credentials', 's3', '--format', 'container']
  const file = folder.write('with-line-end', 'the-proof\n')
  const { code, stderr } = await runCli([...args, '--token-file', file], { env })
  expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('ends in a line end') })
  for (const [flags, told] of [
    [['--token-file', '-'], 'name a file'],
    [['--authenticator', 'ci'], '--authenticator can not be used'],
    [['--cert-file', 'a', '--key-file', 'b'], '--cert-file'],
  ] as const) {
    const refused = await runCli([...args, ...flags], { env })
    expect(refused).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(told) })
  }
})

test.concurrent('google-adc says all that Google has to know, by the configuration', async () => {
  const { stdout, stderr } = await render('storage', 'google-adc', '--config', config)
  expect(JSON.parse(stdout)).toEqual({
    type: 'external_account',
    universe_domain: 'googleapis.com',
    audience: `//iam.googleapis.com/${provider}`,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: 'https://sts.googleapis.com/v1/token',
    service_account_impersonation_url:
      'https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.iam.gserviceaccount.com:generateAccessToken',
    service_account_impersonation: { token_lifetime_seconds: 1800 },
    credential_source: { executable: { command: expect.stringContaining(' svid jwt --format google-executable ') } },
  })
  expect(stderr).toContain('GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1')
  const other = await render('private', 'google-adc', '--config', config, '--token-out', folder.file('google.jwt'))
  expect(JSON.parse(other.stdout)).toMatchObject({
    universe_domain: 'example.org',
    audience: `//iam.example.org/${provider}`,
    token_url: 'https://sts.example.org/t',
    credential_source: { file: folder.file('google.jwt') },
  })
  const token = readFileSync(folder.file('google.jwt'), 'utf8')
  expect(token).toMatch(tokenPattern)
  expect(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())).toMatchObject({ aud: ['mine'] })
  expect(modeOf(folder.file('google.jwt'))).toBe('600')
})

test.concurrent("Google's library reads google-adc and runs its command", async () => {
  using own = makeFolder()
  const out = own.file('adc with blank.json')
  const { stdout } = await render('x', 'google-adc', '--provider', `//iam.googleapis.com/${provider}`, '--out', out)
  expect(stdout).toContain(out)
  expect(modeOf(out)).toBe('600')
  vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', out)
  // Else the library asks Google for it.
  vi.stubEnv('GOOGLE_CLOUD_PROJECT', 'mine')
  vi.stubEnv('GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES', '1')
  const client = await new GoogleAuth({ scopes: 'https://www.googleapis.com/auth/cloud-platform' }).getClient()
  const { retrieveSubjectToken } = client as unknown as { readonly retrieveSubjectToken: () => Promise<string> }
  expect(await retrieveSubjectToken.call(client)).toMatch(tokenPattern)
  vi.unstubAllEnvs()
})

test.concurrent('azure-env gives WorkloadIdentityCredential what it reads', async () => {
  const file = folder.file('azure.jwt')
  const { stdout, stderr } = await render('vault', 'azure-env', '--config', config, '--token-out', file)
  expect(evaluated(stdout)).toMatchObject({
    AZURE_TENANT_ID: 'example.onmicrosoft.com',
    AZURE_CLIENT_ID: '11111111-2222-3333-4444-555555555555',
    AZURE_FEDERATED_TOKEN_FILE: file,
    AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.com',
  })
  expect(stderr).toMatch(/^The token in \S+ expires .* \(in 5m\)/)
  const token = readFileSync(file, 'utf8')
  expect(token).toMatch(tokenPattern)
  expect(modeOf(file)).toBe('600')
  const flags = ['--tenant', 't', '--client-id', 'c', '--authority-host', 'https://login.microsoftonline.us']
  const byFlags = await render('any', 'azure-env', '--token-out', file, ...flags, '--output', 'json')
  expect(JSON.parse(byFlags.stdout)).toEqual({
    AZURE_TENANT_ID: 't',
    AZURE_CLIENT_ID: 'c',
    AZURE_FEDERATED_TOKEN_FILE: file,
    AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.us',
  })
})

test.concurrent.each([
  ['process', 'vault', [], 'Formats for it: text, json, env, azure-env'],
  ['container', 'storage', [], 'Formats for it: text, json, env, google-adc'],
  ['google-adc', 's3', ['CONFIG'], 'Formats for it: text, json, env, process, container'],
  ['azure-env', 'storage', ['CONFIG', '--token-out', 'FILE'], 'Formats for it: text, json, env, google-adc'],
  ['google-adc', 'storage', [], 'Give --provider, or name the configuration'],
  ['azure-env', 'vault', ['--token-out', 'FILE'], 'Give --tenant and --client-id'],
  ['azure-env', 'vault', ['--tenant', 't', '--token-out', 'FILE'], 'Give --tenant and --client-id'],
  ['azure-env', 'vault', ['CONFIG'], '--token-out'],
  ['google-adc', 'storage', ['--provider', 'projects/by-name/x'], 'NUMBER is the number of the project'],
  ['google-adc', 'storage', ['CONFIG', '--token-file', '-'], 'standard input'],
  ['google-adc', 'storage', ['CONFIG', '--token-file', 'a"b'], 'can not run a command'],
])('%s of %s with %j is wrong usage', async (format, target, flags, told) => {
  using own = makeFolder()
  const words = flags.flatMap((word) =>
    word === 'CONFIG' ? ['--config', config] : [word.replace('FILE', own.file('jwt'))],
  )
  const { code, stdout, stderr } = await runCli(['credentials', target, '--format', format, ...words], {
    env,
    cwd: own.path,
  })
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(told)
  expect(existsSync(own.file('jwt'))).toBe(false)
})

test.concurrent('the configuration in this folder is read where none is named', async () => {
  const { stdout } = await runCli(['credentials', 'storage', '--format', 'google-adc'], { env, cwd: folder.path })
  expect(JSON.parse(stdout)).toMatchObject({ audience: `//iam.googleapis.com/${provider}` })
})

test.concurrent.each([
  ['no such file', () => '/nowhere.yaml', '/nowhere.yaml'],
  ['no such target', () => config, 'It has: s3, vault, storage, private'],
  ['mistakes', () => folder.write('wrong.yaml', 'trust_domain: 7\n'), 'which check shows'],
])('a configuration with %s', async (_, file, told) => {
  const args = ['credentials', 'unknown', '--format', 'google-adc', '--config', file()]
  const { code, stdout, stderr } = await runCli(args, { env })
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toContain(told)
})

test.concurrent('a refusal says its code and the request id, and nothing else', async () => {
  const { code, stdout, stderr } = await runCli(['credentials', 'unknown', '--format', 'env'], { env })
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toMatch(
    /^error: No rule or policy grants this \(not_entitled\)\nrequest id: 0123456789abcdef01234567\n/,
  )
  const json = await runCli(['credentials', 'unknown', '--output', 'json'], { env })
  expect(JSON.parse(json.stderr).error).toMatchObject({ code: 'not_entitled', request_id: '0123456789abcdef01234567' })
})

test.concurrent('--out shows everything but the credential', async () => {
  const out = folder.file('env')
  const { stdout, stderr } = await render('s3', 'env', '--out', out)
  expect(stdout + stderr).not.toMatch(/secret|session|ASIA/)
  expect(modeOf(out)).toBe('600')
  expect(evaluated(readFileSync(out, 'utf8'))).toMatchObject({ AWS_ACCESS_KEY_ID: 'ASIAEXAMPLE' })
  const failed = await runCli(['credentials', 's3', '--out', join(folder.path, 'none', 'x')], { env })
  expect(failed).toMatchObject({ code: 1, stdout: '' })
  expect(failed.stderr).not.toMatch(/secret|session|ASIA/)
})

test.concurrent('svid jwt answers as a program that Google runs, failures too', async () => {
  const args = ['svid', 'jwt', '--audience', 'x', '--format', 'google-executable']
  const good = await runCli(args, { env })
  expect({ code: good.code, stderr: good.stderr }).toEqual({ code: 0, stderr: '' })
  expect(JSON.parse(good.stdout)).toEqual({
    version: 1,
    success: true,
    token_type: 'urn:ietf:params:oauth:token-type:jwt',
    id_token: expect.stringMatching(tokenPattern),
    expiration_time: expect.any(Number),
  })
  const bad = await runCli([...args, '--token-file', folder.write('bad', 'another')], { env })
  expect({ code: bad.code, stderr: bad.stderr }).toEqual({ code: 1, stderr: '' })
  expect(JSON.parse(bad.stdout)).toEqual({
    version: 1,
    success: false,
    code: 'proof_rejected',
    message: expect.stringContaining('request id 0123456789abcdef01234567'),
  })
})
