/**
 * X.509 signing authorities of a trust domain: their certificates, and what all that they sign has in common.
 *
 * The certificate of an authority is itself an SVID, `spiffe://<trust domain>` without a path (§3.2). It has no
 * extended key usage, as some libraries then hold the whole chain to it (§4.4).
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md X509-SVID}
 * @module
 */
import { Buffer } from 'node:buffer'
import { type Certificate, parseCertificate } from './certificate.ts'
import { extensionOids } from './certificate-extensions.ts'
import { createLeafTemplates, type LeafTemplates } from './certificate-template.ts'
import {
  authorityKeyIdExtension,
  derExtension,
  earlierOf,
  formatCertificate,
  laterOf,
  positiveSerialNumber,
  signatureAlgorithmIdentifier,
  subjectKeyIdExtension,
  tbsCertificate,
} from './certificate-writer.ts'
import { contextTag, tags } from './der.ts'
import { type DerNode, type DerPart, derBoolean, derInteger, derNode, derText, formatDer } from './der-writer.ts'
import { authorityName } from './distinguished-name.ts'
import { formatHex } from './encoding.ts'
import { ProtocolError } from './errors.ts'
import { importPublicKey, keyIdentifierOf, parsePublicKeyInfo, verifiesX509Signature } from './public-key-info.ts'
import type { Signer } from './signer.ts'
import { buildSpiffeId, parseSpiffeId, type SpiffeId, type TrustDomain } from './spiffe-id.ts'

/** What signs SVIDs. Made by {@link createX509Authority}. */
export interface X509Authority {
  readonly certificate: Certificate
  readonly signer: Signer
  /** DER of what is sent after a leaf: nothing for a root, itself first for an intermediate. */
  readonly chain: readonly Buffer[]
  /** The trust domain that its certificate names; absent where an upstream authority left the name out. */
  readonly trustDomain: TrustDomain | undefined
  /** DER of the parts that are the same in every certificate it signs. */
  readonly constants: {
    readonly signatureAlgorithm: Buffer
    readonly authorityKeyId: Buffer
  }
  /** Of the leaves that it has signed. */
  readonly templates: LeafTemplates
}

/**
 * @throws {ProtocolError} `certificate_key` when `signer` holds another key or an algorithm that certificates do not
 *   have, `x509_svid` when the certificate is not one of a signing authority
 */
export function createX509Authority(input: {
  readonly certificate: Certificate
  readonly signer: Signer
  readonly chain: readonly Buffer[]
}): X509Authority {
  const { certificate, signer, chain } = input
  if (!certificate.publicKeyInfo.equals(signer.publicKey)) throw new ProtocolError('certificate_key', 'another key')
  if (certificate.basicConstraints?.ca !== true || certificate.keyUsage?.bits.has('keyCertSign') === false) {
    throw new ProtocolError('x509_svid', 'not a signing authority')
  }
  const keyId = certificate.subjectKeyId ?? keyIdentifierOf(certificate.publicKeyInfo)
  return {
    certificate,
    signer,
    chain,
    trustDomain: trustDomainOf(certificate),
    constants: {
      signatureAlgorithm: signatureAlgorithmIdentifier(signer.algorithm),
      authorityKeyId: formatDer(authorityKeyIdExtension(keyId)),
    },
    templates: createLeafTemplates(),
  }
}

/** @throws {ProtocolError} `x509_svid` for a SPIFFE ID that no authority may have */
export function trustDomainOf({ subjectAltName }: Certificate): TrustDomain | undefined {
  const [uri, ...others] = subjectAltName?.uris.filter((name) => /^spiffe:/i.test(name)) ?? []
  if (uri === undefined) return undefined
  if (others.length > 0) throw new ProtocolError('x509_svid', 'more than one ID') // §2
  const { trustDomain, path } = readSpiffeId(uri)
  if (path !== '') throw new ProtocolError('x509_svid', 'the ID of an authority has a path') // §3.2
  return trustDomain
}

/** The SPIFFE ID in a URI name. @throws {ProtocolError} `x509_svid` */
export function readSpiffeId(uri: string): SpiffeId {
  try {
    return parseSpiffeId(uri)
  } catch (cause) {
    throw new ProtocolError('x509_svid', 'the URI name is no SPIFFE ID', { cause })
  }
}

/** What an authority certificate is made of. */
export type AuthorityCertificateInput = {
  readonly trustDomain: TrustDomain
  /** SubjectPublicKeyInfo, DER, of the new authority. */
  readonly publicKeyInfo: Uint8Array
  /** 16 random bytes; made positive here. */
  readonly serialNumber: Uint8Array
  readonly notBefore: Date
  /** Never later than the end of `issuer`. */
  readonly notAfter: Date
  /** How many authorities may stand between it and a leaf. Default: any number. */
  readonly pathLength?: number
  /** Hosts (`example.org`) or domains (`.example.org`) to which URI names below it are held. Default: none. */
  readonly permittedUri?: readonly string[]
} & (
  | { /** Holds the key of the new root. */ readonly signer: Signer; readonly issuer?: undefined }
  | { /** Signs the new intermediate. */ readonly issuer: X509Authority; readonly signer?: Signer }
)

