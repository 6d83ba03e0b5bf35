/**
 * Reload: the document on disk takes the place of the one in use, or is refused and changes nothing.
 *
 * @module
 */
import type { RecordWriter } from '../core/audit.ts'
import type { Authorities } from '../core/authorities.ts'
import { type Configuration, ConfigurationError } from '../core/config.ts'
import type { Telemetry } from '../core/telemetry.ts'
import type { ReloadOutcome } from '../http/admin-app.ts'
import { describeError } from './clockwork.node.ts'
import { DocumentError, loadConfiguration } from './configuration.node.ts'
import { type ConfigurationHolder, restartKeys } from './configuration-holder.ts'

export interface ReloadDeps {
  readonly configFile: string
  readonly holder: ConfigurationHolder
  readonly authorities: Pick<Authorities, 'refresh'>
  readonly writer: RecordWriter
  readonly telemetry: Telemetry
  readonly now: () => Date
}

type Problems = ReloadOutcome['problems']

export interface Reload {
  /** One at a time, in the order in which they were asked for. @throws {Refusal} when it can not be put on record */
  readonly run: (requestId: string) => Promise<ReloadOutcome>
  /** Whether the document on disk was refused when it was last read. */
  readonly refused: () => boolean
}

export function createReload(deps: ReloadDeps): Reload {
  let last: Promise<unknown> = Promise.resolve()
  let refused = false

  async function run(requestId: string): Promise<ReloadOutcome> {
    const outcome = await decide(deps)
    refused = !outcome.applied
    deps.telemetry.gauge('apostille_config_valid', refused ? 0 : 1)
    return finish(deps, requestId, outcome)
  }

  return {
    refused: () => refused,
    run: (requestId) => {
      const next = last.then(() => run(requestId))
      last = next.catch(() => undefined)
      return next
    },
  }
}

/** What becomes of the document on disk. `config` is the one to put into use, where that is another. */
type Decided = ReloadOutcome & { readonly config?: Configuration }

async function decide({ configFile, holder }: ReloadDeps): Promise<Decided> {
  const current = holder.configured().config
  const loaded = await load(configFile)
  if ('problems' in loaded) return { applied: false, digest: current.digest, problems: loaded.problems }
  const { config } = loaded
  if (config.digest === current.digest) return { applied: true, digest: current.digest, problems: [] }
  const restart = restartKeys(current, config)
  if (restart.length === 0) return { applied: true, digest: config.digest, problems: config.warnings, config }
  const problems = restart.map((key) => ({ path: key, message: 'a change of this takes a restart' }))
  return { applied: false, digest: current.digest, problems }
}

async function finish(deps: ReloadDeps, requestId: string, decided: Decided): Promise<ReloadOutcome> {
  const { config, ...outcome } = decided
  if (!outcome.applied) await refuse(deps, requestId, outcome)
  if (config !== undefined) await apply(deps, requestId, config)
  return outcome
}

async function apply(deps: ReloadDeps, requestId: string, config: Configuration): Promise<void> {
  const { holder, telemetry } = deps
  await record(deps, requestId, 'granted', { from: holder.configured().config.digest, to: config.digest })
  holder.apply(config)
  telemetry.count('apostille_config_reloads_total', { result: 'applied' })
  telemetry.log('info', 'configuration reloaded', { document: config.digest })
  // It is in use by now; what the authorities could not follow yet they try again every few seconds.
  await deps.authorities.refresh().catch((error: unknown) => {
    telemetry.log('error', 'the authorities do not follow the new configuration yet', { error: describeError(error) })
  })
}

async function load(file: string): Promise<{ readonly config: Configuration } | { readonly problems: Problems }> {
  try {
    return { config: await loadConfiguration(file) }
  } catch (error) {
    if (error instanceof ConfigurationError) return { problems: error.diagnostics }
    if (error instanceof DocumentError) return { problems: [{ message: error.message }] }
    throw error
  }
}

async function refuse(deps: ReloadDeps, requestId: string, { digest, problems }: ReloadOutcome): Promise<void> {
  deps.telemetry.count('apostille_config_reloads_total', { result: 'refused' })
  for (const { line, column, path, message } of problems)
    deps.telemetry.log('error', `configuration refused, the old one stays: ${message}`, { line, column, path })
  await record(deps, requestId, 'refused', { in_use: digest, problems: problems.length })
}

function record(
  deps: ReloadDeps,
  requestId: string,
  decision: 'granted' | 'refused',
  details: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  return deps.writer.append([{ time: deps.now(), requestId, operation: 'config.reload', decision, details }])
}
