import { X509Certificate } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { createSpiffeAuthenticator } from '../../src/adapters/authenticators/spiffe.ts'
import { type IntermediateRequest, signIntermediate } from '../../src/core/sign-intermediate.ts'
import { parseCertificate } from '../../src/protocol/certificate.ts'
import { derExtension } from '../../src/protocol/certificate-writer.ts'
import { formatPem } from '../../src/protocol/encoding.ts'
import { firstProofOid, formatFirstProof } from '../../src/protocol/first-proof.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { validateX509Svid } from '../../src/protocol/x509-svid.ts'
import { createTestAuthorities, type TestAuthorities } from '../support/authorities.ts'
import {
  type CertificateWishes,
  createTestAuthority,
  makeTestKey,
  type TestCertificate,
  testNow,
} from '../support/certificate-authority.ts'
import { makeCsr } from '../support/csr.ts'

const trustDomain = parseTrustDomain('example.org')
const day = 86_400
const later = (seconds: number) => new Date(testNow.getTime() + seconds * 1000)
const key = makeTestKey()
const csr = formatPem('CERTIFICATE REQUEST', makeCsr(key))

let world: TestAuthorities
beforeAll(async () => {
  world = createTestAuthorities()
  await world.authorities.refresh()
})

let serial = 0

function sign(wanted: Partial<IntermediateRequest> = {}, of = world) {
  const deps = {
    authorities: of.authorities.current,
    trustDomain,
    now: () => of.now,
    randomBytes: (size: number) => Buffer.alloc(size, ++serial),
  }
  return signIntermediate(deps, { csr, ttlSeconds: day, pathLength: 1, ...wanted })
}

const refused = (code: string, detail = /./) =>
  expect.objectContaining({ name: 'Refusal', code, detail: expect.stringMatching(detail) })

describe('the intermediate', () => {
  test('is an authority of our trust domain for the key of the request, held to its names', async () => {
    const { certificates, expiresAt, authorityId } = await sign()
    const active = world.authorities.current().x509()
    expect([certificates.length, authorityId, expiresAt]).toEqual([1, active.id, later(day)])
    const made = parseCertificate(certificates[0] ?? Buffer.alloc(0))
    expect(made).toMatchObject({
      basicConstraints: { ca: true, pathLength: 1 },
      subjectAltName: { uris: ['spiffe://example.org'], dnsNames: [] },
      nameConstraints: { permitted: { uris: ['example.org'] } },
      notBefore: later(-300),
      notAfter: later(day),
    })
    expect([...(made.keyUsage?.bits ?? [])].sort()).toEqual(['cRLSign', 'keyCertSign'])
    expect(made.extendedKeyUsage).toBeUndefined()
    expect(made.publicKeyInfo.equals(key.publicKeyInfo)).toBe(true)
    expect(made.issuer.equals(active.authority.certificate.subject)).toBe(true)
    expect(made.subject.equals(made.issuer)).toBe(false)
  })

  test('is signed by our authority, as OpenSSL says too', async () => {
    const { certificates } = await sign()
    const [made, root] = [certificates[0] ?? '', world.authorities.current().x509().authority.certificate.der].map(
      (der) => new X509Certificate(der),
    ) as [X509Certificate, X509Certificate]
    expect([made.ca, made.checkIssued(root), made.verify(root.publicKey)]).toEqual([true, true, true])
  })

  test('has a serial number of its own each time', async () => {
    const made = await Promise.all([sign(), sign()])
    const numbers = made.map(({ certificates }) => parseCertificate(certificates[0] ?? Buffer.alloc(0)).serialNumber)
    expect(numbers[0]?.equals(numbers[1] ?? Buffer.alloc(0))).toBe(false)
  })
})

describe('its lifetime', () => {
  const left = (of: TestAuthorities) =>
    Math.floor((of.authorities.current().x509().expiresAt.getTime() - of.now.getTime()) / 1000)

  test('is at most what is left of the authority that signs', async () => {
    const seconds = left(world)
    const { expiresAt } = await sign({ ttlSeconds: seconds })
    expect(expiresAt).toEqual(world.authorities.current().x509().expiresAt)
    await expect(sign({ ttlSeconds: seconds + 1 })).rejects.toThrow(
      refused('conflict', new RegExp(`at most ${seconds}s`)),
    )
  })

  test('shrinks as that goes on', async () => {
    const own = createTestAuthorities()
    await own.authorities.refresh()
    const seconds = left(own)
    own.pass(day)
    await own.authorities.refresh()
    expect(left(own)).toBe(seconds - day)
    await expect(sign({ ttlSeconds: seconds - day + 1 }, own)).rejects.toThrow(refused('conflict'))
    await sign({ ttlSeconds: seconds - day }, own)
  })
})

