import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { calculateJwkThumbprint, exportJWK, type JWK } from 'jose'
import { describe, expect, test } from 'vitest'
import { formatJwk, parseJwk, thumbprintJwk } from '../../src/protocol/jwk.ts'
import vectors from '../vectors/trust-bundle.json' with { type: 'json' }

const refusal = expect.objectContaining({ code: 'jwk' })
const keys = {
  'P-256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'P-521': generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  'RSA-2048': generateKeyPairSync('rsa', { modulusLength: 2048 }),
  'RSA-2048 with e=3': generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }),
  'RSA-3072': generateKeyPairSync('rsa', { modulusLength: 3072 }),
}
const p256 = keys['P-256'].publicKey.export({ format: 'jwk' })
const rsa = keys['RSA-2048'].publicKey.export({ format: 'jwk' })

// RFC 7638 §3.1
const thumbprintExample = {
  kty: 'RSA',
  n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
  e: 'AQAB',
  alg: 'RS256',
  kid: '2011-04-29',
}

test('the thumbprint is that of RFC 7638', () => {
  expect(thumbprintJwk(parseJwk(thumbprintExample).key)).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
})

describe.each(Object.entries(keys))('%s', (_, { publicKey, privateKey }) => {
  test('is read and written alike, with all members', () => {
    const members = { use: 'sig', kid: 'k1', alg: 'ANY', x5c: ['AAAA'] }
    const document = formatJwk(publicKey, members)
    const parsed = parseJwk(JSON.parse(JSON.stringify(document)))
    expect(parsed.key.equals(publicKey)).toBe(true)
    expect(parsed).toMatchObject({ kty: document.kty, ...members })
    expect(formatJwk(parsed.key, members)).toEqual(document)
  })

  test('has the same document and thumbprint for jose', async () => {
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    const document = formatJwk(spki, {}) as JWK
    expect(document).toEqual(await exportJWK(publicKey))
    expect(thumbprintJwk(spki)).toBe(await calculateJwkThumbprint(document))
  })

  test('never leaves with its private half', () => {
    expect(() => formatJwk(privateKey, {})).toThrow(refusal)
    expect(() => thumbprintJwk(privateKey)).toThrow(refusal)
    expect(() => parseJwk(privateKey.export({ format: 'jwk' }))).toThrow(refusal)
  })
})

test('members that are not there stay away', () => {
  expect(Object.keys(formatJwk(keys['P-256'].publicKey, {}))).toEqual(['kty', 'crv', 'x', 'y'])
  expect(Object.keys(parseJwk(p256)).sort()).toEqual(['key', 'kty'])
})

test('unknown members are ignored', () => {
  expect(parseJwk({ ...p256, key_ops: ['verify'], note: 1 }).kty).toBe('EC')
})

const flipped = (text: string | undefined) => (text?.startsWith('A') ? `B${text.slice(1)}` : `A${text?.slice(1)}`)
const integer = (...bytes: number[]) => Buffer.from(bytes).toString('base64url')
const modulus = (bits: number) => {
  const bytes = Buffer.alloc(Math.ceil(bits / 8), 0xff)
  bytes[0] = bits % 8 === 0 ? 0xff : 2 ** (bits % 8) - 1
  return bytes.toString('base64url')
}

