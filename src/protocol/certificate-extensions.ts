/**
 * The extensions of certificates that decide something: read strictly, each at most once.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc5280#section-4.2 RFC 5280 §4.2}
 * @module
 */
import type { Buffer } from 'node:buffer'
import {
  childrenOf,
  contentOf,
  contextTag,
  type DerElement,
  encodingOf,
  expectTag,
  onlyChildOf,
  readBits,
  readBoolean,
  readDer,
  readOctetString,
  readOid,
  readSmallInteger,
  sequenceOf,
  tags,
} from './der.ts'
import { readName } from './distinguished-name.ts'
import { ProtocolError } from './errors.ts'

export const extensionOids = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const

export const extendedKeyUsageOids = {
  any: '2.5.29.37.0',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const

/** In the order of their bits. RFC 5280 §4.2.1.3 */
export const keyUsageBits = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const

export type KeyUsageBit = (typeof keyUsageBits)[number]

export interface Extension {
  readonly critical: boolean
  /** What the OCTET STRING holds: DER of the extension's own type. */
  readonly value: Buffer
}

export interface BasicConstraints {
  readonly critical: boolean
  readonly ca: boolean
  readonly pathLength: number | undefined
}

export interface KeyUsage {
  readonly critical: boolean
  readonly bits: ReadonlySet<KeyUsageBit>
}

export interface ExtendedKeyUsage {
  readonly critical: boolean
  /** Dotted OIDs. */
  readonly purposes: readonly string[]
}

/** GeneralNames by their form. */
export interface GeneralNames {
  readonly uris: readonly string[]
  readonly dnsNames: readonly string[]
  readonly emails: readonly string[]
  /** 4 or 16 bytes each; in a name constraint twice as many, address and mask. */
  readonly ips: readonly Buffer[]
  /** DER of every name of another form. */
  readonly others: readonly Buffer[]
}

export interface SubjectAltName extends GeneralNames {
  readonly critical: boolean
}

export interface NameConstraints {
  readonly critical: boolean
  readonly permitted: GeneralNames
  readonly excluded: GeneralNames
}

/** The extensions of one certificate; `undefined` where it has none of that kind. */
export interface CertificateExtensions {
  readonly basicConstraints: BasicConstraints | undefined
  readonly keyUsage: KeyUsage | undefined
  readonly extendedKeyUsage: ExtendedKeyUsage | undefined
  readonly subjectAltName: SubjectAltName | undefined
  readonly subjectKeyId: Buffer | undefined
  readonly authorityKeyId: Buffer | undefined
  readonly nameConstraints: NameConstraints | undefined
  /** OIDs of critical extensions that are none of the above: whoever relies on the certificate must refuse it. */
  readonly unknownCriticalExtensions: readonly string[]
  readonly extension: (oid: string) => Extension | undefined
}

const maxExtensions = 64
const maxNames = 2_000
const knownOids: ReadonlySet<string> = new Set(Object.values(extensionOids))

/**
 * The extensions of a SEQUENCE OF Extension, by OID.
 *
 * @throws {ProtocolError} `der`
 */
export function readExtensionList(element: DerElement): ReadonlyMap<string, Extension> {
  const found = new Map<string, Extension>()
  for (const item of sequenceOf(element)) {
    const fields = sequenceOf(item)
    const [oid, critical] = [readOid(fields[0]), fields.length === 3 && readBoolean(fields[1])]
    // X.690 §11.5: FALSE is the default and so is not written.
    if (fields.length > 3 || (fields.length === 3 && !critical)) throw new ProtocolError('der', 'extension')
    if (found.has(oid)) throw new ProtocolError('der', 'an extension is there twice') // RFC 5280 §4.2
    found.set(oid, { critical, value: readOctetString(fields[fields.length - 1]) })
  }
  if (found.size === 0 || found.size > maxExtensions) throw new ProtocolError('der', 'number of extensions')
  return found
}

/** @throws {ProtocolError} `der` */
export function readExtensions(element: DerElement): CertificateExtensions {
  const list = readExtensionList(element)
  const read = <T>(oid: string, reader: (extension: Extension) => T): T | undefined => {
    const extension = list.get(oid)
    return extension === undefined ? undefined : reader(extension)
  }
  return {
    basicConstraints: read(extensionOids.basicConstraints, readBasicConstraints),
    keyUsage: read(extensionOids.keyUsage, readKeyUsage),
    extendedKeyUsage: read(extensionOids.extendedKeyUsage, readExtendedKeyUsage),
    subjectAltName: read(extensionOids.subjectAltName, readSubjectAltName),
    subjectKeyId: read(extensionOids.subjectKeyId, ({ value }) => readOctetString(readDer(value))),
    authorityKeyId: read(extensionOids.authorityKeyId, readAuthorityKeyId),
    nameConstraints: read(extensionOids.nameConstraints, readNameConstraints),
    unknownCriticalExtensions: [...list]
      .filter(([oid, { critical }]) => critical && !knownOids.has(oid))
      .map(([oid]) => oid),
    extension: (oid) => list.get(oid),
  }
}

/** §4.2.1.9 */
function readBasicConstraints({ critical, value }: Extension): BasicConstraints {
  const fields = sequenceOf(readDer(value))
  const hasFlag = fields[0]?.tag === tags.boolean
  const ca = hasFlag && readBoolean(fields[0])
  if (hasFlag !== ca || fields.length > (ca ? 2 : 0)) throw new ProtocolError('der', 'basicConstraints')
  return { critical, ca, pathLength: fields[1] === undefined ? undefined : readSmallInteger(fields[1]) }
}

/** §4.2.1.3: at least one bit; as a named bit list it has no zeros at its end (X.690 §11.2.2). */
function readKeyUsage({ critical, value }: Extension): KeyUsage {
  const { unusedBits, bytes } = readBits(readDer(value))
  const last = bytes[bytes.length - 1] ?? 0
  if (((last >> unusedBits) & 1) === 0 || bytes.length > 2) throw new ProtocolError('der', 'keyUsage')
  return {
    critical,
    bits: new Set(keyUsageBits.filter((_, bit) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0)),
  }
}

/** §4.2.1.12 */
function readExtendedKeyUsage({ critical, value }: Extension): ExtendedKeyUsage {
  const purposes = sequenceOf(readDer(value)).map(readOid)
  if (purposes.length === 0) throw new ProtocolError('der', 'extendedKeyUsage')
  return { critical, purposes }
}

/** §4.2.1.6 */
function readSubjectAltName({ critical, value }: Extension): SubjectAltName {
  const names = readGeneralNames(sequenceOf(readDer(value)), [4, 16])
  return { critical, ...names }
}

/** §4.2.1.1: only the key identifier is used. */
function readAuthorityKeyId({ value }: Extension): Buffer | undefined {
  const [first, ...rest] = sequenceOf(readDer(value))
  if (rest.length > 2) throw new ProtocolError('der', 'authorityKeyIdentifier')
  return first?.tag === contextTag(0, 'primitive') ? contentOf(first) : undefined
}

/** §4.2.1.10 */
function readNameConstraints({ critical, value }: Extension): NameConstraints {
  const fields = sequenceOf(readDer(value))
  const [permitted, excluded] = [0, 1].map((number) =>
    fields.find(({ tag }) => tag === contextTag(number, 'constructed')),
  )
  if (fields.length === 0 || fields.length !== Number(permitted !== undefined) + Number(excluded !== undefined)) {
    throw new ProtocolError('der', 'nameConstraints')
  }
  return { critical, permitted: readSubtrees(permitted), excluded: readSubtrees(excluded) }
}

/** §4.2.1.10: minimum is 0, which is not written, and maximum is absent. */
function readSubtrees(element: DerElement | undefined): GeneralNames {
  const bases =
    element === undefined
      ? []
      : childrenOf(element).map((subtree) => {
          return onlyChildOf(expectTag(subtree, tags.sequence))
        })
  if (element !== undefined && bases.length === 0) throw new ProtocolError('der', 'nameConstraints')
  return bases.length === 0 ? noNames : readGeneralNames(bases, [8, 32], 'pattern')
}

const noNames: GeneralNames = { uris: [], dnsNames: [], emails: [], ips: [], others: [] }

function readGeneralNames(
  elements: readonly DerElement[],
  ipBytes: readonly number[],
  use: 'name' | 'pattern' = 'name',
): GeneralNames {
  if (elements.length === 0 || elements.length > maxNames) throw new ProtocolError('der', 'number of names')
  const names = {
    uris: [] as string[],
    dnsNames: [] as string[],
    emails: [] as string[],
    ips: [] as Buffer[],
    others: [] as Buffer[],
  }
  for (const element of elements) {
    const texts = textForms[element.tag]
    if (texts !== undefined) names[texts].push(readIa5Text(element, use))
    else if (element.tag === contextTag(7, 'primitive')) names.ips.push(readIp(element, ipBytes))
    else names.others.push(readOtherName(element))
  }
  return names
}

const textForms: Readonly<Record<number, 'emails' | 'dnsNames' | 'uris'>> = {
  [contextTag(1, 'primitive')]: 'emails',
  [contextTag(2, 'primitive')]: 'dnsNames',
  [contextTag(6, 'primitive')]: 'uris',
}

/** An empty pattern stands for every name, an empty name for nothing. */
function readIa5Text(element: DerElement, use: 'name' | 'pattern'): string {
  const text = contentOf(element).toString('latin1')
  const isName = visiblePattern.test(text) && (text !== '' || use === 'pattern')
  if (!isName) throw new ProtocolError('der', 'a name of other characters')
  return text
}

const visiblePattern = /^[\x21-\x7e]*$/

function readIp(element: DerElement, ipBytes: readonly number[]): Buffer {
  const content = contentOf(element)
  if (!ipBytes.includes(content.length)) throw new ProtocolError('der', 'iPAddress')
  return content
}

/** otherName, x400Address, directoryName, ediPartyName, registeredID. */
function readOtherName(element: DerElement): Buffer {
  if (!otherForms.has(element.tag)) throw new ProtocolError('der', 'GeneralName')
  if (element.tag === directoryNameTag) readName(onlyChildOf(element))
  return encodingOf(element)
}

/** The identifier octet of a directoryName. */
export const directoryNameTag = contextTag(4, 'constructed')

const otherForms: ReadonlySet<number> = new Set([
  directoryNameTag,
  ...[0, 3, 5].map((number) => contextTag(number, 'constructed')),
  contextTag(8, 'primitive'),
])
