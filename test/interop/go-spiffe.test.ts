import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, test } from 'vitest'
import { parseCertificate } from '../../src/protocol/certificate.ts'
import { parsePem } from '../../src/protocol/encoding.ts'
import type { ProtocolErrorCode } from '../../src/protocol/errors.ts'
import { validateJwtSvid } from '../../src/protocol/jwt-svid.ts'
import { parseTrustDomain, type TrustDomain } from '../../src/protocol/spiffe-id.ts'
import { parseTrustBundle, type TrustBundle } from '../../src/protocol/trust-bundle.ts'
import { validateX509Svid } from '../../src/protocol/x509-svid.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { run, runOk, start } from './support/command.ts'
import { startGateway, type TestGateway } from './support/gateway.ts'
import { buildDeadlineMs, part } from './support/parts.ts'
import { fetchJwtSvid, fetchX509Svid, makeRequest, tamper, type X509SvidFiles } from './support/svids.ts'

const api = 'https://api.example.org'
const legacy = 'https://legacy.example.org'
const ourDomain = parseTrustDomain('example.org')

interface Issued {
  readonly root: string
  readonly root_key: string
  readonly bundle: string
  readonly chains: Readonly<Record<string, readonly string[]>>
  readonly tokens: Readonly<Record<string, string>>
}

const stack = cleanupAfterAll()
let program: string
let issued: Issued
let gateway: TestGateway
let web: X509SvidFiles
let backend: X509SvidFiles

beforeAll(async () => {
  program = join(await part('go-program.sh', 'test/interop/go-spiffe'), 'go-spiffe-interop')
  issued = JSON.parse(await runOk(program, ['issue']))
  gateway = await startGateway(stack, gatewayDocument({}))
  web = await fetchX509Svid(gateway, await gateway.joinToken('web'), 'web')
  backend = await fetchX509Svid(gateway, await gateway.joinToken('backend'), 'backend')
}, buildDeadlineMs)

function gatewayDocument(x509: Readonly<Record<string, unknown>>) {
  return {
    authorities: { x509, jwt: { algorithms: ['ES256', 'RS256'], rs256_audiences: [legacy] } },
    authenticators: { first: { type: 'join_token' }, ours: { type: 'spiffe', trust_domain: 'example.org' } },
    identities: [
      {
        from: 'first',
        spiffe_id: '/vm/${proof.name}',
        dns_names: ['${proof.name}.vm'],
        audiences: [api, legacy],
        claims: { business_line: 'retail' },
      },
    ],
  }
}

