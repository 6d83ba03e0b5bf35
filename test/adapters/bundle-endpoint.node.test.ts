import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createFetchBundle } from '../../src/adapters/bundle-endpoint.node.ts'
import type { BundleEndpoint } from '../../src/core/federation.ts'
import type { Certificate } from '../../src/protocol/certificate.ts'
import { formatPem } from '../../src/protocol/encoding.ts'
import { parseSpiffeId } from '../../src/protocol/spiffe-id.ts'
import { maxTrustBundleBytes } from '../../src/protocol/trust-bundle.ts'
import { buildX509Svid, createX509Authority } from '../../src/protocol/x509-svid.ts'
import { createTestAuthority, makeTestKey, type TestCertificate, testNow } from '../support/certificate-authority.ts'
import { createTestAuthority as createWebAuthority } from '../support/tls.ts'

const run = promisify(execFile)
const serverId = parseSpiffeId('spiffe://example.org/bundle-server')
const root = createTestAuthority()
const bundle = '{"spiffe_sequence":1,"keys":[]}'
const forever = new AbortController().signal
const closing: (() => Promise<unknown>)[] = []

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()))
})

interface Shown {
  /** PEM, leaf first. */
  readonly cert: string
  readonly key: string
}

const pemKey = (certificate: Pick<TestCertificate, 'key'>) =>
  certificate.key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

/** Shows these certificates, leaf first. */
function show(leaf: TestCertificate, ...others: readonly TestCertificate[]): Shown {
  return { cert: [leaf, ...others].map(({ der }) => formatPem('CERTIFICATE', der)).join(''), key: pemKey(leaf) }
}

/** As we issue them. */
async function ownSvid(): Promise<Shown> {
  const key = makeTestKey()
  const authority = createX509Authority({ certificate: root.certificate, signer: root.key.signer, chain: [] })
  const svid = await buildX509Svid(authority, {
    spiffeId: serverId,
    publicKeyInfo: key.publicKeyInfo,
    serialNumber: Buffer.alloc(16, 5),
    now: testNow,
    ttlSeconds: 3600,
    dnsNames: [],
  })
  return { cert: formatPem('CERTIFICATE', svid.certificate), key: pemKey({ key }) }
}

/** @param maxVersion Of TLS. */
async function serve(tls: Shown, listener: RequestListener, maxVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3') {
  const server = createHttpsServer({ ...tls, maxVersion }, listener)
  closing.push(async () => {
    const closed = Promise.withResolvers<void>()
    server.close(() => closed.resolve())
    server.closeAllConnections()
    await closed.promise
  })
  return `https://localhost:${await listen(server)}/`
}

async function listen(server: Server): Promise<number> {
  const listening = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', listening.resolve)
  await listening.promise
  return (server.address() as AddressInfo).port
}

const sending =
  (text: string, headers: Readonly<Record<string, string>> = {}): RequestListener =>
  (_, response) =>
    response.writeHead(200, headers).end(text)

const redirecting =
  (location: string | undefined, status = 302): RequestListener =>
  (_, response) =>
    response.writeHead(status, location === undefined ? {} : { location }).end()

const spiffe = (url: string, id = serverId): BundleEndpoint => ({
  url,
  private: false,
  profile: 'https_spiffe',
  spiffeId: id,
})

const fetchBundle = createFetchBundle({ now: () => testNow })
const fetchFrom = (url: string, authorities: readonly Certificate[] = [root.certificate]) =>
  fetchBundle(spiffe(url), authorities, forever)
const failure = (code: string) => expect.objectContaining({ code })

