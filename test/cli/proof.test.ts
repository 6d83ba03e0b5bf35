import { readFileSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { parsePresignedIdentity } from '../../src/protocol/presigned-identity.ts'
import { type AwsSts, startAwsSts } from '../support/clouds/aws-sts.ts'
import { verifyPresigned } from '../support/presigned-url.ts'
import { encodePart } from '../support/raw-token.ts'
import { createTestAuthority } from '../support/tls.ts'
import { makeFolder, runCli, startGateway, testConfiguration } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const accessKeyId = 'ASIAIOSFODNN7EXAMPLE'
const secretAccessKey = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
const issuer = 'https://id.example.org'
/** Nothing of the machine that the test runs on. */
const nowhere = {
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_CONFIG_FILE: '/nowhere',
  AWS_SHARED_CREDENTIALS_FILE: '/nowhere',
}
const role = {
  ...nowhere,
  AWS_ACCESS_KEY_ID: accessKeyId,
  AWS_SECRET_ACCESS_KEY: secretAccessKey,
  AWS_SESSION_TOKEN: 'FwoGZXIvYXdzEXAMPLE+/token==',
}
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

/** A metadata service on loopback. */
async function startMetadata(listener: RequestListener) {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    host,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const exp = 4_102_444_800
const jwt = `${encodePart({ alg: 'RS256' })}.${encodePart({ aud: issuer, exp })}.c2ln`
const queryOf = ({ url = '' }: IncomingMessage) => Object.fromEntries(new URL(url, 'http://any').searchParams)

describe('proof aws', () => {
  test.concurrent('signs for the issuer, with the credentials of the environment', async () => {
    const args = ['proof', 'aws', '--issuer', issuer, '--region', 'eu-west-1']
    const { code, stdout, stderr } = await runCli(args, { env: role })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const token = stdout.trimEnd()
    const identity = parsePresignedIdentity(token, { partition: 'aws' }, new Date())
    expect(identity).toMatchObject({
      accessKeyId,
      host: 'sts.eu-west-1.amazonaws.com',
      securityToken: role.AWS_SESSION_TOKEN,
    })
    const { pathname, search, host } = new URL(Buffer.from(token.slice(11), 'base64url').toString())
    const signer = (audience: string) =>
      verifyPresigned(pathname + search, { host, 'x-k8s-aws-id': audience }, () => secretAccessKey)
    expect([signer(issuer), signer(`${issuer}/`)]).toEqual([accessKeyId, undefined])
  })

  test.concurrent('takes key and region of a profile, and writes for its owner alone', async () => {
    using folder = makeFolder()
    const keys = `aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = ${secretAccessKey}`
    const env = {
      ...role,
      AWS_SHARED_CREDENTIALS_FILE: folder.write('credentials', `[other]\n${keys}\n`),
      AWS_CONFIG_FILE: folder.write('config', '[profile other]\nregion = cn-north-1\n'),
    }
    const out = folder.file('proof')
    const args = ['proof', 'aws', '--issuer', issuer, '--profile', 'other', '--out', out, '--output', 'json']
    const { code, stdout } = await runCli(args, { env })
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({ audience: issuer, expires_at: expect.any(String), file: out })
    expect(modeOf(out)).toBe('600')
    const identity = parsePresignedIdentity(readFileSync(out, 'utf8').trimEnd(), { partition: 'aws-cn' }, new Date())
    expect(identity).toMatchObject({ accessKeyId: 'AKIAIOSFODNN7EXAMPLE', host: 'sts.cn-north-1.amazonaws.com.cn' })
    expect(identity).not.toHaveProperty('securityToken')
  })

  test.concurrent.each<[string, readonly string[], Record<string, string>, number, string]>([
    [
      'nobody to prove it to',
      ['--region', 'eu-west-1'],
      role,
      2,
      '--server URL (APOSTILLE_SERVER), or what it takes with --issuer',
    ],
    ['an issuer that is none', ['--issuer', 'my-cluster'], role, 2, '--issuer is no issuer'],
    ['no region', ['--issuer', issuer], role, 2, '--region REGION'],
    ['a region that is none', ['--issuer', issuer, '--region', 'mars-1'], role, 2, 'mars-1 is no region'],
    [
      'an endpoint in the clear',
      ['--issuer', issuer, '--region', 'eu-west-1', '--endpoint', 'http://sts'],
      role,
      2,
      'an https URL',
    ],
    ['no credentials', ['--issuer', issuer, '--region', 'eu-west-1'], nowhere, 1, 'error: no AWS credentials: '],
    [
      'a profile that there is not',
      ['--issuer', issuer, '--region', 'eu-west-1', '--profile', 'x'],
      nowhere,
      1,
      'error: no AWS credentials: ',
    ],
  ])('says what is missing: %s', async (_, args, env, expected, told) => {
    const { code, stdout, stderr } = await runCli(['proof', 'aws', ...args], { env })
    expect({ code, stdout }).toEqual({ code: expected, stdout: '' })
    expect(stderr).toMatch(/^error: /)
    expect(stderr).toContain(told)
    expect(stderr).not.toContain(secretAccessKey)
  })
})

describe('proof aws, as a gateway takes it', () => {
  let sts: AwsSts
  let gateway: Awaited<ReturnType<typeof startGateway>>
  let folder: ReturnType<typeof makeFolder>

  beforeAll(async () => {
    const authority = await createTestAuthority()
    folder = makeFolder()
    sts = await startAwsSts({ authority, publicCas: [] })
    sts.state.accessKeys.set(accessKeyId, {
      accessKeyId,
      secretAccessKey,
      sessionToken: role.AWS_SESSION_TOKEN,
      account: '123456789012',
      arn: 'arn:aws:sts::123456789012:assumed-role/web/i-01',
      userId: 'AROAX:i-01',
    })
    const ca = folder.write('sts.pem', authority.ca)
    gateway = await startGateway(
      testConfiguration
        .replace(
          'authenticators:\n',
          `authenticators:\n  cloud: { type: aws, accounts: ['123456789012'], endpoint: '${sts.url}', ca_file: ${ca} }\n`,
        )
        .replace(
          'identities:\n',
          "identities:\n  - { spiffe_id: '/aws/${proof.account}/${proof.role}', from: cloud }\n",
        ),
    )
  })
  afterAll(async () => {
    await gateway?.stop()
    await sts?.close()
    folder?.remove()
  })

  test('it finds the issuer, and is an identity once', async () => {
    const env = {
      ...role,
      APOSTILLE_SERVER: gateway.url,
      APOSTILLE_CA_FILE: gateway.caFile,
      AWS_ENDPOINT_URL_STS: sts.url,
    }
    const out = folder.file('proof')
    const made = await runCli(['proof', 'aws', '--region', 'eu-west-1', '--out', out], { env })
    expect(made).toMatchObject({ code: 0, stderr: '' })
    expect(made.stdout).toMatch(/^for {6}https:\/\/localhost\nexpires .* \(in 1[45]m/)
    expect(made.stdout).not.toContain('k8s-aws-v1')

    const first = await runCli(['identities', '--token-file', out], { env })
    expect(first.stdout).toContain('spiffe://example.org/aws/123456789012/web')
    const second = await runCli(['identities', '--token-file', out], { env })
    expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining('(proof_rejected)') })

    const records = await runCli(['records', 'list', '--config', gateway.config, '--output', 'json'])
    const items = JSON.parse(records.stdout).items as readonly Record<string, unknown>[]
    const attributes = { account: '123456789012', role: 'web', session: 'i-01', user_id: 'AROAX' }
    expect(items.find(({ decision }) => decision === 'granted')).toMatchObject({ authenticator: 'cloud', attributes })
    expect(items.find(({ code }) => code === 'proof_rejected')).toMatchObject({
      reason: expect.stringContaining('used before'),
    })
    expect(records.stdout).not.toContain('X-Amz')
  })
})

describe('proof azure', () => {
  const problem = { error: 'invalid_request', error_description: 'Identity not found' }

  test.concurrent('asks the service of a machine', async () => {
    await using metadata = await startMetadata((request, response) => {
      const asked = { query: queryOf(request), path: request.url?.split('?')[0], header: request.headers['metadata'] }
      const expected = {
        query: { 'api-version': '2018-02-01', resource: 'api://apostille', client_id: 'c-1' },
        path: '/metadata/identity/oauth2/token',
        header: 'true',
      }
      const sound = JSON.stringify(asked) === JSON.stringify(expected)
      response
        .writeHead(sound ? 200 : 400)
        .end(JSON.stringify(sound ? { access_token: jwt, expires_on: exp } : problem))
    })
    const env = { AZURE_POD_IDENTITY_AUTHORITY_HOST: `http://${metadata.host}`, AZURE_CLIENT_ID: 'c-1' }
    const args = ['proof', 'azure', '--audience', 'api://apostille']
    expect(await runCli(args, { env })).toEqual({ code: 0, stdout: `${jwt}\n`, stderr: '' })
    const other = await runCli([...args, '--client-id', 'c-2'], { env })
    expect(other).toMatchObject({ code: 1, stdout: '' })
    expect(other.stderr).toMatch(
      /^error: the metadata service at \S+ answered 400: invalid_request: Identity not found\nCheck that/,
    )
  })

  test.concurrent('asks the service that App Service names, with its secret, whatever proxy is set', async () => {
    await using metadata = await startMetadata((request, response) => {
      const { 'api-version': version, resource } = queryOf(request)
      const sound =
        request.headers['x-identity-header'] === 's3cret' && version === '2019-08-01' && resource === 'api://a'
      response.writeHead(sound ? 200 : 401).end(JSON.stringify({ access_token: sound ? jwt : undefined }))
    })
    const env = { IDENTITY_ENDPOINT: `http://${metadata.host}/msi/token`, IDENTITY_HEADER: 's3cret' }
    const proxy = { HTTP_PROXY: 'http://127.0.0.1:1', NODE_USE_ENV_PROXY: '1' }
    const { stdout } = await runCli(['proof', 'azure', '--audience', 'api://a', '--output', 'json'], {
      env: { ...env, ...proxy },
    })
    expect(JSON.parse(stdout)).toEqual({ token: jwt, audience: 'api://a', expires_at: '2100-01-01T00:00:00.000Z' })
    const wrong = await runCli(['proof', 'azure', '--audience', 'api://a'], {
      env: { ...env, IDENTITY_HEADER: 'other' },
    })
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('answered 401') })
  })

  test.concurrent.each<[string, RequestListener, string]>([
    ['a redirect', (_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), 'answered 302'],
    ['no token', (_, response) => response.end('{"access_token":"a b"}'), 'holds no token'],
    ['no JSON', (_, response) => response.end('hello'), 'is not JSON'],
    ['too much', (_, response) => response.end('a'.repeat(70_000)), 'more than 65536 bytes'],
    ['too many requests', (_, response) => response.writeHead(429).end('null'), 'Try again in a moment.'],
  ])('is told what came instead: %s', async (_, listener, told) => {
    await using metadata = await startMetadata(listener)
    const env = { AZURE_POD_IDENTITY_AUTHORITY_HOST: `http://${metadata.host}` }
    const { code, stdout, stderr } = await runCli(['proof', 'azure', '--audience', 'api://a'], { env })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(told)
  })

  test.concurrent('elsewhere than on Azure', async () => {
    const env = { AZURE_POD_IDENTITY_AUTHORITY_HOST: 'http://127.0.0.1:1' }
    const none = await runCli(['proof', 'azure', '--audience', 'api://a', '--output', 'json'], { env })
    expect(none.code).toBe(1)
    expect(JSON.parse(none.stderr).error).toMatchObject({
      code: 'metadata_unreachable',
      hint: expect.stringContaining('Azure only'),
    })
    const arc = await runCli(['proof', 'azure', '--audience', 'api://a'], {
      env: { IDENTITY_ENDPOINT: 'http://127.0.0.1:1' },
    })
    expect(arc).toMatchObject({ code: 1, stderr: expect.stringContaining('Azure Arc are not supported') })
  })
})

