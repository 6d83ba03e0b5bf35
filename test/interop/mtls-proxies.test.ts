/** What docs/mtls-nginx-envoy.md shows: real proxies, with files that the watch keeps fresh. */
import { X509Certificate } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, test } from 'vitest'
import { startHttpsServer } from '../support/https-server.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { poll, runOk, start } from './support/command.ts'
import { startGateway, type TestGateway } from './support/gateway.ts'
import { ask, type Wanted } from './support/https.ts'
import { buildDeadlineMs } from './support/parts.ts'
import {
  findEnvoy,
  findFederatedEnvoy,
  findNginx,
  type ProxyKind,
  type RunningProxy,
  shownCertificateCheck,
} from './support/proxies.ts'
import { fetchX509Svid, type X509SvidFiles } from './support/svids.ts'

const stack = cleanupAfterAll()
let gateway: TestGateway
/** Of another trust domain, which ours federates with. */
let partner: TestGateway
/** Below the partner's root, and issues names of ours. */
let imposter: TestGateway
let appPort: number

beforeAll(async () => {
  await Promise.all([findNginx(), findEnvoy()])
  const x509 = { upstream: await makePartnerRoot() }
  partner = await startGateway(stack, { ...document, trust_domain: 'partner.example', authorities: { x509 } })
  imposter = await startGateway(stack, { ...document, authorities: { x509 } })
  const bundle = join(partner.folder, 'bundle.json')
  await writeFile(bundle, (await partner.ask('/v1/bundle')).text)
  gateway = await startGateway(stack, { ...document, federation: { 'partner.example': { bundle } } })
  appPort = await startApp()
}, buildDeadlineMs)

const document = {
  authenticators: { first: { type: 'join_token' } },
  identities: [
    { from: 'first', spiffe_id: '/ns/reports/sa/nightly', when: "proof.name == 'nightly'" },
    { from: 'first', spiffe_id: '/${proof.name}', dns_names: ['${proof.name}.internal'] },
  ],
}

/** Of no trust domain, so that it may sign for each. */
async function makePartnerRoot() {
  const folder = await makeFolder(stack)
  const [certificate, key] = [join(folder, 'root.pem'), join(folder, 'root.key')]
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key]
  const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign']
  const added = extensions.flatMap((extension) => ['-addext', extension])
  await runOk('openssl', [
    'req',
    '-x509',
    ...newKey,
    '-subj',
    '/O=partner',
    '-days',
    '30',
    ...added,
    '-out',
    certificate,
  ])
  return { certificate, key, bundle: certificate }
}

/** Answers with the headers that it got. */
async function startApp(): Promise<number> {
  const app = createServer((request, response) => response.end(JSON.stringify(request.headers)))
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
  stack.defer(async () => void app.close())
  return (app.address() as AddressInfo).port
}

const main = join(import.meta.dirname, '../../src/cli/main.ts')

interface Watched {
  readonly folder: string
  /** Has what is run from now on when files are new. */
  readonly hook: (command: string) => Promise<void>
}

/** Keeps a folder fresh, with an SVID that lives for some seconds. */
async function startWatch(own: AsyncDisposableStack, name: string): Promise<Watched> {
  const around = await makeFolder(own)
  const [folder, hookFile, tokenFile] = ['svid', 'hook.sh', 'token'].map((file) => join(around, file)) as [
    string,
    string,
    string,
  ]
  await Promise.all([writeFile(hookFile, ''), writeFile(tokenFile, await gateway.joinToken(name), { mode: 0o600 })])
  const flags = ['--server', gateway.origin, '--ca-file', gateway.bundleFile, '--token-file', tokenFile, '--ttl', '6s']
  const more = ['--federated', 'partner.example', '--exec', `sh '${hookFile}'`, '--output', 'json']
  const args = [main, 'svid', 'x509', '--watch', folder, ...flags, ...more]
  await start(own, process.execPath, args).line(/\n/)
  return { folder, hook: (command) => writeFile(hookFile, command) }
}

