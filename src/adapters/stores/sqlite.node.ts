/**
 * The store of one process: an SQLite database by `node:sqlite`.
 *
 * @module
 */
import { type Store, StoreError } from '../../core/store.ts'
import { writeBackup } from './sqlite-backup.node.ts'
import type { SqlDatabase } from './sqlite-database.ts'
import { openSqliteFile, type SqliteFile } from './sqlite-file.node.ts'
import { createStoreOf } from './sqlite-store.ts'
import { storeError, type Tables, text } from './sqlite-tables.ts'

export interface SqliteStoreConfig {
  /** Made, with its directory, when it is not there. */
  readonly path: string
  readonly trustDomain: string
  /** Kept in a new database; one that was made for another purpose is refused. Default `serve`. */
  readonly purpose?: StorePurpose
}

/** A backup that is being restored is for nothing yet. */
export type StorePurpose = 'serve' | 'dev' | 'backup'

export interface SqliteStore extends Store {
  /** Writes a copy of all of it, 0600, while it is used. @throws {StoreError} `unavailable` */
  readonly backUp: (path: string, about: { readonly at: Date; readonly sealKey: string }) => Promise<void>
}

/** @throws {StoreError} `in_use`, `not_a_store`, `newer_version`, `other_purpose`, `unavailable` */
export function createSqliteStore({ path, trustDomain, purpose = 'serve' }: SqliteStoreConfig): SqliteStore {
  const file = openSqliteFile(path)
  const tables: Tables = { db: databaseOf(file), trustDomain }
  try {
    keepPurpose(tables, path, purpose)
    return {
      ...createStoreOf(tables),
      backUp: (to, about) => writeBackup(file.db, to, { ...about, trustDomain, purpose }),
    }
  } catch (error) {
    file.close()
    throw storeError(error)
  }
}

function databaseOf({ db, transact, close }: SqliteFile): SqlDatabase {
  return {
    prepare(sql) {
      const statement = db.prepare(sql)
      return {
        run: (...values) => void statement.run(...values),
        change: (...values) => Number(statement.run(...values).changes),
        get: (...values) => statement.get(...values),
        all: (...values) => statement.all(...values),
      }
    },
    transact,
    giveWay: () => new Promise((resolve) => setImmediate(resolve)),
    close,
  }
}

/** The purpose is the whole file's, whichever trust domains are in it. */
function keepPurpose({ db, trustDomain }: Tables, path: string, purpose: string): void {
  const others = db.prepare(`SELECT value FROM meta WHERE name = 'purpose' AND value <> ?`).get(purpose)
  if (others !== undefined)
    throw new StoreError(
      'other_purpose',
      `the database ${path} was made for \`${text(others, 'value')}\` and is not taken for \`${purpose}\`: name another path`,
    )
  const insert = db.prepare(`INSERT OR IGNORE INTO meta (trust_domain, name, value) VALUES (?, 'purpose', ?)`)
  db.transact(() => insert.run(trustDomain, purpose))
}
