/**
 * An OIDC issuer that is nothing but its keys: they go into a `jwks_file`, and tokens are signed here, right or wrong.
 *
 * @module
 */
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { ecSigner, type Members, rsaSigner, signToken } from './raw-token.ts'

export const testIssuer = 'https://ci.example'
export const testAudience = 'https://id.example.org'

export interface OidcIssuer {
  readonly rsa: KeyObject
  readonly ec: KeyObject
  /** The JWK Set, JSON: `rsa` for RS256 and `ec` for ES256. */
  readonly jwks: string
  /** Claims of a token that is accepted now, with what is to be different. */
  readonly claims: (changes?: Members) => Members
  /** A token that is accepted now. */
  readonly token: (changes?: Members) => string
}

/** Makes an RSA key, which takes a moment: once for each test file. */
export function createOidcIssuer(): OidcIssuer {
  const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const { privateKey: ec } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = (key: KeyObject, kid: string, alg: string) => ({
    ...createPublicKey(key).export({ format: 'jwk' }),
    kid,
    alg,
    use: 'sig',
  })

  function claims(changes: Members = {}): Members {
    const now = Math.floor(Date.now() / 1000)
    return { iss: testIssuer, aud: testAudience, sub: 'build', iat: now, exp: now + 600, ...changes }
  }

  return {
    rsa,
    ec,
    jwks: JSON.stringify({ keys: [jwk(rsa, 'rsa', 'RS256'), jwk(ec, 'ec', 'ES256')] }),
    claims,
    token: (changes) => signToken({ alg: 'ES256', kid: 'ec', typ: 'JWT' }, claims(changes), ecSigner(ec)),
  }
}

/** As {@link OidcIssuer.token}, with another header. */
export function signWithRsa(issuer: OidcIssuer, header: Members = {}, claims: Members = issuer.claims()): string {
  return signToken({ alg: 'RS256', kid: 'rsa', ...header }, claims, rsaSigner(issuer.rsa))
}
