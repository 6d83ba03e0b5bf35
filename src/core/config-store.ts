/**
 * Where the configuration says that things are kept: a file of SQLite, or a PostgreSQL database by its URL.
 *
 * The URL is that of libpq, so that one that `psql` takes is taken here, but for two things: a password is never written
 * in it, and a server that is not on this machine is verified by its name unless the URL says less.
 *
 * @see {@link https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS PostgreSQL §34.1.1.2}
 * @module
 */
import * as z from 'zod'
import type { Found } from './config-source.ts'
import { isLoopback } from './listen-address.ts'

/** A value that stands elsewhere, as it is secret: `${env:NAME}` or `${file:PATH}`. */
export type SecretReference = { readonly env: string } | { readonly file: string }

export type StoreConfig = SqliteConfig | PostgresConfig

export interface SqliteConfig {
  readonly kind: 'sqlite'
  readonly path: string
}

export interface PostgresConfig {
  readonly kind: 'postgres'
  /** At least one; the one that can be written is used, the first of them when there are several. */
  readonly servers: readonly PostgresServer[]
  readonly user: string
  readonly database: string
  /** Absent where the server knows us otherwise: by our user on a unix socket, or by a client certificate. */
  readonly password?: SecretReference
  /** Absent: no TLS. */
  readonly tls?: PostgresTls
}

/** A host, or the folder of a unix socket, which begins with a slash. */
export interface PostgresServer {
  readonly host: string
  readonly port: number
}

export interface PostgresTls {
  /** `full`: certificate and name; `chain`: the certificate alone; `none`: anybody's. */
  readonly verify: 'full' | 'chain' | 'none'
  /** Default: the authorities that Node trusts. */
  readonly ca_file?: string
  readonly cert_file?: string
  readonly key_file?: string
}

const defaultPort = 5432
const sqliteScheme = 'sqlite:'
const expected = 'expected sqlite:PATH or postgres://USER@HOST/DATABASE'
const verifyBySslmode = { 'verify-full': 'full', 'verify-ca': 'chain', require: 'none' } as const
const parameters: ReadonlySet<string> = new Set(['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'host', 'port'])

/** Holds what is wrong with it, for the operator. */
class StoreUrlError extends Error {}

export const storeField = z
  .string()
  .regex(/^(?:sqlite:.+|postgres(?:ql)?:\/\/.+)$/, expected)
  .transform((text, context): StoreConfig => {
    try {
      return text.startsWith(sqliteScheme)
        ? { kind: 'sqlite', path: text.slice(sqliteScheme.length) }
        : parsePostgresUrl(text)
    } catch (error) {
      if (!(error instanceof StoreUrlError)) throw error
      context.addIssue({ code: 'custom', message: error.message })
      return z.NEVER
    }
  })

/** What stands for a password may hold any character, such as the slashes of a path. */
const urlPattern =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/?]*)(?::(?<password>\$\{[^}]*\}|[^@/?]*))?@)?(?<hosts>[^/?]*)(?:\/(?<database>[^?]*))?(?:\?(?<query>.*))?$/

function parsePostgresUrl(text: string): PostgresConfig {
  const parts = urlPattern.exec(text)?.groups
  if (parts === undefined) throw new StoreUrlError(expected)
  const query = parseQuery(parts['query'] ?? '')
  const user = decode(parts['user'] ?? '')
  if (user === '') throw new StoreUrlError('expected the user of the database: postgres://USER@HOST/DATABASE')
  const servers = parseServers(parts['hosts'] ?? '', query)
  const tls = readTls(query, servers)
  return {
    kind: 'postgres',
    servers,
    user,
    database: decode(parts['database'] ?? '') || user,
    ...(parts['password'] && { password: parseSecretReference(parts['password']) }),
    ...(tls && { tls }),
  }
}

