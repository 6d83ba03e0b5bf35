/** Servers and clients that know each other by SPIFFE ID, over real connections, while certificates and trust change. */
import { once } from 'node:events'
import { type IncomingMessage, request as startRequest } from 'node:http'
import { createSecureServer } from 'node:http2'
import { createServer as createHttpsServer, type Server as HttpsServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type ConnectionOptions, connect, createServer as createTlsServer, type Server, type TLSSocket } from 'node:tls'
import { Agent as UndiciAgent, fetch as undiciFetch } from 'undici'
import { afterEach, expect, test, vi } from 'vitest'
import {
  authorizeAny,
  authorizeId,
  authorizeMemberOf,
  createHttpsAgent,
  createMtlsServer,
  createUndiciConnect,
  guardServer,
  mtlsClientOptions,
  mtlsServerOptions,
  peerOf,
} from '../../src/node.ts'
import type { CertificateWishes } from '../support/certificate-authority.ts'
import { authorityOf, bundleOf, type OwnSource, ownSource, svidOf, timesNow } from '../support/own-source.ts'
import { openHttp2 } from '../support/wire.ts'

const ours = authorityOf('example.org')
const theirs = authorityOf('partner.example')
const serverId = 'spiffe://example.org/server'
const clientId = 'spiffe://example.org/client'
const authorize = authorizeId(clientId)
const toServer = { authorize: authorizeId(serverId) }
const bundle = bundleOf('example.org', ours)

const sourceOf = (uri: string, wishes?: CertificateWishes) => ownSource(svidOf(ours, uri, wishes), bundle)

const opened: { readonly close: () => unknown }[] = []
afterEach(() => {
  for (const thing of opened.splice(0)) thing.close()
})

async function listen<Listening extends Server>(server: Listening): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  opened.push({
    close() {
      server.close()
      if ('closeAllConnections' in server) (server as unknown as HttpsServer).closeAllConnections()
    },
  })
  return (server.address() as AddressInfo).port
}

/** Answers with the SPIFFE ID of its caller. */
async function serve(source: OwnSource, clients: 'required' | 'optional' = 'required') {
  const served: string[] = []
  const refused: Error[] = []
  const server = createMtlsServer(source, { authorize, clients }, (incoming, response) => {
    served.push(incoming.url ?? '')
    response.end(peerOf(incoming.socket)?.spiffeId.uri ?? 'nobody')
  })
  server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    refused.push(error)
    socket.destroy()
  })
  // Whoever ends an idle connection here is the guard.
  server.keepAliveTimeout = 60_000
  const port = await listen(server)
  return { server, port, served, refused }
}

interface Answered {
  readonly body: string
  readonly serial: string
}

async function ask(port: number, options: object): Promise<Answered> {
  const sent = request({ host: '127.0.0.1', port, path: '/x', ...options }).end()
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  const serial = (answer.socket as TLSSocket).getPeerCertificate().serialNumber?.toLowerCase() ?? ''
  return { body: await text(answer), serial }
}

const alone = (source: OwnSource) => ({ ...mtlsClientOptions(source, toServer), agent: false })

test('each knows the other by its SPIFFE ID, and no host name matters', async () => {
  const { port } = await serve(sourceOf(serverId))
  expect((await ask(port, alone(sourceOf(clientId)))).body).toBe(clientId)
})

test('a server shows each new SVID from the next connection on, and open ones go on', async () => {
  const source = sourceOf(serverId)
  const { port, server } = await serve(source)
  const agent = createHttpsAgent(sourceOf(clientId), toServer)
  opened.push({ close: () => agent.destroy() })
  const before = await ask(port, { agent })
  expect(before.serial).toBe(source.svid().serialNumber)
  let connections = 1
  server.on('secureConnection', () => connections++)

  source.show(svidOf(ours, serverId))
  const open = await ask(port, { agent })
  expect([open.serial, connections]).toEqual([before.serial, 1])
  const next = await ask(port, alone(sourceOf(clientId)))
  expect(next.serial).toBe(source.svid().serialNumber)
  expect(next.serial).not.toBe(before.serial)
})

