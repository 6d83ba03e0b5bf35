import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { formatPem } from '../../src/protocol/encoding.ts'
import { formatJwk } from '../../src/protocol/jwk.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { formatTrustBundle } from '../../src/protocol/trust-bundle.ts'
import { createTestAuthority as createX509Authority, makeTestKey } from '../support/certificate-authority.ts'
import { makeWorkload } from '../support/csr.ts'
import { type HttpsServer, startHttpsServer } from '../support/https-server.ts'
import { createTestAuthority } from '../support/tls.ts'
import { makeFolder, runCli, startGateway, testConfiguration } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const root = createX509Authority({ uris: ['spiffe://spire.example'] })
/** More than a double can hold. */
const first = 2n ** 53n + 1n
const bundle = (sequence: bigint) =>
  formatTrustBundle({
    trustDomain: parseTrustDomain('spire.example'),
    sequence,
    refreshHintSeconds: 3600,
    x509Authorities: [root.der],
    jwtAuthorities: [],
  })

const files = makeFolder()
let endpoint: HttpsServer
let served = bundle(first)
let gateway: Awaited<ReturnType<typeof startGateway>>
let env: Record<string, string>

/** One peer that answers, and one whose port is closed. */
beforeAll(async () => {
  const authority = await createTestAuthority()
  endpoint = await startHttpsServer(await authority.issue(), (_, response) => void response.end(served))
  gateway = await startGateway(`${testConfiguration}federation:
  spire.example: { endpoint: '${endpoint.origin}/', profile: https_web, ca_file: '${files.write('ca.pem', authority.ca)}' }
  away.example: { endpoint: 'https://127.0.0.1:1/', profile: https_web }
`)
  env = { APOSTILLE_CONFIG: gateway.config }
  expect(await run('federation', 'refresh', 'spire.example')).toMatchObject({ code: 0, stderr: '' })
})
afterAll(async () => {
  await Promise.all([gateway?.stop(), endpoint?.close()])
  files.remove()
})

const run = (...args: readonly string[]) => runCli(args, { env })
async function runJson(...args: readonly string[]) {
  const { code, stdout, stderr } = await run(...args, '--output', 'json')
  return { code, value: JSON.parse(code === 0 ? stdout : stderr) }
}
const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8)

test('peers are listed, page by page', async () => {
  const [text, json, page] = await Promise.all([
    run('federation', 'list'),
    runJson('federation', 'list'),
    run('federation', 'list', '--limit', '1'),
  ])
  expect(text).toMatchObject({ code: 0, stderr: '' })
  expect(text.stdout).toMatch(/^TRUST DOMAIN +SEQUENCE +KEYS +CONFIRMED +STATE\n/)
  expect(text.stdout).toMatch(/^away\.example +- +0 X\.509, 0 JWT +never +/m)
  expect(text.stdout).toMatch(/^spire\.example +9007199254740993 +1 X\.509, 0 JWT +\S+ \S+Z \(.*\) +ok$/m)
  expect(json).toMatchObject({
    code: 0,
    value: { items: [{ trust_domain: 'away.example' }, { trust_domain: 'spire.example', failures: 0 }], next: null },
  })
  expect(page).toMatchObject({
    stdout: expect.not.stringContaining('spire.example'),
    stderr: 'There are more: --after away.example\n',
  })
})

test('one peer is shown', async () => {
  const [text, json] = await Promise.all([
    run('federation', 'show', 'spire.example'),
    runJson('federation', 'show', 'spire.example'),
  ])
  expect(text.stdout).toMatch(/^trust domain +spire\.example\n/)
  for (const line of [
    /^endpoint +https:\/\/localhost:\d+\/$/m,
    /^profile +https_web$/m,
    /^source +endpoint$/m,
    /^next poll +\S+ \S+Z \(in .*\)$/m,
    /^problem +none$/m,
  ])
    expect(text.stdout).toMatch(line)
  expect(json.value).toMatchObject({ sequence: String(first), refresh_hint_seconds: 3600, bundle: served })
})

test('the bundle is exported as it came, whatever the format', async () => {
  const out = gateway.folder.file('exported.json')
  const [text, json, file] = await Promise.all([
    run('federation', 'export', 'spire.example'),
    run('federation', 'export', 'spire.example', '--output', 'json'),
    run('federation', 'export', 'spire.example', '--out', out),
  ])
  expect([text, json]).toEqual([1, 2].map(() => ({ code: 0, stdout: `${served}\n`, stderr: '' })))
  expect([file.stdout, readFileSync(out, 'utf8'), modeOf(out)]).toEqual([`Wrote ${out}\n`, served, '644'])
})

