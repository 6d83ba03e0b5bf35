/**
 * The place of one run of an example: a temporary folder, a cluster, Apostille, and the programs that were started. All of
 * it is gone afterwards, whichever way the run ends.
 *
 * @module
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Cluster, openCluster } from './cluster.ts'
import type { ServiceAccount } from './cluster-stand-in.ts'
import { type Gateway, startGateway } from './gateway.ts'
import type { Narrator } from './narrator.ts'
import { type Program, type ProgramOptions, startProgram } from './programs.ts'

export interface Scene {
  readonly folder: string
  readonly cluster: Cluster
  readonly gateway: Gateway
  /** Starts a program and shows what it prints. */
  readonly start: (options: Omit<ProgramOptions, 'onLine'>) => Program
  /** Settings of a workload that runs as this service account. */
  readonly workload: (serviceAccount: string) => Readonly<Record<string, string>>
}

export interface SceneOptions {
  readonly configFile: string
  readonly accounts: readonly ServiceAccount[]
  readonly narrator: Narrator
}

/** Sets the scene, plays it, and clears up. */
export async function play(options: SceneOptions, script: (scene: Scene) => Promise<void>): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const interrupted = new AbortController()
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const stop = () => {
      interrupted.abort()
      void stack.disposeAsync().finally(() => process.exit(code))
    }
    process.once(signal, stop)
    stack.defer(() => void process.off(signal, stop))
  }
  try {
    await script(await setScene(options, stack))
  } catch (error) {
    // What fails now does so because we stop: the process ends when all is cleared up, and there is nothing to tell.
    if (interrupted.signal.aborted) await Promise.withResolvers<never>().promise
    throw error
  }
}

async function setScene({ configFile, accounts, narrator }: SceneOptions, stack: AsyncDisposableStack): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'apostille-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const cluster = await openCluster(folder, accounts)
  stack.defer(() => cluster.close())
  tellCluster(narrator, cluster)
  const gateway = await startGateway({ configFile, folder, cluster })
  stack.defer(() => gateway.stop())
  narrator.check(`Apostille listens on ${gateway.url}.`)

  return {
    folder,
    cluster,
    gateway,
    start(program) {
      const started = startProgram({ ...program, onLine: narrator.output })
      stack.defer(() => started.stop())
      return started
    },
    workload: (serviceAccount) => ({
      APOSTILLE_SERVER: gateway.url,
      APOSTILLE_CA_FILE: gateway.caFile,
      APOSTILLE_TOKEN_FILE: cluster.tokenFile(serviceAccount),
    }),
  }
}

function tellCluster(narrator: Narrator, { isStandIn, issuer }: Cluster): void {
  narrator.check(
    isStandIn
      ? `The issuer of a cluster is at ${issuer}. It is a stand-in: a small local program that signs service account tokens
         as a Kubernetes API server does, so that this runs on a laptop.`
      : `The cluster is at ${issuer}: its API server made the workloads' tokens.`,
  )
}

/** The rules of a configuration, as they are written. */
export async function readRules(configFile: string): Promise<readonly string[]> {
  const lines = (await readFile(configFile, 'utf8')).trimEnd().split('\n')
  return lines.slice(lines.findIndex((line) => line.startsWith('identities:')))
}
