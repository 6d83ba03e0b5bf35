/**
 * Exchanges at a cloud without a gateway: targets from a document, and a TLS server that says what it is told.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createConnectUpstream } from '../../src/adapters/connect-upstream.node.ts'
import { type ClosableExchange, createExchangeAtCloud } from '../../src/adapters/exchangers/index.ts'
import { createFileReader } from '../../src/adapters/file-reader.node.ts'
import { CloudError, type CloudExchange } from '../../src/core/cloud.ts'
import { targetSchema } from '../../src/core/config-targets.ts'
import { compileTargets, type Target } from '../../src/core/target.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { startHttpsServer } from './https-server.ts'
import { createTestAuthority } from './tls.ts'

export type Members = Readonly<Record<string, unknown>>

export function targetOf(document: Members, name = 'there'): Target {
  const parsed = targetSchema.parse(document)
  const context = { names: {}, trustDomain: parseTrustDomain('example.org') }
  const { targets, problems } = compileTargets(new Map([[name, parsed]]), context as never)
  const target = targets.get(name)
  if (problems.length > 0 || !target) throw new Error(JSON.stringify(problems))
  return target
}

export interface ExchangerOptions {
  readonly now?: () => Date
  /** 2000 by default. */
  readonly deadlineMs?: number
  readonly maxBytes?: number
}

export function createExchanger({ now = () => new Date(), deadlineMs = 2000, maxBytes }: ExchangerOptions = {}) {
  const connect = createConnectUpstream({
    files: createFileReader(),
    monotonicMs: () => performance.now(),
    deadlineMs,
    ...(maxBytes !== undefined && { maxBytes }),
  })
  return createExchangeAtCloud({ connect, now })
}

export function exchangeOf(target: Target, token: string, more: Partial<CloudExchange> = {}): CloudExchange {
  return { target, token, sessionName: 'session', signal: new AbortController().signal, ...more }
}

/** Its failure; anything but a `CloudError` is thrown. */
export async function failureOf(exchange: ClosableExchange, wanted: CloudExchange): Promise<CloudError> {
  const outcome = await exchange(wanted).then(
    (answer) => new Error(`it was given: ${JSON.stringify(answer)}`),
    (error: unknown) => error,
  )
  if (outcome instanceof CloudError) return outcome
  throw outcome
}

/** What a scripted server answers; a function has the connection to itself. */
export type Scripted =
  | { readonly status?: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string | Buffer }
  | ((request: IncomingMessage, response: ServerResponse) => void)

export interface ScriptedRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface ScriptedCloud {
  /** `https://localhost:<port>` */
  readonly url: string
  readonly caFile: string
  readonly requests: ScriptedRequest[]
  /** Answers in order; the last one stays. */
  readonly script: (...answers: readonly Scripted[]) => void
  /** Sockets that are open. */
  readonly connections: () => number
  readonly close: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

export async function startScriptedCloud(): Promise<ScriptedCloud> {
  const authority = await createTestAuthority('scripted CA')
  const requests: ScriptedRequest[] = []
  const sockets = new Set<unknown>()
  let answers: readonly Scripted[] = []

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!sockets.has(request.socket)) request.socket.once('close', () => sockets.delete(request.socket))
    sockets.add(request.socket)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { method = '', url: path = '', headers } = request
    requests.push({ method, path, headers, body: Buffer.concat(chunks).toString() })
    const [answer, ...more] = answers
    if (more.length > 0) answers = more
    if (typeof answer === 'function') answer(request, response)
    else response.writeHead(answer?.status ?? 200, answer?.headers).end(answer?.body ?? '')
  }

  const server = await startHttpsServer(await authority.issue(), (request, response) => void respond(request, response))
  const directory = mkdtempSync(join(tmpdir(), 'scripted-cloud-'))
  const caFile = join(directory, 'ca.pem')
  writeFileSync(caFile, authority.ca)
  async function close(): Promise<void> {
    await server.close()
    rmSync(directory, { recursive: true, force: true })
  }

  return {
    url: server.origin,
    caFile,
    requests,
    script(...wanted) {
      answers = wanted
      requests.length = 0
    },
    connections: () => sockets.size,
    close,
    [Symbol.asyncDispose]: close,
  }
}
