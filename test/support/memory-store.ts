/**
 * The documents of a store, in memory: what several gateways share, with a look at every write.
 *
 * @module
 */
import type { Store, StoredDocument } from '../../src/core/store.ts'

export interface MemoryStore extends Pick<Store, 'readDocument' | 'writeDocument'> {
  /** Every body that was written under `name`, oldest first. */
  readonly written: (name: string) => readonly string[]
  /** A copy of everything, to be put back later. */
  readonly backUp: () => ReadonlyMap<string, StoredDocument>
  readonly restore: (copy: ReadonlyMap<string, StoredDocument>) => void
  /** Runs before each read: may change the store, or throw. */
  beforeRead: () => void | Promise<void>
  /** Runs before each write: may change the store, or throw. */
  beforeWrite: () => void | Promise<void>
}

const absent: StoredDocument = { version: 0, body: '' }

export function createMemoryStore(): MemoryStore {
  let documents: ReadonlyMap<string, StoredDocument> = new Map()
  const history = new Map<string, string[]>()
  const store: MemoryStore = {
    async readDocument(name) {
      await store.beforeRead()
      return documents.get(name) ?? absent
    },
    async writeDocument(name, expected, body) {
      await store.beforeWrite()
      const { version } = documents.get(name) ?? absent
      if (version !== expected) return false
      documents = new Map([...documents, [name, { version: version + 1, body }]])
      history.set(name, history.get(name) ?? [])
      history.get(name)?.push(body)
      return true
    },
    written: (name) => history.get(name) ?? [],
    backUp: () => documents,
    restore: (copy) => {
      documents = copy
    },
    beforeRead: () => {},
    beforeWrite: () => {},
  }
  return store
}
