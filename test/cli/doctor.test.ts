import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Entra, startEntra } from '../support/clouds/entra.ts'
import { clientId, tenant } from '../support/clouds-world.ts'
import { freePort, makeFolder, runCli, startGateway, testConfiguration } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

/** What Entra trusts and reaches, known when the gateway has started. */
const publicCas: string[] = []
const resolve: Record<string, string> = {}

let entra: Entra
let gateway: Awaited<ReturnType<typeof startGateway>>

beforeAll(async () => {
  const port = await freePort()
  const issuer = `https://localhost:${port}`
  entra = await startEntra({ publicCas, resolve })
  entra.state.tenants.set(tenant, {})
  const document = testConfiguration
    .replace('issuer: https://localhost', `issuer: ${issuer}`)
    .replace('127.0.0.1:0', `127.0.0.1:${port}`)
    .replace('[ES256]', '[ES256, RS256]')
  const vault = `type: azure, tenant: ${tenant}, client_id: ${clientId}, authority_host: '${entra.url}', ca_file: '${entra.caFile}'`
  gateway = await startGateway(`${document}
targets:
  vault: { ${vault}, acts_as: /cloud/payments }
  other: { ${vault}, acts_as: /cloud/other }
policies:
  - { permit: exchange, to: [vault, other], when: 'true' }
`)
  publicCas.push(readFileSync(gateway.caFile, 'utf8'))
  resolve[`localhost:${port}`] = `127.0.0.1:${port}`
  entra.state.apps.push({ tenant, clientId, federatedCredentials: [] })
})
afterAll(async () => {
  await gateway?.stop()
  await entra?.close()
})

const doctor = (...args: readonly string[]) => runCli(['doctor', '--config', gateway.config, ...args])

test('a chain that was set up as `trust` prints it passes, with the authorities of a private set-up', async () => {
  const printed = await runCli(['trust', 'azure', 'vault', '--config', gateway.config, '--output', 'json'])
  for (const credential of JSON.parse(printed.stdout).federated_credentials)
    await entra.addFederatedCredential(clientId, credential)

  const text = await doctor('--target', 'vault', '--ca-file', gateway.caFile)
  expect([text.code, text.stderr]).toEqual([0, ''])
  expect(text.stdout).toMatch(/^1 {2}configuration {2}ok {7}target vault of type azure acts as spiffe:\/\//)
  expect(text.stdout).toMatch(/^8 {2}exchange {7}ok {7}spiffe:\/\/example\.org\/cloud\/payments: a credential until /m)

  const json = await doctor('--target', 'vault', '--ca-file', gateway.caFile, '--output', 'json')
  const { target, ok, checks } = JSON.parse(json.stdout)
  expect([json.code, target, ok]).toEqual([0, 'vault', true])
  expect(checks.map(({ name, verdict }: { name: string; verdict: string }) => [name, verdict])).toEqual([
    ['configuration', 'pass'],
    ['issuer', 'warn'],
    ['discovery', 'pass'],
    ['keys', 'pass'],
    ['algorithm', 'pass'],
    ['identity', 'pass'],
    ['clock', 'pass'],
    ['exchange', 'pass'],
  ])
  expect(checks[1].findings).toEqual([
    { code: 'issuer_private', severity: 'warning', message: expect.any(String), remedy: expect.any(String) },
  ])
})

test('a link that fails ends with 1, and says what to do in commands that can be pasted', async () => {
  const { code, stdout } = await doctor('--target', 'other', '--ca-file', gateway.caFile)
  expect(code).toBe(1)
  expect(stdout).toMatch(/^8 {2}exchange {7}FAILS {4}/m)
  expect(stdout).toMatch(/^ {5}AADSTS700213 \(HTTP 401, request [\w-]+\): it says '/m)
  expect(stdout).toMatch(/^ {5}→ .*; what it has to hold: `.*main\.ts trust azure other`$/m)
})

test('without authorities of its own the issuer is seen as clouds see it', async () => {
  const { code, stdout } = await doctor('--target', 'vault', '--output', 'json')
  expect(code).toBe(1)
  const [, issuer, discovery, keys] = JSON.parse(stdout).checks
  expect(issuer.findings.map((finding: { code: string }) => finding.code)).toEqual(['issuer_private', 'issuer_tls'])
  expect([discovery.verdict, keys.verdict]).toEqual(['skip', 'skip'])
})

test.each([
  ['with whom, and not where', ['--as', '/x'], 2, '--as goes with --target'],
  ['with a file of authorities that is not there', ['--target', 'vault', '--ca-file', '/nowhere.pem'], 1, 'ENOENT'],
])('%s', async (_, args, code, said) => {
  const result = await doctor(...args)
  expect([result.code, result.stdout]).toEqual([code, ''])
  expect(result.stderr).toContain(said)
})

test('a gateway that does not run is a finding', async () => {
  using folder = makeFolder()
  const config = folder.write('apostille.yaml', readFileSync(gateway.config, 'utf8').replace('admin.sock', 'none.sock'))
  const { code, stdout } = await runCli(['doctor', '--target', 'vault', '--config', config])
  expect(code).toBe(1)
  expect(stdout).toMatch(/the gateway is not running\n {5}→ start it with `.*main\.ts serve`$/m)
})

test('without a target it looks at the installation as a whole', async () => {
  const text = await doctor('--ca-file', gateway.caFile)
  expect(text.stdout).toMatch(/^1 {2}node {11}ok {7}2\d\.[\s\S]*\n10 issuer {9}/)
  expect(text.code).toBe(0)
  const json = await doctor('--ca-file', gateway.caFile, '--output', 'json')
  const { target, ok, checks } = JSON.parse(json.stdout)
  expect({ target, ok, count: checks.length }).toEqual({ target: null, ok: true, count: 12 })

  const alone = await doctor('--output', 'json')
  expect(alone.code).toBe(1)
})
