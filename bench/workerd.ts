/**
 * A Worker in workerd by itself, as the platform runs it: no proxy of a development tool stands before it. One issues
 * without records, in a Worker alone; one is what is deployed, with its Durable Object.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { buildWorker, type WorkerModule } from '../scripts/build-worker.ts'
import { compatibility } from '../scripts/local-worker.ts'
import { cores, spawnOn } from './cores.ts'
import type { Figure } from './figure.ts'
import { requireSuccess } from './load.ts'
import { measureBase } from './openssl-speed.ts'
import { jwtRequests } from './request.ts'
import { freePort, type ServerProcess } from './server-process.ts'
import { createConfiguration, type Workload } from './workload.ts'

const kinds = {
  'worker-issue': 'bench/recordless.worker.ts',
  'worker-all-in': 'src/runtime/server.worker.ts',
  trivial: 'bench/trivial.worker.ts',
} as const

export const workers: Figure = {
  rows: [
    {
      name: 'worker-issue',
      what: 'JWT-SVID in workerd, without a record, 32 connections',
      unit: 'O',
      // A Worker that reads and answers as much, and does nothing, is not far from this itself.
      bound: { kind: 'at least', required: 0.2, aim: 0.25, broken: { seen: 'trivial', share: 0.25 } },
    },
    {
      name: 'worker-all-in',
      what: 'the same, all in, on a Durable Object (stated, not required)',
      unit: 'O',
      bound: { kind: 'at least', required: 0 },
    },
  ],
  async prepare(bench) {
    const requests = jwtRequests(bench.workload)
    const plans = await Promise.all(
      Object.entries(kinds).map(async ([name, entry]) => {
        const { url } = await bench.keep(await startWorkerd(join(bench.folder, name), entry, bench.workload))
        return { name, plan: { url, requests, connections: 32, seconds: bench.sliceSeconds } }
      }),
    )
    for (const { plan } of plans) await bench.warmUp(plan)
    return async () => {
      const values: Record<string, number> = {}
      const seen: Record<string, number> = {}
      for (const { name, plan } of plans) {
        const { signs } = await measureBase(cores.server)
        const { perSecond } = requireSuccess(await bench.load.run(plan))
        values[name] = perSecond / signs
        seen[`${name} per second`] = perSecond
      }
      const { trivial = Number.NaN, ...ofRows } = values
      return { values: ofRows, seen: { ...seen, trivial } }
    }
  },
}

async function startWorkerd(folder: string, entry: string, workload: Workload): Promise<ServerProcess> {
  const { modules } = await buildWorker(entry)
  await mkdir(join(folder, 'kept'), { recursive: true })
  const port = await freePort()
  const bindings = {
    APOSTILLE_CONFIG: createConfiguration({ rules: 1, tls: false, port }),
    APOSTILLE_FILES: JSON.stringify({ 'jwks.json': workload.jwks }),
    APOSTILLE_SEAL_KEY: randomBytes(32).toString('base64'),
  }
  for (const { name, contents } of modules) await write(join(folder, name), contents)
  for (const [name, text] of Object.entries(bindings)) await write(join(folder, name), text)
  const config = join(folder, 'config.capnp')
  await write(config, formatConfig({ folder, port, modules, bindings: Object.keys(bindings) }))
  const child = spawnOn(cores.server, [workerdProgram(), 'serve', config], { stdio: 'ignore' })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const url = `http://127.0.0.1:${port}`
  const startedMs = performance.now()
  await untilAnswering(`${url}/livez`)
  return {
    pid: child.pid ?? 0,
    port,
    url,
    startMs: performance.now() - startedMs,
    async close() {
      child.kill('SIGTERM')
      await exited
    },
  }
}

async function write(path: string, contents: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, contents)
}

/** The binary itself, as what is signalled and measured has to be no script around it. */
function workerdProgram(): string {
  const require = createRequire(import.meta.url)
  const inWorkerd = createRequire(require.resolve('workerd/package.json'))
  return inWorkerd.resolve(
    `@cloudflare/workerd-${process.platform}-${process.arch === 'x64' ? '64' : process.arch}/bin/workerd`,
  )
}

async function untilAnswering(url: string): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer?.ok) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`${url} did not answer within 10 s`)
}

interface ConfigParts {
  readonly folder: string
  readonly port: number
  readonly modules: readonly WorkerModule[]
  readonly bindings: readonly string[]
}

/** Cap'n Proto text; embedded files lie beside it. */
function formatConfig({ folder, port, modules, bindings }: ConfigParts): string {
  const list = (items: readonly string[]) => `[${items.join(', ')}]`
  const quoted = (items: readonly string[]) => list(items.map((item) => JSON.stringify(item)))
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "kept", disk = (path = ${JSON.stringify(join(folder, 'kept'))}, writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = ${list(modules.map(({ name }) => `(name = "${name}", esModule = embed "${name}")`))},
  compatibilityDate = "${compatibility.compatibilityDate}",
  compatibilityFlags = ${quoted(compatibility.compatibilityFlags)},
  bindings = ${list([
    ...bindings.map((name) => `(name = "${name}", text = embed "${name}")`),
    '(name = "GATEWAY", durableObjectNamespace = "Gateway")',
  ])},
  durableObjectNamespaces = [(className = "Gateway", uniqueKey = "gateway", enableSql = true)],
  durableObjectStorage = (localDisk = "kept"),
);
`
}
