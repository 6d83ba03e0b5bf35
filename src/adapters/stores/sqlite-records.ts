/**
 * Chains of records in an SQLite store: appended many at once, read in pages.
 *
 * @module
 */
import type { JoinTokenSpend, RecordBatch, RecordQuery, StoredRecord } from '../../core/store.ts'
import { idsPerChain, idsPerSpan } from './migrations.ts'
import { type ChainIds, chainStatements } from './sqlite-chains.ts'
import type { Row, SqlStatement, SqlValue } from './sqlite-database.ts'
import { createDocumentChanger } from './sqlite-documents.ts'
import { bytes, number, operation, pagedOperation, type Tables, text } from './sqlite-tables.ts'

type Order = 'ASC' | 'DESC'

const between = (order: Order) => `SELECT * FROM records WHERE id > ? AND id < ? ORDER BY id ${order} LIMIT ?`
const within = (order: Order) =>
  `SELECT r.* FROM record_spans s CROSS JOIN records r
     ON r.id >= s.span * ${idsPerSpan} AND r.id < (s.span + 1) * ${idsPerSpan}
     WHERE s.span >= ? AND s.span <= ? AND s.latest >= ? AND s.earliest < ?
       AND r.id > ? AND r.id < ? AND r.at >= ? AND r.at < ?
     ORDER BY s.span ${order}, r.id ${order} LIMIT ?`

export const recordStatements = {
  insert: 'INSERT INTO records (id, at, mac, body) VALUES (?, ?, ?, ?)',
  span: `INSERT INTO record_spans (span, earliest, latest) VALUES (?, ?, ?) ON CONFLICT (span) DO UPDATE
       SET earliest = min(earliest, excluded.earliest), latest = max(latest, excluded.latest)`,
  spend: `UPDATE join_tokens SET uses_left = uses_left - 1
       WHERE trust_domain = ? AND id = ? AND uses_left > 0 AND expires_at > ? AND revoked_at IS NULL`,
  last: 'SELECT * FROM records WHERE id > ? AND id < ? ORDER BY id DESC LIMIT 1',
  between: { ASC: between('ASC'), DESC: between('DESC') },
  /** A time is looked for in the spans first, so that no query walks through millions of rows. */
  within: { ASC: within('ASC'), DESC: within('DESC') },
} as const

/** Records and the times of their use, in the order of their ids. */
export function recordOperations(tables: Tables, chains: ChainIds) {
  const { db, trustDomain } = tables
  const insert = db.prepare(recordStatements.insert)
  const span = db.prepare(recordStatements.span)
  const meet = createConditions(tables)
  const last = db.prepare(recordStatements.last)
  const list = db.prepare(chainStatements.list)
  const read = createRecordReader(tables)

  const append = (batch: RecordBatch): readonly number[] => {
    const ids = batch.records.map((record) => chains.make(record.chain) + record.sequence)
    try {
      db.transact(() => {
        meet(batch)
        batch.records.forEach((record, index) => {
          insert.run(ids[index] ?? null, record.at.getTime(), record.mac, record.body)
        })
        for (const values of spansOf(ids, batch.records)) span.run(...values)
      })
      return []
    } catch (error) {
      if (error instanceof ConditionsFailed) return error.indexes
      throw error
    }
  }
  return {
    appendRecords: operation(append),
    readRecords: pagedOperation(tables, (query: RecordQuery) => {
      const firstId = chains.find(query.chain)
      return firstId === undefined ? [] : read(query, firstId)
    }),
    lastRecord: operation((chain: string) => {
      const firstId = chains.find(chain)
      const row = firstId === undefined ? undefined : last.get(firstId, firstId + idsPerChain)
      return row && readRecord(row, chain, firstId ?? 0)
    }),
    listChains: operation(() => list.all(trustDomain).map((row) => text(row, 'chain'))),
  }
}

/** Ends the transaction that it is thrown in. */
class ConditionsFailed extends Error {
  readonly indexes: readonly number[]

  constructor(indexes: readonly number[]) {
    super('join tokens without a use left, or documents of another version')
    this.indexes = indexes
  }
}

/** Spends what a batch spends and changes what it changes. @throws {ConditionsFailed} */
function createConditions(tables: Tables): (batch: Pick<RecordBatch, 'spends' | 'changes'>) => void {
  const { db, trustDomain } = tables
  const change = createDocumentChanger(tables)
  const take = db.prepare(recordStatements.spend)
  const spend = ({ id, at }: JoinTokenSpend) => take.change(trustDomain, id, at.getTime()) === 1
  return ({ spends, changes = [] }) => {
    const met = [...spends.map(spend), ...changes.map(change)]
    const failed = met.flatMap((isMet, index) => (isMet ? [] : [index]))
    if (failed.length > 0) throw new ConditionsFailed(failed)
  }
}

/** Rows of `record_spans` that a batch adds to. */
export function spansOf(
  ids: readonly number[],
  batch: readonly StoredRecord[],
): readonly (readonly [span: number, earliest: number, latest: number])[] {
  const spans = new Map<number, { readonly earliest: number; readonly latest: number }>()
  batch.forEach((record, index) => {
    const key = Math.floor((ids[index] ?? 0) / idsPerSpan)
    const at = record.at.getTime()
    const { earliest, latest } = spans.get(key) ?? { earliest: at, latest: at }
    spans.set(key, { earliest: Math.min(earliest, at), latest: Math.max(latest, at) })
  })
  return [...spans].map(([key, { earliest, latest }]) => [key, earliest, latest])
}

function createRecordReader({ db }: Tables) {
  const prepare = (texts: Readonly<Record<Order, string>>): Readonly<Record<Order, SqlStatement>> => ({
    ASC: db.prepare(texts.ASC),
    DESC: db.prepare(texts.DESC),
  })
  const statements = { between: prepare(recordStatements.between), within: prepare(recordStatements.within) }
  return (query: RecordQuery, firstId: number): readonly StoredRecord[] => {
    const { kind, order, values } = planRecordQuery(query, firstId)
    return statements[kind][order].all(...values).map((row) => readRecord(row, query.chain, firstId))
  }
}

interface RecordQueryPlan {
  readonly kind: 'between' | 'within'
  readonly order: Order
  readonly values: readonly SqlValue[]
}

export function planRecordQuery(query: RecordQuery, firstId: number): RecordQueryPlan {
  const order = query.newestFirst ? 'DESC' : 'ASC'
  const [above, below] = idRange(query, firstId)
  if (query.from === undefined && query.until === undefined)
    return { kind: 'between', order, values: [above, below, query.limit] }
  const from = query.from?.getTime() ?? Number.MIN_SAFE_INTEGER
  const until = query.until?.getTime() ?? Number.MAX_SAFE_INTEGER
  const spans = [Math.floor(above / idsPerSpan), Math.floor(below / idsPerSpan)]
  return { kind: 'within', order, values: [...spans, from, until, above, below, from, until, query.limit] }
}

/** The ids between which a query looks, both exclusive. */
function idRange(query: RecordQuery, firstId: number): readonly [above: number, below: number] {
  const end = firstId + idsPerChain
  if (query.after === undefined) return [firstId, end]
  return query.newestFirst ? [firstId, firstId + query.after] : [firstId + query.after, end]
}

export function readRecord(row: Row, chain: string, firstId: number): StoredRecord {
  const sequence = number(row, 'id') - firstId
  return { chain, sequence, at: new Date(number(row, 'at')), mac: bytes(row, 'mac'), body: text(row, 'body') }
}
