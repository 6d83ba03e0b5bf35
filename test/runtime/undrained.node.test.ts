import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { afterEach, expect, test } from 'vitest'
import { type Listener, listen } from '../../src/runtime/listener.node.ts'
import { createTestAuthority } from '../support/tls.ts'
import { openHttp2, openSocket, openTls, send, type WireTarget } from '../support/wire.ts'

const authority = await createTestAuthority()
const certificate = await authority.issue(['gateway.test'])
const minute = 60_000
const timeouts = {
  handshakeMs: minute,
  headersMs: minute,
  requestMs: minute,
  idleMs: minute,
  checkMs: minute,
  silentMs: minute,
}

const open: Listener[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.close(0)))
})

type Handle = (request: IncomingMessage, response: ServerResponse) => void

async function start(handle: Handle, tls?: typeof certificate): Promise<WireTarget> {
  const listener = await listen({
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    handle,
    timeouts: { ...timeouts, drainMs: 50 },
    ...(tls && { tls }),
  })
  open.push(listener)
  return { address: listener.address, ...(tls && { tls: { ca: authority.ca, servername: 'gateway.test' } }) }
}

/** More than the buffers of two sockets hold. */
const large = Buffer.alloc(32 * 1024 * 1024)

test('an answer for which HTTP/2 never has a window is cut off, and the session lives on', async () => {
  const closed = Promise.withResolvers<void>()
  const target = await start((request, response) => {
    if (request.url === '/stuck') response.on('close', closed.resolve)
    response.end(request.url === '/empty' ? undefined : 'answer')
  }, certificate)
  const session = connectHttp2('https://gateway.test', {
    createConnection: () => openTls(target, ['h2']),
    settings: { initialWindowSize: 0 },
  })
  await once(session, 'remoteSettings')
  const stuck = session.request({ ':path': '/stuck' })
  stuck.on('error', () => undefined)
  await Promise.all([closed.promise, once(stuck, 'close')])
  expect(stuck.rstCode).toBe(8)

  const next = session.request({ ':path': '/empty' })
  const [headers] = await once(next, 'response')
  expect(headers[':status']).toBe(200)
  session.destroy()
})

test.each([
  ['plain', undefined],
  ['TLS', certificate],
])('an answer that is not read from its socket is cut off, %s', async (_, tls) => {
  const closed = Promise.withResolvers<boolean>()
  const target = await start((_request, response) => {
    response.on('close', () => closed.resolve(response.writableFinished))
    response.end(large)
  }, tls)
  const socket = tls ? openTls(target) : openSocket(target)
  socket.on('error', () => undefined)
  socket.pause()
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  expect(await closed.promise).toBe(false)
  socket.destroy()
})

test('an answer that waits for the one before it is not cut off', async () => {
  const held: ServerResponse[] = []
  const target = await start((request, response) => {
    if (request.url === '/first') held.push(response)
    if (request.url === '/second') response.end('second')
    // Its answer is cut off in the second look at all of them, which the second answer has then been through.
    if (request.url === '/stuck') response.on('close', () => held[0]?.end('first')).end(large)
  })
  const socket = openSocket(target)
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    if (text.includes('second')) socket.end()
  })
  socket.write('GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n')
  await expect.poll(() => held.length).toBe(1)
  const stuck = openSocket(target)
  stuck.on('error', () => undefined)
  stuck.write('GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(socket, 'close')
  expect(text).toMatch(/first[\s\S]*second/)
  stuck.destroy()
})

test('a request that is not answered yet is left alone', async () => {
  const held = Promise.withResolvers<ServerResponse>()
  const target = await start((request, response) => {
    if (request.url === '/held') return held.resolve(response)
    response.on('close', () => void held.promise.then((waiting) => waiting.end('at last'))).end(large)
  })
  const answered = send(target, '/held')
  await held.promise
  const stuck = openSocket(target)
  stuck.on('error', () => undefined)
  stuck.write('GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n')
  expect((await answered).text).toBe('at last')
  stuck.destroy()
})

test('one connection has at most a hundred streams', async () => {
  const target = await start((_request, response) => void response.end(), certificate)
  const client = await openHttp2(target)
  await client.send('/')
  expect(client.session.remoteSettings.maxConcurrentStreams).toBe(100)
  await client.close()
})
