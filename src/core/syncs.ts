/**
 * The syncs of a gateway: run when their time has come or something changed, planned and applied when an operator asks.
 *
 * @module
 */
import { createConcurrencyLimit } from './concurrency-limit.ts'
import type { KeyManager } from './key-manager.ts'
import { type PlanItem, planSync } from './plan-sync.ts'
import type { RecordEntry } from './record.ts'
import { Refusal } from './refusal.ts'
import { applySync, type RunInput, type RunOutcome } from './run-sync.ts'
import type { OpenDestination } from './secret-destination.ts'
import type { OpenSource, SecretSource } from './secret-source.ts'
import { type Store, StoreError } from './store.ts'
import type { Sync, SyncDestination, SyncSet } from './sync.ts'
import { createSyncCredentials, type SyncCredentialDeps } from './sync-credential.ts'
import { openSyncDigests, type SyncDigests } from './sync-digests.ts'
import { LeaseLost, type SyncLease, takeLease } from './sync-lease.ts'
import { describeFailure, forgetRun, reportRun, statusOf } from './sync-report.ts'
import { createSyncSources } from './sync-sources.ts'
import { type DestinationStatus, readStatus, type SyncCounts, type SyncStatus, writeStatus } from './sync-status.ts'

export interface SyncsDeps extends SyncCredentialDeps {
  readonly store: Pick<Store, 'readDocument' | 'writeDocument'>
  readonly keys: Pick<KeyManager, 'createSecret' | 'openSecret'>
  /** Our own store as a source. */
  readonly kv: SecretSource
  readonly openSource: OpenSource
  readonly openDestination: OpenDestination
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

/** What a plan came to at one destination. */
export type Planned = RunOutcome | { readonly state: 'failed'; readonly error: string }

export interface Syncs {
  /** Begins what is due and does not wait for it. */
  readonly tick: () => void
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
  readonly apply: (
    request: ApplyRequest,
    onProgress: (destination: string, counts: SyncCounts) => void,
  ) => Promise<SyncStatus>
  /** Stops what runs, between two requests, and lets others go on with it. */
  readonly close: () => Promise<void>
}

/** Syncs at once; each has a worker for each of its destinations. */
const syncsAtOnce = 8
/** Changes come in bursts. */
const settleMs = 100
const retryMs = 15_000
/** Another worker has its turn, and may end it any time. */
const othersTurnMs = 2_000

export function createSyncs(deps: SyncsDeps): Syncs {
  const credentials = createSyncCredentials(deps)
  const stop = new AbortController()
  const limit = createConcurrencyLimit(syncsAtOnce)
  const underWay = new Map<string, Promise<void>>()
  const changed = new Set<string>()
  const next = new Map<string, { readonly digest: string; readonly atMs: number; readonly failures: number }>()
  const reported = new Map<string, { readonly sync: string; readonly destination: string }>()
  let digests: SyncDigests | undefined

  const sources = createSyncSources({
    ...deps,
    token: credentials.token,
    onChange(sync) {
      changed.add(sync)
      void deps.pause(settleMs).then(tick)
    },
  })

  const current = (): SyncSet => deps.configured().config.syncs

  function isDue({ name, document, digest }: Sync): boolean {
    if (document.paused || underWay.has(name)) return false
    const planned = next.get(name)
    return planned?.digest !== digest || changed.has(name) || deps.monotonicMs() >= planned.atMs
  }

  function plan(sync: Sync, inMs: number, failures = 0): void {
    next.set(sync.name, { digest: sync.digest, atMs: deps.monotonicMs() + inMs, failures })
  }

  function tick(): void {
    if (stop.signal.aborted) return
    const syncs = current()
    sources.adopt(syncs)
    forgetGone(syncs)
    for (const sync of syncs.values()) if (isDue(sync)) begin(sync, () => limit(() => runDue(sync)))
  }

  function begin(sync: Sync, run: () => Promise<void>): void {
    const running = run()
      .catch((error: unknown) => {
        plan(sync, retryMs)
        logUnexpected(error, sync)
      })
      .finally(() => underWay.delete(sync.name))
    underWay.set(sync.name, running)
  }

  function logUnexpected(error: unknown, { name }: Sync): void {
    if (error instanceof LeaseLost || stop.signal.aborted) return
    const said = describeFailure(error) ?? (error instanceof Error ? `${error.name}: ${error.message}` : typeof error)
    deps.telemetry.log('error', 'a sync could not run', { sync: name, error: said })
  }

  async function runDue(sync: Sync): Promise<void> {
    const lease = await takeLease(deps, sync.name)
    if (lease === undefined) return plan(sync, othersTurnMs)
    await releasing(lease, async () => {
      const waitMs = changed.has(sync.name) ? 0 : await restOfInterval(sync)
      if (waitMs > 0) return plan(sync, waitMs, next.get(sync.name)?.failures)
      const status = await run(sync, lease, { destinations: sync.destinations, allowDeletions: false })
      planNext(sync, status)
    })
  }

  /** Another replica may have run it. */
  async function restOfInterval({ name, digest, document }: Sync): Promise<number> {
    const { status } = await readStatus(deps.store, name)
    if (status?.finishedAt === undefined || status.digest !== digest) return 0
    if (Object.values(status.destinations).some(({ state }) => state === 'failed')) return 0
    const sinceMs = deps.now().getTime() - status.startedAt.getTime()
    return sinceMs < 0 ? 0 : document.interval * 1000 - sinceMs
  }

  function planNext(sync: Sync, { destinations }: SyncStatus): void {
    const intervalMs = sync.document.interval * 1000
    const hasFailed = Object.values(destinations).some(({ state }) => state === 'failed')
    const failures = hasFailed ? (next.get(sync.name)?.failures ?? 0) + 1 : 0
    plan(sync, hasFailed ? Math.min(intervalMs, retryMs * 2 ** Math.min(failures - 1, 10)) : intervalMs, failures)
  }

  interface RunOptions {
    readonly destinations: readonly SyncDestination[]
    readonly allowDeletions: boolean
    readonly requestId?: string
    readonly onProgress?: (destination: string, counts: SyncCounts) => void
  }

  async function run(sync: Sync, lease: SyncLease, options: RunOptions): Promise<SyncStatus> {
    changed.delete(sync.name)
    const held = await readStatus(deps.store, sync.name)
    const former = held.status?.destinations ?? {}
    const begun = { digest: sync.digest, startedAt: deps.now(), fence: lease.fence }
    const started: SyncStatus = { ...begun, destinations: former }
    if (!(await writeStatus(deps.store, sync.name, held.version, started))) throw new LeaseLost('somebody else runs it')
    const ended = await allEnded(
      options.destinations.map(async (destination) => {
        const status = await runOne(sync, destination, { ...options, lease, former: former[destination.name] })
        return [destination.name, status] as const
      }),
    )
    const known = new Set(sync.destinations.map(({ name }) => name))
    const kept = Object.entries(former).filter(([name]) => known.has(name))
    const status = { ...begun, finishedAt: deps.now(), destinations: Object.fromEntries([...kept, ...ended]) }
    await writeStatus(deps.store, sync.name, held.version + 1, status)
    return status
  }

  interface OneOptions extends RunOptions {
    readonly lease: SyncLease
    readonly former: DestinationStatus | undefined
  }

  async function runOne(sync: Sync, destination: SyncDestination, options: OneOptions): Promise<DestinationStatus> {
    const startedMs = deps.monotonicMs()
    const outcome = await orSaid(() => applyOne(sync, destination, options))
    const status = statusOf(outcome, options.former, deps.now())
    const labels = { sync: sync.name, destination: destination.name }
    reported.set(JSON.stringify(labels), labels)
    reportRun(deps.telemetry, { ...labels, status, durationMs: deps.monotonicMs() - startedMs })
    return status
  }

  function applyOne(sync: Sync, destination: SyncDestination, options: OneOptions): Promise<RunOutcome> {
    const { lease, allowDeletions, requestId, onProgress } = options
    const base: Pick<RecordEntry, 'requestId' | 'spiffeId' | 'target' | 'document'> = {
      spiffeId: (destination.target.actsAs ?? sync.spiffeId).uri,
      target: destination.target.name,
      document: deps.configured().config.digest,
      ...(requestId !== undefined && { requestId }),
    }
    return withDestination(sync, destination, (input) =>
      applySync(deps, {
        ...input,
        lease,
        allowDeletions,
        base,
        now: deps.now,
        onProgress: (counts) => onProgress?.(destination.name, counts),
      }),
    )
  }

  async function withDestination<T>(
    sync: Sync,
    destination: SyncDestination,
    work: (input: RunInput) => Promise<T>,
  ): Promise<T> {
    digests ??= await openSyncDigests(deps.store, deps.keys)
    const { name, document, target } = destination
    const adapter = deps.openDestination({
      name,
      document,
      credential: () => credentials.forTarget(sync, target),
      ...(target.document.type === 'aws' && { targetRegion: target.document.region }),
    })
    const owner = ownerOf(deps.configured().config.trustDomain, sync, destination, digests)
    try {
      const source = sources.of(sync)
      return await work({ sync, destination, source, adapter, digests, owner, signal: stop.signal })
    } finally {
      await adapter.close?.()
    }
  }

  function forgetGone(syncs: SyncSet): void {
    for (const [key, labels] of reported) {
      if (syncs.get(labels.sync)?.destinations.some(({ name }) => name === labels.destination)) continue
      reported.delete(key)
      forgetRun(deps.telemetry, labels)
    }
  }

  function find(name: string): Sync {
    const sync = current().get(name)
    if (sync === undefined) throw refuse('not_found', 'the configuration in use has no sync of that name')
    return sync
  }

  function destinationsOf({ destinations }: Sync, wanted: string | undefined): readonly SyncDestination[] {
    const found = destinations.filter(({ name }) => wanted === undefined || name === wanted)
    if (found.length === 0) throw refuse('not_found', 'this sync has no destination of that name')
    return found
  }

  async function reportOf(sync: Sync): Promise<SyncReport> {
    const { status } = await orUnavailable(() => readStatus(deps.store, sync.name))
    return { sync, running: underWay.has(sync.name), ...(status && { status }) }
  }

  async function applyNow(sync: Sync, request: ApplyRequest, onProgress: NonNullable<RunOptions['onProgress']>) {
    const { requestId, allowDeletions } = request
    const destinations = destinationsOf(sync, request.destination)
    const lease = await takeLease(deps, sync.name)
    if (lease === undefined) throw refuse('conflict', 'another worker runs this sync right now: try again soon')
    return releasing(lease, async () => {
      const details = {
        sync: sync.name,
        destinations: destinations.map(({ name }) => name),
        allow_deletions: allowDeletions,
      }
      await lease.keep([{ time: deps.now(), operation: 'sync.apply', decision: 'granted', requestId, details }])
      const status = await run(sync, lease, { destinations, allowDeletions, requestId, onProgress })
      planNext(sync, status)
      return status
    })
  }

  return {
    tick,
    list: () => Promise.all([...current().values()].map(reportOf)),
    show: async (name) => reportOf(find(name)),
    async plan({ sync: name, destination: wanted }, emit) {
      const sync = find(name)
      const planned = await Promise.all(
        destinationsOf(sync, wanted).map(async (destination) => {
          const outcome = await orSaid(() =>
            withDestination(sync, destination, (input) =>
              planSync(deps, input, (item) => emit(destination.name, item)),
            ),
          )
          return [destination.name, typeof outcome === 'string' ? failed(outcome) : outcome] as const
        }),
      )
      return Object.fromEntries(planned)
    },
    async apply(request, onProgress) {
      const sync = find(request.sync)
      if (sync.document.paused) throw refuse('conflict', 'this sync is paused: remove `paused` from it first')
      if (underWay.has(sync.name)) throw refuse('conflict', 'this sync runs right now: try again soon')
      const applied = orUnavailable(() => applyNow(sync, request, onProgress)).finally(() => underWay.delete(sync.name))
      const ended = applied.then(
        () => undefined,
        () => undefined,
      )
      underWay.set(sync.name, ended)
      return applied
    },
    async close() {
      stop.abort(new LeaseLost('the process stops'))
      await Promise.all(underWay.values())
      await sources.close()
    },
  }
}

function failed(error: string) {
  return { state: 'failed', error } as const
}

/** What all came to, once all have ended. @throws the first error */
async function allEnded<T>(runs: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(runs)
  return Promise.all(runs)
}

/** What a run came to, or why to none. Whoever has lost the turn says nothing. */
async function orSaid<T>(run: () => Promise<T>): Promise<T | string> {
  try {
    return await run()
  } catch (error) {
    const said = describeFailure(error)
    if (said === undefined) throw error
    return said
  }
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

const maxTrustDomain = 100

/** Fits a tag; the deployment's id tells apart what is cut alike. */
function ownerOf(trustDomain: string, sync: Sync, destination: SyncDestination, { deployment }: SyncDigests): string {
  return [trustDomain.slice(0, maxTrustDomain), sync.name, destination.name, deployment].join('/')
}

function refuse(code: 'not_found' | 'conflict', detail: string): Refusal {
  return new Refusal(code, detail, { detail })
}
