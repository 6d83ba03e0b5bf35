/** What service teams do: a command or an SDK, a real gateway, and clouds that check what real ones check. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text as readStream } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createGoogleSubjectTokenSupplier, fromApostille } from '../../src/node.ts'
import { makeFolder, runCli } from '../cli/run-cli.ts'
import { type CloudsWorld, openClouds, provider } from '../support/clouds-world.ts'
import { type HttpsServer, startHttpsServer } from '../support/https-server.ts'
import { createTestAuthority } from '../support/tls.ts'
import { send } from '../support/wire.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let world: CloudsWorld
let front: HttpsServer
let env: Record<string, string>
const folder = makeFolder()
const subject = 'spiffe://example.org/ci/build'

const audiences = [
  `https://iam.googleapis.com/${provider}`,
  `//iam.googleapis.com/${provider}`,
  'api://AzureADTokenExchange',
]

beforeAll(async () => {
  world = await openClouds({
    document: ({ aws, azure, gcp }) => ({
      authorities: { jwt: { algorithms: ['ES256', 'RS256'], rs256_audiences: ['api://AzureADTokenExchange'] } },
      identities: [
        { name: 'jobs', spiffe_id: '/ci/${proof.subject}', from: 'ci', when: "proof.subject == 'build'", audiences },
      ],
      targets: { s3: aws, vault: azure, storage: gcp, closed: aws },
      policies: [{ permit: 'exchange', to: ['s3', 'vault', 'storage'], when: 'true' }],
    }),
  })
  world.knowSubjects([subject])
  const authority = await createTestAuthority()
  front = await startFront(world, await authority.issue())
  env = {
    APOSTILLE_SERVER: front.origin,
    APOSTILLE_CA_FILE: folder.write('ca.pem', authority.ca),
    APOSTILLE_TOKEN_FILE: folder.write('token', world.gateway.issuer.token({ sub: 'build' })),
    HOME: folder.path,
  }
})

afterAll(async () => {
  await front?.close()
  await world?.close()
  folder.remove()
})

/** A load balancer that the client knows by another name. */
function startFront(
  { target }: CloudsWorld,
  certificate: Parameters<typeof startHttpsServer>[0],
): Promise<HttpsServer> {
  return startHttpsServer(certificate, async (request, response) => {
    const { method = 'GET', url = '/', headers } = request
    const passed = Object.entries(headers).filter(([name]) => ['authorization', 'content-type'].includes(name))
    const body = await readStream(request)
    const answer = await send(target, url, {
      method,
      headers: Object.fromEntries(passed) as Record<string, string>,
      ...(body !== '' && { body }),
    })
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.text)
  })
}

const library = (name: string) => JSON.stringify(import.meta.resolve(name))
const moduleOf = (text: string) => ['--input-type=module', '-e', text]

async function runModule(text: string, variables: Readonly<Record<string, string>>): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, moduleOf(text), { env: { ...env, ...variables } })
  return stdout.trim()
}

test('exec: unmodified SDKs have credentials that the clouds gave for the SPIFFE ID', async () => {
  const script = `const { STSClient } = await import(${library('@aws-sdk/client-sts')})
    const { DefaultAzureCredential } = await import(${library('@azure/identity')})
    const { GoogleAuth } = await import(${library('google-auth-library')})
    const aws = await new STSClient({ region: 'eu-west-1' }).config.credentials()
    const google = await new GoogleAuth({ scopes: 'https://www.googleapis.com/auth/cloud-platform' }).getAccessToken()
    const azure = await new DefaultAzureCredential().getToken('https://management.azure.com/.default')
    console.log(JSON.stringify([aws.accessKeyId, google, azure.token]))`
  const targets = ['s3', 'vault', 'storage'].flatMap((name) => ['--target', name])
  const result = await runCli(['exec', ...targets, '--', process.execPath, ...moduleOf(script)], { env })
  expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: '' })
  const [keyId, google, azure] = JSON.parse(result.stdout)
  expect(world.sts.state.accessKeys.get(keyId)).toMatchObject({ session: { subject } })
  expect(world.entra.issued).toContainEqual(expect.objectContaining({ accessToken: azure, subject }))
  expect(world.google.federatedTokens).toContainEqual(
    expect.objectContaining({ accessToken: google, attributes: { 'google.subject': 'ci/build' } }),
  )
  const records = await world.gateway.records('operation=exchange&limit=10')
  expect(records.map(({ target, decision }) => [target, decision]).sort()).toEqual([
    ['s3', 'granted'],
    ['storage', 'granted'],
    ['vault', 'granted'],
  ])
})