describe('go-spiffe reads what a gateway issues', () => {
  test.each(['ES256', 'ES384', 'RS256'])('an X.509-SVID of an authority with %s', async (algorithm) => {
    const other = await startGateway(stack, gatewayDocument({ algorithm }))
    const svid = await fetchX509Svid(other, await other.joinToken('web'), 'web')

    expect(JSON.parse(await runOk(program, ['svid', svid.certFile, svid.keyFile, other.bundleFile]))).toEqual({
      id: 'spiffe://example.org/vm/web',
      raw: 'spiffe://example.org/vm/web',
      verified: 'spiffe://example.org/vm/web',
      path_sizes: [2],
    })
  })

  test('an X.509-SVID of an intermediate below an authority that Go made', async () => {
    const folder = await makeFolder(stack)
    const upstream = {
      certificate: join(folder, 'root.pem'),
      key: join(folder, 'root.key'),
      bundle: join(folder, 'root.pem'),
    }
    await Promise.all([writeFile(upstream.certificate, issued.root), writeFile(upstream.key, issued.root_key)])
    const below = await startGateway(stack, gatewayDocument({ upstream }))
    const svid = await fetchX509Svid(below, await below.joinToken('web'), 'web')

    expect(parsePem('CERTIFICATE', svid.certificates)).toHaveLength(2)
    expect(parsePem('CERTIFICATE', svid.bundle)).toEqual(parsePem('CERTIFICATE', issued.root))
    expect(JSON.parse(await runOk(program, ['svid', svid.certFile, svid.keyFile, upstream.bundle]))).toMatchObject({
      verified: 'spiffe://example.org/vm/web',
      path_sizes: [3],
    })
  })

  test('and refuses an X.509-SVID that the bundle does not vouch for', async () => {
    const strangers = await startGateway(stack, gatewayDocument({}))

    const { code } = await run(program, ['svid', web.certFile, web.keyFile, strangers.bundleFile])

    expect(code).toBe(1)
  })

  test.each(['https_web', 'https_spiffe'])('the bundle, by %s', async (profile) => {
    const bundle = JSON.parse(
      await runOk(program, ['bundle', `${gateway.origin}/v1/bundle`, gateway.bundleFile, profile]),
    )
    const { json } = await gateway.ask('/v1/bundle')

    const kids = json.keys.flatMap(({ kid }: { kid?: string }) => (kid === undefined ? [] : [kid]))
    expect(bundle).toMatchObject({ sequence: json.spiffe_sequence, refresh_hint: json.spiffe_refresh_hint })
    expect(bundle.jwt_key_ids.toSorted()).toEqual(kids.toSorted())
    expect(kids.length).toBeGreaterThanOrEqual(2)
    expect(bundle.x509_authorities).toEqual(parsePem('CERTIFICATE', gateway.bundle).map(() => 'spiffe://example.org'))
  })

  test.each(['https_web', 'https_spiffe'])('and takes no bundle from a stranger, by %s', async (profile) => {
    const strangers = await startGateway(stack, gatewayDocument({}))

    const { code } = await run(program, ['bundle', `${gateway.origin}/v1/bundle`, strangers.bundleFile, profile])

    expect(code).toBe(1)
  })

  test('errors of a gateway are no bundles', async () => {
    const { code } = await run(program, ['bundle', `${gateway.origin}/v1/nothing`, gateway.bundleFile, 'https_web'])

    expect(code).toBe(1)
  })

  test.each([
    ['ES256', api],
    ['RS256', legacy],
  ])('a JWT-SVID with %s', async (algorithm, audience) => {
    const token = await fetchJwtSvid(gateway, await gateway.joinToken('web'), audience)

    const read = JSON.parse(await readJwt(token, audience))

    expect(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).alg).toBe(algorithm)
    expect(read).toMatchObject({
      id: 'spiffe://example.org/vm/web',
      audience: [audience],
      claims: { iss: gateway.origin, business_line: 'retail' },
    })
  })

  test.each([
    ['for another audience', (token: string) => token, legacy],
    ['with an altered signature', tamper, api],
    ['with altered claims', (token: string) => withClaims(token, { sub: 'spiffe://example.org/vm/admin' }), api],
  ])('and refuses a JWT-SVID %s', async (_, change, audience) => {
    const token = await fetchJwtSvid(gateway, await gateway.joinToken('web'), api)

    const { code } = await run(program, ['jwt', `${gateway.origin}/v1/bundle`, gateway.bundleFile, audience], {
      input: change(token),
    })

    expect(code).toBe(1)
  })
})

function readJwt(token: string, audience: string): Promise<string> {
  return runOk(program, ['jwt', `${gateway.origin}/v1/bundle`, gateway.bundleFile, audience], { input: token })
}

function withClaims(token: string, claims: Readonly<Record<string, unknown>>): string {
  const [head, body = '', signature] = token.split('.')
  const changed = { ...JSON.parse(Buffer.from(body, 'base64url').toString()), ...claims }
  return [head, Buffer.from(JSON.stringify(changed)).toString('base64url'), signature].join('.')
}

