/**
 * Tokens made by hand, so that anything can be wrong with them.
 *
 * @module
 */
import { constants, createHmac, createPrivateKey, type KeyObject, sign } from 'node:crypto'

export type Members = Readonly<Record<string, unknown>>

/** @returns base64url of JSON, or of the text that is given instead. */
export function encodePart(value: Members | string): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

/** A compact JWS over any header and claims, whatever `alg` says. */
export function signToken(
  header: Members | string,
  claims: Members | string,
  signer: (data: Buffer) => Buffer,
): string {
  const input = `${encodePart(header)}.${encodePart(claims)}`
  return `${input}.${signer(Buffer.from(input)).toString('base64url')}`
}

export function rsaSigner(key: KeyObject, options: { readonly pss?: boolean; readonly hash?: string } = {}) {
  const padding = options.pss
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : {}
  return (data: Buffer): Buffer => sign(options.hash ?? 'sha256', data, { key, ...padding })
}

export function ecSigner(key: KeyObject) {
  return (data: Buffer): Buffer => sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' })
}

export function hmacSigner(secret: string) {
  return (data: Buffer): Buffer => createHmac('sha256', secret).update(data).digest()
}

export function privateKeyOf(jwk: Members): KeyObject {
  return createPrivateKey({ key: { ...jwk }, format: 'jwk' })
}
