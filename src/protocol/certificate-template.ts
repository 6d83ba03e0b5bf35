/**
 * Leaves that are alike: one of them is written, signed and read back as a peer reads it. The next ones of its shape are
 * its bytes with other values in the places where only values differ, so what was found right in the first holds for all
 * of them, and nothing has to be read again.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc5280#section-4.1 RFC 5280 §4.1}
 * @module
 */
import { Buffer } from 'node:buffer'
import { extensionOids } from './certificate-extensions.ts'
import {
  contentOf,
  type DerElement,
  encodingOf,
  onlyChildOf,
  readDer,
  readOctetString,
  readOid,
  sequenceOf,
} from './der.ts'
import { timeBytes, writeTime } from './der-writer.ts'
import { ProtocolError } from './errors.ts'

/** What differs between leaves of one authority. Whoever gives them has checked each. */
export interface LeafValues {
  /** 16 octets, the first of them from 0x40 to 0x7f. */
  readonly serialNumber: Uint8Array
  readonly notBefore: Date
  readonly notAfter: Date
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Uint8Array
  /** Hex. */
  readonly subjectKeyId: string
  /** The URI name and then the DNS names, in ASCII. */
  readonly names: readonly string[]
  /** A private extension; `value` is DER. */
  readonly extension?: { readonly oid: string; readonly value: Uint8Array } | undefined
}

/** Puts values of its shape into a copy of the TBSCertificate that it was made of. */
export type LeafTemplate = (values: LeafValues) => Buffer

/** Keeps templates by their shape. */
export interface LeafTemplates {
  readonly find: (shape: string) => LeafTemplate | undefined
  readonly keep: (shape: string, template: LeafTemplate) => void
}

/** Two leaves of one authority and one kind of key that have the same shape differ in no other byte than in their values. */
export function leafShapeOf({ publicKeyInfo, notBefore, notAfter, names, extension }: LeafValues): string {
  let shape = `${publicKeyInfo.length} ${timeBytes(notBefore)} ${timeBytes(notAfter)}`
  for (const name of names) shape += ` ${name.length}`
  return extension === undefined ? shape : `${shape} ${extension.oid} ${extension.value.length}`
}

const maxTemplates = 256

/** The templates of one authority: the shapes that came last, as every length of name is one. */
export function createLeafTemplates(): LeafTemplates {
  const templates = new Map<string, LeafTemplate>()
  return {
    find: (shape) => templates.get(shape),
    keep(shape, template) {
      const [oldest] = templates.keys()
      if (templates.size >= maxTemplates && oldest !== undefined) templates.delete(oldest)
      templates.set(shape, template)
    },
  }
}

/**
 * @param tbs Of a leaf that was read back and found to hold `values`.
 * @throws {ProtocolError} `der`, or `x509_svid` when the places in it are not as long as the values
 */
export function createLeafTemplate(tbs: Buffer, values: LeafValues): LeafTemplate {
  const places = findPlaces(tbs, values.extension?.oid)
  // With memory of its own, as a part of Node's pool would keep the whole of it.
  const specimen = Buffer.alloc(tbs.length)
  specimen.set(tbs)
  const template: LeafTemplate = ({ serialNumber, notBefore, notAfter, publicKeyInfo, subjectKeyId, ...rest }) => {
    const copy = Buffer.from(specimen)
    copy.set(serialNumber, places.serialNumber)
    writeTime(copy, places.notBefore, notBefore)
    writeTime(copy, places.notAfter, notAfter)
    copy.set(publicKeyInfo, places.publicKeyInfo)
    copy.write(subjectKeyId, places.subjectKeyId, 'hex')
    for (const [index, at] of places.names.entries()) copy.write(rest.names[index] ?? '', at, 'latin1')
    if (rest.extension !== undefined) copy.set(rest.extension.value, places.extension)
    return copy
  }
  if (!template(values).equals(tbs)) throw new ProtocolError('x509_svid', 'the template is another certificate')
  return template
}

interface Places {
  readonly serialNumber: number
  readonly notBefore: number
  readonly notAfter: number
  readonly publicKeyInfo: number
  readonly subjectKeyId: number
  readonly names: readonly number[]
  readonly extension: number
}

function findPlaces(tbs: Buffer, extensionOid: string | undefined): Places {
  const [, serialNumber, , , validity, , publicKeyInfo, extensions] = sequenceOf(readDer(tbs))
  const [notBefore, notAfter] = sequenceOf(validity)
  const values = extensionValues(extensions)
  const placeOf = (bytes: Buffer | undefined) => (bytes === undefined ? 0 : bytes.byteOffset - tbs.byteOffset)
  const contentAt = (element: DerElement | undefined) => placeOf(element && contentOf(element))
  const valueAt = (oid: string) => readDer(values.get(oid) ?? Buffer.alloc(0))
  return {
    serialNumber: contentAt(serialNumber),
    notBefore: contentAt(notBefore),
    notAfter: contentAt(notAfter),
    publicKeyInfo: placeOf(publicKeyInfo && encodingOf(publicKeyInfo)),
    subjectKeyId: contentAt(valueAt(extensionOids.subjectKeyId)),
    names: sequenceOf(valueAt(extensionOids.subjectAltName)).map(contentAt),
    extension: extensionOid === undefined ? 0 : placeOf(values.get(extensionOid)),
  }
}

function extensionValues(element: DerElement | undefined): ReadonlyMap<string, Buffer> {
  const extensions = element === undefined ? [] : sequenceOf(onlyChildOf(element))
  return new Map(
    extensions.map((extension) => {
      const fields = sequenceOf(extension)
      return [readOid(fields[0]), readOctetString(fields[fields.length - 1])]
    }),
  )
}
