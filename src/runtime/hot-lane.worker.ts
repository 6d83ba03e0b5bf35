/**
 * The routes that carry nearly all of the load, answered in front of Hono: the same code over the same call, without a
 * context made for each.
 *
 * @module
 */
import type { Gateway } from '../core/gateway.ts'
import type { Telemetry } from '../core/telemetry.ts'
import type { Answer } from '../http/answer.ts'
import { cutOff, decodeBody, maxBodyBytes, requireMediaType } from '../http/body.ts'
import { type Connection, readCall } from '../http/incoming-call.ts'
import { noteRefusal } from '../http/note-refusal.ts'
import { problemAnswer } from '../http/problem.ts'
import { withoutIssuerPath } from '../http/request-path.ts'
import { type HotRoute, svidRoutes } from '../http/routes/svid.ts'

export interface HotLaneDeps {
  readonly gateway: Gateway
  readonly telemetry: Telemetry
  readonly newRequestId: () => string
  readonly connection: (headers: Headers) => Connection
}

/** The answer of a request that it knows; every other one it leaves alone. */
export type HotLane = (request: Request) => Promise<Response> | undefined

export function createHotLane(deps: HotLaneDeps): HotLane {
  const routes = svidRoutes(deps.gateway)
  return (request) => {
    if (request.method !== 'POST') return undefined
    const path = withoutIssuerPath(deps.gateway, pathOf(request.url))
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined
    // A body of unknown length is read with a count of it, and one that is too long not at all.
    const bytes = Number(request.headers.get('content-length') ?? Number.NaN)
    return route === undefined || !(bytes <= maxBodyBytes) ? undefined : answerHot(deps, route, request)
  }
}

/** From the path on, with the query, as no query is known here. */
function pathOf(url: string): string {
  return url.slice(url.indexOf('/', 'https://'.length))
}

async function answerHot(deps: HotLaneDeps, route: HotRoute, request: Request): Promise<Response> {
  const { headers } = request
  const requestId = deps.newRequestId()
  const header = (name: string) => headers.get(name) ?? undefined
  const call = readCall(requestId, deps.connection(headers), { header, bare: false })
  try {
    requireMediaType(header('content-type'), 'application/json')
    return respond(requestId, await route.answer(call, decodeBody(await readBytes(request))))
  } catch (error) {
    const refusal = await noteRefusal(deps, { call, operation: route.operation }, error)
    return respond(requestId, problemAnswer(refusal, requestId))
  }
}

async function readBytes(request: Request): Promise<Uint8Array> {
  try {
    return new Uint8Array(await request.arrayBuffer())
  } catch (cause) {
    throw cutOff(cause)
  }
}

function respond(requestId: string, { status, headers, body }: Answer): Response {
  return new Response(body as string, { status, headers: { ...headers, 'x-request-id': requestId } })
}
