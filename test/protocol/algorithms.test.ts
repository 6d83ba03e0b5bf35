import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  algorithmRow,
  algorithms,
  fitsAlgorithm,
  isSignatureAlgorithm,
  type SignatureAlgorithm,
  signWithKey,
  verifySignature,
} from '../../src/protocol/algorithms.ts'

const names = Object.keys(algorithms) as SignatureAlgorithm[]
const keys = {
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  p521: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  secp256k1: generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
  rsa1024: generateKeyPairSync('rsa', { modulusLength: 1024 }),
  rsa2048: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  rsaPss: generateKeyPairSync('rsa-pss', { modulusLength: 2048 }),
  ed25519: generateKeyPairSync('ed25519'),
}
const keyOf: Readonly<Record<SignatureAlgorithm, keyof typeof keys>> = {
  ES256: 'p256',
  ES384: 'p384',
  ES512: 'p521',
  RS256: 'rsa2048',
  RS384: 'rsa2048',
  RS512: 'rsa2048',
  PS256: 'rsa2048',
  PS384: 'rsa2048',
  PS512: 'rsa2048',
}
const data = Buffer.from('what is signed')

test('the table has the nine algorithms of JWT-SVID', () => {
  expect(names.sort()).toEqual(['ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512'])
})

test.each(['none', 'HS256', 'EdDSA', 'ES256K', 'es256', '', 'toString', '__proto__', 256, null, undefined, ['ES256']])(
  '%j is no algorithm',
  (name) => {
    expect(isSignatureAlgorithm(name)).toBe(false)
    expect(() => algorithmRow(name)).toThrow(expect.objectContaining({ code: 'algorithm' }))
  },
)

describe.each(names)('%s', (algorithm) => {
  test('fits its own type of key and no other', () => {
    const fitting = Object.entries(keys).filter(([, { publicKey }]) => fitsAlgorithm(algorithm, publicKey))
    expect(fitting.map(([name]) => name)).toEqual([keyOf[algorithm]])
    expect(fitsAlgorithm(algorithm, keys[keyOf[algorithm]].privateKey)).toBe(true)
  })

  test('verifies what its key signed, and nothing else', () => {
    const { privateKey, publicKey } = keys[keyOf[algorithm]]
    const signature = signAs(algorithm, privateKey)
    expect(verifySignature(algorithm, publicKey, data, signature)).toBe(true)
    expect(verifySignature(algorithm, publicKey, Buffer.from('something else'), signature)).toBe(false)
    expect(verifySignature(algorithm, publicKey, data, signature.subarray(1))).toBe(false)
    for (const [name, other] of Object.entries(keys)) {
      if (name !== keyOf[algorithm]) expect(verifySignature(algorithm, other.publicKey, data, signature)).toBe(false)
    }
  })

  test('does not verify what another algorithm signed with the same key', () => {
    const { privateKey, publicKey } = keys[keyOf[algorithm]]
    for (const other of names.filter((name) => name !== algorithm && keyOf[name] === keyOf[algorithm])) {
      expect(verifySignature(algorithm, publicKey, data, signAs(other, privateKey))).toBe(false)
    }
  })
})

test.each(['PS256', 'PS384', 'PS512'] as const)('%s is not signed', (algorithm) => {
  expect(() => signWithKey(algorithm, keys.rsa2048.privateKey, data)).toThrow(
    expect.objectContaining({ code: 'algorithm' }),
  )
})

function signAs(algorithm: SignatureAlgorithm, key: KeyObject): Uint8Array {
  if (!algorithm.startsWith('PS')) return signWithKey(algorithm, key, data)
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  return sign(algorithms[algorithm].hash, data, { key, ...padding })
}
