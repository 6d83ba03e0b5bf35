import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { freePorts, run, runOk, start } from './support/command.ts'
import { startGateway, type TestGateway } from './support/gateway.ts'
import { fetchX509Svid, type X509SvidFiles } from './support/svids.ts'

const stack = cleanupAfterAll()
let gateway: TestGateway
let web: X509SvidFiles
let backend: X509SvidFiles
let stranger: X509SvidFiles
let folder: string

beforeAll(async () => {
  gateway = await startGateway(stack, gatewayDocument({}))
  web = await fetchX509Svid(gateway, await gateway.joinToken('web'), 'web')
  backend = await fetchX509Svid(gateway, await gateway.joinToken('backend'), 'backend')
  const other = await startGateway(stack, gatewayDocument({}))
  stranger = await fetchX509Svid(other, await other.joinToken('web'), 'web')
  folder = await makeFolder(stack)
})

function gatewayDocument(x509: Readonly<Record<string, unknown>>) {
  return {
    authorities: { x509 },
    authenticators: { first: { type: 'join_token' }, ours: { type: 'spiffe', trust_domain: 'example.org' } },
    identities: [{ from: 'first', spiffe_id: '/vm/${proof.name}', dns_names: ['${proof.name}.vm'] }],
  }
}

const openssl = (args: readonly string[], input = '') => run('openssl', args, { input })
const readOpenssl = (args: readonly string[], input = '') => runOk('openssl', args, { input })

/** The file of a chain goes in twice: its first certificate is judged, the others are at hand for the path. */
function verify(certFile: string, bundleFile: string, purpose: string) {
  return openssl([
    'verify',
    '-x509_strict',
    '-purpose',
    purpose,
    '-CAfile',
    bundleFile,
    '-untrusted',
    certFile,
    certFile,
  ])
}

describe('openssl verify -x509_strict', () => {
  test.each(['ES256', 'ES384', 'RS256'])('accepts an X.509-SVID for both purposes, with %s', async (algorithm) => {
    const other = await startGateway(stack, gatewayDocument({ algorithm }))
    const { certFile } = await fetchX509Svid(other, await other.joinToken('web'), 'web')

    for (const purpose of ['sslclient', 'sslserver'])
      expect(await verify(certFile, other.bundleFile, purpose)).toMatchObject({ code: 0, stderr: '' })
  })

  test('accepts an X.509-SVID below an upstream authority that openssl made', async () => {
    const upstream = {
      certificate: join(folder, 'root.pem'),
      key: join(folder, 'root.key'),
      bundle: join(folder, 'root.pem'),
    }
    await readOpenssl([
      ...['req', '-x509', '-newkey', 'rsa:3072', '-noenc', '-subj', '/C=US/O=Company/CN=Company root', '-days', '30'],
      ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign', '-keyout', upstream.key, '-out', upstream.certificate],
    ])
    const below = await startGateway(stack, gatewayDocument({ upstream }))
    const { certFile } = await fetchX509Svid(below, await below.joinToken('web'), 'web')

    expect(below.bundle.trim()).toBe((await readOpenssl(['x509', '-in', upstream.certificate])).trim())
    for (const purpose of ['sslclient', 'sslserver'])
      expect(await verify(certFile, upstream.bundle, purpose)).toMatchObject({ code: 0, stderr: '' })
  })

  test('accepts the authority itself', async () => {
    expect(await verify(gateway.bundleFile, gateway.bundleFile, 'any')).toMatchObject({ code: 0, stderr: '' })
  })

  test.each(['sslclient', 'sslserver'])('refuses the X.509-SVID of a stranger for %s', async (purpose) => {
    expect((await verify(stranger.certFile, gateway.bundleFile, purpose)).code).toBe(2)
  })

  test('finds nothing in a leaf but the names of its rule', async () => {
    const text = await readOpenssl(['x509', '-in', web.certFile, '-noout', '-ext', 'subjectAltName,basicConstraints'])

    expect(text).toContain('URI:spiffe://example.org/vm/web, DNS:web.vm')
    expect(text).toContain('CA:FALSE')
  })
})

