/**
 * Federation: the bundles of other trust domains, kept fresh.
 *
 * What is held is in the store, so that it survives a restart and is one for all replicas: the one that takes a poll
 * moves the time of the next on before it asks. Bundles of different trust domains are never merged (§4.2): each has a
 * document of its own, and an SVID is judged by the one of its own trust domain.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Federation.md SPIFFE Federation}
 * @module
 */
import type { Certificate } from '../protocol/certificate.ts'
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import type { RecordWriter } from './audit.ts'
import { createConcurrencyLimit } from './concurrency-limit.ts'
import { createHeldPeers, type HeldBundle } from './federation-held.ts'
import { type BundleOffer, createBundleIntake, OfferRefused, type Schedule } from './federation-intake.ts'
import type { BundleEndpoint, Peer } from './federation-peer.ts'
import { createBundlePolls } from './federation-polls.ts'
import { nextPoll } from './federation-schedule.ts'
import type { PeerState } from './federation-state.ts'
import { Refusal } from './refusal.ts'
import type { Store } from './store.ts'
import type { Telemetry } from './telemetry.ts'

export type { HeldBundle } from './federation-held.ts'
export { type BundleEndpoint, findFederationProblems, type Peer, type PeerOutline } from './federation-peer.ts'

/**
 * Port: reads a bundle endpoint, redirects included, and settles well within a minute. `authorities` are those of the
 * endpoint's own trust domain, for `https_spiffe`.
 *
 * @throws {Error} with a message for operators, which holds nothing of what was sent, but for a SPIFFE ID that was proven
 */
export type FetchBundle = (
  endpoint: BundleEndpoint,
  authorities: readonly Certificate[],
  signal: AbortSignal,
) => Promise<string>

export interface PeerStatus {
  readonly trustDomain: TrustDomain
  readonly endpoint?: BundleEndpoint
  /** Absent before the first refresh. */
  readonly state?: PeerState
  /** The bundle in use, read when this is first looked at. */
  readonly held: HeldBundle | undefined
}

export interface FederationDeps {
  readonly store: Pick<Store, 'readDocument' | 'writeDocument' | 'listDocuments'>
  readonly peers: () => ReadonlyMap<TrustDomain, Peer>
  /** Certificates of our own trust domain, for an endpoint that one of our workloads serves. */
  readonly own: () => { readonly trustDomain: TrustDomain; readonly x509Authorities: readonly Certificate[] }
  readonly fetchBundle: FetchBundle
  readonly writer: Pick<RecordWriter, 'append' | 'head'>
  readonly telemetry: Telemetry
  readonly now: () => Date
  /** From 0 to 1. */
  readonly random: () => number
}

export interface Federation {
  /** Undefined where nothing of the domain is trusted: no peer, or no bundle yet. */
  readonly bundleOf: (trustDomain: TrustDomain) => HeldBundle | undefined
  /**
   * Reads what other replicas wrote, and ends relations that are gone. To be called at start, after each change of the
   * configuration, and every few seconds. First bundles are trusted from then on; {@link Federation.poll} keeps them.
   */
  readonly refresh: () => Promise<void>
  /**
   * Keeps new bundle files and asks the endpoints whose time has come, a bounded number at once. To be called about
   * every second without waiting for the former call, as what is under way is left alone. Never rejects.
   */
  readonly poll: () => Promise<void>
  readonly list: () => readonly PeerStatus[]
  /**
   * Asks one endpoint now.
   *
   * @throws {Refusal} `not_found`, `upstream_failed`, `conflict` for a bundle that is not taken, `store_unavailable`
   */
  readonly refreshPeer: (
    trustDomain: TrustDomain,
    options: { readonly acceptOlder: boolean; readonly requestId?: string },
  ) => Promise<PeerStatus>
  /**
   * Takes a bundle from the operator, an older one too.
   *
   * @throws {Refusal} `not_found`, `malformed_request`, `store_unavailable`
   */
  readonly importBundle: (trustDomain: TrustDomain, document: string, requestId?: string) => Promise<PeerStatus>
  /** Gives up the polls under way, and waits until nothing is being written. Their turn comes again a minute later. */
  readonly close: () => Promise<void>
}

const readsAtOnce = 16
const attempts = 3

