/**
 * What operators are told.
 *
 * @module
 */
import * as z from 'zod'
import { refusals } from '../../core/refusal.ts'
import { next, pem, seconds, spiffeId, text, time, trustDomain } from './fields.ts'

export const codes = z.enum(Object.keys(refusals) as [keyof typeof refusals])

const algorithm = text.meta({ description: 'As JWA names it.', examples: ['ES256'] })

export const authorityDocument = z
  .object({
    id: text.meta({ description: 'X.509: subject key id in hex. JWT: the `kid`.' }),
    ring: text,
    algorithm: algorithm,
    state: z.enum(['prepared', 'active', 'retiring']),
    created_at: time,
    active_until: time.optional(),
    expires_at: time,
    tainted_at: time.optional(),
    upstream: z.boolean().meta({ description: 'Whether it is an intermediate under an upstream authority.' }),
  })
  .meta({ id: 'Authority' })
export type AuthorityDocument = z.output<typeof authorityDocument>

export const intermediateDocument = z.object({ certificates: pem, expires_at: time, signed_by: text })
export type IntermediateDocument = z.output<typeof intermediateDocument>

export const joinTokenDocument = z
  .object({
    id: text,
    authenticator: text,
    name: text,
    attributes: z.record(text, text),
    uses: z.int().min(1),
    uses_left: z.int().min(0),
    created_at: time,
    expires_at: time,
    revoked_at: time.optional(),
  })
  .meta({ id: 'JoinToken' })
export type JoinTokenDocument = z.output<typeof joinTokenDocument>

export const newJoinTokenDocument = joinTokenDocument
  .extend({ token: text.meta({ description: 'Shown here and never again.' }) })
  .meta({ id: 'NewJoinToken' })
export type NewJoinTokenDocument = z.output<typeof newJoinTokenDocument>

export const peerDocument = z
  .object({
    trust_domain: trustDomain,
    endpoint: text.optional(),
    profile: z.enum(['https_web', 'https_spiffe']).optional(),
    endpoint_spiffe_id: spiffeId.optional(),
    sequence: text
      .optional()
      .meta({ description: 'Of the bundle that is held: a number of up to 64 bits, in digits.' }),
    refresh_hint_seconds: seconds.optional(),
    x509_authorities: z.int().min(0),
    jwt_authorities: z.int().min(0),
    source: z.enum(['file', 'endpoint', 'import']).optional(),
    confirmed_at: time.optional().meta({ description: 'When the bundle was last seen to be current.' }),
    next_poll_at: time.optional(),
    failures: z.int().min(0),
    problem: text.optional(),
  })
  .meta({ id: 'FederatedTrustDomain' })
export type PeerDocument = z.output<typeof peerDocument>

export const peerDetailsDocument = peerDocument
  .extend({ bundle: text.optional().meta({ description: 'The bundle as it is held, a JSON document.' }) })
  .meta({ id: 'FederatedTrustDomainDetails' })
export type PeerDetailsDocument = z.output<typeof peerDetailsDocument>

export const recordDocument = z
  .object({
    chain: text,
    sequence: z.int().min(1),
    time,
    request_id: text.optional(),
    operation: text,
    decision: z.enum(['granted', 'refused']),
    code: codes.optional(),
    reason: text.optional(),
    authenticator: text.optional(),
    attributes: z.record(text, z.unknown()).optional(),
    spiffe_id: spiffeId.optional(),
    rule: text.optional(),
    policy: text.optional(),
    target: text.optional(),
    address: text.optional(),
    document: text.optional().meta({ description: 'SHA-256 of the configuration that decided.' }),
    proof: text.optional().meta({ description: 'Fingerprint of the proof.' }),
    issued: z
      .object({
        expires_at: time,
        serial_number: text.optional(),
        jti: text.optional(),
        kid: text.optional(),
        audience: z.array(text).optional(),
        credential_id: text.optional(),
      })
      .optional(),
    notes: z.array(text).optional(),
    details: z.record(text, z.unknown()).optional(),
  })
  .meta({ id: 'Record' })

export const recordsDocument = z.object({
  items: z.array(recordDocument),
  next,
  position: text.meta({ description: 'Where this page ends: `after` of a later look for what is new.' }),
})

const chainFinding = z.object({
  kind: z.enum(['changed', 'reordered', 'missing', 'cut_off', 'head_mismatch', 'head_signature']),
  chain: text,
  sequence: z.int().min(0),
  last: z.int().min(0).optional(),
})

export const chainReportDocument = z
  .object({
    chain: text,
    records: z.int().min(0),
    first_sequence: z.int().optional(),
    last_sequence: z.int().optional(),
    pruned_up_to: z.int().optional(),
    heads: z.int().min(0),
    findings: z.array(chainFinding).meta({ description: 'The first hundred.' }),
    findings_count: z.int().min(0),
  })
  .meta({ id: 'ChainReport' })

export const verificationDocument = z.object({ ok: z.boolean(), chains: z.array(chainReportDocument) })
export const prunedDocument = z.object({ removed: z.int().min(0) })
export const recordKeyDocument = z.object({
  public_key: pem.meta({ description: 'Public half of the key that signs the heads of chains, PEM.' }),
})

export const trialDocument = z
  .object({
    ok: z.boolean(),
    target: text,
    type: z.enum(['aws', 'azure', 'gcp']),
    spiffe_id: spiffeId,
    audience: text,
    algorithm: algorithm,
    kid: text,
    jti: text,
    duration_ms: z.int().min(0),
    expires_at: time.optional(),
    request_id: text.optional().meta({ description: 'As the cloud calls the request.' }),
    error: z
      .object({
        kind: z.enum(['unreachable', 'throttled', 'expired_token', 'refused']),
        code: text,
        status: z.int().optional(),
        request_id: text.optional(),
        message: text,
        fix: text.optional(),
      })
      .optional(),
  })
  .meta({ id: 'ExchangeTrial', description: 'The cloud’s no is an answer of its own, with `ok: false`.' })
export type TrialDocument = z.output<typeof trialDocument>

export const reloadDocument = z
  .object({
    applied: z.boolean(),
    digest: text.meta({ description: 'SHA-256 of the document that is in use now.' }),
    problems: z.array(
      z.object({
        severity: z.enum(['error', 'warning']).optional(),
        line: z.int().optional(),
        column: z.int().optional(),
        path: text.optional(),
        message: text,
      }),
    ),
  })
  .meta({ id: 'ReloadOutcome' })

export const statusDocument = z
  .object({
    ready: z.boolean(),
    problem: text.optional(),
    time,
    trust_domain: trustDomain,
    issuer: text,
    document: text,
    configuration: z.enum(['current', 'refused']),
    bundle_sequence: z.int(),
    seal_key: text.meta({ description: 'Tells the seal key from others, and says nothing of it.' }),
    seal_rotation: z.enum(['none', 'unfinished']),
    authenticators: z.array(z.object({ name: text, type: text })),
    federation: z.array(
      z.object({
        trust_domain: trustDomain,
        has_bundle: z.boolean(),
        confirmed_at: time.optional(),
        age_seconds: seconds.optional(),
        failures: z.int().min(0),
        problem: text.optional(),
      }),
    ),
  })
  .meta({ id: 'Status' })
