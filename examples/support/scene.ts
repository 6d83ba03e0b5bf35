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
import { type Gateway, type Places, startGateway } from './gateway.ts'
import type { Narrator } from './narrator.ts'
import { type Program, type ProgramOptions, startProgram } from './programs.ts'

export interface Scene {
  readonly folder: string
  readonly cluster: Cluster
  readonly gateway: Gateway
  /** Starts a program and shows what it prints, unless that is of no interest. */
  readonly start: (options: Omit<ProgramOptions, 'onLine'> & { readonly isQuiet?: boolean }) => Program
  /** Settings of a workload that runs as this service account. */
  readonly workload: (serviceAccount: string) => Readonly<Record<string, string>>
}

export interface SceneOptions {
  readonly configFile: string
  /** Of the workloads in the cluster; absent: there is no cluster. */
  readonly accounts?: readonly ServiceAccount[]
  readonly narrator: Narrator
  /** Starts what must be there before Apostille, and says what the configuration is to have of it. */
  readonly prepare?: (stage: Stage) => Promise<Places>
}

export type Stage = Pick<Scene, 'folder' | 'start'>

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

async function setScene(options: SceneOptions, stack: AsyncDisposableStack): Promise<Scene> {
  const { configFile, accounts, narrator } = options
  const folder = await mkdtemp(join(tmpdir(), 'apostille-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const cluster = accounts && (await openCluster(folder, accounts))
  if (cluster) {
    stack.defer(() => cluster.close())
    tellCluster(narrator, cluster)
  }
  const start: Scene['start'] = ({ isQuiet = false, ...program }) => {
    const started = startProgram({ ...program, ...(!isQuiet && { onLine: narrator.output }) })
    stack.defer(() => started.stop())
    return started
  }
  const places = await options.prepare?.({ folder, start })
  const gateway = await startGateway({ configFile, folder, cluster, ...(places && { places }) })
  stack.defer(() => gateway.stop())
  narrator.check(`Apostille listens on ${gateway.url}.`)

  return {
    folder,
    cluster: cluster ?? noCluster,
    gateway,
    start,
    workload: (serviceAccount) => ({
      APOSTILLE_SERVER: gateway.url,
      APOSTILLE_CA_FILE: gateway.caFile,
      APOSTILLE_TOKEN_FILE: (cluster ?? noCluster).tokenFile(serviceAccount),
    }),
  }
}

const noCluster: Cluster = {
  issuer: '',
  caFile: '',
  isStandIn: true,
  tokenFile() {
    throw new Error('this example has no cluster')
  },
  close: () => undefined,
}

function tellCluster(narrator: Narrator, { isStandIn, issuer }: Cluster): void {
  narrator.check(
    isStandIn
      ? `The issuer of a cluster is at ${issuer}. It is a stand-in: a small local program that signs service account tokens
         as a Kubernetes API server does, so that this runs on a laptop.`
      : `The cluster is at ${issuer}: its API server made the workloads' tokens.`,
  )
}

/** A configuration from a key on, as it is written; by default its rules. */
export async function readRules(configFile: string, from = 'identities:'): Promise<readonly string[]> {
  const lines = (await readFile(configFile, 'utf8')).trimEnd().split('\n')
  return lines.slice(lines.findIndex((line) => line.startsWith(from)))
}
