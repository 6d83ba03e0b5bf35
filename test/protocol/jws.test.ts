import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { CompactSign, compactVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { algorithms, type SignatureAlgorithm, signWithKey } from '../../src/protocol/algorithms.ts'
import { parseJwk } from '../../src/protocol/jwk.ts'
import {
  ecdsaDerToRaw,
  ecdsaRawToDer,
  encodeJwsHeader,
  parseCompactJws,
  signCompactJws,
  verifyCompactJws,
} from '../../src/protocol/jws.ts'
import type { Signer } from '../../src/protocol/signer.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' })
const keys: Readonly<Record<string, { readonly publicKey: KeyObject; readonly privateKey: KeyObject }>> = {
  ES256: p256,
  ES384: p384,
  ES512: p521,
}
const keyOf = (algorithm: string) => keys[algorithm] ?? rsa
const every = Object.keys(algorithms) as SignatureAlgorithm[]

const signerOf = (algorithm: SignatureAlgorithm): Signer => ({
  algorithm,
  publicKey: keyOf(algorithm).publicKey.export({ type: 'spki', format: 'der' }),
  sign: (data) => signWithKey(algorithm, keyOf(algorithm).privateKey, data),
})
const signedBy = (algorithm: SignatureAlgorithm, payload = '{"a":1}') =>
  signCompactJws(signerOf(algorithm), encodeJwsHeader({ alg: algorithm }), payload) as string

const text = (value: string) => Buffer.from(value).toString('base64url')

test('reads and verifies the example of RFC 7515 A.3', () => {
  const { key } = parseJwk({
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  })
  const jws = parseCompactJws(
    'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q',
  )
  expect(jws.header).toEqual({ alg: 'ES256' })
  expect(jws.payload.toString()).toBe('{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}')
  expect(verifyCompactJws(jws, 'ES256', key)).toBe(true)
})

describe.each(every)('%s', (algorithm) => {
  test('what jose signed verifies here', async () => {
    const signing = new CompactSign(Buffer.from('{"b":2}')).setProtectedHeader({ alg: algorithm })
    const jws = parseCompactJws(await signing.sign(keyOf(algorithm).privateKey))
    expect(verifyCompactJws(jws, algorithm, keyOf(algorithm).publicKey)).toBe(true)
    for (const other of every.filter((name) => name !== algorithm)) {
      expect(verifyCompactJws(jws, other, keyOf(other).publicKey)).toBe(false)
    }
  })
})

describe.each(every.filter((name) => !name.startsWith('PS')))('%s', (algorithm) => {
  test('what is signed here verifies with jose', async () => {
    const { payload, protectedHeader } = await compactVerify(signedBy(algorithm), keyOf(algorithm).publicKey)
    expect(Buffer.from(payload).toString()).toBe('{"a":1}')
    expect(protectedHeader).toEqual({ alg: algorithm })
  })
})

test('a signer that answers later gives a promise of the same', async () => {
  const later: Signer = { ...signerOf('ES256'), sign: async (data) => signWithKey('ES256', p256.privateKey, data) }
  const token = signCompactJws(later, encodeJwsHeader({ alg: 'ES256' }), '{}')
  expect(token).toBeInstanceOf(Promise)
  await expect(compactVerify(await token, p256.publicKey)).resolves.toBeDefined()
})

test.each([
  ['at once', () => Buffer.from('no DER')],
  ['later', async () => Buffer.from('no DER')],
])('an answer %s that is no signature is refused', async (_, sign) => {
  const run = async () => await signCompactJws({ ...signerOf('ES256'), sign }, encodeJwsHeader({}), '{}')
  await expect(run()).rejects.toEqual(expect.objectContaining({ code: 'jws_signature' }))
})

test('no changed character of a signed token verifies', () => {
  const token = signedBy('ES256', '{"sub":"spiffe://example.org/a"}')
  const characters = fc.constantFrom(...'ABCDwxyz0189-_.=')
  fc.assert(
    fc.property(fc.nat(token.length - 1), characters, (at, character) => {
      fc.pre(token[at] !== character)
      expect(verifies(token.slice(0, at) + character + token.slice(at + 1))).toBe(false)
    }),
    { numRuns: 300 },
  )
  expect(verifies(token)).toBe(true)
})

test('no changed bit of a signature verifies', () => {
  const jws = parseCompactJws(signedBy('ES256'))
  for (let bit = 0; bit < 512; bit++) {
    const signature = Buffer.from(jws.signature)
    signature[bit >> 3]! ^= 1 << (bit & 7)
    expect(verifyCompactJws({ ...jws, signature }, 'ES256', p256.publicKey)).toBe(false)
  }
})

test('what is signed is read back unaltered', () => {
  const unicode = fc.string({ unit: 'grapheme', minLength: 1 })
  fc.assert(
    fc.property(unicode, (payload) => {
      const header = encodeJwsHeader({ alg: 'ES256', kid: payload })
      const token = signCompactJws({ ...signerOf('ES256'), sign: () => derOf([1], [1]) }, header, payload) as string
      expect(parseCompactJws(token).payload.toString()).toBe(payload)
      expect(parseCompactJws(token).header.kid).toBe(payload)
    }),
  )
})

