/**
 * One listening socket: plain or TLS, HTTP/1.1 and HTTP/2, on TCP or on a unix path; with bounds on what a peer may make
 * it hold, and a stop that finishes what was accepted.
 *
 * @module
 */
import { chmod, unlink } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2'
import { connect, type Socket } from 'node:net'
import type { ListenAddress } from '../core/listen-address.ts'
import type { TlsMaterial } from './tls-material.node.ts'

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

export interface ListenerOptions {
  readonly address: ListenAddress
  /** Absent: plain HTTP/1.1. */
  readonly tls?: TlsMaterial
  /** Of the unix path. Default 0o666 less the umask. */
  readonly mode?: number
  readonly handle: RequestHandler
}

export interface Listener {
  /** Where it really listens: with the port that the system chose for port 0. */
  readonly address: ListenAddress
  readonly replaceTls: (tls: TlsMaterial) => void
  /** Takes nothing new, finishes what was accepted, and cuts what is not done by the deadline. */
  readonly close: (deadlineMs: number) => Promise<void>
}

const limits = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 5_000,
} as const

/** Mozilla's intermediate profile asks for these and no older ones. */
const tlsVersions = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' } as const

export async function listen(options: ListenerOptions): Promise<Listener> {
  const { address } = options
  const server = options.tls ? createTlsServer(options.tls, options.handle) : createServer(limits, options.handle)
  const connections = trackConnections(server)
  if (address.kind === 'unix') await removeStaleSocket(address.path)
  await bind(server, address)
  if (address.kind === 'unix' && options.mode !== undefined) await chmod(address.path, options.mode)

  return {
    address: boundAddress(server, address),
    replaceTls: (tls) => (server as Http2SecureServer).setSecureContext({ ...tls, ...tlsVersions }),
    async close(deadlineMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      connections.finish()
      const cut = setTimeout(connections.cut, deadlineMs)
      await closed
      clearTimeout(cut)
    },
  }
}

/** A client certificate may be shown; whether it is a proof is decided at each request, never by the handshake. */
function createTlsServer(tls: TlsMaterial, handle: RequestHandler): Http2SecureServer {
  const server = createSecureServer(
    {
      ...tls,
      ...tlsVersions,
      allowHTTP1: true,
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: 10_000,
      maxSessionMemory: 10,
      settings: { maxConcurrentStreams: 250, maxHeaderListSize: limits.maxHeaderSize },
      ...limits,
    } as Parameters<typeof createSecureServer>[0],
    handle as never,
  )
  server.on('sessionError', () => undefined)
  return server
}

function trackConnections(server: Server | Http2SecureServer) {
  const sockets = new Set<Socket>()
  const sessions = new Set<ServerHttp2Session>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('session', (session: ServerHttp2Session) => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
    session.on('error', () => undefined)
  })
  return {
    finish() {
      for (const session of sessions) session.close()
      if ('closeIdleConnections' in server) server.closeIdleConnections()
    },
    cut() {
      for (const socket of sockets) socket.destroy()
    },
  }
}

function bind(server: Server | Http2SecureServer, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => reject(new ListenError(address, error))
    server.once('error', failed)
    const bound = () => {
      server.off('error', failed)
      resolve()
    }
    if (address.kind === 'unix') server.listen({ path: address.path }, bound)
    else server.listen({ host: address.host, port: address.port, backlog: 1024 }, bound)
  })
}

function boundAddress(server: Server | Http2SecureServer, address: ListenAddress): ListenAddress {
  const bound = server.address()
  return address.kind === 'unix' || bound === null || typeof bound === 'string'
    ? address
    : { ...address, port: bound.port }
}

/** A listener that could not be opened, with what to do about it. */
export class ListenError extends Error {
  override readonly name = 'ListenError'

  constructor(address: ListenAddress, cause: NodeJS.ErrnoException) {
    const where = address.kind === 'unix' ? address.path : `${address.host}:${address.port}`
    const why =
      cause.code === 'EADDRINUSE'
        ? 'another process listens there: stop it, or choose another address'
        : cause.code === 'EACCES'
          ? 'this user may not: choose a port above 1023 or a folder that it can write'
          : (cause.code ?? cause.message)
    super(`cannot listen on ${where}: ${why}`, { cause })
  }
}

/** A socket file that nobody listens on any more, as kill -9 leaves it, would keep the next one from starting. */
async function removeStaleSocket(path: string): Promise<void> {
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect({ path }, () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
  if (!alive) await unlink(path).catch(() => undefined)
}
