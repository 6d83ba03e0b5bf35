/**
 * Sealed keys whose RSA keys come out of a small pool, as making one takes a tenth of a second.
 *
 * @module
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { createSealedKeys } from '../../src/adapters/keys/sealed.ts'
import type { KeyManager } from '../../src/core/key-manager.ts'

export const testSealKey = Buffer.alloc(32, 7)

/** More than one ring ever holds at a time, so that no set has a key twice. */
const poolSize = 8
let pool: readonly { readonly publicKey: KeyObject; readonly privateKey: KeyObject }[] | undefined

export function createPooledKeys(trustDomain = 'example.org'): KeyManager {
  const sealed = createSealedKeys({ sealKey: testSealKey, trustDomain, randomBytes })
  let next = 0
  const fromPool = (index: number) => {
    pool ??= Array.from({ length: poolSize }, () => generateKeyPairSync('rsa', { modulusLength: 2048 }))
    const pair = pool[index % poolSize]
    if (pair === undefined) throw new Error('no such key')
    return { ...pair, spki: pair.publicKey.export({ type: 'spki', format: 'der' }) }
  }
  return {
    ...sealed,
    async createKey(name, algorithm) {
      if (algorithm !== 'RS256') return sealed.createKey(name, algorithm)
      const index = next++
      return { sealed: `pool ${index}`, publicKey: fromPool(index).spki }
    },
    async openKey(name, algorithm, text) {
      if (!text.startsWith('pool ')) return sealed.openKey(name, algorithm, text)
      const { privateKey, spki } = fromPool(Number(text.slice(5)))
      return { algorithm, publicKey: spki, sign: (data) => sign('sha256', data, privateKey) }
    },
  }
}
