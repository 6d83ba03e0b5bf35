/**
 * An answer before any framework or runtime is involved, so that the hot routes are written once.
 *
 * @module
 */

export interface Answer {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
}

/** For answers that hold a credential or say something of the caller. */
export const noStore = { 'cache-control': 'no-store' } as const

const jsonHeaders = { 'content-type': 'application/json', ...noStore }

/** JSON that no cache keeps. */
export function jsonAnswer(value: unknown, status = 200): Answer {
  return { status, headers: jsonHeaders, body: JSON.stringify(value) }
}
