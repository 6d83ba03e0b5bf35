/**
 * Runs and plans one sync at all of its destinations, each by itself: what one fails at keeps no other from its secrets.
 *
 * @module
 */
import type { KeyManager } from './key-manager.ts'
import { type PlanItem, planSync } from './plan-sync.ts'
import type { RecordEntry } from './record.ts'
import { applySync, type RunInput, type RunOutcome } from './run-sync.ts'
import type { OpenDestination } from './secret-destination.ts'
import type { SecretSource } from './secret-source.ts'
import { shareReads } from './shared-reads.ts'
import type { Store } from './store.ts'
import type { Sync, SyncDestination, SyncSet } from './sync.ts'
import type { SyncCredentialDeps, SyncCredentials } from './sync-credential.ts'
import { openSyncDigests, type SyncDigests } from './sync-digests.ts'
import { LeaseLost, type SyncLease } from './sync-lease.ts'
import { describeFailure, forgetRun, reportRun, statusOf } from './sync-report.ts'
import type { SyncSources } from './sync-sources.ts'
import { type DestinationStatus, readStatus, type SyncCounts, type SyncStatus, writeStatus } from './sync-status.ts'

export interface SyncWorkerDeps extends SyncCredentialDeps {
  readonly store: Pick<Store, 'readDocument' | 'writeDocument'>
  readonly keys: Pick<KeyManager, 'createSecret' | 'openSecret'>
  readonly openDestination: OpenDestination
}

export interface SyncWorkerParts {
  readonly credentials: SyncCredentials
  readonly sources: SyncSources
  /** Stops all, between two requests. */
  readonly signal: AbortSignal
}

export interface RunOptions {
  readonly destinations: readonly SyncDestination[]
  readonly allowDeletions: boolean
  readonly requestId?: string
  readonly onProgress?: (destination: string, counts: SyncCounts) => void
}

/** What a plan came to at one destination. */
export type Planned = RunOutcome | { readonly state: 'failed'; readonly error: string }

export interface SyncWorker {
  /** @throws {LeaseLost} @throws {StoreError} */
  readonly run: (sync: Sync, lease: SyncLease, options: RunOptions) => Promise<SyncStatus>
  /** By destination. */
  readonly plan: (
    sync: Sync,
    destinations: readonly SyncDestination[],
    emit: (destination: string, item: PlanItem) => void,
  ) => Promise<Readonly<Record<string, Planned>>>
  /** What was measured of destinations that no sync has any more ends. */
  readonly forgetGone: (syncs: SyncSet) => void
}

interface AtDestination {
  readonly sync: Sync
  readonly destination: SyncDestination
  /** @throws what opening it throws */
  readonly source: () => SecretSource
  readonly closely: boolean
}

