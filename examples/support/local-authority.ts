/**
 * A certificate authority that lives as long as one run of an example, for what would have a certificate of its own on a
 * real network: the API server of the cluster, a company's API.
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

export interface LocalAuthority {
  /** PEM: what clients trust. */
  readonly ca: string
  /** A certificate for `localhost`, unless names are given. */
  readonly issue: (names?: readonly string[]) => Promise<ServerCertificate>
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const hourMs = 3_600_000

export async function createLocalAuthority(commonName: string): Promise<LocalAuthority> {
  x509.cryptoProvider.set(webcrypto)
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const validity = { notBefore: new Date(Date.now() - hourMs), notAfter: new Date(Date.now() + 24 * hourMs) }
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    serialNumber: '01',
    name: `CN=${commonName}`,
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })

  async function issue(names: readonly string[] = ['localhost']): Promise<ServerCertificate> {
    const leaf = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const certificate = await x509.X509CertificateGenerator.create({
      ...validity,
      serialNumber: Buffer.from(webcrypto.getRandomValues(new Uint8Array(8))).toString('hex'),
      subject: `CN=${names[0]}`,
      issuer: ca.subject,
      signingAlgorithm: algorithm,
      publicKey: leaf.publicKey,
      signingKey: keys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'dns', value }))),
        // Python's ssl asks for it since 3.13 (VERIFY_X509_STRICT).
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
      ],
    })
    const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', leaf.privateKey)
    return { cert: certificate.toString('pem'), key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') }
  }

  return { ca: ca.toString('pem'), issue }
}