interface Shown extends Wanted {
  readonly cert: string
  readonly key: string
}

const shown = ({ certificates, key }: X509SvidFiles): Shown => ({ cert: certificates, key })
const svidOf = async (from: TestGateway, name: string) => fetchX509Svid(from, await from.joinToken(name), name)

/** The certificate that a server shows now, and who signed it. */
async function shownBy(port: number, client: Shown): Promise<X509Certificate> {
  const { promise, resolve, reject } = Promise.withResolvers<X509Certificate>()
  const options = { host: '127.0.0.1', port, ...client, ca: gateway.bundle, servername: 'backend.internal' }
  const socket = connect(options, () => resolve(new X509Certificate(socket.getPeerCertificate().raw)))
  socket.on('error', reject)
  const certificate = await promise
  socket.destroy()
  return certificate
}

const kinds = [
  { name: 'nginx', find: findNginx, idOf: (headers: Headers) => headers['x-spiffe-id'], federated: false },
  { name: 'Envoy', find: () => findEnvoy(), idOf: uriOf, federated: false },
  { name: 'Envoy with the SPIFFE validator', find: findFederatedEnvoy, idOf: uriOf, federated: true },
]

type Headers = Readonly<Record<string, string | undefined>>

function uriOf({ 'x-forwarded-client-cert': header = '' }: Headers): string | undefined {
  return /;URI=([^;]*)/.exec(header)?.[1]
}

