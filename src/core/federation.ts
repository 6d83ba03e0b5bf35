/**
 * Federation: the bundles of other trust domains, kept fresh.
 *
 * What is held is in the store, so that it survives a restart and is one for all replicas: the one that takes a poll
 * moves the time of the next on before it asks.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Federation.md SPIFFE Federation}
 * @module
 */
import { type Certificate, parseCertificate } from '../protocol/certificate.ts'
import { ProtocolError } from '../protocol/errors.ts'
import type { JwtAuthorityKey } from '../protocol/jwt-svid.ts'
import type { SpiffeId, TrustDomain } from '../protocol/spiffe-id.ts'
import { parseTrustBundle, type TrustBundle } from '../protocol/trust-bundle.ts'
import type { RecordWriter } from './audit.ts'
import {
  type BundleSource,
  compareBundles,
  formatPeerState,
  judgeBundle,
  nextPoll,
  type PeerState,
  readPeerState,
} from './federation-state.ts'
import { Refusal } from './refusal.ts'
import type { Store } from './store.ts'
import type { Telemetry } from './telemetry.ts'

/** A trust domain that we federate with, as the configuration says. */
export interface Peer {
  readonly trustDomain: TrustDomain
  /** Text of the file where trust starts. */
  readonly firstBundle?: string
  readonly endpoint?: BundleEndpoint
}

export type BundleEndpoint = {
  readonly url: string
  /** Whether hosts that redirects name may be in private networks. */
  readonly private: boolean
} & (
  | { readonly profile: 'https_web'; readonly caFile?: string }
  | { readonly profile: 'https_spiffe'; readonly spiffeId: SpiffeId }
)

/**
 * Port: reads a bundle endpoint. `authorities` are those of the endpoint's own trust domain, for `https_spiffe`.
 *
 * @throws {Error} with a message for operators, which holds nothing of what was sent
 */
export type FetchBundle = (endpoint: BundleEndpoint, authorities: readonly Certificate[]) => Promise<string>

/** A bundle in use. */
export interface HeldBundle {
  /** Changes whenever the bundle does. */
  readonly version: number
  readonly bundle: TrustBundle
  /** The document, to hand on. */
  readonly document: string
  readonly x509Authorities: readonly Certificate[]
  readonly jwtAuthorities: readonly JwtAuthorityKey[]
}

export interface PeerStatus {
  readonly trustDomain: TrustDomain
  readonly endpoint?: BundleEndpoint
  readonly state?: PeerState
  readonly held?: HeldBundle
}

export interface FederationDeps {
  readonly store: Pick<Store, 'readDocument' | 'writeDocument' | 'listDocuments'>
  readonly peers: () => ReadonlyMap<TrustDomain, Peer>
  /** Certificates of our own trust domain, for an endpoint that one of our workloads serves. */
  readonly own: () => { readonly trustDomain: TrustDomain; readonly x509Authorities: readonly Certificate[] }
  readonly fetchBundle: FetchBundle
  readonly writer: RecordWriter
  readonly telemetry: Telemetry
  readonly now: () => Date
  /** From 0 to 1. */
  readonly random: () => number
}

export interface Federation {
  /** Undefined where nothing of the domain is trusted: no peer, or no bundle yet. */
  readonly bundleOf: (trustDomain: TrustDomain) => HeldBundle | undefined
  /** Reads what other replicas wrote, takes first bundles from their files, ends relations that are gone. */
  readonly refresh: () => Promise<void>
  /** Asks the endpoints whose time has come, a bounded number at once. */
  readonly poll: () => Promise<void>
  readonly list: () => readonly PeerStatus[]
  /** Asks one endpoint now. @throws {Refusal} `not_found`, `upstream_failed`, `conflict` for an older bundle */
  readonly refreshPeer: (
    trustDomain: TrustDomain,
    options: { readonly acceptOlder: boolean; readonly requestId?: string },
  ) => Promise<PeerStatus>
  /** Takes a bundle from the operator. @throws {Refusal} `not_found`, `malformed_request` */
  readonly importBundle: (trustDomain: TrustDomain, document: string, requestId?: string) => Promise<PeerStatus>
}

