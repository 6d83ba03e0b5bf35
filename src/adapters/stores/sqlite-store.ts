/**
 * A store in SQLite, whatever runs it. Statements run to their end before anything else does, which is what makes a batch
 * cheap; reading therefore goes in pages, and gives way to others before each.
 *
 * @module
 */
import type { ProofClaim, Store, StoredJoinToken } from '../../core/store.ts'
import { createChainIds, headOperations } from './sqlite-chains.ts'
import type { Row } from './sqlite-database.ts'
import { documentOperations } from './sqlite-documents.ts'
import { recordOperations } from './sqlite-records.ts'
import { bytes, number, operation, type Tables, text } from './sqlite-tables.ts'

/** Over tables that are there, as `migrations.ts` makes them. */
export function createStoreOf(tables: Tables): Store {
  const chains = createChainIds(tables)
  return {
    ...documentOperations(tables),
    ...recordOperations(tables, chains),
    ...headOperations(tables, chains),
    ...joinTokens(tables),
    ...proofClaims(tables),
    check: operation(checkTables(tables)),
    close: async () => tables.db.close(),
  }
}

export const joinTokenStatements = {
  insert: `INSERT INTO join_tokens (trust_domain, id, authenticator, name, digest, attributes, uses, uses_left, created_at,
       expires_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  byDigest: 'SELECT * FROM join_tokens WHERE trust_domain = ? AND digest = ?',
  byId: 'SELECT * FROM join_tokens WHERE trust_domain = ? AND id = ?',
  list: 'SELECT * FROM join_tokens WHERE trust_domain = ? AND id > ? ORDER BY id LIMIT ?',
  revoke: 'UPDATE join_tokens SET revoked_at = coalesce(revoked_at, ?3) WHERE trust_domain = ?1 AND id = ?2',
  prune: `DELETE FROM join_tokens WHERE trust_domain = ?1 AND id IN (SELECT id FROM join_tokens
       WHERE trust_domain = ?1 AND expires_at < ?2 AND coalesce(revoked_at, 0) < ?2 LIMIT 1000)`,
} as const

type JoinTokenOperations =
  | 'createJoinToken'
  | 'findJoinToken'
  | 'readJoinToken'
  | 'listJoinTokens'
  | 'revokeJoinToken'
  | 'pruneJoinTokens'

function joinTokens({ db, trustDomain }: Tables): Pick<Store, JoinTokenOperations> {
  const insert = db.prepare(joinTokenStatements.insert)
  const byDigest = db.prepare(joinTokenStatements.byDigest)
  const byId = db.prepare(joinTokenStatements.byId)
  const list = db.prepare(joinTokenStatements.list)
  const revoke = db.prepare(joinTokenStatements.revoke)
  const prune = db.prepare(joinTokenStatements.prune)
  return {
    createJoinToken: operation((token: StoredJoinToken) => insert.run(trustDomain, ...joinTokenValues(token))),
    findJoinToken: operation((digest: Uint8Array) => readJoinToken(byDigest.get(trustDomain, digest))),
    readJoinToken: operation((id: string) => readJoinToken(byId.get(trustDomain, id))),
    listJoinTokens: operation((query: { readonly after?: string; readonly limit: number }) =>
      list.all(trustDomain, query.after ?? '', query.limit).flatMap((row) => readJoinToken(row) ?? []),
    ),
    revokeJoinToken: operation((id: string, at: Date) => revoke.change(trustDomain, id, at.getTime()) === 1),
    pruneJoinTokens: operation((at: Date) => prune.run(trustDomain, at.getTime())),
  }
}

/** In the order of {@link joinTokenStatements}, behind the trust domain. */
export function joinTokenValues(token: StoredJoinToken) {
  const { id, authenticator, name, digest, attributes, uses, usesLeft } = token
  const times = [token.createdAt.getTime(), token.expiresAt.getTime(), token.revokedAt?.getTime() ?? null] as const
  return [id, authenticator, name, digest, JSON.stringify(attributes), uses, usesLeft, ...times] as const
}

export function readJoinToken(row: Row | undefined): StoredJoinToken | undefined {
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

export const claimStatements = {
  sweep: `DELETE FROM proof_claims WHERE trust_domain = ?1 AND digest IN
       (SELECT digest FROM proof_claims WHERE trust_domain = ?1 AND expires_at <= ?2 ORDER BY expires_at LIMIT ${claimsPerSweep})`,
  claim: `INSERT INTO proof_claims (trust_domain, digest, expires_at) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at WHERE expires_at <= ?`,
} as const

function proofClaims({ db, trustDomain }: Tables): Pick<Store, 'claimProof'> {
  const sweep = db.prepare(claimStatements.sweep)
  const claim = db.prepare(claimStatements.claim)
  return {
    claimProof: operation(({ digest, at, expiresAt }: ProofClaim) =>
      db.transact(() => {
        sweep.run(trustDomain, at.getTime())
        return claim.change(trustDomain, digest, expiresAt.getTime(), at.getTime()) === 1
      }),
    ),
  }
}

/** A row that changes nothing is still written and synced: what a full or read-only disk does not let through. */
export const touchStatement = `UPDATE meta SET value = value WHERE trust_domain = ? AND name = 'purpose'`

function checkTables({ db, trustDomain }: Tables): () => void {
  const touch = db.prepare(touchStatement)
  return () => db.transact(() => touch.run(trustDomain))
}
