/**
 * Real PostgreSQL servers, each in a folder of its own, that can be stopped, killed, frozen and started again.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { freePorts, poll, runOk } from './command.ts'
import { part } from './parts.ts'

/** The oldest that serves and the newest there is: what npm calls them. */
export const postgresVersions = { 15: '15.18.0-beta.17', 18: '18.4.0-beta.17' } as const
export type PostgresVersion = keyof typeof postgresVersions

export interface PostgresServer {
  readonly port: number
  /** Of the unix socket. */
  readonly folder: string
  /** Data, and files that its settings name. */
  readonly data: string
  /** For a configuration: by the unix socket, unless another host and port are given. */
  readonly url: (database: string, at?: { readonly host: string; readonly port: number }) => string
  /** Runs statements as the administrator. */
  readonly query: (text: string, database?: string) => Promise<readonly Readonly<Record<string, unknown>>[]>
  readonly start: () => Promise<void>
  /** `fast` cuts connections and ends in order; `kill` is SIGKILL to all of it. */
  readonly stop: (how: 'fast' | 'kill') => Promise<void>
  /** SIGSTOP and SIGCONT to all of it. */
  readonly freeze: () => Promise<void>
  readonly thaw: () => Promise<void>
}

export const administrator = 'apostille'
/** The server refuses to run as root; this user is on every system. */
const nobody = 65_534
const isRoot = process.getuid?.() === 0
const identity = isRoot ? { uid: nobody, gid: nobody } : {}

export interface PostgresOptions {
  readonly settings?: Readonly<Record<string, string>>
  /** Lines of pg_hba.conf; everybody is trusted by default. */
  readonly auth?: 'trust' | 'scram-sha-256'
  readonly password?: string
  /** What starts the server, such as `taskset -c 1`. */
  readonly prefix?: readonly string[]
  /** A standby of this one, which is stopped, copied and started again. */
  readonly standbyOf?: PostgresServer
}

/** Runs until the stack ends. */
export async function startPostgres(
  stack: AsyncDisposableStack,
  version: PostgresVersion,
  options: PostgresOptions = {},
): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'apostille-pg-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const programs = await reachablePrograms(folder, version)
  const data = join(folder, 'data')
  if (isRoot) await chown(folder, nobody, nobody)
  await chmod(folder, 0o755)
  if (options.standbyOf) await copyData(options.standbyOf, data)
  else await initialise(programs, folder, data, options)
  const [port = 0] = await freePorts(1)
  const server = createServer({ programs, folder, data, port, ...options })
  stack.defer(() => server.stop('kill'))
  await server.start()
  return server
}

/** The home of root is closed to others. */
async function reachablePrograms(folder: string, version: PostgresVersion): Promise<string> {
  const programs = await part('postgres.sh', postgresVersions[version])
  if (!isRoot) return programs
  const copy = join(folder, 'programs')
  await cp(programs, copy, { recursive: true, verbatimSymlinks: true })
  return copy
}

async function copyData(primary: PostgresServer, data: string): Promise<void> {
  await primary.stop('fast')
  await runOk('cp', ['-a', primary.data, data])
  await primary.start()
  const signal = join(data, 'standby.signal')
  const settings = join(data, 'postgresql.auto.conf')
  await writeFile(signal, '')
  const address = `host=${primary.folder} port=${primary.port} user=${administrator}`
  await writeFile(settings, `primary_conninfo = '${address}'\n`)
  if (isRoot) for (const file of [signal, settings]) await chown(file, nobody, nobody)
}

async function initialise(
  programs: string,
  folder: string,
  data: string,
  { auth = 'trust' }: PostgresOptions,
): Promise<void> {
  const args = ['--pgdata', data, '--username', administrator, '--auth', 'trust', '--auth-host', auth]
  args.push('--no-sync', '--encoding', 'UTF8', '--no-locale')
  const child = spawn(join(programs, 'bin/initdb'), args, {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
    ...identity,
  })
  let complaint = ''
  child.stderr?.on('data', (chunk) => {
    complaint += chunk
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`initdb ended with ${code}: ${complaint.slice(-2000)}`)
}

interface ServerParts extends PostgresOptions {
  readonly programs: string
  readonly folder: string
  readonly data: string
  readonly port: number
}

function createServer({ programs, folder, data, port, settings, password, prefix = [] }: ServerParts): PostgresServer {
  let child: ChildProcess | undefined
  const options = { listen_addresses: '127.0.0.1', unix_socket_directories: folder, fsync: 'off', ...settings }
  const args = ['-D', data, '-p', String(port), ...Object.entries(options).map(([name, value]) => `--${name}=${value}`)]

  async function query(text: string, database = 'postgres') {
    const client = new pg.Client({ host: folder, port, user: administrator, database })
    client.on('error', () => {})
    await client.connect()
    try {
      const result: unknown = await client.query(text)
      return (Array.isArray(result) ? result.at(-1) : result).rows ?? []
    } finally {
      await client.end()
    }
  }
  async function start(): Promise<void> {
    const [command = '', ...words] = [...prefix, join(programs, 'bin/postgres'), ...args]
    child = spawn(command, words, { cwd: folder, stdio: 'ignore', detached: true, ...identity })
    await poll('PostgreSQL', 30_000, () => query('SELECT 1').catch(() => undefined), 50)
    if (password !== undefined) await query(`ALTER USER ${administrator} PASSWORD '${password}'`)
  }
  async function stop(how: 'fast' | 'kill'): Promise<void> {
    const running = child
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    const ended = once(running, 'exit')
    if (how === 'fast') running.kill('SIGINT')
    else await signalAll('SIGKILL')
    await ended
    child = undefined
  }
  /** Every server process is in a session of its own. */
  async function signalAll(signal: NodeJS.Signals): Promise<void> {
    const pid = child?.pid
    if (pid === undefined) return
    const pids = [pid, ...(await childrenOf(pid))]
    for (const each of pids) kill(each, signal)
  }
  return {
    port,
    folder,
    data,
    url: (database, at) =>
      at === undefined
        ? `postgres://${administrator}@/${database}?host=${folder}&port=${port}`
        : `postgres://${administrator}@${at.host}:${at.port}/${database}`,
    query,
    start,
    stop,
    freeze: () => signalAll('SIGSTOP'),
    thaw: () => signalAll('SIGCONT'),
  }
}

async function childrenOf(parent: number): Promise<readonly number[]> {
  const list = spawn('ps', ['-o', 'pid=', '--ppid', String(parent)], { stdio: ['ignore', 'pipe', 'ignore'] })
  let text = ''
  list.stdout.on('data', (chunk) => {
    text += chunk
  })
  await once(list, 'close')
  return text.split(/\s+/).filter(Boolean).map(Number)
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** An empty database of that name. */
export async function makeDatabase(server: PostgresServer, name: string): Promise<void> {
  await server.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
  await server.query(`CREATE DATABASE ${name}`)
}
