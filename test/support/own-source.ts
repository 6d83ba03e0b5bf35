/**
 * A source of X.509-SVIDs whose authorities are at hand: it rotates and changes its trust when it is told to.
 *
 * @module
 */
import { EventEmitter } from 'node:events'
import { readCertificateRequest } from '../../src/protocol/certificate-request.ts'
import { formatPem } from '../../src/protocol/encoding.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import type { TrustBundle } from '../../src/protocol/trust-bundle.ts'
import type { X509Source, X509SourceEvents } from '../../src/sdk/x509-source.node.ts'
import { readX509Svid, type X509Svid } from '../../src/sdk/x509-svid.node.ts'
import { type CertificateWishes, createTestAuthority, type TestCertificate } from './certificate-authority.ts'

const hourMs = 3_600_000

/** Good now, by the real clock, which TLS itself goes by. */
export function timesNow() {
  return { notBefore: new Date(Date.now() - hourMs), notAfter: new Date(Date.now() + hourMs) }
}

export function authorityOf(trustDomain: string, wishes: CertificateWishes = {}): TestCertificate {
  return createTestAuthority({ subject: trustDomain, uris: [`spiffe://${trustDomain}`], ...timesNow(), ...wishes })
}

/** @param chain Certificates between the leaf and the root, shown after the leaf. */
export function svidOf(
  authority: TestCertificate,
  uri: string,
  wishes: CertificateWishes = {},
  chain: readonly TestCertificate[] = [],
): X509Svid {
  const { der, key } = authority.issue({ uris: [uri], ...timesNow(), ...wishes })
  const pem = [der, ...chain.map((above) => above.der)].map((each) => formatPem('CERTIFICATE', each)).join('')
  return readX509Svid(pem, key.privateKey)
}

/** What a gateway answers to a request for an X.509-SVID of `spiffe://example.org/web`. */
export function signedAnswer(authority: TestCertificate, csr: string) {
  const uri = 'spiffe://example.org/web'
  const publicKeyInfo = Buffer.from(readCertificateRequest(csr).publicKeyInfo)
  const { der, certificate } = authority.issue({ ...timesNow(), uris: [uri], key: { ...authority.key, publicKeyInfo } })
  return {
    spiffe_id: uri,
    certificates: formatPem('CERTIFICATE', der),
    bundle: formatPem('CERTIFICATE', authority.der),
    expires_at: certificate.notAfter.toISOString(),
  }
}

export function bundleOf(trustDomain: string, ...authorities: readonly TestCertificate[]): TrustBundle {
  return {
    trustDomain: parseTrustDomain(trustDomain),
    x509Authorities: authorities.map(({ der }) => der),
    jwtAuthorities: [],
  }
}

export interface OwnSource extends X509Source {
  readonly show: (svid: X509Svid) => void
  readonly trust: (...bundles: readonly TrustBundle[]) => void
}

export function ownSource(svid: X509Svid, ...bundles: readonly TrustBundle[]): OwnSource {
  const events = new EventEmitter<X509SourceEvents>()
  const held = { svid, bundles }
  return {
    svid: () => held.svid,
    bundles: () => held.bundles,
    jwtKeys: { find: () => [] },
    events,
    show(next) {
      held.svid = next
      events.emit('svid', next)
    },
    trust(...next) {
      held.bundles = next
      events.emit('bundles')
    },
    refresh: async () => undefined,
    close: () => undefined,
    [Symbol.dispose]: () => undefined,
  }
}
