import 'reflect-metadata'
import { Buffer } from 'node:buffer'
import { randomBytes, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { expect, test } from 'vitest'
import { parseCertificate } from '../../src/protocol/certificate.ts'
import { verifyCertificatePath } from '../../src/protocol/certificate-path.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import {
  type AuthorityCertificateInput,
  buildAuthorityCertificate,
  createX509Authority,
} from '../../src/protocol/x509-authority.ts'
import { createTestAuthority, makeTestKey, testNow } from '../support/certificate-authority.ts'

const refusal = (code: string) => expect.objectContaining({ name: 'ProtocolError', code })
const day = 86_400_000
const key = makeTestKey()
const input = {
  trustDomain: parseTrustDomain('example.org'),
  publicKeyInfo: key.publicKeyInfo,
  serialNumber: Buffer.alloc(16, 0xff),
  notBefore: new Date(testNow.getTime() - 300_000),
  notAfter: new Date(testNow.getTime() + 7 * day),
  signer: key.signer,
} satisfies AuthorityCertificateInput

const rootDer = await buildAuthorityCertificate(input)
const root = createX509Authority({ certificate: parseCertificate(rootDer), signer: key.signer, chain: [] })
const lowerKey = makeTestKey()
const lowerInput = { ...input, publicKeyInfo: lowerKey.publicKeyInfo, serialNumber: randomBytes(16), issuer: root }

test('a root names its trust domain and may sign certificates and nothing else', () => {
  const { certificate } = root
  expect(certificate).toMatchObject({
    notBefore: input.notBefore,
    notAfter: input.notAfter,
    serialNumber: Buffer.concat([Buffer.of(0x7f), Buffer.alloc(15, 0xff)]),
    basicConstraints: { critical: true, ca: true, pathLength: undefined },
    keyUsage: { critical: true, bits: new Set(['keyCertSign', 'cRLSign']) },
    extendedKeyUsage: undefined,
    nameConstraints: undefined,
    subjectAltName: { uris: ['spiffe://example.org'], dnsNames: [] },
    unknownCriticalExtensions: [],
  })
  expect(certificate.issuer).toEqual(certificate.subject)
  expect(certificate.authorityKeyId).toEqual(certificate.subjectKeyId)
  expect(root.trustDomain).toBe('example.org')
})

test('every authority has a name of its own', async () => {
  const other = parseCertificate(await buildAuthorityCertificate({ ...input, serialNumber: randomBytes(16) }))
  expect(other.subject.equals(root.certificate.subject)).toBe(false)
})

test('an intermediate is signed by its issuer and does not outlive it', async () => {
  const der = await buildAuthorityCertificate({
    ...lowerInput,
    notBefore: new Date(input.notBefore.getTime() - day),
    notAfter: new Date(input.notAfter.getTime() + day),
    pathLength: 0,
    permittedUri: ['example.org'],
  })
  const lower = parseCertificate(der)
  expect(lower).toMatchObject({
    issuer: root.certificate.subject,
    notBefore: input.notBefore,
    notAfter: input.notAfter,
    basicConstraints: { ca: true, pathLength: 0 },
    nameConstraints: { critical: true, permitted: { uris: ['example.org'] } },
  })
  expect(verifyCertificatePath(lower, [], [root.certificate], { now: testNow })).toHaveLength(2)
})

test('a signer may answer later', async () => {
  const signer = { ...key.signer, sign: async (data: Uint8Array) => key.signer.sign(data) }
  expect(await buildAuthorityCertificate({ ...input, signer })).toBeInstanceOf(Buffer)
})

test.each(['P-384', 'P-521', 'RSA'] as const)('signs with %s', async (kind) => {
  const { publicKeyInfo, signer } = makeTestKey(kind)
  const certificate = parseCertificate(await buildAuthorityCertificate({ ...input, publicKeyInfo, signer }))
  expect(certificate.signatureAlgorithm).toBe(signer.algorithm)
})

test.each<[string, AuthorityCertificateInput, string]>([
  ['a key that is not the one of the signer', { ...input, publicKeyInfo: lowerKey.publicKeyInfo }, 'certificate_key'],
  ['a weak key', { ...lowerInput, publicKeyInfo: makeTestKey('RSA-1024').publicKeyInfo }, 'certificate_key'],
  [
    'an algorithm that certificates do not have',
    { ...input, signer: { ...key.signer, algorithm: 'PS256' } },
    'certificate_key',
  ],
  ['a serial number of 15 bytes', { ...input, serialNumber: Buffer.alloc(15) }, 'x509_svid'],
  ['an end before its beginning', { ...input, notAfter: input.notBefore }, 'certificate_expired'],
  [
    'an issuer that has ended',
    { ...lowerInput, notBefore: input.notAfter, notAfter: new Date(input.notAfter.getTime() + day) },
    'certificate_expired',
  ],
  ['an issuer of another trust domain', { ...lowerInput, trustDomain: parseTrustDomain('other.org') }, 'x509_svid'],
  [
    'a signature that is not of the key',
    { ...input, signer: { ...key.signer, sign: lowerKey.signer.sign } },
    'x509_svid',
  ],
])('refuses %s', async (_, wrong, code) => {
  await expect(buildAuthorityCertificate(wrong)).rejects.toThrow(refusal(code))
})

test('an issuer of path length 0 has no authorities below it', async () => {
  const issuerOf = (pathLength: number) => {
    const { certificate, key: issuerKey } = createTestAuthority({ pathLength })
    return createX509Authority({ certificate, signer: issuerKey.signer, chain: [] })
  }
  await expect(buildAuthorityCertificate({ ...lowerInput, issuer: issuerOf(1) })).resolves.toBeInstanceOf(Buffer)
  await expect(buildAuthorityCertificate({ ...lowerInput, issuer: issuerOf(0) })).rejects.toThrow(refusal('x509_svid'))
})

test.each([
  ['is no authority', { ca: false }, 'x509_svid'],
  ['may not sign certificates', { keyUsage: ['cRLSign'] as const }, 'x509_svid'],
  ['has an ID with a path', { uris: ['spiffe://example.org/authority'] }, 'x509_svid'],
  ['has two IDs', { uris: ['spiffe://example.org', 'spiffe://other.org'] }, 'x509_svid'],
  ['has an ID that is none', { uris: ['spiffe://Example.org'] }, 'x509_svid'],
])('refuses to sign with a certificate that %s', (_, wishes, code) => {
  const { certificate, key: own } = createTestAuthority(wishes)
  expect(() => createX509Authority({ certificate, signer: own.signer, chain: [] })).toThrow(refusal(code))
})

test('refuses the key of another certificate', () => {
  const { certificate } = root
  expect(() => createX509Authority({ certificate, signer: lowerKey.signer, chain: [] })).toThrow(
    refusal('certificate_key'),
  )
})

test('an upstream authority may have no ID and no key identifiers', () => {
  const { certificate, key: own } = createTestAuthority({ uris: [], keyIds: 'none' })
  const authority = createX509Authority({ certificate, signer: own.signer, chain: [rootDer] })
  expect(authority.trustDomain).toBeUndefined()
  expect(authority.chain).toEqual([rootDer])
})

test('@peculiar/x509 reads and verifies a root', async () => {
  const read = new x509.X509Certificate(rootDer)
  expect(await read.verify({ date: testNow }, webcrypto)).toBe(true)
  expect(read.getExtension(x509.BasicConstraintsExtension)?.ca).toBe(true)
  expect(read.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON()).toEqual([
    { type: 'url', value: 'spiffe://example.org' },
  ])
})
