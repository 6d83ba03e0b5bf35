/**
 * Our own store of versioned secrets as the source of a sync.
 *
 * The revision is the version of the document that holds a secret: a listing has it, and it grows with every change, also
 * with one of metadata alone, after which the value is found to be the same.
 *
 * @module
 */
import { SealError } from '../../core/key-manager.ts'
import { Refusal } from '../../core/refusal.ts'
import { findVersion, isReadable } from '../../core/secret.ts'
import type { SecretChanges } from '../../core/secret-changes.ts'
import { secretPrefix } from '../../core/secret-document.ts'
import type { SecretPath } from '../../core/secret-path.ts'
import { createSecretShelf, type SecretShelfDeps } from '../../core/secret-shelf.ts'
import { type SecretSource, SourceError, type SourceSecret } from '../../core/secret-source.ts'
import { StoreError } from '../../core/store.ts'

export interface KvSourceDeps extends SecretShelfDeps {
  /** Of this process; those of others are found by the next listing. */
  readonly changes: SecretChanges
}

const pageSize = 1000

export function createKvSource({ store, keys, changes }: KvSourceDeps): SecretSource {
  const shelf = createSecretShelf({ store, keys })

  async function read(path: string): Promise<SourceSecret | undefined> {
    const { version, secret } = await shelf.read(path as SecretPath)
    const current = findVersion(secret)
    if (current === undefined || !isReadable(current)) return undefined
    const fields = await shelf.open(path as SecretPath, current)
    return { path, revision: String(version), version: String(current.number), content: { kind: 'fields', fields } }
  }

  return {
    async *list({ prefix }) {
      let after = ''
      for (;;) {
        const query = { prefix: secretPrefix + prefix, after: secretPrefix + after, limit: pageSize }
        const documents = await orSourceError(() => store.listDocuments(query))
        const entries = documents.map(({ name, version }) => ({
          path: name.slice(secretPrefix.length),
          revision: String(version),
        }))
        if (entries.length > 0) yield entries
        if (entries.length < pageSize) return
        after = entries.at(-1)?.path ?? after
      }
    },
    read: (path) => orSourceError(() => read(path)),
    watch: changes.subscribe,
  }
}

async function orSourceError<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof SealError) throw new SourceError('unreadable', error.message, { code: 'seal', cause: error })
    if (error instanceof Refusal) throw new SourceError('unreachable', error.reason, { code: error.code, cause: error })
    if (error instanceof StoreError)
      throw new SourceError('unreachable', error.message, { code: error.code, cause: error })
    throw error
  }
}
