/**
 * The syncs of a gateway: run when their time has come or something changed, planned and applied when an operator asks.
 *
 * @module
 */
import { createConcurrencyLimit } from './concurrency-limit.ts'
import type { PlanItem } from './plan-sync.ts'
import { Refusal } from './refusal.ts'
import type { OpenSource, SecretSource } from './secret-source.ts'
import { StoreError } from './store.ts'
import type { Sync, SyncDestination, SyncSet } from './sync.ts'
import { createSyncCredentials } from './sync-credential.ts'
import { LeaseLost, type SyncLease, takeLease } from './sync-lease.ts'
import { describeFailure } from './sync-report.ts'
import { createSyncSchedule } from './sync-schedule.ts'
import { createSyncSources } from './sync-sources.ts'
import { readStatus, type SyncCounts, type SyncStatus } from './sync-status.ts'
import { createSyncWorker, type Planned, type SyncWorkerDeps } from './sync-worker.ts'

export type { Planned } from './sync-worker.ts'

export interface SyncsDeps extends SyncWorkerDeps {
  /** Our own store as a source. */
  readonly kv: SecretSource
  readonly openSource: OpenSource
  /** Tells this process from every other. */
  readonly holder: string
}

export interface SyncReport {
  readonly sync: Sync
  /** Absent before the first run. */
  readonly status?: SyncStatus
  /** Whether it runs here right now. */
  readonly running: boolean
}

export interface SyncRequest {
  readonly sync: string
  /** Only this one. */
  readonly destination?: string
}

export interface ApplyRequest extends SyncRequest {
  readonly requestId: string
  /** However many secrets are removed by it. */
  readonly allowDeletions: boolean
}

export interface Syncs {
  /** Begins what is due and does not wait for it. */
  readonly tick: () => void
  /** Settles when nothing runs any more that ran when this was called. */
  readonly idle: () => Promise<void>
  /** @throws {Refusal} `store_unavailable` */
  readonly list: () => Promise<readonly SyncReport[]>
  /** @throws {Refusal} `not_found`, `store_unavailable` */
  readonly show: (sync: string) => Promise<SyncReport>
  /** By destination. @throws {Refusal} `not_found`, `store_unavailable` */
  readonly plan: (
    request: SyncRequest,
    emit: (destination: string, item: PlanItem) => void,
  ) => Promise<Readonly<Record<string, Planned>>>
  /** @throws {Refusal} `not_found`; `conflict` while it runs or is paused; `store_unavailable` */
  readonly apply: (request: ApplyRequest, onProgress: OnProgress) => Promise<SyncStatus>
  /** Stops what runs, between two requests, and lets others go on with it. */
  readonly close: () => Promise<void>
}

type OnProgress = (destination: string, counts: SyncCounts) => void

/** Syncs at once; each has a worker for each of its destinations. */
const syncsAtOnce = 8
/** Changes come in bursts. */
const settleMs = 100
const retryMs = 15_000
/** Another worker has its turn, and may end it any time. */
const othersTurnMs = 2_000

