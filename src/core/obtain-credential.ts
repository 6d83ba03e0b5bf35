/**
 * A granted exchange → the cloud's credential: reused, joined with equal ones, retried, or given up in time.
 *
 * @module
 */
import { formatBase64Url } from '../protocol/encoding.ts'
import type { JwtSvid } from '../protocol/jwt-svid.ts'
import type { Authorities } from './authorities.ts'
import type { ActiveJwtAuthority } from './authority-snapshot.ts'
import { type Circuit, createCircuit } from './circuit.ts'
import { type CloudAnswer, CloudError, type ExchangeAtCloud, type JoinEqual } from './cloud.ts'
import type { Configuration } from './config.ts'
import { algorithmOf, takesAlgorithm } from './config-targets.ts'
import { createCredentialCache, type HeldCredential, type Moment } from './credential-cache.ts'
import type { GrantedExchange } from './entitle-exchange.ts'
import { Refusal } from './refusal.ts'
import { createStandingRefusals, standsMs } from './standing-refusals.ts'
import type { Target } from './target.ts'
import { type Telemetry, traced } from './telemetry.ts'

export interface ObtainerDeps {
  readonly authorities: Pick<Authorities, 'current'>
  readonly exchangeAtCloud: ExchangeAtCloud
  readonly joinEqual: JoinEqual
  /** Resolves after so long. */
  readonly pause: (ms: number) => Promise<void>
  /** Aborts after so long. */
  readonly deadline: (ms: number) => AbortSignal
  readonly telemetry: Telemetry
  readonly now: () => Date
  readonly monotonicMs: () => number
  readonly randomBytes: (size: number) => Uint8Array
}

export interface ObtainInput {
  readonly config: Configuration
  readonly granted: GrantedExchange
  /** Keeps the record of a token before it goes to the cloud. @throws {Refusal} */
  readonly keepToken: (token: JwtSvid, target: Target) => Promise<void>
}

export interface Obtained extends HeldCredential {
  /** Whether it was had before, for an earlier request. */
  readonly reused: boolean
  /** How the cloud calls the request that gave it; absent for a reused one. */
  readonly requestId?: string
  readonly note?: string
}

/** Longest that a caller waits for a cloud, over all attempts. */
export const deadlineMs = 10_000
const maxAttempts = 4
const firstPauseMs = 200
const longestPauseMs = 2_000
const tokenTtlSeconds = 300
/** What every cloud takes; with many tags a token comes to more. */
const maxTokenLength = 8192
/** A credential with less left is not worth handing out. */
const worthMs = 60_000
/** No cloud gives more to workloads: what says so is counted as this. */
const longestLifeMs = 12 * 3_600_000
/** Callers that wait for clouds at a time: a part of what a process answers, so that what needs no cloud has room. */
const maxWaiting = 1_500

/**
 * What is reused is had at once.
 *
 * @throws {Refusal} `upstream_failed`, `no_authority`, `overloaded`, and as `keepToken`
 */
export function createObtainer(deps: ObtainerDeps) {
  const credentials = createCredentialCache()
  const tokens = createTokenMint(deps)
  const circuits = new Map<string, Circuit>()
  const refusals = createStandingRefusals()
  let waiting = 0

  async function wait<T>(work: () => Promise<T>): Promise<T> {
    if (waiting >= maxWaiting)
      throw new Refusal('overloaded', `${maxWaiting} requests wait for clouds`, { retryAfterSeconds: 1 })
    waiting += 1
    deps.telemetry.gauge('apostille_exchanges_waiting', waiting)
    try {
      return await work()
    } finally {
      waiting -= 1
      deps.telemetry.gauge('apostille_exchanges_waiting', waiting)
    }
  }

  return (input: ObtainInput): Obtained | Promise<Obtained> => {
    const { target, session } = input.granted
    const { key } = session
    const held = credentials.get(key)
    if (held && isBefore(deps, held.freshUntil)) {
      count(deps, target, 'reused')
      return { ...held, reused: true }
    }
    const obtain = async (): Promise<Obtained> => {
      // Somebody may have been faster between the look and the turn.
      const faster = credentials.get(key)
      if (faster && isBefore(deps, faster.freshUntil)) return { ...faster, reused: true }
      const refused = refusals.get(key, deps.monotonicMs())
      if (refused) {
        count(deps, target, 'refused_before')
        throw refuse(target, refused.error, Math.ceil(refused.leftMs / 1000))
      }
      try {
        const { requestId, ...obtained } = await exchange(deps, circuitOf(circuits, target), tokens, input)
        credentials.set(key, obtained, deps.now())
        count(deps, target, 'exchanged')
        return { ...obtained, reused: false, ...(requestId !== undefined && { requestId }) }
      } catch (error) {
        if (error instanceof CloudError && error.kind === 'refused') refusals.add(key, error, deps.monotonicMs())
        return insteadOf(error, deps, target, faster)
      }
    }
    return wait(() => deps.joinEqual(key, obtain))
  }
}

