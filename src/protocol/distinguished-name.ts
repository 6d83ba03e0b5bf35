/**
 * Distinguished names. No identity is read from them: their shape is checked and their bytes are compared.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.4 RFC 5280 §4.1.2.4}
 * @module
 */
import { Buffer } from 'node:buffer'
import { checkDer, childrenOf, type DerElement, encodingOf, expectTag, readOid, sequenceOf, tags } from './der.ts'
import { derNode, derOid, derText, formatDer } from './der-writer.ts'
import { ProtocolError } from './errors.ts'
import type { TrustDomain } from './spiffe-id.ts'

/** The DER of a name without attributes. */
export const emptyName = Buffer.of(tags.sequence, 0)

const maxOrganizationLength = 64 // ub-organization-name, RFC 5280 appendix A.1

/** The DER of the name. @throws {ProtocolError} `der` when it is no RDNSequence */
export function readName(element: DerElement | undefined): Buffer {
  const name = expectTag(element, tags.sequence)
  for (const relativeName of childrenOf(name)) {
    const attributes = childrenOf(expectTag(relativeName, tags.set))
    if (attributes.length === 0) throw new ProtocolError('der', 'an empty set in a name')
    for (const attribute of attributes) checkAttribute(attribute)
  }
  return encodingOf(name)
}

function checkAttribute(attribute: DerElement): void {
  const [type, value, ...rest] = sequenceOf(attribute)
  readOid(type)
  if (value === undefined || rest.length > 0) throw new ProtocolError('der', 'an attribute of a name')
  checkDer(value)
}

/**
 * The name of an authority: `O=<trust domain>, serialNumber=<hex>`. The serial number makes it unique, so that a path
 * has one way to go. A trust domain that is too long for an organization is left out.
 */
export function authorityName(trustDomain: TrustDomain, serialNumber: string): Buffer {
  const organization = trustDomain.length <= maxOrganizationLength ? trustDomain : 'SPIFFE'
  return formatDer(
    derNode(
      tags.sequence,
      attribute('2.5.4.10', tags.utf8String, organization),
      attribute('2.5.4.5', tags.printableString, serialNumber),
    ),
  )
}

/** The DER of a name of one organization. @param organization ASCII, up to 64 characters */
export function organizationName(organization: string): Buffer {
  return formatDer(derNode(tags.sequence, attribute('2.5.4.10', tags.utf8String, organization)))
}

function attribute(oid: string, tag: number, value: string) {
  return derNode(tags.set, derNode(tags.sequence, derOid(oid), derText(tag, value)))
}
