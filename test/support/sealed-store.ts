/**
 * A store in a folder that holds one of each thing that is sealed, and what looks whether all of it still opens.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRingKeys, parseSealKey } from '../../src/adapters/keys/sealed.ts'
import { createSqliteStore } from '../../src/adapters/stores/sqlite.node.ts'
import { formatAuthoritySet, readAuthoritySet } from '../../src/core/authority-document.ts'
import { createAuthorityMaker, sealedKeyName } from '../../src/core/authority-maker.ts'
import type { NewAuthority } from '../../src/core/authority-plan.ts'
import type { Configuration } from '../../src/core/config.ts'
import { openRecordKeys } from '../../src/core/record-keys.ts'
import { addVersion, createSecret, deleteVersions, destroyVersions } from '../../src/core/secret.ts'
import { formatSecret, secretPrefix } from '../../src/core/secret-document.ts'
import type { SecretPath } from '../../src/core/secret-path.ts'
import { createSecretShelf } from '../../src/core/secret-shelf.ts'
import type { Store } from '../../src/core/store.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { readSealKeys, type SealKeys } from '../../src/runtime/seal-key.node.ts'
import { createChangingRing } from '../../src/runtime/seal-ring.node.ts'

export const sealedTrustDomain = parseTrustDomain('example.org')
const now = new Date('2026-08-01T12:00:00.000Z')
const paths = ['a', 'team/b', 'team/c'].map((path) => path as SecretPath)

export const sealOf = (folder: string): Configuration['seal'] => ({ file: join(folder, 'seal.key') })

export function openSealedStore(folder: string): Store {
  return createSqliteStore({ path: join(folder, 'apostille.db'), trustDomain: sealedTrustDomain })
}

export function ringKeys(keys: SealKeys) {
  const ring = createChangingRing(keys)
  return { ring, keys: createRingKeys({ ring, trustDomain: sealedTrustDomain, randomBytes }) }
}

/** Made at once: a prepared authority of each ring, one that has stopped signing, the record keys, three secrets. */
export async function makeSealedStore(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const key = randomBytes(32)
  writeFileSync(join(folder, 'seal.key'), `${key.toString('base64')}\n`, { mode: 0o600 })
  const store = openSealedStore(folder)
  const { keys } = ringKeys({ seals: key, opens: [], isUnfinished: false })
  const make = createAuthorityMaker({ keys, trustDomain: sealedTrustDomain, upstream: () => undefined, randomBytes })
  const [x509, jwt] = await Promise.all([make(wanted('x509')), make(wanted('jwt/ES256'))])
  const { sealedKey: _, ...retired } = await make(wanted('x509'))
  await store.writeDocument('authorities', 0, formatAuthoritySet({ sequence: 5, authorities: [x509, jwt, retired] }))
  await openRecordKeys(store, keys)
  await store.writeDocument('federation/other.example', 0, JSON.stringify({ etag: 'v1.short' }))
  const shelf = createSecretShelf({ store, keys })
  for (const path of paths) {
    const sealed = await Promise.all(
      [1, 2, 3].map((number) => shelf.seal(path, number, { value: `${path} ${number}` })),
    )
    const whole = sealed.reduce((secret, version) => addVersion(secret, version, now), createSecret(now))
    const body = await formatSecret(path, destroyVersions(deleteVersions(whole, [2], now), [1]), keys)
    await store.writeDocument(secretPrefix + path, 0, body)
  }
  await store.close()
}

function wanted(ring: NewAuthority['ring']): NewAuthority {
  const expiresAt = new Date(now.getTime() + 86_400_000)
  return {
    ring,
    algorithm: 'ES256',
    state: 'prepared',
    createdAt: now,
    startsAt: now,
    slotSeconds: 3600,
    leadSeconds: 60,
    expiresAt,
  }
}

/** Throws where something does not open with the keys that a process would read at its start. */
export async function openEverything(folder: string): Promise<{ readonly keys: SealKeys; readonly opened: number }> {
  const store = openSealedStore(folder)
  try {
    const sealKeys = await readSealKeys({ seal: sealOf(folder), env: {}, storeIsEmpty: false })
    const { keys } = ringKeys(sealKeys)
    const { authorities } = readAuthoritySet((await store.readDocument('authorities')).body)
    let opened = 0
    for (const { ring, keyName, algorithm, sealedKey } of authorities) {
      if (sealedKey === undefined) continue
      await keys.openKey(sealedKeyName(ring, keyName), algorithm, sealedKey)
      opened++
    }
    await openRecordKeys(store, keys)
    const shelf = createSecretShelf({ store, keys })
    for (const path of paths) {
      const { secret } = await shelf.read(path)
      for (const version of secret?.versions ?? []) {
        if (version.sealed === undefined) continue
        const { value } = await shelf.open(path, version)
        if (value !== `${path} ${version.number}`) throw new Error(`${path} ${version.number} is ${String(value)}`)
        opened++
      }
    }
    return { keys: sealKeys, opened }
  } finally {
    await store.close()
  }
}

export const parseKeyFile = (text: string) => parseSealKey(text)
