/**
 * What a record says of a request, as far as it can be decided again.
 *
 * Records hold the attributes that are safe to keep, which may be fewer than the proof had: what a rule reads besides
 * those counts as absent.
 *
 * @module
 */
import { parseSpiffeId } from '../protocol/spiffe-id.ts'
import type { AuthenticatedIdentity } from './authenticate.ts'
import type { Configuration } from './config.ts'
import type { ExplainedRequest } from './explain.ts'
import type { Operation } from './expression.ts'
import type { RecordDocument } from './record.ts'

export interface RecordedRequest {
  readonly identity: AuthenticatedIdentity
  readonly request: ExplainedRequest
}

/** A text says why it can not be decided again. */
export function readRecordedRequest(record: RecordDocument, config: Configuration): RecordedRequest | string {
  const operation = operationOf(record)
  if (operation === undefined) return 'no rule or policy decides about this operation'
  const { authenticator: name, attributes } = record
  if (name === undefined || attributes === undefined) return 'no proof was accepted, so no rule was asked'
  const authenticator = config.authenticators.get(name)
  if (authenticator === undefined) return `the configuration in use has no authenticator ${name}`
  const { type } = authenticator
  if (type === 'spiffe' && authenticator.trust_domain === config.trustDomain)
    return 'the proof was an SVID of ours, which rules are not asked about again'
  const told = type === 'spiffe' ? { ...attributes, ...partsOf(attributes) } : attributes
  return {
    identity: { authenticator: name, type, attributes: told, recorded: attributes, use: { kind: 'rules' } },
    request: requestOf(record, operation),
  }
}

function partsOf({ spiffe_id: spiffeId }: Readonly<Record<string, unknown>>) {
  if (typeof spiffeId !== 'string') return {}
  const { trustDomain, path } = parseSpiffeId(spiffeId)
  return { trust_domain: trustDomain, path }
}

const reads: ReadonlySet<string> = new Set(['kv.read', 'kv.list', 'kv.history'])
const writes: ReadonlySet<string> = new Set([
  'kv.write',
  'kv.patch',
  'kv.delete',
  'kv.undelete',
  'kv.destroy',
  'kv.configure',
  'kv.purge',
])

function operationOf({ operation }: RecordDocument): Operation | undefined {
  if (operation === 'jwt_svid' || operation === 'x509_svid' || operation === 'exchange') return operation
  if (reads.has(operation)) return 'read'
  return writes.has(operation) ? 'write' : undefined
}

function requestOf(record: RecordDocument, operation: Operation): ExplainedRequest {
  const { details = {}, issued, address = '', target, time } = record
  const audience = details['requested_audience'] ?? (operation === 'jwt_svid' ? issued?.audience : undefined)
  const { requested_spiffe_id: spiffeId, requested_ttl_seconds: ttlSeconds, path } = details
  return {
    operation,
    address,
    time: new Date(time),
    ...(Array.isArray(audience) && { audience: audience.map(String) }),
    ...(target !== undefined && { target }),
    ...(typeof path === 'string' && { path }),
    ...(typeof spiffeId === 'string' && { spiffeId }),
    ...(typeof ttlSeconds === 'number' && { ttlSeconds }),
  }
}
