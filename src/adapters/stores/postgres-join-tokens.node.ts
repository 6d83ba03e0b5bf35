/**
 * Join tokens in a PostgreSQL store.
 *
 * @module
 */
import type { JoinTokenSpend, Store, StoredJoinToken } from '../../core/store.ts'
import type { Lane, Row, Run } from './postgres-connections.node.ts'
import { bytes, date, number, text } from './postgres-rows.ts'

const insert = {
  name: 'create_join_token',
  text: `INSERT INTO apostille.join_tokens (trust_domain, id, authenticator, name, digest, attributes, uses, uses_left,
    created_at, expires_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
}
const byDigest = {
  name: 'join_token_by_digest',
  text: 'SELECT * FROM apostille.join_tokens WHERE trust_domain = $1 AND digest = $2',
}
const byId = {
  name: 'join_token_by_id',
  text: 'SELECT * FROM apostille.join_tokens WHERE trust_domain = $1 AND id = $2',
}
const list = {
  name: 'list_join_tokens',
  text: 'SELECT * FROM apostille.join_tokens WHERE trust_domain = $1 AND id > $2 ORDER BY id LIMIT $3',
}
const revoke = {
  name: 'revoke_join_token',
  text: `UPDATE apostille.join_tokens SET revoked_at = coalesce(revoked_at, $3) WHERE trust_domain = $1 AND id = $2`,
}
const prune = {
  name: 'prune_join_tokens',
  text: `DELETE FROM apostille.join_tokens WHERE trust_domain = $1 AND id IN (SELECT id FROM apostille.join_tokens
    WHERE trust_domain = $1 AND expires_at < $2 AND coalesce(revoked_at, 0) < $2 LIMIT 1000)`,
}

type JoinTokenOperations = Pick<
  Store,
  'createJoinToken' | 'findJoinToken' | 'readJoinToken' | 'listJoinTokens' | 'revokeJoinToken' | 'pruneJoinTokens'
>

export function joinTokenOperations({ run }: Lane, trustDomain: string): JoinTokenOperations {
  return {
    async createJoinToken(token) {
      await run(insert, [trustDomain, ...joinTokenValues(token)])
    },
    findJoinToken: async (digest) => readJoinToken((await run(byDigest, [trustDomain, digest])).rows[0]),
    readJoinToken: async (id) => readJoinToken((await run(byId, [trustDomain, id])).rows[0]),
    listJoinTokens: async ({ after = '', limit }) =>
      (await run(list, [trustDomain, after, limit])).rows.flatMap((row) => readJoinToken(row) ?? []),
    revokeJoinToken: async (id, at) => (await run(revoke, [trustDomain, id, at.getTime()])).count === 1,
    pruneJoinTokens: async (at) => void (await run(prune, [trustDomain, at.getTime()])),
  }
}

/** In the order of ids, so that of two that spend the same none waits for the other in turn. */
const lock = {
  name: 'lock_join_tokens',
  text: 'SELECT FROM apostille.join_tokens WHERE trust_domain = $1 AND id = ANY ($2::text[]) ORDER BY id FOR UPDATE',
}
const take = {
  name: 'spend_join_token',
  text: `UPDATE apostille.join_tokens SET uses_left = uses_left - 1
    WHERE trust_domain = $1 AND id = $2 AND uses_left > 0 AND expires_at > $3 AND revoked_at IS NULL`,
}

/** Takes the uses in their order, within a transaction, and answers for each whether there was one left. */
export async function spendJoinTokens(
  run: Run,
  trustDomain: string,
  spends: readonly JoinTokenSpend[],
): Promise<readonly boolean[]> {
  if (spends.length > 1) await run(lock, [trustDomain, spends.map(({ id }) => id)])
  const taken: boolean[] = []
  for (const { id, at } of spends) taken.push((await run(take, [trustDomain, id, at.getTime()])).count === 1)
  return taken
}

function joinTokenValues(token: StoredJoinToken): readonly unknown[] {
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
    createdAt: date(row, 'created_at'),
    expiresAt: date(row, 'expires_at'),
    ...(row['revoked_at'] === null ? {} : { revokedAt: date(row, 'revoked_at') }),
  }
}
