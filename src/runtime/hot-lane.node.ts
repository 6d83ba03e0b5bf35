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
import { cutOff, decodeBody, maxBodyBytes, requireMediaType, tooLarge } from '../http/body.ts'
import { type Connection, readCall } from '../http/incoming-call.ts'
import { noteRefusal } from '../http/note-refusal.ts'
import { problemAnswer } from '../http/problem.ts'
import { withoutIssuerPath } from '../http/request-path.ts'
import { credentialsAnswer, credentialsPath, readTargetName } from '../http/routes/credentials.ts'
import { type DocumentPath, documentFor, isDocumentPath } from '../http/routes/discovery.ts'
import { livezAnswer, readyzAnswer, readyzDocumentsAnswer } from '../http/routes/health.ts'
import { type HotRoute, svidRoutes } from '../http/routes/svid.ts'
import { isWholeBody } from './whole-body.node.ts'

export interface HotLaneDeps {
  readonly gateway: Gateway
  readonly telemetry: Telemetry
  readonly connection: (request: IncomingMessage) => Connection
  readonly now: () => Date
}

/** Takes a request that it knows and answers true, or leaves it alone and answers false. */
export type HotLane = (request: IncomingMessage, response: ServerResponse, requestId: string) => boolean

export function createHotLane(deps: HotLaneDeps): HotLane {
  const routes = svidRoutes(deps.gateway)
  const write = createWriter()
  const lane = { ...deps, write }
  return (request, response, requestId) => {
    const { method, url = '/' } = request
    const path = withoutIssuerPath(deps.gateway, url)
    const arrival = { request, response, requestId }
    if (method === 'POST') {
      const route = Object.hasOwn(routes, path) ? routes[path] : undefined
      if (route === undefined) return false
      void answerHot(lane, route, arrival)
      return true
    }
    if (method !== 'GET') return false
    if (Object.hasOwn(probes, path)) {
      void answerProbe(lane, path, arrival)
      return true
    }
    if (path.startsWith(credentialsPath)) {
      void answerCredentials(lane, path, arrival)
      return true
    }
    if (!isDocumentPath(path)) return false
    answerDocument(lane, path, arrival)
    return true
  }
}

interface LaneDeps extends HotLaneDeps {
  readonly write: Writer
}

interface Arrival {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly requestId: string
}

async function answerHot(deps: LaneDeps, route: HotRoute, arrival: Arrival): Promise<void> {
  const { request, requestId } = arrival
  const header = (name: string) => headerOf(request, name)
  const call = readCall(requestId, deps.connection(request), { header, bare: false })
  try {
    requireMediaType(headerOf(request, 'content-type'), 'application/json')
    deps.write(arrival, await route.answer(call, await readBody(request)))
  } catch (error) {
    const refusal = await noteRefusal(deps, { call, operation: route.operation }, error)
    deps.write(arrival, problemAnswer(refusal, requestId))
  }
}

async function answerCredentials(deps: LaneDeps, url: string, arrival: Arrival): Promise<void> {
  const { request, requestId } = arrival
  const header = (name: string) => headerOf(request, name)
  const call = readCall(requestId, deps.connection(request), { header, bare: true })
  const mark = url.indexOf('?')
  let operation: string | undefined
  try {
    const target = readTargetName(mark < 0 ? url : url.slice(0, mark))
    const query = { target, search: mark < 0 ? '' : url.slice(mark + 1) }
    operation = 'exchange'
    deps.write(arrival, await credentialsAnswer(deps.gateway, call, query, deps.now()))
  } catch (error) {
    const refusal = await noteRefusal(deps, { call, operation }, error)
    deps.write(arrival, problemAnswer(refusal, requestId))
  }
}

/** Probes come from the first moment on, and are to cost nothing. */
const probes: Readonly<Record<string, (gateway: Gateway) => Answer | Promise<Answer>>> = {
  '/livez': livezAnswer,
  '/readyz': readyzAnswer,
  '/readyz/documents': readyzDocumentsAnswer,
}

async function answerProbe({ gateway, write }: LaneDeps, path: string, arrival: Arrival): Promise<void> {
  const answer = probes[path]
  if (answer) write(arrival, await answer(gateway))
}

function answerDocument(deps: LaneDeps, path: DocumentPath, arrival: Arrival): void {
  const { request, requestId } = arrival
  try {
    deps.write(arrival, documentFor(deps.gateway, path, undefined, request.headers['if-none-match']))
  } catch (error) {
    const origin = { call: { requestId, address: '' }, operation: undefined }
    void noteRefusal(deps, origin, error).then((refusal) => deps.write(arrival, problemAnswer(refusal, requestId)))
  }
}

type Writer = (arrival: Arrival, answer: Answer) => void

/** Bytes of a document are kept as text, as Node sends a text together with the head and bytes after it. */
function createWriter(): Writer {
  const texts = new WeakMap<Uint8Array, string>()

  function textOf(bytes: Uint8Array): string {
    const known = texts.get(bytes)
    if (known !== undefined) return known
    const text = Buffer.from(bytes).toString('latin1')
    texts.set(bytes, text)
    return text
  }

  return ({ response, requestId }, { status, headers, body }) => {
    const head: (string | number)[] = ['x-request-id', requestId]
    for (const name in headers) head.push(name, headers[name] ?? '')
    if (status === 304) {
      response.writeHead(status, head).end()
      return
    }
    head.push('content-length', typeof body === 'string' ? Buffer.byteLength(body) : body.length)
    response.writeHead(status, head)
    if (typeof body === 'string') response.end(body)
    else response.end(textOf(body), 'latin1')
  }
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
    const conclude = (isWhole: boolean) => {
      if (!isWhole) return reject(cutOff())
      try {
        resolve(decodeBody(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)))
      } catch (error) {
        reject(error)
      }
    }
    request.on('end', () => {
      ended = true
      const isWhole = isWholeBody(request)
      if (typeof isWhole === 'boolean') conclude(isWhole)
      else void isWhole.then(conclude)
    })
    request.on('error', (cause) => reject(cutOff(cause)))
    // It closes after its end as well, and an error that nobody sees costs a twentieth of the whole answer.
    request.on('close', () => {
      if (!ended) reject(cutOff())
    })
  })
}
