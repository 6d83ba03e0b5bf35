/**
 * Two processes: one fills `kv` with so many secrets, the other syncs them twice and prints what it took.
 *
 *     node bench/sync-program.ts fill FOLDER SECRETS
 *     node bench/sync-program.ts run FOLDER DESTINATIONS LATENCY_MS
 *
 * Store, seal, records and leases are those of a gateway; the destinations are doubles.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { createSealedKeys } from '../src/adapters/keys/sealed.ts'
import { createKvSource } from '../src/adapters/sources/kv.ts'
import { createRecordWriter } from '../src/adapters/stores/record-writer.ts'
import { createSqliteStore } from '../src/adapters/stores/sqlite.node.ts'
import { createAuthorities } from '../src/core/authorities.ts'
import { parseConfiguration } from '../src/core/config.ts'
import { createConfigured } from '../src/core/configured.ts'
import { openRecordKeys } from '../src/core/record-keys.ts'
import { addVersion, createSecret } from '../src/core/secret.ts'
import { createSecretChanges } from '../src/core/secret-changes.ts'
import { parseSecretPath } from '../src/core/secret-path.ts'
import { createSecretShelf } from '../src/core/secret-shelf.ts'
import type { SecretSource } from '../src/core/secret-source.ts'
import { createSyncs } from '../src/core/syncs.ts'
import { silentTelemetry } from '../src/core/telemetry.ts'
import { createSyncDouble, type SyncDouble } from './sync-double.ts'

/** What the program prints. */
export interface SyncMeasurement {
  readonly firstSeconds: number
  /** Of the processor. */
  readonly firstCpuSeconds: number
  readonly idleSeconds: number
  /** Of the first run, of all destinations. */
  readonly firstCalls: number
  /** Of the idle run: writes and looks at single secrets there, and reads of single secrets at the source. */
  readonly idleTouches: number
  readonly idlePages: number
  /** The most that was resident, in MB. */
  readonly residentPeak: number
}

const batch = 500
const [act, folder = '', first = '', second = ''] = process.argv.slice(2)
const trustDomain = 'example.org'
const store = createSqliteStore({ path: join(folder, 'apostille.db'), trustDomain })
const keys = createSealedKeys({ sealKey: Buffer.alloc(32, 7), trustDomain, randomBytes })
if (act === 'fill') await fill(Number(first))
else console.log(JSON.stringify(await measure(Number(first), Number(second))))
await store.close()

async function measure(destinationCount: number, latencyMs: number): Promise<SyncMeasurement> {
  const names = Array.from({ length: destinationCount }, (_, index) => `d${index}`)
  // Where nobody waits, it is memory that is measured.
  const place = (name: string) => (latencyMs === 0 ? { file: join(folder, `${name}.db`) } : {})
  const doubles = new Map(names.map((name) => [name, createSyncDouble({ latencyMs, ...place(name) })]))
  const kv = countReads(createKvSource({ store, keys, changes: createSecretChanges() }))
  const syncs = await open({ names, doubles, source: kv.source })
  const cpuBefore = process.cpuUsage()
  const firstSeconds = await run(syncs)
  const { user, system } = process.cpuUsage(cpuBefore)
  const firstCalls = sumCalls(doubles).all
  const readsBefore = kv.reads()
  const idleSeconds = await run(syncs)
  const { pages, all } = sumCalls(doubles)
  return {
    firstSeconds,
    firstCpuSeconds: (user + system) / 1e6,
    idleSeconds,
    firstCalls,
    idleTouches: all - pages + kv.reads() - readsBefore,
    idlePages: pages,
    residentPeak: process.resourceUsage().maxRSS / 1000,
  }
}

async function fill(count: number): Promise<void> {
  const shelf = createSecretShelf({ store, keys })
  for (let from = 0; from < count; from += batch) {
    const numbers = Array.from({ length: Math.min(batch, count - from) }, (_, index) => from + index)
    const changes = await Promise.all(
      numbers.map(async (number) => {
        const path = parseSecretPath(`team-${number % 100}/service-${number}`)
        const sealed = await shelf.seal(path, 1, { user: `user-${number}`, password: `a password of number ${number}` })
        const now = new Date()
        return shelf.changeOf({ path, version: 0 }, addVersion(createSecret(now), sealed, now))
      }),
    )
    await store.appendRecords({ records: [], spends: [], changes })
  }
}

