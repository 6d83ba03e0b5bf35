/**
 * Every "no" that the gateway can say, one row each. A failure without a row is a bug, and callers are told nothing
 * about it.
 *
 * @module
 */

export const refusals = {
  malformed_request: { status: 400, title: 'The request is malformed' },
  proof_rejected: { status: 401, title: 'The proof of identity was not accepted' },
  not_entitled: { status: 403, title: 'No rule or policy grants this' },
  not_found: { status: 404, title: 'There is nothing here' },
  method_not_allowed: { status: 405, title: 'This resource does not take that method' },
  conflict: { status: 409, title: 'The request does not fit the present state' },
  too_large: { status: 413, title: 'The request is too large' },
  unsupported_media_type: { status: 415, title: 'The body is of a type that is not taken here' },
  headers_too_large: { status: 431, title: 'The headers of the request are too large' },
  request_timeout: { status: 408, title: 'The request did not arrive in time' },
  too_many: { status: 429, title: 'Too many requests from this identity' },
  internal: { status: 500, title: 'The request failed here' },
  upstream_failed: { status: 502, title: 'A service this depends on did not answer' },
  no_authority: { status: 503, title: 'No signing authority is active' },
  overloaded: { status: 503, title: 'The service is overloaded' },
  store_unavailable: { status: 503, title: 'The store did not take the record' },
} as const satisfies Record<string, { status: number; title: string }>

export type RefusalCode = keyof typeof refusals

/** What a refusal may carry besides its code; never a token, a key or a secret. */
export interface RefusalOptions extends ErrorOptions {
  /** Sent as `Retry-After`, in seconds. */
  readonly retryAfterSeconds?: number
  /** What is wrong with the caller's own request; sent where `http/problem.ts` lists the code. */
  readonly detail?: string
}

/**
 * A request that was understood and will not be carried out.
 *
 * Callers get the code and its fixed title, so that no message can carry a token, a key or the name of the check that
 * failed. `reason` is for operators and goes to the records only.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly code: RefusalCode
  readonly reason: string
  readonly detail: string | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(code: RefusalCode, reason: string, options: RefusalOptions = {}) {
    super(refusals[code].title, options)
    this.code = code
    this.reason = reason
    this.detail = options.detail
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}
