import { describe, expect, test } from 'vitest'
import { createSpiffeAuthenticator } from '../../../src/adapters/authenticators/spiffe.ts'
import type { Proof } from '../../../src/core/authenticate.ts'
import type { HeldBundle } from '../../../src/core/federation.ts'
import { derExtension } from '../../../src/protocol/certificate-writer.ts'
import { firstProofOid, formatFirstProof } from '../../../src/protocol/first-proof.ts'
import { importPublicKey } from '../../../src/protocol/public-key-info.ts'
import { parseTrustDomain, type TrustDomain } from '../../../src/protocol/spiffe-id.ts'
import {
  type CertificateWishes,
  createTestAuthority,
  makeTestKey,
  nameConstraintsExtension,
  type TestCertificate,
  type TestKey,
  testNow,
} from '../../support/certificate-authority.ts'
import { ecSigner, hmacSigner, type Members, signToken } from '../../support/raw-token.ts'

const issuer = 'https://id.example.org'
const [ours, spire, third] = ['example.org', 'spire.example', 'third.example'].map(parseTrustDomain) as [
  TrustDomain,
  TrustDomain,
  TrustDomain,
]
const later = (seconds: number) => new Date(testNow.getTime() + seconds * 1000)

/** A trust domain with one authority of each kind. */
interface Domain {
  readonly root: TestCertificate
  readonly key: TestKey
  readonly held: HeldBundle
}

function makeDomain(trustDomain: TrustDomain): Domain {
  const root = createTestAuthority({ uris: [`spiffe://${trustDomain}`], subject: 'The same name' })
  const key = makeTestKey()
  return { root, key, held: heldBundle(trustDomain, [root], [key]) }
}

function heldBundle(
  trustDomain: TrustDomain,
  roots: readonly TestCertificate[],
  keys: readonly TestKey[],
  version = 1,
): HeldBundle {
  const x509Authorities = roots.map(({ certificate }) => certificate)
  const jwtAuthorities = keys.map(({ publicKeyInfo }, at) => ({
    kid: `key-${at}`,
    key: importPublicKey(publicKeyInfo),
  }))
  const bundle = { trustDomain, sequence: 7n, x509Authorities: roots.map(({ der }) => der), jwtAuthorities }
  return { version, bundle, document: '', x509Authorities, jwtAuthorities }
}

const domains = new Map([ours, spire, third].map((name) => [name, makeDomain(name)]))
const of = (trustDomain: TrustDomain): Domain => domains.get(trustDomain) ?? makeDomain(trustDomain)

type Bundles = (trustDomain: TrustDomain) => HeldBundle | undefined
const all: Bundles = (trustDomain) => domains.get(trustDomain)?.held

const none = { jwtKeys: [], x509Issuers: [] }

function authenticatorOf(bundleOf: Bundles = all) {
  const keysOfOurs = { jwtKeys: of(ours).held.jwtAuthorities, x509Issuers: of(ours).held.x509Authorities }
  return createSpiffeAuthenticator(
    { type: 'spiffe', name: 'spire', trust_domain: spire },
    { trustDomain: ours, ours: () => ({ issuer, version: 1, ...keysOfOurs, tainted: none }), bundleOf },
  )
}

const authenticate = async (proof: Proof, now = testNow, bundleOf = all) =>
  authenticatorOf(bundleOf).authenticate(proof, now)

const rejected = (reason: RegExp) =>
  expect.objectContaining({ name: 'Refusal', code: 'proof_rejected', reason: expect.stringMatching(reason) })

const seconds = testNow.getTime() / 1000

interface JwtWishes {
  readonly header?: Members
  readonly claims?: Members
  readonly by?: TestKey
}

function jwt({ header = {}, claims = {}, by = of(spire).key }: JwtWishes = {}): Proof {
  const good = { sub: 'spiffe://spire.example/web', aud: issuer, exp: seconds + 600, iat: seconds }
  const token = signToken({ alg: 'ES256', kid: 'key-0', ...header }, { ...good, ...claims }, ecSigner(by.privateKey))
  return { kind: 'bearer', token }
}

