/**
 * One line and two measurements for each request. The path is the one that was asked for, without its query; headers and
 * bodies are never in it.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RequestTracing } from '../adapters/telemetry/opentelemetry.node.ts'
import type { Telemetry } from '../core/telemetry.ts'
import type { Connection } from '../http/incoming-call.ts'
import { credentialsPath } from '../http/routes/credentials.ts'
import type { Unreadable } from './unreadable.node.ts'

export interface AccessLogDeps {
  readonly telemetry: Telemetry
  readonly connection: (request: IncomingMessage) => Connection
  /** The route that a path stands for. Default: the path itself. */
  readonly routeOf?: (path: string) => string
  /** Writes the line of a request where its trace is known. */
  readonly within?: RequestTracing['within']
}

const knownRoutes = new Set([
  '/.well-known/openid-configuration',
  '/keys',
  '/v1/bundle',
  '/v1/identities',
  '/v1/svid/jwt',
  '/v1/svid/x509',
  '/v1/svids',
  '/token',
  '/openapi.json',
  '/livez',
  '/readyz',
  '/readyz/documents',
])
const kvFolder = /^\/v1\/kv\/(?:data|metadata|delete|undelete|destroy)\//
const bundlesPath = '/v1/bundles/'
const maxLoggedPath = 256

export interface AccessLog {
  /** Writes the line when the response is closed. */
  readonly begin: (request: IncomingMessage, response: ServerResponse, requestId: string) => void
  /** The line of what never became a request. */
  readonly unreadable: (unreadable: Unreadable, requestId: string) => void
  /** Of a request whose response is not closed. */
  readonly requestIdOf: (response: ServerResponse) => string | undefined
}

/** The same for all targets, secrets and trust domains, as there may be any number of them. */
export function nameRoute(path: string): string {
  if (knownRoutes.has(path)) return path
  const folder = kvFolder.exec(path)?.[0]
  if (folder !== undefined) return `${folder}{path}`
  if (path.startsWith(credentialsPath)) return `${credentialsPath}{target}`
  return path.startsWith(bundlesPath) ? `${bundlesPath}{trust_domain}` : 'other'
}

export function createAccessLog({
  telemetry,
  connection,
  routeOf = (path) => path,
  within = (_, work) => work(),
}: AccessLogDeps): AccessLog {
  // Weak, as a `Map` of what comes and goes is hard on the garbage collector: roster.ts.
  const requestIds = new WeakMap<ServerResponse, string>()
  let inFlight = 0
  function begin(request: IncomingMessage, response: ServerResponse, requestId: string): void {
    const startedMs = performance.now()
    // Read now: a connection that is gone does not say who it was.
    const { address } = connection(request)
    requestIds.set(response, requestId)
    inFlight += 1
    telemetry.gauge('apostille_http_requests_in_flight', inFlight)
    response.on('close', () => {
      requestIds.delete(response)
      inFlight -= 1
      telemetry.gauge('apostille_http_requests_in_flight', inFlight)
      const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
      const asked = routeOf(path)
      const route = nameRoute(asked)
      const durationMs = performance.now() - startedMs
      telemetry.count('apostille_http_requests_total', { route, status: response.statusCode })
      telemetry.observe('apostille_http_request_duration_seconds', durationMs / 1000, { route })
      const fields = {
        request_id: requestId,
        method: request.method,
        path: path.slice(0, maxLoggedPath),
        status: response.statusCode,
        duration_ms: Math.round(durationMs * 1000) / 1000,
        address,
        protocol: request.httpVersion,
        ...(!response.writableFinished && { aborted: true }),
      }
      const level = response.statusCode >= 500 ? 'warning' : 'info'
      within(response, () => telemetry.log(level, 'request', fields))
    })
  }
  return {
    begin,
    unreadable({ address, protocol, status }, requestId) {
      telemetry.count('apostille_http_requests_total', { route: 'other', status })
      telemetry.log('info', 'request', { request_id: requestId, status, address, protocol, unreadable: true })
    },
    requestIdOf: (response) => requestIds.get(response),
  }
}
