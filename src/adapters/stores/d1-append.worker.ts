/**
 * Records in D1, with the uses that they spend and the documents that they change: one batch, and where a condition ends
 * it, a look at what stands there tells which.
 *
 * @module
 */
import type { DocumentChange, JoinTokenSpend, RecordBatch } from '../../core/store.ts'
import { StoreError } from '../../core/store.ts'
import { formatHex } from '../../protocol/encoding.ts'
import { type D1Statement, type D1Tables, isUnmetCondition, requireOneChange } from './d1-tables.worker.ts'
import { removedKey } from './document-names.ts'
import { documentStatements } from './sqlite-documents.ts'
import { recordStatements, spansOf } from './sqlite-records.ts'
import { number, text } from './sqlite-tables.ts'

/** Many records in one statement: D1 counts statements, and waits for each. */
const insertRecords = `INSERT INTO records (id, at, mac, body)
  SELECT value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3 FROM json_each(?)`

const attempts = 3

/** @param firstIdOf Where the ids of a chain begin. */
export function createD1Append(tables: D1Tables, firstIdOf: (chain: string) => Promise<number>) {
  return async (batch: RecordBatch): Promise<readonly number[]> => {
    const statements = [
      ...batch.spends.flatMap((spend) => spendStatements(tables, spend)),
      ...(batch.changes ?? []).flatMap((change) => changeStatements(tables, change)),
      ...(await recordsStatements(tables, batch, firstIdOf)),
    ]
    for (let attempt = 0; attempt < attempts; attempt++) {
      try {
        await tables.batch(statements)
        return []
      } catch (error) {
        if (!isUnmetCondition(error)) throw error
        const failed = await findUnmet(tables, batch)
        if (failed.length > 0) return failed
        // What ended it is met by now.
      }
    }
    throw new StoreError('unavailable', 'the store changed again and again while records were written')
  }
}

function spendStatements({ statement, trustDomain }: D1Tables, { id, at }: JoinTokenSpend): readonly D1Statement[] {
  return [statement(recordStatements.spend, trustDomain, id, at.getTime()), statement(requireOneChange)]
}

export function changeStatements(tables: D1Tables, { name, expected, body }: DocumentChange): readonly D1Statement[] {
  const { statement, trustDomain } = tables
  const required = statement(requireOneChange)
  if (body === undefined)
    return [
      statement(documentStatements.remove, trustDomain, name, expected),
      required,
      statement(documentStatements.remember, trustDomain, removedKey(name), String(expected)),
    ]
  return [replaceStatement(tables, { name, expected, body }), required]
}

export function replaceStatement(
  { statement, trustDomain }: D1Tables,
  { name, expected, body }: Required<DocumentChange>,
): D1Statement {
  return expected === 0
    ? statement(documentStatements.insert, trustDomain, name, removedKey(name), body)
    : statement(documentStatements.update, trustDomain, name, expected, body)
}

async function recordsStatements(
  { statement }: D1Tables,
  { records }: RecordBatch,
  firstIdOf: (chain: string) => Promise<number>,
): Promise<readonly D1Statement[]> {
  const ids: number[] = []
  for (const { chain, sequence } of records) ids.push((await firstIdOf(chain)) + sequence)
  const rows = records.map(({ at, mac, body }, index) =>
    JSON.stringify([ids[index], at.getTime(), formatHex(mac), body]),
  )
  return [
    ...joinRows(rows).map((list) => statement(insertRecords, list)),
    ...spansOf(ids, records).map((values) => statement(recordStatements.span, ...values)),
  ]
}

/** D1 takes texts up to 2 MB. */
const maxListLength = 500_000

/** Lists of JSON, none much longer than that. */
function joinRows(rows: readonly string[]): readonly string[] {
  const lists: string[][] = [[]]
  let length = 0
  for (const row of rows) {
    if (length > maxListLength) {
      lists.push([])
      length = 0
    }
    lists.at(-1)?.push(row)
    length += row.length
  }
  return lists.map((list) => `[${list.join(',')}]`)
}

/** Indexes of spends, and behind them of changes, that would not go through, taken in order. */
async function findUnmet(tables: D1Tables, { spends, changes = [] }: RecordBatch): Promise<readonly number[]> {
  const met = [...(await trySpends(tables, spends)), ...(await tryChanges(tables, changes))]
  return met.flatMap((isMet, index) => (isMet ? [] : [index]))
}

async function trySpends(tables: D1Tables, spends: readonly JoinTokenSpend[]): Promise<readonly boolean[]> {
  const rows = await tables.all(
    `SELECT id, uses_left, expires_at FROM join_tokens
       WHERE trust_domain = ? AND revoked_at IS NULL AND id IN (SELECT value FROM json_each(?))`,
    tables.trustDomain,
    JSON.stringify(spends.map(({ id }) => id)),
  )
  const tokens = new Map(
    rows.map((row) => [text(row, 'id'), { left: number(row, 'uses_left'), expiresAt: number(row, 'expires_at') }]),
  )
  return spends.map(({ id, at }) => {
    const token = tokens.get(id)
    if (token === undefined || token.left === 0 || token.expiresAt <= at.getTime()) return false
    token.left -= 1
    return true
  })
}

async function tryChanges(tables: D1Tables, changes: readonly DocumentChange[]): Promise<readonly boolean[]> {
  const names = changes.map(({ name }) => name)
  const versions = await readNumbers(tables, 'SELECT name, version AS n FROM documents', names)
  const removed = await readNumbers(tables, 'SELECT name, CAST(value AS INTEGER) AS n FROM meta', names.map(removedKey))
  return changes.map(({ name, expected, body }) => {
    if ((versions.get(name) ?? 0) !== expected || (expected === 0 && body === undefined)) return false
    const key = removedKey(name)
    const last = removed.get(key) ?? 0
    if (body === undefined) removed.set(key, Math.max(last, expected))
    versions.set(name, nextVersion(expected, last, body))
    return true
  })
}

function nextVersion(expected: number, lastRemoved: number, body: string | undefined): number {
  if (body === undefined) return 0
  return expected === 0 ? lastRemoved + 1 : expected + 1
}

async function readNumbers({ all, trustDomain }: D1Tables, select: string, names: readonly string[]) {
  const where = 'WHERE trust_domain = ? AND name IN (SELECT value FROM json_each(?))'
  const rows = await all(`${select} ${where}`, trustDomain, JSON.stringify(names))
  return new Map(rows.map((row) => [text(row, 'name'), number(row, 'n')]))
}
