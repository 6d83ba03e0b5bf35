/**
 * Problem details of an answer → what the command says.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9457 RFC 9457}
 * @module
 */
import { CliError } from './cli-error.ts'
import { currentInvocation } from './invocation.ts'

/** @param status Of an answer that is not what was asked for. */
export function problemError(status: number, body: unknown, who: 'workload' | 'operator'): CliError {
  const { title, code, detail, request_id: requestId } = (body ?? {}) as Readonly<Record<string, unknown>>
  if (typeof title !== 'string' || typeof code !== 'string')
    return new CliError(`the answer was ${status}, and not one of a gateway`, {
      code: 'unexpected_answer',
      hint: 'Check that --server names the gateway itself, and no proxy that answers for it.',
    })
  const message = `${title} (${code})${typeof detail === 'string' ? `: ${detail}` : ''}`
  const hint = hintFor(status, requestId, who)
  return new CliError(message, {
    code,
    ...(typeof requestId === 'string' && { requestId }),
    ...(hint !== undefined && { hint }),
  })
}

function hintFor(status: number, requestId: unknown, who: 'workload' | 'operator'): string | undefined {
  if (status === 503 || status === 429 || status === 502) return 'Try again in a moment.'
  if (who === 'operator' || status === 400) return undefined
  return `The operator finds the reason with: ${currentInvocation()} records list --request-id ${String(requestId)}`
}