describe('mutual TLS between openssl and openssl, with SVIDs of a gateway', () => {
  async function serve(): Promise<string> {
    const [port] = await freePorts(1)
    const server = start(stack, 'openssl', [
      ...['s_server', '-accept', `127.0.0.1:${port}`, '-cert', backend.certFile, '-key', backend.keyFile, '-rev'],
      ...['-CAfile', gateway.bundleFile, '-Verify', '3', '-verify_return_error', '-x509_strict'],
    ])
    await server.line(/ACCEPT/)
    return `127.0.0.1:${port}`
  }

  const clientFlags = (address: string, { certFile, keyFile }: X509SvidFiles, name = 'backend.vm') => [
    ...['s_client', '-connect', address, '-cert', certFile, '-key', keyFile, '-CAfile', gateway.bundleFile],
    ...['-verify_return_error', '-x509_strict', '-verify_hostname', name, '-quiet', '-no_ign_eof'],
  ]

  test.each(['-tls1_2', '-tls1_3'])('goes through with %s', async (version) => {
    const client = start(stack, 'openssl', [...clientFlags(await serve(), web), version], { input: 'hello\n' })

    await client.line(/olleh/)
    await client.stop()
  })

  test.each(['-tls1_2', '-tls1_3'])('is refused to the SVID of a stranger with %s', async (version) => {
    const client = start(stack, 'openssl', [...clientFlags(await serve(), stranger), version], { input: 'hello\n' })

    await expect(client.line(/olleh/)).rejects.toThrow('ended early')
    expect(client.output().stderr).toContain('alert')
  })

  test('is refused by a client that expects another name', async () => {
    const { code } = await openssl(clientFlags(await serve(), web, 'admin.vm'))

    expect(code).toBe(1)
  })
})

describe('openssl s_client and the gateway', () => {
  const connect = () => ['s_client', '-connect', gateway.origin.slice('https://'.length), '-CAfile', gateway.bundleFile]
  const checks = ['-verify_return_error', '-x509_strict', '-verify_hostname', 'localhost']

  test.each(['-tls1_2', '-tls1_3'])(
    'the gateway shows a certificate that names the host of its issuer: %s',
    async (version) => {
      const { code, stdout } = await openssl([...connect(), ...checks, version])

      expect(code).toBe(0)
      expect(stdout).toContain('Verify return code: 0 (ok)')
    },
  )

  test('TLS 1.1 is refused', async () => {
    const { code } = await openssl([...connect(), '-tls1_1', '-cipher', 'DEFAULT:@SECLEVEL=0'])

    expect(code).toBe(1)
  })

  test.each([
    ['an X.509-SVID is a proof', () => web, 200],
    ['that of a stranger is none', () => stranger, 401],
  ])('%s', async (_, svid, status) => {
    const { certFile, keyFile } = svid()
    const request = 'GET /v1/identities HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'

    const args = [...connect(), ...checks, '-cert', certFile, '-key', keyFile, '-quiet']
    const { stdout } = await openssl(args, request)

    expect(stdout).toContain(`HTTP/1.1 ${status} `)
  })
})