test.each<[string, unknown]>([
  ['null', null],
  ['a string', 'EC'],
  ['an array', [p256]],
  ['nothing', {}],
  ['an unknown kty', { ...p256, kty: 'OKP' }],
  ['a kty in lower case', { ...p256, kty: 'ec' }],
  ['a symmetric key', { kty: 'oct', k: 'AAAA' }],
  ['an Ed25519 key', vectors.certificates.ed25519.jwk],
  ['a curve outside the table', vectors.certificates.secp256k1.jwk],
  ['a curve of the prototype', { ...p256, crv: 'toString' }],
  ['no curve', { ...p256, crv: undefined }],
  ['another curve', { ...p256, crv: 'P-384' }],
  ['a point off the curve', { ...p256, y: flipped(p256.y) }],
  ['the point at zero', { ...p256, x: 'A'.repeat(43), y: 'A'.repeat(43) }],
  ['no y', { ...p256, y: undefined }],
  [
    'a short coordinate',
    {
      ...p256,
      x: Buffer.from(p256.x ?? '', 'base64url')
        .subarray(1)
        .toString('base64url'),
    },
  ],
  ['a long coordinate', { ...p256, x: integer(0, ...Buffer.from(p256.x ?? '', 'base64url')) }],
  ['padding', { ...p256, x: `${p256.x}=` }],
  ['a number as coordinate', { ...p256, x: 1 }],
  ['RSA with 1024 bits', vectors.certificates.rsa1024.jwk],
  ['RSA with 2047 bits', { ...rsa, n: modulus(2047) }],
  ['RSA with 4097 bits', { ...rsa, n: modulus(4097) }],
  ['an even modulus', { ...rsa, n: integer(...Buffer.alloc(255, 0xff), 0xfe) }],
  ['a modulus with a leading zero', { ...rsa, n: integer(0, ...Buffer.from(rsa.n ?? '', 'base64url')) }],
  ['exponent 1', { ...rsa, e: integer(1) }],
  ['an even exponent', { ...rsa, e: integer(1, 0, 0) }],
  ['an empty exponent', { ...rsa, e: '' }],
  ['an exponent of 9 bytes', { ...rsa, e: integer(1, 0, 0, 0, 0, 0, 0, 0, 1) }],
  ['no exponent', { ...rsa, e: undefined }],
  ['a kid that is a number', { ...p256, kid: 1 }],
  ['a use that is an array', { ...p256, use: ['sig'] }],
  ['an alg that is null', { ...p256, alg: null }],
  ['an x5c that is a string', { ...p256, x5c: 'AAAA' }],
  ['an x5c of numbers', { ...p256, x5c: [1] }],
])('refuses %s', (_, value) => {
  expect(() => parseJwk(value)).toThrow(refusal)
})

test.each(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'])('refuses a document with the private member %s', (name) => {
  expect(() => parseJwk({ ...p256, [name]: 'AAAA' })).toThrow(refusal)
  expect(() => parseJwk({ ...rsa, [name]: undefined })).toThrow(refusal)
})

test('takes RSA of 2048 and 4096 bits', () => {
  expect(parseJwk({ ...rsa, n: modulus(2048) }).key.asymmetricKeyDetails?.modulusLength).toBe(2048)
  expect(parseJwk({ ...rsa, n: modulus(4096) }).key.asymmetricKeyDetails?.modulusLength).toBe(4096)
})

test.each<[string, Uint8Array | KeyObject]>([
  ['an Ed25519 key', createPublicKey({ key: vectors.certificates.ed25519.jwk, format: 'jwk' })],
  ['a secp256k1 key', createPublicKey({ key: vectors.certificates.secp256k1.jwk, format: 'jwk' })],
  ['a weak RSA key', createPublicKey({ key: vectors.certificates.rsa1024.jwk, format: 'jwk' })],
  ['an RSASSA-PSS key', generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey],
  ['no DER', Buffer.from('not DER')],
])('does not write %s', (_, key) => {
  expect(() => formatJwk(key, {})).toThrow(refusal)
  expect(() => thumbprintJwk(key)).toThrow(refusal)
})

test('an accepted document is never altered', () => {
  const change = fc.tuple(fc.constantFrom('x', 'y'), fc.nat(42), fc.constantFrom(...'AZaz09-_=+'))
  fc.assert(
    fc.property(change, ([name, at, character]) => {
      const text = p256[name as 'x'] ?? ''
      const changed = { ...p256, [name]: text.slice(0, at) + character + text.slice(at + 1) }
      const parsed = attempt(() => parseJwk(changed))
      if (parsed !== undefined) expect(formatJwk(parsed.key, {})).toEqual(changed)
    }),
  )
})

function attempt<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch {
    return undefined
  }
}
