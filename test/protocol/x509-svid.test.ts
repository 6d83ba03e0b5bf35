import 'reflect-metadata'
import { Buffer } from 'node:buffer'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { type Certificate, parseCertificate } from '../../src/protocol/certificate.ts'
import { derExtension } from '../../src/protocol/certificate-writer.ts'
import { formatPem } from '../../src/protocol/encoding.ts'
import { keyIdentifierOf } from '../../src/protocol/public-key-info.ts'
import { buildSpiffeId, parseSpiffeId, parseTrustDomain, type TrustDomain } from '../../src/protocol/spiffe-id.ts'
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
import { testWithOpenssl } from '../support/openssl.ts'

const refusal = (code: string) => expect.objectContaining({ name: 'ProtocolError', code })
const at = (offsetSeconds: number) => new Date(testNow.getTime() + offsetSeconds * 1000)
const trustDomain = parseTrustDomain('example.org')
const workload = makeTestKey()
const input = {
  spiffeId: parseSpiffeId('spiffe://example.org/ns/payments/sa/web'),
  publicKeyInfo: workload.publicKeyInfo,
  serialNumber: Buffer.alloc(16, 0xff),
  now: testNow,
  ttlSeconds: 3600,
  dnsNames: ['web.payments.svc', 'web'],
} satisfies X509SvidInput

/** A root of ours that signs from five minutes ago until in an hour and a half. */
async function makeAuthority(kind: 'P-256' | 'P-384' | 'RSA' = 'P-256') {
  const { publicKeyInfo, signer } = makeTestKey(kind)
  const period = { notBefore: at(-300), notAfter: at(5400) }
  const serialNumber = Buffer.alloc(16, 1)
  const der = await buildAuthorityCertificate({ trustDomain, publicKeyInfo, serialNumber, signer, ...period })
  return createX509Authority({ certificate: parseCertificate(der), signer, chain: [] })
}

const authority = await makeAuthority()
const ourRoots = () => [authority.certificate]

