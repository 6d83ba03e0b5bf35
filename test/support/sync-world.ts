/**
 * Syncs over a store, sources and clouds in memory, with clocks that go as fast as anybody waits for them.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { createSealedKeys } from '../../src/adapters/keys/sealed.ts'
import type { RecordWriter } from '../../src/core/audit.ts'
import { CloudError, type ExchangeAtCloud } from '../../src/core/cloud.ts'
import { type Configuration, parseConfiguration } from '../../src/core/config.ts'
import { type Configured, createConfigured } from '../../src/core/configured.ts'
import { formatRecord, type RecordEntry } from '../../src/core/record.ts'
import type { OpenSource } from '../../src/core/secret-source.ts'
import { createSyncs, type Syncs } from '../../src/core/syncs.ts'
import type { MetricName, Telemetry } from '../../src/core/telemetry.ts'
import { createTestAuthorities, type TestAuthorities, testPlans } from './authorities.ts'
import { createMemoryCloud, type MemoryCloud } from './memory-destination.ts'
import { createMemorySource, type MemorySource } from './memory-source.ts'
import { createMemoryStore, type MemoryStore } from './memory-store.ts'
import { testSealKey } from './pooled-keys.ts'

const arn = (role: string) => `arn:aws:iam::123456789012:role/${role}`

const base = `
trust_domain: example.org
issuer: https://id.example.org
listen: { address: 127.0.0.1:8443 }
store: sqlite:a.db
seal: { file: seal.key }
targets:
  aws: { type: aws, role_arn: '${arn('sync')}', region: eu-west-1, acts_as: /cloud/sync }
  azure: { type: azure, tenant: contoso.example, client_id: 66666666-7777-8888-9999-000000000000, scopes: ['https://vault.azure.net/.default'] }
  gcp: { type: gcp, provider: projects/123/locations/global/workloadIdentityPools/pool/providers/provider }
destinations:
  aws: { type: aws-secrets-manager, target: aws, writes_per_second: 10000, reads_per_second: 10000 }
  azure: { type: azure-key-vault, target: azure, vault_url: 'https://payments.vault.azure.net', writes_per_second: 10000, reads_per_second: 10000 }
  gcp: { type: gcp-secret-manager, target: gcp, project: payments-prod, writes_per_second: 10000, reads_per_second: 10000 }
`

export const oneSync = `syncs: { payments: { paths: ['**'], destinations: [aws] } }`

/** Making an RSA key takes a while. */
let authorities: TestAuthorities | undefined

async function sharedAuthorities(): Promise<TestAuthorities> {
  const plans = [...testPlans, { ring: 'jwt/RS256', algorithm: 'RS256', ttlSeconds: 7 * 86_400 } as const]
  authorities ??= createTestAuthorities({ plans })
  await authorities.authorities.refresh()
  return authorities
}

export interface SyncWorld {
  readonly store: MemoryStore
  readonly source: MemorySource
  readonly clouds: Readonly<Record<'aws' | 'azure' | 'gcp', MemoryCloud>>
  readonly entries: RecordEntry[]
  readonly logged: string[]
  readonly measured: Map<string, number | undefined>
  /** Everything that was told: records, log lines, metrics. */
  readonly told: () => string
  configure: (syncs: string) => void
  /** Runs before each write of records: may throw, and may take its time. */
  beforeAppend: () => void | Promise<void>
  exchange: ExchangeAtCloud
  /** For sources other than `kv`. */
  openSource: OpenSource
  exchanges: number
  nowMs: number
  /** One process with its own memory; several share all else. */
  readonly createProcess: () => Syncs
  /** One that can be killed: from then on it does nothing more, and answers nothing. */
  readonly createMortal: () => { readonly syncs: Syncs; readonly kill: () => void }
  readonly pass: (ms: number) => void
}

