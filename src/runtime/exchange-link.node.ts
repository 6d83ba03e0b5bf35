/**
 * The last link of a chain: the exchange itself, which the running gateway tries.
 *
 * @module
 */
import { type Finding, findError, findWarning } from '../core/finding.ts'
import type { Signer } from '../core/issuer-check.ts'
import type { Target } from '../core/target.ts'
import type { SpiffeId } from '../protocol/spiffe-id.ts'
import { AdminSocketError, AdminUnreachable } from './admin-client.node.ts'
import { type Check, concludeCheck, type DoctorDeps, skipCheck } from './doctor.node.ts'

/** What is asked of the running gateway. */
export interface GatewayView {
  /** All that it says of itself; or why it says nothing. */
  readonly readStatus: () => Promise<{ readonly status: Members } | AdminProblem>
  /** Of the configuration in use; undefined where it does not answer. */
  readonly readDigest: () => Promise<string | undefined>
  /** Undefined where it does not answer, or nothing signs. */
  readonly readSigner: (algorithm: Signer['algorithm']) => Promise<Signer | undefined>
  readonly tryExchange: (target: string, caller: SpiffeId | undefined) => Promise<GatewayAnswer | AdminProblem>
}

type Members = Readonly<Record<string, unknown>>
interface GatewayAnswer {
  readonly status: number
  readonly body: Members
}
type AdminProblem = AdminUnreachable | AdminSocketError

export function createGatewayView({ admin }: DoctorDeps): GatewayView {
  async function ask(method: 'GET' | 'POST', path: string, body?: Members): Promise<GatewayAnswer | AdminProblem> {
    try {
      const answer = await (await admin()).call({ method, path, ...(body && { body }) })
      return { status: answer.status, body: (answer.body ?? {}) as Members }
    } catch (error) {
      if (error instanceof AdminUnreachable || error instanceof AdminSocketError) return error
      throw error
    }
  }

  async function read(path: string): Promise<Members> {
    const answer = await ask('GET', path)
    return 'body' in answer && answer.status === 200 ? answer.body : {}
  }

  return {
    async readStatus() {
      const answer = await ask('GET', '/v1/status')
      return 'body' in answer ? { status: answer.body } : answer
    },
    async readDigest() {
      const { document } = await read('/v1/status')
      return typeof document === 'string' ? document : undefined
    },
    async readSigner(algorithm) {
      const { items = [] } = (await read('/v1/authorities')) as { readonly items?: readonly Members[] }
      const active = items.find(({ ring, state }) => ring === `jwt/${algorithm}` && state === 'active')
      return active && { kid: String(active['id']), algorithm }
    },
    tryExchange: (target, caller) =>
      ask('POST', `/v1/targets/${encodeURIComponent(target)}/try`, caller ? { spiffe_id: caller.uri } : {}),
  }
}

/** @param caller Whose exchange it is; absent: that of whom the target acts as. */
export async function checkExchange(
  gateway: GatewayView,
  target: Target,
  caller: SpiffeId | undefined,
): Promise<Check> {
  if (target.actsAs === undefined && caller === undefined)
    return skipCheck('exchange', 'it is not known for whom to try: name one with --as ID')
  const answer = await gateway.tryExchange(target.name, caller)
  if (!('body' in answer)) return concludeCheck('exchange', 'not tried', [explainNoGateway(answer)])
  if (answer.status !== 200) return concludeCheck('exchange', 'not tried', [explainNotTried(answer.body)])
  const trial = answer.body as unknown as TrialDocument
  const spent = `${trial.duration_ms} ms`
  if (trial.error)
    return concludeCheck('exchange', `${trial.spiffe_id}: ${spent}`, [
      explainCloud(trial.error, target, trial.spiffe_id),
    ])
  const by = trial.request_id === undefined ? '' : `, request ${trial.request_id}`
  const seen = `${trial.spiffe_id}: a credential until ${trial.expires_at}, thrown away (${spent}${by})`
  return concludeCheck('exchange', seen, [])
}

/** As the admin API answers. */
interface TrialDocument {
  readonly spiffe_id: string
  readonly duration_ms: number
  readonly expires_at?: string
  readonly request_id?: string
  readonly error?: CloudErrorDocument
}

interface CloudErrorDocument {
  readonly kind: string
  readonly code: string
  readonly status?: number
  readonly request_id?: string
  readonly message: string
  readonly fix?: string
}

export function explainNoGateway(problem: AdminProblem): Finding {
  if (problem instanceof AdminSocketError)
    return findError('gateway_unknown', problem.message, 'name the configuration of the running gateway with --config')
  if (problem.reason === 'not_allowed')
    return findError(
      'gateway_not_allowed',
      'this user may not open the admin socket',
      'run this as the user of the gateway',
    )
  return findError('gateway_not_running', 'the gateway is not running', 'start it with `apostille serve`')
}

function explainNotTried({ code, title, detail }: Members): Finding {
  const message = `the gateway did not try it: ${String(detail ?? title)} (${String(code)})`
  if (code === 'not_found') return findError('configuration_not_in_use', message, 'run `apostille reload`')
  if (code === 'malformed_request')
    return findWarning('exchange_not_tried', message, 'try it as the workload: `apostille credentials`')
  return findError(`gateway_${String(code)}`, message, 'look at the log of the gateway and at its readiness')
}

/** The fix is told apart from what the cloud says. */
function explainCloud(error: CloudErrorDocument, { type, name, actsAs }: Target, acting: string): Finding {
  const { kind, code, status, request_id: id, fix } = error
  const where = [status === undefined ? '' : `HTTP ${status}`, id === undefined ? '' : `request ${id}`].filter(Boolean)
  const said = fix === undefined ? error.message : error.message.replace(`; ${fix}`, '')
  const message = `${code}${where.length === 0 ? '' : ` (${where.join(', ')})`}: ${said}`
  const who = actsAs === undefined ? ` --as ${acting}` : ''
  const compare = `what it has to hold: \`apostille trust ${type} ${name}${who}\``
  const unreached = 'look whether the gateway reaches the endpoint of the cloud, and trusts its certificate (ca_file)'
  const remedy = kind === 'refused' ? [fix, compare].filter(Boolean).join('; ') : (fix ?? unreached)
  return findError(`exchange_${kind}`, message, remedy)
}
