/**
 * Who may be at the other end. A proof says who a peer is; these say whether that will do.
 *
 * @module
 */
import { ProtocolError } from '../protocol/errors.ts'
import { parseSpiffeId, parseTrustDomain, type SpiffeId } from '../protocol/spiffe-id.ts'
import { ApostilleError } from './apostille-error.ts'

/** Whether this identity will do; its proof was verified before. */
export type Authorizer = (spiffeId: SpiffeId) => boolean

/** One of these SPIFFE IDs. @throws {ProtocolError} for one that is none */
export function authorizeId(...allowed: readonly [string, ...(readonly string[])]): Authorizer {
  const uris = new Set(allowed.map((uri) => parseSpiffeId(uri).uri))
  return ({ uri }) => uris.has(uri)
}

/** Every workload of one of these trust domains. @throws {ProtocolError} for a name that is none */
export function authorizeMemberOf(...allowed: readonly [string, ...(readonly string[])]): Authorizer {
  const trustDomains = new Set<string>(allowed.map(parseTrustDomain))
  return ({ trustDomain }) => trustDomains.has(trustDomain)
}

/**
 * SPIFFE IDs like `spiffe://example.org/ns/payments/sa/*`: a `*` stands for one whole segment of the path, and a last
 * segment `**` for one or more. Or those of which `pattern` says so.
 *
 * @throws {ProtocolError} for a pattern that no SPIFFE ID can match
 */
export function authorizeMatching(pattern: string | Authorizer): Authorizer {
  if (typeof pattern === 'function') return pattern
  const isOpen = pattern.endsWith('/**')
  const prefix = isOpen ? pattern.slice(0, -3) : pattern
  // A star that is not a whole segment is left, and no SPIFFE ID has one.
  const { trustDomain, path } = parseSpiffeId(prefix.replaceAll(/(?<!\/)\/\*(?=\/|$)/g, '/-'))
  if (path === '' && !isOpen) throw new ProtocolError('spiffe_id_path', 'no workload has an ID without a path')
  const wanted = prefix.slice(prefix.length - path.length).split('/')
  return (id) => id.trustDomain === trustDomain && matchesSegments(id.path.split('/'), wanted, isOpen)
}

function matchesSegments(segments: readonly string[], wanted: readonly string[], isOpen: boolean): boolean {
  const fits = isOpen ? segments.length > wanted.length : segments.length === wanted.length
  return fits && wanted.every((segment, at) => segment === '*' || segment === segments[at])
}

/** Whoever is vouched for: each workload of each trust domain whose bundle is at hand. */
export function authorizeAny(): Authorizer {
  return () => true
}

/** @throws {ApostilleError} `not_authorized` */
export function requireAuthorized(spiffeId: SpiffeId, authorize: Authorizer): void {
  if (authorize(spiffeId)) return
  throw new ApostilleError(`the peer is ${spiffeId.uri}, which is not authorized here`, { code: 'not_authorized' })
}
