/**
 * The Worker in workerd as a subject of the HTTP suite: what is deployed, built as for that.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildWorker } from '../../scripts/build-worker.ts'
import { type LocalWorker, type LocalWorkerOptions, startLocalWorker } from '../../scripts/local-worker.ts'
import type { RecordDocument } from '../../src/core/record.ts'
import { type Document, testDocument } from './gateway.ts'
import { findRecords, type HttpSubject, responseOf } from './http-subject.ts'
import { createOidcIssuer, type OidcIssuer } from './oidc-issuer.ts'
import { send, type WireAnswer, type WireRequest, type WireTarget } from './wire.ts'

export interface TestWorker extends LocalWorker {
  readonly issuer: OidcIssuer
  /** Over HTTP/1.1, with the target as it is given. */
  readonly ask: (path: string, request?: WireRequest) => Promise<WireAnswer>
}

/** @param document Members that take the place of those of the document of tests. */
export async function startTestWorker(
  document: Document = {},
  options: Partial<LocalWorkerOptions> = {},
): Promise<TestWorker> {
  const folder = await mkdtemp(join(tmpdir(), 'apostille-worker-'))
  await buildWorker(folder)
  const issuer = createOidcIssuer()
  const worker = await startLocalWorker({
    ...options,
    folder,
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
    ask: (path, request) => send(target, path, request),
    async close() {
      await worker.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
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
