/**
 * The Worker in workerd as a subject of the HTTP suite: what is deployed, built as for that.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { type BuiltWorker, buildWorker } from '../../scripts/build-worker.ts'
import { type LocalWorker, type LocalWorkerOptions, startLocalWorker } from '../../scripts/local-worker.ts'
import { createHttpsFetch } from '../../src/adapters/https-fetch.node.ts'
import type { RecordDocument } from '../../src/core/record.ts'
import { type Document, testDocument } from './gateway.ts'
import { findRecords, type HttpSubject, responseOf } from './http-subject.ts'
import { createOidcIssuer, type OidcIssuer } from './oidc-issuer.ts'
import { send, type WireAnswer, type WireRequest, type WireTarget } from './wire.ts'

export interface TestWorker extends LocalWorker {
  readonly issuer: OidcIssuer
  /** Of its log, each read as JSON. */
  readonly log: readonly Readonly<Record<string, unknown>>[]
  /** Over HTTP/1.1, with the target as it is given. */
  readonly ask: (path: string, request?: WireRequest) => Promise<WireAnswer>
}

/** @param document Members that take the place of those of the document of tests. */
export async function startTestWorker(
  document: Document = {},
  options: Partial<LocalWorkerOptions> = {},
): Promise<TestWorker> {
  built ??= buildWorker()
  const { modules } = await built
  const issuer = createOidcIssuer()
  const log: Readonly<Record<string, unknown>>[] = []
  const worker = await startLocalWorker({
    log: (line) => void log.push(readLine(line)),
    ...options,
    modules,
    bindings: {
      APOSTILLE_CONFIG: JSON.stringify({ ...testDocument, ...document }),
      APOSTILLE_FILES: JSON.stringify({ './ci.jwks.json': issuer.jwks }),
      APOSTILLE_SEAL_KEY: randomBytes(32).toString('base64'),
      ...options.bindings,
    },
  })
  const target: WireTarget = {
    address: { kind: 'tcp', host: '127.0.0.1', port: Number(worker.url.port) },
    ...(options.tls && { tls: { rejectUnauthorized: false } }),
  }
  return {
    ...worker,
    issuer,
    log,
    ask: (path, request) => send(target, path, request),
  }
}

/** What the Worker asks of others, by way of authorities that are public ones to it. */
export function createOutbound(ca: string): NonNullable<LocalWorkerOptions['outbound']> {
  const fetch = createHttpsFetch({ ca, allowAddress: () => true })
  return async (request) => {
    const body = await request.text()
    return fetch(request.url, {
      method: request.method as 'GET' | 'POST',
      headers: Object.fromEntries(request.headers),
      ...(body !== '' && { body }),
      redirect: 'manual',
      signal: AbortSignal.timeout(5000),
      repeatable: false,
    })
  }
}

/** Once for all tests of a file. */
let built: Promise<BuiltWorker> | undefined

/** What the runtime itself says is no JSON. */
function readLine(line: string): Readonly<Record<string, unknown>> {
  return line.startsWith('{') ? JSON.parse(line) : { message: line }
}

export async function openWorker(document?: Document): Promise<HttpSubject> {
  const { issuer, ask, administer, close } = await startTestWorker(document)
  const records = async (query: string) => {
    const answer = await administer(`/v1/records?${query}`)
    return ((await answer.json()) as { readonly items: readonly RecordDocument[] }).items
  }
  return {
    fetch: async (path, request) => responseOf(await ask(path, request)),
    issuer,
    async joinToken(uses = 1) {
      const body = JSON.stringify({ authenticator: 'first', name: 'one', uses })
      const created = await administer('/v1/join-tokens', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
      return (await created.json()) as { readonly token: string; readonly id: string }
    },
    revokeJoinToken: async (id) => void (await administer(`/v1/join-tokens/${id}`, { method: 'DELETE' })),
    recordsOf: (requestId) => findRecords(records, requestId),
    close,
  }
}
