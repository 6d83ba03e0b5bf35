/**
 * GetCallerIdentity: asks AWS STS whose signature a presigned request has.
 *
 * The request is sent as it was signed, with our own name as the audience: a signature that was made for somebody else does
 * not hold. STS answers JSON where that is asked for.
 *
 * @see {@link https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html GetCallerIdentity}
 * @see {@link https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#principaltable IDs of principals}
 * @module
 */

import { quote } from '../core/quote.ts'
import { Refusal } from '../core/refusal.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { isJsonObject, parseStrictJson } from '../protocol/json.ts'
import { audienceHeader, buildPresignedUrl, type PresignedIdentity } from '../protocol/presigned-identity.ts'
import { type HttpAnswer, type HttpClient, type HttpRequest, UpstreamError } from './http-client.ts'

/** Who signed: a role that somebody assumed, or a user. */
export interface CallerIdentity {
  readonly account: string
  readonly arn: string
  readonly partition: string
  /** Unique ID of the role or the user, which another one of the same name has not. */
  readonly user_id: string
  /** Without its path. */
  readonly role?: string
  /** Whoever assumed the role has chosen it; of an EC2 instance it is the instance ID. */
  readonly session?: string
  /** Without its path. */
  readonly user?: string
}

export interface CallerIdentityDeps {
  readonly request: HttpClient['request']
}

/** Anybody may send a URL that we then ask STS about: so many at once and no more. */
const maxAsking = 64
const maxRetryAfterSeconds = 60

/**
 * Whose signature it is, made for `audience`.
 *
 * The function it answers throws a `Refusal`: `proof_rejected` where STS says no, `upstream_failed` where it says nothing,
 * `overloaded` where too many wait for it.
 */
export function createCallerIdentityAsker(deps: CallerIdentityDeps) {
  let asking = 0
  return async (identity: PresignedIdentity, audience: string): Promise<CallerIdentity> => {
    if (asking >= maxAsking) throw new Refusal('overloaded', `${maxAsking} requests wait for STS`)
    asking += 1
    try {
      const answer = await askTwice(deps.request, buildCallerIdentityRequest(identity, audience))
      return readCallerIdentity(answer)
    } catch (error) {
      throw translate(error)
    } finally {
      asking -= 1
    }
  }
}

export function buildCallerIdentityRequest(identity: PresignedIdentity, audience: string): HttpRequest {
  return {
    url: buildPresignedUrl(identity),
    headers: { [audienceHeader]: audience, accept: 'application/json' },
  }
}

/** It changes nothing to ask again when the connection broke. */
async function askTwice(request: HttpClient['request'], wanted: HttpRequest): Promise<HttpAnswer> {
  try {
    return await request(wanted)
  } catch (error) {
    if (error instanceof UpstreamError && error.code === 'network') return request(wanted)
    throw error
  }
}

/**
 * @throws {Refusal} `proof_rejected` for what STS refuses and for who is neither a role nor a user, `upstream_failed`
 * @throws {UpstreamError} `malformed`
 */
export function readCallerIdentity(answer: HttpAnswer): CallerIdentity {
  if (answer.status !== 200) throw refusalOf(answer)
  const result = resultOf(parseAnswer(answer.text))
  const { Account: account, Arn: arn, UserId: userId } = result ?? {}
  if (typeof account !== 'string' || typeof arn !== 'string' || typeof userId !== 'string') throw malformed()
  const [, partition = '', ofAccount, resource = ''] = arnPattern.exec(arn) ?? []
  if (ofAccount === undefined || ofAccount !== account) throw malformed()
  return { account, arn, partition, ...readPrincipal(resource, userId) }
}

const arnPattern = /^arn:(aws[a-z-]*):(?:iam|sts)::(\d{12}):([\x21-\x7e]{1,2048})$/
const rolePattern = /^assumed-role\/([\w+=,.@-]{1,64})\/([\w+=,.@-]{2,64})$/
const userPattern = /^user\/(?:[\x21-\x7e]+\/)?([\w+=,.@-]{1,64})$/
const uniqueIdPattern = /^[A-Z0-9]{4,128}$/

function readPrincipal(
  resource: string,
  userId: string,
): Pick<CallerIdentity, 'user_id' | 'role' | 'session' | 'user'> {
  const [, role, session] = rolePattern.exec(resource) ?? []
  if (role !== undefined && session !== undefined) {
    const [uniqueId = '', ofSession] = userId.split(':', 2)
    if (!uniqueIdPattern.test(uniqueId) || ofSession !== session) throw malformed()
    return { user_id: uniqueId, role, session }
  }
  const [, user] = userPattern.exec(resource) ?? []
  if (user === undefined) throw new Refusal('proof_rejected', `${quote(resource)} is neither a role nor a user`)
  if (!uniqueIdPattern.test(userId)) throw malformed()
  return { user_id: userId, user }
}

function resultOf(document: unknown): Readonly<Record<string, unknown>> | undefined {
  const outer = isJsonObject(document) ? document['GetCallerIdentityResponse'] : undefined
  const result = isJsonObject(outer) ? outer['GetCallerIdentityResult'] : undefined
  return isJsonObject(result) ? result : undefined
}

function parseAnswer(text: string): unknown {
  try {
    return parseStrictJson(text)
  } catch (cause) {
    if (cause instanceof ProtocolError) throw malformed(cause)
    throw cause
  }
}

function malformed(cause?: unknown): UpstreamError {
  return new UpstreamError('malformed', 'STS did not answer with a caller identity', { cause })
}

const throttled = /throttl|requestlimit|toomanyrequests|slowdown/i

/** The message of STS is left out: where a signature does not match, it repeats what was signed. */
function refusalOf(answer: HttpAnswer): Refusal {
  const { status, headers } = answer
  const code = errorCodeOf(answer.text)
  const what = `${status}${code === undefined ? '' : ` ${code}`}${requestIdOf(headers)}`
  const saysNo = status === 403 || (code !== undefined && (status === 400 || status === 401))
  if (saysNo && !throttled.test(code ?? '')) return new Refusal('proof_rejected', `STS does not accept it: ${what}`)
  const wait = retryAfterSeconds(headers)
  return new Refusal('upstream_failed', `STS answered ${what}`, wait === undefined ? {} : { retryAfterSeconds: wait })
}

function errorCodeOf(text: string): string | undefined {
  try {
    const document = parseStrictJson(text)
    const error = isJsonObject(document) ? document['Error'] : undefined
    const code = isJsonObject(error) ? error['Code'] : undefined
    return typeof code === 'string' && /^[A-Za-z0-9.]{1,64}$/.test(code) ? code : undefined
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}

function requestIdOf(headers: Headers): string {
  const id = headers.get('x-amzn-requestid') ?? ''
  return /^[\w-]{1,64}$/.test(id) ? ` (request ${id})` : ''
}

function retryAfterSeconds(headers: Headers): number | undefined {
  const text = headers.get('retry-after') ?? ''
  return /^\d{1,9}$/.test(text) ? Math.min(Math.max(1, Number(text)), maxRetryAfterSeconds) : undefined
}

function translate(error: unknown): unknown {
  if (!(error instanceof UpstreamError)) return error
  return new Refusal('upstream_failed', `GetCallerIdentity: ${error.message}`, { cause: error })
}
