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
import { createRecordWriter } from '../adapters/stores/record-writer.ts'
import { createAuthorities } from '../core/authorities.ts'
import type { Configuration } from '../core/config.ts'
import { createExplainer } from '../core/explainer.ts'
import { createGateway } from '../core/gateway.ts'
import { createOperator } from '../core/operator.ts'
import { createRecordKeeper } from '../core/record-keeper.ts'
import { openRecordKeys } from '../core/record-keys.ts'
import { createRecords } from '../core/records.ts'
import { createRefusalLimiter } from '../core/refusal-limiter.ts'
import type { Store } from '../core/store.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { createAdminApp, type ReloadOutcome } from '../http/admin-app.ts'
import { createApp } from '../http/app.ts'
import { createAddressReader } from '../http/client-address.ts'
import { formatHex } from '../protocol/encoding.ts'
import { type Bindings, type BoundConfiguration, readSealKey } from './bindings.worker.ts'
import { createConfigurationHolder } from './configuration-holder.ts'
import { keepCountedRefusals } from './counted-refusals.ts'
import { createDueTasks } from './due-tasks.ts'
import { startFederation } from './federation.ts'
import { describeGateway } from './gateway-status.ts'
import { createRandomPool } from './random-pool.ts'
import { ringPlans } from './ring-plans.ts'
import { createWorkerSeal, workerBackups } from './worker-limits.ts'

export interface WorkerGateway {
  /** The public API. */
  readonly answer: (request: Request) => Promise<Response>
  /** The admin API: whoever may call this is an operator. */
  readonly administer: (request: Request) => Promise<Response>
  /** What has to be done every minute, whether requests come or not. */
  readonly tick: () => Promise<void>
}

export interface WorkerGatewayDeps extends BoundConfiguration {
  readonly bindings: Bindings
  readonly store: Store
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
  const { config, files, bindings, store, telemetry } = deps
  const sources = createSources()
  const { trustDomain } = config
  const sealKey = readSealKey(bindings, config)
  const keys = createSealedKeys({ sealKey, trustDomain, randomBytes: sources.randomBytes })
  const recordKeys = await openRecordKeys(store, keys)
  const authorities = createAuthorities({
    ...sources,
    store,
    keys,
    telemetry,
    trustDomain,
    publishedSeconds: () => config.outage.documents,
    issuer: () => config.issuer,
    plans: () => ringPlans(config),
    upstream: () => {
      const named = config.authorities.x509.upstream
      return named && createUpstreamFiles(named, files)
    },
  })
  await authorities.refresh()
  const writer = await createRecordWriter({ store, chain: () => chain, macKey: recordKeys.macKey, telemetry })
  const federation = await startFederation({
    ...sources,
    config,
    store,
    writer,
    telemetry,
    authorities,
    files,
    fetchBundle: createFetchBundle(sources),
  })
  const { configured } = createConfigurationHolder(config, {
    ...sources,
    store,
    trustDomain,
    ours: authorities.current,
    bundleOf: federation.bundleOf,
    connect: createConnectUpstream(sources),
    files,
    shareFetches: true,
    telemetry,
  })
  const limiter = createRefusalLimiter({ perMinute: () => config.limits.refusals })
  const shared = {
    ...sources,
    configured,
    authorities,
    store,
    keys,
    exchangeAtCloud: createExchangeAtCloud({ connect: createConnectUpstream(sources), now: sources.now }),
    deadline: (ms: number) => AbortSignal.timeout(ms),
  }
  const gateway = createGateway({
    ...shared,
    records: createRecordKeeper({ writer, limiter, telemetry, now: sources.now }),
    configurationRefused: () => false,
    bundleOf: federation.bundleOf,
    telemetry,
    joinEqual: createJoinEqual(),
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  })
  const records = createRecords({ ...sources, store, writer, keys: recordKeys, trustDomain })
  const due = createDueTasks(
    [
      { name: 'authorities', everyMs: refreshMs, run: authorities.refresh },
      { name: 'federation', everyMs: refreshMs, run: federation.refresh },
      { name: 'polls of bundles', everyMs: pollMs, run: async () => void federation.poll() },
      {
        name: 'counted refusals',
        everyMs: refreshMs,
        run: () => keepCountedRefusals(limiter, writer, sources.now(), false),
      },
      { name: 'head of the records', everyMs: headMs, run: records.signHeads },
    ],
    { ...sources, telemetry },
  )
  const seal = createWorkerSeal(sealKey)
  const app = createPublicApp({ ...sources, config, gateway, telemetry })
  const admin = createAdminApp({
    ...sources,
    gateway,
    operator: createOperator({ ...shared, writer }),
    federation,
    records,
    explainer: createExplainer({ ...sources, configured, store, records }),
    seal,
    backups: workerBackups,
    telemetry,
    reload: async () => notReloaded(config),
    metrics: async () => ({ contentType: 'text/plain', body: '# Workers have the metrics of their platform\n' }),
    status: () => describeGateway({ ...sources, gateway, authorities, federation, seal }),
  })
  let refreshedAtMs = sources.monotonicMs()
  async function keepGoing(): Promise<void> {
    const done = due().then(() => {
      refreshedAtMs = sources.monotonicMs()
    })
    if (sources.monotonicMs() - refreshedAtMs > waitForRefreshMs) await done
  }

  reportStart(config, telemetry)
  return {
    async answer(request) {
      await keepGoing()
      return app(request)
    },
    async administer(request) {
      await keepGoing()
      return admin.fetch(request)
    },
    tick: due,
  }
}

type PublicAppDeps = Pick<Parameters<typeof createApp>[0], 'gateway' | 'telemetry' | 'now'> & {
  readonly config: Configuration
  readonly newRequestId: () => string
}

/** Whom the platform had the request from; it lets nobody else set that header. */
const callerHeader = 'cf-connecting-ip'

function createPublicApp({ config, newRequestId, ...deps }: PublicAppDeps) {
  const readAddress = createAddressReader(config.listen.trusted_proxies)
  const app = createApp({
    ...deps,
    requestId: newRequestId,
    connection: (env) => {
      const headers = env as Headers
      const header = (name: string) => headers.get(name) ?? undefined
      return { address: readAddress(header(callerHeader) ?? '', header), certificates: [] }
    },
  })
  return async (request: Request) => app.fetch(request, request.headers)
}

function notReloaded({ digest }: Configuration): ReloadOutcome {
  const message = 'a Worker takes its configuration with its deployment: deploy it again'
  return { applied: false, digest, problems: [{ message }] }
}

function reportStart(config: Configuration, telemetry: Telemetry): void {
  for (const { message, line, path } of config.warnings) telemetry.log('warning', message, { line, path })
  telemetry.log(
    'warning',
    'client certificates are no proof here, as the platform ends TLS: workloads prove themselves with tokens',
  )
  telemetry.log('info', 'ready', { trust_domain: config.trustDomain, issuer: config.issuer })
}
