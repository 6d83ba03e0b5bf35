/**
 * One listening socket: plain or TLS, HTTP/1.1 and HTTP/2, on TCP or on a unix path; with bounds on what a peer may make
 * it hold, and a stop that finishes what was accepted.
 *
 * @module
 */
import { constants as cryptoConstants } from 'node:crypto'
import { chmod, lstat, unlink } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type ServerHttp2Session,
} from 'node:http2'
import { connect, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ListenAddress } from '../core/listen-address.ts'
import { createRoster } from './roster.ts'
import type { TlsMaterial } from './tls-material.node.ts'
import { cutUndrained } from './undrained.node.ts'
import { type AnswerUnreadable, answerClientErrors, headerListSize, refuseHeaders } from './unreadable.node.ts'

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

export interface ListenerOptions {
  readonly address: ListenAddress
  /** Absent: plain HTTP/1.1. */
  readonly tls?: TlsMaterial
  /** Whether clients are asked for a certificate, which they need not have. Default true. */
  readonly clientCertificates?: boolean
  /** Of the unix path, which another process may have made with another mask. Default 0o666 less the umask. */
  readonly mode?: number
  readonly handle: RequestHandler
  /** What becomes no request. Default: the status alone. */
  readonly unreadable?: AnswerUnreadable
  /** Default: {@link usualTimeouts}. */
  readonly timeouts?: Timeouts
}

/** How long a peer may keep us waiting, in milliseconds. */
export interface Timeouts {
  readonly handshakeMs: number
  readonly headersMs: number
  /** From the first byte of a request to its last. */
  readonly requestMs: number
  /** From the last byte of an answer until the system has taken all of it; at most twice as long. */
  readonly drainMs: number
  /** Between requests. */
  readonly idleMs: number
  /** How often headers and requests of HTTP/1.1 are looked after. */
  readonly checkMs: number
  /** During a stop: until the first request of a connection over TLS has its headers. */
  readonly silentMs: number
}

export interface Listener {
  /** Where it really listens: with the port that the system chose for port 0. */
  readonly address: ListenAddress
  readonly replaceTls: (tls: TlsMaterial) => void
  /** Takes nothing new, finishes what was accepted, and cuts what is not done by the deadline. */
  readonly close: (deadlineMs: number) => Promise<void>
}

const usualTimeouts: Timeouts = {
  handshakeMs: 10_000,
  headersMs: 10_000,
  requestMs: 30_000,
  drainMs: 10_000,
  idleMs: 75_000,
  checkMs: 5_000,
  silentMs: 1_000,
}
const maxHeaderBytes = 16 * 1024
const lookAgainMs = 20

/** Mozilla's intermediate profile asks for these and no older ones. */
const tlsVersions = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' } as const

/**
 * Of a client that shows a certificate, a session that is resumed keeps the leaf alone: the intermediates that its path
 * needs would be missing from then on. So each connection has a handshake of its own, which proves the key anew.
 */
const eachConnectionShowsItsCertificates = { secureOptions: cryptoConstants.SSL_OP_NO_TICKET } as const

function tlsContext({ clientCertificates = true }: Pick<ListenerOptions, 'clientCertificates'>) {
  return { ...tlsVersions, ...(clientCertificates && eachConnectionShowsItsCertificates) }
}

export async function listen(options: ListenerOptions): Promise<Listener> {
  const { address, tls, timeouts = usualTimeouts } = options
  const { handle, answering, stop } = bounded(options, timeouts)
  const server = tls
    ? createTlsServer(tls, timeouts, { ...options, handle })
    : createServer(httpOptions(timeouts), handle)
  if (options.unreadable) answerClientErrors(server, answering, options.unreadable)
  const connections = trackConnections(server, timeouts)
  if (address.kind === 'unix') await removeStaleSocket(address)
  await bind(server, options)
  if (address.kind === 'unix' && options.mode !== undefined) await setMode(server, address, options.mode)
  const stopCutting = cutUndrained(answering, timeouts.drainMs)

  return {
    address: boundAddress(server, address),
    replaceTls: (next) => (server as Http2SecureServer).setSecureContext({ ...next, ...tlsContext(options) }),
    async close(deadlineMs) {
      stop()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      connections.finish()
      const cut = setTimeout(connections.cut, deadlineMs)
      const look = setInterval(connections.closeIdle, lookAgainMs)
      await closed
      stopCutting()
      clearInterval(look)
      clearTimeout(cut)
    },
  }
}

function httpOptions({ headersMs, requestMs, idleMs, checkMs }: Timeouts) {
  return {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    keepAliveTimeout: idleMs,
    connectionsCheckingInterval: checkMs,
  }
}

