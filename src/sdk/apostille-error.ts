/**
 * What the SDK throws.
 *
 * @module
 */

/** What the gateway says; see its HTTP API. It may learn to say more. */
export type GatewayErrorCode =
  | 'malformed_request'
  | 'proof_rejected'
  | 'not_entitled'
  | 'not_found'
  | 'method_not_allowed'
  | 'request_timeout'
  | 'conflict'
  | 'too_large'
  | 'unsupported_media_type'
  | 'headers_too_large'
  | 'too_many'
  | 'internal'
  | 'upstream_failed'
  | 'no_authority'
  | 'overloaded'
  | 'store_unavailable'

/**
 * What the SDK finds by itself: `unreachable` and `timeout` are no answer, `unexpected_answer` is one that is none of a
 * gateway, `token` is a proof that is none, `usage` are options that are wrong, `not_authorized` is a peer that has proven who
 * it is and is not who may be there, `no_svid` is a peer that showed nothing, `files` are SVID files that can not be used.
 */
export type LocalErrorCode =
  | 'unreachable'
  | 'timeout'
  | 'unexpected_answer'
  | 'token'
  | 'usage'
  | 'not_authorized'
  | 'no_svid'
  | 'files'

/** Such as {@link GatewayErrorCode} and {@link LocalErrorCode}, and what later gateways say. */
export type ApostilleErrorCode = GatewayErrorCode | LocalErrorCode | (string & {})

export interface ApostilleErrorOptions extends ErrorOptions {
  readonly code: ApostilleErrorCode
  readonly status?: number
  readonly requestId?: string
  readonly retryAfterSeconds?: number
}

/** The gateway gave nothing, or a peer is not accepted. The message holds no token. */
export class ApostilleError extends Error {
  override readonly name = 'ApostilleError'
  readonly code: ApostilleErrorCode
  /** HTTP status; absent when there was no answer. */
  readonly status: number | undefined
  /** The operator of the gateway finds the reason on record under it. */
  readonly requestId: string | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(message: string, options: ApostilleErrorOptions) {
    super(message, options)
    this.code = options.code
    this.status = options.status
    this.requestId = options.requestId
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}

/** What another attempt may get past, sooner or later. */
export function isPassing({ code, status }: ApostilleError): boolean {
  return code === 'unreachable' || code === 'timeout' || status === 429 || status === 502 || status === 503
}
