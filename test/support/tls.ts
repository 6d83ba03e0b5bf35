/**
 * A certificate authority for one test, and server certificates of it.
 *
 * @module
 */
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

export interface ServerCertificate {
  /** PEM. */
  readonly cert: string
  /** PEM, PKCS#8. */
  readonly key: string
}

export interface TestAuthority {
  /** PEM. */
  readonly ca: string
  /** For `localhost`, `127.0.0.1` and `::1` unless names are given. */
  readonly issue: (names?: readonly string[]) => Promise<ServerCertificate>
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const hourMs = 3_600_000

/** Valid from an hour ago for a day, by the real clock, which TLS itself goes by. */
export async function createTestAuthority(commonName = 'test CA'): Promise<TestAuthority> {
  x509.cryptoProvider.set(webcrypto)
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: `CN=${commonName}`,
    ...validity(),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  })

  async function issue(names: readonly string[] = ['localhost', '127.0.0.1', '::1']): Promise<ServerCertificate> {
    const leaf = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: '02',
      subject: 'CN=test server',
      issuer: ca.subject,
      ...validity(),
      signingAlgorithm: algorithm,
      publicKey: leaf.publicKey,
      signingKey: keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: /[:\d]$/.test(value) ? 'ip' : 'dns', value })),
        ),
      ],
    })
    const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', leaf.privateKey)
    return { cert: certificate.toString('pem'), key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') }
  }

  return { ca: ca.toString('pem'), issue }
}

function validity() {
  const now = Date.now()
  return { notBefore: new Date(now - hourMs), notAfter: new Date(now + 24 * hourMs) }
}
