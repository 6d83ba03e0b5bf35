/**
 * Opens the file of an SQLite store: for this process alone, only when it is ours, and in the present schema.
 *
 * @module
 */
import { closeSync, constants, existsSync, mkdirSync, openSync, readSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { StoreError } from '../../core/store.ts'
import { applicationId, migrations } from './migrations.ts'
import { describe } from './sqlite-database.ts'

/** A database that is open for this process alone. */
export interface SqliteFile {
  readonly db: DatabaseSync
  /** Runs `work` in one durable transaction; what it throws undoes all of it. */
  readonly transact: <T>(work: () => T) => T
  /** Idempotent. */
  readonly close: () => void
}

/**
 * Pages of the write-ahead log after which it is copied into the database, by the commit that fills it: a millisecond
 * now and then. SQLite's own 1,000 pages make one commit in a hundred take tens of them, as the disk syncs all at once;
 * fewer than 64 sync more often than they save.
 */
const checkpointPages = 64
const headerBytes = 100
const magic = 'SQLite format 3\0'
const sqliteErrors = { busy: 5, notADatabase: 26, corrupt: 11 } as const

/**
 * Makes the file (0600) and its directory (0700) when they are not there. One that is refused is not written to.
 *
 * @throws {StoreError} `in_use`, `not_a_store`, `newer_version`, `unavailable`
 */
export function openSqliteFile(name: string): SqliteFile {
  const path = resolve(name)
  const descriptor = openDescriptor(path)
  try {
    checkHeader(path, descriptor)
    const db = openDatabase(path)
    return { db, transact: createTransact(db), close: () => closeBoth(db, descriptor) }
  } catch (error) {
    // Closing any descriptor of a file gives up all of this process's POSIX locks on it. When the file is in use it may
    // be this process that uses it, so then the descriptor stays open.
    if (!(error instanceof StoreError && error.code === 'in_use')) closeSync(descriptor)
    throw error
  }
}

function openDescriptor(path: string): number {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    return openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown error'
    throw new StoreError(
      'unavailable',
      `the database ${path} cannot be opened for writing (${reason}): make the file and its directory writable for this user, or name another path`,
      { cause },
    )
  }
}

/** The first bytes are read without SQLite, as opening a database of somebody else would change its files. */
function checkHeader(path: string, descriptor: number): void {
  const header = Buffer.alloc(headerBytes)
  const size = readSync(descriptor, header, 0, headerBytes, 0)
  if (size === 0) return
  // The very first transaction was cut off: SQLite undoes it by the journal.
  if (header.every((byte) => byte === 0) && existsSync(`${path}-journal`)) return
  if (size < headerBytes || header.toString('latin1', 0, magic.length) !== magic)
    throw new StoreError(
      'not_a_store',
      `the file ${path} is not an SQLite database: name another path; it was not changed`,
    )
  checkOwner(path, header.readInt32BE(68), header.readInt32BE(60))
}

function checkOwner(path: string, application: number, version: number): void {
  if (application !== applicationId)
    throw new StoreError(
      'not_a_store',
      `the database ${path} belongs to another application: name another path; it was not changed`,
    )
  if (version > migrations.length)
    throw new StoreError(
      'newer_version',
      `the database ${path} has schema version ${version}, and this program knows versions up to ${migrations.length}: run the newer program; the database was not changed`,
    )
}

function openDatabase(path: string): DatabaseSync {
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(path)
    // Before anything is read: the lock is then taken by the first read and held until the process ends, however it ends.
    db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF')
    db.exec(`PRAGMA wal_autocheckpoint = ${checkpointPages}`)
    // What is destroyed is gone from the file, and not only from its index.
    db.exec('PRAGMA secure_delete = ON')
    migrate(path, db)
    return db
  } catch (error) {
    db?.close()
    throw openingError(path, error)
  }
}

function migrate(path: string, db: DatabaseSync): void {
  const version = pragma(db, 'user_version')
  if (version === 0 && db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n'] === 0) makeFirstTables(db)
  checkOwner(path, pragma(db, 'application_id'), pragma(db, 'user_version'))
  db.exec('PRAGMA journal_mode = WAL')
  const before = pragma(db, 'user_version')
  for (let next = before; next < migrations.length; next++) applyMigration(db, next)
  // The header on disk is what an older program looks at.
  if (version < migrations.length) db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
}

/** Before the write-ahead log is on, so that the file never stands there without saying whose it is. */
function makeFirstTables(db: DatabaseSync): void {
  db.exec('PRAGMA journal_mode = DELETE')
  createTransact(db)(() => {
    db.exec(`PRAGMA application_id = ${applicationId}; ${migrations[0]}; PRAGMA user_version = 1`)
  })
}

function applyMigration(db: DatabaseSync, index: number): void {
  createTransact(db)(() => db.exec(`${migrations[index]}; PRAGMA user_version = ${index + 1}`))
}

function pragma(db: DatabaseSync, name: 'user_version' | 'application_id'): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name])
}

function createTransact(db: DatabaseSync): SqliteFile['transact'] {
  const begin = db.prepare('BEGIN IMMEDIATE')
  const commit = db.prepare('COMMIT')
  return (work) => {
    begin.run()
    try {
      const result = work()
      commit.run()
      return result
    } catch (error) {
      // Some errors, such as a full disk, have undone it already.
      if (db.isTransaction) db.exec('ROLLBACK')
      throw error
    }
  }
}

function openingError(path: string, error: unknown): unknown {
  if (error instanceof StoreError) return error
  const { errcode } = error as { readonly errcode?: number }
  const primary = (errcode ?? 0) & 0xff
  const cause = { cause: error }
  if (primary === sqliteErrors.busy)
    return new StoreError(
      'in_use',
      `the database ${path} is in use by another process: stop that one first, or name another path`,
      cause,
    )
  if (primary === sqliteErrors.notADatabase || primary === sqliteErrors.corrupt)
    return new StoreError('not_a_store', `the database ${path} is damaged: restore it from a backup`, cause)
  return new StoreError('unavailable', `the database ${path} cannot be opened: ${describe(error)}`, cause)
}

function closeBoth(db: DatabaseSync, descriptor: number): void {
  if (!db.isOpen) return
  db.close()
  closeSync(descriptor)
}