describe('openssl req', () => {
  async function makeKey(name: string, args: readonly string[]): Promise<string> {
    const keyFile = join(folder, `${name}.key`)
    await readOpenssl(['genpkey', ...args, '-out', keyFile])
    return keyFile
  }

  async function askFor(csr: string) {
    const { status, json } = await gateway.ask('/v1/svid/x509', {
      bearer: await gateway.joinToken('requester'),
      json: { csr },
    })
    return { status, json }
  }

  const ec = (curve: string) => ['-algorithm', 'EC', '-pkeyopt', `ec_paramgen_curve:${curve}`]
  const rsa = (bits: number) => ['-algorithm', 'RSA', '-pkeyopt', `rsa_keygen_bits:${bits}`]

  test.each([
    ['P-256', ec('P-256'), []],
    ['P-256 with SHA-384', ec('P-256'), ['-sha384']],
    ['P-384', ec('P-384'), ['-sha384']],
    ['RSA 2048', rsa(2048), []],
    ['RSA 2048 with SHA-512', rsa(2048), ['-sha512']],
    ['RSA 3072', rsa(3072), []],
    ['RSA 4096', rsa(4096), []],
    [
      'P-256, with a subject and names of its own',
      ec('P-256'),
      ['-addext', 'subjectAltName=URI:spiffe://example.org/admin'],
    ],
  ])('gets a certificate for its key and nothing else: %s', async (name, keyArgs, args) => {
    const keyFile = await makeKey(name, keyArgs)
    const csr = await readOpenssl(['req', '-new', '-key', keyFile, '-subj', '/CN=admin', ...args])

    const { status, json } = await askFor(csr)

    expect(status).toBe(200)
    const publicKey = await readOpenssl(['x509', '-noout', '-pubkey'], json.certificates)
    expect(publicKey).toBe(await readOpenssl(['pkey', '-in', keyFile, '-pubout']))
    const names = await readOpenssl(['x509', '-noout', '-subject', '-ext', 'subjectAltName'], json.certificates)
    expect(names).toContain('URI:spiffe://example.org/vm/requester, DNS:requester.vm')
    expect(names).not.toContain('admin')
  })

  test.each([
    ['P-521', ec('P-521'), []],
    ['P-224', ec('P-224'), []],
    ['secp256k1', ec('secp256k1'), []],
    ['P-256 with its parameters written out', [...ec('P-256'), '-pkeyopt', 'ec_param_enc:explicit'], []],
    ['RSA 1024', rsa(1024), []],
    ['RSA-PSS 2048', ['-algorithm', 'RSA-PSS', '-pkeyopt', 'rsa_keygen_bits:2048'], []],
    ['Ed25519', ['-algorithm', 'ED25519'], []],
    ['P-256 with SHA-1', ec('P-256'), ['-sha1']],
  ])('is refused: %s', async (name, keyArgs, args) => {
    const keyFile = await makeKey(name, keyArgs)
    const csr = await readOpenssl(['req', '-new', '-key', keyFile, '-subj', '/CN=web', ...args])

    const { status, json } = await askFor(csr)

    expect({ status, code: json.code }).toEqual({ status: 400, code: 'malformed_request' })
  })

  test.each<[string, (keyFile: string) => Promise<string>]>([
    ['no subject', (key) => readOpenssl(['req', '-new', '-key', key, '-subj', '/'])],
    ['the old header', (key) => readOpenssl(['req', '-new', '-newhdr', '-key', key, '-subj', '/'])],
    ['lines that end as on Windows', async (key) => (await makePem(key)).replaceAll('\n', '\r\n')],
    ['empty lines around it', async (key) => `\n\n${await makePem(key)}\n\n`],
    ['no line break at its end', async (key) => (await makePem(key)).trim()],
    ['base64 of the DER in one line', async (key) => bodyOf(await makePem(key)).replaceAll('\n', '')],
    ['base64 of the DER in lines', async (key) => bodyOf(await makePem(key))],
  ])('is taken with %s', async (_, make) => {
    const csr = await make(await makeKey('variants', ec('P-256')))

    expect((await askFor(csr)).status).toBe(200)
  })

  test.each<[string, (keyFile: string) => Promise<string>]>([
    ['two requests', async (key) => `${await makePem(key)}${await makePem(key)}`],
    ['a private key in its place', async (key) => readOpenssl(['pkey', '-in', key])],
    ['a certificate in its place', async () => web.certificates],
    ['an altered signature', async (key) => withLastByteChanged(await makePem(key))],
  ])('is refused with %s', async (_, make) => {
    const { status, json } = await askFor(await make(await makeKey('wrong', ec('P-256'))))

    expect({ status, code: json.code }).toEqual({ status: 400, code: 'malformed_request' })
  })

  const makePem = (keyFile: string) => readOpenssl(['req', '-new', '-key', keyFile, '-subj', '/CN=web'])
  const bodyOf = (pem: string) => pem.split('\n').slice(1, -2).join('\n')

  function withLastByteChanged(pem: string): string {
    const der = Buffer.from(bodyOf(pem), 'base64')
    der[der.length - 1] = (der.at(-1) ?? 0) ^ 1
    return der.toString('base64')
  }
})
