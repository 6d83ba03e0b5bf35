import { readdirSync, readFileSync } from 'node:fs'
import { get } from 'node:https'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { makeFolder, runCli, startCli, testConfiguration } from '../../cli/run-cli.ts'
import { startScriptedCloud } from '../../support/exchanger.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000 })

const id = '11111111-2222-3333-4444-555555555555'
const provider = 'projects/1/locations/global/workloadIdentityPools/apostille/providers/apostille'

/** A target of each cloud. */
const configuration = (endpoint: string, caFile: string) => `${testConfiguration.replace('[ES256]', '[ES256, RS256]')}
targets:
  s3:
    type: aws
    role_arn: arn:aws:iam::123456789012:role/payments
    region: eu-west-1
    endpoint: ${endpoint}
    ca_file: ${caFile}
  vault: { type: azure, tenant: ${id}, client_id: ${id} }
  bucket: { type: gcp, provider: ${provider} }
policies:
  - { permit: exchange, to: [s3, vault, bucket], when: 'true' }
`

/** The libraries of clouds that a gateway has loaded by its end. */
async function librariesOf(document: string, ask?: { readonly target: string }): Promise<readonly string[]> {
  using folder = makeFolder()
  const config = folder.write('apostille.yaml', document)
  const coverage = folder.file('coverage')
  const args = ['serve', '--config', config, '--output', 'json']
  const gateway = startCli(args, { cwd: folder.path, env: { NODE_V8_COVERAGE: coverage } })
  await gateway.until('stdout', /\}\n$/)
  const { listen } = JSON.parse(gateway.stdout()) as { readonly listen: string }
  if (ask) {
    const { stdout } = await runCli(['join-token', 'create', 'first', '--name', 'one', '--config', config])
    expect(await statusOf(`https://${listen}/v1/credentials/${ask.target}`, stdout.trim())).toBe(502)
  }
  expect(await gateway.stop()).toBe(0)
  return [...new Set(loadedFiles(coverage).flatMap((file) => libraryOf(file) ?? []))]
}

function statusOf(url: string, authorization: string): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>()
  const options = { headers: { authorization }, rejectUnauthorized: false, agent: false }
  get(url, options, (answer) => resolve(answer.resume().statusCode)).once('error', reject)
  return promise
}

/** Every script that ran has its coverage. */
function loadedFiles(folder: string): readonly string[] {
  const files = readdirSync(folder).flatMap((name) => {
    const { result } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Coverage
    return result.map(({ url }) => url)
  })
  expect(files).toContainEqual(expect.stringMatching(/\/src\/runtime\/server\.node\.ts$/))
  return files
}

interface Coverage {
  readonly result: readonly { readonly url: string }[]
}

function libraryOf(file: string): string | undefined {
  return /\/node_modules\/(@aws-sdk|@smithy|@azure|google-auth-library|gaxios)\//.exec(file)?.[1]
}

test.concurrent('a gateway without targets loads no library of a cloud', async () => {
  expect(await librariesOf(testConfiguration)).toEqual([])
})

test.concurrent('nor does one with a target of each cloud, until it is asked for', async () => {
  using folder = makeFolder()
  const caFile = folder.write('ca.pem', '')
  expect(await librariesOf(configuration('https://127.0.0.1:9', caFile))).toEqual([])
})

test.concurrent('the first exchange loads the library of its cloud and no other', async () => {
  const cloud = await startScriptedCloud()
  cloud.script({ status: 403, body: '{}' })
  const libraries = await librariesOf(configuration(cloud.url, cloud.caFile), { target: 's3' })
  await cloud.close()
  expect(cloud.requests.length).toBeGreaterThan(0)
  expect(libraries.toSorted()).toEqual(['@aws-sdk', '@smithy'])
})
