/**
 * How the server of a PostgreSQL store is reached: options for `pg`, with the secrets read anew for each connection, so
 * that a password or a certificate that was replaced is taken without a restart.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { ConnectionOptions } from 'node:tls'
import type { PoolConfig } from 'pg'
import type { PostgresConfig, PostgresServer, PostgresTls, SecretReference } from '../../core/config-store.ts'
import { StoreError } from '../../core/store.ts'

export interface PostgresStoreConfig extends PostgresConfig {
  readonly trustDomain: string
  /** Kept in a new database; one that was made for another purpose is refused. Default `serve`. */
  readonly purpose?: 'serve' | 'dev' | 'backup'
  readonly env: Readonly<Record<string, string | undefined>>
}

/** How long anything takes at most, in milliseconds. */
export interface Deadlines {
  readonly connectMs: number
  /** Told to the server. */
  readonly statementMs: number
  readonly lockMs: number
  /** For the answer; a connection that does not give it is given up. Beyond `statementMs`. */
  readonly answerMs: number
}

/** Short, as callers wait: after all of them together another attempt finds a database that is back within 5 s. */
export const usualDeadlines: Deadlines = { connectMs: 2_000, statementMs: 3_000, lockMs: 2_000, answerMs: 3_500 }

const keepAliveMs = 10_000

export function connectionOptions(
  config: PostgresStoreConfig,
  server: PostgresServer,
  deadlines: Deadlines,
): PoolConfig {
  return {
    host: server.host,
    port: server.port,
    user: config.user,
    database: config.database,
    // Always a function: without one `pg` looks for a password in the environment and in files of its own.
    password: () => readSecret(config.password, config.env),
    ssl: config.tls === undefined ? false : tlsOptions(config.tls),
    application_name: `apostille ${config.trustDomain}`.slice(0, 63),
    connectionTimeoutMillis: deadlines.connectMs,
    query_timeout: deadlines.answerMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveMs,
  }
}

async function readSecret(reference: SecretReference | undefined, env: PostgresStoreConfig['env']): Promise<string> {
  if (reference === undefined)
    throw new StoreError('unavailable', `the database asks for a password: name one in the URL, as \${file:PATH}`)
  if ('file' in reference) return readPasswordFile(reference.file)
  const value = env[reference.env]
  if (value === undefined || value === '')
    throw new StoreError('unavailable', `the database asks for a password, and ${reference.env} is not set`)
  return value
}

async function readPasswordFile(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '')
  } catch (cause) {
    throw unreadable('the password of the database', file, cause)
  }
}

function unreadable(what: string, file: string, cause: unknown): StoreError {
  const { code } = cause as NodeJS.ErrnoException
  return new StoreError('unavailable', `${what} can not be read: ${file} (${code ?? 'unknown error'})`, { cause })
}

/** The files are read by whoever reads the members, which `pg` does once for each connection. */
function tlsOptions({ verify, ca_file, cert_file, key_file }: PostgresTls): ConnectionOptions {
  const options: ConnectionOptions = {
    rejectUnauthorized: verify !== 'none',
    minVersion: 'TLSv1.2',
    ...(verify === 'chain' && { checkServerIdentity: () => undefined }),
  }
  for (const [name, file] of Object.entries({ ca: ca_file, cert: cert_file, key: key_file }))
    if (file !== undefined) Object.defineProperty(options, name, { enumerable: true, get: () => readTlsFile(file) })
  return options
}

function readTlsFile(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw unreadable('a file of sslrootcert, sslcert or sslkey', file, cause)
  }
}
