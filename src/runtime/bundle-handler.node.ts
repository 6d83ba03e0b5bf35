/**
 * The bundle endpoint of profile `https_spiffe`: the newest bundle, to everybody who asks, at `/` and where the other
 * profile has it.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Federation.md#52-endpoint-profiles SPIFFE Federation §5.2}
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Gateway } from '../core/gateway.ts'
import { Refusal } from '../core/refusal.ts'
import type { Telemetry } from '../core/telemetry.ts'
import type { Answer } from '../http/answer.ts'
import { problemAnswer, refusalOf } from '../http/problem.ts'
import { documentAnswer } from '../http/routes/discovery.ts'
import { createAccessLog } from './access-log.node.ts'
import type { ListenerOptions } from './listener.node.ts'
import { createConnectionReader } from './peer.node.ts'
import { createUnreadableAnswer } from './unreadable.node.ts'

export interface BundleHandlerDeps {
  readonly gateway: Pick<Gateway, 'published'>
  readonly telemetry: Telemetry
  readonly newRequestId: () => string
}

const paths: ReadonlySet<string> = new Set(['/', '/v1/bundle'])

export function createBundleHandler({
  gateway,
  telemetry,
  newRequestId,
}: BundleHandlerDeps): Pick<ListenerOptions, 'handle' | 'unreadable'> {
  const log = createAccessLog({ telemetry, connection: createConnectionReader(() => undefined) })
  return {
    unreadable: createUnreadableAnswer(newRequestId, log),
    handle(request, response) {
      const requestId = newRequestId()
      log.begin(request, response, requestId)
      send(request, response, requestId, answerTo(request, gateway, requestId))
    },
  }
}

function answerTo(request: IncomingMessage, gateway: Pick<Gateway, 'published'>, requestId: string): Answer {
  try {
    const path = (request.url ?? '').split('?', 1)[0] ?? ''
    if (!paths.has(path)) throw new Refusal('not_found', 'no such path')
    if (request.method !== 'GET' && request.method !== 'HEAD') throw new Refusal('method_not_allowed', 'only GET')
    return documentAnswer(gateway.published().bundle, request.headers['if-none-match'])
  } catch (error) {
    return problemAnswer(refusalOf(error), requestId)
  }
}

function send(request: IncomingMessage, response: ServerResponse, requestId: string, answer: Answer): void {
  const { status, headers, body } = answer
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  response.writeHead(status, {
    ...headers,
    'x-request-id': requestId,
    ...(status !== 304 && { 'content-length': length }),
    ...(status === 405 && { allow: 'GET, HEAD' }),
  })
  response.end(status === 304 || request.method === 'HEAD' ? undefined : body)
}
