/**
 * An X.509-SVID of our own, with its private key.
 *
 * @module
 */
import { type KeyObject, X509Certificate } from 'node:crypto'
import { parseCertificate } from '../protocol/certificate.ts'
import { formatHex, formatPem, parsePem } from '../protocol/encoding.ts'
import type { SpiffeId } from '../protocol/spiffe-id.ts'
import { leafSpiffeId } from '../protocol/x509-svid.ts'
import { ApostilleError } from './apostille-error.ts'

export interface X509Svid {
  readonly spiffeId: SpiffeId
  /** PEM, leaf first. */
  readonly certificates: string
  /** PEM, PKCS#8. */
  readonly privateKey: string
  /** Lower-case hex. */
  readonly serialNumber: string
  readonly notBefore: Date
  readonly expiresAt: Date
}

/**
 * @param certificates PEM, leaf first.
 * @throws {ApostilleError} `unexpected_answer` when they are for another key
 * @throws {ProtocolError} `pem`, `certificate`, `x509_svid`
 */
export function readX509Svid(certificates: string, privateKey: KeyObject): X509Svid {
  const chain = parsePem('CERTIFICATE', certificates)
  const [der] = chain
  const leaf = parseCertificate(der ?? new Uint8Array())
  if (!new X509Certificate(leaf.der).checkPrivateKey(privateKey))
    throw new ApostilleError('the certificate is for another key', { code: 'unexpected_answer' })
  return {
    spiffeId: leafSpiffeId(leaf),
    certificates: chain.map((certificate) => formatPem('CERTIFICATE', certificate)).join(''),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    serialNumber: formatHex(leaf.serialNumber),
    notBefore: leaf.notBefore,
    expiresAt: leaf.notAfter,
  }
}
