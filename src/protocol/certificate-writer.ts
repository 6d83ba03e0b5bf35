/**
 * X.509 certificates from checked parts: the fields and extensions that leaves and authorities share.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc5280#section-4.1 RFC 5280 §4.1}
 * @module
 */
import { Buffer } from 'node:buffer'
import { algorithms, type SignatureAlgorithm } from './algorithms.ts'
import { extensionOids } from './certificate-extensions.ts'
import { contextTag, tags } from './der.ts'
import {
  type DerNode,
  type DerPart,
  derBitString,
  derBoolean,
  derInteger,
  derNode,
  derOid,
  derTime,
  formatDer,
} from './der-writer.ts'
import { ProtocolError } from './errors.ts'

/** The fields of a certificate of version 3, in their order. */
export function tbsCertificate(fields: {
  readonly serialNumber: Uint8Array
  readonly signatureAlgorithm: Uint8Array
  readonly issuer: Uint8Array
  readonly notBefore: Date
  readonly notAfter: Date
  readonly subject: Uint8Array
  readonly publicKeyInfo: Uint8Array
  readonly extensions: readonly DerPart[]
}): DerNode {
  return derNode(
    tags.sequence,
    version3,
    derInteger(fields.serialNumber),
    fields.signatureAlgorithm,
    fields.issuer,
    derNode(tags.sequence, derTime(fields.notBefore), derTime(fields.notAfter)),
    fields.subject,
    fields.publicKeyInfo,
    derNode(contextTag(3, 'constructed'), derNode(tags.sequence, ...fields.extensions)),
  )
}

const version3 = formatDer(derNode(contextTag(0, 'constructed'), derInteger(Buffer.of(2))))

/** The DER of a certificate from its three parts. */
export function formatCertificate(tbs: Uint8Array, signatureAlgorithm: Uint8Array, signature: Uint8Array): Buffer {
  return formatDer(derNode(tags.sequence, tbs, signatureAlgorithm, derBitString(signature)))
}

export function derExtension(oid: string, criticality: 'critical' | 'not critical', value: DerPart): DerNode {
  const flag = criticality === 'critical' ? [derBoolean(true)] : []
  return derNode(tags.sequence, derOid(oid), ...flag, derNode(tags.octetString, value))
}

/** 16 bytes, big-endian, that are a positive INTEGER of 16 octets: 126 bits are as random as they were. */
export function positiveSerialNumber(bytes: Uint8Array): Buffer {
  if (bytes.length !== 16) throw new ProtocolError('x509_svid', 'serial number')
  const serialNumber = Buffer.from(bytes)
  serialNumber[0] = ((serialNumber[0] as number) & 0x3f) | 0x40
  return serialNumber
}

/** The AlgorithmIdentifier, DER. @throws {ProtocolError} `certificate_key` for PSS, which certificates do not have here */
export function signatureAlgorithmIdentifier(algorithm: SignatureAlgorithm): Buffer {
  const row: { readonly keyType: 'ec' | 'rsa'; readonly oid?: string } = algorithms[algorithm]
  if (row.oid === undefined) throw new ProtocolError('certificate_key', 'no algorithm of certificates')
  const parameters = row.keyType === 'rsa' ? [derNode(tags.null)] : []
  return formatDer(derNode(tags.sequence, derOid(row.oid), ...parameters))
}

/** @param keyId Of the issuer's key. */
export function authorityKeyIdExtension(keyId: Uint8Array): DerNode {
  const value = derNode(tags.sequence, derNode(contextTag(0, 'primitive'), keyId))
  return derExtension(extensionOids.authorityKeyId, 'not critical', value)
}

const subjectKeyIdOid = formatDer(derOid(extensionOids.subjectKeyId))

/** @param keyId Of the certificate's own key. */
export function subjectKeyIdExtension(keyId: Uint8Array): DerNode {
  const value = derNode(tags.octetString, derNode(tags.octetString, keyId))
  return derNode(tags.sequence, subjectKeyIdOid, value)
}

export function laterOf(a: Date, b: Date | undefined): Date {
  return b === undefined || a.getTime() >= b.getTime() ? a : b
}

export function earlierOf(a: Date, b: Date | undefined): Date {
  return b === undefined || a.getTime() <= b.getTime() ? a : b
}
