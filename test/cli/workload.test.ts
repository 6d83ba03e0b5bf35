import { createPublicKey, verify, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { makeKey, requestText } from '../../src/sdk/new-key.node.ts'
import { authorityOf, signedAnswer } from '../support/own-source.ts'
import { createTestAuthority } from '../support/tls.ts'
import { makeFolder, runCli, startGateway } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let gateway: Awaited<ReturnType<typeof startGateway>>
let env: Record<string, string>
let token: string

beforeAll(async () => {
  gateway = await startGateway()
  token = await gateway.makeToken('--name', 'web-1', '--uses', '100')
  env = {
    APOSTILLE_SERVER: gateway.url,
    APOSTILLE_CA_FILE: gateway.caFile,
    APOSTILLE_TOKEN_FILE: gateway.folder.write('token', `${token}\n`),
  }
})

afterAll(() => gateway?.stop())

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

test.concurrent('svid jwt prints the bare token, which the published keys verify', async () => {
  const { code, stdout, stderr } = await runCli(['svid', 'jwt', '--audience', 'https://api.example.org'], { env })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const [header = '', payload = '', signature = ''] = stdout.trimEnd().split('.')
  const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString())
  const { stdout: bundle } = await runCli(['bundle'], { env })
  const jwk = JSON.parse(bundle).keys.find((key: { kid?: string }) => key.kid === kid)
  const key = { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' } as const
  expect(verify('sha256', Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url'))).toBe(true)
  expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({
    sub: 'spiffe://example.org/vm/web-1',
  })
})

test.concurrent('svid jwt --out writes the token for its owner only, and shows everything but it', async () => {
  using folder = makeFolder()
  const args = ['svid', 'jwt', '--audience', 'https://api.example.org', '--ttl', '1m', '--out', folder.file('jwt')]
  const { code, stdout } = await runCli([...args, '--output', 'json'], { env })
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toEqual({
    spiffe_id: 'spiffe://example.org/vm/web-1',
    expires_at: expect.any(String),
    file: folder.file('jwt'),
  })
  expect(modeOf(folder.file('jwt'))).toBe('600')
  expect(readFileSync(folder.file('jwt'), 'utf8')).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/)
  const text = await runCli(args, { env })
  expect(text.stdout).toMatch(/^spiffe id {2}spiffe:\/\/example\.org\/vm\/web-1\nexpires {4}\S+ \S+Z \(in .+\)\ntoken/)
  expect(text.stdout).not.toContain('eyJ')
})

test.concurrent.each(['ec-p256', 'ec-p384', 'rsa-2048'])(
  'svid x509 makes a key of type %s and files that go together',
  async (type) => {
    using folder = makeFolder()
    const out = folder.file('svid')
    const { code, stdout } = await runCli(['svid', 'x509', '--out', out, '--key-type', type, '--output', 'json'], {
      env,
    })
    expect(code).toBe(0)
    const leaf = new X509Certificate(readFileSync(`${out}/svid.pem`))
    expect(leaf.checkPrivateKey((await import('node:crypto')).createPrivateKey(readFileSync(`${out}/svid.key`)))).toBe(
      true,
    )
    expect(leaf.subjectAltName).toContain('URI:spiffe://example.org/vm/web-1')
    const { serial_number, files } = JSON.parse(stdout)
    expect(serial_number).toBe(leaf.serialNumber.toLowerCase())
    expect(files).toEqual({ certificate: `${out}/svid.pem`, key: `${out}/svid.key`, bundle: `${out}/bundle.pem` })
    expect([modeOf(files.certificate), modeOf(files.key), modeOf(files.bundle)]).toEqual(['644', '600', '644'])
    expect(stdout).not.toContain('PRIVATE KEY')
  },
)

test.concurrent('an X.509-SVID renews itself in place', async () => {
  using folder = makeFolder()
  const out = folder.file('svid')
  await runCli(['svid', 'x509', '--out', out], { env })
  const first = readFileSync(`${out}/svid.pem`, 'utf8')
  const { APOSTILLE_TOKEN_FILE: _unused, ...server } = env
  const proof = ['--cert-file', `${out}/svid.pem`, '--key-file', `${out}/svid.key`]
  const renewed = await runCli(['svid', 'x509', '--out', out, ...proof], { env: server })
  expect(renewed).toMatchObject({ code: 0, stdout: expect.stringContaining('spiffe://example.org/vm/web-1') })
  expect(readFileSync(`${out}/svid.pem`, 'utf8')).not.toBe(first)
})

test.concurrent('identities shows what the proof has, from standard input too', async () => {
  const text = await runCli(['identities'], { env })
  expect(text.stdout).toMatch(/^SPIFFE ID +X\.509 TTL +JWT TTL +AUDIENCES +DNS NAMES +HINT\n/)
  expect(text.stdout).toContain('spiffe://example.org/vm/web-1  1h         5m       https://api.example.org')
  const json = await runCli(['identities', '--output', 'json', '--token-file', '-', '--authenticator', 'first'], {
    env,
    input: `${token}\n`,
  })
  expect(JSON.parse(json.stdout)).toMatchObject({ items: [{ spiffe_id: 'spiffe://example.org/vm/web-1' }], next: null })
})

test.concurrent('bundle gives the SPIFFE bundle and its PEM', async () => {
  using folder = makeFolder()
  const json = await runCli(['bundle', '--output', 'json'], { env })
  expect(JSON.parse(json.stdout)).toMatchObject({ spiffe_sequence: expect.any(Number), keys: expect.any(Array) })
  const out = folder.file('bundle.pem')
  expect(await runCli(['bundle', '--format', 'pem', '--out', out], { env })).toMatchObject({
    code: 0,
    stdout: `Wrote ${out}\n`,
  })
  expect(readFileSync(out, 'utf8')).toBe(readFileSync(gateway.caFile, 'utf8'))
  expect(modeOf(out)).toBe('644')
})

test.concurrent('flags win over variables', async () => {
  const { code, stderr } = await runCli(['identities', '--token-file', '/nowhere'], { env })
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: 'error: cannot read the token from /nowhere: there is no such file\n',
  })
})

