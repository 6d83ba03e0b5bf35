import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import {
  formatTrustBundle,
  maxTrustBundleBytes,
  maxTrustBundleKeys,
  parseTrustBundle,
  type TrustBundle,
} from '../../src/protocol/trust-bundle.ts'
import vectors from '../vectors/trust-bundle.json' with { type: 'json' }

const trustDomain = parseTrustDomain('example.org')
const { p256, rsa2048, ed25519, rsa1024, secp256k1 } = vectors.certificates
const der = (certificate: { readonly x5c: string }) => Buffer.from(certificate.x5c, 'base64')
const keyOf = (certificate: { readonly jwk: object }) => createPublicKey({ key: { ...certificate.jwk }, format: 'jwk' })

const x509 = { ...p256.jwk, use: 'x509-svid', x5c: [p256.x5c] }
const jwt = { ...rsa2048.jwk, use: 'jwt-svid', kid: 'k1' }
const parse = (document: unknown) => parseTrustBundle(trustDomain, JSON.stringify(document))
const refusal = expect.objectContaining({ code: 'bundle' })

test('reads both kinds of authority', () => {
  const bundle = parse({ spiffe_sequence: 42, spiffe_refresh_hint: 300, keys: [x509, jwt] })
  expect(bundle).toEqual({
    trustDomain,
    sequence: 42n,
    refreshHintSeconds: 300,
    x509Authorities: [der(p256)],
    jwtAuthorities: [{ kid: 'k1', key: expect.anything() }],
  })
  expect(bundle.jwtAuthorities[0]?.key.equals(keyOf(rsa2048))).toBe(true)
})

test.each<[string, object]>([
  ['no key', { keys: [] }],
  ['only keys that are ignored', { keys: [{ kty: 'OKP', use: 'x509-svid' }] }],
  ['members of others', { keys: [], spiffe_future: { a: 1 }, note: [] }],
])('reads a document with %s as one that trusts nothing', (_, document) => {
  expect(parse(document)).toEqual({ trustDomain, x509Authorities: [], jwtAuthorities: [] })
})

test.each<[string, unknown]>([
  ['an unknown kty', { ...jwt, kty: 'AKP' }],
  ['no kty', { ...jwt, kty: undefined }],
  ['an Ed25519 key', { ...ed25519.jwk, use: 'jwt-svid', kid: 'k2' }],
  ['an Ed25519 certificate', { ...ed25519.jwk, use: 'x509-svid', x5c: [ed25519.x5c] }],
  ['a curve outside the table', { ...secp256k1.jwk, use: 'x509-svid', x5c: [secp256k1.x5c] }],
  ['a weak RSA key', { ...rsa1024.jwk, use: 'x509-svid', x5c: [rsa1024.x5c] }],
  ['no use', { ...jwt, use: undefined }],
  ['an unknown use', { ...jwt, use: 'sig' }],
  ['the use of WIT-SVIDs', { ...jwt, use: 'wit-svid' }],
  ['a use in upper case', { ...jwt, use: 'JWT-SVID' }],
  ['a use that is an array', { ...jwt, use: ['jwt-svid'] }],
  ['a jwt-svid key without kid', { ...jwt, kid: undefined }],
  ['a jwt-svid key with an empty kid', { ...jwt, kid: '' }],
  ['a jwt-svid key with a kid that is a number', { ...jwt, kid: 1 }],
  ['a jwt-svid key for encryption', { ...jwt, alg: 'RSA-OAEP' }],
  ['a jwt-svid key with the algorithm of another type', { ...jwt, alg: 'ES256' }],
  ['a published private key', { ...jwt, d: 'AAAA' }],
  ['an x509-svid key without x5c', { ...x509, x5c: undefined }],
  ['an empty x5c', { ...x509, x5c: [] }],
  ['an x5c that is a string', { ...x509, x5c: p256.x5c }],
  ['an x5c that is base64url', { ...x509, x5c: [der(p256).toString('base64url')] }],
  ['an x5c that is PEM', { ...x509, x5c: [Buffer.from(pemOf(p256.x5c)).toString('base64')] }],
  ['an x5c that is no certificate', { ...x509, x5c: ['AAAA'] }],
  ['an x5c that is cut off', { ...x509, x5c: [der(p256).subarray(0, -1).toString('base64')] }],
  [
    'an x5c with bytes after the certificate',
    { ...x509, x5c: [Buffer.concat([der(p256), Buffer.from([0])]).toString('base64')] },
  ],
  ['an x5c of another key', { ...x509, x5c: [rsa2048.x5c] }],
  ['an x509-svid key without its parameters', { kty: 'EC', use: 'x509-svid', x5c: [p256.x5c] }],
  ['a point off the curve', { ...x509, y: x509.x }],
])('ignores a key and nothing else: %s', (_, key) => {
  const bundle = parse({ keys: [key, x509, key, jwt, key] })
  expect(bundle.x509Authorities).toEqual([der(p256)])
  expect(bundle.jwtAuthorities.map(({ kid }) => kid)).toEqual(['k1'])
})