/** @param surroundings What the syncs stand in, given what they usually do. */
export async function createSyncWorld(
  syncs = oneSync,
  surroundings: (usual: string) => string = (usual) => usual,
): Promise<SyncWorld> {
  const store = createMemoryStore()
  const source = createMemorySource()
  const clouds = { aws: createMemoryCloud(), azure: createMemoryCloud(), gcp: createMemoryCloud() }
  const entries: RecordEntry[] = []
  const logged: string[] = []
  const measured = new Map<string, number | undefined>()
  const keys = createSealedKeys({ sealKey: testSealKey, trustDomain: 'example.org', randomBytes })
  const own = await sharedAuthorities()
  const startedAt = own.now.getTime()
  let configured = configure(syncs)

  function configure(text: string): Configured {
    const config: Configuration = parseConfiguration(`${surroundings(base)}${text}`)
    return createConfigured(config, [], { monotonicMs: () => world.nowMs } as never)
  }

  const series = (metric: MetricName, labels: object = {}) => `${metric}${JSON.stringify(labels)}`
  const telemetry: Telemetry = {
    count: (metric, labels, by = 1) =>
      void measured.set(series(metric, labels), (measured.get(series(metric, labels)) ?? 0) + by),
    gauge: (metric, value, labels) => void measured.set(series(metric, labels), value),
    observe: () => undefined,
    log: (level, message, fields) => void logged.push(`${level} ${message} ${JSON.stringify(fields)}`),
  }
  const writer: Pick<RecordWriter, 'append'> = {
    async append(more, _, change) {
      await world.beforeAppend()
      if (change && !store.apply(change)) return 'outdated'
      entries.push(...more)
      return 'stored'
    },
  }
  const now = () => new Date(startedAt + world.nowMs)
  let processes = 0

  /** @param alive Awaited before whatever others would see of the process. */
  function createProcess(alive: () => Promise<never> | undefined): Syncs {
    return createSyncs({
      configured: () => configured,
      store: {
        readDocument: async (name) => (await alive()) ?? store.readDocument(name),
        writeDocument: async (name, expected, body) => (await alive()) ?? store.writeDocument(name, expected, body),
      },
      keys,
      writer: { append: async (...given) => (await alive()) ?? writer.append(...given) },
      telemetry,
      authorities: own.authorities,
      exchangeAtCloud: async (wanted) => {
        world.exchanges += 1
        return world.exchange(wanted)
      },
      joinEqual: (_, run) => run(),
      pause: async (ms) => {
        world.nowMs += ms
      },
      deadline: () => new AbortController().signal,
      now,
      monotonicMs: () => world.nowMs,
      randomBytes,
      kv: source,
      openSource: (opened) => world.openSource(opened),
      openDestination: ({ name, credential }) =>
        clouds[name as keyof typeof clouds].open({
          credential: async (signal) => (await alive()) ?? credential(signal),
        }),
      holder: `process-${++processes}`,
    })
  }
  const world: SyncWorld = {
    store,
    source,
    clouds,
    entries,
    logged,
    measured,
    told: () => [...entries.map(formatRecord), ...logged, ...measured.keys()].join('\n'),
    configure: (text) => {
      configured = configure(text)
    },
    beforeAppend: () => undefined,
    exchange: async ({ target }) => {
      const expiresAt = new Date(now().getTime() + 3_600_000)
      if (target.type !== 'aws') return { credential: { type: target.type, accessToken: 'cloud-token', expiresAt } }
      const keys = { accessKeyId: 'ASIA1', secretAccessKey: 'cloud-secret', sessionToken: 'cloud-session' }
      return { credential: { type: 'aws', ...keys, expiresAt, roleArn: arn('sync') }, requestId: 'sts-1' }
    },
    openSource: () => source,
    exchanges: 0,
    nowMs: 0,
    createProcess: () => createProcess(() => undefined),
    createMortal: () => {
      const never = Promise.withResolvers<never>().promise
      let isDead = false
      const syncs = createProcess(() => (isDead ? never : undefined))
      return {
        syncs,
        kill: () => {
          isDead = true
        },
      }
    },
    pass: (ms) => {
      world.nowMs += ms
    },
  }
  return world
}

export { CloudError }