interface Parts {
  readonly names: readonly string[]
  readonly doubles: ReadonlyMap<string, SyncDouble>
  readonly source: SecretSource
}

async function open({ names, doubles, source }: Parts) {
  const config = parseConfiguration(document(names))
  const clocks = { now: () => new Date(), monotonicMs: () => performance.now() }
  const recordKeys = await openRecordKeys(store, keys)
  const writer = await createRecordWriter({
    store,
    chain: () => 'main',
    macKey: recordKeys.macKey,
    telemetry: silentTelemetry,
  })
  const configured = createConfigured(config, [], { ...clocks } as never)
  const authorities = createAuthorities({
    ...clocks,
    store,
    keys,
    randomBytes,
    telemetry: silentTelemetry,
    trustDomain: config.trustDomain,
    issuer: () => config.issuer,
    plans: () => [{ ring: 'jwt/ES256', algorithm: 'ES256', ttlSeconds: 7 * 86_400 }],
    upstream: () => undefined,
    publishedSeconds: () => 0,
  })
  await authorities.refresh()
  const hourMs = 3_600_000
  return createSyncs({
    ...clocks,
    configured: () => configured,
    store,
    keys,
    writer,
    authorities,
    randomBytes,
    telemetry: silentTelemetry,
    kv: source,
    openSource: () => source,
    openDestination: ({ name, credential }) => {
      const { destination } = doubles.get(name) ?? raise(`there is no destination ${name}`)
      void credential(new AbortController().signal)
      return destination
    },
    exchangeAtCloud: async () => ({
      credential: { type: 'gcp', accessToken: 'token', expiresAt: new Date(Date.now() + hourMs) },
    }),
    joinEqual: (_, work) => work(),
    pause: (ms) => setTimeout(ms),
    deadline: (ms) => AbortSignal.timeout(ms),
    holder: 'bench',
  })
}

function document(names: readonly string[]): string {
  const destination =
    '{ type: gcp-secret-manager, target: t, project: payments-prod, writes_per_second: 10000, reads_per_second: 10000 }'
  return `trust_domain: example.org
issuer: https://id.example.org
listen: { address: 127.0.0.1:8443 }
store: sqlite:./apostille.db
seal: { file: ./seal.key }
authorities: { jwt: { algorithms: [ES256], rs256_audiences: [] } }
targets: { t: { type: gcp, provider: projects/1/locations/global/workloadIdentityPools/pool/providers/provider } }
destinations: { ${names.map((name) => `${name}: ${destination}`).join(', ')} }
syncs: { s: { paths: ['**'], destinations: [${names.join(', ')}] } }
`
}

async function run(syncs: ReturnType<typeof createSyncs>): Promise<number> {
  const startedMs = performance.now()
  const request = { sync: 's', requestId: 'bench', allowDeletions: false }
  const status = await syncs.apply(request, () => undefined)
  for (const [name, { state, error, problems }] of Object.entries(status.destinations))
    if (state !== 'synced') throw new Error(`${name} is ${state}: ${error ?? JSON.stringify(problems[0])}`)
  return (performance.now() - startedMs) / 1000
}

function countReads(source: SecretSource) {
  let reads = 0
  return {
    reads: () => reads,
    source: {
      ...source,
      read(path: string, signal: AbortSignal) {
        reads += 1
        return source.read(path, signal)
      },
    },
  }
}

function sumCalls(doubles: Parts['doubles']) {
  const taken = [...doubles.values()].map(({ takeCalls }) => takeCalls())
  const sum = (of: (calls: (typeof taken)[number]) => number) => taken.reduce((total, calls) => total + of(calls), 0)
  return { pages: sum(({ pages }) => pages), all: sum(({ pages, looks, writes }) => pages + looks + writes) }
}

function raise(message: string): never {
  throw new Error(message)
}
