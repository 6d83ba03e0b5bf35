/**
 * The polls of bundle endpoints: each peer when its time has come, a bounded number at once, one replica for all.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Federation.md#62-maintaining-a-relationship SPIFFE Federation §6.2}
 * @module
 */
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import { createConcurrencyLimit } from './concurrency-limit.ts'
import { type HeldPeer, type HeldPeers, isToBeAsked } from './federation-held.ts'
import { type BundleIntake, OfferRefused, type Schedule } from './federation-intake.ts'
import type { BundleEndpoint, Peer } from './federation-peer.ts'
import { isOverdue, leaseMs, nextPoll } from './federation-schedule.ts'
import type { Telemetry } from './telemetry.ts'

export interface BundlePolls {
  /** See `Federation.poll`. */
  readonly poll: () => Promise<void>
  readonly close: () => Promise<void>
}

export interface BundlePollsDeps {
  readonly held: HeldPeers
  readonly intake: BundleIntake
  readonly peers: () => ReadonlyMap<TrustDomain, Peer>
  /** @throws {OfferRefused} `unanswered` */
  readonly ask: (endpoint: BundleEndpoint, signal: AbortSignal) => Promise<string>
  readonly telemetry: Telemetry
  readonly now: () => Date
  readonly random: () => number
}

const pollsAtOnce = 32

/** One call of `poll`: when the store fails, what is left of it would fail as well. */
interface Turn {
  hasFailed: boolean
}

export function createBundlePolls(deps: BundlePollsDeps): BundlePolls {
  const { held, intake, telemetry } = deps
  const limit = createConcurrencyLimit(pollsAtOnce)
  const underWay = new Map<TrustDomain, Promise<void>>()
  const stop = new AbortController()

  const isTurnOf = (peer: Peer, current: HeldPeer) =>
    peer.endpoint !== undefined && isToBeAsked(current, deps.now(), deps.peers().size)

  function hasWork(peer: Peer): boolean {
    const current = held.get(peer.trustDomain)
    if (current === undefined || underWay.has(peer.trustDomain)) return false
    return intake.hasUnseenFile(peer) || isTurnOf(peer, current)
  }

  /** The configuration or another replica may have made it needless by the time that there is a place for it. */
  async function work(trustDomain: TrustDomain, turn: Turn): Promise<void> {
    const peer = deps.peers().get(trustDomain)
    const current = held.get(trustDomain)
    if (peer === undefined || current === undefined || stop.signal.aborted || turn.hasFailed) return
    try {
      const outcome = await intake.takeFile(peer, current)
      if (outcome === undefined) await held.read(peer, deps.peers().size)
      else if (isTurnOf(peer, outcome)) await pollPeer(peer, outcome)
    } catch (error) {
      if (!turn.hasFailed) logFailure(telemetry, trustDomain, error)
      turn.hasFailed = true
    }
  }

  async function pollPeer(peer: Peer, current: HeldPeer): Promise<void> {
    const { trustDomain, endpoint } = peer
    const now = deps.now()
    const isLate = current.state.source !== 'endpoint' || isOverdue(current.state, now)
    const lease = { ...current.state, pollAt: new Date(now.getTime() + leaseMs) }
    const claimed = await held.write(trustDomain, current.version, lease)
    if (claimed === undefined || endpoint === undefined) {
      await held.read(peer, deps.peers().size)
      return
    }
    try {
      const document = await deps.ask(endpoint, stop.signal)
      if (stop.signal.aborted) return
      await intake.take(trustDomain, { document, source: 'endpoint', rule: 'not_older' }, claimed, schedule(isLate))
      telemetry.count('apostille_federation_polls_total', { trust_domain: trustDomain, result: 'ok' })
    } catch (error) {
      if (!(error instanceof OfferRefused)) throw error
      if (!stop.signal.aborted) await keepFailure(trustDomain, claimed, error)
    }
  }

  const schedule =
    (isLate: boolean): Schedule =>
    (state) =>
      nextPoll(deps.now(), state, { random: deps.random(), isLate })

  async function keepFailure(trustDomain: TrustDomain, claimed: HeldPeer, { message }: OfferRefused): Promise<void> {
    const failed = { ...claimed.state, failures: claimed.state.failures + 1, problem: message }
    await held.write(trustDomain, claimed.version, { ...failed, pollAt: schedule(false)(failed) })
    telemetry.count('apostille_federation_polls_total', { trust_domain: trustDomain, result: 'failed' })
    telemetry.log('warning', 'a federated bundle could not be refreshed, the last good one stays', {
      trust_domain: trustDomain,
      failures: failed.failures,
      problem: message,
    })
  }

  function start(trustDomain: TrustDomain, turn: Turn): Promise<void> {
    const run = limit(() => work(trustDomain, turn)).finally(() => underWay.delete(trustDomain))
    underWay.set(trustDomain, run)
    return run
  }

  const failuresOf = ({ trustDomain }: Peer) => held.get(trustDomain)?.state.failures ?? 0

  return {
    async poll() {
      const turn: Turn = { hasFailed: false }
      // Those that answer go before those that are likely to hold a place for long.
      const due = [...deps.peers().values()].filter(hasWork).sort((a, b) => failuresOf(a) - failuresOf(b))
      await Promise.all(due.map(({ trustDomain }) => start(trustDomain, turn)))
    },
    async close() {
      stop.abort()
      await Promise.all(underWay.values())
    },
  }
}

function logFailure(telemetry: Telemetry, trustDomain: TrustDomain, error: unknown): void {
  telemetry.log('error', 'the bundles of federated trust domains could not be kept', {
    trust_domain: trustDomain,
    error: error instanceof Error ? error.message : 'unknown',
  })
}
