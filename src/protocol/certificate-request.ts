/**
 * PKCS#10 requests. A request gives a key and proves that its sender holds it; its names, attributes and extensions
 * are read for their form and ignored, as what a certificate says is for the issuer to decide.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc2986#section-4 RFC 2986 §4}
 * @module
 */
import type { Buffer } from 'node:buffer'
import { readExtensionList } from './certificate-extensions.ts'
import {
  checkDer,
  childrenOf,
  contextTag,
  type DerElement,
  encodingOf,
  expectTag,
  readBitString,
  readDer,
  readOid,
  readSmallInteger,
  sequenceOf,
  tags,
} from './der.ts'
import { readName } from './distinguished-name.ts'
import { parseBase64 } from './encoding.ts'
import { ProtocolError } from './errors.ts'
import { type KeyType, readPublicKeyInfo, signatureAlgorithmOf, verifiesOnce } from './public-key-info.ts'

/** A key whose holder asked for a certificate. */
export interface CertificateRequest {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Buffer
  readonly keyType: Exclude<KeyType, 'P-521'>
}

/** Largest request, in bytes of DER and in characters of text. */
export const maxCertificateRequestBytes = 16_384

const extensionRequestOid = '1.2.840.113549.1.9.14'
const pemHeader = /^-----BEGIN ((?:NEW )?CERTIFICATE REQUEST)-----\r?\n/

/**
 * @param text PEM of one request, or base64 of its DER with or without line breaks.
 * @throws {ProtocolError} `certificate_request`, `certificate_request_signature`, `certificate_key`
 */
export function readCertificateRequest(text: string): CertificateRequest {
  if (text.length > maxCertificateRequestBytes) throw new ProtocolError('certificate_request', 'too large')
  return parseCertificateRequest(decode(text.trim()))
}

function decode(text: string): Buffer {
  const [header = '', label] = pemHeader.exec(text) ?? []
  const footer = label === undefined ? '' : `-----END ${label}-----`
  if (!text.endsWith(footer)) throw new ProtocolError('certificate_request', 'PEM without its end')
  try {
    return parseBase64(text.slice(header.length, text.length - footer.length).replace(/\r?\n/g, ''))
  } catch (cause) {
    throw new ProtocolError('certificate_request', 'neither PEM of one request nor base64', { cause })
  }
}

/**
 * Reads a request and checks that its signature is of its key.
 *
 * @throws {ProtocolError} `certificate_request`, `certificate_request_signature`, `certificate_key`
 */
export function parseCertificateRequest(der: Uint8Array): CertificateRequest {
  if (der.length > maxCertificateRequestBytes) throw new ProtocolError('certificate_request', 'too large')
  try {
    return readRequest(readDer(der))
  } catch (cause) {
    if (!(cause instanceof ProtocolError) || cause.code !== 'der') throw cause
    throw new ProtocolError('certificate_request', cause.detail, { cause })
  }
}

function readRequest(request: DerElement): CertificateRequest {
  const [info, algorithmIdentifier, signatureBits, ...rest] = sequenceOf(request)
  if (rest.length > 0) throw new ProtocolError('certificate_request')
  const { der: publicKeyInfo, keyType } = readRequestInfo(sequenceOf(info))
  if (keyType === 'P-521') throw new ProtocolError('certificate_key', 'P-521')

  const algorithm = signatureAlgorithmOf(expectTag(algorithmIdentifier, tags.sequence))
  const signature = readBitString(signatureBits)
  const signed = encodingOf(expectTag(info, tags.sequence))
  if (algorithm === undefined || !verifiesOnce(algorithm, { keyType, publicKeyInfo }, signed, signature)) {
    throw new ProtocolError('certificate_request_signature')
  }
  return { publicKeyInfo, keyType }
}

function readRequestInfo([version, subject, key, attributes, ...rest]: readonly DerElement[]) {
  if (readSmallInteger(version) !== 0 || rest.length > 0) throw new ProtocolError('certificate_request', 'version')
  readName(subject)
  const publicKey = readPublicKeyInfo(expectTag(key, tags.sequence))
  for (const attribute of childrenOf(expectTag(attributes, contextTag(0, 'constructed')))) checkAttribute(attribute)
  return publicKey
}

function checkAttribute(attribute: DerElement): void {
  const [type, values, ...rest] = sequenceOf(attribute)
  const oid = readOid(type)
  const [first, ...others] = childrenOf(expectTag(values, tags.set))
  if (first === undefined || rest.length > 0) throw new ProtocolError('certificate_request', 'attribute')
  for (const value of [first, ...others]) checkDer(value)
  if (oid === extensionRequestOid) readExtensionList(first)
}