/** A client certificate may be shown; whether it is a proof is decided at each request, never by the handshake. */
function createTlsServer(
  tls: TlsMaterial,
  timeouts: Timeouts,
  { handle, clientCertificates = true }: Pick<ListenerOptions, 'handle' | 'clientCertificates'>,
): Http2SecureServer {
  const server = createSecureServer(
    {
      ...tls,
      ...tlsContext({ clientCertificates }),
      allowHTTP1: true,
      requestCert: clientCertificates,
      rejectUnauthorized: false,
      handshakeTimeout: timeouts.handshakeMs,
      maxSessionMemory: 10,
      settings: { maxConcurrentStreams: 100, maxHeaderListSize: maxHeaderBytes },
      ...httpOptions(timeouts),
    } as Parameters<typeof createSecureServer>[0],
    handle as never,
  )
  server.on('sessionError', () => undefined)
  return server
}

/** Has every request end in time, and every answer of HTTP/1.1 that is given during a stop say that it is the last. */
function bounded({ handle, unreadable }: Pick<ListenerOptions, 'handle' | 'unreadable'>, { requestMs }: Timeouts) {
  const answering = createRoster<ServerResponse>()
  let stopping = false
  const lastOf = (response: ServerResponse) => {
    response.shouldKeepAlive = false
  }
  return {
    answering,
    handle: (request: IncomingMessage, response: ServerResponse): void => {
      const entry = answering.add(response)
      response.once('close', () => answering.delete(entry))
      if (request.httpVersionMajor === 2) {
        boundStream(request as unknown as Http2ServerRequest, requestMs)
        // Node itself keeps to the limit only once the peer has acknowledged our settings: not for its first requests.
        if (headerListSize(request.rawHeaders) > maxHeaderBytes) {
          refuseHeaders(request, response, unreadable)
          return
        }
      } else if (stopping) lastOf(response)
      handle(request, response)
    },
    stop(): void {
      stopping = true
      for (const response of answering) lastOf(response)
    },
  }
}

function boundStream({ stream }: Http2ServerRequest, requestMs: number): void {
  if (stream.endAfterHeaders) return
  const late = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), requestMs)
  const inTime = () => clearTimeout(late)
  stream.once('end', inTime)
  stream.once('close', inTime)
}

function trackConnections(server: Server | Http2SecureServer, { idleMs, silentMs }: Timeouts) {
  let stopping = false
  const sockets = new Set<Socket>()
  /** Over TLS, without a request yet. */
  const silent = new Set<TLSSocket>()
  const sessions = new Set<ServerHttp2Session>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.alpnProtocol === 'h2') return
    silent.add(socket)
    socket.once('close', () => silent.delete(socket))
    if (stopping) endSilent(socket)
  })
  server.on('request', ({ socket }: IncomingMessage) => silent.delete(socket as TLSSocket))
  server.on('session', (session: ServerHttp2Session) => {
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
    session.on('error', () => undefined)
    session.setTimeout(idleMs, () => session.destroy())
    if (stopping) session.close()
  })
  // What it has sent may be under way.
  const endSilent = (socket: TLSSocket) => {
    setTimeout(() => silent.has(socket) && socket.destroy(), silentMs).unref()
  }
  const closeIdle = () => {
    if ('closeIdleConnections' in server) server.closeIdleConnections()
  }
  return {
    closeIdle,
    finish() {
      stopping = true
      for (const session of sessions) session.close()
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
      for (const socket of silent) endSilent(socket)
      closeIdle()
    },
    cut() {
      for (const socket of sockets) socket.destroy()
    },
  }
}

function bind(server: Server | Http2SecureServer, { address, mode }: ListenerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => reject(new ListenError(address, error))
    server.once('error', failed)
    const bound = () => {
      server.off('error', failed)
      resolve()
    }
    if (address.kind === 'unix') listenWithMask(mode, () => server.listen({ path: address.path }, bound))
    else server.listen({ host: address.host, port: address.port, backlog: 1024 }, bound)
  })
}

/** What the mask did not do, as where the folder has default ACLs. */
async function setMode(server: Server | Http2SecureServer, address: UnixAddress, mode: number): Promise<void> {
  try {
    await chmod(address.path, mode)
  } catch (error) {
    server.close()
    throw new ListenError(address, error as NodeJS.ErrnoException)
  }
}

type UnixAddress = Extract<ListenAddress, { kind: 'unix' }>

/** The socket is made within the call: from its first moment on nobody else can open it. */
function listenWithMask(mode: number | undefined, listenNow: () => void): void {
  const former = mode === undefined ? process.umask() : process.umask(0o777 & ~mode)
  try {
    listenNow()
  } finally {
    process.umask(former)
  }
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
          : cause.code === 'ENOTSOCK'
            ? 'what is there is no socket and is left alone: choose another path'
            : (cause.code ?? cause.message)
    super(`cannot listen on ${where}: ${why}`, { cause })
  }
}

/**
 * A socket file that nobody listens on any more, as kill -9 leaves it, would keep the next one from starting.
 *
 * @throws {ListenError} where something else has the name, which may be a key
 */
async function removeStaleSocket(address: UnixAddress): Promise<void> {
  const { path } = address
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket()) throw new ListenError(address, Object.assign(new Error('not a socket'), { code: 'ENOTSOCK' }))
  if (!(await isListenedOn(path))) await unlink(path).catch(() => undefined)
}

function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path }, () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
}
