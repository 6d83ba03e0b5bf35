/**
 * A gateway on Workers: chooses the adapters, and keeps going without timers.
 *
 * It lives in one Durable Object, and so in one place at a time: that is the one writer of the records, of join tokens and
 * of the authorities. What several requests do may be joined there, as in a process.
 *
 * @module
 */
import { createFetchBundle } from '../adapters/bundle-endpoint.worker.ts'
import { createConnectUpstream } from '../adapters/connect-upstream.worker.ts'
import { createExchangeAtCloud } from '../adapters/exchangers/index.ts'
import { createJoinEqual } from '../adapters/join-equal.ts'
import { createSealedKeys } from '../adapters/keys/sealed.ts'
import { createUpstreamFiles } from '../adapters/keys/upstream-files.ts'
import type { RecordWriterDeps } from '../adapters/stores/record-writer.ts'
import type { RecordWriter } from '../core/audit.ts'
import { type Authorities, type AuthoritiesDeps, createAuthorities } from '../core/authorities.ts'
import type { Configuration } from '../core/config.ts'
import type { Federation } from '../core/federation.ts'
import { createGateway } from '../core/gateway.ts'
import { createRecordKeeper } from '../core/record-keeper.ts'
import { openRecordKeys } from '../core/record-keys.ts'
import { createRecords } from '../core/records.ts'
import { createRefusalLimiter } from '../core/refusal-limiter.ts'
import { createSecretChanges } from '../core/secret-changes.ts'
import type { Store } from '../core/store.ts'
import type { Syncs } from '../core/syncs.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { formatHex } from '../protocol/encoding.ts'
import { type Bindings, type BoundConfiguration, readSealKey } from './bindings.worker.ts'
import { type ConfigurationHolder, createConfigurationHolder } from './configuration-holder.ts'
import { keepCountedRefusals } from './counted-refusals.ts'
import { createDueTasks, type DueTask, type DueTasks } from './due-tasks.ts'
import { startFederation } from './federation.ts'
import { createPublicApp } from './public-app.worker.ts'
import { createRandomPool } from './random-pool.ts'
import { ringPlans } from './ring-plans.ts'
import { createWorkerSyncs } from './sync.worker.ts'

export interface WorkerGateway {
  /** The public API. */
  readonly answer: (request: Request) => Promise<Response>
  /** The admin API: whoever may call this is an operator. */
  readonly administer: (request: Request) => Promise<Response>
  /** What has to be done every minute, whether requests come or not. Settles when the syncs that it set off have ended. */
  readonly tick: () => Promise<void>
}

export interface WorkerGatewayDeps extends BoundConfiguration {
  readonly bindings: Bindings
  readonly store: Store
  readonly openWriter: (deps: RecordWriterDeps) => Promise<RecordWriter>
  readonly telemetry: Telemetry
}

const refreshMs = 5_000
const pollMs = 1_000
const headMs = 60_000
/** Half of what the authorities may be old. */
const waitForRefreshMs = 30_000
const chain = 'main'

/** The ways to tell the time and to be random that all parts share. */
function createSources() {
  const randomBytes = createRandomPool()
  return {
    now: () => new Date(),
    monotonicMs: () => performance.now(),
    randomBytes,
    newRequestId: () => formatHex(randomBytes(12)),
    fetch: (url: string, init: RequestInit) => fetch(url, init),
  }
}

