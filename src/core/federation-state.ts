/**
 * What is kept of one federated trust domain, and what comes of a bundle that is offered for it.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { ProtocolError } from '../protocol/errors.ts'
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import { parseTrustBundle, type TrustBundle } from '../protocol/trust-bundle.ts'
import type { PollState } from './federation-schedule.ts'

/** Where the bundle that is held came from. */
export type BundleSource = 'file' | 'endpoint' | 'import'

/** One document of the store, shared by all replicas: whoever takes its turn to poll writes the outcome here. */
export interface PeerState extends PollState {
  /** The last good bundle as it was read; absent before the first. */
  readonly bundle?: string
  readonly source?: BundleSource
  /** Of `bundle`, decimal. */
  readonly sequence?: string
  /** How many usable keys are in `bundle`. */
  readonly keys?: { readonly x509: number; readonly jwt: number }
  /** When `bundle` was last seen to be current. */
  readonly confirmedAt?: Date
  /** Digest of the bundle file that was looked at last, so that one that was replaced is noticed. */
  readonly file?: string
  /** When the endpoint is asked next. A replica that polls moves it on first, so that the others leave it alone. */
  readonly pollAt: Date
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

export function fileDigest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

/**
 * Which bundles may take the place of the one that is held: `any`, because the operator says so; those that are not
 * `older` by their sequence number, where the last one wins that can not be compared (Federation §4.2); those that are
 * `newer` by it.
 */
export type AcceptRule = 'any' | 'not_older' | 'newer'

/** How a bundle that was offered stands to the one that is held. */
export type BundleJudgement =
  | { readonly kind: 'new'; readonly bundle: TrustBundle }
  | { readonly kind: 'same' }
  | { readonly kind: 'refused'; readonly problem: string }
  | { readonly kind: 'malformed'; readonly problem: string }

/**
 * A document that can not be read never replaces a good one; one that can be read and holds no usable key does, as it
 * says that nothing of the domain is trusted any more (Trust Domain and Bundle §4.1.3).
 */
export function judgeBundle(
  trustDomain: TrustDomain,
  offered: string,
  held: Pick<PeerState, 'bundle' | 'sequence'>,
  rule: AcceptRule,
): BundleJudgement {
  if (offered === held.bundle) return { kind: 'same' }
  const bundle = readOffered(trustDomain, offered)
  if (typeof bundle === 'string') return { kind: 'malformed', problem: bundle }
  const problem = held.bundle === undefined ? undefined : findAgeProblem(bundle.sequence, held.sequence, rule)
  return problem === undefined ? { kind: 'new', bundle } : { kind: 'refused', problem }
}

/** The bundle, or why it is none. */
function readOffered(trustDomain: TrustDomain, text: string): TrustBundle | string {
  try {
    return parseTrustBundle(trustDomain, text)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return `it is no SPIFFE bundle (${error.message})`
  }
}

function findAgeProblem(offered: bigint | undefined, held: string | undefined, rule: AcceptRule): string | undefined {
  if (rule === 'any') return undefined
  if (offered === undefined || held === undefined)
    return rule === 'newer' ? 'no sequence number shows that it is newer than the one held' : undefined
  if (offered < BigInt(held)) return `its sequence number ${offered} is below ${held}, the one held`
  if (rule === 'newer' && offered === BigInt(held)) return `its sequence number ${offered} is that of the one held`
  return undefined
}

/** For records: how a change of bundle looks, by fingerprints of keys. */
export interface BundleChange {
  readonly fromSequence?: string
  readonly toSequence?: string
  readonly added: readonly string[]
  readonly removed: readonly string[]
}

/** @param after Absent for a relation that ended. */
export function compareBundles(before: TrustBundle | undefined, after: TrustBundle | undefined): BundleChange {
  const old = new Set(before ? keyNames(before) : [])
  const now = new Set(after ? keyNames(after) : [])
  return {
    ...(before?.sequence !== undefined && { fromSequence: String(before.sequence) }),
    ...(after?.sequence !== undefined && { toSequence: String(after.sequence) }),
    added: [...now].filter((name) => !old.has(name)),
    removed: [...old].filter((name) => !now.has(name)),
  }
}

/** The name of a key is the peer's own text, of any length, and the key behind it may change. */
function keyNames({ x509Authorities, jwtAuthorities }: TrustBundle): readonly string[] {
  const digest = (der: Uint8Array) => createHash('sha256').update(der).digest('hex').slice(0, 16)
  return [
    ...x509Authorities.map((der) => `x509 ${digest(der)}`),
    ...jwtAuthorities.map(
      ({ kid, key }) => `jwt ${digest(key.export({ type: 'spki', format: 'der' }))} ${kid.slice(0, 64)}`,
    ),
  ]
}