test('a refresh takes what is newer, and what is older only when it is told to', async () => {
  served = bundle(first - 1n)
  const refused = await run('federation', 'refresh', 'spire.example')
  expect(refused).toMatchObject({ code: 1, stdout: '' })
  expect(refused.stderr).toContain(`its sequence number ${first - 1n} is below ${first}`)
  expect(refused.stderr).toContain('--accept-older takes it')
  expect((await runJson('federation', 'refresh', 'spire.example', '--accept-older')).value).toMatchObject({
    sequence: String(first - 1n),
  })
  served = bundle(first)
  expect((await run('federation', 'refresh', 'spire.example')).stdout).toMatch(/^sequence +9007199254740993$/m)
  const { value } = await runJson('records', 'list', '--operation', 'federation.bundle', '--order', 'oldest')
  expect(value.items.map(({ details }: { details: Record<string, unknown> }) => details['to_sequence'])).toEqual([
    String(first),
    String(first - 1n),
    String(first),
  ])
})

test.concurrent.each<[string, readonly string[], string, RegExp]>([
  ['a peer that is away', ['refresh', 'away.example'], 'upstream_failed', /127\.0\.0\.1/],
  [
    'a peer of which nothing is held',
    ['export', 'away.example'],
    'not_found',
    /no bundle of away\.example is held yet/,
  ],
  ['a peer that is none', ['show', 'nobody.example'], 'not_found', /the configuration has no federation/],
])('%s is told with its reason', async (_, args, code, message) => {
  const answer = await runJson('federation', ...args)
  expect(answer).toMatchObject({ code: 1, value: { error: { code, message: expect.stringMatching(message) } } })
})

test('a first bundle is made of PEM and a JWK Set, beside the configuration', async () => {
  using folder = makeFolder()
  const key = makeTestKey()
  const pem = folder.write('roots.pem', formatPem('CERTIFICATE', root.der))
  const jwks = JSON.stringify({ keys: [formatJwk(key.publicKeyInfo, { kid: 'k1', use: 'sig' })] })
  const config = folder.write('apostille.yaml', testConfiguration)
  const args = ['federation', 'import', 'other.example', '--config', config, '--from', pem, '--from', '-']
  const file = folder.file('trust-bundles/other.example.json')
  const text = await runCli(args, { input: jwks })
  expect(text).toMatchObject({ code: 0, stderr: '' })
  expect(text.stdout).toMatch(/^trust domain +other\.example\nkeys +1 X\.509, 1 JWT\nfile +\/.*\nloaded +no: /)
  expect(text.stdout).toContain(file)
  const { keys } = JSON.parse(readFileSync(file, 'utf8'))
  expect(keys).toMatchObject([
    { use: 'x509-svid', x5c: [root.der.toString('base64')] },
    { use: 'jwt-svid', kid: 'k1' },
  ])
  expect(modeOf(file)).toBe('644')

  const out = folder.file('elsewhere.json')
  const json = await runCli([...args, '--out', out, '--output', 'json'], { input: jwks })
  expect(JSON.parse(json.stdout)).toEqual({
    ...{ trust_domain: 'other.example', file: out, x509_authorities: 1, jwt_authorities: 1, loaded: false },
  })
  expect(readFileSync(out, 'utf8')).toBe(readFileSync(file, 'utf8'))
})

test('an import takes effect at once when it is told to', async () => {
  const from = files.write('away.json', bundle(3n))
  const out = files.file('away.out.json')
  expect(await run('federation', 'import', 'away.example', '--from', from, '--out', out, '--load')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^loaded +yes$/m),
  })
  expect((await run('federation', 'export', 'away.example')).stdout).toBe(`${bundle(3n)}\n`)
  const stranger = ['federation', 'import', 'nobody.example', '--from', from, '--out', out, '--load']
  expect(await runJson(...stranger)).toMatchObject({ code: 1, value: { error: { code: 'not_found' } } })
})

const html = files.write('bundle.html', '<html>')
test.concurrent.each<[string, readonly string[], Readonly<Record<string, unknown>>]>([
  ['no file', ['spire.example'], { code: 2, error: { code: 'usage', message: expect.stringContaining('--from') } }],
  ['a name that is none', ['Spire/..', '--from', html], { code: 2, error: { code: 'usage' } }],
  ['a file that is not there', ['spire.example', '--from', '/nowhere'], { code: 1, error: { code: 'file' } }],
  ['what is no bundle', ['spire.example', '--from', html], { code: 1, error: { code: 'malformed_bundle' } }],
])('an import of %s is refused, and nothing is written', async (_, args, { code, error }) => {
  using folder = makeFolder()
  const config = folder.write('apostille.yaml', testConfiguration)
  expect(await runJson('federation', 'import', ...args, '--config', config)).toMatchObject({ code, value: { error } })
  expect(existsSync(folder.file('trust-bundles'))).toBe(false)
})