export function createSyncs(deps: SyncsDeps): Syncs {
  const stop = new AbortController()
  const limit = createConcurrencyLimit(syncsAtOnce)
  const underWay = new Map<string, Promise<void>>()
  const schedule = createSyncSchedule(deps)
  const credentials = createSyncCredentials(deps)
  const sources = createSyncSources({
    ...deps,
    token: credentials.token,
    onChange(sync) {
      schedule.noteChange(sync)
      void deps.pause(settleMs).then(tick)
    },
  })
  const worker = createSyncWorker(deps, { credentials, sources, signal: stop.signal })
  const current = (): SyncSet => deps.configured().config.syncs

  function tick(): void {
    if (stop.signal.aborted) return
    const syncs = current()
    sources.adopt(syncs)
    worker.forgetGone(syncs)
    for (const sync of syncs.values())
      if (!sync.document.paused && !underWay.has(sync.name) && schedule.isDue(sync))
        void track(sync, () => runDue(sync))
  }

  /** One at a time of each sync, known as under way until it has ended. */
  function track<T>(sync: Sync, run: () => Promise<T>): Promise<T> {
    const running = limit(run).finally(() => underWay.delete(sync.name))
    const ended = running.then(
      () => undefined,
      () => undefined,
    )
    underWay.set(sync.name, ended)
    return running
  }

  async function runDue(sync: Sync): Promise<void> {
    try {
      const lease = await takeLease(deps, sync.name)
      if (lease === undefined) schedule.postpone(sync, othersTurnMs)
      else await releasing(lease, () => runWith(sync, lease))
    } catch (error) {
      schedule.postpone(sync, retryMs)
      if (error instanceof LeaseLost || stop.signal.aborted) return
      const said = describeFailure(error) ?? (error instanceof Error ? `${error.name}: ${error.message}` : typeof error)
      deps.telemetry.log('error', 'a sync could not run', { sync: sync.name, error: said })
    }
  }

  async function runWith(sync: Sync, lease: SyncLease): Promise<void> {
    const { status } = await readStatus(deps.store, sync.name)
    const restMs = schedule.restMs(sync, status)
    if (restMs > 0) return schedule.postpone(sync, restMs)
    schedule.begin(sync)
    const options = { destinations: sync.destinations, allowDeletions: false }
    schedule.planNext(sync, await worker.run(sync, lease, options))
  }

  async function applyNow(sync: Sync, request: ApplyRequest, onProgress: OnProgress): Promise<SyncStatus> {
    const { requestId, allowDeletions } = request
    const destinations = destinationsOf(sync, request.destination)
    const lease = await takeLease(deps, sync.name)
    if (lease === undefined) throw refuse('conflict', 'another worker runs this sync right now: try again soon')
    return releasing(lease, async () => {
      const names = destinations.map(({ name }) => name)
      const details = { sync: sync.name, destinations: names, allow_deletions: allowDeletions }
      await lease.keep([{ time: deps.now(), operation: 'sync.apply', decision: 'granted', requestId, details }])
      // What changed is seen by all of its destinations, or is still to be.
      if (destinations.length === sync.destinations.length) schedule.begin(sync)
      const status = await worker.run(sync, lease, { destinations, allowDeletions, requestId, onProgress })
      if (destinations.length === sync.destinations.length) schedule.planNext(sync, status)
      return status
    })
  }

  function find(name: string): Sync {
    const sync = current().get(name)
    if (sync === undefined) throw refuse('not_found', 'the configuration in use has no sync of that name')
    return sync
  }

  async function reportOf(sync: Sync): Promise<SyncReport> {
    const { status } = await orUnavailable(() => readStatus(deps.store, sync.name))
    return { sync, running: underWay.has(sync.name), ...(status && { status }) }
  }

  return {
    tick,
    idle: async () => void (await Promise.all(underWay.values())),
    list: () => Promise.all([...current().values()].map(reportOf)),
    show: async (name) => reportOf(find(name)),
    async plan(request, emit) {
      const sync = find(request.sync)
      return orUnavailable(() => worker.plan(sync, destinationsOf(sync, request.destination), emit))
    },
    async apply(request, onProgress) {
      const sync = find(request.sync)
      if (sync.document.paused) throw refuse('conflict', 'this sync is paused: remove `paused` from it first')
      if (underWay.has(sync.name)) throw refuse('conflict', 'this sync runs right now: try again soon')
      return track(sync, () => orUnavailable(() => applyNow(sync, request, onProgress)))
    },
    async close() {
      stop.abort(new LeaseLost('the process stops'))
      await Promise.all(underWay.values())
      await sources.close()
    },
  }
}

function destinationsOf({ destinations }: Sync, wanted: string | undefined): readonly SyncDestination[] {
  const found = destinations.filter(({ name }) => wanted === undefined || name === wanted)
  if (found.length === 0) throw refuse('not_found', 'this sync has no destination of that name')
  return found
}

async function releasing<T>(lease: SyncLease, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } finally {
    await lease.release()
  }
}

async function orUnavailable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof LeaseLost) throw refuse('conflict', 'another worker has taken this sync over')
    if (!(error instanceof StoreError)) throw error
    throw new Refusal('store_unavailable', `the store can not be used: ${error.message}`, { cause: error })
  }
}

function refuse(code: 'not_found' | 'conflict', detail: string): Refusal {
  return new Refusal(code, detail, { detail })
}