test('takes what names the foreign trust domain', () => {
  expect(authenticatorOf()).toMatchObject({ name: 'spire', type: 'spiffe', accepts: { trustDomain: spire } })
})

describe('a foreign JWT-SVID', () => {
  test('says who its bearer is, for rules to map', async () => {
    const { identity, reusableUntil } = await authenticate(jwt({ claims: { team: 'a', exp: seconds + 60 } }))
    expect(identity).toEqual({
      authenticator: 'spire',
      type: 'spiffe',
      attributes: {
        spiffe_id: 'spiffe://spire.example/web',
        trust_domain: 'spire.example',
        path: '/web',
        claims: expect.objectContaining({ team: 'a', sub: 'spiffe://spire.example/web', aud: issuer }),
      },
      recorded: { spiffe_id: 'spiffe://spire.example/web' },
      use: { kind: 'rules' },
    })
    expect(reusableUntil).toEqual(later(60))
  })

  test('is used again for five minutes at most', async () => {
    expect((await authenticate(jwt())).reusableUntil).toEqual(later(300))
  })

  test.each<readonly [string, JwtWishes]>([
    ['with an iss, whatever it says', { claims: { iss: 'https://anything.example' } }],
    ['with the iss of ours', { claims: { iss: issuer } }],
    ['for our issuer and others', { claims: { aud: ['other', issuer] } }],
    ['without kid, by any key of the trust domain', { header: { kid: undefined } }],
    ['of type JOSE', { header: { typ: 'JOSE' } }],
    ['that expired 59 seconds ago', { claims: { exp: seconds - 59 } }],
    ['that begins in a minute', { claims: { nbf: seconds + 60 } }],
  ])('%s is taken', async (_, wishes) => {
    expect((await authenticate(jwt(wishes))).identity.attributes).toMatchObject({ path: '/web' })
  })

  test('that only the leeway lets in is not used again', async () => {
    const { reusableUntil } = await authenticate(jwt({ claims: { exp: seconds - 30 } }))
    expect(reusableUntil?.getTime()).toBeLessThan(testNow.getTime())
  })

  test.each<readonly [string, JwtWishes, RegExp]>([
    ['by a key of a third trust domain', { by: of(third).key }, /jws_signature: the signature does not verify/],
    ['by a key of ours', { by: of(ours).key }, /jws_signature: the signature does not verify/],
    ['by an X.509 authority of its own trust domain', { by: of(spire).root.key }, /jws_signature/],
    ['with an unknown kid', { header: { kid: 'key-1' } }, /jws_signature: the trust domain has no such key/],
    ['with an ID of ours', { claims: { sub: 'spiffe://example.org/web' } }, /no such key/],
    ['with an ID of a third trust domain', { claims: { sub: 'spiffe://third.example/web' } }, /no such key/],
    ['with an ID of a subdomain', { claims: { sub: 'spiffe://a.spire.example/web' } }, /no such key/],
    ['with the ID of the trust domain itself', { claims: { sub: 'spiffe://spire.example' } }, /jwt_subject/],
    ['with a subject that is no SPIFFE ID', { claims: { sub: 'web' } }, /jwt_subject/],
    ['for another audience', { claims: { aud: ['https://api.example.org'] } }, /jwt_audience/],
    ['for our issuer with a slash', { claims: { aud: `${issuer}/` } }, /jwt_audience/],
    ['without audience', { claims: { aud: [] } }, /jwt_audience/],
    ['without exp', { claims: { exp: undefined } }, /jwt_claims/],
    ['that expired a minute ago', { claims: { exp: seconds - 60 } }, /jwt_expired/],
    ['that begins in 61 seconds', { claims: { nbf: seconds + 61 } }, /jwt_not_yet_valid/],
    ['of algorithm none', { header: { alg: 'none' } }, /algorithm/],
    ['of another algorithm than its key', { header: { alg: 'ES384' } }, /algorithm/],
    ['that brings its key', { header: { jwk: {} } }, /closed set/],
  ])('%s is rejected', async (_, wishes, reason) => {
    await expect(authenticate(jwt(wishes))).rejects.toThrow(rejected(reason))
  })

  test('under a secret that everybody knows is rejected', async () => {
    const claims = { sub: 'spiffe://spire.example/web', aud: issuer, exp: seconds + 600 }
    const secret = of(spire).key.publicKeyInfo.toString('base64')
    const token = signToken({ alg: 'HS256', kid: 'key-0' }, claims, hmacSigner(secret))
    await expect(authenticate({ kind: 'bearer', token })).rejects.toThrow(rejected(/algorithm/))
  })

  test('the reason names the bundle that judged', async () => {
    const reason = /\(bundle of spire\.example, sequence 7\)$/
    await expect(authenticate(jwt({ by: of(third).key }))).rejects.toThrow(rejected(reason))
  })
})

