/**
 * HTTP clients for what `fetch` does not do: unix sockets, client certificates, HTTP/2, and requests that are wrong.
 *
 * @module
 */
import { type Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { connect as connectTcp, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { ListenAddress } from '../../src/core/listen-address.ts'

export interface WireTarget {
  readonly address: ListenAddress
  /** Absent: no TLS. */
  readonly tls?: ConnectionOptions
}

export interface WireRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Uint8Array
  /** Keeps connections; without one each request has its own. */
  readonly agent?: Agent
}

export interface WireAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly json: () => Record<string, unknown>
}

function place({ address }: WireTarget) {
  return address.kind === 'unix' ? { socketPath: address.path } : { host: address.host, port: address.port }
}

function answer(status: number, headers: IncomingHttpHeaders, chunks: readonly Buffer[]): WireAnswer {
  const text = Buffer.concat(chunks).toString('utf8')
  return { status, headers, text, json: () => JSON.parse(text) as Record<string, unknown> }
}

/** HTTP/1.1. */
export function send(target: WireTarget, path: string, wanted: WireRequest = {}): Promise<WireAnswer> {
  const { method = 'GET', headers = {}, body, agent = false } = wanted
  const answered = Promise.withResolvers<WireAnswer>()
  const options = { ...place(target), ...target.tls, path, method, headers: headers as Record<string, string>, agent }
  const outgoing = target.tls ? httpsRequest({ ...options, servername: target.tls.servername }) : httpRequest(options)
  outgoing.on('error', answered.reject)
  outgoing.on('response', (incoming) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('error', answered.reject)
    incoming.on('end', () => answered.resolve(answer(incoming.statusCode ?? 0, incoming.headers, chunks)))
  })
  outgoing.end(body)
  return answered.promise
}

export interface Http2Client {
  readonly session: ClientHttp2Session
  readonly send: (path: string, wanted?: Omit<WireRequest, 'agent'>) => Promise<WireAnswer>
  readonly close: () => Promise<void>
}

/** HTTP/2 over TLS, one connection. */
export async function openHttp2(target: WireTarget): Promise<Http2Client> {
  const session = connectHttp2('https://gateway.test', { createConnection: () => openTls(target, ['h2']) })
  const opened = Promise.withResolvers<void>()
  session.once('connect', () => opened.resolve()).once('error', opened.reject)
  await opened.promise
  session.on('error', () => undefined)

  return {
    session,
    send: (path, wanted = {}) => sendHttp2(session, path, wanted),
    async close() {
      const closed = Promise.withResolvers<void>()
      if (session.destroyed) return
      session.close(() => closed.resolve())
      await closed.promise
    },
  }
}

function sendHttp2(session: ClientHttp2Session, path: string, wanted: WireRequest): Promise<WireAnswer> {
  const { method = 'GET', headers = {}, body } = wanted
  const answered = Promise.withResolvers<WireAnswer>()
  const stream = session.request({ ':method': method, ':path': path, ...headers }, { endStream: body === undefined })
  const chunks: Buffer[] = []
  let received: IncomingHttpHeaders & { ':status'?: number } = {}
  stream.on('response', (head) => {
    received = head as typeof received
  })
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('error', answered.reject)
  stream.on('close', () => {
    const status = received[':status']
    if (status === undefined) answered.reject(new Error(`the stream ended without an answer: ${stream.rstCode}`))
    else answered.resolve(answer(status, received, chunks))
  })
  if (body !== undefined) stream.end(body)
  return answered.promise
}

export function openTls(target: WireTarget, protocols: readonly string[] = ['http/1.1']) {
  return connectTls({ ...place(target), ALPNProtocols: [...protocols], ...target.tls })
}

export function openSocket(target: WireTarget): Socket {
  const { address } = target
  return address.kind === 'unix' ? connectTcp(address.path) : connectTcp(address.port, address.host)
}

/** Sends bytes as they are and answers everything that comes back until the other side closes. */
export function sendRaw(target: WireTarget, bytes: string | Uint8Array): Promise<string> {
  const socket = target.tls ? openTls(target) : openSocket(target)
  const ended = Promise.withResolvers<string>()
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('error', () => ended.resolve(Buffer.concat(chunks).toString('latin1')))
  socket.on('close', () => ended.resolve(Buffer.concat(chunks).toString('latin1')))
  socket.write(bytes)
  return ended.promise
}
