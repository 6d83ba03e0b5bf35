/**
 * Chains in an SQLite store: their numbers, signed statements about them, and the pruning that leaves one.
 *
 * @module
 */
import type { HeadQuery, Store, StoredHead } from '../../core/store.ts'
import { idsPerChain, idsPerSpan } from './migrations.ts'
import type { Row } from './sqlite-database.ts'
import { bytes, number, operation, pagedOperation, type Tables, text } from './sqlite-tables.ts'

export const chainStatements = {
  insert: 'INSERT OR IGNORE INTO chains (trust_domain, chain) VALUES (?, ?)',
  select: 'SELECT number FROM chains WHERE trust_domain = ? AND chain = ?',
  list: 'SELECT chain FROM chains WHERE trust_domain = ? ORDER BY chain',
} as const

/** Where the ids of a chain begin: the one before its first record. */
export interface ChainIds {
  readonly find: (chain: string) => number | undefined
  readonly make: (chain: string) => number
}

export function createChainIds({ db, trustDomain }: Tables): ChainIds {
  const insert = db.prepare(chainStatements.insert)
  const select = db.prepare(chainStatements.select)
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

const select = (order: 'ASC' | 'DESC') =>
  `SELECT * FROM record_heads WHERE chain = ? AND sequence > ? AND sequence < ? ORDER BY sequence ${order}, kind LIMIT ?`

export const headStatements = {
  insert: 'INSERT OR IGNORE INTO record_heads (chain, sequence, kind, at, mac, signature) VALUES (?, ?, ?, ?, ?, ?)',
  ASC: select('ASC'),
  DESC: select('DESC'),
} as const

/** One that changes nothing where a later checkpoint stands; the number of the chain is `?1`, the sequence `?2`. */
export const pruneStatements = {
  pruned: `SELECT 1 FROM record_heads WHERE chain = ? AND kind = 'checkpoint' AND sequence >= ?`,
  records: 'DELETE FROM records WHERE id > ? AND id <= ?',
  spans: 'DELETE FROM record_spans WHERE span >= ? AND span < ?',
  heads: 'DELETE FROM record_heads WHERE chain = ? AND sequence <= ?',
} as const

export function headOperations(
  tables: Tables,
  chains: ChainIds,
): Pick<Store, 'writeHead' | 'readHeads' | 'pruneRecords'> {
  const { db } = tables
  const insert = db.prepare(headStatements.insert)
  const selects = { ASC: db.prepare(headStatements.ASC), DESC: db.prepare(headStatements.DESC) }
  const pruned = db.prepare(pruneStatements.pruned)
  const deleteRecords = db.prepare(pruneStatements.records)
  const deleteSpans = db.prepare(pruneStatements.spans)
  const deleteHeads = db.prepare(pruneStatements.heads)

  const write = (head: StoredHead) => insert.run(...headValues(head, chains.make(head.chain)))
  const read = (query: HeadQuery) => {
    const firstId = chains.find(query.chain)
    if (firstId === undefined) return []
    const rows = selects[query.newestFirst ? 'DESC' : 'ASC'].all(...headQueryValues(query, firstId))
    return rows.map((row) => readHead(row, query.chain))
  }
  const prune = (checkpoint: StoredHead) => {
    const values = pruneValues(checkpoint, chains.make(checkpoint.chain))
    return db.transact(() => {
      if (pruned.get(...values.heads) !== undefined) return 0
      const removed = deleteRecords.change(...values.records)
      deleteSpans.run(...values.spans)
      deleteHeads.run(...values.heads)
      write(checkpoint)
      return removed
    })
  }
  return {
    writeHead: operation(write),
    readHeads: pagedOperation(tables, read),
    pruneRecords: pagedOperation(tables, prune),
  }
}

export function headValues({ sequence, kind, at, mac, signature }: StoredHead, firstId: number) {
  return [firstId / idsPerChain, sequence, kind, at.getTime(), mac, signature] as const
}

export function headQueryValues({ after, newestFirst, limit }: HeadQuery, firstId: number) {
  const above = newestFirst ? 0 : (after ?? 0)
  const below = newestFirst ? (after ?? idsPerChain) : idsPerChain
  return [firstId / idsPerChain, above, below, limit] as const
}

/** What goes: records up to a checkpoint, whole spans of them, and what was signed about them. */
export function pruneValues({ sequence }: StoredHead, firstId: number) {
  const lastId = firstId + sequence
  return {
    heads: [firstId / idsPerChain, sequence],
    records: [firstId, lastId],
    spans: [firstId / idsPerSpan, Math.floor((lastId + 1) / idsPerSpan)],
  } as const
}

export function readHead(row: Row, chain: string): StoredHead {
  return {
    chain,
    sequence: number(row, 'sequence'),
    at: new Date(number(row, 'at')),
    mac: bytes(row, 'mac'),
    kind: text(row, 'kind') === 'checkpoint' ? 'checkpoint' : 'head',
    signature: bytes(row, 'signature'),
  }
}
