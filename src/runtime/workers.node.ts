/**
 * `serve --workers`: one process for each core, on the same addresses and the same store. This one answers nothing
 * itself: it hands connections out in turn, carries orders, and puts the metrics of all together.
 *
 * @module
 */
import type { Worker } from 'node:cluster'
import { mergeExpositions } from '../adapters/telemetry/prometheus.ts'
import { StoreError } from '../core/store.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { loadConfiguration } from './configuration.node.ts'
import type { RunningServer } from './server.node.ts'
import type { Report } from './worker-messages.ts'
import { createWorkerPlaces, type WorkerPlaces } from './worker-places.node.ts'

export interface WorkersInput {
  readonly count: number
  readonly configFile: string
  readonly telemetry: Telemetry
}

export interface RunningWorkers extends Pick<RunningServer, 'addresses' | 'close'> {
  readonly reload: () => Promise<void>
}

/** The first worker did not start, and has said why. */
export class WorkerEnded extends Error {
  override readonly name = 'WorkerEnded'
  readonly exitCode: number

  constructor(exitCode: number) {
    super(`the first worker ended with ${exitCode} before it was ready`)
    this.exitCode = exitCode
  }
}

const collectMs = 2_000

/**
 * @throws {ConfigurationError} @throws {DocumentError} @throws {StoreError} for a store that processes do not share
 *   @throws {WorkerEnded}
 */
export async function startWorkers({ count, configFile, telemetry }: WorkersInput): Promise<RunningWorkers> {
  const { store } = await loadConfiguration(configFile)
  if (store.kind === 'sqlite')
    throw new StoreError(
      'in_use',
      'workers share a store, and a file of SQLite belongs to one process: set store to postgres://…, or leave --workers out',
    )
  const places = createWorkerPlaces({
    telemetry,
    onReport(worker, report) {
      if (report.kind === 'gather') void gatherer.gatherFor(worker, report.id)
      if (report.kind === 'metrics') gatherer.take(worker, report)
      if (report.kind === 'reloaded') places.tellAll({ kind: 'reload' }, worker)
    },
  })
  const gatherer = createGatherer(places)
  // The first alone, as it may make tables, keys and files that the others find.
  const addresses = await readyOrEnded(places.add())
  const others = Array.from({ length: count - 1 }, places.add)
  places.keepFilled()
  await Promise.allSettled(others.map(readyOrEnded))
  telemetry.log('info', 'workers are ready', { workers: count })
  return {
    addresses,
    reload: async () => places.tellAll({ kind: 'reload' }),
    async close() {
      await places.close()
      telemetry.log('info', 'all workers have stopped')
    },
  }
}

function readyOrEnded(worker: Worker): Promise<RunningServer['addresses']> {
  return new Promise((resolve, reject) => {
    if (worker.process.pid === undefined) reject(new WorkerEnded(1))
    worker.on('message', (report: Report) => {
      if (report.kind === 'ready') resolve(report.addresses)
    })
    worker.once('exit', (code) => reject(new WorkerEnded(code ?? 1)))
  })
}

/** Collects the metrics of all workers; one that does not answer in time is left out. */
function createGatherer({ living }: Pick<WorkerPlaces, 'living'>) {
  const asked = new Map<number, (worker: Worker, body: string) => void>()
  let lastId = 0

  function gather(): Promise<string> {
    const id = ++lastId
    const workers = living()
    const bodies = new Map<Worker, string>()
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(late)
        asked.delete(id)
        resolve(mergeExpositions(workers.flatMap((worker) => bodies.get(worker) ?? [])))
      }
      const late = setTimeout(finish, collectMs)
      asked.set(id, (worker, body) => {
        bodies.set(worker, body)
        if (bodies.size === workers.length) finish()
      })
      for (const worker of workers) worker.send({ kind: 'collect', id })
    })
  }

  return {
    take: (worker: Worker, { id, body }: Extract<Report, { kind: 'metrics' }>): void => asked.get(id)?.(worker, body),
    async gatherFor(worker: Worker, id: number): Promise<void> {
      const body = await gather()
      if (worker.isConnected()) worker.send({ kind: 'collected', id, body })
    },
  }
}
