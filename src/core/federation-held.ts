/**
 * The bundles of peers as this process has them: a copy of what the store holds, or the first bundle from its file until
 * the store holds one.
 *
 * @module
 */
import { type Certificate, parseCertificate } from '../protocol/certificate.ts'
import { ProtocolError } from '../protocol/errors.ts'
import type { JwtAuthorityKey } from '../protocol/jwt-svid.ts'
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import { parseTrustBundle, type TrustBundle } from '../protocol/trust-bundle.ts'
import type { RecordWriter } from './audit.ts'
import type { Peer } from './federation-peer.ts'
import { firstPollsMs, isDue } from './federation-schedule.ts'
import { formatPeerState, type PeerState, readPeerState } from './federation-state.ts'
import type { RecordEntry } from './record.ts'
import type { DocumentChange, Store } from './store.ts'
import type { Telemetry } from './telemetry.ts'

/** A bundle in use. */
export interface HeldBundle {
  /** Changes whenever the bundle does; of no meaning in another process. */
  readonly version: number
  readonly bundle: TrustBundle
  /** The document, to hand on. */
  readonly document: string
  readonly x509Authorities: readonly Certificate[]
  readonly jwtAuthorities: readonly JwtAuthorityKey[]
}

/** What is known of one peer. */
export interface HeldPeer {
  /** Of the store's document; 0 without one. */
  readonly version: number
  readonly state: PeerState
  /** Whether the store holds `state`. */
  readonly isKept: boolean
  /** Reads the bundle at the first call. Undefined without one, or with one that can not be read. */
  readonly open: () => HeldBundle | undefined
  /** Not asked before, so that a process that starts does not ask everybody at once. */
  readonly spreadUntil: Date
}

export interface HeldPeers {
  readonly get: (trustDomain: TrustDomain) => HeldPeer | undefined
  readonly names: () => readonly TrustDomain[]
  /** Names and versions of the store's documents. */
  readonly listKept: () => Promise<ReadonlyMap<TrustDomain, number>>
  /** What the store holds. @param peers How many there are, for the first poll to be among theirs. */
  readonly read: (peer: Peer, peers: number) => Promise<HeldPeer>
  /**
   * Compare-and-set; undefined when somebody else was faster. What is to be on record is kept together with it or not at
   * all.
   */
  readonly write: (
    trustDomain: TrustDomain,
    expected: number,
    state: PeerState,
    record?: RecordEntry,
  ) => Promise<HeldPeer | undefined>
  /** Empties the store's document, with the record of the bundle that was in it, unless somebody else does. */
  readonly end: (trustDomain: TrustDomain, recordOf: (former: TrustBundle) => RecordEntry) => Promise<void>
}

export interface HeldPeersDeps {
  readonly store: Pick<Store, 'readDocument' | 'writeDocument' | 'listDocuments'>
  readonly writer: Pick<RecordWriter, 'append' | 'head'>
  readonly telemetry: Telemetry
  readonly now: () => Date
  /** From 0 to 1. */
  readonly random: () => number
}

const documentPrefix = 'federation/'

