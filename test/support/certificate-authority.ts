/**
 * A certificate authority that makes wrong things on request: it checks nothing of what it is asked to sign.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import type { SignatureAlgorithm } from '../../src/protocol/algorithms.ts'
import { type Certificate, parseCertificate } from '../../src/protocol/certificate.ts'
import { extensionOids, type KeyUsageBit, keyUsageBits } from '../../src/protocol/certificate-extensions.ts'
import { derExtension, formatCertificate, tbsCertificate } from '../../src/protocol/certificate-writer.ts'
import { contextTag, tags } from '../../src/protocol/der.ts'
import {
  type DerPart,
  derBoolean,
  derInteger,
  derNode,
  derOid,
  derText,
  formatDer,
} from '../../src/protocol/der-writer.ts'
import { organizationName } from '../../src/protocol/distinguished-name.ts'
import type { Signer } from '../../src/protocol/signer.ts'

/** The moment at which tests of certificates take place. */
export const testNow = new Date('2026-08-01T12:00:00Z')

const day = 86_400_000

export interface TestKey {
  readonly publicKeyInfo: Buffer
  readonly privateKey: KeyObject
  readonly signer: Signer
}

/** A new key, and a signer with it. */
export function makeTestKey(kind: 'P-256' | 'P-384' | 'P-521' | 'RSA' | 'RSA-1024' | 'secp256k1' = 'P-256'): TestKey {
  const isRsa = kind.startsWith('RSA')
  const { publicKey, privateKey } = isRsa
    ? generateKeyPairSync('rsa', { modulusLength: kind === 'RSA' ? 2048 : 1024 })
    : generateKeyPairSync('ec', { namedCurve: kind })
  const algorithm: SignatureAlgorithm =
    kind === 'P-384' ? 'ES384' : kind === 'P-521' ? 'ES512' : isRsa ? 'RS256' : 'ES256'
  const hash = `sha${algorithm.slice(2)}`
  const publicKeyInfo = publicKey.export({ type: 'spki', format: 'der' })
  const signer = { algorithm, publicKey: publicKeyInfo, sign: (data: Uint8Array) => sign(hash, data, privateKey) }
  return { publicKeyInfo, privateKey, signer }
}

/** What a certificate is to say; everything has a default that is right for a leaf of example.org. */
export interface CertificateWishes {
  readonly key?: TestKey
  readonly subject?: string | Buffer
  readonly notBefore?: Date
  readonly notAfter?: Date
  /** `undefined` leaves the extension out. */
  readonly ca?: boolean | undefined
  readonly pathLength?: number
  /** `undefined` leaves the extension out. */
  readonly keyUsage?: readonly KeyUsageBit[] | undefined
  readonly purposes?: readonly string[]
  readonly uris?: readonly string[]
  readonly dnsNames?: readonly string[]
  readonly criticalNames?: boolean
  /** DER of extensions that come last. */
  readonly extensions?: readonly DerPart[]
  readonly keyIds?: 'right' | 'none' | 'wrong'
  readonly hash?: 'sha1' | 'sha256' | 'sha384'
}

/** A certificate and its key, which may sign others whether it is an authority or not. */
export interface TestCertificate {
  readonly der: Buffer
  readonly certificate: Certificate
  readonly key: TestKey
  readonly issue: (wishes?: CertificateWishes) => TestCertificate
  /** As {@link issue}, with the defaults of an intermediate authority. */
  readonly issueAuthority: (wishes?: CertificateWishes) => TestCertificate
}

const authorityDefaults = {
  ca: true,
  keyUsage: ['keyCertSign', 'cRLSign'],
  purposes: [],
  uris: ['spiffe://example.org'],
} as const satisfies CertificateWishes

/** A root that signs itself. */
export function createTestAuthority(wishes: CertificateWishes = {}): TestCertificate {
  return make({
    subject: 'Test root',
    ...authorityDefaults,
    notAfter: new Date(testNow.getTime() + 30 * day),
    ...wishes,
  })
}

function make(wishes: CertificateWishes, issuer?: TestCertificate): TestCertificate {
  const key = wishes.key ?? makeTestKey()
  const signing = issuer?.key ?? key
  const subject = Buffer.isBuffer(wishes.subject) ? wishes.subject : organizationName(wishes.subject ?? 'Test leaf')
  const identifier = algorithmIdentifier(signing, wishes.hash)
  const tbs = formatDer(
    tbsCertificate({
      serialNumber: Buffer.concat([Buffer.of(0x40), randomBytes(15)]),
      signatureAlgorithm: identifier,
      issuer: issuer?.certificate.subject ?? subject,
      notBefore: wishes.notBefore ?? new Date(testNow.getTime() - day),
      notAfter: wishes.notAfter ?? new Date(testNow.getTime() + day),
      subject,
      publicKeyInfo: key.publicKeyInfo,
      extensions: extensionsOf(wishes, key, signing),
    }),
  )
  const hash = wishes.hash ?? `sha${signing.signer.algorithm.slice(2)}`
  const der = formatCertificate(tbs, identifier, sign(hash, tbs, signing.privateKey))
  const made: TestCertificate = {
    der,
    certificate: parseCertificate(der),
    key,
    issue: (next = {}) => make(next, made),
    issueAuthority: (next = {}) => make({ subject: 'Test intermediate', ...authorityDefaults, ...next }, made),
  }
  return made
}

