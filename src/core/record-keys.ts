/**
 * The two long-lived keys of the records: one for the macs of chains, one that signs their heads. Sealed in the store,
 * made when it is first opened.
 *
 * @module
 */
import type { KeyObject } from 'node:crypto'
import type { Signer } from '../protocol/signer.ts'
import type { KeyManager } from './key-manager.ts'
import { createMacKey } from './record-chain.ts'
import type { Resealer } from './reseal.ts'
import { type Store, StoreError } from './store.ts'

export interface RecordKeys {
  readonly macKey: KeyObject
  /** ES256. */
  readonly signer: Signer
}

interface RecordKeysDocument {
  readonly mac: string
  readonly key: string
}

const documentName = 'records/keys'
const macName = 'records/mac'
const keyName = 'records/key'

/**
 * @throws {SealError} when they do not open
 * @throws {StoreError} `damaged` when there are records and no keys: others are never made in their place
 */
export async function openRecordKeys(store: Store, keys: KeyManager): Promise<RecordKeys> {
  return openSealed(await readOrCreate(store, keys), keys)
}

/** Of the document's text. @throws {SealError} when they do not open */
export function openRecordKeysDocument(body: string, keys: KeyManager): Promise<RecordKeys> {
  return openSealed(JSON.parse(body) as RecordKeysDocument, keys)
}

async function openSealed(sealed: RecordKeysDocument, keys: KeyManager): Promise<RecordKeys> {
  const secret = await keys.openSecret(macName, sealed.mac)
  const macKey = createMacKey(secret)
  secret.fill(0)
  return { macKey, signer: await keys.openKey(keyName, 'ES256', sealed.key) }
}

async function readOrCreate(store: Store, keys: KeyManager): Promise<RecordKeysDocument> {
  const found = await store.readDocument(documentName)
  if (found.version > 0) return JSON.parse(found.body) as RecordKeysDocument
  if ((await store.listChains()).length > 0)
    throw new StoreError('damaged', 'the store has records but not the keys of their chains: restore it from a backup')

  const { sealed } = await keys.createKey(keyName, 'ES256')
  const made: RecordKeysDocument = { mac: await keys.createSecret(macName), key: sealed }
  const written = await store.writeDocument(documentName, 0, JSON.stringify(made))
  // Another replica was faster: its keys are the ones.
  return written ? made : readOrCreate(store, keys)
}

/** The document under the present seal key; undefined where it is. */
export function resealRecordKeys(body: string, keys: Resealer): string | undefined {
  const { mac, key } = JSON.parse(body) as RecordKeysDocument
  const next = { mac: keys.reseal(macName, 'secret', mac), key: keys.reseal(keyName, 'ES256', key) }
  if (next.mac === undefined && next.key === undefined) return undefined
  const document: RecordKeysDocument = { mac: next.mac ?? mac, key: next.key ?? key }
  return JSON.stringify(document)
}