export function createSyncWorker(deps: SyncWorkerDeps, { credentials, sources, signal }: SyncWorkerParts): SyncWorker {
  const reported = new Map<string, { readonly sync: string; readonly destination: string }>()
  let digests: SyncDigests | undefined

  /** Opened by the first that needs it, and read once for all. */
  function openShared(sync: Sync, readers: number): () => SecretSource {
    let shared: SecretSource | undefined
    return () => (shared ??= shareReads(sources.of(sync), readers, deps.monotonicMs))
  }

  async function withDestination<T>(
    { sync, destination, source, closely }: AtDestination,
    work: (input: RunInput) => Promise<T>,
  ): Promise<T> {
    digests ??= await openSyncDigests(deps.store, deps.keys)
    const { name, document, target } = destination
    const owner = ownerOf(deps.configured().config.trustDomain, sync, destination, digests)
    const adapter = deps.openDestination({
      name,
      document,
      credential: () => credentials.forTarget(sync, target),
      ...(target.document.type === 'aws' && { targetRegion: target.document.region }),
    })
    try {
      return await work({ sync, destination, source: source(), adapter, digests, owner, closely, signal })
    } finally {
      await adapter.close?.()
    }
  }

  function apply(
    at: AtDestination,
    { lease, allowDeletions, requestId, onProgress }: RunOptions & { readonly lease: SyncLease },
  ): Promise<RunOutcome> {
    const { sync, destination } = at
    const base: Pick<RecordEntry, 'requestId' | 'spiffeId' | 'target' | 'document'> = {
      spiffeId: (destination.target.actsAs ?? sync.spiffeId).uri,
      target: destination.target.name,
      document: deps.configured().config.digest,
      ...(requestId !== undefined && { requestId }),
    }
    const told = (counts: SyncCounts) => onProgress?.(destination.name, counts)
    return withDestination(at, (input) =>
      applySync(deps, { ...input, lease, allowDeletions, base, now: deps.now, onProgress: told }),
    )
  }

  async function runOne(
    at: AtDestination,
    { former, ...options }: RunOptions & { readonly lease: SyncLease; readonly former: DestinationStatus | undefined },
  ): Promise<DestinationStatus> {
    const { sync, destination, closely } = at
    const startedMs = deps.monotonicMs()
    const outcome = await orSaid(() => apply(at, options))
    const status = statusOf(outcome, former, { finishedAt: deps.now(), closely })
    const labels = { sync: sync.name, destination: destination.name }
    reported.set(JSON.stringify(labels), labels)
    reportRun(deps.telemetry, { ...labels, status, durationMs: deps.monotonicMs() - startedMs })
    return status
  }

  return {
    async run(sync, lease, options) {
      const held = await readStatus(deps.store, sync.name)
      const former = held.status?.destinations ?? {}
      // What some of its destinations had is no run of the sync: the next one comes as if there had been none.
      const digest = options.destinations.length === sync.destinations.length ? sync.digest : ''
      const begun = { digest, startedAt: deps.now(), fence: lease.fence }
      const isFirst = await writeStatus(deps.store, sync.name, held.version, { ...begun, destinations: former })
      if (!isFirst) throw new LeaseLost('somebody else runs it')
      const source = openShared(sync, options.destinations.length)
      const ended = await allEnded(
        options.destinations.map(async (destination) => {
          const { name } = destination
          const at = { sync, destination, source, closely: isLookDue(destination, former[name], deps.now()) }
          return [name, await runOne(at, { ...options, lease, former: former[name] })] as const
        }),
      )
      const known = new Set(sync.destinations.map(({ name }) => name))
      const kept = Object.entries(former).filter(([name]) => known.has(name))
      const status = { ...begun, finishedAt: deps.now(), destinations: Object.fromEntries([...kept, ...ended]) }
      await writeStatus(deps.store, sync.name, held.version + 1, status)
      return status
    },

    async plan(sync, destinations, emit) {
      const source = openShared(sync, destinations.length)
      const planned = await allEnded(
        destinations.map(async (destination) => {
          const { name } = destination
          const outcome = await orSaid(() =>
            withDestination({ sync, destination, source, closely: destination.lookSeconds !== undefined }, (input) =>
              planSync(deps, input, (item) => emit(name, item)),
            ),
          )
          return [name, typeof outcome === 'string' ? failed(outcome) : outcome] as const
        }),
      )
      return Object.fromEntries(planned)
    },

    forgetGone(syncs) {
      for (const [key, labels] of reported) {
        if (syncs.get(labels.sync)?.destinations.some(({ name }) => name === labels.destination)) continue
        reported.delete(key)
        forgetRun(deps.telemetry, labels)
      }
    },
  }
}

/** A clock that was set back makes it due. */
function isLookDue({ lookSeconds }: SyncDestination, former: DestinationStatus | undefined, now: Date): boolean {
  if (lookSeconds === undefined || former?.lookedAt === undefined) return lookSeconds !== undefined
  const sinceMs = now.getTime() - former.lookedAt.getTime()
  return sinceMs < 0 || sinceMs >= lookSeconds * 1000
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

const maxTrustDomain = 100

/** Fits a tag; the deployment's id tells apart what is cut alike. */
function ownerOf(trustDomain: string, sync: Sync, destination: SyncDestination, { deployment }: SyncDigests): string {
  return [trustDomain.slice(0, maxTrustDomain), sync.name, destination.name, deployment].join('/')
}
