/**
 * Replicas in the process of the test, each with a store, a chain of records and memory of its own: what `serve` runs, but for
 * listeners, and with clocks that the test sets. Of what could collide the most does: where the test says so nobody writes
 * before all have read.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { createJoinTokenAuthenticator } from '../../../src/adapters/authenticators/join-token.ts'
import { createSealedKeys } from '../../../src/adapters/keys/sealed.ts'
import { createPostgresStore } from '../../../src/adapters/stores/postgres.node.ts'
import type { RecordWriter } from '../../../src/core/audit.ts'
import type { AuthenticatedIdentity } from '../../../src/core/authenticate.ts'
import { type Authorities, createAuthorities } from '../../../src/core/authorities.ts'
import { createConcurrencyLimit } from '../../../src/core/concurrency-limit.ts'
import { type Configuration, parseConfiguration } from '../../../src/core/config.ts'
import { storeField } from '../../../src/core/config-store.ts'
import { type Configured, createConfigured } from '../../../src/core/configured.ts'
import { createFederation, type Federation } from '../../../src/core/federation.ts'
import { createSvidIssuer, type SvidIssuerDeps } from '../../../src/core/issue-svids.ts'
import { createRecordKeeper } from '../../../src/core/record-keeper.ts'
import { openRecordKeys } from '../../../src/core/record-keys.ts'
import { Refusal } from '../../../src/core/refusal.ts'
import { createRefusalLimiter } from '../../../src/core/refusal-limiter.ts'
import type { Store } from '../../../src/core/store.ts'
import { type SyncLease, takeLease } from '../../../src/core/sync-lease.ts'
import { silentTelemetry } from '../../../src/core/telemetry.ts'
import { digestJoinToken, formatJoinToken } from '../../../src/protocol/join-token.ts'
import { parseTrustDomain } from '../../../src/protocol/spiffe-id.ts'
import { openRecords } from '../../../src/runtime/open-records.node.ts'
import type { OpenStore } from '../../../src/runtime/open-store.node.ts'
import { testPlans } from '../../support/authorities.ts'
import { testNow } from '../../support/certificate-authority.ts'
import { bundleText, webPeer } from '../../support/federation-world.ts'
import { testSealKey } from '../../support/pooled-keys.ts'

export interface SimulatedReplica {
  readonly authorities: Authorities
  readonly federation: Federation
  /** Name of the chain of records that it writes. */
  readonly chain: () => string
  /** So many JWT-SVIDs in one turn, for a proof that was seen before. */
  readonly issue: (requests: number) => Promise<void>
  /** So many requests at once, each with that join token; how many were granted. */
  readonly join: (token: string, attempts: number) => Promise<number>
  readonly takeSync: (sync: string) => Promise<SyncLease | undefined>
  /** Renews the lease of the chain when its time has come, and signs its head. */
  readonly tendRecords: () => Promise<void>
  /** Sequence number of the federated bundle in use. */
  readonly peerSequence: () => bigint | undefined
  readonly close: () => Promise<void>
}

export interface SimulatedReplicas {
  readonly all: readonly SimulatedReplica[]
  /** So many in all, in equal parts. */
  readonly issue: (requests: number) => Promise<void>
  /** So many in all, in equal parts, with that join token; how many were granted. */
  readonly join: (token: string, requests: number) => Promise<number>
  readonly pass: (seconds: number) => void
  /** The next so many that are about to write wait for each other. */
  readonly meet: (writers: number) => void
  /** Good for one use. */
  readonly makeJoinToken: () => Promise<string>
  /** All ask the federated endpoint if its time has come; one that does is answered when the others have gone on. */
  readonly poll: () => Promise<void>
  /** What the federated endpoint says from now on. */
  readonly publish: (sequence: number) => void
  /** How often it was asked. */
  readonly polls: () => number
  readonly close: () => Promise<void>
}

/** What is counted does not depend on time, and a machine may be busy with other things. */
const patienceMs = 300_000
const patient = { connectMs: patienceMs, statementMs: patienceMs, lockMs: patienceMs, answerMs: patienceMs }
const peerDomain = parseTrustDomain('peer.example')
const audience = ['https://api.example.org']