describe('mutual TLS between go-spiffe and Node, with SVIDs of a gateway', () => {
  test('Node calls go-spiffe', async () => {
    const server = start(stack, program, ['serve', web.certFile, web.keyFile, gateway.bundleFile, backend.spiffeId])
    const [, port] = await server.line(/listening on (\d+)/)

    expect(await callFromNode(Number(port), backend)).toEqual({
      line: 'spiffe://example.org/vm/backend\n',
      peer: web.spiffeId,
    })
    await server.line(/accepted spiffe:\/\/example.org\/vm\/backend/)
    await server.stop()
  })

  test.each([
    ['another ID', () => web],
    ['an SVID of a stranger', () => strangersSvid()],
  ])('go-spiffe refuses Node with %s', async (_, svid) => {
    const server = start(stack, program, ['serve', web.certFile, web.keyFile, gateway.bundleFile, backend.spiffeId])
    const [, port] = await server.line(/listening on (\d+)/)

    await callFromNode(Number(port), await svid()).catch(() => undefined)

    await server.line(/^refused /m)
    expect(server.output().stdout).not.toContain('accepted')
    await server.stop()
  })

  test('go-spiffe calls Node', async () => {
    const port = await serveFromNode(web)

    const dialled = await runOk(program, ['dial', `127.0.0.1:${port}`, ...filesOf(backend), web.spiffeId])

    expect(JSON.parse(dialled)).toEqual({ peer: web.spiffeId, line: 'spiffe://example.org/vm/backend\n' })
  })

  test('go-spiffe hangs up on a server with another ID', async () => {
    const port = await serveFromNode(web)

    const { code } = await run(program, ['dial', `127.0.0.1:${port}`, ...filesOf(backend), backend.spiffeId])

    expect(code).toBe(1)
  })

  test('Node refuses go-spiffe with an SVID of a stranger', async () => {
    const port = await serveFromNode(web)
    const stranger = await strangersSvid()

    const { code } = await run(program, [
      'dial',
      `127.0.0.1:${port}`,
      stranger.certFile,
      stranger.keyFile,
      gateway.bundleFile,
      web.spiffeId,
    ])

    expect(code).toBe(1)
  })
})

async function strangersSvid(): Promise<X509SvidFiles> {
  const strangers = await startGateway(stack, gatewayDocument({}))
  return fetchX509Svid(strangers, await strangers.joinToken('backend'), 'backend')
}

function filesOf({ certFile, keyFile }: X509SvidFiles): readonly string[] {
  return [certFile, keyFile, gateway.bundleFile]
}

/** TLS checks the path to the bundle; our reader checks the profile and says who the peer is. */
function peerOf(socket: TLSSocket, purpose: 'clientAuth' | 'serverAuth'): string {
  const roots = parsePem('CERTIFICATE', gateway.bundle).map(parseCertificate)
  const { spiffeId } = validateX509Svid([socket.getPeerCertificate(true).raw], () => roots, {
    now: new Date(),
    purpose,
  })
  return spiffeId.uri
}

async function callFromNode(port: number, { certificates, key }: X509SvidFiles) {
  const socket = connect({
    port,
    host: '127.0.0.1',
    cert: certificates,
    key,
    ca: gateway.bundle,
    checkServerIdentity: () => undefined,
  })
  try {
    await once(socket, 'secureConnect')
    const [line] = await once(socket.setEncoding('utf8'), 'data')
    return { line, peer: peerOf(socket, 'serverAuth') }
  } finally {
    socket.destroy()
  }
}

