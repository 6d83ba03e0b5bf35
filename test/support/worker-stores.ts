/**
 * Stores that run in workerd, as the contract of stores takes them.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { Miniflare } from 'miniflare'
import { workerOptions } from '../../scripts/build-worker.ts'
import { compatibility } from '../../scripts/local-worker.ts'
import { type Store, StoreError, type StoreErrorCode } from '../../src/core/store.ts'
import type { StoreKind, StoreOutcome, StoreRequest } from './stores.worker.ts'
import { formatTagged, parseTagged } from './tagged-json.ts'

export interface WorkerStores {
  /** Empty, of that kind, until the next is asked for. */
  readonly create: (kind: StoreKind) => Promise<WorkerStoreData>
  readonly close: () => Promise<void>
}

export interface WorkerStoreData {
  readonly open: (trustDomain: string) => Promise<Store>
  readonly run: (sql: string) => Promise<unknown>
}

export async function startWorkerStores(): Promise<WorkerStores> {
  const folder = await mkdtemp(join(tmpdir(), 'apostille-stores-'))
  const script = join(folder, 'index.js')
  const { splitting: _, entryPoints: __, ...options } = workerOptions
  await build({ ...options, entryPoints: ['test/support/stores.worker.ts'], outfile: script })
  const miniflare = new Miniflare({
    ...compatibility,
    cf: false,
    modulesRoot: folder,
    modules: [{ type: 'ESModule', path: script }],
    durableObjects: { STORES: { className: 'Stores', useSQLite: true } },
    d1Databases: ['DATABASE'],
  })
  const url = await miniflare.ready
  let made = 0

  async function create(kind: StoreKind): Promise<WorkerStoreData> {
    const object = new URL(`/${++made}`, url)
    const ask = async (wanted: StoreRequest) => {
      const answer = await fetch(object, { method: 'POST', body: formatTagged(wanted) })
      return resultOf(parseTagged(await answer.text()) as StoreOutcome)
    }
    const run = (sql: string) => ask({ run: sql, kind })
    if (kind === 'd1') await dropTables(run)
    return {
      async open(trustDomain) {
        const handle = (await ask({ open: kind, trustDomain })) as number
        return storeOf((method, given) => ask({ call: method, handle, given }))
      },
      run,
    }
  }

  return {
    create,
    async close() {
      await miniflare.dispose()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** There is one database for all, which begins anew. Tables that others refer to go last. */
async function dropTables(run: (sql: string) => Promise<unknown>): Promise<void> {
  const tables = 'schema_version record_heads chains records record_spans join_tokens proof_claims documents meta'
  for (const table of tables.split(' ')) await run(`DROP TABLE IF EXISTS ${table}`)
}

function resultOf({ value, failure }: StoreOutcome): unknown {
  if (failure === undefined) return value
  throw new StoreError(failure.code as StoreErrorCode, failure.message)
}

function storeOf(call: (method: keyof Store, given: readonly unknown[]) => Promise<unknown>): Store {
  return new Proxy({} as Store, {
    // A promise has `then`, and this is none.
    get: (_, method) =>
      method === 'then' ? undefined : (...given: readonly unknown[]) => call(method as keyof Store, given),
  })
}
