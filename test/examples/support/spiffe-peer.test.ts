import 'reflect-metadata'
import { webcrypto, X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { expect, test } from 'vitest'
import { readSpiffeId, requirePeer } from '../../../examples/support/spiffe-peer.ts'
import { type CertificateWishes, createTestAuthority } from '../../support/certificate-authority.ts'

const hourMs = 3_600_000
const authority = createTestAuthority({ notAfter: new Date(Date.now() + hourMs) })

/** Times are real: what the certificate of a connection is checked by is the clock. */
function certificate(wishes: CertificateWishes): X509Certificate {
  const times = { notBefore: new Date(Date.now() - hourMs), notAfter: new Date(Date.now() + hourMs) }
  return new X509Certificate(authority.issue({ ...times, ...wishes }).der)
}

test.each([
  ['alone', {}],
  ['beside DNS names', { dnsNames: ['web.example.org', 'localhost'] }],
])('reads the SPIFFE ID of an SVID, %s', (_, wishes) => {
  expect(readSpiffeId(certificate({ uris: ['spiffe://example.org/ns/web'], ...wishes }))).toBe(
    'spiffe://example.org/ns/web',
  )
})

test.each<[string, CertificateWishes | undefined]>([
  ['nothing', undefined],
  ['a signing certificate', { ca: true, keyUsage: ['keyCertSign'] }],
  ['a certificate that has expired', { notAfter: new Date(Date.now() - 1000) }],
  ['no name', { uris: [] }],
  ['a DNS name alone', { uris: [], dnsNames: ['example.org'] }],
  ['two SPIFFE IDs', { uris: ['spiffe://example.org/a', 'spiffe://example.org/b'] }],
  ['a SPIFFE ID and another URI', { uris: ['spiffe://example.org/a', 'https://example.org/a'] }],
  ['another scheme', { uris: ['https://example.org/ns/web'] }],
  ['the ID of a trust domain', { uris: ['spiffe://example.org'] }],
  ['a dot segment', { uris: ['spiffe://example.org/ns/..'] }],
])('refuses %s', (_, wishes) => {
  expect(() => readSpiffeId(wishes && certificate(wishes))).toThrow(expect.objectContaining({ name: 'PeerError' }))
})

/** A name that the test authority can not write: it checks its spelling. */
async function certificateForDnsName(value: string): Promise<X509Certificate> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  x509.cryptoProvider.set(webcrypto)
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    keys: await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']),
    signingAlgorithm: algorithm,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value }])],
  })
  return new X509Certificate(made.toString('pem'))
}

test.each(['a, URI:spiffe://example.org/ns/web', 'a, URI:spiffe://example.org/ns/web, DNS:b'])(
  'refuses a DNS name that reads like a list: %s',
  async (name) => {
    const ambiguous = await certificateForDnsName(name)
    expect(() => readSpiffeId(ambiguous)).toThrow(expect.objectContaining({ name: 'PeerError' }))
  },
)

test.each([
  ['the expected peer is let through', 'spiffe://example.org/web', true],
  ['another one is not', 'spiffe://example.org/web2', false],
  ['nor one whose ID begins the same', 'spiffe://example.org/web/admin', false],
  ['nor one of another trust domain', 'spiffe://example.com/web', false],
])('%s', (_, uri, accepted) => {
  const check = () => requirePeer(certificate({ uris: [uri] }), 'spiffe://example.org/web')
  if (accepted) expect(check).not.toThrow()
  else expect(check).toThrow(expect.objectContaining({ name: 'PeerError' }))
})