describe('https_spiffe', () => {
  test('reads the bundle of a server that shows the SVID, whatever the host is called', async () => {
    const url = await serve(await ownSvid(), sending(bundle))
    expect(await fetchFrom(url)).toBe(bundle)
    expect(await fetchFrom(url.replace('localhost', '127.0.0.1'))).toBe(bundle)
  })

  test('takes a chain over an intermediate', async () => {
    const intermediate = root.issueAuthority()
    const leaf = intermediate.issue({ uris: [serverId.uri] })
    expect(await fetchFrom(await serve(show(leaf, intermediate), sending(bundle)))).toBe(bundle)
    await expect(fetchFrom(await serve(show(leaf), sending(bundle)))).rejects.toThrow(failure('tls'))
  })

  const stranger = createTestAuthority()
  const hour = (n: number) => new Date(testNow.getTime() + n * 3_600_000)
  test.each<[string, () => Shown]>([
    ['another ID', () => show(root.issue({ uris: ['spiffe://example.org/other'] }))],
    ['an ID below it', () => show(root.issue({ uris: [`${serverId.uri}/x`] }))],
    ['an ID of another trust domain', () => show(root.issue({ uris: ['spiffe://other.example/bundle-server'] }))],
    ['two IDs', () => show(root.issue({ uris: [serverId.uri, 'spiffe://example.org/other'] }))],
    ['no ID but the host', () => show(root.issue({ uris: [], dnsNames: ['localhost'] }))],
    ['the ID by another authority', () => show(stranger.issue({ uris: [serverId.uri] }))],
    ['the ID by an authority that it brings along', () => show(stranger.issue({ uris: [serverId.uri] }), stranger)],
    ['a certificate that signed itself', () => show(createTestAuthority({ uris: [serverId.uri], ca: false }))],
    ['the authority itself', () => show(root)],
    ['the ID, expired', () => show(root.issue({ uris: [serverId.uri], notBefore: hour(-2), notAfter: hour(-1) }))],
    ['the ID, of tomorrow', () => show(root.issue({ uris: [serverId.uri], notBefore: hour(1), notAfter: hour(2) }))],
    ['the ID, for clients only', () => show(root.issue({ uris: [serverId.uri], purposes: ['1.3.6.1.5.5.7.3.2'] }))],
  ])('sends nothing to a server that shows %s', async (_, shown) => {
    let requests = 0
    const url = await serve(shown(), (_request, response) => {
      requests++
      response.end(bundle)
    })
    await expect(fetchFrom(url)).rejects.toThrow(failure('tls'))
    expect(requests).toBe(0)
  })

  test('says which ID was shown, and which is expected', async () => {
    const url = await serve(show(root.issue({ uris: ['spiffe://example.org/other'] })), sending(bundle))
    await expect(fetchFrom(url)).rejects.toThrow(
      'the endpoint shows spiffe://example.org/other, and spiffe://example.org/bundle-server is expected',
    )
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('resumes no session: %s', async (version) => {
    const reused: boolean[] = []
    const sockets = new Set<unknown>()
    const listener: RequestListener = (request, response) => {
      reused.push((request.socket as TLSSocket).isSessionReused())
      sockets.add(request.socket)
      if (request.url === '/') response.writeHead(302, { location: '/again', connection: 'close' }).end()
      else response.end(bundle)
    }
    const url = await serve(await ownSvid(), listener, version)
    await fetchFrom(url)
    await fetchFrom(url)
    expect(reused).toEqual([false, false, false, false])
    expect(sockets.size).toBe(4)
  })

  test('verifies each connection anew', async () => {
    const url = await serve(await ownSvid(), sending(bundle))
    expect(await fetchFrom(url)).toBe(bundle)
    await expect(fetchFrom(url, [stranger.certificate])).rejects.toThrow(failure('tls'))
    await expect(fetchFrom(url, [])).rejects.toThrow(failure('tls'))
  })

  test('shows no certificate of its own', async () => {
    const seen: unknown[] = []
    const server = createHttpsServer({ ...(await ownSvid()), requestCert: true, rejectUnauthorized: false })
    server.on('request', (request, response) => {
      seen.push((request.socket as TLSSocket).getPeerCertificate(), request.headers.authorization)
      response.end(bundle)
    })
    closing.push(async () => server.close())
    expect(await fetchFrom(`https://localhost:${await listen(server)}/`)).toBe(bundle)
    expect(seen).toEqual([{}, undefined])
  })

  test('each hop of a redirect shows the same ID', async () => {
    const good = await serve(await ownSvid(), sending(bundle))
    const other = await serve(show(root.issue({ uris: ['spiffe://example.org/other'] })), sending(bundle))
    expect(await fetchFrom(await serve(await ownSvid(), redirecting(good)))).toBe(bundle)
    await expect(fetchFrom(await serve(await ownSvid(), redirecting(other)))).rejects.toThrow(failure('tls'))
    await expect(fetchFrom(await serve(show(stranger.issue()), redirecting(good)))).rejects.toThrow(failure('tls'))
  })
})

describe('https_web', () => {
  let directory: string
  let web: Shown
  const endpoint = (url: string, file: string): BundleEndpoint => ({
    url,
    private: false,
    profile: 'https_web',
    caFile: join(directory, file),
  })

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bundle-endpoint-'))
    const [authority, other] = [await createWebAuthority(), await createWebAuthority('other CA')]
    web = await authority.issue(['localhost'])
    await writeFile(join(directory, 'ca.pem'), authority.ca)
    await writeFile(join(directory, 'other.pem'), other.ca)
  })
  afterAll(() => rm(directory, { recursive: true }))

  test('reads the bundle of a host that an authority of the file vouches for', async () => {
    const url = await serve(web, sending(bundle))
    expect(await fetchBundle(endpoint(url, 'ca.pem'), [], forever)).toBe(bundle)
  })

  test.each([
    ['an authority that is not in the file', 'localhost', 'other.pem'],
    ['another host', '127.0.0.1', 'ca.pem'],
    ['a file that is not there', 'localhost', 'none.pem'],
  ])('refuses %s', async (_, host, file) => {
    const url = await serve(web, sending(bundle))
    const asked = endpoint(url.replace('localhost', host), file)
    await expect(fetchBundle(asked, [], forever)).rejects.toThrow(failure('tls'))
  })

  test('without a file it trusts the roots of the machine, which are read once', async () => {
    const { ca } = await createWebAuthority('a root of the machine')
    const trusted = readFileSync(join(directory, 'ca.pem'), 'utf8')
    let reads = 0
    const asking = createFetchBundle({
      now: () => testNow,
      systemRoots: () => {
        reads++
        return [ca, trusted, ca]
      },
    })
    const url = await serve(web, sending(bundle))
    const wanted: BundleEndpoint = { url, private: false, profile: 'https_web' }
    for (let time = 0; time < 2; time++) expect(await asking(wanted, [], forever)).toBe(bundle)
    const other = { ...wanted, url: url.replace('localhost', '127.0.0.1') }
    await expect(asking(other, [], forever)).rejects.toThrow(failure('tls'))
    const stranger = createFetchBundle({ now: () => testNow, systemRoots: () => [ca] })
    await expect(stranger(wanted, [], forever)).rejects.toThrow(failure('tls'))
    expect(reads).toBe(1)
  })

  test('the roots of the machine are those of SSL_CERT_FILE, beside those that come with Node', async () => {
    const file = join(directory, 'ca.pem')
    const module = new URL('../../src/adapters/system-trust.node.ts', import.meta.url).href
    const script = `import { rootCertificates } from 'node:tls'
      import { readSystemRoots } from '${module}'
      const roots = new Set(readSystemRoots().map((root) => root.replaceAll('\\n', '')))
      const all = [...rootCertificates, process.env.ROOT].map((root) => root.replaceAll('\\n', ''))
      console.log(all.every((root) => roots.has(root)))`
    const env = { ...process.env, SSL_CERT_FILE: file, ROOT: readFileSync(file, 'utf8').trim() }
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { env })
    expect(stdout).toBe('true\n')
  })

  test('without a file it never trusts an SVID', async () => {
    const urls = [await serve(web, sending(bundle)), await serve(await ownSvid(), sending(bundle))]
    for (const url of urls) {
      const asked = fetchBundle({ url, private: false, profile: 'https_web' }, [root.certificate], forever)
      await expect(asked).rejects.toThrow(failure('tls'))
    }
  })
})

