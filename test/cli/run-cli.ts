/**
 * Runs the command line as people do: a process of its own, with nothing of this one's environment but the path.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { requireShape } from '../support/output-shape.ts'

export const mainFile = join(import.meta.dirname, '../../src/cli/main.ts')

/** Half of what a short command costs is the stripping of types, which is the same each time. */
const compileCache = join(import.meta.dirname, '../../node_modules/.cache/compile')

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  readonly nodeArgs?: readonly string[]
}

export interface RunResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function start(args: readonly string[], { cwd, env, nodeArgs = [] }: RunOptions): ChildProcess {
  return spawn(process.execPath, [...nodeArgs, mainFile, ...args], {
    cwd: cwd ?? tmpdir(),
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], NODE_COMPILE_CACHE: compileCache, ...env },
    stdio: 'pipe',
  })
}

export async function runCli(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const child = start(args, options)
  child.stdin?.end(options.input ?? '')
  const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!)])
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  requireShape(args, { stdout, stderr })
  return { code: child.exitCode, stdout, stderr }
}

/** Those that a failed test left behind end with the tests. */
const started = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of started) child.kill('SIGKILL')
})

/** A process that goes on, with what it wrote so far. */
export interface RunningCli {
  readonly child: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  /** Resolves when the output holds `wanted`; rejects when the process ends before. */
  readonly until: (stream: 'stdout' | 'stderr', wanted: string | RegExp) => Promise<void>
  /** Sends the signal and waits for the end. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<number | null>
}

export function startCli(args: readonly string[], options: RunOptions = {}): RunningCli {
  const child = start(args, options)
  started.add(child)
  child.once('exit', () => started.delete(child))
  const written = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
      written[name] += chunk
    })
  return {
    child,
    stdout: () => written.stdout,
    stderr: () => written.stderr,
    until: (stream, wanted) =>
      new Promise((resolve, reject) => {
        const matches = () =>
          typeof wanted === 'string' ? written[stream].includes(wanted) : wanted.test(written[stream])
        const look = () => matches() && resolve()
        child[stream]?.on('data', look)
        child.once('exit', () => reject(new Error(`ended before ${wanted}: ${written.stdout}${written.stderr}`)))
        look()
      }),
    async stop(signal = 'SIGTERM') {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
      const ended = once(child, 'close')
      child.kill(signal)
      await ended
      return child.exitCode
    },
  }
}

export function makeFolder() {
  const path = mkdtempSync(join(tmpdir(), 'apo-cli-'))
  const file = (name: string) => join(path, name)
  return {
    path,
    file,
    write(name: string, content: string, mode = 0o600): string {
      writeFileSync(file(name), content, { mode })
      return file(name)
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  }
}

export const testConfiguration = `version: 1
trust_domain: example.org
issuer: https://localhost
listen: { address: 127.0.0.1:0 }
admin: { listen: unix:./admin.sock }
store: sqlite:./apostille.db
seal: { file: ./seal.key }
authorities:
  jwt: { algorithms: [ES256], rs256_audiences: [] }
authenticators:
  first: { type: join_token }
  ours: { type: spiffe, trust_domain: example.org }
identities:
  - name: vm
    spiffe_id: /vm/\${proof.name}
    from: first
    audiences: ['https://api.example.org']
    dns_names: ['\${proof.name}.example.org']
`

/** A gateway in a folder of its own, started by `serve`. */
export async function startGateway(document = testConfiguration) {
  const folder = makeFolder()
  const config = folder.write('apostille.yaml', document)
  const running = startCli(['serve', '--config', config, '--output', 'json'], { cwd: folder.path })
  await running.until('stdout', /\}\n$/)
  const { listen } = JSON.parse(running.stdout()) as { readonly listen: string }
  const url = `https://localhost:${listen.split(':')[1]}`
  const caFile = folder.write('ca.pem', await fetchBundle(url))
  return {
    folder,
    config,
    url,
    caFile,
    running,
    async makeToken(...args: readonly string[]): Promise<string> {
      const { stdout, stderr } = await runCli(['join-token', 'create', 'first', '--config', config, ...args])
      if (stdout === '') throw new Error(stderr)
      return stdout.trim()
    },
    async stop() {
      await running.stop()
      folder.remove()
    },
  }
}

/** As an operator would carry the CA over: the first time nothing vouches for it. */
async function fetchBundle(url: string): Promise<string> {
  const request = get(`${url}/v1/bundle?format=pem`, { rejectUnauthorized: false, agent: false })
  const [response] = await once(request, 'response')
  return await text(response)
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { readonly port: number }
  server.close()
  return port
}