const documentOf = (trustDomain: string, url: string) => `
trust_domain: ${trustDomain}
issuer: https://id.example.org
listen: { address: 127.0.0.1:8443 }
store: ${url}
seal: { env: APOSTILLE_SEAL }
authenticators:
  cluster: { type: kubernetes, issuer: https://k.example.org, audience: a }
  first: { type: join_token }
identities:
  - { name: workloads, spiffe_id: '/ns/\${proof.namespace}', from: cluster, audiences: [${audience}] }
  - { name: machines, spiffe_id: '/vm/\${proof.name}', from: first, audiences: [${audience}] }
`

const workload: AuthenticatedIdentity = {
  authenticator: 'cluster',
  type: 'kubernetes',
  attributes: { namespace: 'web' },
  recorded: { namespace: 'web' },
  use: { kind: 'rules' },
}

/** What all of them share. */
interface World {
  readonly trustDomain: string
  readonly url: string
  readonly now: () => Date
  readonly monotonicMs: () => number
  readonly meeting: Meeting
  readonly fetchBundle: () => Promise<string>
}

/** Of a trust domain of their own, so that several sets find nothing of each other. */
export async function startReplicas(url: string, trustDomain: string, count: number): Promise<SimulatedReplicas> {
  let passedMs = 0
  let sequence = 1
  let polls = 0
  let answer = Promise.withResolvers<void>()
  const meeting = createMeeting()
  const world: World = {
    trustDomain,
    url,
    now: () => new Date(testNow.getTime() + passedMs),
    monotonicMs: () => passedMs,
    meeting,
    async fetchBundle() {
      polls++
      await answer.promise
      return bundleText(peerDomain, { sequence, hint: 30 })
    },
  }
  const store = await openStore(world)
  const all = await Promise.all(Array.from({ length: count }, (_, index) => startReplica(world, `replica-${index}`)))
  const poll = async () => {
    let going = count
    answer = Promise.withResolvers()
    const pollOne = async ({ federation }: SimulatedReplica) => {
      await federation.poll()
      going -= 1
      if (going === 1) answer.resolve()
    }
    await Promise.all(all.map(pollOne))
  }
  await settle(all, poll)
  return {
    all,
    poll,
    async issue(requests) {
      await Promise.all(all.map((replica) => replica.issue(requests / count)))
    },
    async join(token, requests) {
      const granted = await Promise.all(all.map((replica) => replica.join(token, requests / count)))
      return granted.reduce((sum, each) => sum + each, 0)
    },
    pass(seconds) {
      passedMs += seconds * 1000
    },
    meet: meeting.begin,
    async makeJoinToken() {
      const token = formatJoinToken(randomBytes(32))
      await store.createJoinToken({
        ...{ id: randomBytes(8).toString('hex'), authenticator: 'first', name: 'vm', digest: digestJoinToken(token) },
        ...{ attributes: {}, uses: 1, usesLeft: 1, createdAt: world.now() },
        expiresAt: new Date(world.now().getTime() + 3_600_000),
      })
      return token
    },
    publish(next) {
      sequence = next
    },
    polls: () => polls,
    async close() {
      await Promise.all([store, ...all].map((each) => each.close()))
    },
  }
}

/** What is done once after a start: the first records of each chain, and the first bundle. */
async function settle(all: readonly SimulatedReplica[], poll: () => Promise<void>): Promise<void> {
  await Promise.all(all.map(({ issue }) => issue(1)))
  for (let time = 0; time < 2; time++) {
    await poll()
    await Promise.all(all.map(({ federation }) => federation.refresh()))
  }
}

function openStore({ trustDomain, url }: World): Promise<Store> {
  const store = storeField.parse(url)
  if (store.kind !== 'postgres') throw new Error('no PostgreSQL')
  return createPostgresStore({ ...store, trustDomain, env: {} }, patient)
}

