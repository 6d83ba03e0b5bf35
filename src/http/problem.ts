/**
 * Errors → RFC 9457 problem details.
 *
 * Callers get the code, its fixed title and the request id. `detail` is there only where the caller's own request is
 * malformed or at odds with the present state; why a proof was not accepted is for the operator.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9457 RFC 9457}
 * @module
 */
import { Refusal, refusals } from '../core/refusal.ts'
import { type Answer, noStore } from './answer.ts'

/** Problem details as they go over the wire. */
export interface ProblemDocument {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly request_id: string
  readonly detail?: string
}

const detailed = new Set<string>(['malformed_request', 'conflict', 'not_found', 'unsupported_media_type'])

/** What is no refusal is a bug: `internal`, with nothing said of it. */
export function refusalOf(error: unknown): Refusal {
  return error instanceof Refusal ? error : new Refusal('internal', 'an unexpected error', { cause: error })
}

/** @param reader Operators are told the detail of every refusal that has one. */
export function problemDocument(
  refusal: Refusal,
  requestId: string,
  reader: 'caller' | 'operator' = 'caller',
): ProblemDocument {
  const { status, title } = refusals[refusal.code]
  return {
    type: 'about:blank',
    title,
    status,
    code: refusal.code,
    request_id: requestId,
    ...(refusal.detail !== undefined &&
      (reader === 'operator' || detailed.has(refusal.code)) && { detail: refusal.detail }),
  }
}

export function problemAnswer(refusal: Refusal, requestId: string, reader?: 'caller' | 'operator'): Answer {
  const document = problemDocument(refusal, requestId, reader)
  return {
    status: document.status,
    headers: { 'content-type': 'application/problem+json', ...noStore, ...problemHeaders(refusal) },
    body: JSON.stringify(document),
  }
}

/** `Retry-After` for what passes, `WWW-Authenticate` for what a proof would change (RFC 9110 §15.5.2). */
export function problemHeaders(refusal: Refusal): Readonly<Record<string, string>> {
  const { status } = refusals[refusal.code]
  const retryAfter = refusal.retryAfterSeconds ?? (status === 503 || status === 502 ? 1 : undefined)
  return {
    ...(status === 401 && { 'www-authenticate': 'Bearer' }),
    ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
  }
}
