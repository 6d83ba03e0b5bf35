/**
 * The workers of `serve --workers`: each has a place, which another process takes when it ends, later each time.
 *
 * @module
 */
import cluster, { type Worker } from 'node:cluster'
import { setTimeout as wait } from 'node:timers/promises'
import type { Telemetry } from '../core/telemetry.ts'
import { workerMaskVariable, workerNumberVariable } from './worker.node.ts'
import type { Order, Report } from './worker-messages.ts'

export interface WorkerPlaces {
  /** Fills the next place. */
  readonly add: () => Worker
  /** From now on a worker that ends is replaced. */
  readonly keepFilled: () => void
  readonly living: () => readonly Worker[]
  readonly tellAll: (order: Order, except?: Worker) => void
  /** Tells all of them to stop, and ends those that do not. */
  readonly close: () => Promise<void>
}

export interface WorkerPlacesDeps {
  readonly telemetry: Telemetry
  readonly onReport: (worker: Worker, report: Report) => void
}

interface Place {
  readonly number: number
  worker: Worker
  startedAtMs: number
  /** Before the one who has it now. */
  pauseMs: number
}

const pauses = { firstMs: 200, longestMs: 30_000 }
/** Who has served for as long did not end because of how it was started. */
const settledMs = 60_000
/** More than a worker takes for what it has accepted. */
const stopDeadlineMs = 30_000

export function createWorkerPlaces({ telemetry, onReport }: WorkerPlacesDeps): WorkerPlaces {
  const places: Place[] = []
  const stop = new AbortController()
  // This process makes the sockets, and the one of operators is theirs alone from its first moment on.
  const env = { [workerMaskVariable]: String(process.umask(0o177)) }

  function fork(number: number): Worker {
    const worker = cluster.fork({ ...env, [workerNumberVariable]: String(number) })
    // What is sent to one who has just been killed fails later than its end is known, and is no end of ours.
    worker.on('error', (error) =>
      telemetry.log('warning', 'a worker could not be told something', { worker: number, error: error.message }),
    )
    return worker.on('message', (report: Report) => onReport(worker, report))
  }

  function watch(place: Place): void {
    const { worker } = place
    // One that the system did not start, as where there are too many processes, tells of no end.
    if (worker.process.pid === undefined) void replace(place, { code: 1, signal: undefined })
    else worker.once('exit', (code, signal) => void replace(place, { code, signal: signal ?? undefined }))
  }

  async function replace(place: Place, ended: { readonly code: number; readonly signal: string | undefined }) {
    if (stop.signal.aborted) return
    const hadSettled = place.pauseMs === 0 || performance.now() - place.startedAtMs > settledMs
    place.pauseMs = hadSettled ? pauses.firstMs : Math.min(2 * place.pauseMs, pauses.longestMs)
    const said = { worker: place.number, ...ended, after_ms: place.pauseMs }
    telemetry.log('error', 'a worker ended and is started again', said)
    await wait(place.pauseMs, undefined, { signal: stop.signal }).catch(() => undefined)
    if (stop.signal.aborted) return
    place.worker = fork(place.number)
    place.startedAtMs = performance.now()
    watch(place)
  }

  const living = () => places.map(({ worker }) => worker).filter((worker) => worker.isConnected())
  const tellAll = (order: Order, except?: Worker) => {
    for (const worker of living()) if (worker !== except) worker.send(order)
  }
  return {
    add() {
      const number = places.length + 1
      const worker = fork(number)
      places.push({ number, worker, startedAtMs: performance.now(), pauseMs: 0 })
      return worker
    },
    keepFilled: () => places.forEach(watch),
    living,
    tellAll,
    async close() {
      stop.abort()
      const workers = places.map(({ worker }) => worker).filter((worker) => !worker.isDead())
      const ended = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)))
      tellAll({ kind: 'stop' })
      const late = setTimeout(() => {
        for (const worker of workers) worker.process.kill('SIGKILL')
      }, stopDeadlineMs)
      await Promise.all(ended)
      clearTimeout(late)
    },
  }
}