export function createFederation(deps: FederationDeps): Federation {
  const held = createHeldPeers(deps)
  const intake = createBundleIntake({ ...deps, held })
  const polls = createBundlePolls({ ...deps, held, intake, ask })
  const readLimit = createConcurrencyLimit(readsAtOnce)
  const stop = new AbortController()
  let isFirstRefresh = true

  /** @throws {OfferRefused} `unanswered` */
  async function ask(endpoint: BundleEndpoint, signal: AbortSignal): Promise<string> {
    try {
      return await deps.fetchBundle(endpoint, authoritiesFor(endpoint), signal)
    } catch (cause) {
      throw new OfferRefused('unanswered', cause instanceof Error ? cause.message : 'unknown', { cause })
    }
  }

  /** The endpoint may belong to its own trust domain, to ours, or to a third one that we federate with (§5.2.2.2). */
  function authoritiesFor(endpoint: BundleEndpoint): readonly Certificate[] {
    if (endpoint.profile === 'https_web') return []
    const { trustDomain } = endpoint.spiffeId
    const own = deps.own()
    const found = own.trustDomain === trustDomain ? own.x509Authorities : (bundleOf(trustDomain)?.x509Authorities ?? [])
    if (found.length === 0)
      throw new Error(`no X.509 authority of ${trustDomain} is held, and one has to vouch for the endpoint`)
    return found
  }

  function bundleOf(trustDomain: TrustDomain): HeldBundle | undefined {
    return deps.peers().has(trustDomain) ? held.get(trustDomain)?.open() : undefined
  }

  function statusOf({ trustDomain, endpoint }: Peer): PeerStatus {
    const known = held.get(trustDomain)
    return {
      trustDomain,
      ...(endpoint && { endpoint }),
      ...(known && { state: known.state }),
      get held() {
        return known?.open()
      },
    }
  }

  function requirePeer(trustDomain: TrustDomain): Peer {
    const peer = deps.peers().get(trustDomain)
    if (peer) return peer
    const detail = 'the configuration has no federation with this trust domain'
    throw new Refusal('not_found', detail, { detail })
  }

  /** Again when another replica was faster. */
  async function keep(peer: Peer, offer: BundleOffer, schedule: Schedule): Promise<PeerStatus> {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const current = await intake.takeFile(peer, await held.read(peer, deps.peers().size))
      if (current && (await intake.take(peer.trustDomain, offer, current, schedule))) return statusOf(peer)
    }
    throw new Refusal('store_unavailable', `the bundle of ${peer.trustDomain} changed while it was being written`)
  }

  return {
    bundleOf,

    async refresh() {
      const peers = deps.peers()
      const kept = await held.listKept()
      const changed = [...peers.values()].filter(
        ({ trustDomain }) => held.get(trustDomain)?.version !== (kept.get(trustDomain) ?? 0),
      )
      // What appears later without being in our configuration is in that of a replica which has a newer one.
      const former = (isFirstRefresh ? [...kept.keys()] : held.names()).filter((name) => !peers.has(name))
      await settleAll([
        ...changed.map((peer) => readLimit(() => held.read(peer, peers.size))),
        ...former.map((name) => readLimit(() => intake.end(name))),
      ])
      isFirstRefresh = false
    },

    poll: polls.poll,

    list: () => [...deps.peers().values()].map(statusOf),

    async refreshPeer(trustDomain, { acceptOlder, requestId }) {
      const peer = requirePeer(trustDomain)
      const { endpoint } = peer
      if (endpoint === undefined) throw conflict('this trust domain has no endpoint: its bundle is that of its file')
      const rule = acceptOlder ? 'any' : 'not_older'
      return refusing('conflict', async () => {
        const document = await ask(endpoint, stop.signal)
        return keep(peer, { document, source: 'endpoint', rule, requestId }, (state) =>
          nextPoll(deps.now(), state, { random: deps.random(), isLate: false }),
        )
      })
    },

    async importBundle(trustDomain, document, requestId) {
      const peer = requirePeer(trustDomain)
      return refusing('malformed_request', () =>
        keep(peer, { document, source: 'import', rule: 'any', requestId }, () => deps.now()),
      )
    },

    async close() {
      stop.abort()
      await polls.close()
    },
  }
}

/** Waits for all of them, so that one that fails keeps none from being done. */
async function settleAll(runs: readonly Promise<unknown>[]): Promise<void> {
  const outcomes = await Promise.allSettled(runs)
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed) throw failed.reason
}

/** What an operator is told of a bundle that is not taken. */
async function refusing<T>(code: 'conflict' | 'malformed_request', run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    if (!(cause instanceof OfferRefused)) throw cause
    const advice = cause.problem === 'refused' ? ': if the peer was restored, --accept-older takes it' : ''
    const detail = `${cause.message}${advice}`
    throw new Refusal(cause.problem === 'unanswered' ? 'upstream_failed' : code, detail, { detail, cause })
  }
}

function conflict(detail: string): Refusal {
  return new Refusal('conflict', detail, { detail })
}
