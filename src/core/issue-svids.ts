/**
 * One transaction for every kind of SVID: authenticate once, decide and sign each, keep the records of all, answer.
 *
 * No record, no credential: what was signed leaves only after the store has kept the record of it, and a use of a join
 * token is spent in that same write.
 *
 * @module
 */
import { formatBase64Url } from '../protocol/encoding.ts'
import type { FirstProof } from '../protocol/first-proof.ts'
import type { JwtSvid } from '../protocol/jwt-svid.ts'
import type { AuthenticatedIdentity } from './authenticate.ts'
import type { Authorities } from './authorities.ts'
import type { Call } from './call.ts'
import type { Configured } from './configured.ts'
import { type Denied, entitle, type Granted } from './entitle.ts'
import { type JwtSvidRequest, mintJwtSvid } from './issue-jwt-svid.ts'
import { type IssuedX509Svid, mintX509Svid, readCsr, type X509SvidRequest } from './issue-x509-svid.ts'
import { type IssuedCredential, type RecordEntry, shortenTexts } from './record.ts'
import type { RecordKeeper } from './record-keeper.ts'
import { Refusal, type RefusalCode } from './refusal.ts'
import type { Store } from './store.ts'
import { type Telemetry, traced } from './telemetry.ts'

export type SvidRequest = JwtSvidRequest | X509SvidRequest

export type IssuedSvid =
  | { readonly kind: 'jwt'; readonly svid: JwtSvid }
  | { readonly kind: 'x509'; readonly svid: IssuedX509Svid }

/** Each request of a batch has its own outcome, in order. */
export type SvidOutcome = IssuedSvid | { readonly kind: 'refused'; readonly refusal: Refusal }

export interface SvidIssuerDeps {
  readonly configured: () => Configured
  readonly authorities: Pick<Authorities, 'current'>
  readonly store: Pick<Store, 'readJoinToken'>
  readonly records: RecordKeeper
  readonly telemetry: Telemetry
  readonly now: () => Date
  /** Milliseconds that only grow. */
  readonly monotonicMs: () => number
  readonly randomBytes: (size: number) => Uint8Array
}

const operations = { jwt: 'jwt_svid', x509: 'x509_svid' } as const

/** One request of a batch, carried out but not yet on record. */
interface Attempt {
  readonly outcome: SvidOutcome
  readonly entry: RecordEntry
  /** Code of the refusal of somebody whom no identity rule knows. */
  readonly strangerCode?: RefusalCode
}

interface Session {
  readonly call: Call
  readonly configured: Configured
  readonly identity: AuthenticatedIdentity
  readonly now: Date
  /** What every record of the batch says. */
  readonly base: RecordEntry
}

/**
 * Answers one outcome for each request. A proof that is not accepted, or records that can not be kept, end the whole
 * batch.
 *
 * @throws {Refusal} `proof_rejected`, `upstream_failed`, `store_unavailable`
 */
export function createSvidIssuer(deps: SvidIssuerDeps) {
  return async (call: Call, requests: readonly SvidRequest[]): Promise<readonly SvidOutcome[]> => {
    const startedMs = deps.monotonicMs()
    const configured = deps.configured()
    const operation = operations[requests[0]?.kind ?? 'jwt']
    const origin = { call, operation, document: configured.config.digest }
    const known = deps.records.authenticate(origin, () => configured.authenticate(call.proof, call.authenticator))
    // Most of the work is done at once, and each wait would cost a turn of the queue of microtasks.
    const identity = known instanceof Promise ? await known : known
    const session = { call, configured, identity, now: deps.now(), base: deps.records.begin(origin, identity) }
    const attempts: Attempt[] = []
    for (const request of requests) {
      const made = attempt(deps, session, request)
      attempts.push(made instanceof Promise ? await made : made)
    }
    const outcomes = await keep(deps, session, attempts)
    if (outcomes.some(({ kind }) => kind !== 'refused'))
      deps.telemetry.observe('apostille_issue_duration_seconds', (deps.monotonicMs() - startedMs) / 1000, { operation })
    return outcomes
  }
}

/** A refusal of one request is its outcome; what is not a refusal is a bug and ends the batch. */
function attempt(deps: SvidIssuerDeps, session: Session, request: SvidRequest): Attempt | Promise<Attempt> {
  const failed = (error: unknown): Attempt => {
    if (!(error instanceof Refusal)) throw error
    const { code, reason } = error
    return { outcome: { kind: 'refused', refusal: error }, entry: refusalOf(session, request, { code, reason }) }
  }
  try {
    const decision = traced(deps.telemetry, 'authorise', () =>
      entitle({
        ...request,
        configured: session.configured,
        identity: session.identity,
        operation: operations[request.kind],
        address: session.call.address,
        now: session.now,
        readJoinToken: deps.store.readJoinToken,
      }),
    )
    const made =
      decision instanceof Promise
        ? decision.then((later) => conclude(deps, session, request, later))
        : conclude(deps, session, request, decision)
    return made instanceof Promise ? made.catch(failed) : made
  } catch (error) {
    return failed(error)
  }
}

