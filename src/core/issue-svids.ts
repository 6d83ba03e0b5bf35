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
import { entitle, type Granted } from './entitle.ts'
import { type JwtSvidRequest, mintJwtSvid } from './issue-jwt-svid.ts'
import { type IssuedX509Svid, mintX509Svid, readCsr, type X509SvidRequest } from './issue-x509-svid.ts'
import type { IssuedCredential, RecordEntry } from './record.ts'
import type { RecordKeeper } from './record-keeper.ts'
import { Refusal } from './refusal.ts'
import type { Store } from './store.ts'
import type { Telemetry } from './telemetry.ts'

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
  readonly randomBytes: (size: number) => Uint8Array
}

const operations = { jwt: 'jwt_svid', x509: 'x509_svid' } as const

/** One request of a batch, carried out but not yet on record. */
interface Attempt {
  readonly outcome: SvidOutcome
  readonly entry: RecordEntry
}

interface Session {
  readonly call: Call
  readonly configured: Configured
  readonly identity: AuthenticatedIdentity
}

/**
 * Answers one outcome for each request. A proof that is not accepted, or records that can not be kept, end the whole
 * batch.
 *
 * @throws {Refusal} `proof_rejected`, `upstream_failed`, `store_unavailable`
 */
export function createSvidIssuer(deps: SvidIssuerDeps) {
  return async (call: Call, requests: readonly SvidRequest[]): Promise<readonly SvidOutcome[]> => {
    const configured = deps.configured()
    const operation = operations[requests[0]?.kind ?? 'jwt']
    const identity = await deps.records.authenticate({ call, operation, document: configured.config.digest }, () =>
      configured.authenticate(call.proof, call.authenticator),
    )
    const session = { call, configured, identity }
    const attempts: Attempt[] = []
    for (const request of requests) attempts.push(await attempt(deps, session, request))
    return keep(deps, session, attempts)
  }
}

/** A refusal of one request is its outcome; what is not a refusal is a bug and ends the batch. */
async function attempt(deps: SvidIssuerDeps, session: Session, request: SvidRequest): Promise<Attempt> {
  const operation = operations[request.kind]
  const document = session.configured.config.digest
  const base = {
    ...deps.records.begin({ call: session.call, operation, document }, session.identity),
    ...asked(request),
  }
  try {
    const now = deps.now()
    const decision = await entitle({
      ...session,
      operation,
      address: session.call.address,
      now,
      readJoinToken: deps.store.readJoinToken,
      ...request,
    })
    if (!decision.granted) {
      const { code, reason, entitlement, notes } = decision
      const refusal = new Refusal(code, reason, decision)
      return {
        outcome: { kind: 'refused', refusal },
        entry: { ...base, code, reason, ...noted(notes), ...named(entitlement) },
      }
    }
    const issued = await mint(deps, session, request, decision, now)
    const { reason, notes, entitlement } = decision
    const issuance = { decision: 'granted' as const, reason, issued: describe(issued) }
    const entry = { ...base, ...issuance, ...noted(notes), ...named(entitlement) }
    return { outcome: issued, entry }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { outcome: { kind: 'refused', refusal: error }, entry: { ...base, code: error.code, reason: error.reason } }
  }
}

async function mint(
  deps: SvidIssuerDeps,
  { configured, identity }: Session,
  request: SvidRequest,
  { entitlement, ttlSeconds }: Granted,
  now: Date,
): Promise<IssuedSvid> {
  const authorities = deps.authorities.current()
  if (request.kind === 'jwt') {
    const jti = formatBase64Url(deps.randomBytes(16))
    const { config } = configured
    return { kind: 'jwt', svid: await mintJwtSvid(request, { config, authorities, entitlement, ttlSeconds, now, jti }) }
  }
  const firstProof = firstProofOf(identity, entitlement.rule.digest, now)
  const serialNumber = deps.randomBytes(16)
  const csr = readCsr(request.csr)
  return {
    kind: 'x509',
    svid: await mintX509Svid(csr, { authorities, entitlement, ttlSeconds, now, firstProof, serialNumber }),
  }
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
    attempts.map(({ entry }) => entry),
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

function named(entitlement: Granted['entitlement'] | undefined) {
  return entitlement && { spiffeId: entitlement.spiffeId.uri, rule: entitlement.rule.name }
}

/** Most decisions have nothing to note. */
function noted(notes: readonly string[]): Pick<RecordEntry, 'notes'> {
  return notes.length > 0 ? { notes } : {}
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
