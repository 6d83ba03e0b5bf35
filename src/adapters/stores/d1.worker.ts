/**
 * A store in D1: the tables of SQLite behind a network. What has to be atomic is one batch, which D1 runs as a transaction;
 * a condition in it that is not met ends all of it.
 *
 * @see {@link https://developers.cloudflare.com/d1/worker-api/d1-database/ D1 Database}
 * @module
 */
import type {
  DocumentQuery,
  HeadQuery,
  ProofClaim,
  RecordQuery,
  Store,
  StoredHead,
  StoredJoinToken,
} from '../../core/store.ts'
import { changeStatements, createD1Append, replaceStatement } from './d1-append.worker.ts'
import { type D1, type D1Tables, d1Operation, isUnmetCondition, openD1 } from './d1-tables.worker.ts'
import { idsPerChain } from './migrations.ts'
import {
  chainStatements,
  headQueryValues,
  headStatements,
  headValues,
  pruneStatements,
  pruneValues,
  readHead,
} from './sqlite-chains.ts'
import { documentStatements, listValues, readDocument, readListed } from './sqlite-documents.ts'
import { planRecordQuery, readRecord, recordStatements } from './sqlite-records.ts'
import { claimStatements, joinTokenStatements, joinTokenValues, readJoinToken, touchStatement } from './sqlite-store.ts'
import { number, text } from './sqlite-tables.ts'

/** @throws {StoreError} `newer_version`, `unavailable` */
export async function createD1Store(d1: D1, trustDomain: string): Promise<Store> {
  const tables = await openD1(d1, trustDomain)
  const chains = createChainIds(tables)
  return {
    ...documentOperations(tables),
    ...recordOperations(tables, chains),
    ...headOperations(tables, chains),
    ...joinTokenOperations(tables),
    claimProof: d1Operation((claim: ProofClaim) => claimProof(tables, claim)),
    check: d1Operation(async () => void (await tables.change(touchStatement, trustDomain))),
    close: async () => tables.close(),
  }
}

function documentOperations(tables: D1Tables) {
  const { all, trustDomain } = tables
  return {
    readDocument: d1Operation(async (name: string) =>
      readDocument((await all(documentStatements.select, trustDomain, name))[0]),
    ),
    listDocuments: d1Operation(async (query: DocumentQuery) =>
      (await all(documentStatements.list, trustDomain, ...listValues(query))).map(readListed),
    ),
    writeDocument: d1Operation(async (name: string, expected: number, body: string) => {
      const { meta } = await replaceStatement(tables, { name, expected, body }).all()
      return meta.changes === 1
    }),
    deleteDocument: d1Operation(async (name: string, expected: number) => {
      try {
        await tables.batch(changeStatements(tables, { name, expected }))
        return true
      } catch (error) {
        if (isUnmetCondition(error)) return false
        throw error
      }
    }),
  }
}

/** Where the ids of a chain begin: the one before its first record. */
interface ChainIds {
  readonly find: (chain: string) => Promise<number | undefined>
  readonly make: (chain: string) => Promise<number>
}

function createChainIds({ all, change, trustDomain }: D1Tables): ChainIds {
  const known = new Map<string, number>()

  async function find(chain: string): Promise<number | undefined> {
    const [row] = known.has(chain) ? [] : await all(chainStatements.select, trustDomain, chain)
    if (row !== undefined) known.set(chain, number(row, 'number') * idsPerChain)
    return known.get(chain)
  }
  async function make(chain: string): Promise<number> {
    if ((await find(chain)) === undefined) await change(chainStatements.insert, trustDomain, chain)
    return (await find(chain)) ?? 0
  }
  return { find, make }
}