describe('a hostile endpoint', () => {
  let svid: Shown
  beforeAll(async () => {
    svid = await ownSvid()
  })

  test.each<[string, RequestListener, string]>([
    ['a redirect to http', redirecting('http://localhost/'), 'tls'],
    ['a redirect to a user', redirecting('https://user:secret@localhost/'), 'network'],
    ['a redirect to the cloud’s metadata', redirecting('https://169.254.169.254/'), 'address'],
    ['a redirect to a private address', redirecting('https://10.0.0.1/'), 'address'],
    ['a redirect to nowhere', redirecting(undefined), 'redirect'],
    ['a redirect to what is no URL', redirecting('https://['), 'redirect'],
    ['not modified', redirecting(undefined, 304), 'redirect'],
    ['a proxy to use', redirecting('https://localhost/', 305), 'redirect'],
    ['a redirect to itself', redirecting('/'), 'redirect'],
    ['an error page', (_, response) => response.writeHead(500).end('<html>'), 'status'],
    ['not found', (_, response) => response.writeHead(404).end('{"keys":[]}'), 'status'],
    ['bytes that are not UTF-8', (_, response) => response.end(Buffer.of(0x7b, 0xff, 0x7d)), 'malformed'],
    [
      'a body that is cut',
      (_, response) => {
        response.writeHead(200, { 'content-length': '1000' }).write('{"keys":[]}', () => response.destroy())
      },
      'network',
    ],
    ['nothing', (request) => request.socket.destroy(), 'network'],
  ])('is refused: %s', async (_, listener, code) => {
    await expect(fetchFrom(await serve(svid, listener))).rejects.toThrow(failure(code))
  })

  test('is not read past 1 MiB', async () => {
    let written = 0
    const url = await serve(svid, (_, response) => {
      const chunk = Buffer.alloc(64 * 1024, ' ')
      const more = () => {
        while (!response.destroyed && response.write(chunk)) written += chunk.length
      }
      response.on('drain', more)
      more()
    })
    await expect(fetchFrom(url)).rejects.toThrow(failure('too_large'))
    expect(written).toBeLessThan(16 * maxTrustBundleBytes)
  })

  test('may redirect four times, and the next poll begins at the start', async () => {
    const paths: string[] = []
    let most = 4
    const url = await serve(svid, (request, response) => {
      const path = request.url ?? ''
      paths.push(path)
      const hop = Number(path.slice(1))
      if (hop < most) redirecting(`/${hop + 1}`, [301, 302, 303, 307, 308][hop])(request, response)
      else response.end(bundle)
    })
    expect(await fetchFrom(url)).toBe(bundle)
    most = 5
    await expect(fetchFrom(url)).rejects.toThrow(failure('redirect'))
    expect(paths).toEqual(['/', '/1', '/2', '/3', '/4', '/', '/1', '/2', '/3', '/4'])
  })

  /** A timer that the test fires. */
  function createTimer() {
    const set: { callback: () => void; ms: number }[] = []
    const startTimer = (callback: () => void, ms: number) => {
      set.push({ callback, ms })
      return () => {}
    }
    return { set, startTimer }
  }

  test('has one deadline for the whole poll with its redirects', async () => {
    const { set, startTimer } = createTimer()
    const inTheMiddle = Promise.withResolvers<void>()
    const gone = Promise.withResolvers<void>()
    const url = await serve(svid, (request, response) => {
      if (request.url !== '/slow') return redirecting('/slow')(request, response)
      response.writeHead(200).write('{', () => inTheMiddle.resolve())
      response.on('close', gone.resolve)
    })
    const limited = createFetchBundle({ now: () => testNow, startTimer, deadlineMs: 700 })
    const asked = limited(spiffe(url), [root.certificate], forever)
    await inTheMiddle.promise
    expect(set.map(({ ms }) => ms)).toEqual([700])
    set[0]?.callback()
    await expect(asked).rejects.toThrow(failure('timeout'))
    await gone.promise
  })

  test.each(['the deadline', 'the end of the process'])(
    'that never ends the handshake is given up at %s',
    async (by) => {
      const { set, startTimer } = createTimer()
      const stop = new AbortController()
      const connected = Promise.withResolvers<Socket>()
      const server = createTcpServer((socket) => connected.resolve(socket))
      closing.push(async () => server.close())
      const url = `https://127.0.0.1:${await listen(server)}/`
      const asked = createFetchBundle({ now: () => testNow, startTimer })(spiffe(url), [root.certificate], stop.signal)
      const socket = await connected.promise
      const gone = Promise.withResolvers<void>()
      socket.on('close', () => gone.resolve()).on('error', () => {})
      socket.resume()
      if (by === 'the deadline') set[0]?.callback()
      else stop.abort()
      await expect(asked).rejects.toThrow(failure('timeout'))
      await gone.promise
    },
  )

  test('is not asked any more when the process ends', async () => {
    let connections = 0
    const server = createTcpServer(() => connections++)
    closing.push(async () => server.close())
    const url = `https://127.0.0.1:${await listen(server)}/`
    await expect(fetchBundle(spiffe(url), [root.certificate], AbortSignal.abort())).rejects.toThrow(failure('timeout'))
    expect(connections).toBe(0)
  })

  test('repeats nothing of what it sent in a message', async () => {
    const url = await serve(svid, redirecting('https://user:planted-secret@localhost/planted-secret'))
    const error: unknown = await fetchFrom(url).catch((caught: unknown) => caught)
    expect(String(error)).not.toContain('planted-secret')
  })
})

test('hosts that a redirect names may be private where the configuration says so', async () => {
  const target = await serve(await ownSvid(), sending(bundle))
  const url = await serve(await ownSvid(), redirecting(target.replace('localhost', '127.0.0.1')))
  await expect(fetchFrom(url)).rejects.toThrow(failure('address'))
  const endpoint = { ...spiffe(url), private: true }
  expect(await fetchBundle(endpoint, [root.certificate], forever)).toBe(bundle)
})
