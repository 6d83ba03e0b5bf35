/**
 * How a sync proves itself: a token of ours for its own SPIFFE ID, or that of the target, exchanged as those of
 * workloads are. There is no other way in, so that no key can be put in its place.
 *
 * @module
 */
import { formatBase64Url } from '../protocol/encoding.ts'
import type { RecordWriter } from './audit.ts'
import { type CloudCredential, CloudError } from './cloud.ts'
import type { Configured } from './configured.ts'
import type { GrantedExchange } from './entitle-exchange.ts'
import { ExpressionError } from './expression.ts'
import { createObtainer, type ObtainerDeps } from './obtain-credential.ts'
import { bareSubject } from './policy.ts'
import type { IssuedCredential, RecordEntry } from './record.ts'
import { Refusal } from './refusal.ts'
import { DestinationError } from './secret-destination.ts'
import { SourceError } from './secret-source.ts'
import type { Sync } from './sync.ts'
import type { Target } from './target.ts'

export interface SyncCredentialDeps extends ObtainerDeps {
  readonly configured: () => Configured
  readonly writer: Pick<RecordWriter, 'append'>
}

export interface SyncCredentials {
  /** Had before, mostly. @throws {DestinationError} */
  readonly forTarget: (sync: Sync, target: Target) => Promise<CloudCredential>
  /** A JWT-SVID of the sync for a source. @throws {SourceError} */
  readonly token: (sync: Sync, audience: string) => Promise<string>
}

const reason = 'the configuration has this sync'
const tokenTtlSeconds = 300

export function createSyncCredentials(deps: SyncCredentialDeps): SyncCredentials {
  const obtain = createObtainer(deps)

  function entryOf(sync: Sync, more: Pick<RecordEntry, 'operation'> & Partial<RecordEntry>): RecordEntry {
    const { digest: document } = deps.configured().config
    const details = { sync: sync.name }
    return { time: deps.now(), decision: 'granted', spiffeId: sync.spiffeId.uri, document, reason, details, ...more }
  }

  const keep = (entry: RecordEntry) => deps.writer.append([entry])

  return {
    async forTarget(sync, target) {
      try {
        const granted = grant(sync, target, deps.now())
        const { credential, issued, reused, requestId } = await obtain({
          config: deps.configured().config,
          granted,
          async keepToken({ jti, kid, audience, expiresAt }) {
            const token: IssuedCredential = { jti, kid, audience, expiresAt }
            await keep(entryOf(sync, { operation: 'exchange_token', target: target.name, issued: token }))
          },
        })
        if (reused) return credential
        const details = { sync: sync.name, acts_as: granted.acting.uri, cloud_request_id: requestId }
        await keep(entryOf(sync, { operation: 'exchange', target: target.name, issued, details }))
        return credential
      } catch (error) {
        throw asDestinationError(error, target)
      }
    },

    async token(sync, audience) {
      try {
        const authority = deps.authorities.current().jwt('ES256')
        const token = await authority.svids.issue({
          spiffeId: sync.spiffeId,
          audience: [audience],
          now: deps.now(),
          ttlSeconds: Math.min(tokenTtlSeconds, authority.slotSeconds),
          notAfter: authority.expiresAt,
          jti: formatBase64Url(deps.randomBytes(16)),
          claims: {},
        })
        const { jti, kid, expiresAt } = token
        const issued = { jti, kid, audience: [audience], expiresAt }
        await keep(entryOf(sync, { operation: 'sync.token', issued }))
        return token.token
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        throw new SourceError('unreachable', `no token of ours: ${error.reason}`, { code: error.code, cause: error })
      }
    },
  }
}

/** @throws {ExpressionError} where the session says something of its caller that a sync has not */
function grant({ spiffeId, name }: Sync, target: Target, now: Date): GrantedExchange {
  const acting = target.actsAs ?? spiffeId
  const subject = bareSubject(spiffeId)
  const request = { operation: 'exchange', time: now, audience: target.audience } as const
  const session = target.sessionOf(acting, { identity: subject, request, target })
  return { granted: true, target, subject, acting, session, reason: `the configuration has sync ${name}`, notes: [] }
}

function asDestinationError(error: unknown, target: Target): unknown {
  if (error instanceof ExpressionError) {
    const message = `target ${target.name} says something of its caller that a sync has not: ${error.message}`
    return new DestinationError('forbidden', message, { code: error.code, cause: error })
  }
  if (!(error instanceof Refusal)) return error
  const { cause, code, reason: message, retryAfterSeconds } = error
  if (!(cause instanceof CloudError))
    return new DestinationError('unreachable', `no credential: ${message}`, {
      code,
      cause: error,
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    })
  const kind = cause.kind === 'refused' || cause.kind === 'expired_token' ? 'forbidden' : cause.kind
  return new DestinationError(kind, message, {
    code: cause.code,
    cause: error,
    ...(cause.status !== undefined && { status: cause.status }),
    ...(cause.requestId !== undefined && { requestId: cause.requestId }),
    ...(cause.retryAfterSeconds !== undefined && { retryAfterSeconds: cause.retryAfterSeconds }),
    ...(cause.fix !== undefined && { fix: cause.fix }),
  })
}