function recordOperations(tables: D1Tables, chains: ChainIds) {
  const { all, trustDomain } = tables
  return {
    appendRecords: d1Operation(createD1Append(tables, chains.make)),
    readRecords: d1Operation(async (query: RecordQuery) => {
      const firstId = await chains.find(query.chain)
      if (firstId === undefined) return []
      const { kind, order, values } = planRecordQuery(query, firstId)
      return (await all(recordStatements[kind][order], ...values)).map((row) => readRecord(row, query.chain, firstId))
    }),
    lastRecord: d1Operation(async (chain: string) => {
      const firstId = await chains.find(chain)
      if (firstId === undefined) return undefined
      const [row] = await all(recordStatements.last, firstId, firstId + idsPerChain)
      return row && readRecord(row, chain, firstId)
    }),
    listChains: d1Operation(async () =>
      (await all(chainStatements.list, trustDomain)).map((row) => text(row, 'chain')),
    ),
  }
}

function headOperations(tables: D1Tables, chains: ChainIds) {
  const { all, statement } = tables
  return {
    writeHead: d1Operation(async (head: StoredHead) => {
      await tables.change(headStatements.insert, ...headValues(head, await chains.make(head.chain)))
    }),
    readHeads: d1Operation(async (query: HeadQuery) => {
      const firstId = await chains.find(query.chain)
      if (firstId === undefined) return []
      const order = query.newestFirst ? 'DESC' : 'ASC'
      return (await all(headStatements[order], ...headQueryValues(query, firstId))).map((row) =>
        readHead(row, query.chain),
      )
    }),
    pruneRecords: d1Operation(async (checkpoint: StoredHead) => {
      const firstId = await chains.make(checkpoint.chain)
      const values = pruneValues(checkpoint, firstId)
      // A checkpoint that stands at or above this one keeps each of them from doing anything.
      const unlessPruned = (sql: string, ...given: readonly number[]) =>
        statement(`${sql} AND NOT EXISTS (${pruneStatements.pruned})`, ...given, ...values.heads)
      const [removed] = await tables.batch([
        unlessPruned(pruneStatements.records, ...values.records),
        unlessPruned(pruneStatements.spans, ...values.spans),
        unlessPruned(pruneStatements.heads, ...values.heads),
        statement(
          `INSERT INTO record_heads (chain, sequence, kind, at, mac, signature) SELECT ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (${pruneStatements.pruned})`,
          ...headValues(checkpoint, firstId),
          ...values.heads,
        ),
      ])
      return removed?.meta.changes ?? 0
    }),
  }
}

function joinTokenOperations({ all, change, trustDomain }: D1Tables) {
  const { insert, byDigest, byId, list, revoke, prune } = joinTokenStatements
  return {
    createJoinToken: d1Operation(async (token: StoredJoinToken) => {
      await change(insert, trustDomain, ...joinTokenValues(token))
    }),
    findJoinToken: d1Operation(async (digest: Uint8Array) =>
      readJoinToken((await all(byDigest, trustDomain, digest))[0]),
    ),
    readJoinToken: d1Operation(async (id: string) => readJoinToken((await all(byId, trustDomain, id))[0])),
    listJoinTokens: d1Operation(async (query: { readonly after?: string; readonly limit: number }) =>
      (await all(list, trustDomain, query.after ?? '', query.limit)).flatMap((row) => readJoinToken(row) ?? []),
    ),
    revokeJoinToken: d1Operation(
      async (id: string, at: Date) => (await change(revoke, trustDomain, id, at.getTime())) === 1,
    ),
    pruneJoinTokens: d1Operation(async (at: Date) => void (await change(prune, trustDomain, at.getTime()))),
  }
}

async function claimProof(tables: D1Tables, { digest, at, expiresAt }: ProofClaim): Promise<boolean> {
  const { statement, trustDomain } = tables
  const [, claimed] = await tables.batch([
    statement(claimStatements.sweep, trustDomain, at.getTime()),
    statement(claimStatements.claim, trustDomain, digest, expiresAt.getTime(), at.getTime()),
  ])
  return claimed?.meta.changes === 1
}