const spireLeaf: CertificateWishes = { uris: ['spiffe://spire.example/web'] }
const certificate = (...chain: readonly TestCertificate[]): Proof => ({
  kind: 'certificate',
  chain: chain.map(({ der }) => der),
})

/** Root first, the number of authorities that is asked for. */
function authorities(count: number, root = of(spire).root): readonly TestCertificate[] {
  const made = [root]
  for (let level = 1; level < count; level++)
    made.push((made.at(-1) ?? root).issueAuthority({ subject: `Level ${level}`, uris: ['spiffe://spire.example'] }))
  return made
}

/** Leaf first; without the root unless asked. */
function chainOf(made: readonly TestCertificate[], wishes: CertificateWishes = spireLeaf, withRoot = false): Proof {
  const leaf = made.at(-1)?.issue(wishes) as TestCertificate
  return certificate(leaf, ...made.slice(withRoot ? 0 : 1).toReversed())
}

/** A leaf below one intermediate of `wishes`. */
const below = (wishes: CertificateWishes, leaf: CertificateWishes = spireLeaf): Proof => {
  const intermediate = of(spire).root.issueAuthority({ uris: ['spiffe://spire.example'], ...wishes })
  return certificate(intermediate.issue(leaf), intermediate)
}

const permits = (...permitted: readonly string[]) => nameConstraintsExtension({ permitted })
const excludes = (...excluded: readonly string[]) => nameConstraintsExtension({ excluded })
const [serverAuth, codeSigning] = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.3'] as const

