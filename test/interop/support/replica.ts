/**
 * A gateway in a process of its own, started by `serve` as operators do: killed, frozen and restarted by tests.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePorts } from './command.ts'
import { ask, type Got, type Wanted } from './https.ts'

const mainFile = join(import.meta.dirname, '../../../src/cli/main.ts')

/** What all replicas have in common. */
export interface Deployment {
  /** A folder of its own for each replica is made in it. */
  readonly folder: string
  /** Of `store`. */
  readonly store: string
  /** What the configuration has besides trust domain, issuer, listeners, store and seal. */
  readonly document: Readonly<Record<string, unknown>>
}

export interface ReplicaOptions {
  /** Flags of `serve`. */
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** In the place of that of the deployment. */
  readonly store?: string
  readonly nodeArgs?: readonly string[]
}

export interface Replica {
  readonly name: string
  readonly folder: string
  readonly port: number
  readonly pid: () => number
  readonly ask: (path: string, wanted?: Wanted) => Promise<Got>
  readonly admin: (path: string, wanted?: Wanted) => Promise<Got>
  readonly log: () => readonly Readonly<Record<string, unknown>>[]
  /** Comes back when it is ready. @throws {Error} with its log when it ends before */
  readonly start: () => Promise<void>
  readonly signal: (signal: NodeJS.Signals) => void
  /** Sends the signal and waits for the end; answers the exit code. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<number | null>
}

const sealKey = randomBytes(32).toString('base64')

export async function makeReplica(
  stack: AsyncDisposableStack,
  name: string,
  deployment: Deployment,
  options: ReplicaOptions = {},
): Promise<Replica> {
  const folder = join(deployment.folder, name)
  await mkdir(folder)
  const [port = 0] = await freePorts(1)
  const configFile = join(folder, 'apostille.yaml')
  const store = options.store ?? deployment.store
  await writeFile(configFile, JSON.stringify({ ...fixedPart(port), store, ...deployment.document }))
  const lines: Readonly<Record<string, unknown>>[] = []
  let child: ChildProcess | undefined

  async function start(): Promise<void> {
    const args = [...(options.nodeArgs ?? []), mainFile, 'serve', '--config', configFile, '--output', 'json']
    const started = spawn(process.execPath, [...args, ...(options.args ?? [])], {
      env: { ...process.env, APOSTILLE_SEAL: sealKey, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child = started
    if (started.stderr) createInterface(started.stderr).on('line', (line) => lines.push(readLine(line)))
    const ended = once(started, 'exit').then(() => 'ended' as const)
    const ready = started.stdout && once(started.stdout, 'data')
    if ((await Promise.race([ended, ready])) === 'ended')
      throw new Error(`${name} ended: ${lines.map((line) => JSON.stringify(line)).join('\n')}`)
  }

  function signal(which: NodeJS.Signals): void {
    child?.kill(which)
  }

  async function stop(which: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const ended = once(child, 'exit')
    child.kill('SIGCONT')
    child.kill(which)
    await ended
    return child.exitCode
  }

  stack.defer(async () => void (await stop('SIGKILL')))
  return {
    name,
    folder,
    port,
    pid: () => child?.pid ?? 0,
    ask: (path, wanted) => ask(`http://127.0.0.1:${port}${path}`, wanted),
    admin: (path, wanted) => ask(`http://admin${path}`, { socketPath: join(folder, 'admin.sock'), ...wanted }),
    log: () => lines,
    start,
    signal,
    stop,
  }
}

function fixedPart(port: number) {
  return {
    trust_domain: 'example.org',
    issuer: 'https://id.example.org',
    listen: { address: `127.0.0.1:${port}`, tls: 'off' },
    admin: { listen: 'unix:./admin.sock' },
    seal: { env: 'APOSTILLE_SEAL' },
  }
}

function readLine(line: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(line) as Readonly<Record<string, unknown>>
  } catch {
    return { message: line }
  }
}
