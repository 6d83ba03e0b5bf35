import { Buffer } from 'node:buffer'
import { expect, test } from 'vitest'
import { type CertificateExtensions, extensionOids, readExtensions } from '../../src/protocol/certificate-extensions.ts'
import { derExtension } from '../../src/protocol/certificate-writer.ts'
import { readDer, tags } from '../../src/protocol/der.ts'
import { type DerPart, derBoolean, derNode, derOid, formatDer } from '../../src/protocol/der-writer.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const ascii = (text: string) => Buffer.from(text, 'latin1').toString('hex')
const read = (...extensions: readonly DerPart[]) =>
  readExtensions(readDer(formatDer(derNode(tags.sequence, ...extensions))))
const one = (oid: string, value: string) => read(derExtension(oid, 'critical', hex(value)))
const ip = (text: string) => hex(text)

const empty = { uris: [], dnsNames: [], emails: [], ips: [], others: [] }

test.each<[string, string, string, Partial<CertificateExtensions>]>([
  [
    'an end entity',
    extensionOids.basicConstraints,
    '3000',
    { basicConstraints: { critical: true, ca: false, pathLength: undefined } },
  ],
  [
    'an authority',
    extensionOids.basicConstraints,
    '30030101ff',
    { basicConstraints: { critical: true, ca: true, pathLength: undefined } },
  ],
  [
    'a path length',
    extensionOids.basicConstraints,
    '30060101ff020100',
    { basicConstraints: { critical: true, ca: true, pathLength: 0 } },
  ],
  [
    'key usage of nine bits',
    extensionOids.keyUsage,
    '0303070080',
    { keyUsage: { critical: true, bits: new Set(['decipherOnly']) } },
  ],
  [
    'extended key usage',
    extensionOids.extendedKeyUsage,
    '30060604551d2500',
    { extendedKeyUsage: { critical: true, purposes: ['2.5.29.37.0'] } },
  ],
  ['a key identifier', extensionOids.subjectKeyId, '0402aabb', { subjectKeyId: hex('aabb') }],
  ["the issuer's key identifier", extensionOids.authorityKeyId, '30048002aabb', { authorityKeyId: hex('aabb') }],
  [
    "an issuer's name in place of its key identifier",
    extensionOids.authorityKeyId,
    '3006a10082020102',
    { authorityKeyId: undefined },
  ],
  [
    'names of every form',
    extensionOids.subjectAltName,
    `30 1d 8603${ascii('a:b')} 8201${ascii('d')} 8103${ascii('m@d')} 8704c0000201 880155 a006 0601 55a00105`.replace(
      'a006 0601 55a00105',
      'a000',
    ),
    {
      subjectAltName: {
        critical: true,
        uris: ['a:b'],
        dnsNames: ['d'],
        emails: ['m@d'],
        ips: [ip('c0000201')],
        others: [hex('880155'), hex('a000')],
      },
    },
  ],
  [
    'name constraints',
    extensionOids.nameConstraints,
    `3012 a007 3005 8603${ascii('a.b')} a107 3005 8203${ascii('c.d')}`,
    {
      nameConstraints: {
        critical: true,
        permitted: { ...empty, uris: ['a.b'] },
        excluded: { ...empty, dnsNames: ['c.d'] },
      },
    },
  ],
  [
    'an empty constraint',
    extensionOids.nameConstraints,
    '3006 a104 3002 8600',
    {
      nameConstraints: { critical: true, permitted: empty, excluded: { ...empty, uris: [''] } },
    },
  ],
  ['an unknown critical extension', '1.2.3', '0500', { unknownCriticalExtensions: ['1.2.3'] }],
])('reads %s', (_, oid, value, expected) => {
  const content = hex(value)
  if (content[0] === 0x30) content[1] = content.length - 2
  expect(one(oid, content.toString('hex'))).toMatchObject(expected)
})

test('an extension that is not critical may be unknown, and is found by its OID', () => {
  const extensions = read(derExtension('1.2.3', 'not critical', hex('0500')))
  expect(extensions.unknownCriticalExtensions).toEqual([])
  expect(extensions.extension('1.2.3')).toEqual({ critical: false, value: hex('0500') })
  expect(extensions.extension('1.2.4')).toBeUndefined()
})

test.each<[string, string, string]>([
  ['FALSE written out in basicConstraints', extensionOids.basicConstraints, '3003010100'],
  ['a path length without cA', extensionOids.basicConstraints, '3003020100'],
  ['a negative path length', extensionOids.basicConstraints, '30060101ff0201ff'],
  ['more fields in basicConstraints', extensionOids.basicConstraints, '30090101ff020100020100'],
  ['trailing bytes', extensionOids.basicConstraints, '300000'],
  ['key usage without a bit', extensionOids.keyUsage, '030100'],
  ['key usage with zeros at its end', extensionOids.keyUsage, '03020080'],
  ['key usage of three octets', extensionOids.keyUsage, '030400000001'],
  ['no purposes', extensionOids.extendedKeyUsage, '3000'],
  ['no names', extensionOids.subjectAltName, '3000'],
  ['an empty URI', extensionOids.subjectAltName, '30028600'],
  ['NUL in a URI', extensionOids.subjectAltName, '300586036100 62'],
  ['a byte above 127 in a URI', extensionOids.subjectAltName, '300586036180 62'],
  ['white space in a DNS name', extensionOids.subjectAltName, '300582036120 62'],
  ['an address of three bytes', extensionOids.subjectAltName, '30058703010203'],
  ['a constructed URI', extensionOids.subjectAltName, '3002a600'],
  ['a name of a form that does not exist', extensionOids.subjectAltName, '30028900'],
  ['a name of a universal type', extensionOids.subjectAltName, '30020500'],
  ['a directory name that is none', extensionOids.subjectAltName, '3004a4020500'],
  ['a key identifier of another type', extensionOids.subjectKeyId, '0500'],
  ['more fields in authorityKeyIdentifier', extensionOids.authorityKeyId, '300880008200 82008200'],
  ['no constraints', extensionOids.nameConstraints, '3000'],
  ['no subtrees', extensionOids.nameConstraints, '3002a000'],
  ['permitted names twice', extensionOids.nameConstraints, '300ca00430028600a00430028600'],
  ['a minimum', extensionOids.nameConstraints, '3009a00730058600800101'],
  ['an address without mask', extensionOids.nameConstraints, '300aa008300687047f000001'],
])('refuses %s', (_, oid, value) => {
  expect(() => one(oid, value)).toThrow(expect.objectContaining({ code: 'der' }))
})

const unknown = derExtension('1.2.3', 'not critical', hex('0500'))

test.each<[string, readonly DerPart[]]>([
  ['no extension', []],
  ['an extension twice', [unknown, derExtension('1.2.3', 'critical', hex('0500'))]],
  ['FALSE written out', [derNode(tags.sequence, derOid('1.2.3'), derBoolean(false), derNode(tags.octetString))]],
  ['an extension without value', [derNode(tags.sequence, derOid('1.2.3'))]],
  ['an extension of four fields', [derNode(tags.sequence, derOid('1.2.3'), derBoolean(true), derNode(4), derNode(4))]],
  ['65 extensions', Array.from({ length: 65 }, (_, index) => derExtension(`1.2.${index}`, 'critical', hex('0500')))],
])('refuses %s', (_, extensions) => {
  expect(() => read(...extensions)).toThrow(expect.objectContaining({ code: 'der' }))
})
