/**
 * How a bundle comes to be held: from its file, from its endpoint or from the operator, it is judged, kept and recorded.
 *
 * @module
 */
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import type { TrustBundle } from '../protocol/trust-bundle.ts'
import type { HeldPeer, HeldPeers } from './federation-held.ts'
import type { Peer } from './federation-peer.ts'
import {
  type AcceptRule,
  type BundleChange,
  type BundleSource,
  compareBundles,
  fileDigest,
  judgeBundle,
  type PeerState,
} from './federation-state.ts'
import type { RecordEntry } from './record.ts'
import type { Telemetry } from './telemetry.ts'

/** A bundle, and whose place it may take. */
export interface BundleOffer {
  readonly document: string
  readonly source: BundleSource
  readonly rule: AcceptRule
  /** See {@link PeerState.file}. */
  readonly file?: string
  readonly requestId?: string | undefined
}

/** When to ask the endpoint, of what is kept otherwise. */
export type Schedule = (state: Omit<PeerState, 'pollAt'>) => Date

/** What is the matter with an offer: it is no bundle, it must not take the place of the one held, or there is none. */
export type OfferProblem = 'malformed' | 'refused' | 'unanswered'

/** A bundle that is not taken. The message is for operators. */
export class OfferRefused extends Error {
  override readonly name = 'OfferRefused'
  readonly problem: OfferProblem

  constructor(problem: OfferProblem, message: string, options?: ErrorOptions) {
    super(message, options)
    this.problem = problem
  }
}

export interface BundleIntake {
  /**
   * Keeps the bundle together with the record of what it changes; undefined when another replica was faster.
   *
   * @param current As the store holds it.
   * @throws {OfferRefused} `malformed`, `refused`
   */
  readonly take: (
    trustDomain: TrustDomain,
    offer: BundleOffer,
    current: HeldPeer,
    schedule: Schedule,
  ) => Promise<HeldPeer | undefined>
  /**
   * Takes the file that the peer starts from when nothing else is held, and later when it is shown to be newer. Each file
   * is looked at once, by one of the replicas. Undefined when another was faster.
   */
  readonly takeFile: (peer: Peer, current: HeldPeer) => Promise<HeldPeer | undefined>
  /** Whether {@link BundleIntake.takeFile} may have to do anything. */
  readonly hasUnseenFile: (peer: Peer) => boolean
  /** Ends a relation that the configuration no longer has: its bundle goes (Federation §6.3). */
  readonly end: (trustDomain: TrustDomain) => Promise<void>
}

export interface BundleIntakeDeps {
  readonly held: HeldPeers
  readonly telemetry: Telemetry
  readonly now: () => Date
}

