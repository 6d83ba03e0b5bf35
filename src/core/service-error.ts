/**
 * What is known of a failure at a service outside, whichever it is.
 *
 * @module
 */

export interface ServiceErrorOptions extends ErrorOptions {
  /** As the service has it: `AccessDenied`, `AADSTS700213`, `permission_denied`, `ENOENT`. */
  readonly code: string
  readonly status?: number
  readonly requestId?: string
  readonly retryAfterSeconds?: number
  /** What most likely helps; the message has it as well. */
  readonly fix?: string
}

/** The message is for operators, and holds no token and no value of a secret. */
export class ServiceError<Kind extends string> extends Error {
  /** Says what to do about it. */
  readonly kind: Kind
  readonly code: string
  readonly status: number | undefined
  readonly requestId: string | undefined
  readonly retryAfterSeconds: number | undefined
  readonly fix: string | undefined

  constructor(kind: Kind, message: string, options: ServiceErrorOptions) {
    super(message, options)
    this.kind = kind
    this.code = options.code
    this.status = options.status
    this.requestId = options.requestId
    this.retryAfterSeconds = options.retryAfterSeconds
    this.fix = options.fix
  }
}
