/**
 * Proof and target → a cloud's credential. The caller never sees the token that it was exchanged for.
 *
 * @module
 */
import type { JwtSvid } from '../protocol/jwt-svid.ts'
import type { AuthenticatedIdentity } from './authenticate.ts'
import type { Call } from './call.ts'
import { describeSubject } from './candidate.ts'
import type { CloudCredential } from './cloud.ts'
import type { Configured } from './configured.ts'
import { type DeniedExchange, entitleExchange, type GrantedExchange } from './entitle-exchange.ts'
import { createObtainer, type Obtained, type ObtainerDeps } from './obtain-credential.ts'
import { type RecordEntry, shortenTexts } from './record.ts'
import type { RecordKeeper } from './record-keeper.ts'
import { Refusal } from './refusal.ts'
import type { Store } from './store.ts'
import type { Target } from './target.ts'
import { traced } from './telemetry.ts'

export interface ExchangeRequest {
  /** Name of the target. */
  readonly target: string
  /** Default: the first identity that the proof has. */
  readonly spiffeId?: string
}

export interface TokenExchangerDeps extends ObtainerDeps {
  readonly configured: () => Configured
  readonly store: Pick<Store, 'readJoinToken'>
  readonly records: RecordKeeper
}

const operation = 'exchange'

interface Session {
  readonly call: Call
  readonly configured: Configured
  readonly identity: AuthenticatedIdentity
  /** What every record of the request says. */
  readonly base: RecordEntry
}

/**
 * @throws {Refusal} `proof_rejected`, `not_entitled`, `too_many`, `upstream_failed`, `no_authority`,
 *   `store_unavailable`
 */
export function createTokenExchanger(deps: TokenExchangerDeps) {
  const obtain = createObtainer(deps)

  return async (call: Call, request: ExchangeRequest): Promise<CloudCredential> => {
    const startedMs = deps.monotonicMs()
    const configured = deps.configured()
    const origin = { call, operation, document: configured.config.digest }
    const known = deps.records.authenticate(origin, () => configured.authenticate(call.proof, call.authenticator))
    const identity = known instanceof Promise ? await known : known
    const base = { ...deps.records.begin(origin, identity), target: request.target, ...asked(request) }
    const session: Session = { call, configured, identity, base }
    const decision = traced(deps.telemetry, 'authorise', () =>
      entitleExchange({
        configured,
        identity,
        targetName: request.target,
        address: call.address,
        now: deps.now(),
        readJoinToken: deps.store.readJoinToken,
        ...(request.spiffeId !== undefined && { spiffeId: request.spiffeId }),
      }),
    )
    const granted = decision instanceof Promise ? await decision : decision
    if (!granted.granted) return refuse(deps, session, granted)
    const obtained = obtain({
      config: configured.config,
      granted,
      keepToken: (token, target) => keepToken(deps, session, granted, { token, target }),
    })
    const given = obtained instanceof Promise ? await orRefuse(deps, session, granted, obtained) : obtained
    const credential = await hand(deps, session, granted, given)
    deps.telemetry.observe('apostille_issue_duration_seconds', (deps.monotonicMs() - startedMs) / 1000, { operation })
    return credential
  }
}

async function refuse(deps: TokenExchangerDeps, { base }: Session, denied: DeniedExchange): Promise<never> {
  const { code, reason, stranger } = denied
  const entry = shortenTexts({ ...base, code, reason, ...describeSubject(denied) })
  const entries = stranger ? deps.records.ofStranger(entry, code) : [entry]
  throw await deps.records.keepRefusal(new Refusal(code, reason, denied), operation, entries)
}

/** The cloud's no is on record with who asked. */
async function orRefuse<T>(
  deps: TokenExchangerDeps,
  { base }: Session,
  granted: GrantedExchange,
  obtained: Promise<T>,
): Promise<T> {
  try {
    return await obtained
  } catch (error) {
    // Others may have waited for the same exchange, and each has a record of its own.
    if (!(error instanceof Refusal)) throw error
    const { code, reason, retryAfterSeconds } = error
    const own = new Refusal(code, reason, {
      cause: error,
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    })
    throw await deps.records.keepRefusal(own, operation, [{ ...base, code, reason, ...describeSubject(granted) }])
  }
}

/** A token that goes to a cloud is a credential that leaves. */
async function keepToken(
  { records }: TokenExchangerDeps,
  { base }: Session,
  granted: GrantedExchange,
  { token, target }: { readonly token: JwtSvid; readonly target: Target },
): Promise<void> {
  const { jti, kid, audience, expiresAt } = token
  const reason = `a token for ${target.name}`
  const issued = { jti, kid, audience, expiresAt }
  await records.keep([
    { ...base, operation: 'exchange_token', decision: 'granted', reason, issued, ...describeSubject(granted) },
  ])
}

async function hand(
  deps: TokenExchangerDeps,
  session: Session,
  granted: GrantedExchange,
  { credential, issued, reused, requestId, note }: Obtained,
): Promise<CloudCredential> {
  const { reason, acting, session: named } = granted
  const notes = note === undefined ? granted.notes : [...granted.notes, note]
  const entry: RecordEntry = {
    ...session.base,
    decision: 'granted',
    reason,
    issued,
    ...describeSubject({ ...granted, notes }),
    details: {
      acts_as: acting.uri,
      ...(requestId !== undefined && { cloud_request_id: requestId }),
      ...session.base.details,
      ...(reused && { reused }),
      ...(named.name !== undefined && { session_name: named.name }),
    },
  }
  const { use } = session.identity
  const kept = await deps.records.keep([entry], use.kind === 'join_token' ? { id: use.id, at: deps.now() } : undefined)
  if (kept === 'spent') {
    const reason = 'the join token has no use left, has expired or is revoked'
    const refusal = new Refusal('proof_rejected', reason)
    throw await deps.records.keepRefusal(refusal, operation, [{ ...session.base, code: refusal.code, reason }])
  }
  deps.telemetry.count('apostille_issued_total', { operation })
  return credential
}

function asked({ spiffeId }: ExchangeRequest): Pick<RecordEntry, 'details'> {
  return spiffeId === undefined ? {} : { details: { requested_spiffe_id: spiffeId } }
}