test('exec: a target that no policy gives is refused, and the request id leads to the record', async () => {
  const { code, stderr } = await runCli(['exec', '--target', 'closed', '--', 'true'], { env })
  expect(code).toBe(1)
  const requestId = /^request id: (\w+)$/m.exec(stderr)?.[1]
  expect(await world.gateway.records(`request_id=${requestId}`)).toMatchObject([
    { target: 'closed', decision: 'refused' },
  ])
})

test("google-adc: Google's library exchanges what the command prints", async () => {
  const out = folder.file('adc.json')
  const config = join(world.gateway.folder, 'apostille.yaml')
  const args = ['credentials', 'storage', '--format', 'google-adc', '--config', config, '--out', out]
  expect(await runCli(args, { env })).toMatchObject({ code: 0 })
  const script = `const { GoogleAuth } = await import(${library('google-auth-library')})
    console.log(await new GoogleAuth({ scopes: 'https://www.googleapis.com/auth/cloud-platform' }).getAccessToken())`
  const token = await runModule(script, {
    GOOGLE_APPLICATION_CREDENTIALS: out,
    GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES: '1',
    GOOGLE_CLOUD_PROJECT: 'shop',
    NODE_EXTRA_CA_CERTS: world.google.caFile,
  })
  expect(world.google.federatedTokens.at(-1)?.accessToken).toBe(token)
})

test('azure-env: WorkloadIdentityCredential exchanges the token in the file', async () => {
  const config = join(world.gateway.folder, 'apostille.yaml')
  const args = [
    'credentials',
    'vault',
    '--format',
    'azure-env',
    '--token-out',
    folder.file('azure.jwt'),
    '--output',
    'json',
  ]
  const { code, stdout } = await runCli([...args, '--config', config], { env })
  expect(code).toBe(0)
  const script = `const { WorkloadIdentityCredential } = await import(${library('@azure/identity')})
    const credential = new WorkloadIdentityCredential({ disableInstanceDiscovery: true })
    console.log((await credential.getToken('https://management.azure.com/.default')).token)`
  const token = await runModule(script, { ...JSON.parse(stdout), NODE_EXTRA_CA_CERTS: world.entra.caFile })
  expect(world.entra.issued.at(-1)).toMatchObject({ accessToken: token, subject })
})

test('container: an SDK asks the gateway itself', async () => {
  const args = ['credentials', 's3', '--format', 'container', '--output', 'json']
  const { code, stdout } = await runCli(args, { env })
  expect(code).toBe(0)
  const script = `const { STSClient } = await import(${library('@aws-sdk/client-sts')})
    console.log((await new STSClient({ region: 'eu-west-1' }).config.credentials()).accessKeyId)`
  const keyId = await runModule(script, JSON.parse(stdout))
  expect(world.sts.state.accessKeys.get(keyId)).toMatchObject({ session: { subject } })
})

test('SDK: the provider of AWS and the supplier of Google', async () => {
  const options = {
    server: env['APOSTILLE_SERVER']!,
    tokenFile: env['APOSTILLE_TOKEN_FILE']!,
    caFile: env['APOSTILLE_CA_FILE']!,
    env: {},
  }
  const { accessKeyId } = await fromApostille({ ...options, target: 's3' })()
  expect(world.sts.state.accessKeys.get(accessKeyId)).toMatchObject({ session: { subject } })
  const supplier = createGoogleSubjectTokenSupplier(options)
  const subjectToken = await supplier.getSubjectToken({ audience: `//iam.googleapis.com/${provider}` })
  const file = folder.file('subject')
  writeFileSync(file, subjectToken)
  const script = `const { IdentityPoolClient } = await import(${library('google-auth-library')})
    const { readFileSync } = await import('node:fs')
    const client = new IdentityPoolClient({
      type: 'external_account', audience: ${JSON.stringify(`//iam.googleapis.com/${provider}`)},
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', token_url: ${JSON.stringify(world.google.tokenUrl)},
      subject_token_supplier: { getSubjectToken: async () => readFileSync(${JSON.stringify(file)}, 'utf8') },
      scopes: ['https://www.googleapis.com/auth/cloud-platform'],
    })
    console.log((await client.getAccessToken()).token)`
  const token = await runModule(script, { NODE_EXTRA_CA_CERTS: world.google.caFile })
  expect(world.google.federatedTokens.at(-1)?.accessToken).toBe(token)
})
