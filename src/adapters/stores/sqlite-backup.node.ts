/**
 * Backups of an SQLite store: a database of the same form, marked as a backup so that nothing takes it for a store.
 *
 * @module
 */
import { chmodSync, closeSync, fsyncSync, openSync, rmSync } from 'node:fs'
import { backup, DatabaseSync } from 'node:sqlite'
import { StoreError } from '../../core/store.ts'
import { applicationId, migrations } from './migrations.ts'
import { describe } from './sqlite-database.ts'

/** What a backup says of itself. */
export interface BackupFacts {
  readonly trustDomain: string
  readonly at: Date
  /** What the store was for, see `SqliteStoreConfig`. */
  readonly purpose: string
  /** Of the seal key under which everything in it is sealed, as `sealKeyId` tells them apart. */
  readonly sealKey: string
}

/** Pages that are copied at once: requests wait for so many. */
const pagesPerStep = 64

/**
 * Copies the database as it is at one moment, while it is used. What its own connection changes meanwhile is in the
 * copy, too.
 *
 * @throws {StoreError} `unavailable`
 */
export async function writeBackup(db: DatabaseSync, path: string, facts: BackupFacts): Promise<void> {
  removeDatabase(path)
  try {
    // Empty files are databases without a table: so the copy is 0600 from its first byte on.
    closeSync(openSync(path, 'wx', 0o600))
    chmodSync(path, 0o600)
    await backup(db, path, { rate: pagesPerStep })
    markAsBackup(path, facts)
    syncFile(path)
  } catch (cause) {
    removeDatabase(path)
    throw new StoreError('unavailable', `the backup can not be written: ${describe(cause)}`, { cause })
  }
}

function markAsBackup(path: string, { trustDomain, at, purpose, sealKey }: BackupFacts): void {
  using db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = DELETE; BEGIN')
  db.prepare(`UPDATE meta SET value = 'backup' WHERE name = 'purpose'`).run()
  db.prepare(`INSERT OR REPLACE INTO meta (trust_domain, name, value) VALUES (?, 'backup', ?)`).run(
    trustDomain,
    JSON.stringify({ at: at.toISOString(), purpose, sealKey }),
  )
  db.exec('COMMIT')
}

/** @throws {StoreError} `not_a_store`, `newer_version` for what is no backup of this trust domain */
export function readBackupFacts(path: string, trustDomain: string): BackupFacts {
  try {
    using db = new DatabaseSync(path, { readOnly: true })
    requireOurs(path, db)
    const row = db.prepare(`SELECT value FROM meta WHERE trust_domain = ? AND name = 'backup'`).get(trustDomain)
    if (row === undefined) throw noBackup(path, `holds none of the trust domain ${trustDomain}`)
    const { at, purpose, sealKey } = JSON.parse(String(row['value'])) as Readonly<Record<string, string>>
    return { trustDomain, at: new Date(at ?? 0), purpose: purpose ?? '', sealKey: sealKey ?? '' }
  } catch (cause) {
    if (cause instanceof StoreError) throw cause
    throw noBackup(path, `can not be read: ${describe(cause)}`, cause)
  }
}

function requireOurs(path: string, db: DatabaseSync): void {
  const pragma = (name: string) => Number(db.prepare(`PRAGMA ${name}`).get()?.[name])
  if (pragma('application_id') !== applicationId) throw noBackup(path, 'is none')
  if (pragma('user_version') > migrations.length)
    throw new StoreError(
      'newer_version',
      `the backup ${path} was made by a newer version of this program: run that one`,
    )
  const checked = db.prepare('PRAGMA quick_check(1)').get()?.['quick_check']
  if (checked !== 'ok') throw noBackup(path, 'is damaged')
}

function noBackup(path: string, why: string, cause?: unknown): StoreError {
  return new StoreError('not_a_store', `a backup is expected, and ${path} ${why}`, { cause })
}

/**
 * Makes a store of a copy of a backup: from then on it is taken for one. No join token has a use left, as those that were
 * used since are not known. Answers how many had.
 */
export function markAsStore(path: string, { purpose }: Pick<BackupFacts, 'purpose'>): { readonly joinTokens: number } {
  using db = new DatabaseSync(path)
  db.exec('BEGIN')
  const { changes } = db.prepare('UPDATE join_tokens SET uses_left = 0 WHERE uses_left > 0').run()
  db.prepare(`UPDATE meta SET value = ? WHERE name = 'purpose'`).run(purpose)
  db.prepare(`DELETE FROM meta WHERE name = 'backup'`).run()
  db.exec('COMMIT; PRAGMA journal_mode = DELETE')
  db.close()
  syncFile(path)
  return { joinTokens: Number(changes) }
}

/** With what SQLite keeps beside it. */
export function removeDatabase(path: string): void {
  for (const end of ['', '-wal', '-shm', '-journal']) rmSync(`${path}${end}`, { force: true })
}

function syncFile(path: string): void {
  const descriptor = openSync(path, 'r')
  fsyncSync(descriptor)
  closeSync(descriptor)
}
