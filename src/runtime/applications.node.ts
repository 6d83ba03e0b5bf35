/**
 * The applications under Node. They are loaded with the first request that one of them answers: with them comes all of
 * Node's `fetch`, which takes longer than anything else of a start and some 10 MB, and a gateway whose workloads ask the
 * hot routes alone never needs it.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import { getRequestListener, RequestError } from '@hono/node-server'
import { Refusal } from '../core/refusal.ts'
import { type AdminDeps, createAdminApp } from '../http/admin-app.ts'
import { type AppDeps, createApp } from '../http/app.ts'
import { type ConsoleDeps, createConsoleApp } from '../http/console/console-app.ts'
import type { Connection } from '../http/incoming-call.ts'
import { problemAnswer, refusalOf } from '../http/problem.ts'
import type { Application } from './applications-at-first-use.node.ts'
import { isWholeBody } from './whole-body.node.ts'

export interface PublicApplicationDeps extends Pick<AppDeps, 'gateway' | 'telemetry' | 'now'> {
  readonly newRequestId: () => string
  readonly connection: (request: IncomingMessage) => Connection
}

export function createPublicApplication({ newRequestId, connection, ...deps }: PublicApplicationDeps): Application {
  const requestIds = new WeakMap<IncomingMessage, string>()
  const app = createApp({
    ...deps,
    requestId: (env) => requestIds.get(incomingOf(env)) ?? newRequestId(),
    connection: (env) => connection(incomingOf(env)),
    target: (env) => incomingOf(env).url,
    isWholeBody: (env) => isWholeBody(incomingOf(env)),
  })
  return (request, response, requestId) => {
    requestIds.set(request, requestId)
    void getRequestListener(app.fetch, {
      ...honoOptions,
      errorHandler: (error) => answerUnreadable(error, requestId),
    })(request, response)
  }
}

export function createConsoleApplication(deps: ConsoleDeps): Application {
  const answer = getRequestListener(createConsoleApp(deps).fetch, honoOptions)
  return (request, response) => void answer(request, response)
}

export function createAdminApplication(deps: AdminDeps): Application {
  const app = createAdminApp({ ...deps, target: (env) => incomingOf(env).url })
  const answer = getRequestListener(app.fetch, honoOptions)
  return (request, response) => void answer(request, response)
}

/** The name stands in for a `Host` that is missing, as in probes of HTTP/1.0: nothing here depends on it. */
const honoOptions = { overrideGlobalObjects: false, hostname: 'localhost' }

/** What fails before the application sees it: a target or a `Host` that is no part of a URL. */
function answerUnreadable(error: unknown, requestId: string): Response {
  const unreadable = error instanceof RequestError || isInvalidUrl(error)
  const refusal = unreadable
    ? new Refusal('malformed_request', 'the request target or its Host is no part of a URL', { cause: error })
    : refusalOf(error)
  const { status, headers, body } = problemAnswer(refusal, requestId)
  return new Response(body, { status, headers: { ...headers, 'x-request-id': requestId } })
}

/** The adapter lets names pass that no URL takes, such as `127.999.1.1`: whoever reads the URL finds out. */
function isInvalidUrl(error: unknown): boolean {
  return error instanceof TypeError && 'code' in error && error.code === 'ERR_INVALID_URL'
}

/** What the adapter between Node and Hono hands on. */
function incomingOf(env: unknown): IncomingMessage {
  return (env as { readonly incoming: IncomingMessage }).incoming
}
