/**
 * What went wrong with a request, for operators: refusals on record, bugs in the log.
 *
 * @module
 */
import type { Call } from '../core/call.ts'
import type { Gateway } from '../core/gateway.ts'
import type { Refusal } from '../core/refusal.ts'
import type { Telemetry } from '../core/telemetry.ts'
import { refusalOf } from './problem.ts'

export interface NoteDeps {
  readonly gateway: Pick<Gateway, 'recordRefusal'>
  readonly telemetry: Pick<Telemetry, 'log'>
}

/** Puts a refusal on record, where an operation was asked for, and what is a bug into the log. */
export async function noteRefusal(
  deps: NoteDeps,
  { call, operation }: { readonly call: Call; readonly operation: string | undefined },
  error: unknown,
): Promise<Refusal> {
  const refusal = refusalOf(error)
  if (refusal.code === 'internal')
    deps.telemetry.log('error', 'a request failed unexpectedly', {
      request_id: call.requestId,
      error: describeBug(error),
    })
  if (operation === undefined) return refusal
  try {
    await deps.gateway.recordRefusal(call, operation, refusal)
    return refusal
  } catch (failure) {
    return refusalOf(failure)
  }
}

/** Where it happened and what kind of error it is: a message might quote input. */
function describeBug(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  const frames = error.stack?.split('\n').filter((line) => line.startsWith('    at ')) ?? []
  return [error.name, ...frames.slice(0, 4).map((line) => line.trim())].join(' | ')
}
