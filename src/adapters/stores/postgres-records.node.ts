/**
 * Chains of records in a PostgreSQL store: appended many at once, read in pages, pruned from their beginning.
 *
 * @module
 */
import {
  type HeadQuery,
  type RecordBatch,
  type RecordQuery,
  type Store,
  type StoredHead,
  type StoredRecord,
  StoreError,
} from '../../core/store.ts'
import { formatBigints, formatByteStrings, formatTexts } from './postgres-arrays.node.ts'
import type { ChainNumbers } from './postgres-chains.node.ts'
import type { Lane, Row, Run } from './postgres-connections.node.ts'
import { changeDocuments } from './postgres-documents.node.ts'
import { spendJoinTokens } from './postgres-join-tokens.node.ts'
import { bytes, date, number, text } from './postgres-rows.ts'

interface RecordTables {
  /** For what requests wait for: nothing else stands before it. */
  readonly records: Lane
  readonly others: Lane
  readonly chains: ChainNumbers
  readonly trustDomain: string
}

/** One statement for all records of a turn. The join leaves out what would be of no chain. */
const insert = {
  name: 'append_records',
  text: `INSERT INTO apostille.records (chain, sequence, at, mac, body)
    SELECT c.number, r.sequence, r.at, r.mac, r.body
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::text[]) AS r (chain, sequence, at, mac, body)
    JOIN apostille.chains c ON c.number = r.chain AND c.trust_domain = $6`,
}

export function appendOperation({ records, chains, trustDomain }: RecordTables): Store['appendRecords'] {
  async function insertAll(run: Run, batch: readonly StoredRecord[]): Promise<void> {
    if (batch.length === 0) return
    const numbers = new Map<string, number>()
    for (const chain of new Set(batch.map((record) => record.chain))) numbers.set(chain, await chains.make(chain))
    const { count } = await run(insert, [
      formatBigints(batch.map((record) => numbers.get(record.chain) ?? 0)),
      formatBigints(batch.map((record) => record.sequence)),
      formatBigints(batch.map((record) => record.at.getTime())),
      formatByteStrings(batch.map((record) => record.mac)),
      formatTexts(batch.map((record) => record.body)),
      trustDomain,
    ])
    if (count !== batch.length) throw new StoreError('unavailable', 'the database has lost the chain of the records')
  }

  /** Conditions first: where one is not met nothing is kept. */
  const appendIf = ({ records: batch, spends, changes = [] }: RecordBatch) =>
    records.transact<readonly number[]>(
      async (run) => {
        const spent = await spendJoinTokens(run, trustDomain, spends)
        const changed = await changeDocuments(run, trustDomain, changes)
        const failed = [...spent, ...changed].flatMap((isMet, index) => (isMet ? [] : [index]))
        if (failed.length === 0) await insertAll(run, batch)
        return failed
      },
      (failed) => failed.length === 0,
    )

  return async (batch) => {
    try {
      if (batch.spends.length > 0 || (batch.changes ?? []).length > 0) return await appendIf(batch)
      await insertAll(records.run, batch.records)
      return []
    } catch (error) {
      chains.forget()
      throw error
    }
  }
}

const last = {
  name: 'last_record',
  text: 'SELECT * FROM apostille.records WHERE chain = $1 ORDER BY sequence DESC LIMIT 1',
}

/** @param order Of the sequence numbers. */
function readStatement(order: 'ASC' | 'DESC', isTimed: boolean) {
  const times = isTimed ? 'AND at >= $5 AND at < $6' : ''
  return {
    name: `read_records_${order}${isTimed ? '_timed' : ''}`,
    text: `SELECT * FROM apostille.records WHERE chain = $1 AND sequence > $2 AND sequence < $3 ${times}
      ORDER BY sequence ${order} LIMIT $4`,
  }
}

const reads = {
  ASC: { any: readStatement('ASC', false), timed: readStatement('ASC', true) },
  DESC: { any: readStatement('DESC', false), timed: readStatement('DESC', true) },
}

