/**
 * X.509 certificates: bytes → what is in them. Nothing is vouched for here; see `certificate-path.ts`.
 *
 * Version 3 only: every SVID and every authority needs extensions.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc5280#section-4.1 RFC 5280 §4.1}
 * @module
 */
import type { Buffer } from 'node:buffer'
import type { KeyObject } from 'node:crypto'
import type { SignatureAlgorithm } from './algorithms.ts'
import { type CertificateExtensions, readExtensions } from './certificate-extensions.ts'
import {
  contextTag,
  type DerElement,
  encodingOf,
  expectTag,
  onlyChildOf,
  readBitString,
  readDer,
  readInteger,
  readSmallInteger,
  readTime,
  sequenceOf,
  tags,
} from './der.ts'
import { readName } from './distinguished-name.ts'
import { ProtocolError } from './errors.ts'
import { importPublicKey, signatureAlgorithmOf } from './public-key-info.ts'

/** What a certificate says. Buffers are parts of `der`. Made by {@link parseCertificate}. */
export interface Certificate extends CertificateExtensions {
  readonly der: Buffer
  /** What the signature is over: TBSCertificate, DER. */
  readonly tbs: Buffer
  /** Big-endian, without the sign octet of a positive number. */
  readonly serialNumber: Buffer
  /** DER of the name. */
  readonly issuer: Buffer
  /** DER of the name. */
  readonly subject: Buffer
  readonly notBefore: Date
  /** The last second of validity. */
  readonly notAfter: Date
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Buffer
  /** Imports the key at the first call. @throws {ProtocolError} `certificate_key` */
  readonly publicKey: () => KeyObject
  /** `undefined` when it is not in the table: such a signature vouches for nothing. */
  readonly signatureAlgorithm: SignatureAlgorithm | undefined
  readonly signature: Buffer
}

const maxSerialNumberBytes = 20 // §4.1.2.2
const version3 = 2

/** @throws {ProtocolError} `certificate` when the bytes are anything else than one certificate of version 3 */
export function parseCertificate(der: Uint8Array): Certificate {
  try {
    return readCertificate(readDer(der))
  } catch (cause) {
    if (!(cause instanceof ProtocolError) || cause.code !== 'der') throw cause
    throw new ProtocolError('certificate', cause.detail, { cause })
  }
}

function readCertificate(certificate: DerElement): Certificate {
  const [tbs, algorithm, signature, ...rest] = sequenceOf(certificate)
  const fields = readTbsCertificate(sequenceOf(tbs))
  const outer = expectTag(algorithm, tags.sequence)
  // §4.1.1.2: the algorithm outside of the signed part is the one inside.
  if (rest.length > 0 || !encodingOf(outer).equals(fields.algorithm)) {
    throw new ProtocolError('certificate', 'signatureAlgorithm')
  }
  return {
    der: encodingOf(certificate),
    tbs: encodingOf(expectTag(tbs, tags.sequence)),
    ...fields.content,
    signatureAlgorithm: signatureAlgorithmOf(outer),
    signature: readBitString(signature),
  }
}

function readTbsCertificate(fields: readonly DerElement[]) {
  const [version, serialNumber, algorithm, issuer, validity, subject, publicKey, ...optional] = fields
  const isVersion3 = readSmallInteger(onlyChildOf(expectTag(version, contextTag(0, 'constructed')))) === version3
  if (!isVersion3) throw new ProtocolError('certificate', 'not version 3')
  const publicKeyInfo = readKey(publicKey)
  return {
    algorithm: encodingOf(expectTag(algorithm, tags.sequence)),
    content: {
      serialNumber: readSerialNumber(serialNumber),
      issuer: readName(issuer),
      ...readValidity(validity),
      subject: readName(subject),
      publicKeyInfo,
      publicKey: once(() => importPublicKey(publicKeyInfo)),
      ...readExtensions(onlyChildOf(extensionsOf(optional))),
    },
  }
}

/** Foreign certificates have serial numbers of 0 and below, and §4.1.2.2 asks to bear with them. */
function readSerialNumber(element: DerElement | undefined): Buffer {
  const content = readInteger(element)
  const magnitude = content[0] === 0 && content.length > 1 ? content.subarray(1) : content
  if (magnitude.length > maxSerialNumberBytes) throw new ProtocolError('certificate', 'serialNumber')
  return magnitude
}

function readValidity(element: DerElement | undefined): { readonly notBefore: Date; readonly notAfter: Date } {
  const [notBefore, notAfter, ...rest] = sequenceOf(element)
  if (rest.length > 0) throw new ProtocolError('certificate', 'validity')
  return { notBefore: readTime(notBefore), notAfter: readTime(notAfter) }
}

/** Which keys are good enough is for those to say who rely on them; here it only has the shape of one. */
function readKey(element: DerElement | undefined): Buffer {
  const info = expectTag(element, tags.sequence)
  const [algorithm, bits, ...rest] = sequenceOf(info)
  expectTag(algorithm, tags.sequence)
  readBitString(bits)
  if (rest.length > 0) throw new ProtocolError('certificate', 'subjectPublicKeyInfo')
  return encodingOf(info)
}

/** §4.1.2.8: unique identifiers may be there and mean nothing. */
function extensionsOf(optional: readonly DerElement[]): DerElement {
  const extensions = optional[optional.length - 1]
  const order = optional.map(({ tag }) => tag).join()
  if (extensions === undefined || !optionalFields.has(order)) throw new ProtocolError('certificate', 'fields')
  return extensions
}

const optionalFields: ReadonlySet<string> = new Set(['163', '129,163', '130,163', '129,130,163'])

function once<T>(make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}
