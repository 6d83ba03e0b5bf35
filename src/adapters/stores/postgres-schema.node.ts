/**
 * The schema of a PostgreSQL store: made, or brought to the present version, by one replica while the others wait.
 *
 * @module
 */
import { StoreError } from '../../core/store.ts'
import type { Lane, Run } from './postgres-connections.node.ts'
import { postgresMigrations, schemaLock } from './postgres-migrations.ts'
import { number, text } from './postgres-rows.ts'

/** How long a change of the tables may take, and a replica waits for another that makes it. */
const migrationMs = 300_000
const latest = postgresMigrations.length

const findVersion = {
  name: 'find_version',
  text: `SELECT to_regclass('apostille.schema_version') IS NOT NULL AS is_ours,
    EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = 'apostille') AS is_taken`,
}
const readVersion = { name: 'read_version', text: 'SELECT version FROM apostille.schema_version' }
const makeFirst = `
  CREATE SCHEMA IF NOT EXISTS apostille;
  CREATE TABLE apostille.schema_version (version integer NOT NULL, single boolean PRIMARY KEY DEFAULT true CHECK (single));
  INSERT INTO apostille.schema_version (version) VALUES (0)`

/** @throws {StoreError} `newer_version`, `not_a_store`, `read_only` where there is something to change and it takes no writes */
export async function bringToLatest(lane: Lane): Promise<void> {
  if ((await versionOf(lane.run)) === latest) return
  await lane.transact(async (run) => {
    const locked = `SET LOCAL statement_timeout = ${migrationMs}; SET LOCAL lock_timeout = ${migrationMs};
      SELECT pg_advisory_xact_lock(${schemaLock})`
    const patiently = (text: string) => run({ text, answerMs: migrationMs })
    await patiently(locked)
    const before = await versionOf(run)
    if (before === 0) await patiently(makeFirst)
    for (const step of postgresMigrations.slice(before)) await patiently(step)
    await patiently(`UPDATE apostille.schema_version SET version = ${latest}`)
  })
}

/** 0: there is nothing yet. */
async function versionOf(run: Run): Promise<number> {
  const [found] = (await run(findVersion)).rows
  if (found?.['is_ours'] !== true) {
    if (found?.['is_taken'] === true)
      throw new StoreError(
        'not_a_store',
        'the schema apostille of the database belongs to another application: name another database; it was not changed',
      )
    return 0
  }
  const [row] = (await run(readVersion)).rows
  const version = row ? number(row, 'version') : 0
  if (version > latest)
    throw new StoreError(
      'newer_version',
      `the database has schema version ${version}, and this program knows versions up to ${latest}: run the newer program; the database was not changed`,
    )
  return version
}

const findOtherPurpose = {
  name: 'find_other_purpose',
  text: `SELECT value FROM apostille.meta WHERE name = 'purpose' AND value <> $1 LIMIT 1`,
}
const findPurpose = {
  name: 'find_purpose',
  text: `SELECT FROM apostille.meta WHERE trust_domain = $1 AND name = 'purpose'`,
}
const keepPurposeOf = {
  name: 'keep_purpose',
  text: `INSERT INTO apostille.meta (trust_domain, name, value) VALUES ($1, 'purpose', $2) ON CONFLICT DO NOTHING`,
}

/** The purpose is the whole database's, whichever trust domains are in it. @throws {StoreError} `other_purpose` */
export async function keepPurpose({ run }: Lane, trustDomain: string, purpose: string): Promise<void> {
  const [other] = (await run(findOtherPurpose, [purpose])).rows
  if (other !== undefined)
    throw new StoreError(
      'other_purpose',
      `the database was made for \`${text(other, 'value')}\` and is not taken for \`${purpose}\`: name another database`,
    )
  if ((await run(findPurpose, [trustDomain])).count === 0) await run(keepPurposeOf, [trustDomain, purpose])
}
