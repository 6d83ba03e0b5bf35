/**
 * How a bundle comes to be held: from its file, from its endpoint or from the operator, it is judged, kept and recorded.
 *
 * @module
 */
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import type { TrustBundle } from '../protocol/trust-bundle.ts'
import type { RecordWriter } from './audit.ts'
import type { HeldPeer, HeldPeers } from './federation-held.ts'
import type { Peer } from './federation-peer.ts'
import {
  type AcceptRule,
  type BundleSource,
  compareBundles,
  fileDigest,
  judgeBundle,
  type PeerState,
} from './federation-state.ts'
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
   * Keeps the bundle and then records what it changes; undefined when another replica was faster.
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
  readonly writer: Pick<RecordWriter, 'append'>
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
    const kept = await held.write(trustDomain, current.version, { ...state, pollAt: schedule(state) })
    if (kept && judgement.kind === 'new') await record(deps, { trustDomain, ...offer }, former, judgement.bundle)
    return kept
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
      const former = await held.end(trustDomain)
      seenFiles.delete(trustDomain)
      if (former) await record(deps, { trustDomain, source: 'configuration' }, former, undefined)
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

/** A document that says the same in other words changes nothing. */
async function record(
  { writer, now }: BundleIntakeDeps,
  about: {
    readonly trustDomain: TrustDomain
    readonly source: BundleSource | 'configuration'
    readonly requestId?: string | undefined
  },
  before: TrustBundle | undefined,
  after: TrustBundle | undefined,
): Promise<void> {
  const { fromSequence, toSequence, added, removed } = compareBundles(before, after)
  const isChange = before === undefined || after === undefined || fromSequence !== toSequence
  if (!isChange && added.length === 0 && removed.length === 0) return
  const details = {
    trust_domain: about.trustDomain,
    source: about.source,
    from_sequence: fromSequence,
    to_sequence: toSequence,
    keys_added: added.slice(0, mostNames),
    keys_added_count: added.length,
    keys_removed: removed.slice(0, mostNames),
    keys_removed_count: removed.length,
  }
  await writer.append([
    {
      time: now(),
      operation: 'federation.bundle',
      decision: 'granted',
      ...(about.requestId !== undefined && { requestId: about.requestId }),
      details,
    },
  ])
}
