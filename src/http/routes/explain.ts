/**
 * Admin: why something is granted or refused.
 *
 * @module
 */
import { Hono } from 'hono'
import * as z from 'zod'
import type { Proof } from '../../core/authenticate.ts'
import type { ExplainedRequest, Explanation } from '../../core/explain.ts'
import type { ExplainedPart } from '../../core/explain-condition.ts'
import type { ExplainedAsk, ExplainedIdentity, ExplainedRecord, Explainer } from '../../core/explainer.ts'
import { operations } from '../../core/expression.ts'
import { parsePem } from '../../protocol/encoding.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import type { AdminEnv } from '../admin-app.ts'
import { audienceField, malformed, readJsonBody, spiffeIdField, ttlField } from '../body.ts'

export const explainBody = z
  .strictObject({
    request_id: z.string().min(1).max(64).optional(),
    /** What stands after `Bearer`. */
    token: z.string().min(1).max(16_384).optional(),
    /** PEM, leaf first. */
    certificates: z.string().min(1).max(65_536).optional(),
    authenticator: z.string().min(1).max(63).optional(),
    operation: z.enum(operations).default('x509_svid'),
    audience: audienceField.optional(),
    target: z.string().min(1).max(63).optional(),
    path: z.string().min(1).max(1024).optional(),
    spiffe_id: spiffeIdField.optional(),
    ttl_seconds: ttlField.optional(),
    address: z.string().max(64).default(''),
  })
  .refine(({ request_id, token, certificates }) => [request_id, token, certificates].filter(Boolean).length === 1, {
    error: 'expected one of request_id, token and certificates',
  })

type ExplainBody = z.output<typeof explainBody>

export function explainRoutes(explainer: Explainer) {
  return new Hono<AdminEnv>().post('/', async (c) => {
    const body = readJsonBody(await c.req.text(), explainBody)
    if (body.request_id !== undefined) {
      const items = await explainer.explainRecords(body.request_id)
      return c.json({ items: items.map(recordedDocument) })
    }
    const { authenticator } = body
    const request = {
      ...requestOf(body),
      proof: proofOf(body),
      ...(authenticator !== undefined && { authenticator }),
    }
    return c.json({ items: [askedDocument(await explainer.explainProof(request))] })
  })
}

function proofOf({ token, certificates = '' }: ExplainBody): Proof {
  if (token !== undefined) return { kind: 'bearer', token }
  try {
    return { kind: 'certificate', chain: parsePem('CERTIFICATE', certificates) }
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw malformed('certificates: expected PEM', cause)
  }
}

function requestOf(body: ExplainBody): Omit<ExplainedRequest, 'time'> {
  const { operation, address, audience, target, path, spiffe_id: spiffeId, ttl_seconds: ttlSeconds } = body
  const missing = { jwt_svid: audience, exchange: target, read: path, write: path, x509_svid: '' }[operation]
  if (missing === undefined)
    throw malformed(
      `${{ jwt_svid: 'audience', exchange: 'target' }[operation as string] ?? 'path'}: ${operation} has one`,
    )
  return {
    operation,
    address,
    ...(audience !== undefined && { audience }),
    ...(target !== undefined && { target }),
    ...(path !== undefined && { path }),
    ...(spiffeId !== undefined && { spiffeId }),
    ...(ttlSeconds !== undefined && { ttlSeconds }),
  }
}

function askedDocument({ document, request, identity, explanation, refused }: ExplainedAsk) {
  return {
    document,
    request: requestDocument(request),
    proof: proofDocument(identity),
    refused,
    ...explanationDocument(explanation),
  }
}

function recordedDocument({ record, document, request, identity, explanation, unexplained }: ExplainedRecord) {
  return {
    record,
    document,
    same_document: record.document === undefined ? undefined : record.document === document,
    request: request && requestDocument(request),
    proof: proofDocument(identity),
    unexplained,
    ...explanationDocument(explanation),
  }
}

function requestDocument({ operation, audience, target, path, spiffeId, ttlSeconds, address, time }: ExplainedRequest) {
  return {
    operation,
    audience,
    target,
    path,
    spiffe_id: spiffeId,
    ttl_seconds: ttlSeconds,
    address: address === '' ? undefined : address,
    time: time.toISOString(),
  }
}

function proofDocument(identity: ExplainedIdentity | undefined) {
  if (identity === undefined) return undefined
  const { authenticator, type, recorded, use } = identity
  return { authenticator, type, use, attributes: recorded }
}

function explanationDocument(explanation: Explanation | undefined) {
  if (explanation === undefined) return {}
  const { rules, otherRules, policies, decision } = explanation
  const { spiffeId, ...decided } = decision
  return {
    rules: rules.map(({ spiffeId: given, when, ...rule }) => ({
      ...rule,
      spiffe_id: given,
      when: when && partDocument(when),
    })),
    other_rules: otherRules,
    policies: policies.map(({ passedOver, when, ...policy }) => ({
      ...policy,
      passed_over: passedOver,
      when: when && partDocument(when),
    })),
    decision: { ...decided, spiffe_id: spiffeId },
  }
}

interface PartDocument {
  readonly text: string
  readonly value: 'true' | 'false' | 'failed'
  readonly problem: string | undefined
  readonly read: ExplainedPart['read'] | undefined
  readonly joins: ExplainedPart['joins'] | undefined
  readonly parts: readonly PartDocument[] | undefined
}

function partDocument({ text, value, problem, read, joins, parts }: ExplainedPart): PartDocument {
  return { text, value: `${value}`, problem, read, joins, parts: parts?.map(partDocument) }
}
