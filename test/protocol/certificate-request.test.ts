import 'reflect-metadata'
import { Buffer } from 'node:buffer'
import { execFileSync } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, sign, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  maxCertificateRequestBytes,
  parseCertificateRequest,
  readCertificateRequest,
} from '../../src/protocol/certificate-request.ts'
import { derExtension } from '../../src/protocol/certificate-writer.ts'
import { contextTag, tags } from '../../src/protocol/der.ts'
import { type DerPart, derBitString, derInteger, derNode, derOid, formatDer } from '../../src/protocol/der-writer.ts'
import { organizationName } from '../../src/protocol/distinguished-name.ts'
import { formatPem } from '../../src/protocol/encoding.ts'
import { ProtocolError } from '../../src/protocol/errors.ts'
import { makeTestKey, type TestKey } from '../support/certificate-authority.ts'
import { testWithOpenssl } from '../support/openssl.ts'

const refusal = (code: string) => expect.objectContaining({ name: 'ProtocolError', code })
const p256 = makeTestKey('P-256')
const ecdsaWithSha256 = Buffer.from('300a06082a8648ce3d040302', 'hex')
const rsaWithSha256 = Buffer.from('300d06092a864886f70d01010b0500', 'hex')
const noAttributes = derNode(contextTag(0, 'constructed'))
const subject = organizationName('Ignored')

interface Wishes {
  readonly key?: TestKey
  readonly version?: number
  readonly subject?: DerPart
  readonly publicKeyInfo?: DerPart
  readonly attributes?: readonly DerPart[]
  readonly algorithm?: DerPart
  readonly more?: readonly DerPart[]
}

/** A request with whatever is asked for, and a right signature over it. */
function makeRequest(wishes: Wishes = {}): Buffer {
  const key = wishes.key ?? p256
  const attributes = wishes.attributes ?? [noAttributes]
  const version = derInteger(Buffer.of(wishes.version ?? 0))
  const publicKeyInfo = wishes.publicKeyInfo ?? key.publicKeyInfo
  const info = formatDer(derNode(tags.sequence, version, wishes.subject ?? subject, publicKeyInfo, ...attributes))
  const isRsa = key.signer.algorithm === 'RS256'
  const algorithm = wishes.algorithm ?? (isRsa ? rsaWithSha256 : ecdsaWithSha256)
  const signature = derBitString(sign('sha256', info, key.privateKey))
  return formatDer(derNode(tags.sequence, info, algorithm, signature, ...(wishes.more ?? [])))
}

/** The attributes field with one attribute. */
const attributesOf = (...fields: readonly DerPart[]) => [
  derNode(contextTag(0, 'constructed'), derNode(tags.sequence, ...fields)),
]
const extensionRequest = derOid('1.2.840.113549.1.9.14')
const extension = derExtension('2.5.29.15', 'critical', Buffer.from('03020780', 'hex'))

test.each(['P-256', 'P-384', 'RSA'] as const)('takes the key of a request of %s and nothing else', (kind) => {
  const key = makeTestKey(kind)
  const request = parseCertificateRequest(makeRequest({ key }))
  expect(request).toMatchObject({ publicKeyInfo: key.publicKeyInfo, keyType: kind })
  expect(createPublicKey(key.privateKey).export({ type: 'spki', format: 'der' }).equals(request.publicKeyInfo)).toBe(
    true,
  )
  expect(Object.keys(request).sort()).toEqual(['keyType', 'publicKeyInfo'])
})

test.each<[string, Wishes]>([
  ['an empty name', { subject: derNode(tags.sequence) }],
  ['an unknown attribute', { attributes: attributesOf(derOid('1.2.3'), derNode(tags.set, derNode(tags.null))) }],
  ['extensions', { attributes: attributesOf(extensionRequest, derNode(tags.set, derNode(tags.sequence, extension))) }],
])('takes %s', (_, wishes) => {
  expect(parseCertificateRequest(makeRequest(wishes)).keyType).toBe('P-256')
})