const header = text('{"alg":"ES256"}')
test.each([
  ['nothing', ''],
  ['no dots', 'abc'],
  ['two parts', `${header}.e30`],
  ['four parts', `${header}.e30.AA.AA`],
  ['five parts', `${header}.e30.AA.AA.AA`],
  ['no header', '.e30.AA'],
  ['no payload (detached)', `${header}..AA`],
  ['no signature', `${header}.e30.`],
  ['JSON serialisation', '{"payload":"e30","protected":"e30","signature":"AA"}'],
  ['white space at the end', `${header}.e30.AA\n`],
  ['white space at the start', ` ${header}.e30.AA`],
  ['padding', `${header}.e30=.AA`],
  ['bits left over in the signature', `${header}.e30.AB`],
  ['the base64 alphabet', `${header}.e30.+/+/`],
  ['a header that is no JSON', `${text('{')}.e30.AA`],
  ['a header that is an array', `${text('[]')}.e30.AA`],
  ['a header with a repeated member', `${text('{"alg":"ES256","alg":"none"}')}.e30.AA`],
  ['a header that is not UTF-8', `${Buffer.from([0x22, 0xff, 0x22]).toString('base64url')}.e30.AA`],
  ['16 KiB and one character', `${header}.e30.`.padEnd(16 * 1024 + 1, 'A')],
])('refuses %s', (_, token) => {
  expect(() => parseCompactJws(token)).toThrow(expect.objectContaining({ code: 'jws' }))
})

test('takes 16 KiB', () => {
  const start = `${header}.e30.`
  const size = 16 * 1024 - start.length
  const token = start + 'A'.repeat(size % 4 === 1 ? size - 1 : size)
  expect(parseCompactJws(token).payload.toString()).toBe('{}')
})

test('signs no token that nobody would read', () => {
  const encoded = encodeJwsHeader({ alg: 'ES256' })
  const payload = 'a'.repeat(Math.floor(((16 * 1024 - encoded.length - 88) * 3) / 4))
  expect(parseCompactJws(signedBy('ES256', payload)).payload.toString()).toBe(payload)
  expect(() => signedBy('ES256', `${payload}aaa`)).toThrow(expect.objectContaining({ code: 'jws' }))
})

test.each([32, 48, 66])('signatures of %i bytes a coordinate: both forms are inverse', (size) => {
  const coordinate = fc
    .uint8Array({ minLength: size, maxLength: size })
    .filter((bytes) => bytes.some((byte) => byte !== 0))
  fc.assert(
    fc.property(coordinate, coordinate, fc.nat(size - 1), (r, s, zeros) => {
      r.fill(0, 0, zeros)
      fc.pre(r.some((byte) => byte !== 0))
      const raw = Buffer.concat([r, s])
      expect(ecdsaDerToRaw(ecdsaRawToDer(raw), size)).toEqual(raw)
    }),
  )
})

test.each([
  ['nothing', []],
  ['no sequence', [0x31, 6, 2, 1, 1, 2, 1, 1]],
  ['a length that is too short', [0x30, 5, 2, 1, 1, 2, 1, 1]],
  ['a length that is too long', [0x30, 7, 2, 1, 1, 2, 1, 1]],
  ['a long form that is not needed', [0x30, 0x81, 6, 2, 1, 1, 2, 1, 1]],
  ['the indefinite form', [0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0]],
  ['r alone', [0x30, 3, 2, 1, 1]],
  ['three integers', [0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1]],
  ['bytes after the sequence', [0x30, 6, 2, 1, 1, 2, 1, 1, 0]],
  ['an octet string as r', [0x30, 6, 4, 1, 1, 2, 1, 1]],
  ['r = 0', [0x30, 6, 2, 1, 0, 2, 1, 1]],
  ['s = 0', [0x30, 6, 2, 1, 1, 2, 1, 0]],
  ['an empty r', [0x30, 5, 2, 0, 2, 1, 1]],
  ['a negative r', [0x30, 6, 2, 1, 0x80, 2, 1, 1]],
  ['a padded r', [0x30, 7, 2, 2, 0, 1, 2, 1, 1]],
  ['an r of 33 bytes', [0x30, 38, 2, 33, ...Array(33).fill(1), 2, 1, 1]],
  ['an s that is cut off', [0x30, 6, 2, 1, 1, 2, 2, 1]],
])('refuses a DER signature: %s', (_, der) => {
  expect(ecdsaDerToRaw(derOf([1], [1]), 32)).toHaveLength(64)
  expect(() => ecdsaDerToRaw(Uint8Array.from(der), 32)).toThrow(expect.objectContaining({ code: 'jws_signature' }))
})

test.each([
  ['nothing', Buffer.alloc(0)],
  ['63 bytes', Buffer.alloc(63, 1)],
  ['65 bytes', Buffer.alloc(65, 1)],
  ['r = 0', Buffer.concat([Buffer.alloc(32), Buffer.alloc(32, 1)])],
  ['s = 0', Buffer.concat([Buffer.alloc(32, 1), Buffer.alloc(32)])],
])('refuses a raw signature: %s', (_, raw) => {
  expect(() => ecdsaRawToDer(raw)).toThrow(expect.objectContaining({ code: 'jws_signature' }))
})

test('a zero signature does not verify', () => {
  const jws = parseCompactJws(signedBy('ES256'))
  expect(verifyCompactJws({ ...jws, signature: Buffer.alloc(64) }, 'ES256', p256.publicKey)).toBe(false)
})

function verifies(token: string): boolean {
  try {
    return verifyCompactJws(parseCompactJws(token), 'ES256', p256.publicKey)
  } catch {
    return false
  }
}

function derOf(r: readonly number[], s: readonly number[]): Buffer {
  return Buffer.from([0x30, 4 + r.length + s.length, 2, r.length, ...r, 2, s.length, ...s])
}
