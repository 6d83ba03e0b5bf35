/**
 * What a peer is told whose bytes become no request: they are too many, too late, or no HTTP.
 *
 * @module
 */
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import { constants, type Http2SecureServer, type Http2ServerRequest } from 'node:http2'
import type { Socket } from 'node:net'
import { Refusal } from '../core/refusal.ts'
import type { Answer } from '../http/answer.ts'
import { canonicalAddress } from '../http/client-address.ts'
import { problemAnswer } from '../http/problem.ts'
import type { AccessLog } from './access-log.node.ts'

export interface Unreadable {
  readonly status: keyof typeof codes
  /** Of the peer of the connection. */
  readonly address: string
  /** Version of HTTP. */
  readonly protocol: '1.1' | '2.0'
  /** To a request whose head was read, and whose body was not. */
  readonly response?: ServerResponse
}

export type AnswerUnreadable = (unreadable: Unreadable) => Answer

const codes = {
  400: 'malformed_request',
  408: 'request_timeout',
  413: 'too_large',
  431: 'headers_too_large',
} as const

/** Problem details with a request id, and a line in `log` for what has none yet. */
export function createUnreadableAnswer(newRequestId: () => string, log?: AccessLog): AnswerUnreadable {
  return (unreadable) => {
    const known = unreadable.response && log?.requestIdOf(unreadable.response)
    const requestId = known ?? newRequestId()
    if (known === undefined) log?.unreadable(unreadable, requestId)
    const answer = problemAnswer(new Refusal(codes[unreadable.status], 'no request could be read'), requestId)
    return { ...answer, headers: { ...answer.headers, 'x-request-id': requestId } }
  }
}

/** In place of the bare status that Node answers over HTTP/1.1. @param answering Responses that are not closed. */
export function answerClientErrors(
  server: Server | Http2SecureServer,
  answering: Iterable<ServerResponse>,
  answer: AnswerUnreadable,
): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const response = [...answering].find((open) => open.socket === socket)
    if (socket.writable && response?.headersSent !== true) {
      const status = statusOf(error)
      const peer = { status, address: canonicalAddress(socket.remoteAddress ?? ''), protocol: '1.1' } as const
      // Its own line in the log is written when the connection closes.
      if (response) response.statusCode = status
      socket.write(formatHttp1(answer({ ...peer, ...(response && { response }) })))
    }
    socket.destroySoon()
  })
}

function statusOf({ code }: NodeJS.ErrnoException): Unreadable['status'] {
  if (code === 'HPE_HEADER_OVERFLOW') return 431
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return 413
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
}

function formatHttp1({ status, headers, body }: Answer): string {
  const fields = {
    ...headers,
    date: new Date().toUTCString(),
    connection: 'close',
    'content-length': Buffer.byteLength(body),
  }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`
}

/** As `SETTINGS_MAX_HEADER_LIST_SIZE` counts them (RFC 9113 §6.5.2), in bytes. */
export function headerListSize(rawHeaders: readonly string[]): number {
  return rawHeaders.reduce((size, part) => size + part.length, 16 * rawHeaders.length)
}

/** Answers 431 and takes nothing more of the stream. */
export function refuseHeaders(request: IncomingMessage, response: ServerResponse, answer?: AnswerUnreadable): void {
  const address = canonicalAddress(request.socket.remoteAddress ?? '')
  const { headers, body } = answer?.({ status: 431, address, protocol: '2.0' }) ?? { headers: {}, body: '' }
  const { stream } = request as unknown as Http2ServerRequest
  response.writeHead(431, headers).end(body, () => stream.close(constants.NGHTTP2_NO_ERROR))
}
