/**
 * The documents of a store, in memory: what several gateways share, with a look at every write.
 *
 * @module
 */
import type { DocumentChange, Store, StoredDocument } from '../../src/core/store.ts'

export interface MemoryStore
  extends Pick<Store, 'readDocument' | 'writeDocument' | 'deleteDocument' | 'listDocuments'> {
  /** As within a batch of records: at once, or false. */
  readonly apply: (change: DocumentChange) => boolean
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
  let removed = 0
  const apply = ({ name, expected, body }: DocumentChange): boolean => {
    const { version } = documents.get(name) ?? absent
    if (version !== expected || (version === 0 && body === undefined)) return false
    const others = [...documents].filter(([other]) => other !== name)
    if (body === undefined) removed = Math.max(removed, version)
    const next = version === 0 ? removed + 1 : version + 1
    documents = new Map(body === undefined ? others : [...others, [name, { version: next, body }]])
    return true
  }
  const store: MemoryStore = {
    async readDocument(name) {
      await store.beforeRead()
      return documents.get(name) ?? absent
    },
    async writeDocument(name, expected, body) {
      await store.beforeWrite()
      if (!apply({ name, expected, body })) return false
      history.set(name, history.get(name) ?? [])
      history.get(name)?.push(body)
      return true
    },
    async deleteDocument(name, expected) {
      await store.beforeWrite()
      return apply({ name, expected })
    },
    async listDocuments({ prefix, after = '', limit = Number.POSITIVE_INFINITY }) {
      await store.beforeRead()
      const names = [...documents.keys()].filter((name) => name.startsWith(prefix) && name > after).sort()
      return names.slice(0, limit).map((name) => ({ name, version: documents.get(name)?.version ?? 0 }))
    },
    apply,
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
