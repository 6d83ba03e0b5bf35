import 'reflect-metadata'
import { Buffer } from 'node:buffer'
import { createPublicKey, webcrypto, X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseCertificate } from '../../src/protocol/certificate.ts'
import { contextTag, encodingOf, readDer, sequenceOf, tags } from '../../src/protocol/der.ts'
import { type DerPart, derBitString, derInteger, derNode, derTime, formatDer } from '../../src/protocol/der-writer.ts'
import { ProtocolError } from '../../src/protocol/errors.ts'
import { createTestAuthority, makeTestKey, testNow } from '../support/certificate-authority.ts'

const authority = createTestAuthority()
const leaf = authority.issue({ dnsNames: ['web.example.org'] })

test('reads what the certificate says', () => {
  const { certificate } = leaf
  expect(certificate).toMatchObject({
    notBefore: new Date('2026-07-31T12:00:00Z'),
    notAfter: new Date('2026-08-02T12:00:00Z'),
    signatureAlgorithm: 'ES256',
    basicConstraints: { critical: true, ca: false, pathLength: undefined },
    extendedKeyUsage: { critical: false, purposes: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'] },
    subjectAltName: { critical: false, uris: ['spiffe://example.org/web'], dnsNames: ['web.example.org'] },
    unknownCriticalExtensions: [],
  })
  expect([...(certificate.keyUsage?.bits ?? [])]).toEqual(['digitalSignature'])
  expect(certificate.issuer).toEqual(authority.certificate.subject)
  expect(certificate.authorityKeyId).toEqual(authority.certificate.subjectKeyId)
  expect(certificate.der).toEqual(leaf.der)
})

test('agrees with OpenSSL', () => {
  const openssl = new X509Certificate(leaf.der)
  const { certificate } = leaf
  expect(certificate.serialNumber.toString('hex').toUpperCase()).toBe(openssl.serialNumber)
  expect(certificate.publicKeyInfo).toEqual(openssl.publicKey.export({ type: 'spki', format: 'der' }))
  expect(certificate.notAfter).toEqual(new Date(openssl.validTo))
})

test('the key is imported once', () => {
  expect(leaf.certificate.publicKey()).toBe(leaf.certificate.publicKey())
  expect(leaf.certificate.publicKey().equals(createPublicKey(leaf.key.privateKey))).toBe(true)
})

test('reads what @peculiar/x509 makes', async () => {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '00d1',
    name: 'CN=Test, O=Example',
    notBefore: testNow,
    notAfter: new Date('2050-01-01T00:00:00Z'),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 3, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.decipherOnly, true),
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: 'spiffe://example.org' },
        { type: 'email', value: 'a@example.org' },
        { type: 'ip', value: '192.0.2.1' },
        { type: 'dn', value: 'CN=other' },
      ]),
    ],
  })
  const certificate = parseCertificate(new Uint8Array(made.rawData))

  expect(certificate.notAfter).toEqual(new Date('2050-01-01T00:00:00Z'))
  expect(certificate.serialNumber).toEqual(Buffer.of(0xd1))
  expect(certificate.basicConstraints).toEqual({ critical: true, ca: true, pathLength: 3 })
  expect([...(certificate.keyUsage?.bits ?? [])]).toEqual(['keyCertSign', 'decipherOnly'])
  expect(certificate.subjectAltName).toMatchObject({ emails: ['a@example.org'], ips: [Buffer.of(192, 0, 2, 1)] })
  expect(certificate.subjectAltName?.others).toHaveLength(1)
})

test('an algorithm outside of the table is no algorithm', () => {
  expect(authority.issue({ hash: 'sha1' }).certificate.signatureAlgorithm).toBeUndefined()
})

/** The certificate with some of its fields replaced, by their index in TBSCertificate. */
function withFields(replaced: Readonly<Record<number, DerPart>>, outerAlgorithm?: DerPart): Buffer {
  const [tbs, algorithm, signature] = sequenceOf(readDer(leaf.der))
  const fields = sequenceOf(tbs).map((field, index) => replaced[index] ?? encodingOf(field))
  const added = Object.entries(replaced).flatMap(([index, part]) => (Number(index) >= 8 ? [part] : []))
  const rest = [outerAlgorithm ?? encodingOf(algorithm!), encodingOf(signature!)]
  return formatDer(derNode(tags.sequence, derNode(tags.sequence, ...fields, ...added), ...rest))
}

const extensionsField = encodingOf(sequenceOf(sequenceOf(readDer(leaf.der))[0])[7]!)
const otherAlgorithm = derNode(tags.sequence, Buffer.from('06082a8648ce3d040303', 'hex'))
const key = makeTestKey().publicKeyInfo

test('takes replaced fields at all, unique identifiers among them', () => {
  expect(parseCertificate(withFields({ 6: key })).publicKeyInfo).toEqual(key)
  const identifier = derNode(contextTag(1, 'primitive'), Buffer.of(0, 1))
  expect(parseCertificate(withFields({ 7: identifier, 8: extensionsField })).extension('2.5.29.17')).toBeDefined()
})

test.each<[string, Uint8Array]>([
  ['nothing', Buffer.alloc(0)],
  ['trailing bytes', Buffer.concat([leaf.der, Buffer.of(0)])],
  ['version 1', withFields({ 0: derNode(contextTag(0, 'constructed'), derInteger(Buffer.of(0))) })],
  ['no version', formatDer(derNode(tags.sequence, derNode(tags.sequence), otherAlgorithm, derBitString(Buffer.of(1))))],
  ['a serial number of 21 octets', withFields({ 1: derInteger(Buffer.alloc(21, 1)) })],
  ['another algorithm inside', withFields({ 2: otherAlgorithm })],
  ['another algorithm outside', withFields({}, otherAlgorithm)],
  ['an issuer that is no name', withFields({ 3: derNode(tags.sequence, derNode(tags.sequence)) })],
  ['validity of one time', withFields({ 4: derNode(tags.sequence, derTime(testNow)) })],
  ['validity of three times', withFields({ 4: derNode(tags.sequence, ...Array(3).fill(derTime(testNow))) })],
  ['a key that is no key', withFields({ 6: derNode(tags.sequence) })],
  ['no extensions', withFields({ 7: Buffer.alloc(0) })],
  ['extensions that are not last', withFields({ 8: derNode(contextTag(1, 'primitive'), Buffer.of(0, 1)) })],
  ['extensions twice', withFields({ 8: extensionsField })],
])('refuses %s', (_, der) => {
  expect(() => parseCertificate(der)).toThrow(expect.objectContaining({ code: 'certificate' }))
})

test('a certificate cut short at any byte is refused', () => {
  for (let length = 0; length < leaf.der.length; length += 1) {
    expect(() => parseCertificate(leaf.der.subarray(0, length))).toThrow(
      expect.objectContaining({ code: 'certificate' }),
    )
  }
})

test('no bytes make the parser fail in another way', () => {
  const position = fc.nat(leaf.der.length - 1)
  fc.assert(
    fc.property(fc.array(fc.tuple(position, fc.nat(255)), { minLength: 1, maxLength: 4 }), (changes) => {
      const der = Buffer.from(leaf.der)
      for (const [at, value] of changes) der[at] = value
      try {
        parseCertificate(der)
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError)
      }
    }),
    { numRuns: 3000 },
  )
})