/** Writes the peer's ID to it. */
async function serveFromNode({ certificates, key }: X509SvidFiles): Promise<number> {
  const options = { cert: certificates, key, ca: gateway.bundle, requestCert: true, rejectUnauthorized: true }
  const server = createServer(options, (socket) => void socket.end(`${peerOf(socket, 'clientAuth')}\n`))
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  stack.defer(async () => void server.close())
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

describe('a gateway reads what Go makes', () => {
  test.each(['P-256', 'P-384', 'RSA-2048', 'RSA-3072', 'RSA-4096'])('certificate requests for %s', async (kind) => {
    const { pem, der, key } = JSON.parse(await runOk(program, ['csr', kind]))
    const bearer = await gateway.joinToken('requester')

    for (const csr of [pem, der]) {
      const { status, json } = await gateway.ask('/v1/svid/x509', { bearer, json: { csr } })
      expect(status).toBe(200)
      const [certFile, keyFile] = [join(gateway.folder, 'requester.pem'), join(gateway.folder, 'requester.key')]
      await Promise.all([writeFile(certFile, json.certificates), writeFile(keyFile, key)])
      const read = JSON.parse(await runOk(program, ['svid', certFile, keyFile, gateway.bundleFile]))
      expect(read.verified).toBe('spiffe://example.org/vm/requester')
    }
  })

  test.each(['P-521', 'RSA-1024', 'Ed25519'])('and refuses certificate requests for %s', async (kind) => {
    const { pem } = JSON.parse(await runOk(program, ['csr', kind], { env: { GODEBUG: 'rsa1024min=0' } }))

    const { status, json } = await gateway.ask('/v1/svid/x509', {
      bearer: await gateway.joinToken('requester'),
      json: { csr: pem },
    })

    expect({ status, code: json.code }).toEqual({ status: 400, code: 'malformed_request' })
  })

  test('a bundle', () => {
    const bundle = parseTrustBundle(ourDomain, issued.bundle)

    expect(bundle.x509Authorities).toHaveLength(3)
    expect(bundle.jwtAuthorities.map(({ kid }) => kid).toSorted()).toEqual(['P-256', 'P-384', 'P-521', 'RSA-2048'])
    expect(bundle).toMatchObject({ sequence: 7n, refreshHintSeconds: 300 })
  })

  test.each(['P-256', 'P-384', 'RSA-2048', 'intermediate'])('X.509-SVIDs: %s', (name) => {
    expect(validateChain(name).spiffeId.uri).toBe('spiffe://example.org/made/by/go')
  })

  test.each<[string, ProtocolErrorCode]>([
    ['stranger', 'certificate_signature'],
    ['two URIs', 'x509_svid'],
    ['no URI', 'x509_svid'],
    ['no path', 'x509_svid'],
    ['another scheme', 'x509_svid'],
    ['another domain', 'certificate_path'],
    ['authority', 'x509_svid'],
    ['signs certificates', 'x509_svid'],
    ['signs nothing', 'x509_svid'],
    ['expired', 'certificate_expired'],
    ['future', 'certificate_not_yet_valid'],
  ])('and refuses a wrong X.509-SVID: %s', (name, code) => {
    expect(() => validateChain(name)).toThrow(expect.objectContaining({ code }))
  })

  test.each(['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'no typ', 'no kid'])(
    'JWT-SVIDs: %s',
    (name) => {
      expect(validateToken(name).spiffeId.uri).toBe('spiffe://example.org/made/by/go')
    },
  )

  test.each<[string, ProtocolErrorCode]>([
    ['stranger', 'jws_signature'],
    ['HS256', 'algorithm'],
    ['at+jwt', 'jws_header'],
    ['another audience', 'jwt_audience'],
    ['no audience', 'jwt_audience'],
    ['expired', 'jwt_expired'],
    ['no expiry', 'jwt_claims'],
    ['future', 'jwt_not_yet_valid'],
    ['no SPIFFE ID', 'jwt_subject'],
    ['another domain', 'jws_signature'],
  ])('and refuses a wrong JWT-SVID: %s', (name, code) => {
    expect(() => validateToken(name)).toThrow(expect.objectContaining({ code }))
  })
})

function bundleOf(domain: TrustDomain): TrustBundle | undefined {
  return domain === ourDomain ? parseTrustBundle(ourDomain, issued.bundle) : undefined
}

function validateChain(name: string) {
  const chain = (issued.chains[name] ?? []).map((text) => Buffer.from(text, 'base64'))
  const authorities = (domain: TrustDomain) => bundleOf(domain)?.x509Authorities.map(parseCertificate) ?? []
  return validateX509Svid(chain, authorities, { now: new Date(), leewaySeconds: 60 })
}

function validateToken(name: string) {
  return validateJwtSvid(issued.tokens[name] ?? '', {
    keys: (domain) => bundleOf(domain)?.jwtAuthorities ?? [],
    audience: api,
    now: new Date(),
    leewaySeconds: 60,
  })
}

test('the request of another library gives the same identity', async () => {
  const { csr } = await makeRequest()
  const { status, json } = await gateway.ask('/v1/svid/x509', { bearer: await gateway.joinToken('web'), json: { csr } })

  expect(status).toBe(200)
  expect(json.spiffe_id).toBe(web.spiffeId)
})
