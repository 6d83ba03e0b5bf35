/**
 * PKCS#10 requests, written for a key of our own: no names, no attributes, as an issuer of SVIDs takes nothing of a
 * request but its key.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc2986#section-4 RFC 2986 §4}
 * @module
 */
import { Buffer } from 'node:buffer'
import { signatureAlgorithmIdentifier } from './certificate-writer.ts'
import { contextTag, tags } from './der.ts'
import { derBitString, derInteger, derNode, formatDer } from './der-writer.ts'
import { emptyName } from './distinguished-name.ts'
import type { Signer } from './signer.ts'

/**
 * The DER of a request for `signer`'s key, with an empty subject.
 *
 * @throws {ProtocolError} `certificate_key` for an algorithm that certificates do not have here
 */
export async function buildCertificateRequest(signer: Signer): Promise<Buffer> {
  const algorithm = signatureAlgorithmIdentifier(signer.algorithm)
  const info = formatDer(
    derNode(tags.sequence, version1, emptyName, signer.publicKey, derNode(contextTag(0, 'constructed'))),
  )
  return formatDer(derNode(tags.sequence, info, algorithm, derBitString(await signer.sign(info))))
}

const version1 = derInteger(Buffer.of(0)) // §4.1: v1 is written 0