function algorithmIdentifier({ signer }: TestKey, hash?: string): Buffer {
  const digest = hash ?? `sha${signer.algorithm.slice(2)}`
  const isRsa = signer.algorithm.startsWith('RS')
  const oid = (isRsa ? rsaOids : ecdsaOids)[digest] ?? ''
  return formatDer(derNode(tags.sequence, derOid(oid), ...(isRsa ? [derNode(tags.null)] : [])))
}

const ecdsaOids: Readonly<Record<string, string>> = {
  sha1: '1.2.840.10045.4.1',
  sha256: '1.2.840.10045.4.3.2',
  sha384: '1.2.840.10045.4.3.3',
  sha512: '1.2.840.10045.4.3.4',
}
const rsaOids: Readonly<Record<string, string>> = {
  sha1: '1.2.840.113549.1.1.5',
  sha256: '1.2.840.113549.1.1.11',
}

function extensionsOf(wishes: CertificateWishes, key: TestKey, signing: TestKey): readonly DerPart[] {
  const { ca = false, keyUsage = ['digitalSignature'], uris = ['spiffe://example.org/web'], dnsNames = [] } = wishes
  const purposes = wishes.purposes ?? ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']
  const names = [
    ...uris.map((uri) => derText(contextTag(6, 'primitive'), uri)),
    ...dnsNames.map((name) => derText(contextTag(2, 'primitive'), name)),
  ]
  const leaveOut = (name: keyof CertificateWishes) => name in wishes && wishes[name] === undefined
  return [
    ...(leaveOut('ca') ? [] : [basicConstraintsExtension(ca, wishes.pathLength)]),
    ...(leaveOut('keyUsage') ? [] : [keyUsageExtension(keyUsage)]),
    ...(purposes.length === 0 ? [] : [listExtension(extensionOids.extendedKeyUsage, purposes.map(derOid))]),
    ...(names.length === 0
      ? []
      : [
          listExtension(
            extensionOids.subjectAltName,
            names,
            wishes.criticalNames === true ? 'critical' : 'not critical',
          ),
        ]),
    ...keyIdExtensions(wishes.keyIds ?? 'right', key, signing),
    ...(wishes.extensions ?? []),
  ]
}

export function basicConstraintsExtension(ca: boolean, pathLength?: number): DerPart {
  const length = pathLength === undefined ? [] : [derInteger(Buffer.of(pathLength))]
  const value = derNode(tags.sequence, ...(ca ? [derBoolean(true)] : []), ...length)
  return derExtension(extensionOids.basicConstraints, 'critical', value)
}

export function keyUsageExtension(
  bits: readonly KeyUsageBit[],
  criticality: 'critical' | 'not critical' = 'critical',
): DerPart {
  const mask = bits.reduce((sum, bit) => sum | (0x80 >> keyUsageBits.indexOf(bit)), 0)
  const unused = 31 - Math.clz32(mask & -mask)
  return derExtension(extensionOids.keyUsage, criticality, derNode(tags.bitString, Buffer.of(unused, mask)))
}

function listExtension(
  oid: string,
  items: readonly DerPart[],
  criticality: 'critical' | 'not critical' = 'not critical',
) {
  return derExtension(oid, criticality, derNode(tags.sequence, ...items))
}

function keyIdExtensions(kind: 'right' | 'none' | 'wrong', key: TestKey, signing: TestKey): readonly DerPart[] {
  if (kind === 'none') return []
  const own = derNode(tags.octetString, keyId(key))
  const issuers = derNode(
    tags.sequence,
    derNode(contextTag(0, 'primitive'), kind === 'right' ? keyId(signing) : Buffer.alloc(20)),
  )
  return [
    derExtension(extensionOids.subjectKeyId, 'not critical', own),
    derExtension(extensionOids.authorityKeyId, 'not critical', issuers),
  ]
}

function keyId({ publicKeyInfo }: TestKey): Buffer {
  return createHash('sha1').update(publicKeyInfo).digest()
}

/** A nameConstraints extension; URI names as `uri:host`, DNS names as `dns:domain`, mail as `mail:domain`. */
export function nameConstraintsExtension(wishes: {
  readonly permitted?: readonly string[]
  readonly excluded?: readonly string[]
}): DerPart {
  const subtrees = (number: number, names: readonly string[] = []) =>
    names.length === 0 ? [] : [derNode(contextTag(number, 'constructed'), ...names.map(subtree))]
  const value = derNode(tags.sequence, ...subtrees(0, wishes.permitted), ...subtrees(1, wishes.excluded))
  return derExtension(extensionOids.nameConstraints, 'critical', value)
}

function subtree(name: string): DerPart {
  const [form = '', text = ''] = name.split(':')
  const number = { uri: 6, dns: 2, mail: 1, ip: 7 }[form] ?? 8
  if (form === 'ip') return derNode(tags.sequence, derNode(contextTag(7, 'primitive'), Buffer.from(text, 'hex')))
  return derNode(tags.sequence, derText(contextTag(number, 'primitive'), text))
}
