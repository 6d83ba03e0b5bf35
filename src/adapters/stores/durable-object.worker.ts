/**
 * The store of a Durable Object: the SQLite database that it keeps, which nobody but it can open.
 *
 * Nothing that the object answers leaves before what it wrote until then is durable: that is the platform's output gate,
 * and stands for the sync of a commit.
 *
 * @see {@link https://developers.cloudflare.com/durable-objects/api/sqlite-storage-api/ SQLite-backed Durable Object storage}
 * @module
 */
import { type Store, StoreError } from '../../core/store.ts'
import { migrations } from './migrations.ts'
import type { Row, SqlDatabase, SqlValue } from './sqlite-database.ts'
import { createStoreOf } from './sqlite-store.ts'
import { number, storeError, type Tables } from './sqlite-tables.ts'

/** The part of `DurableObjectStorage` that is used here. */
export interface DurableStorage {
  readonly sql: { exec(query: string, ...bindings: SqlValue[]): { toArray(): Row[] } }
  transactionSync<T>(work: () => T): T
}

/** @throws {StoreError} `newer_version`, `unavailable` */
export function createDurableObjectStore(storage: DurableStorage, trustDomain: string): Store {
  const tables: Tables = { db: databaseOf(storage), trustDomain }
  try {
    storage.transactionSync(() => migrate(storage, trustDomain))
    return createStoreOf(tables)
  } catch (error) {
    throw storeError(error)
  }
}

function databaseOf(storage: DurableStorage): SqlDatabase {
  let isOpen = true
  const run = (sql: string, values: readonly SqlValue[]): Row[] => {
    if (!isOpen) throw new StoreError('unavailable', 'the store is closed')
    return storage.sql.exec(sql, ...values).toArray()
  }
  return {
    prepare: (sql) => ({
      run: (...values) => void run(sql, values),
      change(...values) {
        run(sql, values)
        // What the cursor counts as written are entries of indexes as well.
        return number(run('SELECT changes() AS n', [])[0] ?? {}, 'n')
      },
      get: (...values) => run(sql, values)[0],
      all: (...values) => run(sql, values),
    }),
    transact: (work) => storage.transactionSync(work),
    giveWay: () => new Promise((resolve) => setTimeout(resolve, 0)),
    close() {
      isOpen = false
    },
  }
}

/** The version stands in a table of its own: the platform keeps the header of the file to itself. */
function migrate({ sql }: DurableStorage, trustDomain: string): void {
  sql.exec('CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL) STRICT')
  const [row] = sql.exec('SELECT version FROM schema_version').toArray()
  const version = row === undefined ? 0 : number(row, 'version')
  if (version > migrations.length) throw newerVersion(version)
  for (const step of migrations.slice(version)) sql.exec(step)
  if (row === undefined) sql.exec('INSERT INTO schema_version (version) VALUES (?)', migrations.length)
  else if (version < migrations.length) sql.exec('UPDATE schema_version SET version = ?', migrations.length)
  sql.exec(`INSERT OR IGNORE INTO meta (trust_domain, name, value) VALUES (?, 'purpose', 'serve')`, trustDomain)
}

export function newerVersion(version: number): StoreError {
  return new StoreError(
    'newer_version',
    `the store has schema version ${version}, and this program knows versions up to ${migrations.length}: deploy the newer program; the store was not changed`,
  )
}
