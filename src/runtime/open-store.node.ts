/**
 * Opens what is kept: the store, the seal key over it, and the keys of the records.
 *
 * @module
 */
import { createSealedKeys } from '../adapters/keys/sealed.ts'
import { createSqliteStore } from '../adapters/stores/sqlite.node.ts'
import type { Configuration } from '../core/config.ts'
import type { KeyManager } from '../core/key-manager.ts'
import { openRecordKeys, type RecordKeys } from '../core/record-keys.ts'
import type { Store } from '../core/store.ts'
import { readSealKey } from './seal-key.node.ts'
import type { ServerSettings } from './settings.ts'

export interface OpenStore {
  readonly store: Store
  readonly keys: KeyManager
  readonly recordKeys: RecordKeys
  /** Whether other processes may have it open. */
  readonly isShared: boolean
}

/** @throws {StoreError} @throws {SealKeyError} @throws {SealError} Nothing stays open, and nothing was overwritten */
export async function openStore(
  config: Configuration,
  { purpose, env }: Pick<ServerSettings, 'purpose' | 'env'>,
  randomBytes: (size: number) => Uint8Array,
): Promise<OpenStore> {
  const store = await createStore(config, { purpose, env })
  try {
    const sealKey = await readSealKey({ seal: config.seal, env, storeIsEmpty: await isEmpty(store) })
    const keys = createSealedKeys({ sealKey, trustDomain: config.trustDomain, randomBytes })
    const isShared = config.store.kind !== 'sqlite'
    return { store, keys, recordKeys: await openRecordKeys(store, keys), isShared }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** What the other kind of store needs is not loaded. */
async function createStore(
  { store, trustDomain }: Configuration,
  { purpose, env }: Pick<ServerSettings, 'purpose' | 'env'>,
): Promise<Store> {
  if (store.kind === 'sqlite') return createSqliteStore({ path: store.path, trustDomain, purpose })
  const { createPostgresStore } = await import('../adapters/stores/postgres.node.ts')
  return createPostgresStore({ ...store, trustDomain, purpose, env })
}

async function isEmpty(store: Store): Promise<boolean> {
  const documents = await Promise.all(['authorities', 'records/keys'].map((name) => store.readDocument(name)))
  return documents.every(({ version }) => version === 0) && (await store.listChains()).length === 0
}
