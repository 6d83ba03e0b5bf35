/**
 * Puts everything that is sealed in the store under the present seal key.
 *
 * Each document is replaced by compare-and-set, so that it holds together with whatever else changes it, and so that a
 * stop between two documents leaves each of them whole: what is left is done the next time.
 *
 * @module
 */
import type { SignatureAlgorithm } from '../protocol/algorithms.ts'
import { formatAuthoritySet, readAuthoritySet } from './authority-document.ts'
import { sealedKeyName } from './authority-maker.ts'
import { resealRecordKeys } from './record-keys.ts'
import { resealSecret, secretPrefix } from './secret-document.ts'
import { type Store, StoreError } from './store.ts'

/** Keys of each algorithm, secrets of ours and bytes of others are told apart by what they are sealed for. */
export type SealPurpose = SignatureAlgorithm | 'secret' | 'bytes'

/** Port: knows the present seal key, and those before it. */
export interface Resealer {
  /**
   * The same thing under the present seal key; undefined where it is under that already.
   *
   * @throws {SealError} when no key opens it
   */
  readonly reseal: (name: string, purpose: SealPurpose, sealed: string) => string | undefined
}

export interface ResealDeps {
  readonly store: Pick<Store, 'listDocuments' | 'readDocument' | 'writeDocument'>
  readonly keys: Resealer
}

export interface ResealCount {
  /** Documents that were looked at. */
  readonly documents: number
  /** Those of them that were under another key. */
  readonly resealed: number
}

/** The body under the present key; undefined where all of it is. */
type ResealDocument = (name: string, body: string, keys: Resealer) => string | undefined

/** What seals, by what the name of its document begins with. Whoever seals something new adds a row. */
const sealedDocuments: readonly (readonly [start: string, reseal: ResealDocument])[] = [
  ['authorities', (_name, body, keys) => resealAuthorities(body, keys)],
  ['records/keys', (_name, body, keys) => resealRecordKeys(body, keys)],
  [secretPrefix, resealSecret],
]

const pageSize = 100
const attempts = 100

/** @throws {SealError} @throws {StoreError} What was done until then stays done */
export async function resealStore({ store, keys }: ResealDeps): Promise<ResealCount> {
  let documents = 0
  let resealed = 0
  for (let after = ''; ; ) {
    const page = await store.listDocuments({ prefix: '', after, limit: pageSize })
    for (const { name } of page) if (await resealOne({ store, keys }, name)) resealed++
    documents += page.length
    if (page.length < pageSize) return { documents, resealed }
    after = page.at(-1)?.name ?? after
  }
}

/** Whether it was under another key. */
async function resealOne({ store, keys }: ResealDeps, name: string): Promise<boolean> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const { version, body } = await store.readDocument(name)
    const [, reseal = requireUnsealed] = sealedDocuments.find(([start]) => name.startsWith(start)) ?? []
    const next = version === 0 ? undefined : reseal(name, body, keys)
    if (next === undefined) return false
    if (await store.writeDocument(name, version, next)) return true
  }
  throw new StoreError('conflict', `the document ${name} changed ${attempts} times while it was being sealed anew`)
}

/** Such as the state of a federated trust domain. */
const requireUnsealed: ResealDocument = (name, body) => {
  if (!/"v\d+\.[\w-]{38,}"/.test(body)) return undefined
  throw new StoreError(
    'damaged',
    `the document ${name} holds something sealed that this program does not know: run the newer one`,
  )
}

function resealAuthorities(body: string, keys: Resealer): string | undefined {
  const set = readAuthoritySet(body)
  let changed = false
  const authorities = set.authorities.map((authority) => {
    const { sealedKey, ring, keyName, algorithm } = authority
    const next = sealedKey === undefined ? undefined : keys.reseal(sealedKeyName(ring, keyName), algorithm, sealedKey)
    if (next === undefined) return authority
    changed = true
    return { ...authority, sealedKey: next }
  })
  return changed ? formatAuthoritySet({ ...set, authorities }) : undefined
}
