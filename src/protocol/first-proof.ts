/**
 * The private extension of our X.509-SVIDs that says which first proof they go back to: digest of the rule, time, and
 * the join token where it was one. With it any replica can bound a chain of renewals without looking anything up.
 *
 *     FirstProof ::= SEQUENCE { ruleDigest OCTET STRING (SIZE(32)), at Time, joinToken UTF8String OPTIONAL }
 *
 * The object identifier is a UUID in pieces below Microsoft's arc for generated identifiers, which needs no registration.
 * `2.25.<UUID>` needs none either, but Go's `crypto/x509` refuses whole certificates for an arc above 31 bits. The
 * extension is not critical, so that peers that do not know it pass it over (RFC 5280 §4.2).
 *
 * @see {@link https://learn.microsoft.com/en-us/windows/win32/ad/generating-an-object-identifier Generating an object identifier}
 * @module
 */
import { Buffer } from 'node:buffer'
import { childrenOf, contentOf, expectTag, readDer, readOctetString, readTime, tags } from './der.ts'
import { derNode, derTime, formatDer } from './der-writer.ts'
import { formatHex, parseHex } from './encoding.ts'
import { ProtocolError } from './errors.ts'

export const firstProofOid = '1.2.840.113556.1.8000.2554.56602.9792.59433.19329.41770.15990951.10199197'

export interface FirstProof {
  /** Digest of the rule's `from`, `when` and `spiffe_id`, lower-case hex of 32 bytes. */
  readonly ruleDigest: string
  /** In whole seconds. */
  readonly at: Date
  /** Id of the join token, where it was one. */
  readonly joinToken?: string
}

const digestBytes = 32
const joinTokenPattern = /^[!-~]{1,64}$/

export function formatFirstProof({ ruleDigest, at, joinToken }: FirstProof): Buffer {
  return formatDer(
    derNode(
      tags.sequence,
      derNode(tags.octetString, parseHex(ruleDigest)),
      derTime(at),
      ...(joinToken === undefined ? [] : [derNode(tags.utf8String, Buffer.from(joinToken))]),
    ),
  )
}

/** @throws {ProtocolError} `der`, or `x509_svid` for a value that we would not have written */
export function parseFirstProof(value: Uint8Array): FirstProof {
  const [digest, at, joinToken, extra] = childrenOf(expectTag(readDer(value), tags.sequence))
  const ruleDigest = readOctetString(digest)
  const time = readTime(at)
  const token = joinToken && contentOf(expectTag(joinToken, tags.utf8String)).toString('latin1')
  if (
    ruleDigest.length !== digestBytes ||
    extra !== undefined ||
    (token !== undefined && !joinTokenPattern.test(token))
  )
    throw new ProtocolError('x509_svid', 'the first-proof extension is not one of ours')
  return { ruleDigest: formatHex(ruleDigest), at: time, ...(token !== undefined && { joinToken: token }) }
}
