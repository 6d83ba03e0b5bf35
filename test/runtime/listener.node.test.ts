import { once } from 'node:events'
import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { Agent, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { type Listener, type ListenerOptions, listen } from '../../src/runtime/listener.node.ts'
import { makeStoreDirectory } from '../support/store-directory.ts'
import { createTestAuthority } from '../support/tls.ts'
import { openHttp2, openSocket, openTls, send, sendRaw, type WireTarget } from '../support/wire.ts'

const authority = await createTestAuthority()
const certificate = await authority.issue(['gateway.test'])
const loopback = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const
/** Short, so that nobody waits; none of them is reached unless a test means to. */
const short = {
  ...{ handshakeMs: 100, headersMs: 100, requestMs: 100, drainMs: 60_000, idleMs: 60_000, checkMs: 20 },
  silentMs: 60_000,
}
const long = {
  handshakeMs: 60_000,
  headersMs: 60_000,
  requestMs: 60_000,
  drainMs: 60_000,
  idleMs: 60_000,
  checkMs: 60_000,
  silentMs: 60_000,
}

const open: Listener[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.close(0)))
})

async function start(options: Partial<ListenerOptions> = {}): Promise<{ listener: Listener; target: WireTarget }> {
  const listener = await listen({ address: loopback, handle: echo, timeouts: long, ...options })
  open.push(listener)
  const tls = options.tls && { ca: authority.ca, servername: 'gateway.test' }
  return { listener, target: { address: listener.address, ...(tls && { tls }) } }
}

/** Answers when the whole request is there. */
function echo(request: IncomingMessage, response: ServerResponse): void {
  request.resume()
  request.on('end', () => response.end(`${request.httpVersion} ${request.url}`))
}

const partial = {
  headers: 'GET / HTTP/1.1\r\nHost: a\r\n',
  body: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab',
  chunks: 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n',
}

test.each(
  Object.entries(partial).flatMap(([name, bytes]) => [
    [name, 'plain', bytes, undefined] as const,
    [name, 'TLS', bytes, certificate] as const,
  ]),
)('%s that do not come to an end are cut off, %s', async (_, _kind, bytes, tls) => {
  const { target } = await start({ timeouts: short, ...(tls && { tls }) })
  expect(await sendRaw(target, bytes)).toMatch(/^HTTP\/1.1 408 /)
})

test.each([
  ['plain', undefined],
  ['TLS', certificate],
])('a connection on which nothing is ever sent is cut off, %s', async (_, tls) => {
  const { target } = await start({ timeouts: short, ...(tls && { tls }) })
  const socket = openSocket(target)
  socket.resume()
  await once(socket, 'close')
  expect(socket.bytesWritten).toBe(0)
})

test('a body over HTTP/2 that does not come to an end is cut off, and the session lives on', async () => {
  const { target } = await start({ timeouts: short, tls: certificate })
  const client = await openHttp2(target)
  const stream = client.session.request({ ':method': 'POST', ':path': '/' }, { endStream: false })
  stream.write('a')
  stream.on('error', () => undefined)
  await once(stream, 'close')
  expect(stream.rstCode).toBe(8)
  expect((await client.send('/next')).text).toBe('2.0 /next')
  await client.close()
})

test('a session of HTTP/2 on which nothing happens is closed', async () => {
  const { target } = await start({ timeouts: { ...long, idleMs: 50 }, tls: certificate })
  const client = await openHttp2(target)
  await once(client.session, 'close')
  expect(client.session.destroyed).toBe(true)
})

test.each([
  ['plain', undefined],
  ['TLS', certificate],
])('headers up to 16 KiB are read and no more, %s', async (_, tls) => {
  const { target } = await start({ ...(tls && { tls }) })
  expect((await send(target, '/', { headers: { a: 'x'.repeat(15 * 1024) } })).status).toBe(200)
  expect((await send(target, '/', { headers: { a: 'x'.repeat(17 * 1024) } })).status).toBe(431)
})

test('headers up to 16 KiB are read and no more, HTTP/2', async () => {
  const { target } = await start({ tls: certificate })
  const client = await openHttp2(target)
  expect((await client.send('/', { headers: { a: 'x'.repeat(15 * 1024) } })).status).toBe(200)
  await expect(client.send('/', { headers: { a: 'x'.repeat(17 * 1024) } })).rejects.toThrow()
  await client.close()
})