test.each<readonly [string, () => string]>([
  ['nothing', () => ''],
  ['PEM of something else', () => formatPem('CERTIFICATE', makeCsr(key))],
  ['text', () => 'csr'],
  ['one that another key signed', () => formatPem('CERTIFICATE REQUEST', makeCsr(key, makeTestKey()))],
  ['a key that is too short', () => formatPem('CERTIFICATE REQUEST', makeCsr(makeTestKey('RSA-1024')))],
])('a request that is %s is refused', async (_, make) => {
  await expect(sign({ csr: make() })).rejects.toThrow(refused('malformed_request', /^csr: /))
})

test('without an active authority nothing is signed', async () => {
  const stale = createTestAuthorities()
  await stale.authorities.refresh()
  stale.monotonicMs += 61_000
  await expect(sign({}, stale)).rejects.toThrow(expect.objectContaining({ code: 'no_authority' }))
})

test('below an upstream authority nothing is signed: ours may have no other below it', async () => {
  const upstream = createTestAuthority()
  const own = createTestAuthorities()
  own.upstream = async () => ({
    certificate: upstream.certificate,
    signer: upstream.key.signer,
    chain: [],
    roots: [upstream.certificate],
  })
  await own.authorities.refresh()
  await expect(sign({ ttlSeconds: 60 }, own)).rejects.toThrow(refused('conflict', /upstream authority/))
})

/** Another issuer that has the intermediate's key and name. */
async function otherIssuer(pathLength: number) {
  const { certificates } = await sign({ pathLength })
  const der = Buffer.from(certificates[0] ?? [])
  const stand = createTestAuthority({ key, subject: parseCertificate(der).subject })
  return {
    der,
    issue: (wishes: CertificateWishes = {}) => stand.issue({ keyIds: 'none', ...wishes }),
    issueAuthority: () => stand.issueAuthority({ keyIds: 'none', subject: 'SPIRE' }),
  }
}

const roots = () => world.authorities.current().x509Issuers
const validate = (...chain: readonly Uint8Array[]) => validateX509Svid(chain, roots, { now: testNow })

describe('what another issuer signs with it', () => {
  test('chains to our root, below an authority of its own too', async () => {
    const { der, issue, issueAuthority } = await otherIssuer(1)
    expect(validate(issue().der, der)).toMatchObject({ spiffeId: { uri: 'spiffe://example.org/web' } })
    const server = issueAuthority()
    expect(validate(server.issue({ keyIds: 'none' }).der, server.der, der).path).toHaveLength(4)
  })

  const names: readonly (readonly [string, readonly string[]])[] = [
    ['another trust domain', ['spiffe://other.example/web']],
    ['a trust domain below ours', ['spiffe://sub.example.org/web']],
  ]
  test.each(names)('is no SVID of %s', async (_, uris) => {
    const { der, issue } = await otherIssuer(1)
    expect(() => validate(issue({ uris }).der, der)).toThrow('certificate_path: name constraints')
  })

  test('is none with more authorities between than its path length', async () => {
    const { der, issue, issueAuthority } = await otherIssuer(0)
    expect(validate(issue().der, der).path).toHaveLength(3)
    const server = issueAuthority()
    expect(() => validate(server.issue({ keyIds: 'none' }).der, server.der, der)).toThrow(
      'certificate_path: path length',
    )
  })

  test('can not be renewed with us as if it were ours', async () => {
    const authenticator = createSpiffeAuthenticator(
      { type: 'spiffe', name: 'ours', trust_domain: trustDomain },
      { trustDomain, ours: world.authorities.current, bundleOf: () => undefined },
    )
    const value = formatFirstProof({ ruleDigest: 'ab'.repeat(32), at: testNow })
    const forged: CertificateWishes = { extensions: [derExtension(firstProofOid, 'not critical', value)] }
    const { der, issue, issueAuthority } = await otherIssuer(1)
    const server = issueAuthority()
    const chains: readonly (readonly [TestCertificate, ...Uint8Array[]])[] = [
      [issue(forged), der],
      [server.issue({ ...forged, keyIds: 'none' }), server.der, der],
      [issue(), der],
    ]
    for (const [leaf, ...above] of chains) {
      expect(validate(leaf.der, ...above).leaf.der.equals(leaf.der)).toBe(true)
      const proof = { kind: 'certificate', chain: [leaf.der, ...above] } as const
      await expect(authenticator.authenticate(proof, testNow)).rejects.toThrow(
        expect.objectContaining({ code: 'proof_rejected', reason: expect.stringContaining('certificate_path') }),
      )
    }
  })

  test('ends with the authority that signed the intermediate', async () => {
    const own = createTestAuthorities()
    await own.authorities.refresh()
    const { certificates } = await sign({}, own)
    const der = certificates[0] ?? Buffer.alloc(0)
    const leaf = createTestAuthority({ key, subject: parseCertificate(der).subject }).issue({ keyIds: 'none' })
    const judge = () => validateX509Svid([leaf.der, der], () => own.authorities.current().x509Issuers, { now: testNow })
    expect(judge().spiffeId.path).toBe('/web')
    await own.authorities.change({ action: 'taint', id: own.one('active').id })
    expect(judge).toThrow('certificate_path')
  })
})
