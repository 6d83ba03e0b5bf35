/**
 * Which statements reach a PostgreSQL server, how often, and how many rows they read or wrote: as the server itself counts
 * them.
 *
 * @see {@link https://www.postgresql.org/docs/current/pgstatstatements.html pg_stat_statements}
 * @module
 */
import type { PostgresServer } from './postgres.ts'

/**
 * What the server is started with. Of a BEGIN, COMMIT or ROLLBACK that was prepared it counts the first use only, so it
 * counts none: what stands between them is counted.
 */
export const countingSettings = {
  shared_preload_libraries: 'pg_stat_statements',
  'pg_stat_statements.track_utility': 'off',
}

export interface Count {
  readonly calls: number
  readonly rows: number
}

/** By kind. */
export type Counts = Readonly<Record<string, Count>>

export interface StatementCounter {
  /** What was sent to the database during `work`. A statement of no kind that is known here stands under its text. */
  readonly during: (work: () => Promise<void>) => Promise<Counts>
}

const kinds = Object.entries({
  'read a document': /^SELECT version, body FROM apostille\.documents /,
  'list documents': /^SELECT name, version FROM apostille\.documents /,
  'make a document': /^INSERT INTO apostille\.documents /,
  'replace a document': /^UPDATE apostille\.documents /,
  'lock a folder': /^SELECT pg_advisory_xact_lock\(hashtextextended/,
  'make a join token': /^INSERT INTO apostille\.join_tokens /,
  'find a join token': /^SELECT \* FROM apostille\.join_tokens WHERE trust_domain = \$1 AND digest = /,
  'lock join tokens': /^SELECT FROM apostille\.join_tokens .* FOR UPDATE$/,
  'spend a join token': /^UPDATE apostille\.join_tokens SET uses_left = /,
  'append records': /^INSERT INTO apostille\.records /,
  'write a head': /^INSERT INTO apostille\.record_heads /,
})

/** Asks for the counts over another database, so that none of that is among them. */
export async function createStatementCounter(server: PostgresServer, database: string): Promise<StatementCounter> {
  await server.query('CREATE EXTENSION pg_stat_statements')
  // What a connection says first depends on how long the others were idle.
  const select = `SELECT query, calls::int, rows::int FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = '${database}') AND query NOT LIKE 'SELECT current_setting%'`
  return {
    async during(work) {
      await server.query('SELECT pg_stat_statements_reset()')
      await work()
      const counts: Record<string, Count> = {}
      for (const row of await server.query(select)) {
        const kind = kindOf(String(row['query']))
        const { calls, rows } = counts[kind] ?? { calls: 0, rows: 0 }
        counts[kind] = { calls: calls + Number(row['calls']), rows: rows + Number(row['rows']) }
      }
      return counts
    },
  }
}

function kindOf(query: string): string {
  const text = query.replaceAll(/\s+/g, ' ').trim()
  return kinds.find(([, pattern]) => pattern.test(text))?.[0] ?? text
}
