/**
 * Admin: targets of exchanges.
 *
 * @module
 */
import { Hono } from 'hono'
import * as z from 'zod'
import { CloudError } from '../../core/cloud.ts'
import type { Operator } from '../../core/operator.ts'
import type { ExchangeTrial } from '../../core/try-exchange.ts'
import { parseSpiffeId } from '../../protocol/spiffe-id.ts'
import { shortId } from '../admin-act.ts'
import type { AdminEnv } from '../admin-app.ts'
import { readJsonBody, spiffeIdField } from '../body.ts'
import type { TrialDocument } from '../openapi/admin-documents.ts'

export const tryBody = z.strictObject({ spiffe_id: spiffeIdField.optional() })

export function targetRoutes(operator: Pick<Operator, 'tryExchange'>) {
  return new Hono<AdminEnv>().post('/:name/try', async (c) => {
    const target = c.req.param('name')
    c.set('act', { operation: 'exchange.try', details: shortId(target) })
    const { spiffe_id } = readJsonBody((await c.req.text()) || '{}', tryBody)
    const request = { target, ...(spiffe_id !== undefined && { spiffeId: parseSpiffeId(spiffe_id) }) }
    return c.json(trialDocument(await operator.tryExchange(c.get('requestId'), request)))
  })
}

/** The cloud's no is what was asked for, and no failure of the request. */
function trialDocument(trial: ExchangeTrial): TrialDocument {
  const { target, acting, algorithm, token, durationMs, outcome } = trial
  return {
    ok: !(outcome instanceof CloudError),
    target: target.name,
    type: target.type,
    spiffe_id: acting.uri,
    audience: target.audience,
    algorithm,
    kid: token.kid,
    jti: token.jti,
    duration_ms: Math.round(durationMs),
    ...(outcome instanceof CloudError
      ? { error: errorDocument(outcome) }
      : { expires_at: outcome.expiresAt.toISOString(), request_id: outcome.requestId }),
  }
}

function errorDocument({ kind, code, status, requestId, message, fix }: CloudError) {
  return { kind, code, status, request_id: requestId, message, fix }
}
