/**
 * `/token`: OAuth 2.0 token exchange. The subject token is the proof.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8693 RFC 8693}
 * @see {@link https://www.rfc-editor.org/rfc/rfc6749#section-5.2 RFC 6749 §5.2}
 * @module
 */
import type { Call } from '../../core/call.ts'
import type { Gateway } from '../../core/gateway.ts'
import { Refusal, type RefusalCode } from '../../core/refusal.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { parseSpiffeId } from '../../protocol/spiffe-id.ts'
import {
  buildTokenExchangeAnswer,
  parseTokenExchange,
  type TokenExchangeRequest,
  unsupportedGrantTypeDetail,
} from '../../protocol/token-exchange.ts'
import { type Answer, jsonAnswer } from '../answer.ts'
import { malformed } from '../body.ts'
import { problemHeaders } from '../problem.ts'

interface OAuthError {
  readonly error: string
  readonly status: number
}

/** The one place where a refusal becomes an OAuth error. */
export const oauthErrors: Readonly<Record<RefusalCode, OAuthError>> = {
  malformed_request: { error: 'invalid_request', status: 400 },
  proof_rejected: { error: 'invalid_request', status: 400 },
  not_entitled: { error: 'invalid_target', status: 400 },
  not_found: { error: 'invalid_request', status: 400 },
  method_not_allowed: { error: 'invalid_request', status: 405 },
  conflict: { error: 'invalid_request', status: 400 },
  too_large: { error: 'invalid_request', status: 413 },
  unsupported_media_type: { error: 'invalid_request', status: 400 },
  headers_too_large: { error: 'invalid_request', status: 431 },
  request_timeout: { error: 'invalid_request', status: 408 },
  too_many: { error: 'temporarily_unavailable', status: 429 },
  internal: { error: 'server_error', status: 500 },
  upstream_failed: { error: 'temporarily_unavailable', status: 503 },
  no_authority: { error: 'temporarily_unavailable', status: 503 },
  overloaded: { error: 'temporarily_unavailable', status: 503 },
  store_unavailable: { error: 'temporarily_unavailable', status: 503 },
}

/** The grant type is the one thing that RFC 6749 gives an error of its own. */
export const unsupportedGrantType: OAuthError = { error: 'unsupported_grant_type', status: 400 }

class UnsupportedGrantType extends Refusal {}

/** What the caller's request says, before its subject token is looked at. @throws {Refusal} `malformed_request` */
export function readTokenRequest(form: string, hasAuthorization: boolean): TokenExchangeRequest {
  if (hasAuthorization) throw malformed('clients are not authenticated here: the subject token is the proof')
  try {
    const request = parseTokenExchange(new URLSearchParams(form))
    if (request.requestedSpiffeId !== undefined) parseSpiffeId(request.requestedSpiffeId)
    return request
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    if (cause.detail === unsupportedGrantTypeDetail)
      throw new UnsupportedGrantType('malformed_request', cause.detail, { detail: cause.detail, cause })
    throw malformed(cause.detail || cause.code, cause)
  }
}

export async function answerTokenRequest(
  gateway: Pick<Gateway, 'issueSvid'>,
  call: Call,
  request: TokenExchangeRequest,
  now: Date,
): Promise<Answer> {
  const svid = await gateway.issueSvid(
    { ...call, proof: { kind: 'bearer', token: request.subjectToken } },
    {
      kind: 'jwt',
      audience: request.audience,
      ...(request.requestedSpiffeId !== undefined && { spiffeId: request.requestedSpiffeId }),
    },
  )
  const expiresInSeconds = Math.max(0, Math.floor((svid.expiresAt.getTime() - now.getTime()) / 1000))
  const answer = jsonAnswer(buildTokenExchangeAnswer({ token: svid.token, expiresInSeconds }))
  return { ...answer, headers: { ...answer.headers, pragma: 'no-cache' } }
}

export function oauthErrorAnswer(refusal: Refusal, requestId: string): Answer {
  const { error, status } = refusal instanceof UnsupportedGrantType ? unsupportedGrantType : oauthErrors[refusal.code]
  const { 'www-authenticate': _unused, ...headers } = problemHeaders(refusal)
  const answer = jsonAnswer(
    {
      error,
      ...(refusal.code === 'malformed_request' && refusal.detail && { error_description: refusal.detail }),
      request_id: requestId,
    },
    status,
  )
  return { ...answer, headers: { ...answer.headers, pragma: 'no-cache', ...headers } }
}