describe.each(kinds)('$name', ({ name, find, idOf, federated }) => {
  const own = cleanupAfterAll()
  let kind: ProxyKind
  let backend: Watched
  let web: Watched
  let server: RunningProxy
  let client: RunningProxy
  let ours: Shown

  beforeAll(async () => {
    kind = await find()
    ;[backend, web] = await Promise.all([startWatch(own, 'backend'), startWatch(own, 'web')])
    server = await kind.startServer(own, { svidFolder: backend.folder, toPort: appPort })
    client = await kind.startClient(own, { svidFolder: web.folder, toPort: server.port })
    await Promise.all([backend.hook(server.hook ?? ''), web.hook(client.hook ?? '')])
    ours = shown(await svidOf(gateway, 'web'))
  }, 60_000)

  /** What the service behind got, or how the server refused. */
  async function askServer(wanted: Wanted): Promise<Headers | number> {
    const { promise, resolve, reject } = Promise.withResolvers<Headers | number>()
    const options = { ca: gateway.bundle, headers: { host: 'backend.internal' }, servername: 'backend.internal' }
    ask(`https://127.0.0.1:${server.port}/`, { ...options, ...wanted }).then(
      ({ status, json }) => resolve(status === 200 ? json : status),
      (error) =>
        /ECONNRESET|alert|EPIPE|socket hang up/.test(`${error.code} ${error.message}`) ? resolve(0) : reject(error),
    )
    return promise
  }

  /** 0: the handshake failed. */
  const refusal = (atHandshake: number, byId: number) => (name === 'nginx' ? [atHandshake, byId] : [0, 0])

  test('lets in who is listed, and tells the service who it is', async () => {
    const headers = await askServer(ours)
    expect(idOf(headers as Headers)).toBe('spiffe://example.org/web')
  })

  test('lets in who is listed otherwise: by a pattern, or of the other trust domain', async () => {
    const [from, id, uri] = federated
      ? ([partner, 'payments', 'spiffe://partner.example/payments'] as const)
      : ([gateway, 'nightly', 'spiffe://example.org/ns/reports/sa/nightly'] as const)
    expect(idOf((await askServer(shown(await svidOf(from, id)))) as Headers)).toBe(uri)
  })

  test('believes no name that a client says in a header', async () => {
    const forged = {
      'x-spiffe-id': 'spiffe://example.org/admin',
      'x-forwarded-client-cert': 'URI=spiffe://example.org/admin',
    }
    const headers = await askServer({ ...ours, headers: { host: 'backend.internal', ...forged } })
    expect(idOf(headers as Headers)).toBe('spiffe://example.org/web')
  })

  test('refuses an ID that is not listed, a stranger, and who shows nothing', async () => {
    const other = shown(await svidOf(gateway, 'website'))
    const stranger = shown(await svidOf(imposter, 'web'))
    const [atHandshake, byId] = refusal(400, 403)
    expect(await askServer(other)).toBe(byId)
    expect(await askServer(stranger)).toBe(atHandshake)
    expect(await askServer({})).toBe(atHandshake)
  })

  // Four, as the first has expired by then.
  test('goes on while the SVIDs of both sides are renewed', { timeout: 60_000 }, async () => {
    const serials = new Set<string>()
    let requests = 0
    async function askOnce(): Promise<true | undefined> {
      const { status, json } = await ask(`http://127.0.0.1:${client.port}/`)
      requests++
      expect([status, idOf(json)]).toEqual([200, 'spiffe://example.org/web'])
      serials.add((await shownBy(server.port, ours)).serialNumber)
      return serials.size >= 4 || undefined
    }
    await poll('four SVIDs of the server', 50_000, askOnce, 10)
    expect(requests).toBeGreaterThan(10)
  })

  test('as a client it shows new SVIDs', { timeout: 60_000 }, async () => {
    const { certificates: cert, key } = await svidOf(gateway, 'backend')
    const serials = new Set<string>()
    const tls = { cert, key, ca: gateway.bundle, requestCert: true }
    const recorder = await startHttpsServer(tls, (request, response) => {
      serials.add((request.socket as TLSSocket).getPeerCertificate().serialNumber)
      response.writeHead(200, { connection: 'close' }).end()
    })
    own.defer(recorder.close)
    const { port } = await startClientTo(recorder.port)
    await poll('three SVIDs of the client', 50_000, async () => {
      expect((await ask(`http://127.0.0.1:${port}/`)).status).toBe(200)
      return serials.size >= 3 || undefined
    })
  })

  async function startClientTo(toPort: number): Promise<RunningProxy> {
    const started = await kind.startClient(own, { svidFolder: web.folder, toPort })
    await web.hook([client.hook, started.hook].filter(Boolean).join('\n'))
    return started
  }

  test.each([
    ['another workload of the trust domain', () => gateway, 'website'],
    ['a stranger with the same names', () => imposter, 'backend'],
  ])('as a client it sends nothing to %s', async (_, from, id) => {
    const { certificates: cert, key } = await svidOf(from(), id)
    let asked = 0
    const wrong = await startHttpsServer({ cert, key }, (_request, response) => {
      asked++
      response.end('{}')
    })
    own.defer(wrong.close)
    const misled = await startClientTo(wrong.port)
    const { status } = await ask(`http://127.0.0.1:${misled.port}/`)
    expect([[502, 503].includes(status), asked]).toEqual([true, 0])
  })
})

test('a service behind nginx without njs finds the ID in the certificate that it is handed', async () => {
  const check = new Function('X509Certificate', 'request', 'response', shownCertificateCheck())
  const app = createServer((request, response) => check(X509Certificate, request, response))
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
  stack.defer(async () => void app.close())
  const { port: toPort } = app.address() as AddressInfo
  const { folder: svidFolder } = await startWatch(stack, 'backend')
  const kind = await findNginx({
    'if ($peer_may_come_in != yes)': 'if ($peer_may_come_in = never)',
    'proxy_set_header  X-Spiffe-Id $peer_spiffe_id;': 'proxy_set_header X-Client-Cert $ssl_client_escaped_cert;',
  })
  const { port } = await kind.startServer(stack, { svidFolder, toPort })
  const url = `https://127.0.0.1:${port}/`
  const statusFor = async (name: string) =>
    (await ask(url, { ...shown(await svidOf(gateway, name)), ca: gateway.bundle, servername: 'backend.internal' }))
      .status
  expect([await statusFor('web'), await statusFor('website')]).toEqual([200, 403])
})
