/**
 * What the HTTP suite runs on: any way to reach a gateway, with what an operator sees of it.
 *
 * @module
 */
import type { RecordDocument } from '../../src/core/record.ts'
import { silentTelemetry } from '../../src/core/telemetry.ts'
import { createApp } from '../../src/http/app.ts'
import { type Document, startGateway, type TestGateway } from './gateway.ts'
import type { OidcIssuer } from './oidc-issuer.ts'
import { openHttp2, type WireAnswer } from './wire.ts'

export interface SubjectRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

export interface HttpSubject {
  /** @param path With its query. */
  readonly fetch: (path: string, request?: SubjectRequest) => Promise<Response>
  /** Keys of `https://ci.example`. */
  readonly issuer: OidcIssuer
  /** A new join token for `proof.name` `one`, and its id. */
  readonly joinToken: (uses?: number) => Promise<{ readonly token: string; readonly id: string }>
  readonly revokeJoinToken: (id: string) => Promise<void>
  /** Oldest first. */
  readonly recordsOf: (requestId: string) => Promise<readonly RecordDocument[]>
  readonly close: () => Promise<void>
}

export function responseOf({ status, headers, text }: WireAnswer): Response {
  const pairs = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined || name.startsWith(':') ? [] : [[name, String(value)] as [string, string]],
  )
  return new Response(text === '' ? null : text, { status, headers: pairs })
}

function subjectOf(gateway: TestGateway, fetch: HttpSubject['fetch'], close: () => Promise<void>): HttpSubject {
  return {
    fetch,
    issuer: gateway.issuer,
    joinToken: (uses = 1) => gateway.joinToken({ uses }),
    revokeJoinToken: async (id) => void (await gateway.admin(`/v1/join-tokens/${id}`, 'DELETE')),
    recordsOf: (requestId) => findRecords(gateway.records, requestId),
    async close() {
      await close()
      await gateway[Symbol.asyncDispose]()
    },
  }
}

/** Looks among the newest first, as that is where they nearly always are. */
export async function findRecords(
  list: (query: string) => Promise<readonly RecordDocument[]>,
  requestId: string,
): Promise<readonly RecordDocument[]> {
  const newest = await list('order=newest&limit=8')
  const found = newest.filter((record) => record.request_id === requestId)
  if (found.length > 0 && newest.at(-1)?.request_id !== requestId) return found.reverse()
  return list(`request_id=${requestId}&limit=1000`)
}

/** HTTP/1.1 over a unix socket, the hot lane included. */
export async function openOverHttp1(document?: Document): Promise<HttpSubject> {
  const gateway = await startGateway({ ...(document && { document }) })
  return subjectOf(
    gateway,
    async (path, request) => responseOf(await gateway.send(path, request)),
    async () => undefined,
  )
}

/** HTTP/2 over TLS. */
export async function openOverHttp2(document: Document = {}): Promise<HttpSubject> {
  const gateway = await startGateway({ document: { ...document, listen: { address: '127.0.0.1:0' } } })
  const client = await openHttp2(gateway.target)
  return subjectOf(gateway, async (path, request) => responseOf(await client.send(path, request)), client.close)
}

/** The application alone: what other runtimes serve. */
export async function openApplication(document?: Document): Promise<HttpSubject> {
  const gateway = await startGateway({ ...(document && { document }) })
  const app = createTestApp(gateway)
  return subjectOf(
    gateway,
    async (path, request) => app.fetch(new Request(`https://gateway.test${path}`, request as RequestInit), {}),
    async () => undefined,
  )
}

let requests = 0

/** Hono over a running gateway, with the peer that a test wants. */
export function createTestApp(gateway: TestGateway, certificates: readonly Uint8Array[] = []) {
  return createApp({
    gateway: gateway.server.gateway,
    telemetry: silentTelemetry,
    now: () => new Date(),
    requestId: () => (++requests).toString(16).padStart(24, '0'),
    connection: () => ({ address: '', certificates }),
  })
}