export function createHeldPeers(deps: HeldPeersDeps): HeldPeers {
  const { store, writer, telemetry } = deps
  /** `order` grows with each read that begins and each write that ends: who has the greater one knows better. */
  const held = new Map<TrustDomain, HeldPeer & { readonly order: number }>()
  let lastOrder = 0

  function adopt(trustDomain: TrustDomain, order: number, found: Omit<HeldPeer, 'open'>): HeldPeer {
    const former = held.get(trustDomain)
    if (former !== undefined && former.order > order) return former
    const isSame = former?.state.bundle === found.state.bundle
    const open = isSame && former ? former.open : createOpener(trustDomain, found.state, ++lastOrder, telemetry)
    const adopted = { ...found, open, order }
    held.set(trustDomain, adopted)
    report(telemetry, trustDomain, found.state)
    return adopted
  }

  async function read(peer: Peer, peers: number): Promise<HeldPeer> {
    const { trustDomain } = peer
    const order = ++lastOrder
    const { version, body } = await store.readDocument(documentPrefix + trustDomain)
    const kept = readPeerState(body)
    const former = held.get(trustDomain)
    const spreadUntil = former?.spreadUntil ?? new Date(deps.now().getTime() + deps.random() * firstPollsMs(peers))
    if (kept) return adopt(trustDomain, order, { version, state: kept, isKept: true, spreadUntil })
    // A replica with another configuration ended the relation, or the store was replaced: what is known is kept again.
    if (former?.isKept) return (await write(trustDomain, version, former.state)) ?? former
    return adopt(trustDomain, order, { version, state: firstState(peer, spreadUntil), isKept: false, spreadUntil })
  }

  /** False when somebody else was faster. A process without a chain can not record: the store says what it lacks. */
  async function replace(change: Required<DocumentChange>, record: RecordEntry | undefined): Promise<boolean> {
    const { name, expected, body } = change
    if (record === undefined || writer.head().chain === '') return store.writeDocument(name, expected, body)
    return (await writer.append([record], undefined, change)) === 'stored'
  }

  async function write(
    trustDomain: TrustDomain,
    expected: number,
    state: PeerState,
    record?: RecordEntry,
  ): Promise<HeldPeer | undefined> {
    const change = { name: documentPrefix + trustDomain, expected, body: formatPeerState(state) }
    if (!(await replace(change, record))) return undefined
    const spreadUntil = held.get(trustDomain)?.spreadUntil ?? state.pollAt
    return adopt(trustDomain, ++lastOrder, { version: expected + 1, state, isKept: true, spreadUntil })
  }

  async function end(trustDomain: TrustDomain, recordOf: (former: TrustBundle) => RecordEntry): Promise<void> {
    const name = documentPrefix + trustDomain
    const { version, body } = await store.readDocument(name)
    const former = readPeerState(body)
    const bundle = former && createOpener(trustDomain, former, 0, telemetry)()?.bundle
    if (former && !(await replace({ name, expected: version, body: '' }, bundle && recordOf(bundle)))) return
    held.delete(trustDomain)
  }

  return {
    get: (trustDomain) => held.get(trustDomain),
    names: () => [...held.keys()],
    async listKept() {
      const documents = await store.listDocuments({ prefix: documentPrefix })
      return new Map(documents.map(({ name, version }) => [name.slice(documentPrefix.length) as TrustDomain, version]))
    },
    read,
    write,
    end,
  }
}

/** Whether its time has come, and none of those that start together stands before it. */
export function isToBeAsked({ state, spreadUntil }: HeldPeer, now: Date, peers: number): boolean {
  const aheadMs = spreadUntil.getTime() - now.getTime()
  return isDue(state, now) && (aheadMs <= 0 || aheadMs > firstPollsMs(peers))
}

function firstState({ firstBundle }: Peer, pollAt: Date): PeerState {
  return { pollAt, failures: 0, ...(firstBundle !== undefined && { bundle: firstBundle, source: 'file' as const }) }
}

/** Most peers are never met, so a bundle is read when it is first asked for. */
function createOpener(
  trustDomain: TrustDomain,
  { bundle: document }: PeerState,
  version: number,
  telemetry: Telemetry,
): () => HeldBundle | undefined {
  let opened: HeldBundle | undefined
  let isOpened = false
  return () => {
    if (!isOpened) opened = document === undefined ? undefined : openBundle(trustDomain, document, version, telemetry)
    isOpened = true
    return opened
  }
}

function openBundle(
  trustDomain: TrustDomain,
  document: string,
  version: number,
  telemetry: Telemetry,
): HeldBundle | undefined {
  try {
    const bundle = parseTrustBundle(trustDomain, document)
    const { x509Authorities, jwtAuthorities } = bundle
    return { version, bundle, document, x509Authorities: x509Authorities.flatMap(readable), jwtAuthorities }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    telemetry.log('error', 'a federated bundle can not be read, nothing of its trust domain is trusted', {
      trust_domain: trustDomain,
      problem: error.message,
    })
    return undefined
  }
}

/** Certificates that no path could begin with are passed over, as keys that can not be used are. */
function readable(der: Uint8Array): readonly Certificate[] {
  try {
    return [parseCertificate(der)]
  } catch (error) {
    if (error instanceof ProtocolError) return []
    throw error
  }
}

function report(telemetry: Telemetry, trustDomain: TrustDomain, { confirmedAt }: PeerState): void {
  if (confirmedAt === undefined) return
  telemetry.gauge('apostille_federation_bundle_confirmed_timestamp_seconds', confirmedAt.getTime() / 1000, {
    trust_domain: trustDomain,
  })
}
