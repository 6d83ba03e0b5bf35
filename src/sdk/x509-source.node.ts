/**
 * An X.509-SVID that stays fresh, with the bundles that peers are checked against.
 *
 * The key is made here. The first SVID is for the proof of the platform, each later one for the one before; where that is no
 * proof any more (its authority was tainted, its time of renewal is over), for the proof of the platform again.
 *
 * @module
 */
import { EventEmitter } from 'node:events'
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import type { TrustBundle } from '../protocol/trust-bundle.ts'
import { createAlarm, halfOf, pauseAfterFailure, type Timing } from './alarm.ts'
import { ApostilleError, isPassing } from './apostille-error.ts'
import { createBundleFollower } from './bundle-follower.ts'
import type { KeyTypeName } from './new-key.node.ts'
import type { NodeOptions } from './node-options.node.ts'
import { isVouchedFor } from './trust.ts'
import type { JwtKeySource } from './verify-jwt-svid.ts'
import { createSvidRequest } from './x509-request.node.ts'
import type { X509Svid } from './x509-svid.node.ts'

export type { X509Svid } from './x509-svid.node.ts'

export interface X509SourceEvents {
  /** There is another SVID. */
  svid: [svid: X509Svid]
  /** A bundle has other authorities than before. */
  bundles: []
  /** What was tried in vain and will be tried again; the last good one serves meanwhile. */
  failure: [error: ApostilleError]
}

/** Where TLS finds who we are and whom to trust. Made by {@link createX509Source} and `createX509FileSource`. */
export interface X509Source {
  /** The one at hand. Look at its `expiresAt` where an outage may outlive it. */
  readonly svid: () => X509Svid
  /** One for each trust domain that is trusted, our own among them. */
  readonly bundles: () => readonly TrustBundle[]
  /** For `verifyJwtSvid`: the JWT authorities of the bundles. */
  readonly jwtKeys: JwtKeySource
  readonly events: EventEmitter<X509SourceEvents>
  /** Renews now, or reads the files now. @throws {ApostilleError} when nothing came of it */
  readonly refresh: () => Promise<void>
  /** Nothing is renewed any more; what is at hand stays. */
  readonly close: () => void
  readonly [Symbol.dispose]: () => void
}

/** The proof is `token`, `tokenFile`, or `certFile` with `keyFile`. */
export interface X509SourceOptions extends Omit<NodeOptions, 'join' | 'fetch' | 'source'> {
  /** Default: as long as the rule allows. */
  readonly ttlSeconds?: number
  /** Default: half of its life, give or take a tenth. */
  readonly renewAfterSeconds?: number
  /** Default: `ec-p256`. */
  readonly keyType?: KeyTypeName
  /** Trust domains besides our own whose peers are to be verified. */
  readonly federatesWith?: readonly string[]
  /**
   * What an earlier process left, such as `readX509Folder` finds it: while it is good it serves at once, and is the proof of
   * the next one. A workload that joined by token lives on that way.
   */
  readonly startFrom?: { readonly svid: X509Svid; readonly bundles: readonly TrustBundle[] }
  /** Default: a timer that does not keep the process alive. */
  readonly startTimer?: Timing['startTimer']
  /** Default: `Math.random`. */
  readonly random?: Timing['random']
}