describe('what we issue', () => {
  test('is a leaf with one SPIFFE ID, and says so in every field', async () => {
    const svid = await buildX509Svid(authority, input)
    const certificate = parseCertificate(svid.certificate)
    expect(svid).toMatchObject({
      spiffeId: input.spiffeId,
      serialNumber: `7f${'ff'.repeat(15)}`,
      notBefore: at(-30),
      expiresAt: at(3600),
    })
    expect(certificate).toMatchObject({
      issuer: authority.certificate.subject,
      notBefore: svid.notBefore,
      notAfter: svid.expiresAt,
      publicKeyInfo: workload.publicKeyInfo,
      basicConstraints: { critical: true, ca: false },
      keyUsage: { critical: true, bits: new Set(['digitalSignature']) },
      extendedKeyUsage: { critical: false, purposes: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'] },
      subjectAltName: { uris: [input.spiffeId.uri], dnsNames: input.dnsNames, emails: [], ips: [], others: [] },
      authorityKeyId: authority.certificate.subjectKeyId,
      unknownCriticalExtensions: [],
    })
    expect(certificate.subjectKeyId).toHaveLength(20)
  })

  test('is accepted by our own validation', async () => {
    const svid = await buildX509Svid(authority, input)
    const { spiffeId, path } = validateX509Svid([svid.certificate], ourRoots, { now: testNow })
    expect(spiffeId).toEqual(input.spiffeId)
    expect(path[1]).toBe(authority.certificate)
  })

  test('comes at once from a signer that answers at once, and later from one that does not', async () => {
    expect(buildX509Svid(authority, input)).not.toBeInstanceOf(Promise)
    const signer = { ...authority.signer, sign: async (data: Uint8Array) => authority.signer.sign(data) }
    const later = buildX509Svid({ ...authority, signer }, input)
    expect(later).toBeInstanceOf(Promise)
    expect((await later).spiffeId).toEqual(input.spiffeId)
  })

  test('counts whole seconds and never lives longer than asked', async () => {
    const now = new Date(testNow.getTime() + 999)
    const svid = await buildX509Svid(authority, { ...input, now, ttlSeconds: 10.9 })
    expect(svid).toMatchObject({ notBefore: at(-30), expiresAt: at(10) })
  })

  test('neither begins before its authority nor outlives it', async () => {
    const early = await buildX509Svid(authority, { ...input, now: at(-290) })
    const late = await buildX509Svid(authority, { ...input, now: at(5000) })
    expect(early.notBefore).toEqual(at(-300))
    expect(late.expiresAt).toEqual(at(5400))
  })

  test('lets an RSA key encipher keys, too', async () => {
    const svid = await buildX509Svid(authority, { ...input, publicKeyInfo: makeTestKey('RSA').publicKeyInfo })
    expect(parseCertificate(svid.certificate).keyUsage?.bits).toEqual(new Set(['digitalSignature', 'keyEncipherment']))
  })

  test('is the same to the byte, whether it is the first of its shape or the next', async () => {
    const keys = (['P-256', 'P-384', 'RSA'] as const).map((kind) => makeTestKey(kind).publicKeyInfo)
    const label = fc.stringMatching(/^[a-z0-9]{1,8}$/)
    const inputs = fc.record({
      path: fc.array(label, { minLength: 1, maxLength: 3 }),
      publicKeyInfo: fc.constantFrom(...keys),
      serialNumber: fc.uint8Array({ minLength: 16, maxLength: 16 }),
      startSeconds: fc.integer({ min: -300, max: 5000 }),
      ttlSeconds: fc.integer({ min: 1, max: 4000 }),
      dnsNames: fc.array(label, { maxLength: 2 }),
      extension: fc.option(fc.uint8Array({ maxLength: 3 }), { nil: undefined }),
    })
    const signer = { ...authority.signer, sign: () => Buffer.of(1) }
    const fresh = () => createX509Authority({ certificate: authority.certificate, signer, chain: [] })
    const warm = fresh()
    await fc.assert(
      fc.asyncProperty(inputs, async ({ path, startSeconds, extension, ...rest }) => {
        const wanted = {
          ...rest,
          spiffeId: buildSpiffeId(trustDomain, `/${path.join('/')}`),
          now: at(startSeconds),
          ...(extension && { extension: { oid: '1.3.6.1.4.1.55555.1', value: Buffer.from([4, 3, ...extension]) } }),
        }
        const first = await buildX509Svid(fresh(), wanted)
        await buildX509Svid(warm, { ...wanted, serialNumber: Buffer.alloc(16), now: at(-1) })
        expect(await buildX509Svid(warm, wanted)).toEqual(first)
      }),
    )
  })

  test('of a shape that was seen has its own values, and its own signature', async () => {
    const warm = await makeAuthority()
    await buildX509Svid(warm, input)
    const other = {
      ...input,
      spiffeId: parseSpiffeId('spiffe://example.org/ns/payments/sa/app'),
      publicKeyInfo: makeTestKey().publicKeyInfo,
      serialNumber: Buffer.alloc(16, 3),
      now: at(60),
      dnsNames: ['api.payments.svc', 'api'],
    }
    const svid = await buildX509Svid(warm, other)
    const { path, leaf } = validateX509Svid([svid.certificate], () => [warm.certificate], { now: other.now })
    expect(path).toHaveLength(2)
    expect(leaf).toMatchObject({
      serialNumber: Buffer.from(`43${'03'.repeat(15)}`, 'hex'),
      notBefore: at(30),
      notAfter: at(3660),
      publicKeyInfo: other.publicKeyInfo,
      subjectKeyId: keyIdentifierOf(other.publicKeyInfo),
      subjectAltName: { uris: [other.spiffeId.uri], dnsNames: other.dnsNames },
    })
  })

  test('of a shape that was seen is refused for the same reasons', async () => {
    const warm = await makeAuthority()
    await buildX509Svid(warm, input)
    const forged = { ...input.spiffeId, uri: input.spiffeId.uri.replace('web', 'w b') }
    expect(() => buildX509Svid(warm, { ...input, spiffeId: forged })).toThrow(refusal('x509_svid'))
    const foreign = { ...input.spiffeId, uri: input.spiffeId.uri.replace('example.org', 'example.com') }
    expect(() => buildX509Svid(warm, { ...input, spiffeId: foreign })).toThrow(refusal('x509_svid'))
    expect(() => buildX509Svid(warm, { ...input, dnsNames: ['web.payments.SVC', 'web'] })).toThrow(refusal('x509_svid'))
    const unsigned = { ...warm, signer: { ...warm.signer, sign: () => new Uint8Array() } }
    expect(() => buildX509Svid(unsigned, input)).toThrow(refusal('x509_svid'))
  })

  test('may name addresses, each time anew', async () => {
    const warm = await makeAuthority()
    for (const address of [Buffer.of(10, 0, 0, 1), Buffer.of(10, 0, 0, 2)]) {
      const svid = await buildX509Svid(warm, { ...input, ipAddresses: [address] })
      expect(parseCertificate(svid.certificate).subjectAltName?.ips).toEqual([address])
    }
  })

  test('carries a private extension that is not critical', async () => {
    const value = Buffer.from('0403616263', 'hex')
    const svid = await buildX509Svid(authority, { ...input, extension: { oid: '1.3.6.1.4.1.55555.1', value } })
    expect(parseCertificate(svid.certificate).extension('1.3.6.1.4.1.55555.1')).toEqual({ critical: false, value })
  })

  test('may be below an upstream authority that has no ID', async () => {
    const upstream = createTestAuthority({ uris: [], keyIds: 'none' })
    const { certificate, key } = upstream
    const below = createX509Authority({ certificate, signer: key.signer, chain: [] })
    const svid = await buildX509Svid(below, input)
    expect(validateX509Svid([svid.certificate], () => [certificate], { now: testNow }).spiffeId).toEqual(input.spiffeId)
  })

  test.each<[string, Partial<X509SvidInput>, string]>([
    ['an ID without a path', { spiffeId: parseSpiffeId('spiffe://example.org') }, 'x509_svid'],
    ['an ID of another trust domain', { spiffeId: parseSpiffeId('spiffe://other.org/web') }, 'x509_svid'],
    ['no time to live', { ttlSeconds: 0 }, 'x509_svid'],
    ['a time to live that is no number', { ttlSeconds: Number.NaN }, 'x509_svid'],
    ['an empty DNS name', { dnsNames: [''] }, 'x509_svid'],
    ['a DNS name in upper case', { dnsNames: ['Web'] }, 'x509_svid'],
    ['a wildcard', { dnsNames: ['*.example.org'] }, 'x509_svid'],
    ['a DNS name with a comma', { dnsNames: ['a,b'] }, 'x509_svid'],
    ['a label of 64 characters', { dnsNames: ['a'.repeat(64)] }, 'x509_svid'],
    ['a serial number of 15 bytes', { serialNumber: Buffer.alloc(15) }, 'x509_svid'],
    ['a key that is none', { publicKeyInfo: Buffer.of(0x30, 0) }, 'certificate_key'],
    ['a weak key', { publicKeyInfo: makeTestKey('RSA-1024').publicKeyInfo }, 'certificate_key'],
    ['an authority that has ended', { now: at(5400) }, 'certificate_expired'],
    ['an authority that has not begun', { now: at(-301) }, 'certificate_not_yet_valid'],
    ['an extension that is there already', { extension: { oid: '2.5.29.15', value: Buffer.of(5, 0) } }, 'certificate'],
  ])('is nothing for %s', (_, wrong, code) => {
    expect(() => buildX509Svid(authority, { ...input, ...wrong })).toThrow(refusal(code))
  })

  test('is nothing when the signer gives nothing', () => {
    const signer = { ...authority.signer, sign: () => new Uint8Array() }
    expect(() => buildX509Svid({ ...authority, signer }, input)).toThrow(refusal('x509_svid'))
  })
})

describe('what others read of ours', () => {
  const folder = mkdtempSync(join(tmpdir(), 'x509-svid-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  const opensslVerify = (leaf: Buffer, root: Buffer, purpose: string) => {
    writeFileSync(join(folder, 'root.pem'), formatPem('CERTIFICATE', root))
    writeFileSync(join(folder, 'leaf.pem'), formatPem('CERTIFICATE', leaf))
    const time = String(testNow.getTime() / 1000)
    const options = ['-x509_strict', '-purpose', purpose, '-attime', time, '-CAfile', 'root.pem', 'leaf.pem']
    return execFileSync('openssl', ['verify', ...options], { cwd: folder, encoding: 'utf8' })
  }

  testWithOpenssl.each(['P-256', 'P-384', 'RSA'] as const)(
    'openssl takes it for client and server below %s',
    async (kind) => {
      const own = await makeAuthority(kind)
      const svid = await buildX509Svid(own, input)
      for (const purpose of ['sslclient', 'sslserver']) {
        expect(opensslVerify(svid.certificate, own.certificate.der, purpose)).toBe('leaf.pem: OK\n')
      }
    },
  )

  test('@peculiar/x509 reads the same and verifies the signature', async () => {
    const svid = await buildX509Svid(authority, input)
    const [read, root] = [svid.certificate, authority.certificate.der].map((der) => new x509.X509Certificate(der))
    expect(await read?.verify({ publicKey: root!.publicKey, date: testNow })).toBe(true)
    expect(read?.serialNumber).toBe(svid.serialNumber)
    expect(read?.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON()).toEqual([
      { type: 'url', value: input.spiffeId.uri },
      { type: 'dns', value: 'web.payments.svc' },
      { type: 'dns', value: 'web' },
    ])
  })
})

const root = createTestAuthority()
const asked: TrustDomain[] = []
const rootsOfExample = (domain: TrustDomain): readonly Certificate[] => {
  asked.push(domain)
  return domain === 'example.org' ? [root.certificate] : []
}
const validate = (
  chain: readonly TestCertificate[],
  options: {
    readonly purpose?: 'clientAuth' | 'serverAuth'
    readonly now?: Date
    readonly leewaySeconds?: number
  } = {},
) =>
  validateX509Svid(
    chain.map(({ der }) => der),
    rootsOfExample,
    { now: testNow, ...options },
  )

describe('what peers present', () => {
  test.each<[string, CertificateWishes]>([
    ['a plain leaf', {}],
    ['DNS names', { dnsNames: ['a.example.org', 'b.example.org', 'c.example.org'] }],
    ['an empty subject and critical names', { subject: Buffer.of(0x30, 0), criticalNames: true }],
    ['no basic constraints', { ca: undefined }],
    ['no key usage', { keyUsage: undefined }],
    [
      'key usage that is not critical',
      { keyUsage: undefined, extensions: [keyUsageExtension(['digitalSignature'], 'not critical')] },
    ],
    ['more key usage', { keyUsage: ['digitalSignature', 'keyEncipherment', 'keyAgreement'] }],
    ['no extended key usage', { purposes: [] }],
    ['any extended key usage', { purposes: ['2.5.29.37.0'] }],
    ['no key identifiers', { keyIds: 'none' }],
    ['a key on P-521', { key: makeTestKey('P-521') }],
    ['an RSA key', { key: makeTestKey('RSA') }],
  ])('is accepted with %s', (_, wishes) => {
    const leaf = root.issue(wishes)
    const { spiffeId, path } = validate([leaf])
    expect(spiffeId.uri).toBe('spiffe://example.org/web')
    expect(path.map(({ der }) => der)).toEqual([leaf.der, root.der])
    expect(asked.at(-1)).toBe('example.org')
  })

  test('is accepted through intermediates, with or without an ID of their own', () => {
    const middle = root.issueAuthority()
    const lower = middle.issueAuthority({ subject: 'Lower', uris: [] })
    expect(validate([lower.issue(), lower, middle]).path).toHaveLength(4)
  })

  test.each<[string, CertificateWishes, string]>([
    ['is an authority', { ca: true }, 'x509_svid'],
    ['may sign certificates', { keyUsage: ['digitalSignature', 'keyCertSign'] }, 'x509_svid'],
    ['may sign revocation lists', { keyUsage: ['digitalSignature', 'cRLSign'] }, 'x509_svid'],
    ['may not sign at all', { keyUsage: ['keyAgreement'] }, 'x509_svid'],
    ['has no URI', { uris: [], dnsNames: ['a.example.org'] }, 'x509_svid'],
    ['has no names', { uris: [] }, 'x509_svid'],
    ['has two URIs', { uris: ['spiffe://example.org/web', 'spiffe://example.org/api'] }, 'x509_svid'],
    [
      'has two URIs of which one is a SPIFFE ID',
      { uris: ['spiffe://example.org/web', 'https://example.org'] },
      'x509_svid',
    ],
    ['has a URI of another scheme', { uris: ['https://example.org/web'] }, 'x509_svid'],
    ['has an ID without a path', { uris: ['spiffe://example.org'] }, 'x509_svid'],
    ['has an ID in upper case', { uris: ['SPIFFE://example.org/web'] }, 'x509_svid'],
    ['has an ID with a query', { uris: ['spiffe://example.org/web?'] }, 'x509_svid'],
    ['is for servers only', { purposes: ['1.3.6.1.5.5.7.3.1'] }, 'x509_svid'],
    ['is of a trust domain without authorities', { uris: ['spiffe://other.org/web'] }, 'certificate_path'],
    ['is expired', { notBefore: at(-90_000), notAfter: at(-100) }, 'certificate_expired'],
    ['is of the future', { notBefore: at(100) }, 'certificate_not_yet_valid'],
    ['is signed with SHA-1', { hash: 'sha1' }, 'certificate_signature'],
  ])('is refused when it %s', (_, wishes, code) => {
    expect(() => validate([root.issue(wishes)])).toThrow(refusal(code))
  })

  test('is judged by the purpose that is asked for', () => {
    const [server, client] = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'].map((oid) => root.issue({ purposes: [oid] }))
    expect(validate([server!], { purpose: 'serverAuth' }).path).toHaveLength(2)
    expect(validate([client!], { purpose: 'clientAuth' }).path).toHaveLength(2)
    expect(() => validate([client!], { purpose: 'serverAuth' })).toThrow(refusal('x509_svid'))
  })

  test('is refused below an authority that is for another purpose', () => {
    const middle = root.issueAuthority({ purposes: ['1.3.6.1.5.5.7.3.1'] })
    expect(validate([middle.issue(), middle], { purpose: 'serverAuth' }).path).toHaveLength(3)
    expect(() => validate([middle.issue(), middle])).toThrow(refusal('x509_svid'))
  })

  test('is refused below an authority whose ID has a path', () => {
    const middle = root.issueAuthority({ uris: ['spiffe://example.org/authority'] })
    expect(() => validate([middle.issue(), middle])).toThrow(refusal('x509_svid'))
  })

  test('is refused when a leaf vouches for it', () => {
    const leaf = root.issue({ subject: 'A leaf' })
    expect(() => validate([leaf.issue(), leaf])).toThrow(refusal('certificate_path'))
  })

  test('is refused beyond a path length and outside of name constraints', () => {
    const narrow = root.issueAuthority({
      pathLength: 0,
      extensions: [nameConstraintsExtension({ permitted: ['uri:other.org'] })],
    })
    const lower = narrow.issueAuthority({ subject: 'Lower' })
    expect(() => validate([lower.issue(), lower, narrow])).toThrow(refusal('certificate_path'))
    expect(() => validate([narrow.issue(), narrow])).toThrow(refusal('certificate_path'))
  })

  test('is refused with an unknown critical extension', () => {
    const extensions = [derExtension('1.2.3', 'critical', Buffer.of(5, 0))]
    expect(() => validate([root.issue({ extensions })])).toThrow(refusal('certificate_path'))
  })

  test('is refused as an authority, trusted or not', () => {
    expect(() => validate([root])).toThrow(refusal('x509_svid'))
    expect(() => validate([root.issueAuthority()])).toThrow(refusal('x509_svid'))
  })

  test('has leeway at both ends', () => {
    const leaf = root.issue({ notBefore: at(-10), notAfter: at(10) })
    for (const now of [at(-60), at(60)]) {
      expect(validate([leaf], { now, leewaySeconds: 60 }).path).toHaveLength(2)
      expect(() => validate([leaf], { now })).toThrow(expect.objectContaining({ name: 'ProtocolError' }))
    }
  })

  test('is one to eight certificates', () => {
    const leaf = root.issue()
    expect(() => validate([])).toThrow(refusal('x509_svid'))
    expect(validate([leaf, ...Array<TestCertificate>(7).fill(root)]).path).toHaveLength(2)
    expect(() => validate([leaf, ...Array<TestCertificate>(8).fill(root)])).toThrow(refusal('x509_svid'))
  })

  test('is refused when any of it is no certificate', () => {
    const { der } = root.issue()
    for (const chain of [[Buffer.of(0)], [der, Buffer.of(0)]]) {
      expect(() => validateX509Svid(chain, rootsOfExample, { now: testNow })).toThrow(refusal('certificate'))
    }
  })
})
