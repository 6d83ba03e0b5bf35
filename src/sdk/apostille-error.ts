/**
 * What the SDK throws.
 *
 * @module
 */

export interface ApostilleErrorOptions extends ErrorOptions {
  readonly code: string
  readonly status?: number
  readonly requestId?: string
  readonly retryAfterSeconds?: number
}

/**
 * The gateway gave nothing. The message holds no token.
 *
 * `code` is the gateway's own (`proof_rejected`, `not_entitled`, `upstream_failed` …), or one of these: `unreachable`,
 * `timeout`, `unexpected_answer`, `token` (what should be a proof is none), `usage` (the options are wrong).
 */
export class ApostilleError extends Error {
  override readonly name = 'ApostilleError'
  readonly code: string
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
