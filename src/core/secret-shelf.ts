/**
 * Reads secrets from the store, and says what a changed one is there.
 *
 * @module
 */
import type { KeyManager } from './key-manager.ts'
import { Refusal } from './refusal.ts'
import type { Secret, SecretVersion } from './secret.ts'
import { decodeSecretData, encodeSecretData, type SecretData } from './secret-data.ts'
import { formatSecret, readSecret, secretPrefix, versionName } from './secret-document.ts'
import type { SecretFolder, SecretPath } from './secret-path.ts'
import { type DocumentChange, type Store, StoreError } from './store.ts'

export interface SecretShelfDeps {
  readonly store: Pick<Store, 'readDocument' | 'listDocuments'>
  readonly keys: Pick<KeyManager, 'sealBytes' | 'openBytes'>
}

/** A secret as it was read. */
export interface HeldSecret {
  readonly path: SecretPath
  /** Of its document; 0 when there is none. */
  readonly version: number
  readonly secret?: Secret
}

export interface SecretListQuery {
  readonly folder: SecretFolder
  /** Only keys that come after this one. */
  readonly after?: string
  readonly limit: number
}

export interface SecretKeys {
  /** Relative to the folder, in the order of their bytes; those of folders end in a slash. */
  readonly keys: readonly string[]
  /** Whether there are more. */
  readonly more: boolean
}

/** Above every character of a path. */
const lastCharacter = '\x7f'

export type SecretShelf = ReturnType<typeof createSecretShelf>

export function createSecretShelf({ store, keys }: SecretShelfDeps) {
  async function readPage(prefix: string, after: string, limit: number): Promise<readonly string[]> {
    const documents = await orUnavailable(() => store.listDocuments({ prefix, after: prefix + after, limit }))
    return documents.map(({ name }) => name.slice(prefix.length))
  }

  return {
    /** @throws {Refusal} `store_unavailable` @throws {SealError} */
    async read(path: SecretPath): Promise<HeldSecret> {
      const { version, body } = await orUnavailable(() => store.readDocument(secretPrefix + path))
      return version === 0 ? { path, version } : { path, version, secret: await readSecret(path, body, keys) }
    },

    /** Data of a version that is not destroyed. @throws {SealError} */
    async open(path: SecretPath, { number, sealed = '' }: SecretVersion): Promise<SecretData> {
      return decodeSecretData(await keys.openBytes(versionName(path, number), sealed))
    },

    /** @param number Of the version that the data is to be. */
    seal: (path: SecretPath, number: number, data: SecretData): Promise<string> =>
      keys.sealBytes(versionName(path, number), encodeSecretData(data)),

    /** What replaces the document by `secret`, or removes it. @throws {Refusal} `conflict` when it is too large */
    async changeOf({ path, version }: HeldSecret, secret: Secret | undefined): Promise<DocumentChange> {
      const change = { name: secretPrefix + path, expected: version }
      return secret === undefined ? change : { ...change, body: await formatSecret(path, secret, keys) }
    },

    /** What stands directly in a folder. What is in the folders below it is skipped, and not read through. */
    async list({ folder, after = '', limit }: SecretListQuery): Promise<SecretKeys> {
      const found: string[] = []
      let position = after.endsWith('/') ? after + lastCharacter : after
      while (found.length <= limit) {
        const wanted = limit + 1 - found.length
        const names = await readPage(secretPrefix + folder, position, wanted)
        const folderAt = names.findIndex((name) => name.includes('/'))
        found.push(...(folderAt < 0 ? names : names.slice(0, folderAt)))
        if (folderAt < 0) {
          if (names.length < wanted) break
          position = names.at(-1) ?? ''
          continue
        }
        const name = names[folderAt] ?? ''
        const key = name.slice(0, name.indexOf('/') + 1)
        found.push(key)
        position = key + lastCharacter
      }
      return { keys: found.slice(0, limit), more: found.length > limit }
    },
  }
}

/** What is wrong with the store is nothing that callers could change, and passes. */
async function orUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    throw new Refusal('store_unavailable', `the store can not be read: ${error.message}`, { cause: error })
  }
}