const documentPrefix = 'federation/'
const leaseMs = 60_000
const pollsAtOnce = 16

interface Held {
  readonly version: number
  readonly state: PeerState
  readonly bundle: HeldBundle | undefined
}

type Outcome =
  | { readonly kind: 'fetched'; readonly document: string }
  | { readonly kind: 'failed'; readonly problem: string }

export function createFederation(deps: FederationDeps): Federation {
  const held = new Map<TrustDomain, Held>()

  async function adopt(trustDomain: TrustDomain, version: number, state: PeerState): Promise<void> {
    const former = held.get(trustDomain)
    if (former && former.version >= version) return
    const bundle =
      former && former.state.bundle === state.bundle ? former.bundle : openBundle(trustDomain, version, state.bundle)
    held.set(trustDomain, { version, state, bundle })
    report(deps, trustDomain, state)
  }

  /** Compare-and-set of one peer's document; undefined when somebody else was faster. */
  async function write(trustDomain: TrustDomain, expected: number, state: PeerState): Promise<Held | undefined> {
    const name = documentPrefix + trustDomain
    if (!(await deps.store.writeDocument(name, expected, formatPeerState(state)))) return undefined
    await adopt(trustDomain, expected + 1, state)
    return held.get(trustDomain)
  }

  async function read(trustDomain: TrustDomain): Promise<Held | undefined> {
    const { version, body } = await deps.store.readDocument(documentPrefix + trustDomain)
    const state = readPeerState(body)
    if (state === undefined)
      return version === 0 ? undefined : { version, state: emptyState(deps.now()), bundle: undefined }
    await adopt(trustDomain, version, state)
    return held.get(trustDomain)
  }

  /** A bundle from wherever: judged, recorded if it changes anything, kept. */
  async function take(peer: Peer, offer: Offer, current: Held | undefined): Promise<Held | undefined> {
    const before = current?.state ?? emptyState(deps.now())
    const judgement = judgeBundle(peer.trustDomain, offer.document, before.bundle, offer.acceptOlder)
    if (judgement.kind === 'malformed') throw new OfferRefused(judgement.problem)
    if (judgement.kind === 'older')
      throw new OfferRefused(
        `its sequence number ${judgement.offered} is below ${judgement.held}, the one held: if the peer was restored, take it with --accept-older`,
      )
    const hint =
      judgement.kind === 'new' ? judgement.bundle.refreshHintSeconds : current?.bundle?.bundle.refreshHintSeconds
    const now = deps.now()
    const next: PeerState = {
      bundle: offer.document,
      source: judgement.kind === 'same' ? (before.source ?? offer.source) : offer.source,
      confirmedAt: now,
      pollAt: offer.source === 'endpoint' ? nextPoll(now, hint, 0, deps.random()) : before.pollAt,
      failures: 0,
    }
    const written = await write(peer.trustDomain, current?.version ?? 0, next)
    if (written && judgement.kind === 'new')
      await record(deps, peer.trustDomain, offer, current?.bundle?.bundle, judgement.bundle)
    return written
  }

  async function startPeer(peer: Peer, index: number, count: number): Promise<void> {
    const stored = (await read(peer.trustDomain)) ?? undefined
    if (stored?.state.bundle !== undefined) return
    const pollAt = new Date(deps.now().getTime() + (index / count) * Math.min(firstPollsMs, count * 100))
    const current = stored ?? (await write(peer.trustDomain, 0, { ...emptyState(deps.now()), pollAt }))
    if (peer.firstBundle === undefined || current === undefined) return
    await take(peer, { document: peer.firstBundle, source: 'file', acceptOlder: false }, current)
  }

  async function ask(peer: Peer): Promise<Outcome> {
    if (peer.endpoint === undefined) return { kind: 'failed', problem: 'it has no endpoint' }
    try {
      return { kind: 'fetched', document: await deps.fetchBundle(peer.endpoint, authoritiesFor(peer.endpoint)) }
    } catch (error) {
      return { kind: 'failed', problem: error instanceof Error ? error.message : 'unknown' }
    }
  }

  /** The endpoint may belong to its own trust domain, to ours, or to a third one that we federate with. */
  function authoritiesFor(endpoint: BundleEndpoint): readonly Certificate[] {
    if (endpoint.profile === 'https_web') return []
    const { trustDomain } = endpoint.spiffeId
    const own = deps.own()
    return own.trustDomain === trustDomain
      ? own.x509Authorities
      : (held.get(trustDomain)?.bundle?.x509Authorities ?? [])
  }

  async function pollPeer(peer: Peer): Promise<void> {
    const current = held.get(peer.trustDomain)
    if (current === undefined) return
    const claimed = await write(peer.trustDomain, current.version, {
      ...current.state,
      pollAt: new Date(deps.now().getTime() + leaseMs),
    })
    if (claimed === undefined) return
    const outcome = await ask(peer)
    await settle(peer, claimed, outcome)
  }

  async function settle(peer: Peer, claimed: Held, outcome: Outcome): Promise<void> {
    const { trustDomain } = peer
    try {
      if (outcome.kind === 'failed') throw new OfferRefused(outcome.problem)
      await take(peer, { document: outcome.document, source: 'endpoint', acceptOlder: false }, claimed)
      deps.telemetry.count('apostille_federation_polls_total', { trust_domain: trustDomain, result: 'ok' })
    } catch (error) {
      if (!(error instanceof OfferRefused)) throw error
      const failures = claimed.state.failures + 1
      const hint = claimed.bundle?.bundle.refreshHintSeconds
      const pollAt = nextPoll(deps.now(), hint, failures, deps.random())
      await write(trustDomain, claimed.version, { ...claimed.state, pollAt, failures, problem: error.message })
      deps.telemetry.count('apostille_federation_polls_total', { trust_domain: trustDomain, result: 'failed' })
      deps.telemetry.log('warning', 'a federated bundle could not be refreshed, the last good one stays', {
        trust_domain: trustDomain,
        failures,
        problem: error.message,
      })
    }
  }

  function statusOf(peer: Peer): PeerStatus {
    const known = held.get(peer.trustDomain)
    return {
      trustDomain: peer.trustDomain,
      ...(peer.endpoint && { endpoint: peer.endpoint }),
      ...(known && { state: known.state }),
      ...(known?.bundle && { held: known.bundle }),
    }
  }

  function requirePeer(trustDomain: TrustDomain): Peer {
    const peer = deps.peers().get(trustDomain)
    if (peer) return peer
    const detail = 'the configuration has no federation with this trust domain'
    throw new Refusal('not_found', detail, { detail })
  }

  return {
    bundleOf: (trustDomain) => (deps.peers().has(trustDomain) ? held.get(trustDomain)?.bundle : undefined),

    async refresh() {
      const peers = deps.peers()
      const stored = new Map(
        (await deps.store.listDocuments(documentPrefix)).map(({ name, version }) => [
          name.slice(documentPrefix.length),
          version,
        ]),
      )
      let index = 0
      for (const peer of peers.values()) {
        index += 1
        const version = stored.get(peer.trustDomain)
        if (version !== undefined && version === held.get(peer.trustDomain)?.version) continue
        await startPeer(peer, index, peers.size)
      }
      for (const [name, version] of stored) await endUnlessPeer(name as TrustDomain, version)
    },

    async poll() {
      const now = deps.now()
      const due = [...deps.peers().values()].filter(
        (peer) => peer.endpoint && (held.get(peer.trustDomain)?.state.pollAt ?? now) <= now,
      )
      for (let at = 0; at < due.length; at += pollsAtOnce)
        await Promise.all(due.slice(at, at + pollsAtOnce).map(pollPeer))
    },

    list: () => [...deps.peers().values()].map(statusOf),

    async refreshPeer(trustDomain, { acceptOlder, requestId }) {
      const peer = requirePeer(trustDomain)
      const outcome = await ask(peer)
      if (outcome.kind === 'failed') throw new Refusal('upstream_failed', outcome.problem, { detail: outcome.problem })
      await offer(peer, { document: outcome.document, source: 'endpoint', acceptOlder, requestId }, 'conflict')
      return statusOf(peer)
    },

    async importBundle(trustDomain, document, requestId) {
      const peer = requirePeer(trustDomain)
      await offer(peer, { document, source: 'import', acceptOlder: true, requestId }, 'malformed_request')
      return statusOf(peer)
    },
  }

  async function offer(peer: Peer, offered: Offer, code: 'conflict' | 'malformed_request'): Promise<void> {
    try {
      for (let attempt = 0; attempt < 3; attempt++) if (await take(peer, offered, await read(peer.trustDomain))) return
      throw new Refusal('store_unavailable', 'another replica kept changing this bundle')
    } catch (error) {
      if (!(error instanceof OfferRefused)) throw error
      throw new Refusal(code, error.message, { detail: error.message, cause: error })
    }
  }

  /** A relation that the configuration no longer has: its bundle goes (Federation §6.3). */
  async function endUnlessPeer(trustDomain: TrustDomain, version: number): Promise<void> {
    if (deps.peers().has(trustDomain) || held.get(trustDomain)?.state === undefined) return
    await deps.store.writeDocument(documentPrefix + trustDomain, version, '')
    held.delete(trustDomain)
  }
}

