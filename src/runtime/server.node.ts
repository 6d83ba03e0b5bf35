/**
 * A gateway on Node: chooses the adapters, opens the listeners, keeps the clockwork going, stops in order.
 *
 * @module
 */
import { setTimeout } from 'node:timers/promises'
import { createFetchBundle } from '../adapters/bundle-endpoint.node.ts'
import { createConnectUpstream } from '../adapters/connect-upstream.node.ts'
import { createExchangeAtCloud } from '../adapters/exchangers/index.ts'
import { createFileReader } from '../adapters/file-reader.node.ts'
import type { ConnectUpstream } from '../adapters/http-client.ts'
import { createJoinEqual } from '../adapters/join-equal.ts'
import { createUpstreamFiles } from '../adapters/keys/upstream-files.ts'
import { measureStore } from '../adapters/stores/measured-store.ts'
import type { RequestTracing } from '../adapters/telemetry/opentelemetry.node.ts'
import { type Authorities, createAuthorities } from '../core/authorities.ts'
import type { Configuration } from '../core/config.ts'
import { createExplainer } from '../core/explainer.ts'
import { createGateway, type Gateway } from '../core/gateway.ts'
import { formatListenAddress } from '../core/listen-address.ts'
import { createOperator } from '../core/operator.ts'
import { createRecordKeeper } from '../core/record-keeper.ts'
import { createRefusalLimiter } from '../core/refusal-limiter.ts'
import { createSecretChanges } from '../core/secret-changes.ts'
import type { Telemetry } from '../core/telemetry.ts'
import type { AdminDeps, ReloadOutcome } from '../http/admin-app.ts'
import { formatHex } from '../protocol/encoding.ts'
import { maxTrustBundleBytes } from '../protocol/trust-bundle.ts'
import type { AdmissionLimits } from './admission.node.ts'
import { createBackups } from './backup.node.ts'
import { startClockwork, type Task } from './clockwork.node.ts'
import { loadConfiguration, watchConfiguration } from './configuration.node.ts'
import { type ConfigurationHolder, createConfigurationHolder } from './configuration-holder.ts'
import { keepCountedRefusals } from './counted-refusals.ts'
import { describeError } from './describe-error.ts'
import { type ConfiguredFederation, startFederation } from './federation.ts'
import { type Listeners, openListeners } from './listeners.node.ts'
import { openRecords } from './open-records.node.ts'
import { type OpenStore, openStore } from './open-store.node.ts'
import { createRandomPool } from './random-pool.ts'
import { createReload, reportConfiguration } from './reload.node.ts'
import { ringPlans } from './ring-plans.ts'
import { createSealRotation } from './seal-rotation.node.ts'
import type { ServerSettings } from './settings.ts'
import { createNodeSyncs } from './sync.node.ts'
import { unlessReadOnly } from './unless-read-only.ts'

export interface ServerDeps {
  readonly telemetry: Telemetry
  readonly metrics: AdminDeps['metrics']
  /** Absent where nothing is traced. */
  readonly tracing?: RequestTracing
  /** Default: those of {@link AdmissionLimits}. */
  readonly admission?: Partial<AdmissionLimits>
  /** An operator had this process reload. */
  readonly reloaded?: () => void
  /** Of the unix path of `listen`, where another process makes it. */
  readonly publicMode?: number
}

export interface RunningServer {
  readonly gateway: Gateway
  readonly addresses: Listeners['addresses']
  readonly reload: () => Promise<ReloadOutcome>
  /** Finishes what was accepted, signs the head of the records, closes the store. */
  readonly close: () => Promise<void>
}

/** The ways to tell the time and to be random that all parts share. */
interface Sources {
  readonly now: () => Date
  readonly monotonicMs: () => number
  readonly randomBytes: (size: number) => Uint8Array
  readonly newRequestId: () => string
}

const refreshMs = 5_000
/** What is signed with is good for a minute: after an outage it is to be read again at once. */
const retryMs = 1_000
const pollMs = 1_000
const syncMs = 1_000
const stopDeadlineMs = 20_000

/**
 * @throws {ConfigurationError} @throws {DocumentError} @throws {StoreError} @throws {SealKeyError} @throws {SealError}
 *   @throws {ListenError} with nothing left open
 */
