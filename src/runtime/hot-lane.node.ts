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
  cutOff,
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
      requireMediaType(headerOf(request, 'content-type'), 'application/json')
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
  const head: (string | number)[] = ['x-request-id', requestId]
  for (const name in headers) head.push(name, headers[name] ?? '')
  if (!bodyless) head.push('content-length', length)
  response.writeHead(status, head)
  response.end(bodyless ? undefined : body)
}

/** All that was sent under a name, as `Headers` has it: Node itself would take the first of two and say nothing. */
function headerOf({ rawHeaders }: IncomingMessage, name: string): string | undefined {
  let value: string | undefined
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const raw = rawHeaders[at]
    if (raw?.length !== name.length || raw.toLowerCase() !== name) continue
    value = value === undefined ? rawHeaders[at + 1] : `${value}, ${rawHeaders[at + 1]}`
  }
  return value
}

function readBody(request: IncomingMessage): Promise<string> {
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) return Promise.reject(tooLarge())
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    let ended = false
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= maxBodyBytes) chunks.push(chunk)
      else reject(tooLarge())
    })
    request.on('end', () => {
      ended = true
      // HTTP/2 ends a body that was cut off as it ends a whole one.
      if (request.aborted) return reject(cutOff())
      try {
        resolve(decodeBody(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)))
      } catch (error) {
        reject(error)
      }
    })
    request.on('error', (cause) => reject(cutOff(cause)))
    // It closes after its end as well, and an error that nobody sees costs a twentieth of the whole answer.
    request.on('close', () => {
      if (!ended) reject(cutOff())
    })
  })
}
