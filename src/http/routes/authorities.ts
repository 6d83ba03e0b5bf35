/**
 * Admin: the signing authorities.
 *
 * @module
 */
import { Hono } from 'hono'
import * as z from 'zod'
import type { AuthorityChange } from '../../core/authority-changes.ts'
import type { Authority, Ring } from '../../core/authority-plan.ts'
import type { Operator } from '../../core/operator.ts'
import { formatPem } from '../../protocol/encoding.ts'
import { shortId } from '../admin-act.ts'
import type { AdminEnv } from '../admin-app.ts'
import { readJsonBody } from '../body.ts'
import type { AuthorityDocument, IntermediateDocument } from '../openapi/admin-documents.ts'

const ringField = z.enum(['x509', 'jwt/ES256', 'jwt/ES384', 'jwt/RS256'])
const id = z.string().min(1).max(128)

export const authorityChangeBody = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('prepare'), ring: ringField }),
  z.strictObject({ action: z.literal('activate'), ring: ringField, force: z.boolean().default(false) }),
  z.strictObject({ action: z.literal('taint'), id }),
  z.strictObject({ action: z.literal('revoke'), id }),
])

export const intermediateBody = z.strictObject({
  csr: z.string().min(1).max(32_768),
  ttl_seconds: z
    .int()
    .min(60)
    .max(20 * 366 * 86_400),
  path_length: z.int().min(0).max(7).default(0),
})

export function authorityRoutes(operator: Pick<Operator, 'listAuthorities' | 'changeAuthority' | 'signIntermediate'>) {
  return new Hono<AdminEnv>()
    .get('/', (c) => c.json({ items: operator.listAuthorities().map(authorityDocument), next: null }))
    .post('/', async (c) => {
      c.set('act', { operation: 'authority.change' })
      const change = readJsonBody(await c.req.text(), authorityChangeBody) as AuthorityChange & { ring?: Ring }
      const details = 'id' in change ? shortId(change.id) : { ring: change.ring }
      c.set('act', { operation: `authority.${change.action}`, details })
      return c.json(authorityDocument(await operator.changeAuthority(c.get('requestId'), change)))
    })
    .post('/sign-intermediate', async (c) => {
      c.set('act', { operation: 'authority.sign_intermediate' })
      const { csr, ttl_seconds, path_length } = readJsonBody(await c.req.text(), intermediateBody)
      const request = { csr, ttlSeconds: ttl_seconds, pathLength: path_length }
      const signed = await operator.signIntermediate(c.get('requestId'), request)
      const document: IntermediateDocument = {
        certificates: signed.certificates.map((der) => formatPem('CERTIFICATE', der)).join(''),
        expires_at: signed.expiresAt.toISOString(),
        signed_by: signed.authorityId,
      }
      return c.json(document)
    })
}

function authorityDocument(authority: Authority): AuthorityDocument {
  return {
    id: authority.id,
    ring: authority.ring,
    algorithm: authority.algorithm,
    state: authority.state,
    created_at: authority.createdAt.toISOString(),
    active_until: authority.activeUntil?.toISOString(),
    expires_at: authority.expiresAt.toISOString(),
    tainted_at: authority.taintedAt?.toISOString(),
    upstream: authority.upstreamRoots !== undefined,
  }
}