function parseSecretReference(text: string): SecretReference {
  const [, kind, name = ''] = /^\$\{(env|file):(.+)\}$/.exec(text) ?? []
  if (kind === 'file') return { file: name }
  if (kind === 'env' && /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return { env: name }
  throw new StoreUrlError(`a password is not written here: name where it stands, as \${file:PATH} or \${env:NAME}`)
}

type Query = ReadonlyMap<string, string>

function parseQuery(text: string): Query {
  const query = new Map(new URLSearchParams(text))
  const unknown = [...query.keys()].find((name) => !parameters.has(name))
  if (unknown !== undefined)
    throw new StoreUrlError(`unknown parameter ${unknown}: there are ${[...parameters].join(', ')}`)
  return query
}

/** `a:1,[::1]:2`; hosts and ports may stand in the query instead, which is the way to name the folder of a socket. */
function parseServers(hosts: string, query: Query): readonly PostgresServer[] {
  const written = hosts === '' ? [] : hosts.split(',').map(parseServer)
  const named = query.get('host')?.split(',') ?? written.map(({ host }) => host)
  if (named.length === 0 || named.includes(''))
    throw new StoreUrlError('expected a host, or the folder of a unix socket: ?host=/run/postgresql')
  const ports = query.get('port')?.split(',').map(parsePort) ?? written.map(({ port }) => port)
  return named.map((host, index) => ({ host, port: ports[index] ?? ports[0] ?? defaultPort }))
}

function parseServer(text: string): PostgresServer {
  const [, ip, name, port] = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]*))(?::(\d*))?$/.exec(text) ?? []
  if (ip === undefined && name === undefined) throw new StoreUrlError(`${text} is no host: expected HOST or HOST:PORT`)
  return { host: ip ?? decode(name ?? ''), port: port ? parsePort(port) : defaultPort }
}

function parsePort(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) throw new StoreUrlError('expected a port from 1 to 65535')
  return port
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new StoreUrlError('a % begins the two hex digits of a character: write %25 for itself')
  }
}

export const isUnixSocket = ({ host }: PostgresServer): boolean => host.startsWith('/')

function readTls(query: Query, servers: readonly PostgresServer[]): PostgresTls | undefined {
  const isNear = servers.every((server) => isUnixSocket(server) || isLoopback(server.host))
  const sslmode = query.get('sslmode') ?? (isNear ? 'disable' : 'verify-full')
  if (sslmode === 'disable') return undefined
  if (servers.some(isUnixSocket)) throw new StoreUrlError('there is no TLS on a unix socket: leave sslmode out')
  if (!Object.hasOwn(verifyBySslmode, sslmode))
    throw new StoreUrlError(`sslmode: expected one of disable, ${Object.keys(verifyBySslmode).join(', ')}`)
  const [ca, cert, key] = ['sslrootcert', 'sslcert', 'sslkey'].map((name) => query.get(name))
  if ((cert === undefined) !== (key === undefined))
    throw new StoreUrlError('sslcert and sslkey: expected both or neither')
  return {
    verify: verifyBySslmode[sslmode as keyof typeof verifyBySslmode],
    ...(ca !== undefined && { ca_file: ca }),
    ...(cert !== undefined && { cert_file: cert }),
    ...(key !== undefined && { key_file: key }),
  }
}

/** What a URL says on purpose is taken, and said again: it is not how it should stay. */
export function findStoreProblems(store: StoreConfig | undefined): readonly Found[] {
  if (store?.kind !== 'postgres') return []
  const far = store.servers.find((server) => !isUnixSocket(server) && !isLoopback(server.host))
  if (far === undefined || store.tls?.verify === 'full') return []
  const risk =
    store.tls === undefined
      ? 'the connection is in the clear'
      : 'whoever stands in the way can take the place of the server'
  const message = `with this sslmode ${risk}: verify-full, with sslrootcert=FILE for an authority of your own, is safe`
  return [{ path: ['store'], message, severity: 'warning' }]
}

/** Every file that is read for it, by the member that names it. */
export function storeFiles(store: StoreConfig): Readonly<Record<string, string>> {
  if (store.kind === 'sqlite') return {}
  const { password, tls } = store
  return { ...(password && 'file' in password && { password: password.file }), ...tlsFiles(tls) }
}

function tlsFiles(tls: PostgresTls | undefined): Readonly<Record<string, string>> {
  const { verify: _verify, ...files } = tls ?? { verify: 'full' }
  return files
}
