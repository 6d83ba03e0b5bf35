/**
 * A JWT as a cloud reads it, before it believes anything of it.
 *
 * @module
 */
import { createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import type { Jwk } from './issuer-documents.ts'

export interface PresentedToken {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
  readonly input: string
  readonly signature: Buffer
}

/** @returns undefined for what is no compact JWS over JSON objects */
export function readToken(text: string): PresentedToken | undefined {
  const parts = text.split('.')
  const [header = '', claims = '', signature = ''] = parts
  if (parts.length !== 3 || !parts.every((part) => /^[\w-]+$/.test(part))) return undefined
  const decoded = [header, claims].map(decodeObject)
  if (!decoded[0] || !decoded[1]) return undefined
  const input = `${header}.${claims}`
  return { header: decoded[0], claims: decoded[1], input, signature: Buffer.from(signature, 'base64url') }
}

function decodeObject(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Readonly<Record<string, unknown>>) : undefined
  } catch {
    return undefined
  }
}

/** An absent claim, or one that is no text, is empty. */
export function textClaim(token: PresentedToken, name: string): string {
  const value = token.claims[name]
  return typeof value === 'string' ? value : ''
}

/** `aud` as a list; empty when it is absent or no text. */
export function audiencesOf(token: PresentedToken): readonly string[] {
  const { aud } = token.claims
  return (Array.isArray(aud) ? aud : [aud]).filter((value) => typeof value === 'string')
}

const algorithms: Readonly<Record<string, { readonly kty: string; readonly crv?: string; readonly hash: string }>> = {
  RS256: { kty: 'RSA', hash: 'sha256' },
  RS384: { kty: 'RSA', hash: 'sha384' },
  RS512: { kty: 'RSA', hash: 'sha512' },
  ES256: { kty: 'EC', crv: 'P-256', hash: 'sha256' },
  ES384: { kty: 'EC', crv: 'P-384', hash: 'sha384' },
  ES512: { kty: 'EC', crv: 'P-521', hash: 'sha512' },
}

/** RFC 7515 §5.2, with the key's own `kty`, `crv` and, where it has one, `alg`. */
export function verifiesWith(token: PresentedToken, jwk: Jwk): boolean {
  const alg = String(token.header['alg'])
  const wanted = algorithms[alg]
  if (!wanted || jwk['kty'] !== wanted.kty || (jwk['crv'] ?? undefined) !== wanted.crv) return false
  if (jwk['alg'] !== undefined && jwk['alg'] !== alg) return false
  try {
    const key = createPublicKey({ key: { ...jwk } as JsonWebKey, format: 'jwk' })
    return verify(wanted.hash, Buffer.from(token.input), { key, dsaEncoding: 'ieee-p1363' }, token.signature)
  } catch {
    return false
  }
}