/** Resolves with an SVID at hand. @throws {ApostilleError} when there is none to be had; `usage` */
export async function createX509Source(options: X509SourceOptions = {}): Promise<X509Source> {
  const timing = timingOf(options)
  const { now } = timing
  const start = options.startFrom && now() < options.startFrom.svid.expiresAt ? options.startFrom : undefined
  const request = createSvidRequest(options)
  const follower = createBundleFollower(options.federatesWith ?? [], start?.bundles)
  const events = new EventEmitter<X509SourceEvents>().setMaxListeners(0)
  const renewal = createAlarm(timing)
  const refreshing = createAlarm(timing)
  let svid = start?.svid
  let failures = 0
  let closed = false
  let bundleFailure: ApostilleError | undefined
  let running: Promise<void> | undefined

  function tell<Name extends keyof X509SourceEvents>(name: Name, ...args: X509SourceEvents[Name]): void {
    // A listener that throws is a bug of its own, and must not end the renewal.
    if (!closed) queueMicrotask(() => (events.emit as (name: Name, ...args: unknown[]) => boolean)(name, ...args))
  }

  async function renew(): Promise<void> {
    const next = await request(svid, follower.bundles())
    const news = follower.take(next.svid.spiffeId.trustDomain, next.bundle)
    svid = next.svid
    failures = 0
    scheduleRenewal(now())
    tell('svid', svid)
    if (news) tell('bundles')
    await refreshBundles()
  }

  /** Equal work at the same time is done once. */
  function renewOnce(): Promise<void> {
    running ??= renew().finally(() => {
      running = undefined
    })
    return running
  }

  async function renewOrWait(): Promise<void> {
    try {
      await renewOnce()
    } catch (error) {
      if (!(error instanceof ApostilleError)) throw error
      failures++
      tell('failure', error)
      const leftMs = (svid?.expiresAt.getTime() ?? 0) - now().getTime()
      const askedMs = (error.retryAfterSeconds ?? 0) * 1000
      wakeAt(new Date(now().getTime() + Math.max(askedMs, pauseAfterFailure(failures, leftMs, timing))))
    }
  }

  function scheduleRenewal(from: Date): void {
    if (svid === undefined) return
    const { renewAfterSeconds } = options
    const at =
      renewAfterSeconds === undefined
        ? halfOf({ from, expiresAt: svid.expiresAt }, timing)
        : new Date(from.getTime() + renewAfterSeconds * 1000)
    wakeAt(at)
  }

  function wakeAt(at: Date): void {
    if (!closed) renewal.set(at, () => void renewOrWait())
  }

  async function refreshBundles(): Promise<void> {
    const { changed, failure } = await follower.refresh(request.ask(follower.bundles()))
    bundleFailure = failure
    if (failure) tell('failure', failure)
    if (changed) tell('bundles')
    if (closed) return
    refreshing.set(new Date(now().getTime() + follower.refreshAfterMs()), () => void lookAtBundles())
  }

  /** An authority that was taken out of the bundle vouches for us no more: peers are about to notice as well. */
  async function lookAtBundles(): Promise<void> {
    await refreshBundles()
    if (svid && !isVouchedFor(svid, follower.bundles(), now())) await renewOrWait()
  }

  function close(): void {
    closed = true
    renewal.cancel()
    refreshing.cancel()
  }

  if (start) {
    scheduleRenewal(start.svid.notBefore)
    refreshing.set(now(), () => void lookAtBundles())
  } else {
    await renewOnce()
    // Such as a trust domain that the gateway does not federate with: better told now than by peers later.
    if (bundleFailure && !isPassing(bundleFailure)) {
      close()
      throw bundleFailure
    }
  }
  return {
    svid: () => svid as X509Svid,
    bundles: follower.bundles,
    jwtKeys: { find: (trustDomain: TrustDomain) => follower.find(trustDomain)?.jwtAuthorities ?? [] },
    events,
    refresh: renewOnce,
    close,
    [Symbol.dispose]: close,
  }
}

export function timingOf(options: Pick<X509SourceOptions, 'now' | 'random' | 'startTimer'>): Timing {
  return {
    now: options.now ?? (() => new Date()),
    random: options.random ?? Math.random,
    startTimer: options.startTimer ?? startQuietTimer,
  }
}

/** Whoever serves or works stays alive by that, and not by our renewal. */
function startQuietTimer(callback: () => void, ms: number): () => void {
  const timer = setTimeout(callback, ms).unref()
  return () => clearTimeout(timer)
}
