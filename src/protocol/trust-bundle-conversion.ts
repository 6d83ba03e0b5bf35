/**
 * Makes a SPIFFE bundle of what operators have: PEM certificates, or a JWK Set as OIDC publishes it.
 *
 * A JWK Set without `use`, or with `sig`, holds JWT keys: SPIRE leaves `use` out, OIDC writes `sig`, and the bundle wants
 * `jwt-svid` (JWT-SVID §6.1).
 *
 * @module
 */
import { formatBase64, parsePem } from './encoding.ts'
import { ProtocolError } from './errors.ts'
import { isJsonObject, parseStrictJson } from './json.ts'
import { parseJwk, thumbprintJwk } from './jwk.ts'
import type { JwtAuthorityKey } from './jwt-svid.ts'
import type { TrustDomain } from './spiffe-id.ts'
import { formatTrustBundle, parseTrustBundle, type TrustBundle } from './trust-bundle.ts'

/**
 * One document of all `texts`, each of them SPIFFE JSON, PEM or a JWK Set. Sequence and hint are kept when there is one.
 *
 * @throws {ProtocolError} `bundle` when one is none of those, or nothing usable is in them; `json`, `pem`, `jwk`
 */
export function convertToTrustBundle(trustDomain: TrustDomain, texts: readonly string[]): string {
  const parts = texts.map((text) => readPart(trustDomain, text))
  const [only] = parts
  const x509Authorities = distinct(
    parts.flatMap((part) => part.x509Authorities ?? []),
    formatBase64,
  )
  const jwtAuthorities = distinct(
    parts.flatMap((part) => part.jwtAuthorities ?? []),
    ({ kid, key }) => `${kid} ${thumbprintJwk(key)}`,
  )
  if (x509Authorities.length + jwtAuthorities.length === 0) throw new ProtocolError('bundle', 'no usable key')
  const kept = parts.length === 1 && only ? only : {}
  return formatTrustBundle({ ...kept, trustDomain, x509Authorities, jwtAuthorities })
}

/** What operators hand over often says the same twice. */
function distinct<T>(items: readonly T[], nameOf: (item: T) => string): readonly T[] {
  return [...new Map(items.map((item) => [nameOf(item), item])).values()]
}

function readPart(trustDomain: TrustDomain, text: string): Partial<TrustBundle> {
  if (text.includes('-----BEGIN ')) return { x509Authorities: parsePem('CERTIFICATE', text) }
  const document = parseStrictJson(text)
  if (!isJsonObject(document) || !Array.isArray(document['keys'])) throw new ProtocolError('bundle', 'no keys')
  const uses = document['keys'].map((key: unknown) => (isJsonObject(key) ? key['use'] : undefined))
  if (uses.some((use) => use === 'x509-svid' || use === 'jwt-svid')) return parseTrustBundle(trustDomain, text)
  return { jwtAuthorities: document['keys'].map(readJwtKey) }
}

function readJwtKey(entry: unknown): JwtAuthorityKey {
  const { kid, key, use } = parseJwk(entry)
  if (use !== undefined && use !== 'sig') throw new ProtocolError('jwk', 'a key that is not for signatures')
  if (kid === undefined || kid === '') throw new ProtocolError('jwk', 'a key without kid')
  return { kid, key }
}
