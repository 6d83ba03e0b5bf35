/**
 * The njs of docs/mtls-nginx-envoy.md reads the SPIFFE ID of a certificate as our own parser does. What runs it in nginx is
 * test/interop/mtls-proxies.test.ts.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { formatPem } from '../../src/protocol/encoding.ts'
import { createTestAuthority } from '../support/certificate-authority.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/mtls-nginx-envoy.md'), 'utf8')
const [, code = ''] = /^`\/etc\/nginx\/svid\.js`:\n\n```js\n(.*?)```/ms.exec(page) ?? []
const { default: script } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as {
  readonly default: { readonly spiffeId: (request: object) => string }
}

const read = (pem: string) => script.spiffeId({ variables: { ssl_client_raw_cert: pem } })
const readDer = (der: Uint8Array) => read(formatPem('CERTIFICATE', der))

const authority = createTestAuthority()
const web = 'spiffe://example.org/web'

test.each([
  ['one URI', { uris: [web] }, web],
  ['one URI among DNS names', { uris: [web], dnsNames: ['spiffe.example.org', 'web.internal'] }, web],
  ['names that are critical', { uris: [web], criticalNames: true }, web],
  ['a long ID', { uris: [`${web}/${'a'.repeat(1000)}`] }, `${web}/${'a'.repeat(1000)}`],
  ['two URIs', { uris: [web, 'spiffe://example.org/admin'] }, ''],
  ['the same URI twice', { uris: [web, web] }, ''],
  ['a DNS name alone', { uris: [], dnsNames: ['web.internal'] }, ''],
  ['no names', { uris: [] }, ''],
  ['another URI', { uris: ['https://example.org/web'] }, ''],
  ['the ID of the trust domain itself', { uris: ['spiffe://example.org'] }, ''],
  ['an ID in the subject', { uris: [], subject: web }, ''],
])('of a certificate with %s', (_, wishes, id) => {
  expect(readDer(authority.issue(wishes).der)).toBe(id)
})

test.each([
  ['nothing', ''],
  ['text', 'spiffe://example.org/web'],
  ['a length that leads out of it', formatPem('CERTIFICATE', Buffer.from('3082ffff', 'hex'))],
  ['a length that is cut off', formatPem('CERTIFICATE', Buffer.from('3084', 'hex'))],
])('%s is no certificate', (_, pem) => {
  expect(read(pem)).toBe('')
})

test('a certificate that ends early names nobody', () => {
  const { der } = authority.issue({ uris: [web] })
  for (let length = 0; length < der.length; length++) expect(readDer(der.subarray(0, length))).toBe('')
})
