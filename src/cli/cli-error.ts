/**
 * What a command says when it can not do what it was asked.
 *
 * @module
 */

export interface CliErrorOptions extends ErrorOptions {
  /** Stable, for `--output json`: the code of a problem, or one of our own. */
  readonly code: string
  /** What to do next. */
  readonly hint?: string
  readonly requestId?: string
  /** Lines to show before the message; for programs they are in `diagnostics`. */
  readonly details?: string
  /** Plain JSON. */
  readonly diagnostics?: unknown
  /** 1: refused or failed, the default. 2: used wrongly. */
  readonly exitCode?: 1 | 2
}

export class CliError extends Error {
  override readonly name = 'CliError'
  readonly code: string
  readonly hint: string | undefined
  readonly requestId: string | undefined
  readonly details: string | undefined
  readonly diagnostics: unknown
  readonly exitCode: 1 | 2

  constructor(message: string, options: CliErrorOptions) {
    super(message, options)
    this.code = options.code
    this.hint = options.hint
    this.requestId = options.requestId
    this.details = options.details
    this.diagnostics = options.diagnostics
    this.exitCode = options.exitCode ?? 1
  }
}

export function usageError(message: string, hint?: string): CliError {
  return new CliError(message, { code: 'usage', exitCode: 2, ...(hint !== undefined && { hint }) })
}
