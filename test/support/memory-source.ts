/**
 * A source in memory, whose revisions count the changes.
 *
 * @module
 */
import type { SecretSource } from '../../src/core/secret-source.ts'

export interface MemorySource extends SecretSource {
  readonly secrets: Map<string, { readonly fields: Readonly<Record<string, unknown>>; readonly revision: number }>
  readonly set: (path: string, fields: Readonly<Record<string, unknown>>) => void
  readonly delete: (path: string) => void
  /** Runs before each listing (without a path) and each read: may throw. */
  onRead: (path?: string) => void
  reads: number
  /** Whether listings have revisions. */
  hasRevisions: boolean
  readonly tell: (path: string) => void
}

const pageSize = 100

export function createMemorySource(): MemorySource {
  const secrets: MemorySource['secrets'] = new Map()
  const listeners = new Set<(path: string) => void>()
  let changes = 0
  const source: MemorySource = {
    secrets,
    reads: 0,
    hasRevisions: true,
    onRead: () => undefined,
    set(path, fields) {
      secrets.set(path, { fields, revision: ++changes })
    },
    delete: (path) => void secrets.delete(path),
    tell(path) {
      for (const listener of listeners) listener(path)
    },
    async *list({ prefix }) {
      source.onRead()
      const paths = [...secrets.keys()].filter((path) => path.startsWith(prefix)).sort()
      for (let at = 0; at < paths.length; at += pageSize)
        yield paths.slice(at, at + pageSize).map((path) => ({
          path,
          ...(source.hasRevisions && { revision: String(secrets.get(path)?.revision) }),
        }))
    },
    async read(path) {
      source.onRead(path)
      source.reads += 1
      const found = secrets.get(path)
      if (found === undefined) return undefined
      const { fields, revision } = found
      return { path, revision: String(revision), content: { kind: 'fields', fields } }
    },
    watch(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  return source
}
