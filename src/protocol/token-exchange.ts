/**
 * OAuth 2.0 token exchange: a token of somewhere else in, a JWT-SVID out.
 *
 * Of the parameters we know none may be repeated but `audience`; parameters that we do not know are ignored (RFC 6749 §3.2),
 * and one without a value counts as left out. Delegation is not offered, so an actor is refused rather than ignored.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8693 RFC 8693}
 * @module
 */
import { ProtocolError } from './errors.ts'

export const tokenExchangeGrantType = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** The `detail` of the error for another grant, which RFC 6749 §5.2 answers as `unsupported_grant_type`. */
export const unsupportedGrantTypeDetail = 'unsupported grant type'

const jwtTokenType = 'urn:ietf:params:oauth:token-type:jwt'

export const subjectTokenTypes = [
  jwtTokenType,
  'urn:ietf:params:oauth:token-type:id_token',
  'urn:ietf:params:oauth:token-type:access_token',
] as const

export type SubjectTokenType = (typeof subjectTokenTypes)[number]

/** What a request to `/token` asks for. Made by {@link parseTokenExchange}. */
export interface TokenExchangeRequest {
  readonly subjectToken: string
  readonly subjectTokenType: SubjectTokenType
  /** At least one. */
  readonly audience: readonly string[]
  /** As sent, in our own parameter `spiffe_id`. */
  readonly requestedSpiffeId?: string
}

/** The answer to {@link TokenExchangeRequest}. RFC 8693 §2.2.1 */
export interface TokenExchangeDocument {
  readonly access_token: string
  readonly issued_token_type: string
  readonly token_type: 'N_A'
  readonly expires_in: number
}

const single = [
  'grant_type',
  'subject_token',
  'subject_token_type',
  'requested_token_type',
  'spiffe_id',
  'actor_token',
  'actor_token_type',
] as const

/** @throws {ProtocolError} `token_exchange`, with {@link unsupportedGrantTypeDetail} for a request of another grant */
export function parseTokenExchange(form: URLSearchParams): TokenExchangeRequest {
  if (single.some((name) => form.getAll(name).length > 1)) throw refused('a parameter is repeated')
  if (required(form, 'grant_type') !== tokenExchangeGrantType) throw refused(unsupportedGrantTypeDetail)
  if (form.get('actor_token') || form.get('actor_token_type')) throw refused('delegation is not offered')
  if ((form.get('requested_token_type') || jwtTokenType) !== jwtTokenType) throw refused('only JWTs are issued')

  const audience = form.getAll('audience').filter((value) => value !== '')
  if (audience.length === 0) throw refused('no audience')
  const requestedSpiffeId = form.get('spiffe_id') || undefined
  return {
    subjectToken: required(form, 'subject_token'),
    subjectTokenType: parseSubjectTokenType(required(form, 'subject_token_type')),
    audience,
    ...(requestedSpiffeId === undefined ? {} : { requestedSpiffeId }),
  }
}

/** `N_A`, since what is issued is no access token of ours. RFC 8693 §2.2.1 */
export function buildTokenExchangeAnswer(issued: {
  readonly token: string
  readonly expiresInSeconds: number
}): TokenExchangeDocument {
  return {
    access_token: issued.token,
    issued_token_type: jwtTokenType,
    token_type: 'N_A',
    expires_in: issued.expiresInSeconds,
  }
}

function required(form: URLSearchParams, name: (typeof single)[number]): string {
  const value = form.get(name)
  if (!value) throw refused('a parameter is missing')
  return value
}

function parseSubjectTokenType(text: string): SubjectTokenType {
  const known = subjectTokenTypes.find((type) => type === text)
  if (known === undefined) throw refused('the type of the subject token is not taken')
  return known
}

function refused(detail: string): ProtocolError {
  return new ProtocolError('token_exchange', detail)
}
