/**
 * What the parts of a store in D1 share: the database, its tables, and how a batch is ended.
 *
 * @module
 */
import { StoreError } from '../../core/store.ts'
import { newerVersion } from './durable-object.worker.ts'
import { migrations } from './migrations.ts'
import type { Row, SqlValue } from './sqlite-database.ts'
import { number, storeError } from './sqlite-tables.ts'

/** The part of `D1Database` that is used here. */
export interface D1 {
  prepare(sql: string): D1Statement
  /** One transaction: the first statement that fails undoes all. */
  batch(statements: readonly D1Statement[]): Promise<readonly D1Result[]>
}

export interface D1Statement {
  bind(...values: readonly SqlValue[]): D1Statement
  all(): Promise<D1Result>
}

export interface D1Result {
  readonly results: readonly Row[]
  readonly meta: { readonly changes: number }
}

export interface D1Tables {
  readonly statement: (sql: string, ...values: readonly SqlValue[]) => D1Statement
  readonly batch: D1['batch']
  readonly all: (sql: string, ...values: readonly SqlValue[]) => Promise<readonly Row[]>
  /** How many rows it changed. */
  readonly change: (sql: string, ...values: readonly SqlValue[]) => Promise<number>
  /** Part of every key. */
  readonly trustDomain: string
  readonly close: () => void
}

/** Brings the tables to the present schema. @throws {StoreError} `newer_version`, `unavailable` */
export async function openD1(d1: D1, trustDomain: string): Promise<D1Tables> {
  let isOpen = true
  const statement = (sql: string, ...values: readonly SqlValue[]) => {
    if (!isOpen) throw new StoreError('unavailable', 'the store is closed')
    return d1.prepare(sql).bind(...values)
  }
  try {
    await migrate(d1, trustDomain)
  } catch (error) {
    throw storeError(error)
  }
  return {
    statement,
    batch: (statements) => d1.batch(statements),
    all: async (sql, ...values) => (await statement(sql, ...values).all()).results,
    change: async (sql, ...values) => (await statement(sql, ...values).all()).meta.changes,
    trustDomain,
    close() {
      isOpen = false
    },
  }
}

async function migrate(d1: D1, trustDomain: string): Promise<void> {
  const run = (sql: string, ...values: readonly SqlValue[]) => d1.prepare(sql).bind(...values)
  await run('CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL) STRICT').all()
  const [row] = (await run('SELECT version FROM schema_version').all()).results
  const version = row === undefined ? 0 : number(row, 'version')
  if (version > migrations.length) throw newerVersion(version)
  await d1.batch([
    ...migrations
      .slice(version)
      .flatMap(statementsOf)
      .map((sql) => run(sql)),
    run('DELETE FROM schema_version'),
    run('INSERT INTO schema_version (version) VALUES (?)', migrations.length),
    run(`INSERT OR IGNORE INTO meta (trust_domain, name, value) VALUES (?, 'purpose', 'serve')`, trustDomain),
  ])
}

/** D1 takes one statement at a time. */
function statementsOf(step: string): readonly string[] {
  return step.split(';').filter((sql) => sql.trim() !== '')
}

/** What a method of the port does, with errors of D1 told as those of a store. */
export function d1Operation<Arguments extends readonly unknown[], Result>(
  work: (...given: Arguments) => Promise<Result>,
) {
  return async (...given: Arguments): Promise<Result> => {
    try {
      return await work(...given)
    } catch (error) {
      throw storeError(error)
    }
  }
}

/** Ends its batch when the statement before it did not change exactly one row: what it inserts may not be null. */
export const requireOneChange = `INSERT INTO meta (trust_domain, name, value) SELECT '', '', NULL WHERE changes() <> 1`

export function isUnmetCondition(error: unknown): boolean {
  return error instanceof Error && error.message.includes('NOT NULL constraint failed: meta.value')
}