test.concurrent('a refused proof says where the operator finds the reason', async () => {
  using folder = makeFolder()
  const other = folder.write('token', 'apo_join_0000000000000000000000000000000000000000000000000')
  const args = ['svid', 'jwt', '--audience', 'https://api.example.org', '--token-file', other]
  const { code, stdout, stderr } = await runCli(args, { env })
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  const requestId = /^request id: ([0-9a-f]{24})$/m.exec(stderr)?.[1]
  expect(stderr).toContain('error: The proof of identity was not accepted (proof_rejected)\n')
  expect(stderr).toContain(`explain ${requestId} --config ${gateway.config}\n`)
  const record = await runCli(['records', 'list', '--config', gateway.config, '--request-id', requestId ?? ''])
  expect(record.stdout).toMatch(/^reason +\S/m)
  const json = await runCli([...args, '--output', 'json'], { env })
  expect(JSON.parse(json.stderr).error).toMatchObject({ code: 'proof_rejected', request_id: expect.any(String) })
})

test.concurrent('an audience that no rule gives is refused', async () => {
  const { code, stderr } = await runCli(['svid', 'jwt', '--audience', 'https://other.example.org'], { env })
  expect(code).toBe(1)
  expect(stderr).toContain('(not_entitled)')
})

test.concurrent('a TTL that is too long is told in the words of the flag', async () => {
  const args = ['svid', 'jwt', '--audience', 'https://api.example.org', '--ttl', '1h']
  const { code, stderr } = await runCli(args, { env })
  expect(code).toBe(1)
  expect(stderr).toMatch(/^error: .* \(malformed_request\): --ttl: at most 5m\n/)
})

test.concurrent('https is recommended where http is not answered', async () => {
  const server = gateway.url.replace('https:', 'http:')
  const { code, stderr } = await runCli(['identities', '--server', server], { env })
  expect(code).toBe(1)
  expect(stderr).toContain(`speaks https, unless its configuration says tls: off: --server ${gateway.url}\n`)
})

test.concurrent('a server that the CA does not vouch for gets no proof', async () => {
  using folder = makeFolder()
  const ca = folder.write('other.pem', (await createTestAuthority()).ca)
  const { code, stderr } = await runCli(['identities', '--ca-file', ca, '--output', 'json'], { env })
  expect(code).toBe(1)
  expect(JSON.parse(stderr).error).toMatchObject({
    code: 'server_certificate',
    hint: expect.stringContaining('--ca-file'),
  })
})

test.concurrent.each([
  ['a server that is not there', ['--server', 'https://127.0.0.1:1'], 'server_unreachable'],
  ['a host that the certificate does not name', ['--server', 'IP'], 'server_certificate'],
  ['a CA that is none', ['--ca-file', 'TOKEN'], 'file'],
  ['a token that is none', ['--token-file', 'CA'], 'file'],
  ['a certificate that is none', ['--cert-file', 'TOKEN', '--key-file', 'TOKEN'], 'file'],
])('%s', async (_, args, errorCode) => {
  const named: Record<string, string> = {
    IP: gateway.url.replace('localhost', '127.0.0.1'),
    TOKEN: env['APOSTILLE_TOKEN_FILE'] ?? '',
    CA: gateway.caFile,
  }
  const words = args.map((word) => named[word] ?? word)
  const { code, stderr } = await runCli(['identities', ...words, '--output', 'json'], { env })
  expect(code).toBe(1)
  expect(JSON.parse(stderr).error.code).toBe(errorCode)
  expect(stderr).not.toContain(token)
})

test.each<[string, (csr: string) => Promise<object>, string]>([
  [
    'for another key',
    async () => signedAnswer(authorityOf('example.org'), await requestText(await makeKey('ec-p256'))),
    'is not for the key that was sent',
  ],
  [
    'for another SPIFFE ID than it says',
    async (csr) => ({ ...signedAnswer(authorityOf('example.org'), csr), spiffe_id: 'spiffe://example.org/admin' }),
    'is not for its SPIFFE ID',
  ],
  ['that is none', async () => ({ certificates: 'none' }), 'holds no certificate'],
])('svid x509 writes nothing of an answer %s', async (_, answer, message) => {
  using folder = makeFolder()
  const server = createServer(async (asked, response) => {
    const { csr } = JSON.parse(await text(asked)) as { readonly csr: string }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(await answer(csr)))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const args = ['svid', 'x509', '--out', folder.file('svid'), '--server', url, '--output', 'json']
  const { code, stderr } = await runCli([...args, '--token-file', folder.write('token', 'e30.e30.AA')])
  server.close()
  expect(code).toBe(1)
  expect(JSON.parse(stderr).error).toMatchObject({
    code: 'unexpected_answer',
    message: expect.stringContaining(message),
  })
  expect(existsSync(folder.file('svid/svid.key'))).toBe(false)
})
