import { Buffer } from 'node:buffer'
import { expect, test } from 'vitest'
import { type Certificate, parseCertificate } from '../../src/protocol/certificate.ts'
import { verifyCertificatePath } from '../../src/protocol/certificate-path.ts'
import { derExtension } from '../../src/protocol/certificate-writer.ts'
import {
  type CertificateWishes,
  createTestAuthority,
  makeTestKey,
  nameConstraintsExtension,
  type TestCertificate,
  testNow,
} from '../support/certificate-authority.ts'

const root = createTestAuthority()
const middle = root.issueAuthority()
const leaf = middle.issue()
const at = (offsetSeconds: number) => new Date(testNow.getTime() + offsetSeconds * 1000)
const day = 86_400
const unknownCritical = derExtension('1.2.3', 'critical', Buffer.of(5, 0))

const certificatesOf = (all: readonly TestCertificate[]) => all.map(({ certificate }) => certificate)

function verify(
  end: TestCertificate,
  intermediates: readonly TestCertificate[],
  roots: readonly TestCertificate[] = [root],
  options: { readonly now?: Date; readonly maxDepth?: number; readonly leewaySeconds?: number } = {},
): readonly Certificate[] {
  const [others, trusted] = [certificatesOf(intermediates), certificatesOf(roots)]
  return verifyCertificatePath(end.certificate, others, trusted, { now: testNow, ...options })
}

const refusal = (code: string) => expect.objectContaining({ name: 'ProtocolError', code })

test('answers the path from the leaf to the root', () => {
  const direct = root.issue()
  expect(verify(direct, [])).toEqual(certificatesOf([direct, root]))
  expect(verify(leaf, [middle])).toEqual(certificatesOf([leaf, middle, root]))
})

test('intermediates come in any order, with others among them and the root, too', () => {
  const lower = middle.issueAuthority({ subject: 'Lower' })
  const end = lower.issue()
  const stranger = createTestAuthority({ subject: 'Stranger' })
  expect(verify(end, [root, middle, stranger, lower])).toEqual(certificatesOf([end, lower, middle, root]))
})

test('finds its way among authorities of one name', () => {
  const twins = Array.from({ length: 5 }, () => createTestAuthority({ keyIds: 'none' }))
  const end = twins[3]!.issue({ keyIds: 'none' })
  expect(verify(end, [], twins)).toEqual(certificatesOf([end, twins[3]!]))
})

test('a cross-signed intermediate leads to the root that is trusted', () => {
  const other = createTestAuthority({ subject: 'Other root' })
  const crossed = other.issueAuthority({ key: middle.key })
  expect(verify(leaf, [middle, crossed], [other])).toEqual(certificatesOf([leaf, crossed, other]))
})

test.each(['P-384', 'P-521', 'RSA'] as const)('verifies the signatures of %s', (kind) => {
  const authority = createTestAuthority({ key: makeTestKey(kind) })
  expect(verify(authority.issue(), [], [authority])).toHaveLength(2)
})

test('a curve may sign with the hash of another', () => {
  const authority = createTestAuthority({ key: makeTestKey('P-384') })
  expect(verify(authority.issue({ hash: 'sha256' }), [], [authority])).toHaveLength(2)
})

test('an authority may have no key usage, and unknown extensions that are not critical', () => {
  const plain = root.issueAuthority({
    keyUsage: undefined,
    extensions: [derExtension('1.2.3', 'not critical', Buffer.of(5, 0))],
  })
  expect(verify(plain.issue(), [plain])).toHaveLength(3)
})

test('validity includes both ends, the last second as a whole', () => {
  const end = root.issue({ notBefore: at(-10), notAfter: at(10) })
  for (const offset of [-10, 0, 10, 10.999]) expect(verify(end, [], [root], { now: at(offset) })).toHaveLength(2)
  expect(() => verify(end, [], [root], { now: at(-10.001) })).toThrow(refusal('certificate_not_yet_valid'))
  expect(() => verify(end, [], [root], { now: at(11) })).toThrow(refusal('certificate_expired'))
})

