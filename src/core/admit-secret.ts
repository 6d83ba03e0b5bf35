/**
 * Who may do what with a secret, and what is on record of it: for callers, whom policy admits, and for operators, who
 * are admitted by the socket that they can open.
 *
 * @module
 */
import type { AppendOutcome, RecordWriter } from './audit.ts'
import type { Call } from './call.ts'
import { describeSubject } from './candidate.ts'
import type { Configured } from './configured.ts'
import { entitleSecret, type SecretDecision } from './entitle-secret.ts'
import { type RecordEntry, shortenTexts } from './record.ts'
import type { RecordKeeper } from './record-keeper.ts'
import { Refusal } from './refusal.ts'
import type { DocumentChange, JoinTokenSpend, Store } from './store.ts'
import { type Telemetry, traced } from './telemetry.ts'

/** What is about to be done. */
export interface SecretAct {
  /** As records name it, such as `kv.delete`. */
  readonly operation: string
  /** As policies name it. */
  readonly needs: 'read' | 'write'
  /** Of a secret, or of a folder with the slash at its end. */
  readonly path: string
  /** What else the record says. Plain JSON, and nothing of the data. */
  readonly details?: Details
}

type Details = Readonly<Record<string, unknown>>

/** Whoever was admitted to one act. */
export interface SecretAdmission {
  /**
   * Keeps the record that the act was done, and with it the change that it makes, if any: both or none.
   *
   * @throws {Refusal} `store_unavailable`, `overloaded`; `proof_rejected`, on record, for a join token with no use left
   */
  readonly keep: (details: Details, change?: DocumentChange) => Promise<Exclude<AppendOutcome, 'spent'>>
  /** Keeps the record that the act was not done. Answers the refusal, to be thrown. */
  readonly refuse: (refusal: Refusal, details?: Details) => Promise<Refusal>
}

/** @throws {Refusal} on record, for whoever is not admitted */
export type AdmitSecret<Asker> = (asker: Asker, act: SecretAct) => Promise<SecretAdmission>

export interface SecretCaller {
  readonly call: Call
  /** Which identity of the proof acts. Default: the first. */
  readonly spiffeId?: string
}

export interface CallerAdmissionDeps {
  readonly configured: () => Configured
  readonly store: Pick<Store, 'readJoinToken'>
  readonly records: RecordKeeper
  readonly telemetry: Telemetry
  readonly now: () => Date
}

/** What every record of one act of a caller says, and how it is kept. */
interface Session {
  readonly deps: CallerAdmissionDeps
  readonly base: RecordEntry
  readonly spend: JoinTokenSpend | undefined
}

/**
 * Refuses before anything is read, so that nobody learns what is there who may not know.
 *
 * @throws {Refusal} `proof_rejected`, `not_entitled`, `too_many`, `upstream_failed`, `store_unavailable`
 */
export function createCallerAdmission(deps: CallerAdmissionDeps): AdmitSecret<SecretCaller> {
  return async ({ call, spiffeId }, act) => {
    const configured = deps.configured()
    const origin = { call, operation: act.operation, document: configured.config.digest }
    const identity = await deps.records.authenticate(origin, () =>
      configured.authenticate(call.proof, call.authenticator),
    )
    const decision = await traced(deps.telemetry, 'authorise', () =>
      entitleSecret({
        configured,
        identity,
        operation: act.needs,
        path: act.path,
        address: call.address,
        now: deps.now(),
        readJoinToken: deps.store.readJoinToken,
        ...(spiffeId !== undefined && { spiffeId }),
      }),
    )
    const asked = spiffeId === undefined ? {} : { requested_spiffe_id: spiffeId }
    const base = {
      ...deps.records.begin(origin, identity),
      ...describeSubject(decision),
      details: { ...asked, ...detailsOf(act) },
    }
    const { use } = identity
    const spend = use.kind === 'join_token' ? { id: use.id, at: deps.now() } : undefined
    const session: Session = { deps, base, spend }
    if (!decision.granted) throw await refuseDenied(session, decision)
    return admitted(session, decision.reason)
  }
}

function admitted(session: Session, reason: string): SecretAdmission {
  const { deps, base, spend } = session
  const { policy: _, ...refused } = base
  return {
    async keep(details, change) {
      const entry = withDetails({ ...base, decision: 'granted', reason }, details)
      const kept = await deps.records.keep([entry], spend, change)
      if (kept !== 'spent') return kept
      const why = 'the join token has no use left, has expired or is revoked'
      const refusal = new Refusal('proof_rejected', why)
      throw await deps.records.keepRefusal(refusal, base.operation, [{ ...refused, code: refusal.code, reason: why }])
    },
    refuse: (refusal, details = {}) =>
      deps.records.keepRefusal(refusal, base.operation, [
        shortenTexts({ ...withDetails(refused, details), code: refusal.code, reason: refusal.reason }),
      ]),
  }
}

function refuseDenied({ deps, base }: Session, decision: SecretDecision): Promise<Refusal> {
  const { code, reason, stranger } = decision
  const entry = shortenTexts({ ...base, code, reason })
  const entries = stranger ? deps.records.ofStranger(entry, code) : [entry]
  return deps.records.keepRefusal(new Refusal(code, reason, decision), base.operation, entries)
}

function detailsOf({ path, details }: SecretAct): Details {
  return { path, ...details }
}

function withDetails(entry: RecordEntry, details: Details): RecordEntry {
  return { ...entry, details: { ...entry.details, ...details } }
}

export interface SecretOperator {
  readonly requestId: string
}

export interface OperatorAdmissionDeps {
  readonly writer: RecordWriter
  readonly now: () => Date
}

export function createOperatorAdmission({ writer, now }: OperatorAdmissionDeps): AdmitSecret<SecretOperator> {
  return async ({ requestId }, act) => {
    const base = { time: now(), requestId, operation: act.operation, details: detailsOf(act) }
    return {
      async keep(details, change) {
        const entry = withDetails({ ...base, decision: 'granted' }, details)
        const kept = await writer.append([entry], undefined, change)
        if (kept === 'spent') throw new Error('an operator spends nothing')
        return kept
      },
      async refuse(refusal, details = {}) {
        const { code, reason } = refusal
        await writer.append([withDetails({ ...base, decision: 'refused', code, reason }, details)])
        return refusal
      },
    }
  }
}