test.each([
  ['a handshake of TLS 1.1', Buffer.from('16030100050100000103020000', 'hex')],
  ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
  ['bytes of no protocol', Buffer.alloc(512, 0xff)],
])('%s on a TLS port is turned away, and the next one is served', async (_, bytes) => {
  const { target } = await start({ tls: certificate })
  const socket = openSocket(target)
  socket.on('error', () => undefined)
  socket.end(bytes)
  socket.resume()
  await once(socket, 'close')
  expect((await send(target, '/next')).text).toBe('1.1 /next')
})

test.each(['TLSv1', 'TLSv1.1'] as const)('%s is not spoken', async (version) => {
  const { target } = await start({ tls: certificate })
  const tls = { ...target.tls, minVersion: version, maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' }
  await expect(send({ ...target, tls }, '/')).rejects.toThrow()
})

test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s is spoken', async (version) => {
  const { target } = await start({ tls: certificate })
  const tls = { ...target.tls, minVersion: version, maxVersion: version }
  expect((await send({ ...target, tls }, '/')).status).toBe(200)
})

test('a replaced certificate is shown to the next connection, and the open ones go on', async () => {
  const { listener, target } = await start({ tls: certificate })
  const agent = new Agent({ keepAlive: true })
  const client = await openHttp2(target)
  await client.send('/')
  const other = await createTestAuthority('other')
  listener.replaceTls(await other.issue(['gateway.test']))

  expect((await client.send('/still')).text).toBe('2.0 /still')
  const socket = openTls({ ...target, tls: { ...target.tls, ca: other.ca } })
  await once(socket, 'secureConnect')
  expect(socket.authorized).toBe(true)
  socket.destroy()
  agent.destroy()
  await client.close()
})

test.each([
  ['is none', { cert: 'none', key: 'none' }],
  ['belongs to another key', { cert: certificate.cert, key: (await authority.issue()).key }],
])('a certificate that %s is an error, and the one before stays', async (_, broken) => {
  const { listener, target } = await start({ tls: certificate })
  expect(() => listener.replaceTls(broken)).toThrow()
  expect((await send(target, '/')).status).toBe(200)
})

/** Requests wait until they are let go. */
function holding() {
  const arrived = Promise.withResolvers<void>()
  const { promise, resolve: letGo } = Promise.withResolvers<void>()
  const handle: ListenerOptions['handle'] = (request, response) => {
    arrived.resolve()
    void promise.then(() => echo(request, response))
  }
  return { handle, arrived: arrived.promise, letGo }
}

test.each([
  ['plain', undefined],
  ['TLS', certificate],
])('a stop finishes what was accepted and takes nothing new, %s', async (_, tls) => {
  const { handle, arrived, letGo } = holding()
  const { listener, target } = await start({ handle, ...(tls && { tls }) })
  const agent = tls ? undefined : new Agent({ keepAlive: true })
  const answered = send(target, '/slow', { ...(agent && { agent }) })
  await arrived
  const closed = listener.close(60_000)
  await expect(send(target, '/new')).rejects.toThrow('ECONNREFUSED')
  letGo()
  expect((await answered).text).toBe('1.1 /slow')
  await closed
  agent?.destroy()
})

test('a stop finishes what was accepted over HTTP/2', async () => {
  const { handle, arrived, letGo } = holding()
  const { listener, target } = await start({ handle, tls: certificate })
  const client = await openHttp2(target)
  const answered = client.send('/slow')
  await arrived
  const closed = listener.close(60_000)
  await once(client.session, 'goaway')
  letGo()
  expect((await answered).text).toBe('2.0 /slow')
  await closed
})

test.each([
  ['plain', undefined],
  ['TLS', certificate],
])('a stop does not wait for connections that are kept alive, %s', async (_, tls) => {
  const { listener, target } = await start({ ...(tls && { tls }) })
  const socket = tls ? openTls(target) : openSocket(target)
  socket.on('error', () => undefined)
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(socket, 'data')
  const gone = once(socket, 'close')
  await listener.close(60_000)
  await gone
  expect(socket.destroyed).toBe(true)
})

