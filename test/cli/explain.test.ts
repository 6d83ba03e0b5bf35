import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { runCli, startGateway, testConfiguration } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let gateway: Awaited<ReturnType<typeof startGateway>>
let token: string

beforeAll(async () => {
  gateway = await startGateway(`${testConfiguration}
  - { name: web, spiffe_id: /web, from: first, when: "proof.attributes.role == 'web' && proof.name == 'one'" }
  - { name: db, spiffe_id: /db, from: first, when: "proof.attributes.role == 'db' || proof.name == 'two'" }
policies:
  - { name: night, forbid: jwt_svid, when: "request.address == '192.0.2.66'" }
`)
  token = gateway.folder.write('token', await gateway.makeToken('--name', 'one', '--attribute', 'role=api'))
})
afterAll(() => gateway?.stop())

const explain = (...args: readonly string[]) => runCli(['explain', '--config', gateway.config, ...args])

test('a proof is explained: rules, policies, decision; the token is not in it, and is not spent', async () => {
  const { code, stdout, stderr } = await explain('--token-file', token, '--audience', 'https://db.example.org')
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(/^proof\n {2}accepted by first \(join_token\); a join token/m)
  expect(stdout).toContain('✓ vm gives spiffe://example.org/vm/one')
  expect(stdout).toMatch(
    /✗ web does not apply\n +false +proof\.attributes\.role == 'web' +proof\.attributes\.role is "api"/,
  )
  expect(stdout).toMatch(/true +proof\.name == 'one'/)
  expect(stdout).toMatch(/✗ db does not apply\n +false +proof\.attributes\.role == 'db' \|\| proof\.name == 'two'\n/)
  expect(stdout).toMatch(
    /✓ forbid night applies\n +failed +request\.address == '192\.0\.2\.66' +request\.address is absent/,
  )
  expect(stdout).not.toContain(readFileSync(token, 'utf8').trim())

  const list = await runCli(['join-token', 'list', '--config', gateway.config, '--output', 'json'])
  expect(JSON.parse(list.stdout).items).toMatchObject([{ uses_left: 1 }])
})

test('a request of the past is explained by its id', async () => {
  const proof = ['--server', gateway.url, '--ca-file', gateway.caFile, '--token-file', token]
  const refused = await runCli(['svid', 'jwt', '--audience', 'https://db.example.org', ...proof, '--output', 'json'])
  const { request_id: id } = JSON.parse(refused.stderr).error
  const text = await explain(id)
  expect([text.code, text.stderr]).toEqual([0, ''])
  expect(text.stdout).toMatch(/^record\n {2}time .*\n {2}request_id +[0-9a-f]{24}$/m)
  expect(text.stdout).toMatch(/refused: rule vm does not list audience 'https:\/\/db\.example\.org'/)

  const json = await explain(id, '--output', 'json')
  const [item] = JSON.parse(json.stdout).items
  expect(item).toMatchObject({ same_document: true, decision: { granted: false, rule: 'vm' }, other_rules: 0 })
})

test('a proof that is none is told why to the operator', async () => {
  const { code, stdout } = await explain('--token-file', gateway.folder.write('bad', 'apo_join_nonsense'))
  expect(code).toBe(0)
  expect(stdout).toMatch(/^proof\n {2}refused: .*\(proof_rejected\)/m)
})

test('an X.509-SVID is explained without its key', async () => {
  const proof = ['--server', gateway.url, '--ca-file', gateway.caFile]
  const file = gateway.folder.write('t2', await gateway.makeToken('--name', 'two'))
  await runCli(['svid', 'x509', '--out', gateway.folder.file('svid'), '--token-file', file, ...proof])
  const { stdout } = await explain('--cert-file', gateway.folder.file('svid/svid.pem'))
  expect(stdout).toContain('the same identity again')
  expect(stdout).toMatch(/granted: granted by rule vm\n {2}as spiffe:\/\/example\.org\/vm\/two/)
})

test.each([
  ['a request that is not on record', ['0'.repeat(24)], 'there is no record of that request'],
  ['an exchange without a target', ['--token-file', 'TOKEN', '--operation', 'exchange'], '--target'],
  ['what is no certificate', ['--cert-file', 'TOKEN'], 'certificates: expected PEM'],
])('%s is refused', async (_, args, told) => {
  const { code, stderr } = await explain(...args.map((arg) => (arg === 'TOKEN' ? token : arg)))
  expect(code).toBe(1)
  expect(stderr).toContain(told)
})