type Clocks = Pick<ObtainerDeps, 'now' | 'monotonicMs'>

function isBefore({ now, monotonicMs }: Clocks, { at, ms }: Moment): boolean {
  return now() < at && monotonicMs() < ms
}

function readClocks({ now, monotonicMs }: Clocks): Moment {
  return { at: now(), ms: monotonicMs() }
}

function after({ at, ms }: Moment, lastsMs: number): Moment {
  return { at: new Date(at.getTime() + lastsMs), ms: ms + lastsMs }
}

/** While a cloud is away, what was had before serves as long as it is worth it. A refusal of the cloud is one. */
function insteadOf(error: unknown, deps: ObtainerDeps, target: Target, held: HeldCredential | undefined): Obtained {
  if (!(error instanceof CloudError)) throw error
  const { kind, code, status, requestId, message } = error
  count(deps, target, kind)
  deps.telemetry.log(kind === 'refused' ? 'error' : 'warning', 'an exchange failed', {
    target: target.name,
    kind,
    code,
    status,
    cloud_request_id: requestId,
    error: message,
  })
  if (kind === 'refused') throw refuse(target, error, standsMs / 1000)
  if (held && isBefore(deps, held.worthUntil))
    return { ...held, reused: true, note: `${describe(target, error)}; an earlier one serves` }
  throw refuse(target, error, error.retryAfterSeconds ?? 1)
}

function refuse(target: Target, cause: CloudError, retryAfterSeconds: number): Refusal {
  return new Refusal('upstream_failed', describe(target, cause), { cause, retryAfterSeconds })
}

function describe({ name, type }: Target, { kind, code, status, requestId, message }: CloudError): string {
  const where = [code, status === undefined ? '' : `HTTP ${status}`, requestId && `request ${requestId}`]
  return `target ${name}: ${type} ${kind} (${where.filter(Boolean).join(', ')}): ${message}`
}

function count({ telemetry }: ObtainerDeps, { name }: Target, result: string): void {
  telemetry.count('apostille_exchanges_total', { target: name, result })
}

/** One for each target: clouds fail by region and by tenant. */
function circuitOf(circuits: Map<string, Circuit>, { digest }: Target): Circuit {
  const known = circuits.get(digest)
  if (known) return known
  const circuit = createCircuit()
  circuits.set(digest, circuit)
  return circuit
}

type Held = HeldCredential & Pick<CloudAnswer, 'requestId'>

/** Attempts until one succeeds, nothing is to be gained by another, or the time is over. */
async function exchange(deps: ObtainerDeps, circuit: Circuit, tokens: TokenMint, input: ObtainInput): Promise<Held> {
  const openForMs = circuit.openForMs(deps.monotonicMs())
  if (openForMs > 0) throw openCircuit(openForMs)
  const startedMs = deps.monotonicMs()
  const signal = deps.deadline(deadlineMs)
  let anew = false
  for (let attempt = 1; ; attempt++) {
    try {
      const held = await exchangeOnce(deps, tokens, input, { signal, anew })
      circuit.succeeded()
      const seconds = (deps.monotonicMs() - startedMs) / 1000
      deps.telemetry.observe('apostille_exchange_duration_seconds', seconds, { target: input.granted.target.name })
      return held
    } catch (error) {
      const spentMs = deps.monotonicMs() - startedMs
      const pauseMs = pauseAfter(error, { attempt, anew, leftMs: deadlineMs - spentMs }, deps.randomBytes)
      if (pauseMs === undefined) {
        report(circuit, error, deps.monotonicMs())
        throw error
      }
      anew = error instanceof CloudError && error.kind === 'expired_token'
      if (pauseMs > 0) await deps.pause(pauseMs)
    }
  }
}

async function exchangeOnce(
  deps: ObtainerDeps,
  tokens: TokenMint,
  input: ObtainInput,
  { signal, anew }: { readonly signal: AbortSignal; readonly anew: boolean },
): Promise<Held> {
  const { target, session } = input.granted
  const begun = readClocks(deps)
  const token = await tokens.take(input, anew)
  const named = session.name === undefined ? {} : { sessionName: session.name }
  const answer = await traced(deps.telemetry, 'exchange', () =>
    deps.exchangeAtCloud({ target, token: token.token, ...named, signal }),
  )
  return hold(answer, token, target, begun)
}

/** A cloud that says no, or that our clock is wrong, is well; whatever is ours says nothing of it, our own crowd included. */
function report(circuit: Circuit, error: unknown, nowMs: number): void {
  if (!(error instanceof CloudError) || error.code === 'crowded') circuit.abandoned()
  else if (error.kind === 'unreachable' || error.kind === 'throttled') circuit.failed(nowMs)
  else circuit.succeeded()
}

function openCircuit(openForMs: number): CloudError {
  const retryAfterSeconds = Math.ceil(openForMs / 1000)
  const message = 'it failed several times in a row and is left alone for a while'
  return new CloudError('unreachable', message, { code: 'circuit_open', retryAfterSeconds })
}

