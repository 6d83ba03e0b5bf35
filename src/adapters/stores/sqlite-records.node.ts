/**
 * Chains of records in an SQLite store: appended many at once, read in pages, pruned from their beginning.
 *
 * @module
 */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import type {
  HeadQuery,
  JoinTokenSpend,
  RecordBatch,
  RecordQuery,
  Store,
  StoredHead,
  StoredRecord,
} from '../../core/store.ts'
import { idsPerChain, idsPerSpan } from './migrations.ts'
import { createDocumentChanger } from './sqlite-documents.node.ts'
import { bytes, number, operation, pagedOperation, type Row, type Tables, text } from './sqlite-tables.node.ts'

/** Records and the times of their use, in the order of their ids. */
export function recordOperations(tables: Tables) {
  const { file, db, trustDomain } = tables
  const chains = createChainIds(tables)
  const insert = db.prepare('INSERT INTO records (id, at, mac, body) VALUES (?, ?, ?, ?)')
  const span = db.prepare(
    `INSERT INTO record_spans (span, earliest, latest) VALUES (?, ?, ?) ON CONFLICT (span) DO UPDATE
       SET earliest = min(earliest, excluded.earliest), latest = max(latest, excluded.latest)`,
  )
  const meet = createConditions(tables)
  const last = db.prepare('SELECT * FROM records WHERE id > ? AND id < ? ORDER BY id DESC LIMIT 1')
  const list = db.prepare('SELECT chain FROM chains WHERE trust_domain = ? ORDER BY chain')
  const read = createRecordReader(db)

  const append = (batch: RecordBatch): readonly number[] => {
    const ids = batch.records.map((record) => chains.make(record.chain) + record.sequence)
    try {
      file.transact(() => {
        meet(batch)
        batch.records.forEach((record, index) => {
          insert.run(ids[index] ?? null, record.at.getTime(), record.mac, record.body)
        })
        for (const [key, { earliest, latest }] of spansOf(ids, batch.records)) span.run(key, earliest, latest)
      })
      return []
    } catch (error) {
      if (error instanceof ConditionsFailed) return error.indexes
      throw error
    }
  }
  return {
    appendRecords: operation(append),
    readRecords: pagedOperation((query: RecordQuery) => {
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

/** Where the ids of a chain begin: the one before its first record. */
interface ChainIds {
  readonly find: (chain: string) => number | undefined
  readonly make: (chain: string) => number
}

function createChainIds({ db, trustDomain }: Tables): ChainIds {
  const insert = db.prepare('INSERT OR IGNORE INTO chains (trust_domain, chain) VALUES (?, ?)')
  const select = db.prepare('SELECT number FROM chains WHERE trust_domain = ? AND chain = ?')
  const known = new Map<string, number>()

  const find = (chain: string) => {
    const row = known.has(chain) ? undefined : select.get(trustDomain, chain)
    if (row !== undefined) known.set(chain, number(row, 'number') * idsPerChain)
    return known.get(chain)
  }
  const make = (chain: string) => {
    if (find(chain) === undefined) insert.run(trustDomain, chain)
    return find(chain) ?? 0
  }
  return { find, make }
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
  const take = db.prepare(
    `UPDATE join_tokens SET uses_left = uses_left - 1
       WHERE trust_domain = ? AND id = ? AND uses_left > 0 AND expires_at > ? AND revoked_at IS NULL`,
  )
  const spend = ({ id, at }: JoinTokenSpend) => take.run(trustDomain, id, at.getTime()).changes === 1
  return ({ spends, changes = [] }) => {
    const met = [...spends.map(spend), ...changes.map(change)]
    const failed = met.flatMap((isMet, index) => (isMet ? [] : [index]))
    if (failed.length > 0) throw new ConditionsFailed(failed)
  }
}

function spansOf(ids: readonly number[], batch: readonly StoredRecord[]) {
  const spans = new Map<number, { readonly earliest: number; readonly latest: number }>()
  batch.forEach((record, index) => {
    const key = Math.floor((ids[index] ?? 0) / idsPerSpan)
    const at = record.at.getTime()
    const { earliest, latest } = spans.get(key) ?? { earliest: at, latest: at }
    spans.set(key, { earliest: Math.min(earliest, at), latest: Math.max(latest, at) })
  })
  return spans
}

/** A time is looked for in the spans first, so that no query walks through millions of rows. */
function createRecordReader(db: DatabaseSync) {
  const between = (order: 'ASC' | 'DESC') =>
    db.prepare(`SELECT * FROM records WHERE id > ? AND id < ? ORDER BY id ${order} LIMIT ?`)
  const within = (order: 'ASC' | 'DESC') =>
    db.prepare(
      `SELECT r.* FROM record_spans s CROSS JOIN records r
         ON r.id >= s.span * ${idsPerSpan} AND r.id < (s.span + 1) * ${idsPerSpan}
         WHERE s.span >= ? AND s.span <= ? AND s.latest >= ? AND s.earliest < ?
           AND r.id > ? AND r.id < ? AND r.at >= ? AND r.at < ?
         ORDER BY s.span ${order}, r.id ${order} LIMIT ?`,
    )
  const statements = { ASC: between('ASC'), DESC: between('DESC') }
  const timed = { ASC: within('ASC'), DESC: within('DESC') }

  return (query: RecordQuery, firstId: number): readonly StoredRecord[] => {
    const order = query.newestFirst ? 'DESC' : 'ASC'
    const [above, below] = idRange(query, firstId)
    if (query.from === undefined && query.until === undefined)
      return statements[order].all(above, below, query.limit).map((row) => readRecord(row, query.chain, firstId))
    const from = query.from?.getTime() ?? Number.MIN_SAFE_INTEGER
    const until = query.until?.getTime() ?? Number.MAX_SAFE_INTEGER
    const spans = [Math.floor(above / idsPerSpan), Math.floor(below / idsPerSpan)] as const
    const values: SQLInputValue[] = [...spans, from, until, above, below, from, until, query.limit]
    return timed[order].all(...values).map((row) => readRecord(row, query.chain, firstId))
  }
}

/** The ids between which a query looks, both exclusive. */
function idRange(query: RecordQuery, firstId: number): readonly [above: number, below: number] {
  const end = firstId + idsPerChain
  if (query.after === undefined) return [firstId, end]
  return query.newestFirst ? [firstId, firstId + query.after] : [firstId + query.after, end]
}

/** Signed statements about chains, and the pruning that leaves one. */
export function headOperations(tables: Tables): Pick<Store, 'writeHead' | 'readHeads' | 'pruneRecords'> {
  const { file, db } = tables
  const chains = createChainIds(tables)
  const numberOf = (chain: string) => chains.make(chain) / idsPerChain
  const insert = db.prepare(
    'INSERT OR IGNORE INTO record_heads (chain, sequence, kind, at, mac, signature) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const select = (order: 'ASC' | 'DESC') =>
    db.prepare(
      `SELECT * FROM record_heads WHERE chain = ? AND sequence > ? AND sequence < ? ORDER BY sequence ${order}, kind LIMIT ?`,
    )
  const selects = { ASC: select('ASC'), DESC: select('DESC') }
  const pruned = db.prepare(`SELECT 1 FROM record_heads WHERE chain = ? AND kind = 'checkpoint' AND sequence >= ?`)
  const deleteRecords = db.prepare('DELETE FROM records WHERE id > ? AND id <= ?')
  const deleteSpans = db.prepare('DELETE FROM record_spans WHERE span >= ? AND span < ?')
  const deleteHeads = db.prepare('DELETE FROM record_heads WHERE chain = ? AND sequence <= ?')

  const write = (head: StoredHead) =>
    void insert.run(numberOf(head.chain), head.sequence, head.kind, head.at.getTime(), head.mac, head.signature)
  const read = ({ chain, after, newestFirst, limit }: HeadQuery) => {
    const above = newestFirst ? 0 : (after ?? 0)
    const below = newestFirst ? (after ?? idsPerChain) : idsPerChain
    const firstId = chains.find(chain)
    if (firstId === undefined) return []
    const rows = selects[newestFirst ? 'DESC' : 'ASC'].all(firstId / idsPerChain, above, below, limit)
    return rows.map((row) => readHead(row, chain))
  }
  const prune = (checkpoint: StoredHead) => {
    const first = chains.make(checkpoint.chain)
    const lastId = first + checkpoint.sequence
    return file.transact(() => {
      if (pruned.get(numberOf(checkpoint.chain), checkpoint.sequence) !== undefined) return 0
      const { changes } = deleteRecords.run(first, lastId)
      deleteSpans.run(first / idsPerSpan, Math.floor((lastId + 1) / idsPerSpan))
      deleteHeads.run(numberOf(checkpoint.chain), checkpoint.sequence)
      write(checkpoint)
      return Number(changes)
    })
  }
  return { writeHead: operation(write), readHeads: pagedOperation(read), pruneRecords: pagedOperation(prune) }
}

function readRecord(row: Row, chain: string, firstId: number): StoredRecord {
  const sequence = number(row, 'id') - firstId
  return { chain, sequence, at: new Date(number(row, 'at')), mac: bytes(row, 'mac'), body: text(row, 'body') }
}

function readHead(row: Row, chain: string): StoredHead {
  return {
    chain,
    sequence: number(row, 'sequence'),
    at: new Date(number(row, 'at')),
    mac: bytes(row, 'mac'),
    kind: text(row, 'kind') === 'checkpoint' ? 'checkpoint' : 'head',
    signature: bytes(row, 'signature'),
  }
}
