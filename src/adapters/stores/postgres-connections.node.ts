/**
 * Connections to the servers of a PostgreSQL store: some kept open, made anew after a failure, each attempt later than
 * the one before, and never waited for longer than the deadlines.
 *
 * Whatever becomes of a server, a connection that did not answer in time, or that was told that it may not write, is
 * given up: the next one may meet the server that has taken its place.
 *
 * @module
 */
import pg from 'pg'
import { createConcurrencyLimit } from '../../core/concurrency-limit.ts'
import { StoreError } from '../../core/store.ts'
import { createDoublingPause } from '../doubling-pause.ts'
import { endsConnection, isWorthAnotherTry, postgresError } from './postgres-errors.ts'
import { connectionOptions, type Deadlines, type PostgresStoreConfig } from './postgres-options.node.ts'

export interface Statement {
  /** Prepared under this name, once in each connection. Absent: it is sent as it is, may be several, and has no values. */
  readonly name?: string
  readonly text: string
  /** Default: that of the deadlines. */
  readonly answerMs?: number
}

export type Row = Readonly<Record<string, unknown>>

export interface Outcome {
  readonly rows: readonly Row[]
  /** How many rows were read or written. */
  readonly count: number
}

export type Run = (statement: Statement, values?: readonly unknown[]) => Promise<Outcome>

/** A number of connections for one kind of work, which others can not take up. */
export interface Lane {
  /** In a transaction of its own, durable when this answers. @throws {StoreError} */
  readonly run: Run
  /**
   * All that `work` runs together, durable when this answers. What it throws undoes it, and so does a result that is not
   * to be kept. Run again where others stood in its way.
   *
   * @throws {StoreError}
   */
  readonly transact: <T>(work: (run: Run) => Promise<T>, isKept?: (result: T) => boolean) => Promise<T>
}

export interface PostgresConnections {
  readonly lane: (connections: number) => Lane
  readonly close: () => Promise<void>
}

const pauses = { firstMs: 100, longestMs: 1_000 }
const idleMs = 30_000
const attempts = 3
const begin = { name: 'begin', text: 'BEGIN' }
const commit = { name: 'commit', text: 'COMMIT' }
const rollback = { name: 'rollback', text: 'ROLLBACK' }

export function createPostgresConnections(config: PostgresStoreConfig, deadlines: Deadlines): PostgresConnections {
  const { servers } = config
  const pause = createDoublingPause(pauses)
  const pools: pg.Pool[] = []
  /** The one that answered last. */
  let current = 0
  let problem: unknown
  let closed = false

  function createPools(max: number): readonly pg.Pool[] {
    return servers.map((server) => {
      const options = connectionOptions(config, server, deadlines)
      const onConnect = (client: pg.ClientBase) => prepareSession(client as pg.PoolClient, deadlines)
      const pool = new pg.Pool({ ...options, max, idleTimeoutMillis: idleMs, onConnect })
      // Of a connection that nobody uses: it is taken out, and that is all.
      pool.on('error', () => undefined)
      pools.push(pool)
      return pool
    })
  }

  async function connect(lane: readonly pg.Pool[]): Promise<pg.PoolClient> {
    if (closed) throw new StoreError('unavailable', 'the store is closed')
    if (!pause.isOver(performance.now())) throw problem
    for (let tried = 0; tried < servers.length; tried++) {
      const index = (current + tried) % servers.length
      try {
        const client = await (lane[index] as pg.Pool).connect()
        current = index
        pause.end()
        return client
      } catch (error) {
        problem = error
      }
    }
    if (pause.isOver(performance.now())) pause.begin(performance.now())
    throw problem
  }

  /** Where there are several servers, one that takes no writes is a standby, and another is the primary. */
  function moveOn(error: unknown): void {
    if (postgresError(error).code === 'read_only') current = (current + 1) % servers.length
  }

  async function withClient<T>(lane: readonly pg.Pool[], work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await connect(lane)
    const lost = () => undefined
    client.on('error', lost)
    let failure: unknown
    try {
      return await work(client)
    } catch (error) {
      failure = error
      moveOn(error)
      throw error
    } finally {
      client.off('error', lost)
      client.release(failure !== undefined && endsConnection(failure))
    }
  }

  function createLane(connections: number): Lane {
    const lane = createPools(connections)
    // Ahead of the pool, whose own queue takes a long wait for a server that does not answer.
    const limit = createConcurrencyLimit(connections)
    const use = <T>(work: (client: pg.PoolClient) => Promise<T>) => limit(() => withClient(lane, work))
    return {
      run: (statement, values) => told(() => use((client) => runOn(client, statement, values))),
      transact: (work, isKept = () => true) =>
        told(() => again(() => use((client) => transactOn(client, work, isKept)))),
    }
  }

  return {
    lane: createLane,
    async close() {
      if (closed) return
      closed = true
      await Promise.all(pools.map((pool) => pool.end()))
    },
  }
}

/** @throws {StoreError} */
async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw postgresError(error)
  }
}

async function again<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (attempt === attempts || !isWorthAnotherTry(error)) throw error
    }
  }
}

async function runOn(client: pg.PoolClient, statement: Statement, values?: readonly unknown[]): Promise<Outcome> {
  const { name, text, answerMs } = statement
  const { rows, rowCount } = await client.query({
    text,
    ...(name !== undefined && { name, values: (values ?? []) as unknown[] }),
    ...(answerMs !== undefined && { query_timeout: answerMs }),
  })
  return { rows: rows as readonly Row[], count: rowCount ?? 0 }
}

async function transactOn<T>(
  client: pg.PoolClient,
  work: (run: Run) => Promise<T>,
  isKept: (result: T) => boolean,
): Promise<T> {
  await runOn(client, begin)
  try {
    const result = await work((statement, values) => runOn(client, statement, values))
    await runOn(client, isKept(result) ? commit : rollback)
    return result
  } catch (error) {
    // Where the connection is given up the server undoes it.
    if (!endsConnection(error)) await runOn(client, rollback)
    throw error
  }
}

/**
 * What every connection says first. Records are durable before credentials leave, whatever the server's own setting is;
 * one that stops within a transaction, as a frozen process does, holds its locks no longer than the deadlines allow.
 */
const sessionText = `SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding,
  set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on'
    ELSE current_setting('synchronous_commit') END, false),
  set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false),
  set_config('idle_in_transaction_session_timeout', $1, false)`

const oldestVersion = 150_000

async function prepareSession(client: pg.PoolClient, { statementMs, lockMs }: Deadlines): Promise<void> {
  const { rows } = await client.query(sessionText, [String(statementMs), String(lockMs)])
  const { version, encoding } = rows[0] as { readonly version: number; readonly encoding: string }
  if (version < oldestVersion)
    throw new StoreError(
      'not_a_store',
      `the server is PostgreSQL ${Math.floor(version / 10_000)}, and 15 is the oldest that serves`,
    )
  if (encoding !== 'UTF8')
    throw new StoreError(
      'not_a_store',
      `the database has the encoding ${encoding}, and UTF8 is needed: make another with createdb --encoding UTF8 --template template0`,
    )
}