async function startReplica(world: World, holder: string): Promise<SimulatedReplica> {
  const { trustDomain, now, monotonicMs, meeting } = world
  const clock: Clock = { now, monotonicMs, telemetry: silentTelemetry, randomBytes }
  const opened = await openStore(world)
  const store: Store = {
    ...opened,
    async writeDocument(...change) {
      await meeting.attend()
      return opened.writeDocument(...change)
    },
    // One connection is enough, where each replica could have five.
    findJoinToken: oneAtATime(opened.findJoinToken),
  }
  const config = parseConfiguration(documentOf(trustDomain, world.url))
  const keys = createSealedKeys({ sealKey: testSealKey, trustDomain, randomBytes })
  const shared = { store, recordKeys: await openRecordKeys(store, keys), isShared: true } as OpenStore
  const { writer, tasks, close } = await openRecords({ ...clock, trustDomain, opened: shared })
  const authorities = createAuthorities({
    ...{ ...clock, store, keys, trustDomain: config.trustDomain, issuer: () => config.issuer },
    ...{ plans: () => testPlans, upstream: () => undefined, publishedSeconds: () => 86_400 },
  })
  await authorities.refresh()
  const peer = webPeer(peerDomain, bundleText(peerDomain, { sequence: 0, hint: 30 }))
  const federation = createFederation({
    ...{ ...clock, store, writer, random: () => 0, fetchBundle: world.fetchBundle },
    peers: () => new Map([[peerDomain, peer]]),
    own: () => ({ trustDomain: config.trustDomain, x509Authorities: [] }),
  })
  await federation.refresh()
  return {
    authorities,
    federation,
    chain: () => writer.head().chain,
    ...createRequests({ config, clock, store, writer, authorities, meeting }),
    takeSync: (sync) => takeLease({ ...clock, store, writer, holder, pause: async () => undefined }, sync),
    async tendRecords() {
      for (const task of tasks) await task.run()
    },
    peerSequence: () => federation.bundleOf(peerDomain)?.bundle.sequence,
    async close() {
      await federation.close()
      await close()
      await opened.close()
    },
  }
}

type Clock = Pick<SvidIssuerDeps, 'now' | 'monotonicMs' | 'telemetry' | 'randomBytes'>

interface RequestsInput {
  readonly config: Configuration
  readonly clock: Clock
  readonly store: Store
  readonly writer: RecordWriter
  readonly authorities: Authorities
  readonly meeting: Meeting
}

/** From the proof to the record, as any request for a JWT-SVID goes. */
function createRequests(input: RequestsInput): Pick<SimulatedReplica, 'issue' | 'join'> {
  const { config, clock, store, authorities, meeting } = input
  const writer: RecordWriter = {
    ...input.writer,
    async append(entries, spend, change) {
      if (spend) await meeting.attend()
      return input.writer.append(entries, spend, change)
    },
  }
  const first = createJoinTokenAuthenticator({ name: 'first', type: 'join_token' }, { store })
  const configured = createConfigured(config, [first], clock)
  const limiter = createRefusalLimiter({ perMinute: () => config.limits.refusals })
  const records = createRecordKeeper({ ...clock, writer, limiter })
  const issuerWith = (authenticate: Configured['authenticate']) =>
    createSvidIssuer({ ...clock, authorities, store, records, configured: () => ({ ...configured, authenticate }) })
  const issueKnown = issuerWith(() => workload)
  const issueJoining = issuerWith(configured.authenticate)
  /** Whether it was granted. */
  const ask = (issue: typeof issueKnown, token: string) =>
    issue({ requestId: 'r', address: '10.0.0.1', proof: { kind: 'bearer', token } }, [{ kind: 'jwt', audience }]).then(
      ([outcome]) => outcome?.kind === 'jwt',
      isRejected,
    )
  const askAll = async (requests: number, issue: typeof issueKnown, token: string) => {
    const asked = Array.from({ length: requests }, () => ask(issue, token))
    return (await Promise.all(asked)).filter(Boolean).length
  }
  return {
    async issue(requests) {
      const granted = await askAll(requests, issueKnown, 'known')
      if (granted !== requests) throw new Error(`${granted} of ${requests} requests were granted`)
    },
    join: (token, attempts) => askAll(attempts, issueJoining, token),
  }
}

/** False, or throws what is no refusal of the proof. */
function isRejected(error: unknown): false {
  if (error instanceof Refusal && error.code === 'proof_rejected') return false
  throw error
}

function oneAtATime<Given extends readonly unknown[], Result>(run: (...given: Given) => Promise<Result>) {
  const limit = createConcurrencyLimit(1)
  return (...given: Given) => limit(() => run(...given))
}

interface Meeting {
  readonly begin: (members: number) => void
  /** At once, where no meeting is under way. */
  readonly attend: () => Promise<void>
}

function createMeeting(): Meeting {
  let missing = 0
  let all = Promise.withResolvers<void>()
  return {
    begin(members) {
      missing = members
      all = Promise.withResolvers<void>()
    },
    async attend() {
      if (missing === 0) return
      missing -= 1
      if (missing === 0) all.resolve()
      await all.promise
    },
  }
}