function conclude(
  deps: SvidIssuerDeps,
  session: Session,
  request: SvidRequest,
  decision: Granted | Denied,
): Attempt | Promise<Attempt> {
  if (!decision.granted) {
    const { code, reason, policy } = decision
    const entry = refusalOf(session, request, { code, reason, ...(policy && { policy }), ...described(decision) })
    const outcome = { kind: 'refused', refusal: new Refusal(code, reason, decision) } as const
    return { outcome, entry, ...(decision.stranger && { strangerCode: code }) }
  }
  const granted = (outcome: IssuedSvid): Attempt => {
    const { reason } = decision
    const said = { decision: 'granted', reason, issued: describe(outcome), ...described(decision) } as const
    return { outcome, entry: recordOf(session, request, said) }
  }
  const issued = traced(deps.telemetry, 'issue', () => mint(deps, session, request, decision))
  return issued instanceof Promise ? issued.then(granted) : granted(issued)
}

function recordOf(session: Session, request: SvidRequest, said: Partial<RecordEntry>): RecordEntry {
  return { ...session.base, operation: operations[request.kind], ...asked(request), ...said }
}

/** With the audience: of what was granted, `issued` says it. */
function refusalOf(session: Session, request: SvidRequest, said: Partial<RecordEntry>): RecordEntry {
  const entry = recordOf(session, request, said)
  if (request.kind !== 'jwt') return shortenTexts(entry)
  return shortenTexts({ ...entry, details: { ...entry.details, requested_audience: request.audience } })
}

/** At once when the signer answers at once. */
function mint(
  deps: SvidIssuerDeps,
  { configured, identity, now }: Session,
  request: SvidRequest,
  { entitlement, ttlSeconds }: Granted,
): IssuedSvid | Promise<IssuedSvid> {
  const authorities = deps.authorities.current()
  if (request.kind === 'jwt') {
    const jti = formatBase64Url(deps.randomBytes(16))
    const { config } = configured
    const svid = mintJwtSvid(request, { config, authorities, entitlement, ttlSeconds, now, jti })
    return svid instanceof Promise ? svid.then((later) => ({ kind: 'jwt', svid: later })) : { kind: 'jwt', svid }
  }
  const firstProof = firstProofOf(identity, entitlement.rule.digest, now)
  const serialNumber = deps.randomBytes(16)
  const csr = readCsr(request.csr)
  const svid = mintX509Svid(csr, { authorities, entitlement, ttlSeconds, now, firstProof, serialNumber })
  return svid instanceof Promise ? svid.then((later) => ({ kind: 'x509', svid: later })) : { kind: 'x509', svid }
}

/** A renewal carries the first proof on, so that a chain of renewals ends where the first one would. */
function firstProofOf({ use }: AuthenticatedIdentity, ruleDigest: string, now: Date): FirstProof {
  if (use.kind === 'renewal') return use.firstProof
  return { ruleDigest, at: now, ...(use.kind === 'join_token' && { joinToken: use.id }) }
}

async function keep(
  deps: SvidIssuerDeps,
  session: Session,
  attempts: readonly Attempt[],
): Promise<readonly SvidOutcome[]> {
  const { use } = session.identity
  const granted = attempts.some(({ outcome }) => outcome.kind !== 'refused')
  const spend = use.kind === 'join_token' && granted ? { id: use.id, at: deps.now() } : undefined
  const kept = await deps.records.keep(
    attempts.flatMap(({ entry, strangerCode }) =>
      strangerCode === undefined ? entry : deps.records.ofStranger(entry, strangerCode),
    ),
    spend,
  )
  if (kept === 'spent') await refuseSpent(deps, session, attempts[0])
  for (const { outcome, entry } of attempts) {
    if (outcome.kind === 'refused') deps.records.markRecorded(outcome.refusal)
    count(deps.telemetry, outcome, entry.operation)
  }
  return attempts.map(({ outcome }) => outcome)
}

/** Somebody else took the last use between the look-up and the write: what was signed is thrown away. */
async function refuseSpent(deps: SvidIssuerDeps, session: Session, first: Attempt | undefined): Promise<never> {
  const refusal = new Refusal('proof_rejected', 'the join token has no use left, has expired or is revoked')
  const operation = first?.entry.operation ?? operations.jwt
  const document = session.configured.config.digest
  await deps.records.refuse({ call: session.call, operation, document }, refusal, session.identity)
  throw refusal
}

function count(telemetry: Telemetry, outcome: SvidOutcome, operation: string): void {
  if (outcome.kind === 'refused') telemetry.count('apostille_refusals_total', { operation, code: outcome.refusal.code })
  else telemetry.count('apostille_issued_total', issuedLabels[outcome.kind])
}

const issuedLabels = { jwt: { operation: operations.jwt }, x509: { operation: operations.x509 } }

/** Most decisions have nothing to note, and a refused one may have no identity. */
function described({ entitlement, notes }: Granted | Denied): Partial<RecordEntry> {
  return {
    ...(entitlement && { spiffeId: entitlement.spiffeId.uri, rule: entitlement.rule.name }),
    ...(notes.length > 0 && { notes }),
  }
}

/** What the caller named of its own accord; for most requests nothing. */
function asked(request: SvidRequest): Pick<RecordEntry, 'details'> {
  const { spiffeId, ttlSeconds } = request
  if (spiffeId === undefined && ttlSeconds === undefined) return {}
  return {
    details: {
      ...(spiffeId !== undefined && { requested_spiffe_id: spiffeId }),
      ...(ttlSeconds !== undefined && { requested_ttl_seconds: ttlSeconds }),
    },
  }
}

/** What was issued, never the credential itself. */
function describe(issued: IssuedSvid): IssuedCredential {
  if (issued.kind === 'jwt') {
    const { jti, kid, audience, expiresAt } = issued.svid
    return { jti, kid, audience, expiresAt }
  }
  const { serialNumber, authorityId, expiresAt } = issued.svid
  return { serialNumber, kid: authorityId, expiresAt }
}