describe('a foreign X.509-SVID', () => {
  test('says who its holder is, for rules to map', async () => {
    const { identity, reusableUntil } = await authenticate(chainOf(authorities(1)))
    expect(identity).toEqual({
      authenticator: 'spire',
      type: 'spiffe',
      attributes: { spiffe_id: 'spiffe://spire.example/web', trust_domain: 'spire.example', path: '/web', claims: {} },
      recorded: { spiffe_id: 'spiffe://spire.example/web' },
      use: { kind: 'rules' },
    })
    expect(reusableUntil).toEqual(later(300))
  })

  test('is used again no longer than anything in its path lasts', async () => {
    const leaf = { ...spireLeaf, notAfter: later(120) }
    expect((await authenticate(chainOf(authorities(1), leaf))).reusableUntil).toEqual(later(120))
    expect((await authenticate(below({ notAfter: later(60) }, leaf))).reusableUntil).toEqual(later(60))
  })

  test('with a first proof in it renews nothing: it is not ours', async () => {
    const value = formatFirstProof({ ruleDigest: 'ab'.repeat(32), at: testNow, joinToken: '00ff' })
    const extensions = [derExtension(firstProofOid, 'not critical', value)]
    const { identity } = await authenticate(chainOf(authorities(1), { ...spireLeaf, extensions }))
    expect(identity.use).toEqual({ kind: 'rules' })
  })

  test.each<readonly [string, () => Proof]>([
    ['with its root', () => chainOf(authorities(1), spireLeaf, true)],
    ['below seven intermediates', () => chainOf(authorities(8))],
    ['below six intermediates, with its root', () => chainOf(authorities(7), spireLeaf, true)],
    [
      'below intermediates in any order, among others',
      () => {
        const [, one, two] = authorities(3) as readonly [TestCertificate, TestCertificate, TestCertificate]
        return certificate(two.issue(spireLeaf), of(third).root, one, two)
      },
    ],
    ['that expired a minute ago', () => chainOf(authorities(1), { ...spireLeaf, notAfter: later(-60) })],
    ['that begins in a minute', () => chainOf(authorities(1), { ...spireLeaf, notBefore: later(60) })],
    [
      'below an intermediate that may vouch for its trust domain',
      () => below({ extensions: [permits('uri:spire.example')] }),
    ],
    [
      'below an intermediate that may not vouch for another',
      () => below({ extensions: [excludes('uri:third.example')] }),
    ],
    ['without extended key usage', () => chainOf(authorities(1), { ...spireLeaf, purposes: [] })],
  ])('%s is taken', async (_, make) => {
    expect((await authenticate(make())).identity.attributes).toMatchObject({ path: '/web' })
  })

  test.each<readonly [string, () => Proof, RegExp]>([
    ['of a third trust domain', () => chainOf([of(third).root]), /certificate_(path|signature)/],
    ['of ours', () => chainOf([of(ours).root]), /certificate_(path|signature)/],
    [
      'of a third trust domain, with that root',
      () => chainOf([of(third).root], spireLeaf, true),
      /certificate_(path|signature)/,
    ],
    ['with an ID of ours', () => chainOf(authorities(1), { uris: ['spiffe://example.org/web'] }), /certificate_path/],
    [
      'with an ID of a third trust domain',
      () => chainOf(authorities(1), { uris: ['spiffe://third.example/web'] }),
      /certificate_path/,
    ],
    [
      'of a third trust domain with its own ID',
      () => chainOf([of(third).root], { uris: ['spiffe://third.example/web'] }),
      /certificate_path/,
    ],
    [
      'with two IDs',
      () => chainOf(authorities(1), { uris: ['spiffe://spire.example/a', 'spiffe://example.org/a'] }),
      /not one URI/,
    ],
    ['with the ID of the trust domain', () => chainOf(authorities(1), { uris: ['spiffe://spire.example'] }), /no path/],
    ['without ID', () => chainOf(authorities(1), { uris: [] }), /not one URI/],
    ['that is an authority', () => chainOf(authorities(1), { ...spireLeaf, ca: true }), /an authority/],
    [
      'whose key signs certificates',
      () => chainOf(authorities(1), { ...spireLeaf, keyUsage: ['digitalSignature', 'keyCertSign'] }),
      /a key that signs/,
    ],
    [
      'whose key may not sign a handshake',
      () => chainOf(authorities(1), { ...spireLeaf, keyUsage: ['keyAgreement'] }),
      /may not sign/,
    ],
    ['for servers only', () => chainOf(authorities(1), { ...spireLeaf, purposes: [serverAuth] }), /extended key usage/],
    ['in a chain of nine', () => chainOf(authorities(9)), /chain length/],
    [
      'that expired 61 seconds ago',
      () => chainOf(authorities(1), { ...spireLeaf, notAfter: later(-61) }),
      /certificate_expired/,
    ],
    [
      'that begins in 61 seconds',
      () => chainOf(authorities(1), { ...spireLeaf, notBefore: later(61) }),
      /not_yet_valid/,
    ],
    ['below one that expired', () => below({ notAfter: later(-61) }), /certificate_expired/],
    ['below one that is no authority', () => below({ ca: false }), /no authority/],
    ['below one that may not sign certificates', () => below({ keyUsage: ['cRLSign'] }), /may not sign/],
    ['below one whose ID has a path', () => below({ uris: ['spiffe://spire.example/ca'] }), /has a path/],
    ['below one for other purposes', () => below({ purposes: [codeSigning] }), /extended key usage/],
    [
      'below one that may vouch for a third only',
      () => below({ extensions: [permits('uri:third.example')] }),
      /name constraints/,
    ],
    [
      'below one that may not vouch for it',
      () => below({ extensions: [excludes('uri:spire.example')] }),
      /name constraints/,
    ],
    [
      'with a DNS name that an intermediate may not give',
      () => below({ extensions: [permits('dns:spire.example')] }, { ...spireLeaf, dnsNames: ['id.example.org'] }),
      /name constraints/,
    ],
    [
      'below one that says something critical and unknown',
      () => below({ extensions: [derExtension('1.2.3.4', 'critical', Buffer.of(5, 0))] }),
      /unknown critical extension/,
    ],
    [
      'below one more than path lengths allow',
      () => {
        const one = of(spire).root.issueAuthority({ pathLength: 0, uris: ['spiffe://spire.example'] })
        const two = one.issueAuthority({ subject: 'Below', uris: ['spiffe://spire.example'] })
        return certificate(two.issue(spireLeaf), two, one)
      },
      /path length/,
    ],
    [
      'signed by the SVID of a workload',
      () => {
        const workload = of(spire).root.issue(spireLeaf)
        return certificate(workload.issue({ uris: ['spiffe://spire.example/other'] }), workload)
      },
      /certificate_path/,
    ],
    ['that is nothing', () => ({ kind: 'certificate', chain: [] }), /no certificate/],
    ['that is no certificate', () => ({ kind: 'certificate', chain: [Buffer.from('x')] }), /./],
  ])('%s is rejected', async (_, make, reason) => {
    await expect(authenticate(make())).rejects.toThrow(rejected(reason))
  })

  test('with anything changed is rejected', async () => {
    const proof = chainOf(authorities(1))
    const [leaf = Buffer.alloc(0)] = proof.kind === 'certificate' ? proof.chain : []
    for (let at = 3; at < leaf.length; at += 41) {
      const changed = Buffer.from(leaf)
      changed[at] = (changed[at] ?? 0) ^ 1
      await expect(authenticate({ kind: 'certificate', chain: [changed] })).rejects.toThrow(rejected(/./))
    }
  })
})

