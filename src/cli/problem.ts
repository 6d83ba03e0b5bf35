/**
 * Problem details of an answer → what the command says.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9457 RFC 9457}
 * @module
 */
import { CliError } from './cli-error.ts'
import { configurationFlag } from './dev-configuration.ts'
import { currentInvocation } from './invocation.ts'
import { formatSeconds } from './output.ts'

/** Who asked: hints for a workload are what it can tell its operator. */
export type Asker = { readonly who: 'workload'; readonly caFile?: string | undefined } | { readonly who: 'operator' }

/** @param status Of an answer that is not what was asked for. */
export function problemError(status: number, body: unknown, asker: Asker): CliError {
  const { title, code, detail, request_id: requestId } = (body ?? {}) as Readonly<Record<string, unknown>>
  if (typeof title !== 'string' || typeof code !== 'string')
    return new CliError(`the answer was ${status}, and not one of a gateway`, {
      code: 'unexpected_answer',
      hint: 'Check that --server names the gateway itself, and no proxy that answers for it.',
    })
  const message = `${title} (${code})${typeof detail === 'string' ? `: ${inFlags(detail)}` : ''}`
  const hint = refusalHint(status, requestId, asker)
  return new CliError(message, {
    code,
    ...(typeof requestId === 'string' && { requestId }),
    ...(hint !== undefined && { hint }),
  })
}

/** What to do about a refusal, where there is something. */
export function refusalHint(status: number, requestId: unknown, asker: Asker): string | undefined {
  if (status === 503 || status === 429 || status === 502) return 'Try again in a moment.'
  if (asker.who === 'operator' || status === 400) return undefined
  const command = `explain ${String(requestId)}${configurationFlag(asker.caFile)}`
  return `The operator finds the reason with: ${currentInvocation()} ${command}`
}

const flags: Readonly<Record<string, string>> = {
  ttl_seconds: '--ttl',
  audience: '--audience',
  spiffe_id: '--spiffe-id',
  uses: '--uses',
  name: '--name',
  attributes: '--attribute',
  before: '--before',
  cas: '--cas',
  versions: '--versions',
  max_versions: '--max-versions',
  custom_metadata: '--metadata',
  target: '--target',
  path: '--path',
}

/** `ttl_seconds: at most 300` → `--ttl: at most 5m`: the caller wrote flags, and no fields. */
function inFlags(detail: string): string {
  const [, field = '', rest = ''] = /^(\w+)((?:\[\d+\]|\.[\w-]+)*: .*)$/s.exec(detail) ?? []
  const flag = Object.hasOwn(flags, field) ? flags[field] : undefined
  if (flag === undefined) return detail
  if (flag !== '--ttl') return `${flag}${rest}`
  return `${flag}${rest.replace(/\d+/, (seconds) => formatSeconds(Number(seconds)).replaceAll(' ', ''))}`
}
