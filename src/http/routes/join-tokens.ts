/**
 * Admin: join tokens. A token is shown in the answer that made it and never again.
 *
 * @module
 */
import { Hono } from 'hono'
import * as z from 'zod'
import type { Operator } from '../../core/operator.ts'
import type { StoredJoinToken } from '../../core/store.ts'
import { shortId } from '../admin-act.ts'
import type { AdminEnv } from '../admin-app.ts'
import { readJsonBody } from '../body.ts'
import { readListQuery } from '../list-query.ts'
import type { JoinTokenDocument, NewJoinTokenDocument } from '../openapi/admin-documents.ts'

export const joinTokenBody = z.strictObject({
  authenticator: z.string().min(1).max(63),
  name: z
    .string()
    .min(1)
    .max(253)
    // PostgreSQL takes none.
    .refine((name) => !name.includes('\0'), { error: 'expected no NUL' })
    .optional(),
  attributes: z.record(z.string().min(1).max(64), z.string().max(1024)).default({}),
  uses: z.int().min(1).max(1_000_000).default(1),
  ttl_seconds: z
    .int()
    .min(1)
    .max(30 * 86_400)
    .default(600),
})

type JoinTokenOperator = Pick<Operator, 'createJoinToken' | 'listJoinTokens' | 'revokeJoinToken'>

export function joinTokenRoutes(operator: JoinTokenOperator) {
  return new Hono<AdminEnv>()
    .get('/', async (c) => {
      const { limit, after } = readListQuery(c.req.query())
      const tokens = await operator.listJoinTokens({ limit: limit + 1, ...(after !== undefined && { after }) })
      const items = tokens.slice(0, limit)
      return c.json({
        items: items.map(joinTokenDocument),
        next: tokens.length > limit ? (items.at(-1)?.id ?? null) : null,
      })
    })
    .post('/', async (c) => {
      c.set('act', { operation: 'join_token.create' })
      const body = readJsonBody(await c.req.text(), joinTokenBody)
      const { token, stored } = await operator.createJoinToken(c.get('requestId'), {
        authenticator: body.authenticator,
        attributes: body.attributes,
        uses: body.uses,
        ttlSeconds: body.ttl_seconds,
        ...(body.name !== undefined && { name: body.name }),
      })
      return c.json({ ...joinTokenDocument(stored), token } satisfies NewJoinTokenDocument, 201)
    })
    .delete('/:id', async (c) => {
      const id = c.req.param('id')
      c.set('act', { operation: 'join_token.revoke', details: shortId(id) })
      return c.json(joinTokenDocument(await operator.revokeJoinToken(c.get('requestId'), id)))
    })
}

function joinTokenDocument(token: StoredJoinToken): JoinTokenDocument {
  return {
    id: token.id,
    authenticator: token.authenticator,
    name: token.name,
    attributes: token.attributes,
    uses: token.uses,
    uses_left: token.usesLeft,
    created_at: token.createdAt.toISOString(),
    expires_at: token.expiresAt.toISOString(),
    revoked_at: token.revokedAt?.toISOString(),
  }
}