test('requests flow without a failure while both sides rotate', async () => {
  const [server, client] = [sourceOf(serverId), sourceOf(clientId)]
  const { port } = await serve(server)
  const agent = createHttpsAgent(client, { ...toServer, keepAlive: false })
  const serials = new Set<string>()
  for (let round = 0; round < 12; round++) {
    const asked = Promise.all([ask(port, { agent }), ask(port, { agent })])
    server.show(svidOf(ours, serverId))
    client.show(svidOf(ours, clientId))
    for (const { body, serial } of await asked) {
      expect(body).toBe(clientId)
      serials.add(serial)
    }
  }
  expect(serials.size).toBeGreaterThan(8)
})

test.each<[string, () => OwnSource, string]>([
  ['another workload', () => sourceOf('spiffe://example.org/other'), 'not_authorized'],
  ['one of a trust domain without a bundle', () => ownSource(svidOf(theirs, clientId), bundle), 'certificate_path'],
  ['one that has expired', () => sourceOf(clientId, { notAfter: new Date(Date.now() - 2000) }), 'certificate_expired'],
  [
    'a certificate of two SPIFFE IDs',
    () => ownSource({ ...svidOf(ours, clientId), ...twoNames() }, bundle),
    'x509_svid',
  ],
])('a server cuts off %s before it reads a request', async (_, source, code) => {
  const { port, served, refused } = await serve(sourceOf(serverId))
  await expect(ask(port, alone(source()))).rejects.toThrow()
  expect(refused).toMatchObject([{ code }])
  expect(served).toEqual([])
})