/** @throws {DocumentError} @throws {StoreError} @throws {SealError} Nothing was overwritten then */
export async function openGateway(deps: WorkerGatewayDeps): Promise<WorkerGateway> {
  const { config, bindings, store, telemetry } = deps
  const { trustDomain } = config
  const sources = createSources()
  const sealKey = readSealKey(bindings, config)
  const keys = createSealedKeys({ sealKey, trustDomain, randomBytes: sources.randomBytes })
  const recordKeys = await openRecordKeys(store, keys)
  const kept = { ...deps, ...sources, keys, recordKeys }
  const authorities = openAuthorities(kept)
  await authorities.refresh()
  const writer = await deps.openWriter({ store, chain: () => chain, macKey: recordKeys.macKey, telemetry })
  const parts = { ...kept, authorities, writer }
  const federation = await startFederation({ ...parts, fetchBundle: createFetchBundle(sources) })
  const records = createRecords({ ...sources, store, writer, keys: recordKeys, trustDomain })
  const limiter = createRefusalLimiter({ perMinute: () => config.limits.refusals })
  const shared = {
    ...parts,
    changes: createSecretChanges(),
    ...openConfiguration(parts, federation),
    ...cloudPorts(sources),
  }
  const syncs = createWorkerSyncs({ ...shared, connect: createConnectUpstream(sources) })
  const gateway = createGateway({
    ...shared,
    records: createRecordKeeper({ writer, limiter, telemetry, now: sources.now }),
    configurationRefused: () => false,
    bundleOf: federation.bundleOf,
  })
  const tasks: readonly DueTask[] = [
    { name: 'authorities', everyMs: refreshMs, run: authorities.refresh },
    { name: 'federation', everyMs: refreshMs, run: federation.refresh },
    { name: 'polls of bundles', everyMs: pollMs, run: async () => void federation.poll() },
    { name: 'syncs', everyMs: pollMs, run: async () => syncs.tick() },
    {
      name: 'counted refusals',
      everyMs: refreshMs,
      run: () => keepCountedRefusals(limiter, writer, sources.now(), false),
    },
    { name: 'head of the records', everyMs: headMs, run: records.signHeads },
  ]
  reportStart(config, telemetry)
  return keepGoing({
    ...sources,
    tasks: createDueTasks(tasks, { ...sources, telemetry }),
    syncs,
    answer: createPublicApp({ ...sources, config, gateway, telemetry }),
    openAdministration: async () => {
      const { createAdministration } = await import('./administration.worker.ts')
      return createAdministration({ ...shared, gateway, federation, records, syncs, sealKey })
    },
  })
}

type Kept = WorkerGatewayDeps & ReturnType<typeof createSources> & Pick<AuthoritiesDeps, 'keys'>

function openAuthorities(kept: Kept): Authorities {
  const { config, files } = kept
  return createAuthorities({
    ...kept,
    trustDomain: config.trustDomain,
    publishedSeconds: () => config.outage.documents,
    issuer: () => config.issuer,
    plans: () => ringPlans(config),
    upstream: () => {
      const named = config.authorities.x509.upstream
      return named && createUpstreamFiles(named, files)
    },
  })
}

function openConfiguration(
  parts: Kept & { readonly authorities: Authorities },
  { bundleOf }: Pick<Federation, 'bundleOf'>,
): Pick<ConfigurationHolder, 'configured'> {
  const { config, authorities } = parts
  return createConfigurationHolder(config, {
    ...parts,
    trustDomain: config.trustDomain,
    ours: authorities.current,
    bundleOf,
    connect: createConnectUpstream(parts),
    shareFetches: true,
  })
}

function cloudPorts({ now, ...sources }: ReturnType<typeof createSources>) {
  return {
    exchangeAtCloud: createExchangeAtCloud({ connect: createConnectUpstream(sources), now }),
    joinEqual: createJoinEqual(),
    pause: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
    deadline: (ms: number) => AbortSignal.timeout(ms),
  }
}

interface GoingDeps {
  readonly tasks: DueTasks
  readonly syncs: Pick<Syncs, 'idle'>
  readonly monotonicMs: () => number
  readonly answer: (request: Request) => Promise<Response>
  /** With the first that an operator asks. */
  readonly openAdministration: () => Promise<(request: Request) => Promise<Response>>
}

/** Whoever comes by sets off what is due, looked for once a second, and waits for it when it is long overdue. */
function keepGoing({ tasks, syncs, monotonicMs, answer, openAdministration }: GoingDeps): WorkerGateway {
  let refreshedAtMs = monotonicMs()
  let lookedAtMs = refreshedAtMs
  let administration: ReturnType<GoingDeps['openAdministration']> | undefined

  function go(): Promise<void> | undefined {
    const nowMs = monotonicMs()
    const isOverdue = nowMs - refreshedAtMs > waitForRefreshMs
    if (!isOverdue && nowMs - lookedAtMs < pollMs) return undefined
    lookedAtMs = nowMs
    const done = tasks.runDue().then(() => {
      refreshedAtMs = monotonicMs()
    })
    return isOverdue ? done : undefined
  }

  return {
    answer(request) {
      const overdue = go()
      return overdue ? overdue.then(() => answer(request)) : answer(request)
    },
    async administer(request) {
      await go()
      administration ??= openAdministration()
      return (await administration)(request)
    },
    async tick() {
      await tasks.runAll()
      // No request waits for a sync, and the platform may put away what nobody waits for.
      await syncs.idle()
    },
  }
}

function reportStart(config: Configuration, telemetry: Telemetry): void {
  for (const { message, line, path } of config.warnings) telemetry.log('warning', message, { line, path })
  telemetry.log(
    'warning',
    'client certificates are no proof here, as the platform ends TLS: workloads prove themselves with tokens',
  )
  telemetry.log('info', 'ready', { trust_domain: config.trustDomain, issuer: config.issuer })
}