const firstPollsMs = 30_000

/** A bundle that is not taken: malformed, or older. The message is for operators. */
class OfferRefused extends Error {}

interface Offer {
  readonly document: string
  readonly source: BundleSource
  readonly acceptOlder: boolean
  readonly requestId?: string | undefined
}

function emptyState(now: Date): PeerState {
  return { pollAt: now, failures: 0 }
}

/** Certificates that no path could begin with are passed over, as keys that can not be used are. */
function openBundle(trustDomain: TrustDomain, version: number, document: string | undefined): HeldBundle | undefined {
  if (document === undefined) return undefined
  const bundle = parseTrustBundle(trustDomain, document)
  return {
    version,
    bundle,
    document,
    x509Authorities: bundle.x509Authorities.flatMap((der) => readable(der)),
    jwtAuthorities: bundle.jwtAuthorities,
  }
}

function readable(der: Uint8Array): readonly Certificate[] {
  try {
    return [parseCertificate(der)]
  } catch (error) {
    if (error instanceof ProtocolError) return []
    throw error
  }
}

async function record(
  deps: FederationDeps,
  trustDomain: TrustDomain,
  offer: Offer,
  before: TrustBundle | undefined,
  after: TrustBundle,
): Promise<void> {
  const change = compareBundles(before, after)
  await deps.writer.append([
    {
      time: deps.now(),
      operation: 'federation.bundle',
      decision: 'granted',
      ...(offer.requestId !== undefined && { requestId: offer.requestId }),
      details: {
        trust_domain: trustDomain,
        source: offer.source,
        from_sequence: change.fromSequence,
        to_sequence: change.toSequence,
        keys_added: change.added.slice(0, 20),
        keys_removed: change.removed.slice(0, 20),
      },
    },
  ])
}

function report({ telemetry }: FederationDeps, trustDomain: TrustDomain, { confirmedAt }: PeerState): void {
  if (confirmedAt === undefined) return
  telemetry.gauge('apostille_federation_bundle_confirmed_timestamp_seconds', confirmedAt.getTime() / 1000, {
    trust_domain: trustDomain,
  })
}