export function readOperations({ records, others, chains }: RecordTables) {
  return {
    async readRecords(query: RecordQuery): Promise<readonly StoredRecord[]> {
      const chain = await chains.find(query.chain)
      if (chain === undefined) return []
      const { from, until, limit } = query
      const isTimed = from !== undefined || until !== undefined
      const times = [from?.getTime() ?? Number.MIN_SAFE_INTEGER, until?.getTime() ?? Number.MAX_SAFE_INTEGER]
      const statement = reads[query.newestFirst ? 'DESC' : 'ASC'][isTimed ? 'timed' : 'any']
      const values = [chain, ...sequencesBetween(query), limit, ...(isTimed ? times : [])]
      return (await others.run(statement, values)).rows.map((row) => readRecord(row, query.chain))
    },
    async lastRecord(chain: string): Promise<StoredRecord | undefined> {
      const known = await chains.find(chain)
      const [row] = known === undefined ? [] : (await records.run(last, [known])).rows
      return row && readRecord(row, chain)
    },
    listChains: chains.list,
  }
}

/** The sequence numbers between which a query looks, both exclusive. */
function sequencesBetween({ after, newestFirst }: Pick<HeadQuery, 'after' | 'newestFirst'>): readonly [number, number] {
  return newestFirst ? [0, after ?? Number.MAX_SAFE_INTEGER] : [after ?? 0, Number.MAX_SAFE_INTEGER]
}

const insertHead = {
  name: 'write_head',
  text: `INSERT INTO apostille.record_heads (chain, sequence, kind, at, mac, signature) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING`,
}
const readHeadsBy = (order: 'ASC' | 'DESC') => ({
  name: `read_heads_${order}`,
  text: `SELECT * FROM apostille.record_heads WHERE chain = $1 AND sequence > $2 AND sequence < $3
    ORDER BY sequence ${order}, kind LIMIT $4`,
})
const headReads = { ASC: readHeadsBy('ASC'), DESC: readHeadsBy('DESC') }
/** Of two that prune a chain the second waits, and then sees what the first left. */
const lockChain = { name: 'lock_chain', text: 'SELECT FROM apostille.chains WHERE number = $1 FOR UPDATE' }
const findCheckpoint = {
  name: 'find_checkpoint',
  text: `SELECT FROM apostille.record_heads WHERE chain = $1 AND kind = 'checkpoint' AND sequence >= $2`,
}
const pruneRecords = {
  name: 'prune_records',
  text: 'DELETE FROM apostille.records WHERE chain = $1 AND sequence <= $2',
}
const pruneHeads = {
  name: 'prune_heads',
  text: 'DELETE FROM apostille.record_heads WHERE chain = $1 AND sequence <= $2',
}

/** Signed statements about chains, and the pruning that leaves one. */
export function headOperations({
  others,
  chains,
}: RecordTables): Pick<Store, 'writeHead' | 'readHeads' | 'pruneRecords'> {
  async function write(run: Run, head: StoredHead): Promise<void> {
    const { sequence, kind, at, mac, signature } = head
    await run(insertHead, [await chains.make(head.chain), sequence, kind, at.getTime(), mac, signature])
  }
  return {
    writeHead: (head) => write(others.run, head),
    async readHeads(query) {
      const chain = await chains.find(query.chain)
      if (chain === undefined) return []
      const statement = headReads[query.newestFirst ? 'DESC' : 'ASC']
      const { rows } = await others.run(statement, [chain, ...sequencesBetween(query), query.limit])
      return rows.map((row) => readHead(row, query.chain))
    },
    async pruneRecords(checkpoint) {
      const chain = await chains.make(checkpoint.chain)
      return others.transact(async (run) => {
        await run(lockChain, [chain])
        if ((await run(findCheckpoint, [chain, checkpoint.sequence])).count > 0) return 0
        const { count } = await run(pruneRecords, [chain, checkpoint.sequence])
        await run(pruneHeads, [chain, checkpoint.sequence])
        await write(run, checkpoint)
        return count
      })
    },
  }
}

function readRecord(row: Row, chain: string): StoredRecord {
  return {
    chain,
    sequence: number(row, 'sequence'),
    at: date(row, 'at'),
    mac: bytes(row, 'mac'),
    body: text(row, 'body'),
  }
}

function readHead(row: Row, chain: string): StoredHead {
  return {
    chain,
    sequence: number(row, 'sequence'),
    at: date(row, 'at'),
    mac: bytes(row, 'mac'),
    kind: text(row, 'kind') === 'checkpoint' ? 'checkpoint' : 'head',
    signature: bytes(row, 'signature'),
  }
}