test('of x5c only the first value counts', () => {
  expect(parse({ keys: [{ ...x509, x5c: [p256.x5c, 'no base64', rsa2048.x5c] }] }).x509Authorities).toEqual([der(p256)])
  expect(parse({ keys: [{ ...x509, x5c: [rsa2048.x5c, p256.x5c] }] }).x509Authorities).toEqual([])
})

test('an x509-svid key with a kid is read, and never becomes a jwt-svid key', () => {
  const bundle = parse({ keys: [{ ...x509, kid: 'k1' }] })
  expect(bundle.x509Authorities).toHaveLength(1)
  expect(bundle.jwtAuthorities).toEqual([])
})

test('the algorithm of a jwt-svid key is kept', () => {
  expect(parse({ keys: [{ ...jwt, alg: 'RS512' }] }).jwtAuthorities[0]?.algorithm).toBe('RS512')
})

test.each<[string, string]>([
  ['nothing', ''],
  ['no JSON', '{"keys":['],
  ['HTML', '<!doctype html>'],
  ['null', 'null'],
  ['an array', '[]'],
  ['no keys', '{"spiffe_sequence":1}'],
  ['keys that are an object', '{"keys":{}}'],
  ['keys that are null', '{"keys":null}'],
  ['a key that is a string', '{"keys":["a"]}'],
  ['keys twice', '{"keys":[],"keys":[]}'],
  ['a member of a key twice', '{"keys":[{"kty":"EC","use":"jwt-svid","use":"x509-svid"}]}'],
  ['a byte order mark', '\ufeff{"keys":[]}'],
  ['more than 1 MiB', `{"keys":[]}${' '.repeat(maxTrustBundleBytes)}`],
  [
    'more than 1,000 keys',
    `{"keys":[${Array(maxTrustBundleKeys + 1)
      .fill('{}')
      .join()}]}`,
  ],
  ['more than 1 MiB in fewer characters', `{"a":"${'é'.repeat(maxTrustBundleBytes / 2)}","keys":[]}`],
])('refuses %s', (_, text) => {
  expect(() => parseTrustBundle(trustDomain, text)).toThrow(refusal)
})

test('takes 1 MiB', () => {
  expect(parseTrustBundle(trustDomain, '{"keys":[]}'.padEnd(maxTrustBundleBytes)).x509Authorities).toEqual([])
})

test('takes 1,000 keys', () => {
  const text = `{"keys":[${Array(maxTrustBundleKeys).fill('{}').join()}]}`
  expect(parseTrustBundle(trustDomain, text).jwtAuthorities).toEqual([])
})

describe('spiffe_sequence', () => {
  test.each([
    ['0', 0n],
    ['42', 42n],
    ['9007199254740993', 9007199254740993n],
    ['18446744073709551615', 18446744073709551615n],
    ['18446744073709551616', undefined],
    [`1${'0'.repeat(400)}`, 'refused'],
    ['1.5', undefined],
    ['42.0', undefined],
    ['1e3', undefined],
    ['-1', undefined],
    ['-0', undefined],
    ['"42"', undefined],
    ['null', undefined],
    ['[42]', undefined],
  ])('%s is read as %s', (text, expected) => {
    const document = `{"spiffe_sequence":${text},"keys":[{"spiffe_sequence":7}]}`
    if (expected === 'refused') expect(() => parseTrustBundle(trustDomain, document)).toThrow(refusal)
    else expect(parseTrustBundle(trustDomain, document).sequence).toBe(expected)
  })

  test('is that of the document, however it is spelled and wherever others stand', () => {
    const document =
      '{"a":{"spiffe_sequence":1},"spiffe\\u005fsequence":9007199254740993,"b":{"spiffe_sequence":2},"keys":[]}'
    expect(parseTrustBundle(trustDomain, document).sequence).toBe(9007199254740993n)
  })
})

