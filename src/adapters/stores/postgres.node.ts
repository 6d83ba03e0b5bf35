/**
 * The store of many replicas: a PostgreSQL database, 15 or newer.
 *
 * Records have a connection of their own, so that nobody's reading keeps a credential waiting. Statements are few and
 * written out, each prepared once in a connection: a query builder would cost more than the rest of a write.
 *
 * @module
 */
import type { ProofClaim, Store } from '../../core/store.ts'
import { createChainNumbers } from './postgres-chains.node.ts'
import { createPostgresConnections, type Lane } from './postgres-connections.node.ts'
import { documentOperations } from './postgres-documents.node.ts'
import { joinTokenOperations } from './postgres-join-tokens.node.ts'
import { type Deadlines, type PostgresStoreConfig, usualDeadlines } from './postgres-options.node.ts'
import { appendOperation, headOperations, readOperations } from './postgres-records.node.ts'
import { bringToLatest, keepPurpose } from './postgres-schema.node.ts'

export type { PostgresStoreConfig } from './postgres-options.node.ts'

/** Besides the one for records. */
const otherConnections = 4

/** @throws {StoreError} `not_a_store`, `newer_version`, `other_purpose`, `read_only`, `unavailable` */
export async function createPostgresStore(
  config: PostgresStoreConfig,
  deadlines: Deadlines = usualDeadlines,
): Promise<Store> {
  const { trustDomain, purpose = 'serve' } = config
  const connections = createPostgresConnections(config, deadlines)
  const records = connections.lane(1)
  const others = connections.lane(otherConnections)
  try {
    await bringToLatest(others)
    await keepPurpose(others, trustDomain, purpose)
  } catch (error) {
    await connections.close()
    throw error
  }
  const tables = { records, others, trustDomain, chains: createChainNumbers(others.run, trustDomain) }
  return {
    ...documentOperations(others, trustDomain),
    appendRecords: appendOperation(tables),
    ...readOperations(tables),
    ...headOperations(tables),
    ...joinTokenOperations(others, trustDomain),
    ...proofClaims(others, trustDomain),
    async check() {
      await others.run(touch, [trustDomain])
    },
    close: connections.close,
  }
}

/** A row that changes nothing is still written and synced: what a full disk or a standby does not let through. */
const touch = {
  name: 'check',
  text: `UPDATE apostille.meta SET value = value WHERE trust_domain = $1 AND name = 'purpose'`,
}

/** Some of what has expired: more than a claim adds, so that they go in the end. Those that others remove are left to them. */
const sweep = {
  name: 'sweep_proof_claims',
  text: `DELETE FROM apostille.proof_claims WHERE trust_domain = $1 AND digest IN
    (SELECT digest FROM apostille.proof_claims WHERE trust_domain = $1 AND expires_at <= $2
      ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED)`,
}
const claim = {
  name: 'claim_proof',
  text: `INSERT INTO apostille.proof_claims AS c (trust_domain, digest, expires_at) VALUES ($1, $2, $3)
    ON CONFLICT (trust_domain, digest) DO UPDATE SET expires_at = excluded.expires_at WHERE c.expires_at <= $4`,
}

function proofClaims({ run }: Lane, trustDomain: string): Pick<Store, 'claimProof'> {
  return {
    async claimProof({ digest, at, expiresAt }: ProofClaim) {
      await run(sweep, [trustDomain, at.getTime()])
      return (await run(claim, [trustDomain, digest, expiresAt.getTime(), at.getTime()])).count === 1
    },
  }
}
