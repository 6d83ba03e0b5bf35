/**
 * The link from the seal key to the store: whether what is there now would open it at the next start.
 *
 * @module
 */
import { stat } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { createRingKeys, sealKeyId } from '../adapters/keys/sealed.ts'
import type { Configuration } from '../core/config.ts'
import type { SqliteConfig } from '../core/config-store.ts'
import { findError } from '../core/finding.ts'
import { SealError } from '../core/key-manager.ts'
import { openRecordKeysDocument } from '../core/record-keys.ts'
import { type Check, concludeCheck, skipCheck } from './doctor.node.ts'
import { readSealKeys, SealKeyError, type SealKeys } from './seal-key.node.ts'
import { createChangingRing } from './seal-ring.node.ts'

const name = 'seal key'
const bringBack =
  'bring the right one back from your backup before the gateway is stopped: nothing else opens the store'

/** @param inUse Of the key that the running gateway seals with, where it says so. */
export async function checkSealKey(
  config: Configuration,
  env: Readonly<Record<string, string | undefined>>,
  inUse: unknown,
): Promise<Check> {
  const { seal, store } = config
  const where = 'file' in seal ? seal.file : `the variable ${seal.env}`
  if (store.kind === 'sqlite' && !(await isThere(store.path))) return skipCheck(name, 'there is no store yet')
  if ('env' in seal && (env[seal.env] ?? '') === '') return skipCheck(name, `${where} is not set where this runs`)
  try {
    const keys = await readSealKeys({ seal, env, storeIsEmpty: false })
    if (typeof inUse === 'string') return compare(where, keys, inUse)
    if (store.kind === 'postgres')
      return skipCheck(name, 'the gateway does not run, and its database is not opened for this')
    if (await openStored(store, config.trustDomain, keys)) return concludeCheck(name, `${where} opens the store`, [])
    return skipCheck(name, 'there is nothing in the store yet that it could open')
  } catch (error) {
    if (error instanceof SealKeyError)
      return concludeCheck(name, where, [findError('seal_key', error.message, bringBack)])
    if (error instanceof SealError)
      return concludeCheck(name, where, [findError('seal_key_other', `${where} does not open the store`, bringBack)])
    return skipCheck(name, `the store can not be looked at: ${(error as Error).message}`)
  }
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    ({ size }) => size > 0,
    () => false,
  )
}

function compare(where: string, { seals }: SealKeys, inUse: string): Check {
  if (sealKeyId(seals) === inUse) return concludeCheck(name, `${where} is the one in use`, [])
  const message = `${where} is not the key that the gateway runs with: it would not start again`
  return concludeCheck(name, where, [findError('seal_key_other', message, bringBack)])
}

/**
 * Whether there was something to open. Without a lock, and without touching a file: what is not yet in the database
 * itself is not seen.
 */
async function openStored({ path }: SqliteConfig, trustDomain: string, sealKeys: SealKeys): Promise<boolean> {
  const url = pathToFileURL(path)
  url.search = 'immutable=1'
  using db = new DatabaseSync(url, { readOnly: true })
  const row = db.prepare(`SELECT body FROM documents WHERE trust_domain = ? AND name = 'records/keys'`).get(trustDomain)
  if (row === undefined) return false
  const keys = createRingKeys({ ring: createChangingRing(sealKeys), trustDomain, randomBytes: () => new Uint8Array() })
  await openRecordKeysDocument(String(row['body']), keys)
  return true
}