export async function startServer(settings: ServerSettings, deps: ServerDeps): Promise<RunningServer> {
  const config = await loadConfiguration(settings.configFile)
  const sources = createSources()
  await using started = new AsyncDisposableStack()
  const opened = await openStore(config, settings, sources.randomBytes)
  started.defer(opened.store.close)
  const server = await assemble({ settings, config, opened, sources, started, ...deps })
  // From here on all of it is the caller's to close.
  started.move()
  return server
}

export function createSources(): Sources {
  const randomBytes = createRandomPool()
  return {
    now: () => new Date(),
    monotonicMs: () => performance.now(),
    randomBytes,
    newRequestId: () => formatHex(randomBytes(12)),
  }
}

interface Parts extends ServerDeps {
  readonly settings: ServerSettings
  readonly config: Configuration
  readonly opened: OpenStore
  readonly sources: Sources
  /** Closes, the last one first, what is open when the start fails. */
  readonly started: AsyncDisposableStack
}

async function assemble(parts: Parts): Promise<RunningServer> {
  const { settings, config, opened, sources, started, telemetry, metrics, tracing } = parts
  const { admission, reloaded, publicMode } = parts
  const store = measureStore(opened.store, { telemetry, monotonicMs: sources.monotonicMs })
  let holder: ConfigurationHolder | undefined
  const authorities = createNodeAuthorities(parts, () => holder?.configured().config ?? config)
  await unlessReadOnly(telemetry, 'the rotation of authorities', authorities.refresh)
  const recorded = await openRecords({
    ...sources,
    opened: { ...opened, store },
    telemetry,
    trustDomain: config.trustDomain,
  })
  const { writer, records } = recorded
  started.defer(recorded.close)
  const federation = await startFederation({
    ...sources,
    config,
    store,
    writer,
    telemetry,
    authorities,
    files: createFileReader(maxTrustBundleBytes),
    fetchBundle: createFetchBundle(sources),
  })
  started.defer(federation.close)
  holder = createHolder(parts, authorities, federation)
  started.defer(holder.close)
  const { configured } = holder

  const limiter = createRefusalLimiter({ perMinute: () => configured().config.limits.refusals })
  const reload = createReload({
    configFile: settings.configFile,
    holder,
    federation,
    authorities,
    writer,
    telemetry,
    now: sources.now,
  })
  const connect = createConnect(parts)
  const exchangeAtCloud = createExchangeAtCloud({ connect, now: sources.now })
  started.defer(exchangeAtCloud.close)
  const clouds = { exchangeAtCloud, joinEqual: createJoinEqual(), pause: (ms: number) => setTimeout(ms), deadline }
  const secrets = { store, keys: opened.keys, changes: createSecretChanges() }
  const syncs = createNodeSyncs({
    ...sources,
    ...secrets,
    ...clouds,
    configured,
    authorities,
    writer,
    telemetry,
    connect,
  })
  started.defer(syncs.close)
  const gateway = createGateway({
    ...sources,
    ...secrets,
    ...clouds,
    configured,
    authorities,
    records: createRecordKeeper({ writer, limiter, telemetry, now: sources.now }),
    configurationRefused: reload.refused,
    bundleOf: federation.bundleOf,
    telemetry,
  })
  const listeners = await openListeners({
    ...sources,
    config,
    gateway,
    federation,
    operator: createOperator({
      ...sources,
      ...secrets,
      authorities,
      store,
      writer,
      configured,
      exchangeAtCloud,
      deadline,
    }),
    syncs,
    records,
    seal: createSealRotation({ ...opened, seal: config.seal, writer, now: sources.now, pause: (ms) => setTimeout(ms) }),
    backups: createBackups({ ...opened, config, writer, now: sources.now }),
    explainer: createExplainer({ configured, store, records, now: sources.now }),
    telemetry,
    metrics,
    authorities,
    reload: async (requestId) => {
      const outcome = await reload.run(requestId)
      reloaded?.()
      return outcome
    },
    ...(tracing && { tracing }),
    ...(admission && { admission }),
    ...(publicMode !== undefined && { publicMode }),
  })
  started.defer(() => listeners.close(0))
  const keepCounts = (all: boolean) => keepCountedRefusals(limiter, writer, sources.now(), all)
  const tasks: readonly Task[] = [
    { name: 'authorities', everyMs: refreshMs, retryMs, run: authorities.refresh },
    { name: 'federation', everyMs: refreshMs, run: federation.refresh },
    { name: 'polls of bundles', everyMs: pollMs, run: async () => void federation.poll() },
    { name: 'syncs', everyMs: syncMs, run: async () => syncs.tick() },
    { name: 'tls', everyMs: refreshMs, run: listeners.refreshTls },
    { name: 'counted refusals', everyMs: refreshMs, run: () => keepCounts(false) },
    ...recorded.tasks,
  ]
  const clockwork = startClockwork(tasks, telemetry)
  started.defer(clockwork.close)
  const requestReload = () => reload.run(sources.newRequestId())
  const orLog = (what: string, run: () => Promise<unknown>) => logFailure(telemetry, what, run)
  const watcher = watchConfiguration(
    settings.configFile,
    () => void orLog('the reload', requestReload),
    (error) => telemetry.log('warning', unwatched, { error: describeError(error) }),
  )
  started.defer(watcher.close)

  reportStart(parts, listeners)
  return {
    gateway,
    addresses: listeners.addresses,
    reload: requestReload,
    async close() {
      watcher.close()
      await listeners.close(stopDeadlineMs)
      await federation.close()
      await clockwork.close()
      await orLog('stopping the syncs', syncs.close)
      await orLog('keeping the counted refusals', () => keepCounts(true))
      await orLog('signing the head of the records', records.signHeads)
      await exchangeAtCloud.close()
      await orLog('closing the records', recorded.close)
      await holder?.close()
      await store.close()
      telemetry.log('info', 'stopped')
    },
  }
}