export function createBundleIntake(deps: BundleIntakeDeps): BundleIntake {
  const { held } = deps
  const seenFiles = new Map<TrustDomain, string>()

  const take: BundleIntake['take'] = async (trustDomain, offer, current, schedule) => {
    const before = current.isKept ? current.state : undefined
    const judgement = judgeBundle(trustDomain, offer.document, before ?? {}, offer.rule)
    if (judgement.kind === 'malformed' || judgement.kind === 'refused')
      throw new OfferRefused(judgement.kind, judgement.problem)
    const former = before && current.open()?.bundle
    const state = {
      ...(judgement.kind === 'new' ? bundleMembers(offer.document, judgement.bundle) : keptMembers(before)),
      ...fileMember(offer.file ?? before?.file),
      source: offer.source,
      confirmedAt: deps.now(),
      failures: 0,
    }
    const record =
      judgement.kind === 'new'
        ? describeChange(deps.now(), { trustDomain, ...offer }, former, judgement.bundle)
        : undefined
    return held.write(trustDomain, current.version, { ...state, pollAt: schedule(state) }, record)
  }

  const takeFile: BundleIntake['takeFile'] = async (peer, current) => {
    const { trustDomain, firstBundle } = peer
    if (firstBundle === undefined || !hasUnseenFile(peer)) return current
    const file = fileDigest(firstBundle)
    const isKnown = current.isKept && current.state.file === file
    const outcome = isKnown ? current : await considerFile(trustDomain, { text: firstBundle, file }, current)
    if (outcome) seenFiles.set(trustDomain, firstBundle)
    return outcome
  }

  async function considerFile(
    trustDomain: TrustDomain,
    { text, file }: { readonly text: string; readonly file: string },
    current: HeldPeer,
  ): Promise<HeldPeer | undefined> {
    const kept = current.isKept ? current.state : undefined
    const note = { ...(kept ?? { pollAt: current.state.pollAt, failures: 0 }), file }
    if (kept?.bundle === text) return held.write(trustDomain, current.version, note)
    // What came from elsewhere is likely to be newer than a file, unless the file says that it is not.
    const rule = kept?.source === undefined || kept.source === 'file' ? 'not_older' : 'newer'
    const pollAt = note.failures > 0 ? deps.now() : note.pollAt
    try {
      return await take(trustDomain, { document: text, source: 'file', rule, file }, current, () => pollAt)
    } catch (error) {
      if (!(error instanceof OfferRefused)) throw error
      const advice = error.problem === 'refused' ? ': `apostille federation import` takes it all the same' : ''
      const fields = { trust_domain: trustDomain, problem: `${error.message}${advice}` }
      deps.telemetry.log('warning', 'the bundle file of a federated trust domain is not taken', fields)
      return held.write(trustDomain, current.version, note)
    }
  }

  const hasUnseenFile: BundleIntake['hasUnseenFile'] = ({ trustDomain, firstBundle }) =>
    firstBundle !== undefined && seenFiles.get(trustDomain) !== firstBundle

  return {
    take,
    takeFile,
    hasUnseenFile,
    async end(trustDomain) {
      const about = { trustDomain, source: 'configuration' } as const
      await held.end(trustDomain, (former) => recordOf(deps.now(), about, compareBundles(former, undefined)))
      seenFiles.delete(trustDomain)
    },
  }
}

function bundleMembers(document: string, bundle: TrustBundle) {
  const { sequence, refreshHintSeconds, x509Authorities, jwtAuthorities } = bundle
  return {
    bundle: document,
    keys: { x509: x509Authorities.length, jwt: jwtAuthorities.length },
    ...(sequence !== undefined && { sequence: String(sequence) }),
    ...(refreshHintSeconds !== undefined && { refreshHintSeconds }),
  }
}

function keptMembers({ bundle, keys, sequence, refreshHintSeconds }: Partial<PeerState> = {}) {
  return {
    ...(bundle !== undefined && { bundle }),
    ...(keys && { keys }),
    ...(sequence !== undefined && { sequence }),
    ...(refreshHintSeconds !== undefined && { refreshHintSeconds }),
  }
}

const fileMember = (file: string | undefined) => (file === undefined ? {} : { file })

const mostNames = 20

/** What a record says of a bundle besides how it changed. */
interface ChangedPeer {
  readonly trustDomain: TrustDomain
  readonly source: BundleSource | 'configuration'
  readonly requestId?: string | undefined
}

/** A document that says the same in other words changes nothing. */
function describeChange(
  now: Date,
  about: ChangedPeer,
  before: TrustBundle | undefined,
  after: TrustBundle,
): RecordEntry | undefined {
  const change = compareBundles(before, after)
  const { fromSequence, toSequence, added, removed } = change
  const isChange = before === undefined || fromSequence !== toSequence || added.length > 0 || removed.length > 0
  return isChange ? recordOf(now, about, change) : undefined
}

function recordOf(now: Date, { trustDomain, source, requestId }: ChangedPeer, change: BundleChange): RecordEntry {
  const { fromSequence, toSequence, added, removed } = change
  return {
    time: now,
    operation: 'federation.bundle',
    decision: 'granted',
    ...(requestId !== undefined && { requestId }),
    details: {
      trust_domain: trustDomain,
      source,
      from_sequence: fromSequence,
      to_sequence: toSequence,
      keys_added: added.slice(0, mostNames),
      keys_added_count: added.length,
      keys_removed: removed.slice(0, mostNames),
      keys_removed_count: removed.length,
    },
  }
}
