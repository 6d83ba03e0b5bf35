/**
 * Keys that a command makes here, and the requests for them.
 *
 * @module
 */
import { generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { type SignatureAlgorithm, signWithKey } from '../protocol/algorithms.ts'
import { buildCertificateRequest } from '../protocol/certificate-request-writer.ts'
import { formatPem } from '../protocol/encoding.ts'

export type KeyTypeName = 'ec-p256' | 'ec-p384' | 'rsa-2048'

export interface NewKey {
  readonly privateKey: KeyObject
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Buffer
  readonly algorithm: SignatureAlgorithm
}

const makeKeyPair = promisify(generateKeyPair)

export async function makeKey(type: KeyTypeName): Promise<NewKey> {
  const { privateKey, publicKey } =
    type === 'rsa-2048'
      ? await makeKeyPair('rsa', { modulusLength: 2048 })
      : await makeKeyPair('ec', { namedCurve: type === 'ec-p256' ? 'P-256' : 'P-384' })
  const algorithms = { 'ec-p256': 'ES256', 'ec-p384': 'ES384', 'rsa-2048': 'RS256' } as const
  return {
    privateKey,
    publicKeyInfo: publicKey.export({ type: 'spki', format: 'der' }),
    algorithm: algorithms[type],
  }
}

/** PKCS#10, PEM. */
export async function requestText({ privateKey, publicKeyInfo, algorithm }: NewKey): Promise<string> {
  const signer = {
    algorithm,
    publicKey: publicKeyInfo,
    sign: (data: Uint8Array) => signWithKey(algorithm, privateKey, data),
  }
  return formatPem('CERTIFICATE REQUEST', await buildCertificateRequest(signer))
}
