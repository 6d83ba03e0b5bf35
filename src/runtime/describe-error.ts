/**
 * What a log line says of an error.
 *
 * @module
 */

/** The reason of a refusal, the message of anything else: both are written for operators. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'reason' in error ? `${error.message}: ${String(error.reason)}` : error.message
}