/**
 * The certificate, DER, of a root that signs itself, or of an intermediate below `issuer`.
 *
 * @throws {ProtocolError} `certificate_key`, `certificate_expired`, `x509_svid` when `issuer` is of another trust
 *   domain or may have no authority below it
 */
export async function buildAuthorityCertificate(input: AuthorityCertificateInput): Promise<Buffer> {
  const signer = input.issuer?.signer ?? (input.signer as Signer)
  checkAuthorityInput(input, signer)
  const tbs = formatDer(authorityTbs(input, signer))
  const signatureAlgorithm = signatureAlgorithmIdentifier(signer.algorithm)
  const der = formatCertificate(tbs, signatureAlgorithm, await signer.sign(tbs))
  checkIssuedAuthority(parseCertificate(der), tbs, input)
  return der
}

/** Reads back what was signed, the signature included: authorities are few. */
function checkIssuedAuthority(issued: Certificate, tbs: Buffer, input: AuthorityCertificateInput): void {
  const isAuthority = issued.basicConstraints?.ca === true && trustDomainOf(issued) === input.trustDomain
  const { publicKeyInfo } = input.issuer?.certificate ?? issued
  const key = { keyType: parsePublicKeyInfo(publicKeyInfo).keyType, publicKey: importPublicKey(publicKeyInfo) }
  const { signatureAlgorithm: algorithm, signature } = issued
  const isSigned = algorithm !== undefined && verifiesX509Signature(algorithm, key, tbs, signature)
  if (!issued.tbs.equals(tbs) || !isAuthority || !isSigned) throw new ProtocolError('x509_svid', 'not as planned')
}

function checkAuthorityInput(
  { issuer, publicKeyInfo, trustDomain, ...input }: AuthorityCertificateInput,
  signer: Signer,
): void {
  parsePublicKeyInfo(publicKeyInfo)
  if (input.notAfter.getTime() <= input.notBefore.getTime()) throw new ProtocolError('certificate_expired')
  if (issuer === undefined) {
    if (Buffer.compare(signer.publicKey, publicKeyInfo) !== 0) throw new ProtocolError('certificate_key', 'another key')
    return
  }
  if (issuer.certificate.basicConstraints?.pathLength === 0) throw new ProtocolError('x509_svid', 'path length')
  if ((issuer.trustDomain ?? trustDomain) !== trustDomain) throw new ProtocolError('x509_svid', 'trust domain')
  if (issuer.certificate.notAfter <= input.notBefore) throw new ProtocolError('certificate_expired')
}

function authorityTbs(input: AuthorityCertificateInput, signer: Signer): DerNode {
  const serialNumber = positiveSerialNumber(input.serialNumber)
  const subject = authorityName(input.trustDomain, formatHex(serialNumber))
  const bounds = input.issuer?.certificate
  return tbsCertificate({
    serialNumber,
    signatureAlgorithm: signatureAlgorithmIdentifier(signer.algorithm),
    issuer: bounds?.subject ?? subject,
    notBefore: laterOf(input.notBefore, bounds?.notBefore),
    notAfter: earlierOf(input.notAfter, bounds?.notAfter),
    subject,
    publicKeyInfo: input.publicKeyInfo,
    extensions: authorityExtensions(input),
  })
}

function authorityExtensions(input: AuthorityCertificateInput): readonly DerPart[] {
  const keyId = keyIdentifierOf(input.publicKeyInfo)
  const { pathLength, permittedUri = [] } = input
  const pathLengthPart = pathLength === undefined ? [] : [derInteger(Buffer.of(pathLength))]
  const constraints = derNode(tags.sequence, derBoolean(true), ...pathLengthPart)
  const id = derText(contextTag(6, 'primitive'), buildSpiffeId(input.trustDomain, '').uri)
  return [
    derExtension(extensionOids.basicConstraints, 'critical', constraints),
    derExtension(extensionOids.keyUsage, 'critical', keyCertSignAndCrlSign),
    subjectKeyIdExtension(keyId),
    input.issuer?.constants.authorityKeyId ?? authorityKeyIdExtension(keyId),
    derExtension(extensionOids.subjectAltName, 'not critical', derNode(tags.sequence, id)),
    ...(permittedUri.length === 0 ? [] : [permittedUriExtension(permittedUri)]),
  ]
}

const keyCertSignAndCrlSign = derNode(tags.bitString, Buffer.of(1, 0b0000_0110))

function permittedUriExtension(hosts: readonly string[]): DerNode {
  const subtrees = hosts.map((host) => derNode(tags.sequence, derText(contextTag(6, 'primitive'), host)))
  const permitted = derNode(contextTag(0, 'constructed'), ...subtrees)
  return derExtension(extensionOids.nameConstraints, 'critical', derNode(tags.sequence, permitted))
}
