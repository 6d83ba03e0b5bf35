/**
 * A server in a process of its own, on the server's core, with a fresh store. Its log goes to a file, as a service
 * manager would have it.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, open, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import type { BundleServer } from './bundle-server.ts'
import { allCores, cores, spawnOn } from './cores.ts'
import type { ForeignDomain } from './foreign-domain.ts'
import { createConfiguration, type Targets, type Workload } from './workload.ts'

export interface ServerProcess {
  readonly pid: number
  readonly url: string
  readonly port: number
  /** From the start of the process until it says that it is ready. */
  readonly startMs: number
  readonly close: () => Promise<void>
}

export interface ServerChoice {
  readonly rules: number
  readonly tls: boolean
  /** What it federates with; nothing by default. */
  readonly domains?: readonly ForeignDomain[]
  /** Keeps the bundles of `domains` fresh. */
  readonly bundles?: BundleServer
  /** What its workloads can be exchanged for; nothing by default. */
  readonly targets?: Targets
  /** In place of the command that serves: the sources, whose metrics can be switched off. */
  readonly program?: 'metered'
  /** Port of the console; it is off by default. */
  readonly console?: number
  /** For Node itself, as in NODE_OPTIONS. */
  readonly nodeOptions?: string
  /** Default: a file of SQLite. */
  readonly store?: string
  /** That many processes, on all cores. Default: one process, on the core of the server. */
  readonly workers?: number
}

const root = join(import.meta.dirname, '..')
const programs = [
  { file: join(root, 'dist/cli/main.js'), name: 'the built package' },
  { file: join(root, 'src/cli/main.ts'), name: 'the sources' },
] as const

/** The command that serves, and what it is called in the output: the built package where there is one. */
export function serverProgram(): { readonly file: string; readonly command: readonly string[]; readonly name: string } {
  const [built, sources] = programs
  const chosen = process.env['APOSTILLE_BENCH_SOURCES'] === undefined && existsSync(built.file) ? built : sources
  const command = [process.execPath, chosen.file, 'serve', '--config']
  return { file: chosen.file, command, name: chosen.name }
}

function commandOf({ program }: ServerChoice): readonly string[] {
  if (program === undefined) return serverProgram().command
  return [process.execPath, join(root, 'bench/metered-server.ts')]
}

/** @param folder Made here; holds the configuration, the store and the log. */
export async function startServerProcess(
  folder: string,
  workload: Workload,
  choice: ServerChoice,
): Promise<ServerProcess> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const port = await freePort()
  const config = join(folder, 'apostille.yaml')
  await writeFile(config, createConfiguration({ ...choice, port, ...federationOf(choice) }))
  await writeFile(join(folder, 'jwks.json'), workload.jwks)
  await writeBundles(folder, choice)
  const logFile = join(folder, 'log.jsonl')
  const log = await open(logFile, 'w')
  const startedMs = performance.now()
  const where = choice.workers === undefined ? cores.server : allCores
  const workers = choice.workers === undefined ? [] : ['--workers', String(choice.workers)]
  const child = spawnOn(where, [...commandOf(choice), config, ...workers], {
    stdio: ['ignore', log.fd, log.fd],
    ...(choice.nodeOptions !== undefined && { env: { ...process.env, NODE_OPTIONS: choice.nodeOptions } }),
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const ready = choice.workers === undefined ? /"ready"|\bready\b.*listen=/ : /workers are ready/
  const hasEnded = () => child.exitCode !== null
  const startMs = await untilReady({ startedMs, logFile, ready, hasEnded }).catch((error: unknown) => {
    child.kill('SIGKILL')
    throw error
  })
  await log.close()
  return {
    pid: child.pid ?? 0,
    port,
    url: `${choice.tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    startMs,
    async close() {
      child.kill('SIGTERM')
      await exited
    },
  }
}

function federationOf({ domains = [], bundles }: ServerChoice) {
  return { domains: domains.map(({ name }) => name), ...(bundles && { bundlePort: bundles.port }) }
}

async function writeBundles(folder: string, { domains = [], bundles }: ServerChoice): Promise<void> {
  await mkdir(join(folder, 'trust-bundles'), { recursive: true })
  for (const { name, bundle } of domains) await writeFile(join(folder, 'trust-bundles', `${name}.json`), bundle)
  if (bundles) await writeFile(join(folder, 'bundle-ca.pem'), bundles.certificate)
}

interface Awaited {
  readonly startedMs: number
  readonly logFile: string
  /** The line that says so. */
  readonly ready: RegExp
  readonly hasEnded: () => boolean
}

/** Looks every few milliseconds, on the core of the load. */
async function untilReady({ startedMs, logFile, ready, hasEnded }: Awaited): Promise<number> {
  for (;;) {
    if (ready.test(readFileSync(logFile, 'utf8'))) return performance.now() - startedMs
    if (hasEnded()) throw new Error(`the server did not start: ${readFileSync(logFile, 'utf8')}`)
    if (performance.now() - startedMs > 30_000) throw new Error('the server was not ready within 30 s')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Resident memory in MB. */
export function residentMemory(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) / 1000
}

/** Time on a core so far, of all threads. */
export function cpuSeconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  const spent = threads.map((id) => Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ', 1)[0]))
  return spent.reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1e9
}

/** The same of a process and of those that it has started. */
export function cpuSecondsOfAll(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  return children.reduce((sum, child) => sum + cpuSecondsOfAll(Number(child)), cpuSeconds(pid))
}
