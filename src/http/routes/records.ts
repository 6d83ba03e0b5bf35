/**
 * Admin: the records.
 *
 * @module
 */
import { Hono } from 'hono'
import { stream } from 'hono/streaming'
import * as z from 'zod'
import { readHead } from '../../core/record-chain.ts'
import type { ListedRecord, RecordFilters, RecordListQuery } from '../../core/record-list.ts'
import type { ChainReport } from '../../core/record-verification.ts'
import type { Records } from '../../core/records.ts'
import type { StoredHead } from '../../core/store.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import type { AdminEnv } from '../admin-app.ts'
import { malformed, readJsonBody } from '../body.ts'
import { listQuery, readQuery } from '../list-query.ts'

const time = z.iso.datetime({ offset: true })

export const recordQuery = z.strictObject({
  ...listQuery,
  /** Of 400 chains and more. */
  after: z.string().min(1).max(12_000).optional(),
  order: z.enum(['oldest', 'newest']).default('oldest'),
  /** `1` with no `after`: nothing but the position to go on from. */
  follow: z.literal('1').optional(),
  operation: z.string().optional(),
  decision: z.enum(['granted', 'refused']).optional(),
  code: z.string().optional(),
  spiffe_id: z.string().optional(),
  authenticator: z.string().optional(),
  request_id: z.string().optional(),
  rule: z.string().optional(),
  from: time.optional(),
  until: time.optional(),
})

export const pruneBody = z.strictObject({ before: time })
const headDocument = z.strictObject({
  chain: z.string().min(1).max(64),
  sequence: z.int().positive(),
  time,
  mac: z.string().max(64),
  kind: z.enum(['head', 'checkpoint']),
  signature: z.string().max(256),
})
export const verifyBody = z.strictObject({ head: headDocument.optional() })

export function recordRoutes(records: Records) {
  return new Hono<AdminEnv>()
    .get('/', async (c) => {
      const query = readQuery(c.req.query(), recordQuery)
      const page = await (query.follow === '1' ? records.follow(listOf(query)) : records.list(listOf(query)))
      return c.json({ items: page.items.map(recordDocument), next: page.next ?? null, position: page.position })
    })
    .get('/export', (c) => {
      c.header('content-type', 'application/jsonl')
      return stream(c, async (out) => {
        for await (const line of records.exportLines()) await out.write(line)
      })
    })
    .post('/verify', async (c) => {
      const { head } = readJsonBody((await c.req.text()) || '{}', verifyBody)
      const expectedHead = head && parseExpectedHead(head)
      const reports = await records.verify({ ...(expectedHead && { expectedHead }) })
      return c.json({ ok: reports.every(({ findings }) => findings.length === 0), chains: reports.map(reportDocument) })
    })
    .post('/prune', async (c) => {
      c.set('act', { operation: 'records.prune' })
      const { before } = readJsonBody(await c.req.text(), pruneBody)
      return c.json(await records.prune({ before: new Date(before), requestId: c.get('requestId') }))
    })
    .get('/key', (c) => c.json({ public_key: records.publicKey() }))
}

function parseExpectedHead(document: z.output<typeof headDocument>): StoredHead {
  try {
    return readHead(document)
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw malformed(`head: ${cause.detail}`, cause)
  }
}

function listOf(query: z.output<typeof recordQuery>): RecordListQuery {
  const filters = filtersOf(query)
  return {
    filters,
    limit: query.limit,
    newestFirst: query.order === 'newest',
    ...(query.after !== undefined && { after: query.after }),
  }
}

const filterNames = {
  operation: 'operation',
  decision: 'decision',
  code: 'code',
  spiffe_id: 'spiffeId',
  authenticator: 'authenticator',
  request_id: 'requestId',
  rule: 'rule',
} as const satisfies Record<string, keyof RecordFilters>

type WireFilters = Readonly<Partial<Record<keyof typeof filterNames | 'from' | 'until', string | undefined>>>

/** By the names that they have on the wire; what is absent asks for anything. */
export function filtersOf(query: WireFilters): RecordFilters {
  const texts = Object.entries(filterNames).flatMap(([wire, name]) => {
    const value = query[wire as keyof typeof filterNames]
    return value === undefined ? [] : [[name, value]]
  })
  return {
    ...Object.fromEntries(texts),
    ...(query.from !== undefined && { from: new Date(query.from) }),
    ...(query.until !== undefined && { until: new Date(query.until) }),
  }
}

function recordDocument({ chain, sequence, record }: ListedRecord) {
  return { chain, sequence, ...record }
}

function reportDocument(report: ChainReport) {
  return {
    chain: report.chain,
    records: report.records,
    first_sequence: report.firstSequence,
    last_sequence: report.lastSequence,
    pruned_up_to: report.prunedUpTo,
    heads: report.heads,
    findings: report.findings,
    findings_count: report.findingsCount,
  }
}
