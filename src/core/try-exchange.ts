/**
 * An exchange that an operator tries: the cloud's answer is looked at, and the credential thrown away.
 *
 * It is tried once, with a token of its own. Nothing is reused, kept or learnt from it, so that it says what the cloud
 * says now, and disturbs nobody.
 *
 * @module
 */
import type { SignatureAlgorithm } from '../protocol/algorithms.ts'
import type { JwtSvid } from '../protocol/jwt-svid.ts'
import type { SpiffeId } from '../protocol/spiffe-id.ts'
import type { RecordWriter } from './audit.ts'
import { type CloudAnswer, CloudError } from './cloud.ts'
import type { Configuration } from './config.ts'
import type { Configured } from './configured.ts'
import type { GrantedExchange } from './entitle-exchange.ts'
import { ExpressionError } from './expression.ts'
import { authorityFor, deadlineMs, type MintDeps, mintToken, type ObtainerDeps } from './obtain-credential.ts'
import { bareSubject } from './policy.ts'
import type { RecordEntry } from './record.ts'
import { Refusal } from './refusal.ts'
import { isReservedPath } from './spiffe-path.ts'
import { isSyncId } from './sync.ts'
import type { Target } from './target.ts'

export interface TryExchangeDeps extends MintDeps, Pick<ObtainerDeps, 'exchangeAtCloud' | 'deadline' | 'monotonicMs'> {
  readonly configured: () => Configured
  readonly writer: Pick<RecordWriter, 'append'>
}

export interface TrialRequest {
  /** Name of the target. */
  readonly target: string
  /** Whose exchange it is. Default: the identity that the target acts as. */
  readonly spiffeId?: SpiffeId
}

export interface ExchangeTrial {
  readonly target: Target
  /** `sub` of the token. */
  readonly acting: SpiffeId
  readonly algorithm: SignatureAlgorithm
  readonly token: Pick<JwtSvid, 'jti' | 'kid'>
  /** Of the cloud alone. */
  readonly durationMs: number
  readonly outcome: { readonly expiresAt: Date; readonly requestId?: string } | CloudError
}

const operation = 'exchange.try'

/** Policies are not asked: nobody is given anything. */
export function createExchangeTrial(deps: TryExchangeDeps) {
  /** @throws {Refusal} `not_found`, `malformed_request`, `no_authority`, `store_unavailable` */
  return async (requestId: string, request: TrialRequest): Promise<ExchangeTrial> => {
    const { config } = deps.configured()
    const target = config.targets.get(request.target)
    if (target === undefined) throw refuse('not_found', 'the configuration in use has no such target')
    const granted = grantTrial(config, target, request.spiffeId, deps.now())
    const entry = (more: Pick<RecordEntry, 'operation' | 'decision'> & Partial<RecordEntry>): RecordEntry => ({
      time: deps.now(),
      requestId,
      target: target.name,
      spiffeId: granted.acting.uri,
      document: config.digest,
      ...more,
    })
    const authority = authorityFor(deps, { config, granted })
    const token = await mintToken(deps, authority, {
      granted,
      keepToken: async ({ jti, kid, audience, expiresAt }) => {
        const reason = `a token for ${target.name}, which an operator tries`
        const issued = { jti, kid, audience, expiresAt }
        await deps.writer.append([entry({ operation: 'exchange_token', decision: 'granted', reason, issued })])
      },
    })
    const startedMs = deps.monotonicMs()
    const answer = await ask(deps, granted, token.token)
    const durationMs = deps.monotonicMs() - startedMs
    await deps.writer.append([entry({ operation, ...describe(answer, token) })])
    const { algorithm } = authority
    const outcome = answer instanceof CloudError ? answer : outcomeOf(answer)
    return { target, acting: granted.acting, algorithm, token, durationMs, outcome }
  }
}

function refuse(code: 'not_found' | 'malformed_request', detail: string): Refusal {
  return new Refusal(code, detail, { detail })
}

function grantTrial(
  { trustDomain, syncs }: Pick<Configuration, 'trustDomain' | 'syncs'>,
  target: Target,
  spiffeId: SpiffeId | undefined,
  now: Date,
): GrantedExchange {
  const caller = spiffeId ?? target.actsAs
  if (caller === undefined)
    throw refuse('malformed_request', 'spiffe_id: this target acts as its caller, so say whose exchange to try')
  const acting = target.actsAs ?? caller
  const isWorkload = acting.trustDomain === trustDomain && acting.path !== '' && !isReservedPath(acting.path)
  if (!isWorkload && !isSyncId(syncs, acting))
    throw refuse(
      'malformed_request',
      `spiffe_id: expected a workload's of our own trust domain, ${trustDomain}, or a sync's`,
    )
  const subject = bareSubject(caller)
  const request = { operation: 'exchange', time: now, audience: target.audience } as const
  try {
    const session = target.sessionOf(acting, { identity: subject, request, target })
    return { granted: true, target, subject, acting, session, reason: 'tried by an operator', notes: [] }
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    throw refuse('malformed_request', `spiffe_id: what the session says of its caller is not known: ${error.message}`)
  }
}

async function ask(
  deps: TryExchangeDeps,
  { target, session }: GrantedExchange,
  token: string,
): Promise<CloudAnswer | CloudError> {
  const named = session.name === undefined ? {} : { sessionName: session.name }
  try {
    return await deps.exchangeAtCloud({ target, token, ...named, signal: deps.deadline(deadlineMs) })
  } catch (error) {
    if (error instanceof CloudError) return error
    throw error
  }
}

function outcomeOf({ credential, requestId }: CloudAnswer) {
  return { expiresAt: credential.expiresAt, ...(requestId !== undefined && { requestId }) }
}

function describe(answer: CloudAnswer | CloudError, { jti, kid }: JwtSvid) {
  if (answer instanceof CloudError) {
    const { kind, code, status, requestId: id, message } = answer
    const where = [code, status === undefined ? '' : `HTTP ${status}`, id && `request ${id}`].filter(Boolean)
    const reason = `${kind} (${where.join(', ')}): ${message}`
    return { decision: 'refused', code: 'upstream_failed', reason } as const
  }
  const { credential, requestId } = answer
  return {
    decision: 'granted',
    reason: 'tried by an operator; the credential was thrown away',
    issued: {
      jti,
      kid,
      ...(credential.type === 'aws' && { credentialId: credential.accessKeyId }),
      expiresAt: credential.expiresAt,
    },
    ...(requestId !== undefined && { details: { cloud_request_id: requestId } }),
  } as const
}
