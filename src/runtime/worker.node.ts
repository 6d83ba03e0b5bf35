/**
 * A process of `serve --workers`, seen from within: what it is told, and what it asks of the one that started it.
 *
 * @module
 */
import cluster from 'node:cluster'
import type { ServerDeps } from './server.node.ts'
import type { Order, Report } from './worker-messages.ts'

export interface WorkerLink {
  /** From 1; the same for the process that takes its place. */
  readonly number: number
  /** Sent on to the process that started it, which tells the world. */
  readonly ready: (addresses: Extract<Report, { kind: 'ready' }>['addresses']) => void
  /** Calls back for each order; the end of the process that gives them ends this one. */
  readonly onOrder: (orders: { readonly reload: () => void; readonly stop: () => void }) => void
  /** Nothing is waited for any more: the process ends when it has nothing to do. */
  readonly letGo: () => void
  /** What the server gets in place of its own: metrics of all workers, and a reload that all of them follow. */
  readonly share: (deps: ServerDeps) => ServerDeps
}

export const workerNumberVariable = 'APOSTILLE_WORKER'
export const workerMaskVariable = 'APOSTILLE_WORKER_UMASK'
const gatherMs = 3_000
const contentType = 'text/plain; version=0.0.4; charset=utf-8'

/** Undefined in a process that nobody started as a worker. */
export function joinWorkers(env: Readonly<Record<string, string | undefined>>): WorkerLink | undefined {
  if (!cluster.isWorker) return undefined
  const mask = Number(env[workerMaskVariable])
  process.umask(mask)
  const send = (report: Report) => void process.send?.(report)
  const gathering = new Map<number, (body: string) => void>()
  let lastId = 0
  let collect: () => Promise<string> = async () => ''

  function gather(): Promise<string> {
    const id = ++lastId
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        gathering.delete(id)
        reject(new Error('the metrics of the other workers did not come'))
      }, gatherMs)
      gathering.set(id, (body) => {
        clearTimeout(late)
        gathering.delete(id)
        resolve(body)
      })
      send({ kind: 'gather', id })
    })
  }

  process.on('message', (order: Order) => {
    if (order.kind === 'collected') gathering.get(order.id)?.(order.body)
    if (order.kind === 'collect') void collect().then((body) => send({ kind: 'metrics', id: order.id, body }))
  })
  return {
    number: Number(env[workerNumberVariable]),
    ready: (addresses) => send({ kind: 'ready', addresses }),
    onOrder({ reload, stop }) {
      process.on('message', ({ kind }: Order) => {
        if (kind === 'reload') reload()
        if (kind === 'stop') stop()
      })
    },
    letGo: () => process.channel?.unref(),
    share(deps) {
      collect = async () => (await deps.metrics()).body
      return {
        ...deps,
        // Sockets are made by the process that started this one, for its own eyes.
        publicMode: 0o666 & ~mask,
        metrics: async () => ({ contentType, body: await gather() }),
        reloaded: () => send({ kind: 'reloaded' }),
      }
    },
  }
}
