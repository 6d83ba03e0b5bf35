import { expect, test } from 'vitest'
import { formatPem } from '../../src/protocol/encoding.ts'
import { formatJwk, thumbprintJwk } from '../../src/protocol/jwk.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { parseTrustBundle } from '../../src/protocol/trust-bundle.ts'
import { convertToTrustBundle } from '../../src/protocol/trust-bundle-conversion.ts'
import { createTestAuthority, makeTestKey } from '../support/certificate-authority.ts'

const trustDomain = parseTrustDomain('spire.example')
const [root, other] = ['one', 'other'].map((subject) => createTestAuthority({ subject }).der) as [Buffer, Buffer]
const [ec, rsa] = [makeTestKey().publicKeyInfo, makeTestKey('RSA').publicKeyInfo]

const pem = (...ders: readonly Buffer[]) => ders.map((der) => formatPem('CERTIFICATE', der)).join('')
const jwk = (key: Buffer, members: object = {}) => ({ ...formatJwk(key, { kid: thumbprintJwk(key) }), ...members })
const jwks = (...keys: readonly unknown[]) => JSON.stringify({ keys })
/** A certificate under the parameters of another key. */
const mismatched = { ...formatJwk(ec, { use: 'x509-svid', x5c: [root.toString('base64')] }) }

/** What comes of it: certificates, names of JWT keys, and what is kept of the document. */
function convert(...texts: readonly string[]) {
  const { sequence, refreshHintSeconds, x509Authorities, jwtAuthorities } = parseTrustBundle(
    trustDomain,
    convertToTrustBundle(trustDomain, texts),
  )
  return { sequence, refreshHintSeconds, x509: x509Authorities, jwt: jwtAuthorities.map(({ kid }) => kid) }
}

const nothing = { sequence: undefined, refreshHintSeconds: undefined, x509: [], jwt: [] }
const [ecName, rsaName] = [thumbprintJwk(ec), thumbprintJwk(rsa)]

test.each<[string, readonly string[], object]>([
  ['PEM of one certificate', [pem(root)], { x509: [root] }],
  ['PEM of several, with text around them', [`# roots\n${pem(root)}and\n${pem(other)}\n`], { x509: [root, other] }],
  ['PEM with CRLF', [pem(root).replaceAll('\n', '\r\n')], { x509: [root] }],
  [
    'PEM beside a key, which is left where it is',
    [`${formatPem('PRIVATE KEY', Buffer.of(1))}${pem(root)}`],
    { x509: [root] },
  ],
  ['a JWK Set without use', [jwks(jwk(ec), jwk(rsa))], { jwt: [ecName, rsaName] }],
  ['a JWK Set for signatures', [jwks(jwk(ec, { use: 'sig', alg: 'ES256' }))], { jwt: [ecName] }],
  ['PEM and a JWK Set', [pem(root), jwks(jwk(ec))], { x509: [root], jwt: [ecName] }],
  [
    'the same certificate and key twice',
    [pem(root, root), pem(root), jwks(jwk(ec)), jwks(jwk(ec))],
    { x509: [root], jwt: [ecName] },
  ],
  ['two keys of one name', [jwks(jwk(ec, { kid: 'a' }), jwk(rsa, { kid: 'a' }))], { jwt: ['a', 'a'] }],
])('takes %s', (_, texts, expected) => {
  expect(convert(...texts)).toEqual({ ...nothing, ...expected })
})

test('a SPIFFE bundle keeps its sequence number and hint, and loses what can not be used', () => {
  const keys = [{ kty: 'OKP', use: 'x509-svid' }, jwk(ec, { use: 'jwt-svid' }), jwk(rsa)]
  const text = `{"spiffe_sequence":18446744073709551615,"spiffe_refresh_hint":60,"keys":${JSON.stringify(keys)}}`
  expect(convert(text)).toEqual({ sequence: 2n ** 64n - 1n, refreshHintSeconds: 60, x509: [], jwt: [ecName] })
})

test('of several texts none has the sequence number of the whole', () => {
  const text = `{"spiffe_sequence":7,"spiffe_refresh_hint":60,"keys":[${JSON.stringify(jwk(ec, { use: 'jwt-svid' }))}]}`
  expect(convert(text, pem(root))).toEqual({ ...nothing, x509: [root], jwt: [ecName] })
})

test('what was converted is converted to itself', () => {
  const once = convertToTrustBundle(trustDomain, [pem(root, other), jwks(jwk(ec), jwk(rsa))])
  expect(convertToTrustBundle(trustDomain, [once])).toBe(once)
})

test.each<[string, readonly string[], string]>([
  ['nothing', [], 'bundle'],
  ['an empty text', [''], 'json'],
  ['HTML', ['<!doctype html>'], 'json'],
  ['keys twice', ['{"keys":[],"keys":[]}'], 'json'],
  ['an array', ['[]'], 'bundle'],
  ['an object without keys', ['{"jwks_uri":"https://spire.example/keys"}'], 'bundle'],
  ['keys that are no list', ['{"keys":{}}'], 'bundle'],
  ['no key', [jwks()], 'bundle'],
  ['a SPIFFE bundle without a usable key', [jwks({ kty: 'OKP', use: 'x509-svid' })], 'bundle'],
  ['a SPIFFE bundle whose certificate is of another key', [jwks(mismatched)], 'bundle'],
  ['a JWK Set with a key for encryption', [jwks(jwk(ec), jwk(rsa, { use: 'enc' }))], 'jwk'],
  ['a JWK Set with a key without kid', [jwks(jwk(ec, { kid: undefined }))], 'jwk'],
  ['a JWK Set with an empty kid', [jwks(jwk(ec, { kid: '' }))], 'jwk'],
  ['a JWK Set with a private key', [jwks(jwk(ec, { d: 'AAAA' }))], 'jwk'],
  ['a JWK Set with a secret', [jwks({ kty: 'oct', kid: 'a' })], 'jwk'],
  ['a JWK Set with what is no key', [jwks('a')], 'jwk'],
  ['PEM of a private key alone', [formatPem('PRIVATE KEY', Buffer.of(1))], 'pem'],
  ['PEM that is cut off', [pem(root).slice(0, -40)], 'pem'],
  ['PEM of no certificate', [pem(Buffer.from('none'))], 'bundle'],
  ['a good text beside a bad one', [pem(root), '<html>'], 'json'],
])('refuses %s', (_, texts, code) => {
  expect(() => convertToTrustBundle(trustDomain, texts)).toThrow(
    expect.objectContaining({ name: 'ProtocolError', code }),
  )
})
