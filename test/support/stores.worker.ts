/**
 * Stores of Workers, to be called from outside: a Durable Object that opens its own or one in D1.
 *
 * @module
 */
import { DurableObject } from 'cloudflare:workers'
import { createD1Store } from '../../src/adapters/stores/d1.worker.ts'
import type { D1 } from '../../src/adapters/stores/d1-tables.worker.ts'
import { createDurableObjectStore, type DurableStorage } from '../../src/adapters/stores/durable-object.worker.ts'
import type { Store } from '../../src/core/store.ts'
import { formatTagged, parseTagged } from './tagged-json.ts'

export type StoreKind = 'd1' | 'durable object'

export type StoreRequest =
  /** Answers a handle. */
  | { readonly open: StoreKind; readonly trustDomain: string }
  | { readonly call: keyof Store; readonly handle: number; readonly given: readonly unknown[] }
  /** A statement for the database itself, as whoever tampers with it would run it. */
  | { readonly run: string; readonly kind: StoreKind }

export interface StoreOutcome {
  readonly value?: unknown
  readonly failure?: { readonly code?: string; readonly message: string }
}

export class Stores extends DurableObject {
  readonly #storage: DurableStorage
  readonly #database: D1
  readonly #opened: Store[] = []

  constructor(state: { readonly storage: DurableStorage }, bindings: { readonly DATABASE: D1 }) {
    super(state, bindings)
    this.#storage = state.storage
    this.#database = bindings.DATABASE
  }

  override async fetch(request: Request): Promise<Response> {
    const wanted = parseTagged(await request.text()) as StoreRequest
    return new Response(formatTagged(await outcomeOf(() => this.#answer(wanted))))
  }

  async #answer(wanted: StoreRequest): Promise<unknown> {
    if ('open' in wanted) return this.#opened.push(await this.#open(wanted.open, wanted.trustDomain)) - 1
    if ('run' in wanted) return this.#run(wanted.kind, wanted.run)
    const method = this.#opened[wanted.handle]?.[wanted.call] as (...given: readonly unknown[]) => Promise<unknown>
    return method(...wanted.given)
  }

  async #open(kind: StoreKind, trustDomain: string): Promise<Store> {
    if (kind === 'd1') return createD1Store(this.#database, trustDomain)
    return createDurableObjectStore(this.#storage, trustDomain)
  }

  async #run(kind: StoreKind, sql: string): Promise<unknown> {
    if (kind === 'd1') return (await this.#database.prepare(sql).bind().all()).results
    return this.#storage.sql.exec(sql).toArray()
  }
}

/** What an error of a store says besides its message does not cross over by itself. */
async function outcomeOf(run: () => Promise<unknown>): Promise<StoreOutcome> {
  try {
    return { value: await run() }
  } catch (error) {
    const { code, message } = error as { readonly code?: string; readonly message: string }
    return { failure: { ...(code !== undefined && { code }), message } }
  }
}

interface Environment {
  readonly STORES: { readonly getByName: (name: string) => { readonly fetch: (request: Request) => Promise<Response> } }
}

export default {
  fetch: (request: Request, { STORES }: Environment): Promise<Response> =>
    STORES.getByName(new URL(request.url).pathname).fetch(request),
}
