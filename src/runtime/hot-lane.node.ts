/**
 * The few routes that carry nearly all of the load, answered in front of Hono: the same code over the same call, without
 * a `Request` and a `Response` made for each.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Gateway } from '../core/gateway.ts'
import type { Telemetry } from '../core/telemetry.ts'
import type { Answer } from '../http/answer.ts'
import {
  type Connection,
  decodeBody,
  documentFor,
  noteRefusal,
  readCall,
  tooLarge,
  withoutIssuerPath,
} from '../http/app.ts'
import { maxBodyBytes, requireMediaType } from '../http/body.ts'
import { problemAnswer } from '../http/problem.ts'
import { isDocumentPath } from '../http/routes/discovery.ts'
import { type HotRoute, svidRoutes } from '../http/routes/svid.ts'

export interface HotLaneDeps {
  readonly gateway: Gateway
  readonly telemetry: Telemetry
  readonly connection: (request: IncomingMessage) => Connection
}

/** Takes a request that it knows and answers true, or leaves it alone and answers false. */
export type HotLane = (request: IncomingMessage, response: ServerResponse, requestId: string) => boolean

export function createHotLane(deps: HotLaneDeps): HotLane {
  const routes = svidRoutes(deps.gateway)
  return (request, response, requestId) => {
    const { method, url = '/' } = request
    const path = withoutIssuerPath(deps.gateway, url)
    if (method === 'POST') {
      const route = Object.hasOwn(routes, path) ? routes[path] : undefined
      if (route === undefined) return false
      void answerHot(deps, route, { request, response, requestId })
      return true
    }
    if (method !== 'GET' || !isDocumentPath(path)) return false
    void answerWith(deps, { requestId, response }, async () =>
      documentFor(deps.gateway, path, undefined, request.headers['if-none-match']),
    )
    return true
  }
}

interface Arrival {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly requestId: string
}

async function answerHot(deps: HotLaneDeps, route: HotRoute, { request, response, requestId }: Arrival): Promise<void> {
  const call = readCall(requestId, deps.connection(request), (name) => headerOf(request, name))
  await answerWith(
    deps,
    { requestId, response, refused: (error) => noteRefusal(deps, { call, operation: route.operation }, error) },
    async () => {
      requireMediaType(request.headers['content-type'], 'application/json')
      return route.answer(call, await readBody(request))
    },
  )
}

interface Exchange {
  readonly requestId: string
  readonly response: ServerResponse
  readonly refused?: (error: unknown) => ReturnType<typeof noteRefusal>
}

async function answerWith(deps: HotLaneDeps, exchange: Exchange, answer: () => Promise<Answer>): Promise<void> {
  const { requestId, response } = exchange
  try {
    write(response, requestId, await answer())
  } catch (error) {
    const call = { requestId, address: '' }
    const refusal = await (exchange.refused?.(error) ?? noteRefusal(deps, { call, operation: undefined }, error))
    write(response, requestId, problemAnswer(refusal, requestId))
  }
}

function write(response: ServerResponse, requestId: string, { status, headers, body }: Answer): void {
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  const bodyless = status === 304
  response.writeHead(status, { ...headers, 'x-request-id': requestId, ...(!bodyless && { 'content-length': length }) })
  response.end(bodyless ? undefined : body)
}

/** One that is sent twice says nothing: Node joins most headers with commas, and a token has none. */
function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

function readBody(request: IncomingMessage): Promise<string> {
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) return Promise.reject(tooLarge())
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= maxBodyBytes) chunks.push(chunk)
      else reject(tooLarge())
    })
    request.on('end', () => {
      try {
        resolve(decodeBody(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)))
      } catch (error) {
        reject(error)
      }
    })
    request.on('error', reject)
    request.on('close', () => reject(new Error('the connection closed before the body was complete')))
  })
}
