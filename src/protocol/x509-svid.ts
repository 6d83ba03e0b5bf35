/**
 * X.509-SVIDs: issue one, and validate those that peers present.
 *
 * The subject of ours is `O=Apostille` for everybody, as SPIRE's is `O=SPIRE`: the specification allows an empty one
 * with a critical SAN, but that is a case of its own in validators, and a fixed name is none of an identity
 * either. The lasting name is the URI SAN alone.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md X509-SVID}
 * @module
 */
import { Buffer } from 'node:buffer'
import { type Certificate, parseCertificate } from './certificate.ts'
import { extendedKeyUsageOids, extensionOids, type KeyUsageBit } from './certificate-extensions.ts'
import { verifyCertificatePath } from './certificate-path.ts'
import { createLeafTemplate, type LeafValues, leafShapeOf } from './certificate-template.ts'
import {
  derExtension,
  earlierOf,
  formatCertificate,
  laterOf,
  positiveSerialNumber,
  subjectKeyIdExtension,
  tbsCertificate,
} from './certificate-writer.ts'
import { contextTag, tags } from './der.ts'
import { type DerPart, derNode, derOid, derText, formatDer } from './der-writer.ts'
import { organizationName } from './distinguished-name.ts'
import { formatHex, parseHex } from './encoding.ts'
import { ProtocolError } from './errors.ts'
import { type KeyType, keyIdentifierHex, parsePublicKeyInfo } from './public-key-info.ts'
import type { SpiffeId, TrustDomain } from './spiffe-id.ts'
import { readSpiffeId, trustDomainOf, type X509Authority } from './x509-authority.ts'

export {
  type AuthorityCertificateInput,
  buildAuthorityCertificate,
  createX509Authority,
  type X509Authority,
} from './x509-authority.ts'

/** An SVID as it was issued. */
export interface X509Svid {
  /** DER. */
  readonly certificate: Buffer
  readonly spiffeId: SpiffeId
  /** Lower-case hex, 32 digits. */
  readonly serialNumber: string
  readonly notBefore: Date
  readonly expiresAt: Date
}

/** What an SVID is made of, besides its authority. */
export interface X509SvidInput {
  readonly spiffeId: SpiffeId
  /** SubjectPublicKeyInfo, DER. That its holder asks for the SVID was checked before. */
  readonly publicKeyInfo: Uint8Array
  /** 16 random bytes; made positive here. */
  readonly serialNumber: Uint8Array
  readonly now: Date
  readonly ttlSeconds: number
  /** Lower case. */
  readonly dnsNames: readonly string[]
  /** 4 bytes for IPv4, 16 for IPv6. Default: none. */
  readonly ipAddresses?: readonly Uint8Array[]
  /** A private extension, not critical; `value` is DER. */
  readonly extension?: { readonly oid: string; readonly value: Uint8Array }
}

/** What was presented, and what vouches for it. */
export interface ValidX509Svid {
  readonly spiffeId: SpiffeId
  readonly leaf: Certificate
  /** From the leaf to the authority of its trust domain, both included. */
  readonly path: readonly Certificate[]
}

const backdateSeconds = 30
/** Certificates that a peer may show. */
export const maxChainLength = 8
const dnsNamePattern =
  /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/

const subject = organizationName('Apostille')
const digitalSignature = keyUsage(7, 0b1000_0000)
const digitalSignatureAndKeyEncipherment = keyUsage(5, 0b1010_0000)
const serverAndClient = formatDer(
  derExtension(
    extensionOids.extendedKeyUsage,
    'not critical',
    derNode(tags.sequence, derOid(extendedKeyUsageOids.serverAuth), derOid(extendedKeyUsageOids.clientAuth)),
  ),
)
const notAnAuthority = formatDer(derExtension(extensionOids.basicConstraints, 'critical', derNode(tags.sequence)))
const subjectAltNameOid = formatDer(derOid(extensionOids.subjectAltName))

function keyUsage(unusedBits: number, bits: number): Buffer {
  return formatDer(
    derExtension(extensionOids.keyUsage, 'critical', derNode(tags.bitString, Buffer.of(unusedBits, bits))),
  )
}

/**
 * Builds and signs an SVID. The first of each shape is read back before it is handed over, the next ones are its bytes
 * with their own values. It begins 30 s ago, so that a slow clock takes it, and neither begins before its authority nor
 * outlives it. Answers as soon as the signer does.
 *
 * @throws {ProtocolError} `x509_svid`, `certificate_key`, `certificate_expired` or `certificate_not_yet_valid` when
 *   the authority is so at `now`
 */