function twoNames() {
  const { der, key } = ours.issue({ uris: [clientId, 'spiffe://example.org/admin'], ...timesNow() })
  const certificates = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
  return { certificates, privateKey: key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

test('who shows no certificate is cut off, or let in as nobody where that is wanted', async () => {
  const nobody = { ca: pemOf(), agent: false, checkServerIdentity: () => undefined }
  const strict = await serve(sourceOf(serverId))
  await expect(ask(strict.port, nobody)).rejects.toThrow()
  expect([strict.refused, strict.served]).toMatchObject([[{ code: 'no_svid' }], []])
  const open = await serve(sourceOf(serverId), 'optional')
  expect((await ask(open.port, nobody)).body).toBe('nobody')
  await expect(ask(open.port, alone(sourceOf('spiffe://example.org/other')))).rejects.toThrow()
  expect((await ask(open.port, alone(sourceOf(clientId)))).body).toBe(clientId)
})

function pemOf(): string {
  return `-----BEGIN CERTIFICATE-----\n${ours.der.toString('base64')}\n-----END CERTIFICATE-----\n`
}

test('a server that nobody guards gets through no handshake', async () => {
  const port = await listen(createHttpsServer(mtlsServerOptions, (_request, response) => response.end('open')))
  await expect(ask(port, alone(sourceOf(clientId)))).rejects.toThrow()
})

test.each<[string, OwnSource, string]>([
  ['another workload', sourceOf('spiffe://example.org/impostor'), 'not_authorized'],
  ['a certificate for clients only', sourceOf(serverId, { purposes: ['1.3.6.1.5.5.7.3.2'] }), ''],
  ['one of another trust domain', ownSource(svidOf(theirs, 'spiffe://partner.example/server'), bundle), ''],
])('a client hangs up on a server that is %s, before it sends anything', async (_, source, code) => {
  const { port, served } = await serve(source)
  const agent = createHttpsAgent(sourceOf(clientId), toServer)
  const dispatcher = new UndiciAgent({ connect: createUndiciConnect(sourceOf(clientId), toServer) })
  const expected = code === '' ? expect.anything() : expect.objectContaining({ code })
  await expect(ask(port, { agent })).rejects.toEqual(expected)
  await expect(ask(port, alone(sourceOf(clientId)))).rejects.toEqual(expected)
  const cause = await undiciFetch(`https://127.0.0.1:${port}`, { dispatcher }).catch((error) => error.cause)
  expect(cause).toEqual(expected)
  expect(served).toEqual([])
  await dispatcher.close()
})

test('a certificate that is for servers only will do for a server, and one for clients only for a client', async () => {
  const { port } = await serve(sourceOf(serverId, { purposes: ['1.3.6.1.5.5.7.3.1'] }))
  const client = sourceOf(clientId, { purposes: ['1.3.6.1.5.5.7.3.2'] })
  const dispatcher = new UndiciAgent({ connect: createUndiciConnect(client, toServer) })
  const agent = createHttpsAgent(client, toServer)
  opened.push({ close: () => agent.destroy() })
  expect((await ask(port, alone(client))).body).toBe(clientId)
  expect((await ask(port, { agent })).body).toBe(clientId)
  expect(await (await undiciFetch(`https://127.0.0.1:${port}/x`, { dispatcher })).text()).toBe(clientId)
  await dispatcher.close()
})

test('no session is resumed, whatever the other side does', async () => {
  const { port } = await serve(sourceOf(serverId))
  const resumable: ConnectionOptions = { ...mtlsClientOptions(sourceOf(clientId), toServer), secureOptions: 0 }
  const open = async (session?: Buffer) => {
    const sessions: Buffer[] = []
    const socket = connect({ host: '127.0.0.1', port, ...resumable, ...(session && { session }) })
    socket.on('session', (next: Buffer) => sessions.push(next))
    await once(socket, 'secureConnect')
    const isReused = socket.isSessionReused()
    socket.write('GET /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    await text(socket)
    return { sessions, isReused }
  }
  const [session] = (await open()).sessions
  expect((await open(session)).isReused).toBe(false)
})

test('each trust domain vouches for its own names only, whatever the handshake takes', async () => {
  const both = [bundle, bundleOf('partner.example', theirs)] as const
  const { port, refused } = await serve(ownSource(svidOf(ours, serverId), ...both))
  const forged = ownSource(svidOf(theirs, clientId), ...both)
  await expect(ask(port, alone(forged))).rejects.toThrow()
  expect(refused).toMatchObject([{ code: 'certificate_path' }])
  const impostor = await serve(ownSource(svidOf(theirs, serverId), ...both))
  await expect(ask(impostor.port, alone(ownSource(svidOf(ours, clientId), ...both)))).rejects.toMatchObject({
    code: 'certificate_path',
  })
})

test('peers of a federated trust domain are verified by its bundle', async () => {
  const both = [bundle, bundleOf('partner.example', theirs)] as const
  const id = 'spiffe://partner.example/client'
  const server = createMtlsServer(
    ownSource(svidOf(ours, serverId), ...both),
    { authorize: authorizeMemberOf('partner.example') },
    (incoming, response) => response.end(peerOf(incoming.socket)?.spiffeId.uri),
  )
  const port = await listen(server)
  expect((await ask(port, alone(ownSource(svidOf(theirs, id), ...both)))).body).toBe(id)
  await expect(ask(port, alone(sourceOf(clientId)))).rejects.toThrow()
})

test('an intermediate may be what a bundle holds, or what a peer shows', async () => {
  const between = ours.issueAuthority({ ...timesNow(), subject: 'between' })
  const shown = ownSource(svidOf(between, serverId, {}, [between]), bundle)
  const { port } = await serve(shown)
  expect((await ask(port, alone(sourceOf(clientId)))).body).toBe(clientId)

  const held = ownSource(svidOf(between, serverId), bundleOf('example.org', between))
  const second = await serve(held)
  const client = ownSource(svidOf(between, clientId), bundleOf('example.org', between))
  expect((await ask(second.port, alone(client))).body).toBe(clientId)
})

test('a new authority is trusted as soon as the bundle has it, a revoked one ends what is open', async () => {
  const successor = authorityOf('example.org', { subject: 'successor' })
  const [server, client] = [sourceOf(serverId), sourceOf(clientId)]
  const { port, refused } = await serve(server)
  const agent = createHttpsAgent(client, toServer)
  opened.push({ close: () => agent.destroy() })
  await ask(port, { agent })
  const rotated = bundleOf('example.org', successor)

  const early = ownSource(svidOf(successor, clientId), bundle)
  await expect(ask(port, alone(early))).rejects.toThrow()
  expect(refused).toMatchObject([{ code: 'certificate_path' }])
  server.trust(bundleOf('example.org', ours, successor))
  expect((await ask(port, alone(early))).body).toBe(clientId)

  const idle = Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? [])
  expect(idle).toHaveLength(1)
  const ended = once(idle[0]!, 'close')
  server.trust(rotated)
  server.show(svidOf(successor, serverId))
  await ended
  await expect(ask(port, { agent })).rejects.toThrow()
  client.trust(rotated)
  client.show(svidOf(successor, clientId))
  expect((await ask(port, { agent })).body).toBe(clientId)
})

test('a client ends its open connections to a server whose authority was revoked', async () => {
  const client = sourceOf(clientId)
  const { port } = await serve(sourceOf(serverId))
  const agent = createHttpsAgent(client, toServer)
  await ask(port, { agent })
  const [idle] = Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? [])
  const ended = once(idle!, 'close')
  client.trust(bundleOf('example.org', authorityOf('example.org', { subject: 'another' })))
  await ended
  await expect(ask(port, { agent })).rejects.toThrow()
})

test('a peer whose SVID expires meanwhile is nobody, on a connection that goes on', async () => {
  const notAfter = new Date(Math.floor(Date.now() / 1000) * 1000 + 1000)
  const ending = authorityOf('example.org', { subject: 'ending', notAfter })
  const source = ownSource(svidOf(ours, serverId), bundleOf('example.org', ours, ending))
  const { port, server } = await serve(source)
  const agent = createHttpsAgent(ownSource(svidOf(ending, clientId, { notAfter }), bundle), toServer)
  opened.push({ close: () => agent.destroy() })
  expect((await ask(port, { agent })).body).toBe(clientId)
  const connections = vi.fn()
  server.on('secureConnection', connections)
  await expect.poll(async () => (await ask(port, { agent })).body, { timeout: 5000, interval: 200 }).toBe('nobody')
  // An authority that was taken out of the bundle at its end was not revoked.
  source.trust(bundle)
  expect((await ask(port, { agent })).body).toBe('nobody')
  expect(connections).not.toHaveBeenCalled()
})

test('undici follows both as they change', async () => {
  const [server, client] = [sourceOf(serverId), sourceOf(clientId)]
  const { port } = await serve(server)
  const dispatcher = new UndiciAgent({ connect: createUndiciConnect(client, toServer), keepAliveTimeout: 1 })
  for (let round = 0; round < 3; round++) {
    const answer = await undiciFetch(`https://127.0.0.1:${port}/x`, { dispatcher })
    expect(await answer.text()).toBe(clientId)
    server.show(svidOf(ours, serverId))
    client.show(svidOf(ours, clientId))
  }
  await expect(undiciFetch(`http://127.0.0.1:${port}/x`, { dispatcher })).rejects.toMatchObject({
    cause: { code: 'usage' },
  })
  await dispatcher.close()
})

test('HTTP/2 and plain TLS are guarded the same way', async () => {
  const source = sourceOf(serverId)
  const secure = createSecureServer({ ...mtlsServerOptions, allowHTTP1: true }, (incoming, response) =>
    response.end(peerOf(incoming.socket)?.spiffeId.uri ?? 'nobody'),
  )
  const port = await listen(guardServer(secure as unknown as Server, source, { authorize }))
  const client = await openHttp2({
    address: { kind: 'tcp', host: '127.0.0.1', port },
    tls: { ...mtlsClientOptions(sourceOf(clientId), toServer) },
  })
  expect((await client.send('/x')).text).toBe(clientId)
  await client.close()

  const heard: string[] = []
  const plain = createTlsServer(mtlsServerOptions, (socket) => {
    heard.push(peerOf(socket)?.spiffeId.uri ?? 'nobody')
    socket.end('hello')
  })
  const plainPort = await listen(guardServer(plain, source, { authorize }))
  const talk = async (caller: OwnSource) => {
    const options: ConnectionOptions = mtlsClientOptions(caller, toServer)
    return text(connect({ host: '127.0.0.1', port: plainPort, ...options }))
  }
  expect(await talk(sourceOf(clientId))).toBe('hello')
  await talk(sourceOf('spiffe://example.org/other')).catch(() => undefined)
  expect(heard).toEqual([clientId])
})

test('an agent of everybody gives no connection to a request that asks for one server', async () => {
  const { port } = await serve(sourceOf(serverId))
  const client = sourceOf(clientId)
  const anybody = mtlsClientOptions(client, { authorize: authorizeAny() })
  expect((await ask(port, anybody)).body).toBe(clientId)
  const another = mtlsClientOptions(client, { authorize: authorizeId('spiffe://example.org/another') })
  await expect(ask(port, another)).rejects.toMatchObject({ code: 'not_authorized' })
})

test('a plain request can not be answered by a guarded server', async () => {
  const { port } = await serve(sourceOf(serverId))
  const sent = startRequest({ host: '127.0.0.1', port }).end()
  await expect(once(sent, 'response')).rejects.toThrow()
})