test.each<[string, Uint8Array, string]>([
  ['nothing', Buffer.alloc(0), 'certificate_request'],
  ['trailing bytes', Buffer.concat([makeRequest(), Buffer.of(0)]), 'certificate_request'],
  ['more than 16 KiB', Buffer.alloc(maxCertificateRequestBytes + 1), 'certificate_request'],
  ['a fourth field', makeRequest({ more: [derNode(tags.null)] }), 'certificate_request'],
  ['version 2', makeRequest({ version: 1 }), 'certificate_request'],
  ['a name that is none', makeRequest({ subject: derNode(tags.sequence, derNode(tags.null)) }), 'certificate_request'],
  ['no attributes field', makeRequest({ attributes: [] }), 'certificate_request'],
  ['two attributes fields', makeRequest({ attributes: [noAttributes, noAttributes] }), 'certificate_request'],
  ['an attribute without values', makeRequest({ attributes: attributesOf(derOid('1.2.3')) }), 'certificate_request'],
  [
    'an attribute with an empty set',
    makeRequest({ attributes: attributesOf(derOid('1.2.3'), derNode(tags.set)) }),
    'certificate_request',
  ],
  [
    'an attribute of three fields',
    makeRequest({
      attributes: attributesOf(derOid('1.2.3'), derNode(tags.set, derNode(tags.null)), derNode(tags.null)),
    }),
    'certificate_request',
  ],
  [
    'an attribute that is no DER',
    makeRequest({ attributes: attributesOf(derOid('1.2.3'), derNode(tags.set, Buffer.of(1, 1, 1))) }),
    'certificate_request',
  ],
  [
    'an extension twice',
    makeRequest({
      attributes: attributesOf(extensionRequest, derNode(tags.set, derNode(tags.sequence, extension, extension))),
    }),
    'certificate_request',
  ],
  [
    'a signature of another key',
    makeRequest({ publicKeyInfo: makeTestKey().publicKeyInfo }),
    'certificate_request_signature',
  ],
  ['an algorithm of another family', makeRequest({ algorithm: rsaWithSha256 }), 'certificate_request_signature'],
  [
    'another hash',
    makeRequest({ algorithm: Buffer.from('300a06082a8648ce3d040303', 'hex') }),
    'certificate_request_signature',
  ],
  [
    'an unknown algorithm',
    makeRequest({ algorithm: derNode(tags.sequence, derOid('1.2.3')) }),
    'certificate_request_signature',
  ],
  ['P-521', makeRequest({ key: makeTestKey('P-521') }), 'certificate_key'],
  ['secp256k1', makeRequest({ key: makeTestKey('secp256k1') }), 'certificate_key'],
  ['RSA of 1024 bits', makeRequest({ key: makeTestKey('RSA-1024') }), 'certificate_key'],
  [
    'Ed25519',
    makeRequest({ publicKeyInfo: generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' }) }),
    'certificate_key',
  ],
])('refuses %s', (_, der, code) => {
  expect(() => parseCertificateRequest(der)).toThrow(refusal(code))
})

test('refuses a point that is not on its curve', () => {
  const publicKeyInfo = Buffer.from(p256.publicKeyInfo)
  publicKeyInfo[90] = (publicKeyInfo[90] as number) ^ 1
  expect(() => parseCertificateRequest(makeRequest({ publicKeyInfo }))).toThrow(refusal('certificate_key'))
})

test('a request cut short at any byte is refused', () => {
  const der = makeRequest()
  for (let length = 0; length < der.length; length += 1) {
    expect(() => parseCertificateRequest(der.subarray(0, length))).toThrow(refusal('certificate_request'))
  }
})

test('no changed bit of a request is accepted', () => {
  const der = makeRequest()
  for (let index = 0; index < der.length; index += 1) {
    const changed = Buffer.from(der)
    changed[index] = (changed[index] as number) ^ (1 << (index % 8))
    expect(() => parseCertificateRequest(changed)).toThrow(ProtocolError)
  }
})

test('no bytes make the parser fail in another way', () => {
  const der = makeRequest({
    attributes: attributesOf(extensionRequest, derNode(tags.set, derNode(tags.sequence, extension))),
  })
  const onlyProtocolErrors = (bytes: Uint8Array) => {
    try {
      parseCertificateRequest(bytes)
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError)
    }
  }
  const changes = fc.array(fc.tuple(fc.nat(der.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), onlyProtocolErrors))
  fc.assert(
    fc.property(changes, (list) => {
      const bytes = Buffer.from(der)
      for (const [at, value] of list) bytes[at] = value
      onlyProtocolErrors(bytes)
    }),
    { numRuns: 1000 },
  )
})

describe('the text of a request', () => {
  const der = makeRequest()
  const pem = formatPem('CERTIFICATE REQUEST', der)

  test.each([
    ['PEM', pem],
    ['PEM of the older label', formatPem('NEW CERTIFICATE REQUEST', der)],
    ['PEM with CRLF', pem.replaceAll('\n', '\r\n')],
    ['PEM between blank lines', `\n\n${pem}\n\n`],
    ['base64', der.toString('base64')],
    ['base64 in lines', pem.split('\n').slice(1, -2).join('\n')],
  ])('is taken as %s', (_, text) => {
    expect(readCertificateRequest(text).publicKeyInfo).toEqual(p256.publicKeyInfo)
  })

  test.each([
    ['nothing', ''],
    ['two requests', pem + pem],
    ['another label', formatPem('CERTIFICATE', der)],
    ['no end', pem.slice(0, -10)],
    ['the end of another label', pem.replace('END CERTIFICATE', 'END NEW CERTIFICATE')],
    ['base64url', der.toString('base64url')],
    ['other characters', pem.replace('M', '*')],
    ['more than 16 KiB', `${pem}${' '.repeat(maxCertificateRequestBytes)}`],
  ])('is refused with %s', (_, text) => {
    expect(() => readCertificateRequest(text)).toThrow(refusal('certificate_request'))
  })
})

describe('second opinions', () => {
  testWithOpenssl.each([
    ['P-256', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']],
    ['P-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-sha512']],
    ['RSA', ['-newkey', 'rsa:3072', '-sha384']],
  ])('reads what openssl makes with %s', (keyType, options) => {
    const names = [
      '-subj',
      '/C=US/O=Example/CN=web',
      '-addext',
      'subjectAltName=DNS:web.example.org,URI:spiffe://other.org/x',
    ]
    const text = execFileSync('openssl', ['req', '-new', '-nodes', '-keyout', '/dev/null', ...options, ...names], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    expect(readCertificateRequest(text).keyType).toBe(keyType)
  })

  testWithOpenssl('openssl agrees with what the tests make', () => {
    const checked = execFileSync('openssl', ['req', '-verify', '-noout', '-inform', 'DER'], {
      input: makeRequest({
        attributes: attributesOf(extensionRequest, derNode(tags.set, derNode(tags.sequence, extension))),
      }),
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    expect(checked.toString()).not.toContain('verify failure')
  })

  test('reads what @peculiar/x509 makes', async () => {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const request = await x509.Pkcs10CertificateRequestGenerator.create({
      name: 'CN=Ignored',
      keys,
      signingAlgorithm: algorithm,
      extensions: [new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true)],
      attributes: [new x509.ChallengePasswordAttribute('ignored')],
    })
    const spki = Buffer.from(await webcrypto.subtle.exportKey('spki', keys.publicKey))
    expect(readCertificateRequest(request.toString('pem')).publicKeyInfo).toEqual(spki)
  })
})
