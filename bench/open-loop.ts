/**
 * Load at a fixed rate, whatever the answers do, by exponential pauses: callers who know nothing of each other. Each
 * request goes over a free connection of a pool; latency counts from the moment at which it was due. Where no connection is
 * free the request is not sent, and counted as such.
 *
 * Prepared bytes over plain sockets, so that one core offers several times what a server on another one answers. Without
 * a rate each connection sends again as soon as it has its answer.
 *
 *     node bench/open-loop.ts PLAN
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { LoadRequest } from './request.ts'

export interface OpenLoopPlan {
  readonly port: number
  /** Over TLS, whoever the server is; with a client certificate, PEM, where one is given. */
  readonly tls?: { readonly cert?: string; readonly key?: string }
  /** Sent in turn. */
  readonly requests: readonly LoadRequest[]
  /** Each is sent once: a run that needs more than there are fails. */
  readonly once?: boolean
  readonly connections: number
  /** Absent: as fast as the connections have their answers. */
  readonly perSecond?: number
  readonly warmUpSeconds: number
  readonly seconds: number
}

/** Of the time after the warm-up. Rates are per second. */
export interface OpenLoopResult {
  readonly offered: number
  /** Due while no connection was free. */
  readonly unsent: number
  readonly accepted: number
  /** Answered with 503. */
  readonly refused: number
  /** Other answers, and connections that broke, as a count. */
  readonly failed: number
  readonly acceptedP50Ms: number
  readonly acceptedP99Ms: number
  readonly refusedP99Ms: number
}

interface Connection {
  socket: Socket
  dueMs: number
  status: number
  /** Bytes of the answer that are still to come; below 0 while its head is not there. */
  rest: number
}

const plan = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as OpenLoopPlan
const requests = plan.requests.map(formatRequest)
const readBuffer = Buffer.allocUnsafe(64 * 1024)
const free: Connection[] = []
const latencies: { readonly accepted: number[]; readonly refused: number[] } = { accepted: [], refused: [] }
const counts = { sent: 0, offered: 0, unsent: 0, failed: 0 }
let startMs = Number.POSITIVE_INFINITY
let endMs = Number.POSITIVE_INFINITY

await Promise.all(Array.from({ length: plan.connections }, () => open()))
startMs = performance.now() + plan.warmUpSeconds * 1000
endMs = startMs + plan.seconds * 1000
await (plan.perSecond === undefined ? sendInClosedLoop() : sendAtRate(plan.perSecond))
console.log(JSON.stringify(summarise()))
process.exit()

function formatRequest({ method, path, headers, body = '' }: LoadRequest): Buffer {
  const fields = { host: '127.0.0.1', ...headers, 'content-length': String(Buffer.byteLength(body)) }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`)
}

/** One that the server closes is opened again. */
function open(): Promise<void> {
  return new Promise((resolve) => {
    const connection: Connection = { socket: undefined as unknown as Socket, dueMs: 0, status: 0, rest: -1 }
    const socket = plan.tls ? connectWithTls(plan.tls, connection) : connectPlain(connection)
    connection.socket = socket
    socket.once(plan.tls ? 'secureConnect' : 'connect', () => {
      free.push(connection)
      resolve()
    })
    socket.once('error', () => undefined)
    socket.once('close', () => {
      const at = free.indexOf(connection)
      if (at >= 0) free.splice(at, 1)
      else counts.failed += 1
      resolve()
      if (performance.now() < endMs) void open()
    })
  })
}

function connectPlain(connection: Connection): Socket {
  const callback = (length: number) => {
    read(connection, readBuffer, length)
    return true
  }
  return connect({ port: plan.port, host: '127.0.0.1', noDelay: true, onread: { buffer: readBuffer, callback } })
}

function connectWithTls(
  certificate: { readonly cert?: string; readonly key?: string },
  connection: Connection,
): Socket {
  const socket = connectTls({ ...certificate, port: plan.port, host: '127.0.0.1', rejectUnauthorized: false })
  socket.setNoDelay(true)
  return socket.on('data', (chunk: Buffer) => read(connection, chunk, chunk.length))
}

function send(connection: Connection, dueMs: number): void {
  connection.dueMs = dueMs
  connection.rest = -1
  connection.socket.write(nextRequest())
}

function nextRequest(): Buffer {
  const bytes = requests[counts.sent % requests.length]
  if (bytes === undefined || (plan.once && counts.sent >= requests.length)) throw new Error('the requests did not last')
  counts.sent += 1
  return bytes
}

/** Answers are small and come in one piece, but for the last of a full buffer: the head is in the first piece. */
function read(connection: Connection, bytes: Buffer, length: number): void {
  if (connection.rest >= 0) connection.rest -= length
  else {
    const head = bytes.toString('latin1', 0, Math.min(length, 1024))
    const bodyStart = head.indexOf('\r\n\r\n') + 4
    connection.status = Number(head.slice(9, 12))
    connection.rest = bodyStart + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0) - length
  }
  if (connection.rest > 0) return
  note(connection)
  if (plan.perSecond === undefined && performance.now() < endMs) send(connection, performance.now())
  else free.push(connection)
}

function note({ dueMs, status }: Connection): void {
  const nowMs = performance.now()
  if (nowMs < startMs || nowMs >= endMs) return
  if (status === 503) latencies.refused.push(nowMs - dueMs)
  else if (status >= 200 && status < 300) latencies.accepted.push(nowMs - dueMs)
  else counts.failed += 1
}

/** Turns without pause, as a timer would send in bursts of a millisecond. */
function sendAtRate(perSecond: number): Promise<void> {
  const pause = () => (-Math.log(1 - Math.random()) * 1000) / perSecond
  let dueMs = performance.now()
  return new Promise((resolve) => {
    const turn = () => {
      const nowMs = performance.now()
      for (; dueMs <= nowMs; dueMs += pause()) offer(dueMs)
      if (nowMs < endMs) setImmediate(turn)
      else resolve()
    }
    turn()
  })
}

function offer(dueMs: number): void {
  const counted = dueMs >= startMs && dueMs < endMs
  const connection = free.pop()
  if (counted) counts.offered += 1
  if (connection) send(connection, dueMs)
  else if (counted) counts.unsent += 1
}

function sendInClosedLoop(): Promise<void> {
  for (const connection of free.splice(0)) send(connection, performance.now())
  return new Promise((resolve) => setTimeout(resolve, endMs - performance.now()))
}

function summarise(): OpenLoopResult {
  const { accepted, refused } = latencies
  return {
    offered: counts.offered / plan.seconds,
    unsent: counts.unsent / plan.seconds,
    accepted: accepted.length / plan.seconds,
    refused: refused.length / plan.seconds,
    failed: counts.failed,
    acceptedP50Ms: quantile(accepted, 0.5),
    acceptedP99Ms: quantile(accepted, 0.99),
    refusedP99Ms: quantile(refused, 0.99),
  }
}

/** 0 where there was nothing. */
function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