export function buildX509Svid(authority: X509Authority, input: X509SvidInput): X509Svid | Promise<X509Svid> {
  checkInput(authority, input)
  const plan = planOf(authority.certificate, input)
  const template = plan.shape === undefined ? undefined : authority.templates.find(plan.shape)
  const tbs = template?.(plan) ?? writeTbs(authority, input, plan)
  const finish = (signature: Uint8Array): X509Svid => {
    if (signature.length === 0) throw new ProtocolError('x509_svid', 'no signature')
    const der = formatCertificate(tbs, authority.constants.signatureAlgorithm, signature)
    if (template === undefined) {
      checkIssued(parseCertificate(der), tbs, authority, input, plan)
      if (plan.shape !== undefined) authority.templates.keep(plan.shape, createLeafTemplate(tbs, plan))
    }
    return {
      certificate: der,
      spiffeId: input.spiffeId,
      serialNumber: formatHex(plan.serialNumber),
      notBefore: plan.notBefore,
      expiresAt: plan.notAfter,
    }
  }
  const signature = authority.signer.sign(tbs)
  return signature instanceof Uint8Array ? finish(signature) : signature.then(finish)
}

function checkInput(authority: X509Authority, { spiffeId, dnsNames, ttlSeconds, now }: X509SvidInput): void {
  // What is written into the certificate is read, whatever else the ID says of itself.
  const { path, trustDomain } = readSpiffeId(spiffeId.uri)
  if (path === '') throw new ProtocolError('x509_svid', 'the ID has no path') // §3.1
  if ((authority.trustDomain ?? trustDomain) !== trustDomain) {
    throw new ProtocolError('x509_svid', 'an ID of another trust domain')
  }
  if (!dnsNames.every((name) => dnsNamePattern.test(name))) throw new ProtocolError('x509_svid', 'DNS name')
  if (!(ttlSeconds >= 1)) throw new ProtocolError('x509_svid', 'time to live')
  if (now >= authority.certificate.notAfter) throw new ProtocolError('certificate_expired')
  if (now < authority.certificate.notBefore) throw new ProtocolError('certificate_not_yet_valid')
}

interface Plan extends LeafValues {
  readonly serialNumber: Buffer
  readonly keyType: KeyType
  /** Of its template. Undefined: it has addresses, as few do, and is written anew. */
  readonly shape: string | undefined
}

/** Certificates count whole seconds. */
function planOf(authority: Certificate, input: X509SvidInput): Plan {
  const { publicKeyInfo, spiffeId, dnsNames, ipAddresses = [], extension } = input
  const second = Math.floor(input.now.getTime() / 1000)
  const { keyType, keyBits } = parsePublicKeyInfo(publicKeyInfo)
  const values = {
    serialNumber: positiveSerialNumber(input.serialNumber),
    notBefore: laterOf(new Date((second - backdateSeconds) * 1000), authority.notBefore),
    notAfter: earlierOf(new Date((second + Math.floor(input.ttlSeconds)) * 1000), authority.notAfter),
    publicKeyInfo,
    subjectKeyId: keyIdentifierHex(keyBits),
    names: [spiffeId.uri, ...dnsNames],
    extension,
    keyType,
  }
  return { ...values, shape: ipAddresses.length > 0 ? undefined : `${keyType} ${leafShapeOf(values)}` }
}

function writeTbs({ certificate, constants }: X509Authority, input: X509SvidInput, plan: Plan): Buffer {
  return formatDer(
    tbsCertificate({
      ...plan,
      signatureAlgorithm: constants.signatureAlgorithm,
      issuer: certificate.subject,
      subject,
      extensions: leafExtensions(input, plan, constants),
    }),
  )
}

function leafExtensions(
  input: X509SvidInput,
  { keyType, subjectKeyId, extension }: Plan,
  constants: X509Authority['constants'],
): readonly DerPart[] {
  return [
    keyType === 'RSA' ? digitalSignatureAndKeyEncipherment : digitalSignature,
    serverAndClient,
    notAnAuthority,
    subjectKeyIdExtension(parseHex(subjectKeyId)),
    constants.authorityKeyId,
    subjectAltName(input),
    ...(extension === undefined ? [] : [derExtension(extension.oid, 'not critical', extension.value)]),
  ]
}

function subjectAltName({ spiffeId, dnsNames, ipAddresses = [] }: X509SvidInput): DerPart {
  const names = [
    derText(contextTag(6, 'primitive'), spiffeId.uri),
    ...dnsNames.map((name) => derText(contextTag(2, 'primitive'), name)),
    ...ipAddresses.map((address) => derNode(contextTag(7, 'primitive'), address)),
  ]
  return derNode(tags.sequence, subjectAltNameOid, derNode(tags.octetString, derNode(tags.sequence, ...names)))
}

