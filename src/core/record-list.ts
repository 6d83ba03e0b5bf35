/**
 * Reads records of all chains in the order of their times, with filters, a bounded number at a time.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { parseRecord, type RecordDocument } from './record.ts'
import { Refusal } from './refusal.ts'
import type { Store, StoredRecord } from './store.ts'

/** Each one that is given must be equal, or hold for the time that the record was kept. */
export interface RecordFilters {
  readonly operation?: string
  readonly decision?: string
  readonly code?: string
  readonly spiffeId?: string
  readonly authenticator?: string
  readonly requestId?: string
  readonly rule?: string
  /** Included. */
  readonly from?: Date
  /** Excluded. */
  readonly until?: Date
}

export interface RecordListQuery {
  readonly filters?: RecordFilters
  /** At most this many items; 1 to 1,000. */
  readonly limit: number
  /** `next` of the answer before, in the same direction. */
  readonly after?: string
  readonly newestFirst?: boolean
}

export interface ListedRecord {
  readonly chain: string
  readonly sequence: number
  readonly record: RecordDocument
}

export interface RecordPage {
  /** May be fewer than asked for, even none, while there is more to look through. */
  readonly items: readonly ListedRecord[]
  /** Absent when there is no more. */
  readonly next?: string
  /** Where this page ends, whether or not there is more yet. */
  readonly position: string
}

const pageSize = 500
/** Records that one call looks at, so that none takes long: who asks goes on from there. */
const maxScanned = 2_500

/** The last sequence number that was taken of each chain. */
type Positions = ReadonlyMap<string, number>

/** @throws {Refusal} `malformed_request` for an `after` that is none of ours */
export async function listRecords(store: Store, query: RecordListQuery): Promise<RecordPage> {
  const positions = query.after === undefined ? new Map<string, number>() : parsePosition(query.after)
  const chains = [...new Set([...(await store.listChains()), ...positions.keys()])]
  const sources = chains.map((chain) => createSource(store, query, chain, positions.get(chain)))
  const readWhatFits = createReader(query.filters ?? {})
  const items: ListedRecord[] = []

  let scanned = 0
  let more = true
  while (items.length < query.limit && scanned < maxScanned) {
    const record = await takeNext(sources, query.newestFirst === true)
    more = record !== undefined
    if (record === undefined) break
    scanned++
    const document = readWhatFits(record.body)
    if (document) items.push({ chain: record.chain, sequence: record.sequence, record: document })
  }
  const position = positionOf(sources)
  return { items, position, ...(more && (await hasMore(sources)) && { next: position }) }
}

/** The position after everything that is there now: from here on `after` finds what is new. */
export async function endPosition(store: Store): Promise<string> {
  const ends: (readonly [string, number])[] = []
  for (const chain of await store.listChains()) ends.push([chain, await lastSequence(store, chain)])
  return formatPositions(ends)
}

async function lastSequence(store: Store, chain: string): Promise<number> {
  const [last] = await store.readRecords({ chain, newestFirst: true, limit: 1 })
  if (last) return last.sequence
  const [checkpoint] = await store.readHeads({ chain, newestFirst: true, limit: 1 })
  return checkpoint?.sequence ?? 0
}

/** One chain, read a page at a time. */
interface Source {
  readonly chain: string
  readonly peek: () => Promise<StoredRecord | undefined>
  readonly drop: () => void
  readonly position: () => number | undefined
}

function createSource(store: Store, query: RecordListQuery, chain: string, after: number | undefined): Source {
  const { from, until, ...others } = query.filters ?? {}
  const limit = Object.keys(others).length > 0 ? pageSize : Math.min(pageSize, query.limit + 1)
  const times = { ...(from && { from }), ...(until && { until }) }
  let page: readonly StoredRecord[] = []
  let at = 0
  let taken = after
  let done = false

  const fill = async () => {
    const start = { ...(taken !== undefined && { after: taken }), newestFirst: query.newestFirst === true }
    page = await store.readRecords({ chain, ...times, ...start, limit })
    at = 0
    done = page.length < limit
  }
  const peek = async () => {
    if (at >= page.length && !done) await fill()
    return page[at]
  }
  const drop = () => {
    taken = page[at]?.sequence ?? taken
    at++
  }
  return { chain, peek, drop, position: () => taken }
}

/** The earliest of what the chains have next; the latest, when newest first. */
async function takeNext(sources: readonly Source[], newestFirst: boolean): Promise<StoredRecord | undefined> {
  let best: { readonly source: Source; readonly record: StoredRecord } | undefined
  for (const source of sources) {
    const record = await source.peek()
    if (record === undefined) continue
    const sooner = best === undefined || (newestFirst ? record.at > best.record.at : record.at < best.record.at)
    if (sooner) best = { source, record }
  }
  best?.source.drop()
  return best?.record
}

async function hasMore(sources: readonly Source[]): Promise<boolean> {
  for (const source of sources) if ((await source.peek()) !== undefined) return true
  return false
}

const filterMembers = {
  operation: 'operation',
  decision: 'decision',
  code: 'code',
  spiffeId: 'spiffe_id',
  authenticator: 'authenticator',
  requestId: 'request_id',
  rule: 'rule',
} as const

/**
 * The document of a body that passes the filters. Most of what is looked through does not, and its text tells that without
 * being parsed: a body is written by `JSON.stringify`, so each wanted member stands in it as that writes it. What only looks
 * so, deeper within, is seen by the members.
 */
function createReader(filters: RecordFilters): (body: string) => RecordDocument | undefined {
  const wanted = Object.entries(filterMembers).flatMap(([filter, member]) => {
    const value = filters[filter as keyof typeof filterMembers]
    return value === undefined ? [] : [{ member, value, text: `${JSON.stringify(member)}:${JSON.stringify(value)}` }]
  })
  return (body) => {
    if (!wanted.every(({ text }) => body.includes(text))) return undefined
    const record = parseRecord(body)
    return wanted.every(({ member, value }) => record[member] === value) ? record : undefined
  }
}

function positionOf(sources: readonly Source[]): string {
  const taken = sources.map((source) => [source.chain, source.position()] as const)
  return formatPositions(taken.flatMap(([chain, at]) => (at === undefined ? [] : [[chain, at] as const])))
}

function formatPositions(positions: readonly (readonly [string, number])[]): string {
  return Buffer.from(JSON.stringify(positions)).toString('base64url')
}

function parsePosition(text: string): Positions {
  try {
    const pairs = JSON.parse(Buffer.from(text, 'base64url').toString()) as readonly (readonly unknown[])[]
    if (!pairs.every(isPosition)) throw new TypeError('not positions')
    return new Map(pairs)
  } catch (cause) {
    const detail = '`after` is not the `next` of an answer before'
    throw new Refusal('malformed_request', 'unreadable position', { cause, detail })
  }
}

function isPosition(pair: unknown): pair is readonly [string, number] {
  return Array.isArray(pair) && typeof pair[0] === 'string' && Number.isSafeInteger(pair[1]) && pair[1] >= 0
}