describe('the bundle', () => {
  const { root, key, held } = of(spire)
  const proofs = () => [jwt(), chainOf([root])]

  test('that is not there yet trusts nothing', async () => {
    for (const proof of proofs())
      await expect(authenticate(proof, testNow, () => undefined)).rejects.toThrow(
        rejected(/^there is no bundle of spire\.example yet$/),
      )
  })

  test('without keys trusts nothing', async () => {
    for (const proof of proofs())
      await expect(authenticate(proof, testNow, () => heldBundle(spire, [], []))).rejects.toThrow(rejected(/./))
  })

  test('of several keys is good by each, as keys that rotate are', async () => {
    const next = makeDomain(spire)
    const both = heldBundle(spire, [next.root, root], [next.key, key])
    for (const proof of [
      jwt({ header: { kid: 'key-1' } }),
      jwt({ header: { kid: 'key-0' }, by: next.key }),
      jwt({ header: { kid: undefined } }),
      chainOf([root]),
      chainOf([next.root]),
    ])
      expect((await authenticate(proof, testNow, () => both)).identity.use.kind).toBe('rules')
  })

  test.each<readonly [string, HeldBundle | undefined, boolean]>([
    ['stays as it is', held, true],
    ['is replaced', heldBundle(spire, [root], [key], 2), false],
    ['is gone', undefined, false],
  ])('that %s decides whether a cached proof lives on', async (_, next, holds) => {
    let current: HeldBundle | undefined = held
    for (const proof of proofs()) {
      current = held
      const { stillHolds } = await authenticate(proof, testNow, () => current)
      expect(stillHolds?.()).toBe(true)
      current = next
      expect(stillHolds?.()).toBe(holds)
    }
  })

  test('that lost its keys is the end of their proofs', async () => {
    const next = heldBundle(spire, [makeDomain(spire).root], [makeTestKey()], 2)
    for (const proof of proofs())
      await expect(authenticate(proof, testNow, () => next)).rejects.toThrow(
        rejected(/(jws_signature|certificate_(path|signature)).*sequence 7/),
      )
  })
})