test('a stop does not wait for a connection on which nothing was sent', async () => {
  const { listener, target } = await start({ tls: certificate })
  const socket = openSocket(target)
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  // Once another connection is served, this one was accepted before it.
  await send(target, '/')
  await listener.close(60_000)
  expect(open).toContain(listener)
})

test('a stop waits a moment for a connection that shook hands and asked nothing, and no longer', async () => {
  const { listener, target } = await start({ tls: certificate, timeouts: { ...long, silentMs: 200 } })
  const [mute, late] = [openTls(target), openTls(target)]
  mute.on('error', () => undefined)
  await Promise.all([once(mute, 'secureConnect'), once(late, 'secureConnect')])
  // Once another connection is served, these were accepted before it.
  await send(target, '/')
  const closed = listener.close(60_000)
  late.write('GET /late HTTP/1.1\r\nHost: a\r\n\r\n')
  const [answer] = await once(late, 'data')
  expect(String(answer)).toContain('1.1 /late')
  await closed
  expect(open).toContain(listener)
})

test('during a stop a connection that is kept alive is told that it ends', async () => {
  const { handle, arrived, letGo } = holding()
  const { listener, target } = await start({ handle })
  const socket = openSocket(target)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.write('GET /one HTTP/1.1\r\nHost: a\r\n\r\n')
  await arrived
  const closed = listener.close(60_000)
  socket.write('GET /two HTTP/1.1\r\nHost: a\r\n\r\n')
  letGo()
  await once(socket, 'close')
  await closed
  const text = Buffer.concat(chunks).toString()
  expect(text).toContain('1.1 /one')
  expect(text).toMatch(/connection: close/i)
})

test('what is not done by the deadline is cut', async () => {
  const { handle, arrived } = holding()
  const { listener, target } = await start({ handle })
  const answered = send(target, '/slow')
  answered.catch(() => undefined)
  await arrived
  await listener.close(10)
  await expect(answered).rejects.toThrow()
})

test('an address that is taken is an error that says so', async () => {
  const { listener } = await start()
  await expect(start({ address: listener.address })).rejects.toMatchObject({
    name: 'ListenError',
    message: expect.stringContaining('another process listens there'),
  })
})

test('a unix socket is for its owner alone when it is meant to be', async () => {
  using folder = makeStoreDirectory()
  const path = folder.file('a.sock')
  const { listener, target } = await start({ address: { kind: 'unix', path }, mode: 0o600 })
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect((await send(target, '/')).status).toBe(200)
  await listener.close(1000)
})

test('a unix socket that nobody listens on is taken over, one that is in use is not', async () => {
  using folder = makeStoreDirectory()
  const path = folder.file('a.sock')
  const address = { kind: 'unix', path } as const
  const { listener } = await start({ address })
  await expect(start({ address })).rejects.toMatchObject({ name: 'ListenError' })
  await listener.close(1000)

  // As kill -9 leaves it: the file is there, and nobody answers.
  const stale = createServer().listen(`${path}.dead`)
  await once(stale, 'listening')
  const { renameSync } = await import('node:fs')
  renameSync(`${path}.dead`, path)
  stale.close()
  await once(stale, 'close')
  const { target } = await start({ address })
  expect((await send(target, '/')).status).toBe(200)
})

test('a file that is no socket is left alone where a socket is meant to be', async () => {
  using folder = makeStoreDirectory()
  const path = folder.file('seal.key')
  writeFileSync(path, 'a key')
  await expect(start({ address: { kind: 'unix', path } })).rejects.toMatchObject({
    name: 'ListenError',
    message: expect.stringContaining('no socket'),
  })
  expect(readFileSync(path, 'utf8')).toBe('a key')
})

test('a link to a file is left alone where a socket is meant to be', async () => {
  using folder = makeStoreDirectory()
  const key = folder.file('seal.key')
  writeFileSync(key, 'a key')
  symlinkSync(key, folder.file('a.sock'))
  const address = { kind: 'unix', path: folder.file('a.sock') } as const
  await expect(start({ address })).rejects.toMatchObject({ name: 'ListenError' })
  expect(readFileSync(address.path, 'utf8')).toBe('a key')
})
