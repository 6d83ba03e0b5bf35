import { Buffer } from 'node:buffer'
import { createHash, createPublicKey, ECDH, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { expect, test } from 'vitest'
import { signWithKey } from '../../src/protocol/algorithms.ts'
import { tags } from '../../src/protocol/der.ts'
import { derBitString, derInteger, derNode, formatDer } from '../../src/protocol/der-writer.ts'
import {
  importPublicKey,
  keyIdentifierOf,
  parsePublicKeyInfo,
  verifiesX509Signature,
} from '../../src/protocol/public-key-info.ts'
import { makeTestKey } from '../support/certificate-authority.ts'

const spki = (key: KeyObject) => key.export({ type: 'spki', format: 'der' })
const p256 = makeTestKey('P-256')
const rsaHeader = Buffer.from('300d06092a864886f70d0101010500', 'hex')
const modulus = Buffer.alloc(256, 0xff)

/** An RSA key that is not one, as only its numbers are looked at. */
function rsaKey(n: Uint8Array, e: Uint8Array, ...more: readonly Uint8Array[]): Buffer {
  const numbers = formatDer(derNode(tags.sequence, derInteger(n), derInteger(e), ...more))
  return formatDer(derNode(tags.sequence, rsaHeader, derBitString(numbers)))
}

test.each(['P-256', 'P-384', 'P-521', 'RSA'] as const)('reads and imports %s', (kind) => {
  const { publicKeyInfo, privateKey } = makeTestKey(kind)
  expect(parsePublicKeyInfo(publicKeyInfo)).toMatchObject({ der: publicKeyInfo, keyType: kind })
  expect(importPublicKey(publicKeyInfo).equals(createPublicKey(privateKey))).toBe(true)
})

test.each<[string, Buffer]>([
  ['exponent 3', rsaKey(modulus, Buffer.of(3))],
  ['an exponent of 64 bits', rsaKey(modulus, Buffer.alloc(8, 0xff))],
  ['4096 bits', rsaKey(Buffer.alloc(512, 0xff), Buffer.of(1, 0, 1))],
])('takes RSA with %s', (_, der) => {
  expect(parsePublicKeyInfo(der).keyType).toBe('RSA')
})

const compressed = Buffer.concat([
  Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex'),
  ECDH.convertKey(p256.publicKeyInfo.subarray(-65), 'prime256v1', undefined, undefined, 'compressed') as Buffer,
])

test.each<[string, Uint8Array]>([
  ['no DER', Buffer.of(1)],
  ['Ed25519', spki(generateKeyPairSync('ed25519').publicKey)],
  ['RSA-PSS', spki(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey)],
  ['secp256k1', makeTestKey('secp256k1').publicKeyInfo],
  ['a compressed point', compressed],
  [
    'a point that is too short',
    Buffer.concat([
      Buffer.from('3058', 'hex'),
      p256.publicKeyInfo.subarray(2, 23),
      Buffer.from('034100', 'hex'),
      p256.publicKeyInfo.subarray(26, 90),
    ]),
  ],
  ['RSA of 1024 bits', makeTestKey('RSA-1024').publicKeyInfo],
  ['RSA of 2047 bits', rsaKey(Buffer.concat([Buffer.of(0x7f), modulus.subarray(1)]), Buffer.of(3))],
  ['RSA of 4104 bits', rsaKey(Buffer.alloc(513, 0xff), Buffer.of(3))],
  ['an even modulus', rsaKey(Buffer.alloc(256, 0xfe), Buffer.of(3))],
  ['exponent 1', rsaKey(modulus, Buffer.of(1))],
  ['an even exponent', rsaKey(modulus, Buffer.of(4))],
  ['an exponent of 65 bits', rsaKey(modulus, Buffer.from('010000000000000001', 'hex'))],
  ['a third RSA number', rsaKey(modulus, Buffer.of(3), Buffer.from('020101', 'hex'))],
  ['trailing fields', formatDer(derNode(tags.sequence, rsaHeader, derBitString(Buffer.of(1)), derNode(tags.null)))],
])('refuses %s', (_, der) => {
  expect(() => parsePublicKeyInfo(der)).toThrow(expect.objectContaining({ code: 'certificate_key' }))
})

test('a point that is not on its curve cannot be imported', () => {
  const off = Buffer.from(p256.publicKeyInfo)
  off[90] = (off[90] as number) ^ 1
  expect(() => importPublicKey(off)).toThrow(expect.objectContaining({ code: 'certificate_key' }))
})

test('the key identifier is of the key bits alone', () => {
  const digest = createHash('sha256').update(p256.publicKeyInfo.subarray(-65)).digest()
  expect(keyIdentifierOf(p256.publicKeyInfo)).toEqual(digest.subarray(0, 20))
})

test('a curve goes with any hash, and a key with algorithms of its family only', () => {
  const data = Buffer.from('data')
  const signature = signWithKey('ES384', p256.privateKey, data)
  const key = { keyType: 'P-256' as const, publicKey: importPublicKey(p256.publicKeyInfo) }
  expect(verifiesX509Signature('ES384', key, data, signature)).toBe(true)
  expect(verifiesX509Signature('ES256', key, data, signature)).toBe(false)
  expect(verifiesX509Signature('RS384', key, data, signature)).toBe(false)
})
