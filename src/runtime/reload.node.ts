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

/** One reload at a time, in the order in which they were asked for. */
export function createReload(deps: ReloadDeps): (requestId: string) => Promise<ReloadOutcome> {
  let last: Promise<unknown> = Promise.resolve()
  return (requestId) => {
    const run = last.then(() => reload(deps, requestId))
    last = run.catch(() => undefined)
    return run
  }
}

async function reload(deps: ReloadDeps, requestId: string): Promise<ReloadOutcome> {
  const current = deps.holder.configured().config
  const loaded = await load(deps.configFile)
  if ('problems' in loaded) return refuse(deps, requestId, current, loaded.problems)
  const { config } = loaded
  if (config.digest === current.digest) {
    deps.telemetry.gauge('apostille_config_valid', 1)
    return { applied: true, digest: current.digest, problems: [] }
  }
  const restart = restartKeys(current, config)
  if (restart.length > 0)
    return refuse(
      deps,
      requestId,
      current,
      restart.map((key) => ({ path: key, message: 'a change of this takes a restart' })),
    )

  await record(deps, requestId, 'granted', { from: current.digest, to: config.digest })
  deps.holder.apply(config)
  await deps.authorities.refresh()
  deps.telemetry.count('apostille_config_reloads_total', { result: 'applied' })
  deps.telemetry.gauge('apostille_config_valid', 1)
  deps.telemetry.log('info', 'configuration reloaded', { document: config.digest })
  return { applied: true, digest: config.digest, problems: config.warnings }
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

async function refuse(
  deps: ReloadDeps,
  requestId: string,
  current: Configuration,
  problems: Problems,
): Promise<ReloadOutcome> {
  deps.telemetry.count('apostille_config_reloads_total', { result: 'refused' })
  deps.telemetry.gauge('apostille_config_valid', 0)
  for (const { line, column, path, message } of problems)
    deps.telemetry.log('error', `configuration refused, the old one stays: ${message}`, { line, column, path })
  await record(deps, requestId, 'refused', { in_use: current.digest, problems: problems.length })
  return { applied: false, digest: current.digest, problems }
}

function record(
  deps: ReloadDeps,
  requestId: string,
  decision: 'granted' | 'refused',
  details: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  return deps.writer.append([{ time: deps.now(), requestId, operation: 'config.reload', decision, details }])
}
