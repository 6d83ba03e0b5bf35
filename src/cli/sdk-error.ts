/**
 * What the SDK throws → what a command says.
 *
 * @module
 */
import type { ApostilleError } from '../sdk/apostille-error.ts'
import { CliError } from './cli-error.ts'
import type { ServerOptions } from './options.ts'
import { refusalHint } from './problem.ts'
import { connectionError } from './server-call.ts'

export function sdkError(error: ApostilleError, { server, caFile }: ServerOptions): CliError {
  const { code, message, status, requestId, cause } = error
  if (code === 'unreachable' && cause instanceof Error) return connectionError(server, caFile, cause)
  const hint = status === undefined ? undefined : refusalHint(status, requestId, { who: 'workload', caFile })
  return new CliError(message, {
    code,
    cause: error,
    ...(requestId !== undefined && { requestId }),
    ...(hint !== undefined && { hint }),
  })
}
