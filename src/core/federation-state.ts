/**
 * What is kept of one federated trust domain, and what comes of a bundle that was fetched for it.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { ProtocolError } from '../protocol/errors.ts'
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import { parseTrustBundle, type TrustBundle } from '../protocol/trust-bundle.ts'

/** Where the bundle that is held came from. */
export type BundleSource = 'file' | 'endpoint' | 'import'

/** One document of the store, shared by all replicas: whoever takes its turn to poll writes the outcome here. */
export interface PeerState {
  /** The last good bundle as it was read; absent before the first. */
  readonly bundle?: string
  readonly source?: BundleSource
  /** When `bundle` was last seen to be current. */
  readonly confirmedAt?: Date
  /** When the endpoint is asked next. A replica that polls moves it on first, so that the others leave it alone. */
  readonly pollAt: Date
  readonly failures: number
  /** Why the last poll failed. */
  readonly problem?: string
}

const dates = new Set(['confirmedAt', 'pollAt'])

/** The document is our own. An empty one is that of a relation that was ended. */
export function readPeerState(body: string): PeerState | undefined {
  if (body === '') return undefined
  return JSON.parse(body, (key, value) => (dates.has(key) ? new Date(value) : value)) as PeerState
}

export const formatPeerState = (state: PeerState): string => JSON.stringify(state)

/** How a bundle that was offered stands to the one that is held. */
export type BundleJudgement =
  | { readonly kind: 'new'; readonly bundle: TrustBundle }
  | { readonly kind: 'same' }
  /** Its sequence number is below the one held (Federation §4.2). */
  | { readonly kind: 'older'; readonly held: bigint; readonly offered: bigint }
  | { readonly kind: 'malformed'; readonly problem: string }

/**
 * A document that can not be read never replaces a good one; one that can be read and holds no usable key does, as it
 * says that nothing of the domain is trusted any more (Trust Domain and Bundle §4.1.3).
 */
export function judgeBundle(
  trustDomain: TrustDomain,
  offered: string,
  held: string | undefined,
  acceptOlder: boolean,
): BundleJudgement {
  if (offered === held) return { kind: 'same' }
  try {
    const bundle = parseTrustBundle(trustDomain, offered)
    const before = held === undefined ? undefined : parseTrustBundle(trustDomain, held).sequence
    if (!acceptOlder && before !== undefined && bundle.sequence !== undefined && bundle.sequence < before)
      return { kind: 'older', held: before, offered: bundle.sequence }
    return { kind: 'new', bundle }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return { kind: 'malformed', problem: error.message }
  }
}

/** For records: how a change of bundle looks, by fingerprints of keys. */
export interface BundleChange {
  readonly fromSequence?: string
  readonly toSequence?: string
  readonly added: readonly string[]
  readonly removed: readonly string[]
}

export function compareBundles(before: TrustBundle | undefined, after: TrustBundle): BundleChange {
  const old = new Set(before ? keyNames(before) : [])
  const now = new Set(keyNames(after))
  return {
    ...(before?.sequence !== undefined && { fromSequence: String(before.sequence) }),
    ...(after.sequence !== undefined && { toSequence: String(after.sequence) }),
    added: [...now].filter((name) => !old.has(name)),
    removed: [...old].filter((name) => !now.has(name)),
  }
}

function keyNames({ x509Authorities, jwtAuthorities }: TrustBundle): readonly string[] {
  const digest = (der: Uint8Array) => createHash('sha256').update(der).digest('hex').slice(0, 16)
  return [...x509Authorities.map((der) => `x509 ${digest(der)}`), ...jwtAuthorities.map(({ kid }) => `jwt ${kid}`)]
}

/** Asked again after this when a bundle gives no hint (Federation §4.2). */
const defaultIntervalSeconds = 300
const intervalBounds = { min: 10, max: 86_400 } as const
const maxBackoffSeconds = 3600

/**
 * When to ask next: at the hint, less up to a quarter so that many peers spread; after failures twice as late each time,
 * never sooner than the hint (Federation §6.2).
 *
 * @param random From 0 to 1.
 */
export function nextPoll(now: Date, hintSeconds: number | undefined, failures: number, random: number): Date {
  const hint = Math.min(intervalBounds.max, Math.max(intervalBounds.min, hintSeconds ?? defaultIntervalSeconds))
  const backoff = Math.max(hint, Math.min(maxBackoffSeconds, hint * 2 ** Math.min(failures, 10)))
  const seconds = failures === 0 ? hint * (1 - random / 4) : backoff * (1 + random / 4)
  return new Date(now.getTime() + seconds * 1000)
}
