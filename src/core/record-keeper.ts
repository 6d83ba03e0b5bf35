/**
 * What operations write into the records, and when a refusal is one record and when only a count.
 *
 * @module
 */
import type { AppendOutcome, RecordWriter, RefusalLimiter } from './audit.ts'
import type { AuthenticatedIdentity } from './authenticate.ts'
import type { Call } from './call.ts'
import { fingerprintProof } from './proof-router.ts'
import { type RecordEntry, shortenTexts } from './record.ts'
import { Refusal, type RefusalCode } from './refusal.ts'
import type { DocumentChange, JoinTokenSpend } from './store.ts'
import { type Telemetry, traced } from './telemetry.ts'

export interface RecordKeeperDeps {
  readonly writer: RecordWriter
  readonly limiter: RefusalLimiter
  readonly telemetry: Telemetry
  readonly now: () => Date
}

/** What a record says of where it came from. */
export interface RecordOrigin {
  readonly call: Call
  readonly operation: string
  /** Digest of the configuration that decides. */
  readonly document: string
}

export type RecordKeeper = ReturnType<typeof createRecordKeeper>

export function createRecordKeeper(deps: RecordKeeperDeps) {
  const recorded = new WeakSet<Refusal>()

  function append(...written: Parameters<RecordWriter['append']>): Promise<AppendOutcome> {
    return traced(deps.telemetry, 'record', () => deps.writer.append(...written))
  }

  /** A record's fields before anything was decided. */
  function begin({ call, operation, document }: RecordOrigin, identity?: AuthenticatedIdentity): RecordEntry {
    return {
      time: deps.now(),
      requestId: call.requestId,
      operation,
      decision: 'refused',
      address: call.address,
      document,
      ...(call.proof && { proof: identity?.fingerprint ?? fingerprintProof(call.proof) }),
      ...(identity && { authenticator: identity.authenticator, attributes: identity.recorded }),
    }
  }

  /** Keeps the record of a refusal, once; one without an identity counts against the limit on strangers. */
  async function refuse(origin: RecordOrigin, refusal: Refusal, identity?: AuthenticatedIdentity): Promise<void> {
    if (recorded.has(refusal)) return
    recorded.add(refusal)
    deps.telemetry.count('apostille_refusals_total', { operation: origin.operation, code: refusal.code })
    const { address } = origin.call
    if (identity === undefined && !deps.limiter.admit(deps.now(), refusal.code, address)) return
    const entry = { ...begin(origin, identity), code: refusal.code, reason: refusal.reason }
    await append([shortenTexts(entry)])
  }

  return {
    begin,
    refuse,
    /**
     * Runs the authentication of a request, which for a proof seen before answers at once; a refusal of it is on record
     * before it is thrown on.
     */
    authenticate(
      origin: RecordOrigin,
      authenticate: () => AuthenticatedIdentity | Promise<AuthenticatedIdentity>,
    ): AuthenticatedIdentity | Promise<AuthenticatedIdentity> {
      const refused = async (error: unknown): Promise<never> => {
        if (error instanceof Refusal) await refuse(origin, error)
        throw error
      }
      try {
        const identity = traced(deps.telemetry, 'authenticate', authenticate)
        return identity instanceof Promise ? identity.catch(refused) : identity
      } catch (error) {
        return refused(error)
      }
    },
    /**
     * Keeps what is on record of a refusal, which may be nothing beyond the limit on strangers, and counts it: whoever
     * answers it does neither again. Answers the refusal, to be thrown.
     */
    async keepRefusal(refusal: Refusal, operation: string, entries: readonly RecordEntry[]): Promise<Refusal> {
      if (entries.length > 0) await append(entries)
      recorded.add(refusal)
      deps.telemetry.count('apostille_refusals_total', { operation, code: refusal.code })
      return refusal
    },
    /** A refusal whose record was kept with others is not recorded again where it is answered. */
    markRecorded: (refusal: Refusal): void => void recorded.add(refusal),
    /**
     * What is kept of somebody whose proof is good, as anybody's of a public issuer is, and whom no identity rule knows:
     * beyond the limit on strangers nothing, as it has then been counted as `code`.
     */
    ofStranger(entry: RecordEntry, code: RefusalCode): readonly RecordEntry[] {
      return deps.limiter.admit(entry.time, code, entry.address ?? '') ? [shortenTexts(entry)] : []
    },
    /**
     * Durable, or throws; `spent` when the join token had no use left, `outdated` when the document was changed
     * meanwhile: then nothing was kept.
     */
    keep(entries: readonly RecordEntry[], spend?: JoinTokenSpend, change?: DocumentChange): Promise<AppendOutcome> {
      if (entries.length === 0 && spend === undefined && change === undefined) return Promise.resolve('stored')
      return append(entries, spend, change)
    },
    /** Whether the last write of records failed. */
    isFailing: deps.writer.isFailing,
  }
}