test('leeway widens validity at both ends', () => {
  const end = root.issue({ notBefore: at(-10), notAfter: at(10) })
  for (const offset of [-70, 70.999]) {
    expect(verify(end, [], [root], { now: at(offset), leewaySeconds: 60 })).toHaveLength(2)
  }
  expect(() => verify(end, [], [root], { now: at(-71), leewaySeconds: 60 })).toThrow(
    refusal('certificate_not_yet_valid'),
  )
  expect(() => verify(end, [], [root], { now: at(71), leewaySeconds: 60 })).toThrow(refusal('certificate_expired'))
})

const expired: CertificateWishes = { notBefore: at(-3 * day), notAfter: at(-day) }
const future: CertificateWishes = { notBefore: at(day), notAfter: at(2 * day) }

test.each<[string, CertificateWishes, string]>([
  ['is expired', expired, 'certificate_expired'],
  ['is of the future', future, 'certificate_not_yet_valid'],
  ['is no authority', { ca: false }, 'certificate_path'],
  ['has no basic constraints', { ca: undefined }, 'certificate_path'],
  ['may not sign certificates', { keyUsage: ['digitalSignature'] }, 'certificate_path'],
  ['has an unknown critical extension', { extensions: [unknownCritical] }, 'certificate_path'],
  ['has a weak key', { key: makeTestKey('RSA-1024') }, 'certificate_key'],
  ['has a key on a curve that is not taken', { key: makeTestKey('secp256k1') }, 'certificate_key'],
])('refuses an intermediate or a root that %s', (_, wishes, code) => {
  const wrong = root.issueAuthority(wishes)
  expect(() => verify(wrong.issue(), [wrong])).toThrow(refusal(code))
  const wrongRoot = createTestAuthority(wishes)
  expect(() => verify(wrongRoot.issue(), [], [wrongRoot])).toThrow(refusal(code))
})

test.each<[string, CertificateWishes, string]>([
  ['is expired', expired, 'certificate_expired'],
  ['is of the future', future, 'certificate_not_yet_valid'],
  ['has an unknown critical extension', { extensions: [unknownCritical] }, 'certificate_path'],
  ['is signed with SHA-1', { hash: 'sha1' }, 'certificate_signature'],
  ['names another key of its issuer', { keyIds: 'wrong' }, 'certificate_path'],
  ['has a weak key', { key: makeTestKey('RSA-1024') }, 'certificate_key'],
])('refuses a leaf that %s', (_, wishes, code) => {
  expect(verify(root.issue(), [])).toHaveLength(2)
  expect(() => verify(root.issue(wishes), [])).toThrow(refusal(code))
})

test('refuses a signature of another authority of the same name', () => {
  const impostor = createTestAuthority({ keyIds: 'none' })
  expect(() => verify(impostor.issue({ keyIds: 'none' }), [])).toThrow(refusal('certificate_signature'))
})

test.each<[string, () => unknown]>([
  ['no roots', () => verify(leaf, [middle], [])],
  ['roots of others only', () => verify(leaf, [middle], [createTestAuthority({ subject: 'Stranger' })])],
  ['an intermediate that is missing', () => verify(leaf, [])],
  ['a path that is too long', () => verify(leaf, [middle], [root], { maxDepth: 2 })],
  ['a leaf that is a root', () => verify(root, [])],
  [
    'a leaf that is a copy of a root under another issuer',
    () => {
      const other = createTestAuthority({ subject: 'Other root' })
      verify(other.issueAuthority({ subject: root.certificate.subject, key: root.key }), [], [root, other])
    },
  ],
  ['a leaf that vouches for a leaf', () => verify(leaf.issue(), [leaf, middle])],
])('refuses %s', (_, action) => {
  expect(action).toThrow(refusal('certificate_path'))
})