test.each<[string, number | undefined]>([
  ['0', 0],
  ['300', 300],
  ['3e2', 300],
  ['1.5', undefined],
  ['-1', undefined],
  ['1e300', undefined],
  ['"300"', undefined],
  ['null', undefined],
])('a refresh hint of %s is read as %s', (text, expected) => {
  const bundle = parseTrustBundle(trustDomain, `{"spiffe_refresh_hint":${text},"keys":[]}`)
  expect(bundle.refreshHintSeconds).toBe(expected)
})

const full: TrustBundle = {
  trustDomain,
  sequence: 9007199254740993n,
  refreshHintSeconds: 300,
  x509Authorities: [der(p256), der(rsa2048)],
  jwtAuthorities: [
    { kid: 'k1', key: keyOf(rsa2048) },
    { kid: 'k2', key: keyOf(p256), algorithm: 'ES256' },
  ],
}

test('writes each kind of key with its own members', () => {
  const text = formatTrustBundle(full)
  expect(text.startsWith('{"spiffe_sequence":9007199254740993,"spiffe_refresh_hint":300,"keys":[')).toBe(true)
  expect(JSON.parse(text).keys).toEqual([
    { use: 'x509-svid', ...p256.jwk, x5c: [p256.x5c] },
    { use: 'x509-svid', ...rsa2048.jwk, x5c: [rsa2048.x5c] },
    { use: 'jwt-svid', ...rsa2048.jwk, kid: 'k1' },
    { use: 'jwt-svid', ...p256.jwk, kid: 'k2', alg: 'ES256' },
  ])
})

test('the empty bundle has its keys', () => {
  expect(formatTrustBundle({ trustDomain, x509Authorities: [], jwtAuthorities: [] })).toBe('{"keys":[]}')
})

test('what is written is read back, and written again alike', () => {
  const some = <T>(values: readonly T[]) => fc.subarray([...values])
  const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
  const sequence = optional(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }))
  fc.assert(
    fc.property(
      some(full.x509Authorities),
      some(full.jwtAuthorities),
      sequence,
      optional(fc.maxSafeNat()),
      (x509Authorities, jwtAuthorities, number, hint) => {
        const bundle: TrustBundle = {
          trustDomain,
          ...(number === undefined ? {} : { sequence: number }),
          ...(hint === undefined ? {} : { refreshHintSeconds: hint }),
          x509Authorities,
          jwtAuthorities,
        }
        const read = parseTrustBundle(trustDomain, formatTrustBundle(bundle))
        expect({ ...read, jwtAuthorities: [] }).toEqual({ ...bundle, jwtAuthorities: [] })
        expect(read.jwtAuthorities.map(({ kid }) => kid)).toEqual(jwtAuthorities.map(({ kid }) => kid))
        expect(formatTrustBundle(read)).toBe(formatTrustBundle(bundle))
      },
    ),
  )
})

test.each<[string, Partial<TrustBundle>, string]>([
  ['a negative sequence', { sequence: -1n }, 'bundle'],
  ['a sequence above 64 bits', { sequence: 2n ** 64n }, 'bundle'],
  ['half a second as hint', { refreshHintSeconds: 0.5 }, 'bundle'],
  ['a negative hint', { refreshHintSeconds: -1 }, 'bundle'],
  ['an endless hint', { refreshHintSeconds: Number.POSITIVE_INFINITY }, 'bundle'],
  ['no certificate', { x509Authorities: [Buffer.from('no certificate')] }, 'bundle'],
  ['PEM', { x509Authorities: [Buffer.from(pemOf(p256.x5c))] }, 'bundle'],
  ['an Ed25519 certificate', { x509Authorities: [der(ed25519)] }, 'jwk'],
  ['a weak certificate', { x509Authorities: [der(rsa1024)] }, 'jwk'],
  [
    'a private key',
    { jwtAuthorities: [{ kid: 'k', key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }] },
    'jwk',
  ],
])('does not write %s', (_, change, code) => {
  expect(() => formatTrustBundle({ ...full, ...change })).toThrow(expect.objectContaining({ code }))
})

function pemOf(base64: string): string {
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`
}
