/**
 * Gateways that federate: bundles, endpoints and a store without a network, and a clock that the test moves.
 *
 * @module
 */

import { createFederation, type Federation, type FederationDeps, type Peer } from '../../src/core/federation.ts'
import type { RecordEntry } from '../../src/core/record.ts'
import { chainStart } from '../../src/core/record-chain.ts'
import type { Store, StoredDocument } from '../../src/core/store.ts'
import { buildSpiffeId, parseTrustDomain, type TrustDomain } from '../../src/protocol/spiffe-id.ts'
import { formatTrustBundle } from '../../src/protocol/trust-bundle.ts'
import { createTestAuthority, type TestCertificate } from './certificate-authority.ts'
import { createTelemetryLog } from './fake-upstream.ts'

export const domain = parseTrustDomain
export const [a, b, ours] = [domain('a.example'), domain('b.example'), domain('ours.example')]
export const noon = new Date('2026-08-01T12:00:00Z')

const authorities = new Map<string, TestCertificate>()

/** The same each time for one trust domain and number. */
export function authorityOf(trustDomain: string, number = 1): TestCertificate {
  const name = `${trustDomain} ${number}`
  const made = authorities.get(name) ?? createTestAuthority({ uris: [`spiffe://${trustDomain}`], subject: name })
  authorities.set(name, made)
  return made
}

export interface BundleWishes {
  readonly sequence?: number
  readonly hint?: number
  /** Numbers of authorities; 1 by default. */
  readonly keys?: readonly number[]
}

export function bundleText(trustDomain: TrustDomain, { sequence, hint, keys = [1] }: BundleWishes = {}): string {
  return formatTrustBundle({
    trustDomain,
    ...(sequence !== undefined && { sequence: BigInt(sequence) }),
    ...(hint !== undefined && { refreshHintSeconds: hint }),
    x509Authorities: keys.map((number) => authorityOf(trustDomain, number).der),
    jwtAuthorities: [],
  })
}

/** Kept fresh from `https://<trust domain>/`. */
export function webPeer(trustDomain: TrustDomain, firstBundle?: string): Peer {
  const endpoint = { url: `https://${trustDomain}/`, private: false, profile: 'https_web' } as const
  return { trustDomain, endpoint, ...(firstBundle !== undefined && { firstBundle }) }
}

/** The same, where `endpointDomain` has the server. */
export function spiffePeer(trustDomain: TrustDomain, endpointDomain: TrustDomain, firstBundle?: string): Peer {
  const spiffeId = buildSpiffeId(endpointDomain, '/bundle-server')
  const endpoint = { url: `https://${trustDomain}/`, private: false, profile: 'https_spiffe', spiffeId } as const
  return { trustDomain, endpoint, ...(firstBundle !== undefined && { firstBundle }) }
}

export function filePeer(trustDomain: TrustDomain, firstBundle: string): Peer {
  return { trustDomain, firstBundle }
}

export interface DocumentStore extends Pick<Store, 'readDocument' | 'listDocuments'> {
  /** Tests may put another in its place. */
  writeDocument: Store['writeDocument']
  readonly documents: Map<string, StoredDocument>
  /** What its methods fail with. */
  failure: Error | undefined
  /** How often one failed. */
  failed: number
}

export function createDocumentStore(): DocumentStore {
  const documents = new Map<string, StoredDocument>()
  const fail = () => {
    if (store.failure === undefined) return
    store.failed++
    throw store.failure
  }
  const store: DocumentStore = {
    documents,
    failure: undefined,
    failed: 0,
    async readDocument(name) {
      fail()
      return documents.get(name) ?? { version: 0, body: '' }
    },
    async writeDocument(name, expected, body) {
      fail()
      if ((documents.get(name)?.version ?? 0) !== expected) return false
      documents.set(name, { version: expected + 1, body })
      return true
    },
    async listDocuments({ prefix }) {
      fail()
      return [...documents].flatMap(([name, { version }]) => (name.startsWith(prefix) ? [{ name, version }] : []))
    },
  }
  return store
}

export type Endpoint = (call: {
  readonly authorities: Parameters<FederationDeps['fetchBundle']>[1]
  readonly signal: AbortSignal
}) => Promise<string>

/** What replicas share: the store, the endpoints, the clock. */
export interface World {
  readonly store: DocumentStore
  readonly endpoints: Map<string, Endpoint>
  /** Trust domains whose endpoint was asked, in order. */
  readonly asked: string[]
  readonly now: () => Date
  readonly advance: (seconds: number) => void
  readonly start: (peers: readonly Peer[]) => Replica
  /** That replicas write to; empty while there is none. */
  chain: string
}

export interface Replica extends Federation {
  /** Replaces the configuration. */
  readonly configure: (peers: readonly Peer[]) => void
  readonly records: RecordEntry[]
  readonly telemetry: ReturnType<typeof createTelemetryLog>
  /** What one turn of the clockwork does. */
  readonly turn: () => Promise<void>
  /** Sequence numbers of the bundles in use. */
  readonly sequences: () => Readonly<Record<string, number | undefined>>
}

/** @param random From 0 to 1. */
export function createWorld(random: () => number = () => 0): World {
  const store = createDocumentStore()
  const endpoints = new Map<string, Endpoint>()
  const asked: string[] = []
  let time = noon.getTime()
  const now = () => new Date(time)

  function start(first: readonly Peer[]): Replica {
    let peers = first
    const records: RecordEntry[] = []
    const telemetry = createTelemetryLog()
    const federation = createFederation({
      store,
      peers: () => new Map(peers.map((peer) => [peer.trustDomain, peer])),
      own: () => ({ trustDomain: ours, x509Authorities: [authorityOf(ours).certificate] }),
      async fetchBundle({ url }, trusted, signal) {
        const { hostname } = new URL(url)
        asked.push(hostname)
        const endpoint = endpoints.get(hostname)
        if (endpoint === undefined) throw new Error('nobody is there')
        return endpoint({ authorities: trusted, signal })
      },
      writer: {
        async append(entries, _spend, change) {
          const { name, expected, body = '' } = change ?? {}
          if (name !== undefined && !(await store.writeDocument(name, expected ?? 0, body))) return 'outdated'
          records.push(...entries)
          return 'stored'
        },
        head: () => ({ chain: world.chain, ...chainStart }),
      },
      telemetry,
      now,
      random,
    })
    return {
      ...federation,
      records,
      telemetry,
      configure(next) {
        peers = next
      },
      async turn() {
        await federation.refresh()
        await federation.poll()
      },
      sequences: () =>
        Object.fromEntries(
          peers.map(({ trustDomain }) => {
            const sequence = federation.bundleOf(trustDomain)?.bundle.sequence
            return [trustDomain, sequence === undefined ? undefined : Number(sequence)]
          }),
        ),
    }
  }

  const world: World = {
    store,
    endpoints,
    asked,
    now,
    advance(seconds) {
      time += seconds * 1000
    },
    start,
    chain: 'main',
  }
  return world
}