/**
 * How long to wait before the next attempt: full jitter, and no sooner than the cloud asks for. Undefined when there is
 * none: what is refused stays so, and a token that is too old there is replaced once.
 */
function pauseAfter(
  error: unknown,
  { attempt, anew, leftMs }: { readonly attempt: number; readonly anew: boolean; readonly leftMs: number },
  randomBytes: ObtainerDeps['randomBytes'],
): number | undefined {
  if (!(error instanceof CloudError) || error.kind === 'refused' || attempt >= maxAttempts) return undefined
  if (error.kind === 'expired_token') return anew ? undefined : 0
  const [high = 0, low = 0] = randomBytes(2)
  const jittered = ((high * 256 + low) / 65_536) * Math.min(firstPauseMs * 2 ** (attempt - 1), longestPauseMs)
  const pauseMs = Math.max(jittered, (error.retryAfterSeconds ?? 0) * 1000)
  return pauseMs < leftMs ? pauseMs : undefined
}

/** Counted from before the cloud was asked, so that it is rather fresh for too short than too long. */
function hold({ credential, requestId }: CloudAnswer, { jti, kid }: JwtSvid, target: Target, begun: Moment): Held {
  const { expiresAt } = credential
  const lifeMs = Math.min(expiresAt.getTime() - begun.at.getTime(), longestLifeMs)
  const freshUntil = after(begun, lifeMs * target.document.reuse)
  const worthUntil = after(begun, lifeMs - worthMs)
  const issued = { jti, kid, ...(credential.type === 'aws' && { credentialId: credential.accessKeyId }), expiresAt }
  return { credential, issued, freshUntil, worthUntil, ...(requestId !== undefined && { requestId }) }
}

interface TokenMint {
  readonly take: (input: ObtainInput, anew: boolean) => Promise<JwtSvid>
}

/** A signed token is used again for half of its life: RS256 is slow to sign. */
function createTokenMint(deps: ObtainerDeps): TokenMint {
  const minted = new Map<string, { readonly token: JwtSvid; readonly until: Moment }>()

  function forgetOld(): void {
    for (const [key, { until }] of minted) {
      if (isBefore(deps, until) && minted.size < 10_000) return
      minted.delete(key)
    }
  }

  return {
    async take(input, anew) {
      const { target, acting, session } = input.granted
      const begun = readClocks(deps)
      const authority = authorityFor(deps, input)
      const key = JSON.stringify([authority.id, acting.uri, target.audience, session.claims])
      const known = minted.get(key)
      if (known && !anew && isBefore(deps, known.until)) return known.token
      const token = await traced(deps.telemetry, 'issue', () => mintToken(deps, authority, input))
      minted.delete(key)
      forgetOld()
      minted.set(key, { token, until: after(begun, (token.expiresAt.getTime() - begun.at.getTime()) / 2) })
      return token
    },
  }
}

export type MintDeps = Pick<ObtainerDeps, 'authorities' | 'now' | 'randomBytes'>

/** What signs tokens for the target. @throws {Refusal} `no_authority` */
export function authorityFor(
  deps: Pick<MintDeps, 'authorities' | 'now'>,
  { config, granted }: Pick<ObtainInput, 'config' | 'granted'>,
): ActiveJwtAuthority {
  const wanted = algorithmFor(config, granted.target)
  const authority = deps.authorities.current().jwt(wanted)
  // One that was added a while ago is stood in for until verifiers know it, and not every cloud takes what does.
  if (!takesAlgorithm(granted.target.document, authority.algorithm))
    throw new Refusal('no_authority', `no ${wanted} authority is active yet`, { retryAfterSeconds: 5 })
  if (deps.now() >= authority.expiresAt)
    throw new Refusal('no_authority', `the ${authority.algorithm} authority has expired`)
  return authority
}

/** A new token, on record before it is handed on. @throws {Refusal} `not_entitled` where it is too long; as `keepToken` */
export async function mintToken(
  deps: MintDeps,
  authority: ActiveJwtAuthority,
  { granted: { target, acting, session }, keepToken }: Omit<ObtainInput, 'config'>,
): Promise<JwtSvid> {
  const token = await authority.svids.issue({
    spiffeId: acting,
    audience: [target.audience],
    now: deps.now(),
    ttlSeconds: Math.min(tokenTtlSeconds, authority.slotSeconds),
    notAfter: authority.expiresAt,
    jti: formatBase64Url(deps.randomBytes(16)),
    claims: session.claims,
  })
  if (token.token.length > maxTokenLength)
    throw new Refusal('not_entitled', `the token for target ${target.name} is longer than ${maxTokenLength} characters`)
  await keepToken(token, target)
  return token
}

/** Of the tokens for a target. */
export function algorithmFor({ authorities: { jwt } }: Pick<Configuration, 'authorities'>, target: Target) {
  return algorithmOf(target.document, jwt.algorithms) ?? 'ES256'
}
