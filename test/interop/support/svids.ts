/**
 * SVIDs of a started gateway, and certificate requests for them by a library that the gateway does not use for that.
 *
 * @module
 */
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'
import type { TestGateway } from './gateway.ts'

/** PEM. */
export interface X509SvidFiles {
  readonly spiffeId: string
  readonly certificates: string
  readonly key: string
  readonly bundle: string
  readonly certFile: string
  readonly keyFile: string
}

const p256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** A request for a new P-256 key, and the key as PKCS#8, both PEM. */
export async function makeRequest(): Promise<{ readonly csr: string; readonly key: string }> {
  x509.cryptoProvider.set(webcrypto)
  const keys = await webcrypto.subtle.generateKey(p256, true, ['sign', 'verify'])
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({ name: '', keys, signingAlgorithm: p256 })
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return { csr: csr.toString('pem'), key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') }
}

/** The proof's X.509-SVID, in files `NAME.pem` and `NAME.key` of the gateway's folder. */
export async function fetchX509Svid(gateway: TestGateway, bearer: string, name: string): Promise<X509SvidFiles> {
  const { csr, key } = await makeRequest()
  const { status, json, text } = await gateway.ask('/v1/svid/x509', { bearer, json: { csr } })
  if (status !== 200) throw new Error(`no X.509-SVID: ${status} ${text}`)

  const certFile = join(gateway.folder, `${name}.pem`)
  const keyFile = join(gateway.folder, `${name}.key`)
  await Promise.all([writeFile(certFile, json.certificates), writeFile(keyFile, key, { mode: 0o600 })])
  return { spiffeId: json.spiffe_id, certificates: json.certificates, key, bundle: json.bundle, certFile, keyFile }
}

/** The proof's JWT-SVID for one audience. */
export async function fetchJwtSvid(gateway: TestGateway, bearer: string, audience: string): Promise<string> {
  const { status, json, text } = await gateway.ask('/v1/svid/jwt', { bearer, json: { audience: [audience] } })
  if (status !== 200) throw new Error(`no JWT-SVID: ${status} ${text}`)
  return json.token
}

/** The same token with one bit of its signature changed. */
export function tamper(token: string): string {
  const [head = '', body = '', signature = ''] = token.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  bytes[10] = (bytes[10] ?? 0) ^ 1
  return [head, body, bytes.toString('base64url')].join('.')
}