/** Reads what was signed as a peer would; all but the signature itself, which costs more than all the rest. */
function checkIssued(
  issued: Certificate,
  tbs: Buffer,
  authority: X509Authority,
  input: X509SvidInput,
  plan: Plan,
): void {
  const isAsAsked =
    issued.tbs.equals(tbs) &&
    leafSpiffeId(issued).uri === input.spiffeId.uri &&
    issued.subjectAltName?.dnsNames.join() === input.dnsNames.join() &&
    issued.subjectAltName.ips.length === (input.ipAddresses?.length ?? 0) &&
    issued.publicKeyInfo.equals(input.publicKeyInfo) &&
    issued.serialNumber.equals(plan.serialNumber)
  const isOfAuthority =
    issued.issuer.equals(authority.certificate.subject) &&
    issued.signatureAlgorithm === authority.signer.algorithm &&
    isSameKeyId(issued.authorityKeyId, authority.certificate.subjectKeyId) &&
    issued.notBefore.getTime() >= authority.certificate.notBefore.getTime() &&
    issued.notAfter.getTime() <= authority.certificate.notAfter.getTime() &&
    issued.notBefore.getTime() < issued.notAfter.getTime()
  if (!isAsAsked || !isOfAuthority || !hasLeafProfile(issued)) throw new ProtocolError('x509_svid', 'not as planned')
}

function isSameKeyId(asked: Buffer | undefined, held: Buffer | undefined): boolean {
  return asked !== undefined && (held === undefined || asked.equals(held))
}

/** What an issuer must put into a leaf: §4.1, §4.3, §4.4. */
function hasLeafProfile({ basicConstraints, keyUsage: usage, extendedKeyUsage }: Certificate): boolean {
  const purposes = extendedKeyUsage?.purposes ?? []
  return (
    basicConstraints?.ca === false &&
    usage?.critical === true &&
    usage.bits.has('digitalSignature') &&
    purposes.includes(extendedKeyUsageOids.serverAuth) &&
    purposes.includes(extendedKeyUsageOids.clientAuth)
  )
}

/**
 * Vouches for the SVID that a peer presented.
 *
 * @param chain DER, leaf first, up to 8.
 * @param authorities Those of one trust domain, and of no other: which one, the leaf says (§5.1).
 * @param options `purpose` is what the peer is to be; default `clientAuth`. `leewaySeconds` defaults to 0.
 * @throws {ProtocolError} `x509_svid`, `certificate`, or as {@link verifyCertificatePath}
 */
export function validateX509Svid(
  chain: readonly Uint8Array[],
  authorities: (trustDomain: TrustDomain) => readonly Certificate[],
  options: {
    readonly now: Date
    readonly leewaySeconds?: number
    readonly purpose?: 'clientAuth' | 'serverAuth'
  },
): ValidX509Svid {
  if (chain.length > maxChainLength) throw new ProtocolError('x509_svid', 'chain length')
  const [leaf, ...intermediates] = chain.map(parseCertificate)
  if (leaf === undefined) throw new ProtocolError('x509_svid', 'no certificate')

  const spiffeId = leafSpiffeId(leaf)
  const trusted = authorities(spiffeId.trustDomain)
  // What is presented is bounded; the authority at the end of it is one of ours to look up.
  const path = verifyCertificatePath(leaf, intermediates, trusted, { ...options, maxDepth: maxChainLength + 1 })
  for (const certificate of path) checkPurpose(certificate, options.purpose ?? 'clientAuth')
  for (const signing of path.slice(1)) trustDomainOf(signing) // §3.2: an ID of an authority has no path
  return { spiffeId, leaf, path }
}

const signingBits: readonly KeyUsageBit[] = ['keyCertSign', 'cRLSign']

/**
 * The name of a leaf, with nothing of who vouches for it. §5.2: it has one URI name, which is a SPIFFE ID with a path.
 *
 * @throws {ProtocolError} `x509_svid`
 */
export function leafSpiffeId({ basicConstraints, keyUsage: usage, subjectAltName: names }: Certificate): SpiffeId {
  if (basicConstraints?.ca === true) throw new ProtocolError('x509_svid', 'an authority')
  if (signingBits.some((bit) => usage?.bits.has(bit))) throw new ProtocolError('x509_svid', 'a key that signs')
  // RFC 5280 §4.2.1.3: without the bit, the signature in a TLS handshake proves nothing.
  if (usage?.bits.has('digitalSignature') === false) throw new ProtocolError('x509_svid', 'a key that may not sign')
  const [uri, ...others] = names?.uris ?? []
  if (uri === undefined || others.length > 0) throw new ProtocolError('x509_svid', 'not one URI name')
  const spiffeId = readSpiffeId(uri)
  if (spiffeId.path === '') throw new ProtocolError('x509_svid', 'the ID has no path')
  return spiffeId
}

/** RFC 5280 §4.2.1.12; as OpenSSL and Go do, an authority with purposes vouches for no others. */
function checkPurpose({ extendedKeyUsage }: Certificate, purpose: 'clientAuth' | 'serverAuth'): void {
  if (extendedKeyUsage === undefined) return
  const { purposes } = extendedKeyUsage
  if (!purposes.includes(extendedKeyUsageOids[purpose]) && !purposes.includes(extendedKeyUsageOids.any)) {
    throw new ProtocolError('x509_svid', 'extended key usage')
  }
}
