import { Buffer } from 'node:buffer'
import { expect, test } from 'vitest'
import { parseCertificate } from '../../src/protocol/certificate.ts'
import {
  createLeafTemplate,
  createLeafTemplates,
  type LeafTemplate,
  type LeafValues,
  leafShapeOf,
} from '../../src/protocol/certificate-template.ts'
import { keyIdentifierHex, parsePublicKeyInfo } from '../../src/protocol/public-key-info.ts'
import { parseSpiffeId } from '../../src/protocol/spiffe-id.ts'
import { buildX509Svid, createX509Authority } from '../../src/protocol/x509-svid.ts'
import { createTestAuthority, makeTestKey, testNow } from '../support/certificate-authority.ts'

const root = createTestAuthority()
const authority = createX509Authority({ certificate: root.certificate, signer: root.key.signer, chain: [] })
const { publicKeyInfo } = makeTestKey()
const extension = { oid: '1.3.6.1.4.1.55555.1', value: Buffer.of(4, 1, 7) }
const svid = await buildX509Svid(authority, {
  spiffeId: parseSpiffeId('spiffe://example.org/web'),
  publicKeyInfo,
  serialNumber: Buffer.alloc(16, 0x41),
  now: testNow,
  ttlSeconds: 60,
  dnsNames: ['web', 'api.svc'],
  extension,
})
const leaf = parseCertificate(svid.certificate)
const values: LeafValues = {
  serialNumber: leaf.serialNumber,
  notBefore: leaf.notBefore,
  notAfter: leaf.notAfter,
  publicKeyInfo,
  subjectKeyId: keyIdentifierHex(parsePublicKeyInfo(publicKeyInfo).keyBits),
  names: ['spiffe://example.org/web', 'web', 'api.svc'],
  extension,
}

test('writes the values of its leaf as they are there', () => {
  expect(createLeafTemplate(leaf.tbs, values)(values)).toEqual(leaf.tbs)
})

test('changes nothing but what differs', () => {
  const template = createLeafTemplate(leaf.tbs, values)
  const later = template({ ...values, names: ['spiffe://example.org/app', 'web', 'api.svc'] })
  const differing = [...later.keys()].filter((at) => later[at] !== leaf.tbs[at])
  const place = leaf.tbs.indexOf('spiffe://example.org/web') + 'spiffe://example.org/'.length
  expect(differing).toEqual([place, place + 1, place + 2])
  expect(template(values)).toEqual(leaf.tbs)
})

test.each<[string, Partial<LeafValues>]>([
  ['serial number', { serialNumber: Buffer.alloc(16, 0x42) }],
  ['begin', { notBefore: new Date(leaf.notBefore.getTime() + 1000) }],
  ['end', { notAfter: new Date(leaf.notAfter.getTime() + 1000) }],
  ['key', { publicKeyInfo: makeTestKey().publicKeyInfo }],
  ['key identifier', { subjectKeyId: '00'.repeat(20) }],
  ['name', { names: ['spiffe://example.org/web', 'web', 'app.svc'] }],
  ['extension', { extension: { ...extension, value: Buffer.of(4, 1, 8) } }],
])('is not made of a leaf that has another %s', (_, other) => {
  expect(() => createLeafTemplate(leaf.tbs, { ...values, ...other })).toThrow(
    expect.objectContaining({ code: 'x509_svid' }),
  )
})

test('is not made of what is no leaf', () => {
  expect(() => createLeafTemplate(Buffer.of(0x30, 0), values)).toThrow(expect.objectContaining({ code: 'der' }))
})

test.each<[string, Partial<LeafValues>]>([
  ['key', { publicKeyInfo: makeTestKey('P-384').publicKeyInfo }],
  ['begin from 2050', { notBefore: new Date('2050-01-01T00:00:00Z') }],
  ['end from 2050', { notAfter: new Date('2050-01-01T00:00:00Z') }],
  ['longer name', { names: ['spiffe://example.org/web1', 'web', 'api.svc'] }],
  ['other cut between names', { names: ['spiffe://example.org/web', 'webapi.', 'svc'] }],
  ['name less', { names: ['spiffe://example.org/web', 'web'] }],
  ['other extension', { extension: { ...extension, oid: '1.3.6.1.4.1.55555.2' } }],
  ['longer extension', { extension: { ...extension, value: Buffer.of(4, 2, 7, 7) } }],
  ['extension less', { extension: undefined }],
])('a leaf with another %s is of another shape', (_, other) => {
  expect(leafShapeOf({ ...values, ...other })).not.toBe(leafShapeOf(values))
})

test('keeps the 256 shapes that came last', () => {
  const templates = createLeafTemplates()
  const template: LeafTemplate = () => Buffer.alloc(0)
  for (let shape = 0; shape <= 256; shape += 1) templates.keep(String(shape), template)
  expect(templates.find('0')).toBeUndefined()
  expect(templates.find('1')).toBe(template)
  expect(templates.find('256')).toBe(template)
})