describe('proof gcp', () => {
  test.concurrent('asks for a token of the machine, with all that it says', async () => {
    using folder = makeFolder()
    await using metadata = await startMetadata((request, response) => {
      const path = '/computeMetadata/v1/instance/service-accounts/default/identity'
      const { audience, format } = queryOf(request)
      const sound = request.headers['metadata-flavor'] === 'Google' && audience === issuer && format === 'full'
      const found = request.url?.startsWith(`${path}?`) === true
      response.writeHead(found && sound ? 200 : 404, { 'metadata-flavor': 'Google' }).end(`${jwt}\n`)
    })
    const env = { GCE_METADATA_HOST: metadata.host }
    const out = folder.file('proof')
    const made = await runCli(['proof', 'gcp', '--audience', issuer, '--out', out], { env })
    expect(made).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(out, 'utf8')).toBe(`${jwt}\n`)
    const other = await runCli(['proof', 'gcp', '--audience', issuer, '--service-account', 'x@y'], { env })
    expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining('name one with --service-account') })
  })

  test.concurrent('believes nothing else that answers', async () => {
    await using metadata = await startMetadata((_, response) => response.end(jwt))
    const { code, stderr } = await runCli(['proof', 'gcp', '--audience', issuer], {
      env: { GCE_METADATA_HOST: metadata.host },
    })
    expect(code).toBe(1)
    expect(stderr).toContain('is not the metadata service')
  })
})

test('a server that says no issuer is not a gateway', async () => {
  await using server = await startMetadata((_, response) => response.end('{"issuer":"http://id.example.org"}'))
  const { code, stderr } = await runCli(['proof', 'gcp', '--server', `http://${server.host}`])
  expect(code).toBe(1)
  expect(stderr).toContain('does not say its issuer')
})
