/**
 * A record: what was asked, by whom, what was decided and why, and what was issued. Never the proof or the credential.
 *
 * @module
 */
import type { RefusalCode } from './refusal.ts'

/** What names a credential that was issued, without being good for anything. */
export interface IssuedCredential {
  /** Of a certificate: lower-case hex. */
  readonly serialNumber?: string
  readonly jti?: string
  /** The authority that signed: `kid`, or subject key id in lower-case hex. */
  readonly kid?: string
  readonly audience?: readonly string[]
  /** Of a cloud's credential, where it has a name: the access key id of AWS. */
  readonly credentialId?: string
  readonly expiresAt: Date
}

/** One record. What does not apply is absent; acts of operators have no proof, identity or rule. */
export interface RecordEntry {
  readonly time: Date
  /** Such as `jwt_svid`, `x509_svid`, `authority.taint`, `join_token.create`, `config.reload`, `records.prune`. */
  readonly operation: string
  readonly decision: 'granted' | 'refused'
  readonly requestId?: string
  /** Of a refusal. */
  readonly code?: RefusalCode
  readonly reason?: string
  /** Name of the authenticator. */
  readonly authenticator?: string
  /** Those that its authenticator declares safe to keep. Plain JSON. */
  readonly attributes?: Readonly<Record<string, unknown>>
  readonly spiffeId?: string
  /** Name of the identity rule. */
  readonly rule?: string
  /** Name of the policy that decided. */
  readonly policy?: string
  /** Name of the target of an exchange. */
  readonly target?: string
  /** Of the caller; in `refusals.counted` the prefix that was counted. */
  readonly address?: string
  /** Digest of the configuration document that decided. */
  readonly document?: string
  /** Fingerprint of the proof, never the proof. */
  readonly proof?: string
  readonly issued?: IssuedCredential
  /** What was noticed on the way, such as an expression that failed. */
  readonly notes?: readonly string[]
  /** What else an operator's act was about. Plain JSON. */
  readonly details?: Readonly<Record<string, unknown>>
}

export interface IssuedDocument {
  readonly serial_number?: string
  readonly jti?: string
  readonly kid?: string
  readonly audience?: readonly string[]
  readonly credential_id?: string
  readonly expires_at: string
}

/** Room for what callers write into their own refusals, in UTF-16 units of each text. */
const maxCallerText = 256

/** The entry with every text of `attributes` and `details` cut to so many characters, the last of them `…` where it was. */
export function shortenTexts(entry: RecordEntry, maxText = maxCallerText): RecordEntry {
  const { attributes, details } = entry
  return {
    ...entry,
    ...(attributes && { attributes: shortened(attributes, maxText) as Readonly<Record<string, unknown>> }),
    ...(details && { details: shortened(details, maxText) as Readonly<Record<string, unknown>> }),
  }
}

function shortened(value: unknown, maxText: number): unknown {
  if (typeof value === 'string') return value.length > maxText ? `${value.slice(0, maxText - 1)}…` : value
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (Array.isArray(value)) return value.map((item) => shortened(item, maxText))
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shortened(member, maxText)]))
}

/** A record as it is stored and shown. */
export interface RecordDocument {
  readonly time: string
  readonly request_id?: string
  readonly operation: string
  readonly decision: 'granted' | 'refused'
  readonly code?: RefusalCode
  readonly reason?: string
  readonly authenticator?: string
  readonly attributes?: Readonly<Record<string, unknown>>
  readonly spiffe_id?: string
  readonly rule?: string
  readonly policy?: string
  readonly target?: string
  readonly address?: string
  readonly document?: string
  readonly proof?: string
  readonly issued?: IssuedDocument
  readonly notes?: readonly string[]
  readonly details?: Readonly<Record<string, unknown>>
}

/** The record's JSON, the same for equal entries: members in one order, those of `attributes` and `details` sorted. */
export function formatRecord(entry: RecordEntry): string {
  return JSON.stringify({
    time: entry.time.toISOString(),
    request_id: entry.requestId,
    operation: entry.operation,
    decision: entry.decision,
    code: entry.code,
    reason: entry.reason,
    authenticator: entry.authenticator,
    attributes: sorted(entry.attributes),
    spiffe_id: entry.spiffeId,
    rule: entry.rule,
    policy: entry.policy,
    target: entry.target,
    address: entry.address,
    document: entry.document,
    proof: entry.proof,
    issued: entry.issued && issuedMembers(entry.issued),
    notes: entry.notes,
    details: sorted(entry.details),
  })
}

/** The body is our own, written by {@link formatRecord}: what breaks here is a damaged store. */
export function parseRecord(body: string): RecordDocument {
  return JSON.parse(body) as RecordDocument
}

function issuedMembers(credential: IssuedCredential) {
  return {
    expires_at: credential.expiresAt.toISOString(),
    serial_number: credential.serialNumber,
    jti: credential.jti,
    kid: credential.kid,
    audience: credential.audience,
    credential_id: credential.credentialId,
  }
}

/** The same value with the members of each object sorted by name. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (Array.isArray(value)) return value.map(sorted)
  const source = value as Readonly<Record<string, unknown>>
  const names = Object.keys(source)
  if (isSorted(source, names)) return source
  const target: Record<string, unknown> = {}
  for (const name of names.sort()) setOwn(target, name, sorted(source[name]))
  return target
}

/** Most come so, and then nothing has to be copied. */
function isSorted(source: Readonly<Record<string, unknown>>, names: readonly string[]): boolean {
  return names.every((name, at) => typeof source[name] !== 'object' && (at === 0 || (names[at - 1] ?? '') < name))
}

/** A claim may be called `__proto__`, and assigning that would be no member. */
function setOwn(target: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') target[name] = value
  else Object.defineProperty(target, name, { value, enumerable: true })
}