test('an intermediate is signed for another issuer, with key and bundle', async () => {
  const out = gateway.folder.file('upstream')
  const signed = await run('authority', 'sign-intermediate', '--out', out, '--ttl', '2h')
  expect(signed).toMatchObject({ code: 0, stderr: '' })
  expect(signed.stdout).toMatch(/^signed by +[0-9a-f]{40}\nexpires +\S+ \S+Z \(in (?:2h|1h 59m)\)\n/)
  const [certificate, key, roots] = ['intermediate.pem', 'intermediate.key', 'bundle.pem'].map(
    (name) => `${out}/${name}`,
  )
  expect([certificate, key, roots].map((file) => modeOf(file ?? ''))).toEqual(['644', '600', '644'])
  const made = new X509Certificate(readFileSync(certificate ?? ''))
  const above = readFileSync(roots ?? '', 'utf8').split(/(?<=-----END CERTIFICATE-----\n)/)
  expect(above.map((pem) => made.verify(new X509Certificate(pem).publicKey))).toContain(true)
  const held = createPublicKey(createPrivateKey(readFileSync(key ?? '')))
  expect(made.publicKey.equals(held)).toBe(true)
})

test('an intermediate is signed for the key of a request, and then there is none to keep', async () => {
  const { csr, key } = makeWorkload()
  const out = gateway.folder.file('by-request')
  const args = ['--out', out, '--csr', files.write('spire.csr', csr), '--path-length', '0']
  const { value } = await runJson('authority', 'sign-intermediate', ...args)
  expect(value).toEqual({
    certificate: `${out}/intermediate.pem`,
    bundle: `${out}/bundle.pem`,
    expires_at: expect.any(String),
    signed_by: expect.stringMatching(/^[0-9a-f]{40}$/),
  })
  const made = new X509Certificate(readFileSync(value.certificate))
  expect(made.publicKey.export({ type: 'spki', format: 'der' }).equals(key.publicKeyInfo)).toBe(true)
  expect(existsSync(`${out}/intermediate.key`)).toBe(false)
})

test.concurrent.each<[string, readonly string[], Readonly<Record<string, unknown>>]>([
  ['no folder', [], { code: 2, error: { code: 'usage', message: expect.stringContaining('--out') } }],
  ['a path length that is none', ['--path-length', '8'], { code: 2, error: { code: 'usage' } }],
  [
    'more time than our authority has',
    ['--ttl', '30d'],
    { code: 1, error: { code: 'conflict', message: expect.stringContaining('at most') } },
  ],
  ['a request that is none', ['--csr', html], { code: 1, error: { code: 'malformed_request' } }],
])('no intermediate is signed with %s, and nothing is written', async (_, args, { code, error }) => {
  using folder = makeFolder()
  const out = args.length === 0 ? [] : ['--out', folder.file('upstream')]
  expect(await runJson('authority', 'sign-intermediate', ...out, ...args)).toMatchObject({ code, value: { error } })
  expect(existsSync(folder.file('upstream'))).toBe(false)
})

test('a first bundle that is not there is told by check, and keeps serve from starting', async () => {
  using folder = makeFolder()
  const peers =
    "federation:\n  spire.example: { bundle: trust-bundles/spire.example.json }\n  web.example: { endpoint: 'https://web.example', profile: https_web, ca_file: ./web.pem }\n"
  const config = folder.write('apostille.yaml', testConfiguration + peers)
  const [checked, started] = await Promise.all([
    runJson('check', config),
    runCli(['serve', '--config', config, '--output', 'json']),
  ])
  expect(checked.value.diagnostics).toMatchObject([
    { path: 'federation.spire.example.bundle', message: 'trust-bundles/spire.example.json is not there' },
    { path: 'federation.web.example.ca_file', message: './web.pem is not there' },
  ])
  expect([started.code, started.stdout]).toEqual([1, ''])
  expect(started.stderr).toMatch(
    /federation\.spire\.example\.bundle: \/.*\/trust-bundles\/spire\.example\.json can not be read: there is no such file/,
  )
})