const deadline = (ms: number) => AbortSignal.timeout(ms)

const unwatched = 'changes of the configuration are not seen: reload with SIGHUP or `apostille reload`'

/** For what nobody waits for, or what must not keep the next step from being taken. */
async function logFailure(telemetry: Telemetry, what: string, run: () => Promise<unknown>): Promise<void> {
  try {
    await run()
  } catch (error) {
    telemetry.log('error', `${what} failed`, { error: describeError(error) })
  }
}

export function createNodeAuthorities(
  { opened, sources, telemetry, config }: Pick<Parts, 'opened' | 'sources' | 'telemetry' | 'config'>,
  current: () => Configuration,
): Authorities {
  return createAuthorities({
    ...sources,
    store: opened.store,
    keys: opened.keys,
    telemetry,
    trustDomain: config.trustDomain,
    publishedSeconds: () => current().outage.documents,
    issuer: () => current().issuer,
    plans: () => ringPlans(current()),
    upstream: () => {
      const files = current().authorities.x509.upstream
      return files && createUpstreamFiles(files, createFileReader())
    },
  })
}

function createHolder(
  parts: Parts,
  authorities: Authorities,
  { bundleOf }: Pick<ConfiguredFederation, 'bundleOf'>,
): ConfigurationHolder {
  const { config, opened, sources, telemetry } = parts
  const files = createFileReader()
  return createConfigurationHolder(config, {
    ...sources,
    store: opened.store,
    trustDomain: config.trustDomain,
    ours: authorities.current,
    bundleOf,
    connect: createConnect(parts, files),
    files,
    shareFetches: true,
    telemetry,
  })
}

function createConnect({ sources, tracing }: Parts, files = createFileReader()): ConnectUpstream {
  const connect = createConnectUpstream({ files, monotonicMs: sources.monotonicMs })
  return tracing ? tracing.connect(connect) : connect
}

function reportStart({ config, settings, opened, sources, telemetry }: Parts, { addresses }: Listeners): void {
  telemetry.gauge('apostille_config_valid', 1)
  reportConfiguration(telemetry, config.digest, sources.now())
  // The issuer of `dev` has a port, and no cloud is to know it.
  const warnings = config.warnings.filter(({ path }) => settings.purpose !== 'dev' || path !== 'issuer')
  for (const { message, line, path } of warnings) telemetry.log('warning', message, { line, path })
  if (opened.ring.isUnfinished())
    telemetry.log('warning', 'a rotation of the seal key is unfinished: go on with it by `apostille seal rotate`')
  telemetry.log('info', 'ready', {
    trust_domain: config.trustDomain,
    issuer: config.issuer,
    listen: formatListenAddress(addresses.main),
    admin: formatListenAddress(addresses.admin),
  })
}
