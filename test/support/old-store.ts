/**
 * What a gateway has kept that was stopped some versions ago: `test/vectors/stores` holds such stores as SQL. Run by
 * itself, this makes one of the present version:
 *
 *     node test/support/old-store.ts sqlite:PATH | postgres://… >test/vectors/stores/NAME.sql
 *
 * @module
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import { applicationId } from '../../src/adapters/stores/migrations.ts'
import { postgresMigrations } from '../../src/adapters/stores/postgres-migrations.ts'
import { type PostgresConfig, storeField } from '../../src/core/config-store.ts'
import { silentTelemetry } from '../../src/core/telemetry.ts'
import { startServer } from '../../src/runtime/server.node.ts'
import { send } from './wire.ts'

/** Of no gateway but that of the tests. */
export const oldSealKey = 'b2xkIHNlYWwga2V5IG9mIHRlc3RzLCBubyBzZWNyZXQ='
export const oldDocument = {
  trust_domain: 'example.org',
  issuer: 'https://id.example.org',
  listen: { address: 'unix:./public.sock', tls: 'off' },
  admin: { listen: 'unix:./admin.sock' },
  seal: { env: 'SEAL' },
  authorities: {
    x509: { ttl: '3660d' },
    jwt: { algorithms: ['ES256'], rs256_audiences: [], ttl: '3660d' },
  },
  authenticators: { first: { type: 'join_token' } },
  identities: [{ from: 'first', spiffe_id: '/vm/${proof.name}', audiences: ['*'] }],
}

/** Authorities, a join token with one of its two uses left, a secret, three records and the head of their chain. */
async function fill(store: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'apostille-old-'))
  try {
    const configFile = join(folder, 'apostille.yaml')
    writeFileSync(configFile, JSON.stringify({ ...oldDocument, store }))
    const metrics = async () => ({ contentType: '', body: '' })
    const settings = {
      configFile,
      logLevel: 'info',
      logFormat: 'json',
      purpose: 'serve',
      env: { SEAL: oldSealKey },
    } as const
    const server = await startServer(settings, { telemetry: silentTelemetry, metrics })
    const { admin, main } = server.addresses
    const json = (body: object) => ({ method: 'POST', body: JSON.stringify(body) })
    const wanted = { authenticator: 'first', name: 'web', uses: 2, ttl_seconds: 3600 }
    const { token } = (await send({ address: admin }, '/v1/join-tokens', json(wanted))).json()
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    await send({ address: main }, '/v1/svid/jwt', { ...json({ audience: ['x'] }), headers })
    await send({ address: admin }, '/v1/kv/data/team/db', json({ data: { password: 'kept' } }))
    await server.close()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const quote = (value: unknown): string => {
  if (value === null) return 'NULL'
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  return `'${String(value).replaceAll("'", "''")}'`
}

function insertOf(table: string, row: Readonly<Record<string, unknown>>, bytes: (hex: string) => string): string {
  const values = Object.values(row).map((value) =>
    value instanceof Uint8Array ? bytes(Buffer.from(value).toString('hex')) : quote(value),
  )
  return `INSERT INTO ${table} (${Object.keys(row).join(', ')}) VALUES (${values.join(', ')});\n`
}

function dumpSqlite(path: string): string {
  using db = new DatabaseSync(path)
  const version = db.prepare('PRAGMA user_version').get()?.['user_version']
  const schema = db.prepare('SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL').all()
  const rows = schema
    .filter(({ type }) => type === 'table')
    .flatMap(({ name }) =>
      db
        .prepare(`SELECT * FROM ${name}`)
        .all()
        .map((row) => insertOf(String(name), row, (hex) => `x'${hex}'`)),
    )
  const head = `PRAGMA application_id = ${applicationId};\nPRAGMA user_version = ${version};\n`
  return `${head}${schema.map(({ sql }) => `${sql};\n`).join('')}${rows.join('')}`
}

const tables = ['meta', 'documents', 'chains', 'records', 'record_heads', 'join_tokens', 'proof_claims']

async function dumpPostgres(url: string): Promise<string> {
  const { servers, user, database } = storeField.parse(url) as PostgresConfig
  const client = new pg.Client({ ...servers[0], user, database })
  await client.connect()
  const ddl = `CREATE SCHEMA apostille;
CREATE TABLE apostille.schema_version (version integer NOT NULL, single boolean PRIMARY KEY DEFAULT true CHECK (single));
INSERT INTO apostille.schema_version (version) VALUES (${postgresMigrations.length});`
  const rows: string[] = []
  for (const table of tables) {
    const found = await client.query(`SELECT * FROM apostille.${table}`)
    const insert = (row: Readonly<Record<string, unknown>>) =>
      insertOf(`apostille.${table}`, row, (hex) => `'\\x${hex}'`).replace(
        ' VALUES ',
        table === 'chains' ? ' OVERRIDING SYSTEM VALUE VALUES ' : ' VALUES ',
      )
    rows.push(...found.rows.map(insert))
  }
  await client.end()
  return `${ddl}${postgresMigrations.join('')}\n${rows.join('')}SELECT setval('apostille.chains_number_seq', 1000);\n`
}

/** The statements that make a store again. Its join token does not end meanwhile, as one that has ended goes. */
export function readOldStore(name: string): string {
  const sql = readFileSync(join(import.meta.dirname, '../vectors/stores', `${name}.sql`), 'utf8')
  const [, table] = /^INSERT INTO (\S*join_tokens) /m.exec(sql) ?? []
  return `${sql}UPDATE ${table} SET expires_at = ${Date.UTC(2100, 0)};\n`
}

if (import.meta.main) {
  const store = process.argv[2] ?? ''
  await fill(store)
  const sql = store.startsWith('sqlite:') ? dumpSqlite(store.slice('sqlite:'.length)) : await dumpPostgres(store)
  process.stdout.write(`-- A store as this version left it: node test/support/old-store.ts\n${sql}`)
}
