/**
 * The gateway: every operation by name. Start reading here.
 *
 *     proof ──authenticate──▶ attributes ──identify──▶ SPIFFE ID ──authorise──▶ decision ──issue──▶ credential
 *                                                                                   └────── record ──────┘
 *
 * @module
 */
import { type CallerAdmissionDeps, createCallerAdmission, type SecretCaller } from './admit-secret.ts'
import type { Authorities } from './authorities.ts'
import type { Call } from './call.ts'
import type { CloudCredential } from './cloud.ts'
import type { Configured } from './configured.ts'
import { createTokenExchanger, type ExchangeRequest, type TokenExchangerDeps } from './exchange-token.ts'
import type { Federation } from './federation.ts'
import {
  createSvidIssuer,
  type IssuedSvid,
  type SvidIssuerDeps,
  type SvidOutcome,
  type SvidRequest,
} from './issue-svids.ts'
import { createSecretKeeper, type SecretKeeper, type SecretKeeperDeps } from './keep-secrets.ts'
import { createIdentityLister, type ListedIdentity } from './list-identities.ts'
import { type BundleDocuments, createBundlePublisher, type PublishedDocuments } from './published-documents.ts'
import type { RecordKeeper } from './record-keeper.ts'
import { Refusal } from './refusal.ts'
import type { Store } from './store.ts'

export interface GatewayPorts extends SvidIssuerDeps, TokenExchangerDeps, SecretKeeperDeps, CallerAdmissionDeps {
  readonly authorities: Pick<Authorities, 'current' | 'published'>
  readonly store: Pick<Store, 'readJoinToken' | 'check' | 'readDocument' | 'listDocuments'>
  readonly records: RecordKeeper
  /** Whether the document on disk was refused, so that the one in use is another. */
  readonly configurationRefused: () => boolean
  readonly bundleOf: Federation['bundleOf']
}

type SvidOf<Kind extends SvidRequest['kind']> = Extract<IssuedSvid, { kind: Kind }>['svid']

export interface Gateway {
  /** @throws {Refusal} */
  readonly issueSvid: <Kind extends SvidRequest['kind']>(
    call: Call,
    request: Extract<SvidRequest, { kind: Kind }>,
  ) => Promise<SvidOf<Kind>>
  /** Up to 100 requests on one proof. @throws {Refusal} for the proof; each request has its own outcome */
  readonly issueSvids: (call: Call, requests: readonly SvidRequest[]) => Promise<readonly SvidOutcome[]>
  /** The credential of a cloud, for a target of the configuration. @throws {Refusal} */
  readonly exchange: (call: Call, request: ExchangeRequest) => Promise<CloudCredential>
  /** Our own versioned secrets. */
  readonly secrets: SecretKeeper<SecretCaller>
  /** Which identities the proof has. @throws {Refusal} */
  readonly listIdentities: (call: Call) => Promise<readonly ListedIdentity[]>
  /** OIDC discovery, key set and bundle. @throws {Refusal} `no_authority` */
  readonly published: () => PublishedDocuments
  /** The bundle of a trust domain that we federate with; undefined for any other. */
  readonly federatedBundle: (trustDomain: string) => BundleDocuments | undefined
  /** Keeps the record of a refusal that was made before any operation ran, such as of a malformed body. */
  readonly recordRefusal: (call: Call, operation: string, refusal: Refusal) => Promise<void>
  /** Throws what keeps us from issuing right now. */
  readonly ready: () => Promise<void>
  readonly configured: () => Configured
  readonly configurationRefused: () => boolean
}

export function createGateway(ports: GatewayPorts): Gateway {
  const issueSvids = createSvidIssuer(ports)
  const checkStore = oncePerSecond(ports.store.check, ports.now)
  const resumeRecords = createRecordsResumption(ports.records, ports.now)
  return {
    issueSvids,
    async issueSvid<Kind extends SvidRequest['kind']>(call: Call, request: Extract<SvidRequest, { kind: Kind }>) {
      const [outcome] = await issueSvids(call, [request])
      if (outcome === undefined) throw new Error('one request has one outcome')
      if (outcome.kind === 'refused') throw outcome.refusal
      return outcome.svid as SvidOf<Kind>
    },
    exchange: createTokenExchanger(ports),
    secrets: createSecretKeeper(ports, createCallerAdmission(ports)),
    listIdentities: createIdentityLister(ports),
    published: ports.authorities.published,
    federatedBundle: createBundlePublisher(ports.bundleOf),
    recordRefusal: (call, operation, refusal) =>
      ports.records.refuse({ call, operation, document: ports.configured().config.digest }, refusal),
    async ready() {
      await checkStore()
      if (ports.records.isFailing()) await resumeRecords()
      ports.authorities.current().x509()
    },
    configured: ports.configured,
    configurationRefused: ports.configurationRefused,
  }
}

/**
 * Tries to write records again, at most once per second: whoever is not ready is sent no requests, whose records would
 * show that it works again.
 *
 * @throws {Refusal} `store_unavailable`, `overloaded`
 */
function createRecordsResumption(records: Pick<RecordKeeper, 'keep'>, now: () => Date): () => Promise<void> {
  let triedAt = Number.NEGATIVE_INFINITY
  return async () => {
    const time = now()
    const elapsed = time.getTime() - triedAt
    if (elapsed >= 0 && elapsed < 1000) throw new Refusal('store_unavailable', 'the last write of records failed')
    triedAt = time.getTime()
    const reason = 'records could not be written for a while'
    await records.keep([{ time, operation: 'records.resume', decision: 'granted', reason }])
  }
}

/** A check of the store is a synced write, and probes come from anywhere. A failure is not remembered. */
function oncePerSecond(check: () => Promise<void>, now: () => Date): () => Promise<void> {
  let passedAt = Number.NEGATIVE_INFINITY
  return async () => {
    const elapsed = now().getTime() - passedAt
    if (elapsed >= 0 && elapsed < 1000) return
    await check()
    passedAt = now().getTime()
  }
}
