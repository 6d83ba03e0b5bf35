/**
 * Opens what is kept: the store, the seal key over it, and the keys of the records.
 *
 * @module
 */
import { createRingKeys } from '../adapters/keys/sealed.ts'
import { createSqliteStore, type SqliteStore, type StorePurpose } from '../adapters/stores/sqlite.node.ts'
import type { Configuration } from '../core/config.ts'
import type { KeyManager } from '../core/key-manager.ts'
import { openRecordKeys, type RecordKeys } from '../core/record-keys.ts'
import type { Resealer } from '../core/reseal.ts'
import type { Store } from '../core/store.ts'
import { readSealKeys } from './seal-key.node.ts'
import { type ChangingRing, createChangingRing } from './seal-ring.node.ts'
import type { ServerSettings } from './settings.ts'

export interface OpenStore {
  readonly store: Store
  /** Of a store that can be copied while it is used. */
  readonly backUp?: SqliteStore['backUp']
  readonly keys: KeyManager & Resealer
  readonly ring: ChangingRing
  readonly recordKeys: RecordKeys
  /** Whether other processes may have it open. */
  readonly isShared: boolean
}

/** @throws {StoreError} @throws {SealKeyError} @throws {SealError} Nothing stays open, and nothing was overwritten */
export async function openStore(
  config: Configuration,
  { purpose, env }: Pick<ServerSettings, 'env'> & { readonly purpose: StorePurpose },
  randomBytes: (size: number) => Uint8Array,
): Promise<OpenStore> {
  const store = await createStore(config, { purpose, env })
  try {
    const storeIsEmpty = await isEmpty(store)
    const ring = createChangingRing(await readSealKeys({ seal: config.seal, env, storeIsEmpty }))
    const keys = createRingKeys({ ring, trustDomain: config.trustDomain, randomBytes })
    const isShared = config.store.kind !== 'sqlite'
    const { backUp } = store
    return { store, ...(backUp && { backUp }), keys, ring, recordKeys: await openRecordKeys(store, keys), isShared }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** What the other kind of store needs is not loaded. */
async function createStore(
  { store, trustDomain }: Configuration,
  { purpose, env }: Pick<ServerSettings, 'env'> & { readonly purpose: StorePurpose },
): Promise<Store & Partial<Pick<SqliteStore, 'backUp'>>> {
  if (store.kind === 'sqlite') return createSqliteStore({ path: store.path, trustDomain, purpose })
  const { createPostgresStore } = await import('../adapters/stores/postgres.node.ts')
  return createPostgresStore({ ...store, trustDomain, purpose, env })
}

/** Whether nothing is lost with it. */
export async function isEmpty(store: Store): Promise<boolean> {
  const documents = await Promise.all(['authorities', 'records/keys'].map((name) => store.readDocument(name)))
  return documents.every(({ version }) => version === 0) && (await store.listChains()).length === 0
}
