import { Buffer } from 'node:buffer'
import { expect } from 'vitest'
import { type Certificate, parseCertificate } from '../../src/protocol/certificate.ts'
import { parseSpiffeId, parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { formatTrustBundle, parseTrustBundle } from '../../src/protocol/trust-bundle.ts'
import { buildAuthorityCertificate, createX509Authority } from '../../src/protocol/x509-authority.ts'
import { buildX509Svid, validateX509Svid, type X509SvidInput } from '../../src/protocol/x509-svid.ts'
import {
  type CertificateWishes,
  createTestAuthority,
  keyUsageExtension,
  makeTestKey,
  nameConstraintsExtension,
  type TestCertificate,
  testNow,
} from '../support/certificate-authority.ts'
import { defineConformance } from './requirements.ts'

const trustDomain = parseTrustDomain('example.org')
const authorityKey = makeTestKey()
const ourRoot = parseCertificate(
  await buildAuthorityCertificate({
    trustDomain,
    publicKeyInfo: authorityKey.publicKeyInfo,
    serialNumber: Buffer.alloc(16, 1),
    notBefore: testNow,
    notAfter: new Date(testNow.getTime() + 86_400_000),
    signer: authorityKey.signer,
  }),
)
const authority = createX509Authority({ certificate: ourRoot, signer: authorityKey.signer, chain: [] })
const input: X509SvidInput = {
  spiffeId: parseSpiffeId('spiffe://example.org/web'),
  publicKeyInfo: makeTestKey().publicKeyInfo,
  serialNumber: Buffer.alloc(16, 2),
  now: testNow,
  ttlSeconds: 600,
  dnsNames: [],
}

/** What we issue, read again. */
async function issue(wishes: Partial<X509SvidInput> = {}): Promise<Certificate> {
  return parseCertificate((await buildX509Svid(authority, { ...input, ...wishes })).certificate)
}

const peerRoot = createTestAuthority()
const validate = (chain: readonly TestCertificate[], roots = [peerRoot.certificate]) =>
  validateX509Svid(
    chain.map(({ der }) => der),
    (domain) => (domain === trustDomain ? roots : []),
    { now: testNow },
  )
const accepts = (wishes: CertificateWishes) =>
  expect(validate([peerRoot.issue(wishes)]).spiffeId.uri).toBe('spiffe://example.org/web')
const refuses = (wishes: CertificateWishes, code = 'x509_svid') =>
  expect(() => validate([peerRoot.issue(wishes)])).toThrow(expect.objectContaining({ code }))
const refusesChain = (chain: readonly TestCertificate[], code: string) =>
  expect(() => validate(chain)).toThrow(expect.objectContaining({ code }))

const bundleOf = (x509Authorities: readonly Uint8Array[]) =>
  JSON.parse(formatTrustBundle({ trustDomain, x509Authorities, jwtAuthorities: [] }))
const readKeys = (keys: readonly unknown[]) => parseTrustBundle(trustDomain, JSON.stringify({ keys })).x509Authorities

defineConformance('SPIFFE X509-SVID', { prefix: 'X', last: 19 }, [
  {
    id: 'X-01',
    level: 'MUST',
    section: '2, 5.2',
    sentence: 'there is exactly one URI name, and it is the SPIFFE ID',
    test: async () => {
      expect((await issue()).subjectAltName?.uris).toEqual(['spiffe://example.org/web'])
      accepts({})
      refuses({ uris: ['spiffe://example.org/web', 'spiffe://example.org/api'] })
      refuses({ uris: ['https://example.org/', 'spiffe://example.org/web'] })
      refuses({ uris: [], dnsNames: ['example.org'] })
    },
  },
  {
    id: 'X-02',
    level: 'MAY',
    section: '2',
    sentence: 'names of other forms may stand beside it',
    test: async () => {
      const dnsNames = ['a.example.org', 'b.example.org', 'c.example.org']
      expect((await issue({ dnsNames })).subjectAltName).toMatchObject({ dnsNames, uris: ['spiffe://example.org/web'] })
      accepts({ dnsNames })
      refuses({ dnsNames, uris: [] })
    },
  },
  {
    id: 'X-03',
    level: 'MUST',
    section: '3.1, 5.2',
    sentence: 'the ID of a leaf has a path',
    test: () => {
      accepts({})
      refuses({ uris: ['spiffe://example.org'] })
      expect(() => buildX509Svid(authority, { ...input, spiffeId: parseSpiffeId('spiffe://example.org') })).toThrow(
        expect.objectContaining({ code: 'x509_svid' }),
      )
    },
  },
  {
    id: 'X-04',
    level: 'MUST',
    section: '3.1',
    sentence: 'where the subject is empty, the names are critical',
    test: async () => {
      expect((await issue()).subject.toString('latin1')).toContain('Apostille')
      accepts({ subject: Buffer.of(0x30, 0), criticalNames: true })
    },
  },
  {
    id: 'X-05',
    level: 'SHOULD',
    section: '3.2',
    sentence: 'the certificate of an authority is an SVID itself',
    test: () => expect(ourRoot.subjectAltName?.uris).toEqual(['spiffe://example.org']),
  },
  {
    id: 'X-06',
    level: 'MUST',
    section: '3.2',
    sentence: 'the ID of an authority has no path, and is of the trust domain of its leaves',
    test: () => {
      expect(parseSpiffeId(ourRoot.subjectAltName?.uris[0] ?? '')).toMatchObject({ trustDomain, path: '' })
      expect(() => buildX509Svid(authority, { ...input, spiffeId: parseSpiffeId('spiffe://other.org/web') })).toThrow(
        expect.objectContaining({ code: 'x509_svid' }),
      )
      const right = peerRoot.issueAuthority()
      expect(validate([right.issue(), right]).path).toHaveLength(3)
      const wrong = peerRoot.issueAuthority({ uris: ['spiffe://example.org/authority'] })
      refusesChain([wrong.issue(), wrong], 'x509_svid')
    },
  },
  {
    id: 'X-07',
    level: 'MUST',
    section: '3.2',
    sentence: 'nobody is authenticated by the certificate of an authority',
    test: () => {
      accepts({})
      refusesChain([peerRoot], 'x509_svid')
      refusesChain([peerRoot.issueAuthority()], 'x509_svid')
      refusesChain([peerRoot.issueAuthority({ uris: ['spiffe://example.org/web'] })], 'x509_svid')
    },
  },
  {
    id: 'X-08',
    level: 'MUST',
    section: '4.1',
    sentence: 'cA is true in authorities and false in leaves; authorities may bound the path',
    test: async () => {
      expect(ourRoot.basicConstraints?.ca).toBe(true)
      expect((await issue()).basicConstraints?.ca).toBe(false)
      const bounded = peerRoot.issueAuthority({ pathLength: 0 })
      expect(validate([bounded.issue(), bounded]).path).toHaveLength(3)
      const below = bounded.issueAuthority({ subject: 'Below' })
      refusesChain([below.issue(), below, bounded], 'certificate_path')
    },
  },
  {
    id: 'X-09',
    level: 'MAY',
    section: '4.2',
    sentence: 'authorities may constrain URI names, which then holds',
    test: () => {
      expect(ourRoot.nameConstraints).toBeUndefined()
      const held = peerRoot.issueAuthority({
        extensions: [nameConstraintsExtension({ permitted: ['uri:example.org'] })],
      })
      expect(validate([held.issue(), held]).path).toHaveLength(3)
      const away = peerRoot.issueAuthority({ extensions: [nameConstraintsExtension({ permitted: ['uri:other.org'] })] })
      refusesChain([away.issue(), away], 'certificate_path')
    },
  },
  {
    id: 'X-10',
    level: 'MUST',
    section: '4.3',
    sentence: 'key usage is there and critical',
    test: async () => {
      expect(ourRoot.keyUsage?.critical).toBe(true)
      expect((await issue()).keyUsage?.critical).toBe(true)
      // The clause binds issuers; §5.2 asks validators only for what the bits say.
      accepts({ keyUsage: undefined, extensions: [keyUsageExtension(['digitalSignature'], 'not critical')] })
    },
  },
  {
    id: 'X-11',
    level: 'MUST',
    section: '4.3',
    sentence: 'authorities may sign certificates and revocation lists and do nothing else',
    test: () => {
      expect(ourRoot.keyUsage?.bits).toEqual(new Set(['keyCertSign', 'cRLSign']))
      const wrong = peerRoot.issueAuthority({ keyUsage: ['digitalSignature'] })
      refusesChain([wrong.issue(), wrong], 'certificate_path')
    },
  },
  {
    id: 'X-12',
    level: 'MUST',
    section: '4.3',
    sentence: 'leaves have digitalSignature, and neither keyCertSign nor cRLSign',
    test: async () => {
      expect((await issue()).keyUsage?.bits).toEqual(new Set(['digitalSignature']))
      const rsa = await issue({ publicKeyInfo: makeTestKey('RSA').publicKeyInfo })
      expect(rsa.keyUsage?.bits).toEqual(new Set(['digitalSignature', 'keyEncipherment']))
      accepts({ keyUsage: ['digitalSignature', 'keyEncipherment', 'keyAgreement'] })
      refuses({ keyUsage: ['keyAgreement'] })
    },
  },
  {
    id: 'X-13',
    level: 'SHOULD',
    section: '4.4',
    sentence: 'leaves have an extended key usage, for servers and for clients',
    test: async () => {
      const purposes = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']
      expect((await issue()).extendedKeyUsage?.purposes).toEqual(purposes)
      accepts({ purposes: [] })
      refuses({ purposes: purposes.slice(0, 1) })
    },
  },
  {
    id: 'X-14',
    level: 'MAY',
    section: '4.4',
    sentence: 'authorities leave out the extended key usage',
    test: () => expect(ourRoot.extendedKeyUsage).toBeUndefined(),
  },
  {
    id: 'X-15',
    level: 'MUST',
    section: '5.1',
    sentence: 'the path leads to an authority of the trust domain of the leaf',
    test: () => {
      const other = createTestAuthority({ subject: 'Other', uris: ['spiffe://other.org'] })
      accepts({})
      refuses({ uris: ['spiffe://other.org/web'] }, 'certificate_path')
      refusesChain([other.issue()], 'certificate_path')
      expect(() => validate([peerRoot.issue()], [])).toThrow(expect.objectContaining({ code: 'certificate_path' }))
    },
  },
  {
    id: 'X-16',
    level: 'MUST',
    section: '5.2',
    sentence: 'a leaf is no authority, has no key that signs certificates, and one ID of scheme spiffe with a path',
    test: () => {
      accepts({})
      refuses({ ca: true })
      refuses({ keyUsage: ['digitalSignature', 'keyCertSign'] })
      refuses({ keyUsage: ['digitalSignature', 'cRLSign'] })
      refuses({ uris: ['https://example.org/web'] })
      refuses({ uris: ['spiffe://example.org/'] })
    },
  },
  {
    id: 'X-17',
    level: 'MUST',
    section: '6.1',
    sentence: 'in a bundle an authority is a key of use x509-svid without kid and with one certificate',
    test: () => {
      const { keys } = bundleOf([ourRoot.der])
      expect(keys).toHaveLength(1)
      expect(keys[0]).toMatchObject({ use: 'x509-svid', x5c: [ourRoot.der.toString('base64')] })
      expect(keys[0]).not.toHaveProperty('kid')
      expect(ourRoot.issuer).toEqual(ourRoot.subject)
    },
  },
  {
    id: 'X-18',
    level: 'MUST',
    section: '6.2',
    sentence: 'keys without a certificate are passed over, and only the first certificate is used',
    test: () => {
      const [key] = bundleOf([ourRoot.der]).keys
      const second = peerRoot.der.toString('base64')
      expect(readKeys([{ ...key, x5c: [...key.x5c, second] }]).map(Buffer.from)).toEqual([ourRoot.der])
      expect(readKeys([{ ...key, x5c: [] }, { ...key, x5c: undefined }, key])).toHaveLength(1)
    },
  },
  {
    id: 'X-19',
    level: 'NOTE',
    section: '6.1',
    sentence: 'the parameters of the key are those of the certificate',
    test: () => {
      const [key] = bundleOf([ourRoot.der]).keys
      const point = ourRoot.publicKeyInfo.subarray(-64)
      const [x, y] = [point.toString('base64url', 0, 32), point.toString('base64url', 32)]
      expect(key).toMatchObject({ kty: 'EC', crv: 'P-256', x, y })
      const [other] = bundleOf([peerRoot.der]).keys
      expect(readKeys([{ ...key, x: other.x, y: other.y }, key])).toHaveLength(1)
    },
  },
])
