/**
 * What all figures of one run share: the workload, the load generator, and servers that are started once.
 *
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Cloud, startCloud } from './cloud.ts'
import { startDatabaseServer } from './database-server.ts'
import { createLoadGenerator, type GeneratorName, type LoadGenerator, type LoadPlan } from './load.ts'
import { type ServerChoice, type ServerProcess, startServerProcess } from './server-process.ts'
import { createWorkload, type Workload } from './workload.ts'

export interface Bench {
  readonly folder: string
  readonly workload: Workload
  readonly load: LoadGenerator
  /** Seconds of one slice of load. */
  readonly sliceSeconds: number
  /** Before the first slice: tens of thousands of requests, until what serves is optimised code. */
  readonly warmUp: (plan: Omit<LoadPlan, 'seconds'>) => Promise<void>
  /** The server of that kind, shared by all figures that ask for it. */
  readonly server: (choice: ServerChoice) => Promise<ServerProcess>
  /** A new database of a PostgreSQL server on the core of the load, for `store`. */
  readonly database: (name: string) => Promise<string>
  /** A server with one target, and the cloud that it is of; shared as well. */
  readonly cloud: () => Promise<Cloud>
  /** Closes it with everything else. */
  readonly keep: (server: ServerProcess) => Promise<ServerProcess>
  readonly close: () => Promise<void>
}

/** As many as it takes until a slice does no more than those before: on a slow machine, optimised code is there late. */
const [minWarmUpSlices, maxWarmUpSlices] = [4, 9]

export async function openBench(options: {
  readonly sliceSeconds: number
  readonly generator: GeneratorName | undefined
}): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'apostille-bench-'))
  const workload = await createWorkload(new Date())
  const servers = new Map<string, Promise<ServerProcess>>()
  let cloud: Promise<Cloud> | undefined
  let postgres: ReturnType<typeof startDatabaseServer> | undefined
  const load = createLoadGenerator(folder, options.generator)
  return {
    folder,
    workload,
    load,
    sliceSeconds: options.sliceSeconds,
    async warmUp(plan) {
      let best = 0
      for (let slice = 1; slice <= maxWarmUpSlices; slice++) {
        const { perSecond } = await load.run({ ...plan, seconds: options.sliceSeconds })
        if (slice > minWarmUpSlices && perSecond < best * 1.02) return
        best = Math.max(best, perSecond)
      }
    },
    server(choice) {
      const name = [
        `${choice.rules}-rules`,
        choice.tls && 'tls',
        choice.domains && `${choice.domains.length}-domains`,
        choice.program,
        choice.store && 'postgres',
        choice.workers && `${choice.workers}-workers`,
      ]
        .filter(Boolean)
        .join('-')
      const known = servers.get(name)
      if (known) return known
      const started = startServerProcess(join(folder, name), workload, choice)
      servers.set(name, started)
      return started
    },
    async database(name) {
      postgres ??= startDatabaseServer()
      return (await postgres).database(name)
    },
    cloud() {
      cloud ??= startCloud(join(folder, 'cloud'), workload)
      return cloud
    },
    async keep(server) {
      servers.set(server.url, Promise.resolve(server))
      return server
    },
    async close() {
      await cloud?.then(
        ({ close }) => close(),
        () => undefined,
      )
      const started = await Promise.allSettled(servers.values())
      await Promise.all(started.map((server) => (server.status === 'fulfilled' ? server.value.close() : undefined)))
      await postgres?.then(
        ({ close }) => close(),
        () => undefined,
      )
      await rm(folder, { recursive: true, force: true })
    },
  }
}
