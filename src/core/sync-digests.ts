/**
 * What is told of values at destinations without telling them: HMACs under a key that is sealed in the store.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { asBuffer, formatBase64Url, formatHex } from '../protocol/encoding.ts'
import type { KeyManager } from './key-manager.ts'
import type { Resealer } from './reseal.ts'
import type { SecretValue } from './secret-destination.ts'
import type { Store } from './store.ts'

export interface SyncDigests {
  /** Tells this store's deployment from every other one of the same names. */
  readonly deployment: string
  /** Of `OwnerStamp.fingerprint`. */
  readonly fingerprint: (owner: string, name: string, value: SecretValue) => string
  /** Of `SecretPush.token`. */
  readonly token: (owner: string, name: string, value: SecretValue, replaced: string) => string
  /** Of `OwnerStamp.group`. */
  readonly group: (source: string, path: string) => string
  /** Of `OwnerStamp.basis`. */
  readonly basis: (settings: string, source: string, path: string, revision: string) => string
}

/** Name of the document that holds the key. */
export const syncKeyDocument = 'sync/key'
const secretName = 'sync/hmac'

interface KeyDocument {
  readonly hmac: string
}

/**
 * Made when it is first opened.
 *
 * @throws {SealError} when the key does not open @throws {StoreError}
 */
export async function openSyncDigests(
  store: Pick<Store, 'readDocument' | 'writeDocument'>,
  keys: Pick<KeyManager, 'createSecret' | 'openSecret'>,
): Promise<SyncDigests> {
  const found = await store.readDocument(syncKeyDocument)
  if (found.version === 0) {
    const made: KeyDocument = { hmac: await keys.createSecret(secretName) }
    // Another replica may be faster: its key is the one.
    await store.writeDocument(syncKeyDocument, 0, JSON.stringify(made))
    return openSyncDigests(store, keys)
  }
  const { hmac } = JSON.parse(found.body) as KeyDocument
  const secret = await keys.openSecret(secretName, hmac)
  const key = createSecretKey(asBuffer(secret))
  secret.fill(0)
  return createSyncDigests(key)
}

/** The body under the present seal key; undefined where it is. @throws {SealError} */
export function resealSyncKey(body: string, keys: Resealer): string | undefined {
  const { hmac } = JSON.parse(body) as KeyDocument
  const next = keys.reseal(secretName, 'secret', hmac)
  return next === undefined ? undefined : JSON.stringify({ hmac: next } satisfies KeyDocument)
}

export function createSyncDigests(key: KeyObject): SyncDigests {
  /** Parts as JSON in one line, so that no two lists of them are the same bytes with any value behind them. */
  const digest = (parts: readonly string[], value: SecretValue = ''): Buffer =>
    createHmac('sha256', key)
      .update(`${JSON.stringify([...parts, typeof value])}\n`)
      .update(value)
      .digest()
      .subarray(0, 16)
  const text = (...parts: readonly string[]) => formatBase64Url(digest(parts))
  return {
    deployment: formatHex(digest(['deployment']).subarray(0, 4)),
    fingerprint: (owner, name, value) => formatBase64Url(digest(['fingerprint', owner, name], value)),
    token: (owner, name, value, replaced) => formatUuid(digest(['token', owner, name, replaced], value)),
    group: (source, path) => text('group', source, path),
    basis: (settings, source, path, revision) => text('basis', settings, source, path, revision),
  }
}

/** RFC 9562 §5.8: version 8, whose bits are whatever its maker says. */
function formatUuid(bytes: Uint8Array): string {
  const own = Buffer.from(bytes)
  own.writeUInt8((own.readUInt8(6) & 0x0f) | 0x80, 6)
  own.writeUInt8((own.readUInt8(8) & 0x3f) | 0x80, 8)
  return formatHex(own).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
