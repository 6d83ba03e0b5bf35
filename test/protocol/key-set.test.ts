import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { expect, test } from 'vitest'
import { parseKeySet } from '../../src/protocol/key-set.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
const smallRsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey
const ed25519 = generateKeyPairSync('ed25519').publicKey

function jwk(key: KeyObject, members: object = {}): object {
  return { ...key.export({ format: 'jwk' }), ...members }
}

function read(...keys: readonly unknown[]) {
  return parseKeySet(JSON.stringify({ keys }))
}

test.each([
  ['RS256 for an RSA key that does not say', jwk(rsa), 'RS256'],
  ['what an RSA key says', jwk(rsa, { alg: 'PS256' }), 'PS256'],
  ['ES256 for P-256', jwk(p256.publicKey), 'ES256'],
  ['ES384 for P-384', jwk(p384), 'ES384'],
  ['what an EC key says', jwk(p256.publicKey, { alg: 'ES256', use: 'sig', key_ops: ['verify'] }), 'ES256'],
])('a key has one algorithm: %s', (_, key, algorithm) => {
  expect(read(key).keys).toEqual([{ jwk: expect.anything(), algorithm }])
})

test.each([
  ['of another purpose', jwk(rsa, { use: 'enc' })],
  ['of other operations', jwk(rsa, { key_ops: ['wrapKey'] })],
  ['of a purpose that is no string', jwk(rsa, { use: 7 })],
  ['for encryption', jwk(rsa, { alg: 'RSA-OAEP' })],
  ['for an HMAC', { kty: 'oct', k: 'c2VjcmV0', alg: 'HS256' }],
  ['with the algorithm none', jwk(rsa, { alg: 'none' })],
  ['with the algorithm of another type', jwk(rsa, { alg: 'ES256' })],
  ['with the algorithm of another curve', jwk(p384, { alg: 'ES256' })],
  ['of EdDSA', jwk(ed25519)],
  ['of 1024 bits', jwk(smallRsa)],
  ['that is private', jwk(p256.privateKey)],
  ['without parameters', { kty: 'RSA' }],
  ['whose kid is no string', jwk(rsa, { kid: 1 })],
  ['that is null', null],
  ['that is text', 'key'],
])('a key %s is left out alone', (_, key) => {
  const { keys, leftOut } = read(key, jwk(rsa, { kid: 'good' }))
  expect(keys.map(({ kid }) => kid)).toEqual(['good'])
  expect(leftOut).toBe(1)
})

test('several keys may have one kid', () => {
  expect(read(jwk(rsa, { kid: 'a' }), jwk(p384, { kid: 'a' })).keys).toHaveLength(2)
})

test('a set may be empty', () => {
  expect(read().keys).toEqual([])
})

test('100 keys are read and 101 are not', () => {
  expect(read(...Array(100).fill({ kty: 'oct' })).leftOut).toBe(100)
  expect(() => read(...Array(101).fill({ kty: 'oct' }))).toThrow(expect.objectContaining({ code: 'jwk' }))
})

test.each([
  ['no object', '[]', 'jwk'],
  ['null', 'null', 'jwk'],
  ['no keys', '{}', 'jwk'],
  ['keys that are no list', '{"keys":{}}', 'jwk'],
  ['a repeated member', '{"keys":[],"keys":[]}', 'json'],
  ['HTML', '<html></html>', 'json'],
])('refuses a document that is or has %s', (_, text, code) => {
  expect(() => parseKeySet(text)).toThrow(expect.objectContaining({ code }))
})

test('the digest is that of the usable keys, in any order', () => {
  const one = jwk(rsa, { kid: 'a' })
  const two = jwk(p384, { kid: 'b' })
  expect(read(one, two).digest).toBe(read(two, { kty: 'oct' }, one).digest)
  expect(read(one, two).digest).not.toBe(read(one).digest)
  expect(read(one).digest).not.toBe(read(jwk(rsa, { kid: 'c' })).digest)
  expect(read(one).digest).not.toBe(read(jwk(rsa, { kid: 'a', alg: 'PS256' })).digest)
})
