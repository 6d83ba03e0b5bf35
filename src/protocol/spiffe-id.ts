/**
 * SPIFFE IDs and trust domain names.
 *
 * Only the canonical spelling is accepted: §2.4 calls the scheme and the trust domain
 * case-insensitive while §2.1 requires lowercase, and comparing identities as strings is only
 * sound when each has one spelling.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md SPIFFE-ID}
 * @module
 */
import { ProtocolError } from './errors.ts'

declare const checked: unique symbol

/** The name of a trust domain, such as `example.org`. Made by {@link parseTrustDomain}. */
export type TrustDomain = string & { readonly [checked]: 'TrustDomain' }

/** A SPIFFE ID. Made by {@link parseSpiffeId}; two are the same identity when `uri` is equal. */
export interface SpiffeId {
  readonly uri: string
  readonly trustDomain: TrustDomain
  /** Starts with `/`; empty for the ID of the trust domain itself. */
  readonly path: string
}

const scheme = 'spiffe://'
const maxUriBytes = 2048 // §2.3; only ASCII gets as far as the check
const trustDomainPattern = /^[a-z0-9._-]{1,255}$/ // §2.1 and §2.3
const pathPattern = /^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)*$/ // §2.2
const segmentPattern = /^(?!\.{1,2}$)[A-Za-z0-9._-]+$/ // §2.2

/** @throws {ProtocolError} `trust_domain_name` */
export function parseTrustDomain(name: string): TrustDomain {
  if (!trustDomainPattern.test(name)) throw new ProtocolError('trust_domain_name')
  return name as TrustDomain
}

/** @throws {ProtocolError} `spiffe_id_scheme`, `trust_domain_name`, or as {@link buildSpiffeId} */
export function parseSpiffeId(uri: string): SpiffeId {
  if (!uri.startsWith(scheme)) throw new ProtocolError('spiffe_id_scheme')

  const slash = uri.indexOf('/', scheme.length)
  const pathStart = slash < 0 ? uri.length : slash
  return buildSpiffeId(parseTrustDomain(uri.slice(scheme.length, pathStart)), uri.slice(pathStart))
}

/** @throws {ProtocolError} `spiffe_id_path`, `spiffe_id_too_long` */
export function buildSpiffeId(trustDomain: TrustDomain, path: string): SpiffeId {
  if (!pathPattern.test(path)) throw new ProtocolError('spiffe_id_path')

  const uri = `${scheme}${trustDomain}${path}`
  if (uri.length > maxUriBytes) throw new ProtocolError('spiffe_id_too_long')
  return { uri, trustDomain, path }
}

/** Whether `text` may stand between two slashes of a path as it is. §2.2 */
export function isPathSegment(text: string): boolean {
  return segmentPattern.test(text)
}

/** Whether `path` is `prefix` or below it: `/spire/agent` covers `/spire/agent/x` and not `/spire/agentx`. */
export function isBelow(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/')
}
