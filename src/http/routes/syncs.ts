/**
 * Admin: syncs of secrets.
 *
 * Plans and runs may be long and take their time, so they are answered line by line, JSON each: what is found or done on
 * the way, and at last what it came to.
 *
 * @module
 */
import { Hono } from 'hono'
import * as z from 'zod'
import type { PlanItem } from '../../core/plan-sync.ts'
import type { DestinationStatus, SyncCounts, SyncFault, SyncStatus } from '../../core/sync-status.ts'
import type { Planned, SyncReport, SyncRequest, Syncs } from '../../core/syncs.ts'
import { shortId } from '../admin-act.ts'
import type { AdminEnv } from '../admin-app.ts'
import { readJsonBody } from '../body.ts'
import { answerLines } from '../line-answer.ts'
import { readListQuery } from '../list-query.ts'
import type {
  DestinationStatusDocument,
  SyncCountsDocument,
  SyncDocument,
  SyncFaultDocument,
  SyncStatusDocument,
} from '../openapi/sync-documents.ts'

const name = z.string().min(1).max(63)
export const planBody = z.strictObject({ destination: name.optional() })
export const applyBody = z.strictObject({ destination: name.optional(), allow_deletions: z.boolean().default(false) })

export function syncRoutes(syncs: Syncs) {
  return new Hono<AdminEnv>()
    .get('/', async (c) => {
      const { limit, after = '' } = readListQuery(c.req.query())
      const all = (await syncs.list()).toSorted((a, b) => (a.sync.name < b.sync.name ? -1 : 1))
      const rest = all.filter(({ sync }) => sync.name > after)
      const items = rest.slice(0, limit)
      const next = rest.length > limit ? (items.at(-1)?.sync.name ?? null) : null
      return c.json({ items: items.map(reportDocument), next })
    })
    .get('/:name', async (c) => c.json(reportDocument(await syncs.show(c.req.param('name')))))
    .post('/:name/plan', async (c) => {
      const request = requestOf(c.req.param('name'), readJsonBody((await c.req.text()) || '{}', planBody))
      return answerLines(async (write) => {
        const planned = await syncs.plan(request, (destination, item) => write(itemDocument(destination, item)))
        write({ planned: mapValues(planned, plannedDocument) })
      })
    })
    .post('/:name/apply', async (c) => {
      const sync = c.req.param('name')
      c.set('act', { operation: 'sync.apply', details: shortId(sync) })
      const { allow_deletions: allowDeletions, ...body } = readJsonBody((await c.req.text()) || '{}', applyBody)
      const request = { ...requestOf(sync, body), allowDeletions, requestId: c.get('requestId') }
      const progress = createProgress()
      return answerLines(async (write) => {
        const status = await syncs.apply(request, (destination, counts) => {
          if (progress.isDue(destination)) write({ destination, progress: countsDocument(counts) })
        })
        write({ applied: statusDocument(status) })
      })
    })
}

function requestOf(sync: string, { destination }: z.output<typeof planBody>): SyncRequest {
  return { sync, ...(destination !== undefined && { destination }) }
}

const progressMs = 200

/** Nobody reads faster. */
function createProgress() {
  const told = new Map<string, number>()
  return {
    isDue(destination: string): boolean {
      const nowMs = performance.now()
      if (nowMs - (told.get(destination) ?? 0) < progressMs) return false
      told.set(destination, nowMs)
      return true
    },
  }
}

function reportDocument({ sync, status, running }: SyncReport): SyncDocument {
  const { name, document, spiffeId, destinations } = sync
  return {
    name,
    source: document.source,
    paths: document.paths,
    destinations: destinations.map((each) => each.name),
    spiffe_id: spiffeId.uri,
    paused: document.paused,
    running,
    ...(status && { status: statusDocument(status) }),
  }
}

function statusDocument({ startedAt, finishedAt, fence, destinations }: SyncStatus): SyncStatusDocument {
  return {
    started_at: startedAt.toISOString(),
    ...(finishedAt && { finished_at: finishedAt.toISOString() }),
    fence,
    destinations: mapValues(destinations, destinationDocument),
  }
}

function destinationDocument({
  state,
  finishedAt,
  syncedAt,
  counts,
  problems,
  error,
}: DestinationStatus): DestinationStatusDocument {
  return {
    state,
    finished_at: finishedAt.toISOString(),
    ...(syncedAt && { synced_at: syncedAt.toISOString() }),
    counts: countsDocument(counts),
    problems: problems.map(faultDocument),
    ...(error !== undefined && { error }),
  }
}

function plannedDocument(planned: Planned) {
  if (planned.state === 'failed') return { state: planned.state, error: planned.error }
  return { state: planned.state, counts: countsDocument(planned.counts) }
}

function countsDocument({ leftOver, ...counts }: SyncCounts): SyncCountsDocument {
  return { ...counts, left_over: leftOver }
}

function faultDocument({ cloudRequestId, ...fault }: SyncFault): SyncFaultDocument {
  return { ...fault, ...(cloudRequestId !== undefined && { cloud_request_id: cloudRequestId }) }
}

function itemDocument(destination: string, item: PlanItem) {
  if (item.action !== 'problem') return { destination, ...item }
  const { action, ...fault } = item
  return { destination, action, ...faultDocument(fault) }
}

function mapValues<T, U>(values: Readonly<Record<string, T>>, map: (value: T) => U): Readonly<Record<string, U>> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, map(value)]))
}