test('the path length counts the authorities below, and not those that renew themselves', () => {
  const limited = createTestAuthority({ pathLength: 1 })
  const first = limited.issueAuthority({ subject: 'First' })
  const renewed = limited.issueAuthority({ subject: limited.certificate.subject, keyIds: 'none' })
  const below = renewed.issueAuthority({ subject: 'Below', keyIds: 'none' })
  const second = first.issueAuthority({ subject: 'Second' })

  expect(verify(first.issue(), [first], [limited])).toHaveLength(3)
  expect(verify(below.issue({ keyIds: 'none' }), [below, renewed], [limited])).toHaveLength(4)
  expect(() => verify(second.issue(), [second, first], [limited])).toThrow(refusal('certificate_path'))
})

test('a chain of eight is the longest by default', () => {
  const chain = [root]
  while (chain.length < 8) chain.unshift(chain[0]!.issueAuthority({ subject: `Level ${chain.length}` }))
  const [seventh, ...above] = chain
  const eight = above[0]!.issue()
  expect(verify(eight, above.slice(0, -1))).toHaveLength(8)
  expect(() => verify(seventh!.issue(), chain.slice(0, -1))).toThrow(refusal('certificate_path'))
})

test('name constraints of an intermediate and of the root hold for all that is below', () => {
  const extensions = [nameConstraintsExtension({ permitted: ['uri:example.org'] })]
  const held = root.issueAuthority({ extensions })
  const lower = held.issueAuthority({ subject: 'Lower' })
  const stray = held.issueAuthority({ subject: 'Stray', uris: ['spiffe://other.org'] })
  const heldRoot = createTestAuthority({ subject: 'Held root', extensions })

  expect(verify(lower.issue(), [lower, held])).toHaveLength(4)
  expect(verify(heldRoot.issue(), [], [heldRoot])).toHaveLength(2)
  const likeItsIssuer = { subject: held.certificate.subject, uris: ['spiffe://other.org/web'] }
  for (const [end, others] of [
    [lower.issue({ uris: ['spiffe://other.org/web'] }), [lower, held]],
    [stray.issue(), [stray, held]],
    // §6.1.3 (b): a leaf is held to them also when it has the name of its issuer.
    [held.issue(likeItsIssuer), [held]],
  ] as const) {
    expect(() => verify(end, others)).toThrow(refusal('certificate_path'))
  }
  expect(() => verify(heldRoot.issue({ uris: ['spiffe://other.org/web'] }), [], [heldRoot])).toThrow(
    refusal('certificate_path'),
  )
})

test('many authorities of one name cost no more than 32 signatures', () => {
  const key = makeTestKey()
  const name = 'Everybody'
  const twins = Array.from({ length: 7 }, () => createTestAuthority({ subject: name, key, keyIds: 'none' }))
  let imports = 0
  const counted = twins.map(({ certificate }) => ({
    ...certificate,
    publicKey: () => {
      imports += 1
      return certificate.publicKey()
    },
  }))
  const end = twins[0]!.issue({ keyIds: 'none' })
  expect(() => verifyCertificatePath(end.certificate, counted, [root.certificate], { now: testNow })).toThrow(
    refusal('certificate_path'),
  )
  expect(imports).toBe(32)
})

test('no changed bit of the leaf or of the intermediate leads to a root', () => {
  const verifyDer = (end: Uint8Array, issuer: Uint8Array) =>
    verifyCertificatePath(parseCertificate(end), [parseCertificate(issuer)], [root.certificate], { now: testNow })
  expect(verifyDer(leaf.der, middle.der)).toHaveLength(3)
  for (const der of [leaf.der, middle.der]) {
    for (let index = 0; index < der.length; index += 1) {
      const changed = Buffer.from(der)
      changed[index] = (changed[index] as number) ^ (1 << (index % 8))
      expect(() => (der === leaf.der ? verifyDer(changed, middle.der) : verifyDer(leaf.der, changed))).toThrow(
        expect.objectContaining({ name: 'ProtocolError' }),
      )
    }
  }
})
