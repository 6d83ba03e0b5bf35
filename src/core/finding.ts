/**
 * What a look at a set-up finds.
 *
 * @module
 */

/** Something that keeps a set-up from working, or may do so, and what to do about it. */
export interface Finding {
  /** Stable, such as `discovery_redirect`. */
  readonly code: string
  /** A warning is for people to judge. */
  readonly severity: 'error' | 'warning'
  readonly message: string
  readonly remedy: string
}

export function findError(code: string, message: string, remedy: string): Finding {
  return { code, severity: 'error', message, remedy }
}

export function findWarning(code: string, message: string, remedy: string): Finding {
  return { code, severity: 'warning', message, remedy }
}
