/**
 * The store of one process: an SQLite database by `node:sqlite`.
 *
 * Statements run to their end on the event loop, which is what makes a batch cheap; reading therefore goes in pages,
 * and gives way to others before each.
 *
 * @module
 */
import type { SQLInputValue } from 'node:sqlite'
import { type ProofClaim, type Store, type StoredJoinToken, StoreError } from '../../core/store.ts'
import { writeBackup } from './sqlite-backup.node.ts'
import { documentOperations } from './sqlite-documents.node.ts'
import { openSqliteFile } from './sqlite-file.node.ts'
import { headOperations, recordOperations } from './sqlite-records.node.ts'
import { bytes, number, operation, type Row, storeError, type Tables, text } from './sqlite-tables.node.ts'

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
  const tables: Tables = { file, db: file.db, trustDomain }
  try {
    keepPurpose(tables, path, purpose)
  } catch (error) {
    file.close()
    throw storeError(error)
  }
  return {
    ...documentOperations(tables),
    ...recordOperations(tables),
    ...headOperations(tables),
    ...joinTokens(tables),
    ...proofClaims(tables),
    check: operation(checkTables(tables)),
    backUp: (to, about) => writeBackup(file.db, to, { ...about, trustDomain, purpose }),
    close: async () => file.close(),
  }
}

/** The purpose is the whole file's, whichever trust domains are in it. */
function keepPurpose({ file, db, trustDomain }: Tables, path: string, purpose: string): void {
  const others = db.prepare(`SELECT value FROM meta WHERE name = 'purpose' AND value <> ?`).get(purpose)
  if (others !== undefined)
    throw new StoreError(
      'other_purpose',
      `the database ${path} was made for \`${text(others, 'value')}\` and is not taken for \`${purpose}\`: name another path`,
    )
  const insert = db.prepare(`INSERT OR IGNORE INTO meta (trust_domain, name, value) VALUES (?, 'purpose', ?)`)
  file.transact(() => insert.run(trustDomain, purpose))
}

function joinTokens({ db, trustDomain }: Tables) {
  const insert = db.prepare(
    `INSERT INTO join_tokens (trust_domain, id, authenticator, name, digest, attributes, uses, uses_left, created_at,
       expires_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const byDigest = db.prepare('SELECT * FROM join_tokens WHERE trust_domain = ? AND digest = ?')
  const byId = db.prepare('SELECT * FROM join_tokens WHERE trust_domain = ? AND id = ?')
  const list = db.prepare('SELECT * FROM join_tokens WHERE trust_domain = ? AND id > ? ORDER BY id LIMIT ?')
  const revoke = db.prepare(
    'UPDATE join_tokens SET revoked_at = coalesce(revoked_at, ?) WHERE trust_domain = ? AND id = ?',
  )
  return {
    createJoinToken: operation((token: StoredJoinToken) => {
      insert.run(trustDomain, ...joinTokenValues(token))
    }),
    findJoinToken: operation((digest: Uint8Array) => readJoinToken(byDigest.get(trustDomain, digest))),
    readJoinToken: operation((id: string) => readJoinToken(byId.get(trustDomain, id))),
    listJoinTokens: operation((query: { readonly after?: string; readonly limit: number }) =>
      list.all(trustDomain, query.after ?? '', query.limit).flatMap((row) => readJoinToken(row) ?? []),
    ),
    revokeJoinToken: operation((id: string, at: Date) => revoke.run(at.getTime(), trustDomain, id).changes === 1),
  }
}

function joinTokenValues(token: StoredJoinToken): SQLInputValue[] {
  const times = [token.createdAt.getTime(), token.expiresAt.getTime(), token.revokedAt?.getTime() ?? null]
  const { id, authenticator, name, digest, attributes, uses, usesLeft } = token
  return [id, authenticator, name, digest, JSON.stringify(attributes), uses, usesLeft, ...times]
}

function readJoinToken(row: Row | undefined): StoredJoinToken | undefined {
  if (row === undefined) return undefined
  return {
    id: text(row, 'id'),
    authenticator: text(row, 'authenticator'),
    name: text(row, 'name'),
    digest: bytes(row, 'digest'),
    attributes: JSON.parse(text(row, 'attributes')) as Readonly<Record<string, string>>,
    uses: number(row, 'uses'),
    usesLeft: number(row, 'uses_left'),
    createdAt: new Date(number(row, 'created_at')),
    expiresAt: new Date(number(row, 'expires_at')),
    ...(row['revoked_at'] === null ? {} : { revokedAt: new Date(number(row, 'revoked_at')) }),
  }
}

/** Expired claims that one call removes: more than it adds, so that they go in the end. */
const claimsPerSweep = 100

function proofClaims({ file, db, trustDomain }: Tables): Pick<Store, 'claimProof'> {
  const sweep = db.prepare(
    `DELETE FROM proof_claims WHERE trust_domain = ?1 AND digest IN
       (SELECT digest FROM proof_claims WHERE trust_domain = ?1 AND expires_at <= ? ORDER BY expires_at LIMIT ${claimsPerSweep})`,
  )
  const claim = db.prepare(
    `INSERT INTO proof_claims (trust_domain, digest, expires_at) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at WHERE expires_at <= ?`,
  )
  return {
    claimProof: operation(({ digest, at, expiresAt }: ProofClaim) =>
      file.transact(() => {
        sweep.run(trustDomain, at.getTime())
        return claim.run(trustDomain, digest, expiresAt.getTime(), at.getTime()).changes === 1
      }),
    ),
  }
}

/** A row that changes nothing is still written and synced: what a full or read-only disk does not let through. */
function checkTables({ file, db, trustDomain }: Tables): () => void {
  const touch = db.prepare(`UPDATE meta SET value = value WHERE trust_domain = ? AND name = 'purpose'`)
  return () => {
    file.transact(() => touch.run(trustDomain))
  }
}
