/**
 * Admin: the trust domains that we federate with, and their bundles.
 *
 * @module
 */
import { type Context, Hono } from 'hono'
import * as z from 'zod'
import type { Federation, PeerStatus } from '../../core/federation.ts'
import { Refusal } from '../../core/refusal.ts'
import type { TrustDomain } from '../../protocol/spiffe-id.ts'
import { maxTrustBundleBytes } from '../../protocol/trust-bundle.ts'
import type { AdminEnv } from '../admin-app.ts'
import { readJsonBody } from '../body.ts'
import { readListQuery } from '../list-query.ts'
import type { PeerDetailsDocument, PeerDocument } from '../openapi/admin-documents.ts'

export const refreshBody = z.strictObject({ accept_older: z.boolean().default(false) })
export const importBody = z.strictObject({ bundle: z.string().min(1).max(maxTrustBundleBytes) })

export function federationRoutes(federation: Federation) {
  return new Hono<AdminEnv>()
    .get('/', (c) => {
      const { limit, after = '' } = readListQuery(c.req.query())
      const peers = federation.list().filter(({ trustDomain }) => trustDomain > after)
      const items = peers.sort((a, b) => (a.trustDomain < b.trustDomain ? -1 : 1)).slice(0, limit)
      return c.json({
        items: items.map(peerDocument),
        next: peers.length > limit ? (items.at(-1)?.trustDomain ?? null) : null,
      })
    })
    .get('/:trust_domain', (c) => c.json(peerDetails(requirePeer(federation, c.req.param('trust_domain')))))
    .post('/:trust_domain/refresh', async (c) => {
      const trustDomain = begin(c, federation, 'federation.refresh')
      const { accept_older: acceptOlder } = readJsonBody((await c.req.text()) || '{}', refreshBody)
      const options = { acceptOlder, requestId: c.get('requestId') }
      return c.json(peerDocument(await federation.refreshPeer(trustDomain, options)))
    })
    .post('/:trust_domain/import', async (c) => {
      const trustDomain = begin(c, federation, 'federation.import')
      const { bundle } = readJsonBody(await c.req.text(), importBody)
      return c.json(peerDocument(await federation.importBundle(trustDomain, bundle, c.get('requestId'))))
    })
}

/** Names the act for the record of its refusal; what it succeeds in has records of its own. */
function begin(c: Context<AdminEnv>, federation: Federation, operation: string): TrustDomain {
  c.set('act', { operation })
  const { trustDomain } = requirePeer(federation, c.req.param('trust_domain'))
  c.set('act', { operation, details: { trust_domain: trustDomain } })
  return trustDomain
}

function requirePeer(federation: Federation, name: string | undefined): PeerStatus {
  const peer = federation.list().find(({ trustDomain }) => trustDomain === name)
  if (peer === undefined)
    throw new Refusal('not_found', 'no such peer', { detail: 'the configuration has no federation of this name' })
  return peer
}

function peerDocument({ trustDomain, endpoint, state, held }: PeerStatus): PeerDocument {
  return {
    trust_domain: trustDomain,
    endpoint: endpoint?.url,
    profile: endpoint?.profile,
    endpoint_spiffe_id: endpoint?.profile === 'https_spiffe' ? endpoint.spiffeId.uri : undefined,
    sequence: held?.bundle.sequence === undefined ? undefined : String(held.bundle.sequence),
    refresh_hint_seconds: held?.bundle.refreshHintSeconds,
    x509_authorities: held?.bundle.x509Authorities.length ?? 0,
    jwt_authorities: held?.bundle.jwtAuthorities.length ?? 0,
    source: state?.source,
    confirmed_at: state?.confirmedAt?.toISOString(),
    next_poll_at: endpoint && state?.pollAt.toISOString(),
    failures: state?.failures ?? 0,
    problem: state?.problem,
  }
}

/** With the document as it is held, to hand on. */
function peerDetails(peer: PeerStatus): PeerDetailsDocument {
  return { ...peerDocument(peer), bundle: peer.held?.document }
}
