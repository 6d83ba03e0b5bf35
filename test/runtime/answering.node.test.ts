import { once } from 'node:events'
import { IncomingMessage, ServerResponse } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { type Answering, createAnswering } from '../../src/runtime/answering.node.ts'
import { type Listener, listen } from '../../src/runtime/listener.node.ts'
import { keptKilobytes } from '../support/small-collections.ts'
import { createTestAuthority } from '../support/tls.ts'
import { openSocket, openTls, type WireTarget } from '../support/wire.ts'

const authority = await createTestAuthority()
const certificate = await authority.issue(['gateway.test'])

const open: Listener[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.close(0)))
})

/** Requests are begun, read, and then left to the test. */
async function start(answering: Answering) {
  const begun: ServerResponse[] = []
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    answering.begin(request, response)
    request.on('error', () => undefined).resume()
    begun.push(response)
  }
  const listener = await listen({ address: { kind: 'tcp', host: '127.0.0.1', port: 0 }, tls: certificate, handle })
  open.push(listener)
  const target: WireTarget = { address: listener.address, tls: { ca: authority.ca, servername: 'gateway.test' } }
  return { begun, target }
}

type Protocol = 'HTTP/1.1' | 'HTTP/2'

/** A connection that takes no answer: its window is shut, or its socket not read. */
async function openPeer(target: WireTarget, protocol: Protocol) {
  if (protocol === 'HTTP/1.1') {
    const socket = openTls(target)
    socket.on('error', () => undefined)
    const closed = once(socket, 'close')
    return {
      get: () => void socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
      post: () => void socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab'),
      finish: () => void socket.write('cde'),
      leave: () => void socket.destroy(),
      cut: closed,
    }
  }
  const session = connectHttp2('https://gateway.test', {
    createConnection: () => openTls(target, ['h2']),
    settings: { initialWindowSize: 0 },
  })
  session.on('error', () => undefined)
  await once(session, 'remoteSettings')
  const get = (options = { endStream: true }) => {
    const stream = session.request({ ':path': '/', ':method': options.endStream ? 'GET' : 'POST' }, options)
    stream.on('error', () => undefined)
    return stream
  }
  const cut = Promise.withResolvers<void>()
  let body: ReturnType<typeof get> | undefined
  return {
    get: () => void get(),
    post() {
      body = get({ endStream: false })
      body.on('close', cut.resolve).write('ab')
    },
    finish: () => void body?.end('cde'),
    leave: () => session.destroy(),
    cut: cut.promise,
  }
}

describe.each<Protocol>(['HTTP/1.1', 'HTTP/2'])('over %s', (protocol) => {
  test('a request counts until its answer is given, taken or not', async () => {
    const answering = createAnswering()
    const { begun, target } = await start(answering)
    const peer = await openPeer(target, protocol)
    peer.get()
    await expect.poll(() => begun.length).toBe(1)
    expect(answering.count()).toBe(1)
    begun[0]?.end(Buffer.alloc(32 * 1024 * 1024))
    expect(answering.count()).toBe(0)
    peer.leave()
    await once(begun[0] as ServerResponse, 'close')
    expect(answering.count()).toBe(0)
  })

  test('one whose body does not come does not count until it is whole', async () => {
    const answering = createAnswering()
    const { begun, target } = await start(answering)
    const peer = await openPeer(target, protocol)
    peer.post()
    await expect.poll(() => begun.length).toBe(1)
    expect(answering.count()).toBe(0)
    peer.finish()
    await expect.poll(answering.count).toBe(1)
    begun[0]?.end()
    expect(answering.count()).toBe(0)
    peer.leave()
  })

  test('one whose caller leaves counts no more', async () => {
    const answering = createAnswering()
    const { begun, target } = await start(answering)
    const peer = await openPeer(target, protocol)
    peer.get()
    await expect.poll(answering.count).toBe(1)
    peer.leave()
    await expect.poll(answering.count).toBe(0)
    // As when what it waited for comes after all.
    begun[0]?.end('late')
    expect(answering.count()).toBe(0)
  })

  test('one that is answered before its body is whole never counts', async () => {
    const answering = createAnswering()
    const { begun, target } = await start(answering)
    const peer = await openPeer(target, protocol)
    peer.post()
    await expect.poll(() => begun.length).toBe(1)
    begun[0]?.writeHead(415).end()
    peer.finish()
    peer.leave()
    await once(begun[0] as ServerResponse, 'close').catch(() => undefined)
    expect(answering.count()).toBe(0)
  })

  test('of bodies that do not come the oldest is cut off for the next one', async () => {
    const answering = createAnswering(2)
    const { begun, target } = await start(answering)
    const peers = [await openPeer(target, protocol), await openPeer(target, protocol), await openPeer(target, protocol)]
    for (const [index, peer] of peers.entries()) {
      peer.post()
      await expect.poll(() => begun.length).toBe(index + 1)
    }
    await peers[0]?.cut
    for (const peer of peers.slice(1)) peer.finish()
    await expect.poll(answering.count).toBe(2)
    for (const peer of peers) peer.leave()
  })
})

test('pipelined answers that wait for the one before them do not count', async () => {
  const answering = createAnswering()
  const begun: ServerResponse[] = []
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    answering.begin(request, response)
    begun.push(response)
  }
  const listener = await listen({ address: { kind: 'tcp', host: '127.0.0.1', port: 0 }, handle })
  open.push(listener)
  const socket = openSocket({ address: listener.address })
  socket.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
  await expect.poll(answering.count).toBe(2)
  begun[1]?.end('second')
  expect(answering.count()).toBe(1)
  begun[0]?.end('first')
  expect(answering.count()).toBe(0)
  socket.destroy()
})

test('what was answered does not outlive a small collection', () => {
  const answering = createAnswering()
  const socket = new Socket()
  const kept = keptKilobytes((load) => {
    const request = Object.assign(new IncomingMessage(socket), { load, headers: { 'content-length': '1' } })
    const response = new ServerResponse(request)
    answering.begin(request, response)
    request.emit('end')
    expect(answering.count()).toBe(1)
    response.end()
    response.emit('close')
  })
  expect(answering.count()).toBe(0)
  expect(kept).toBeLessThan(1)
})
