/**
 * Reload: the document on disk takes the place of the one in use, or is refused and changes nothing.
 *
 * @module
 */
import type { RecordWriter } from '../core/audit.ts'
import type { Authorities } from '../core/authorities.ts'
import { type Configuration, ConfigurationError } from '../core/config.ts'
import type { RecordEntry } from '../core/record.ts'
import type { Telemetry } from '../core/telemetry.ts'
import type { ReloadOutcome } from '../http/admin-app.ts'
import { loadConfiguration } from './configuration.node.ts'
import { type ConfigurationHolder, restartKeys } from './configuration-holder.ts'
import { describeError } from './describe-error.ts'
import { DocumentError } from './document-error.ts'
import type { ConfiguredFederation, PreparedPeers } from './federation.ts'

export interface ReloadDeps {
  readonly configFile: string
  readonly holder: ConfigurationHolder
  readonly federation: Pick<ConfiguredFederation, 'prepare' | 'adopt'>
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
    // One that is put into use logs so itself.
    if (refused && outcome.applied && outcome.next?.config === undefined)
      deps.telemetry.log('info', 'configuration is good again, unchanged', { document: outcome.digest })
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

/** What becomes of the document on disk. `next` is to be put into use: the document where it is another, and the peers
 * with the bundle files as they are now. */
type Decided = ReloadOutcome & { readonly next?: { readonly config?: Configuration; readonly peers: PreparedPeers } }

async function decide({ configFile, holder, federation }: ReloadDeps): Promise<Decided> {
  const current = holder.configured().config
  const loaded = await load(configFile, federation)
  if ('problems' in loaded) return { applied: false, digest: current.digest, problems: loaded.problems }
  const { config, peers } = loaded
  if (config.digest === current.digest) return { applied: true, digest: current.digest, problems: [], next: { peers } }
  const restart = restartKeys(current, config)
  if (restart.length === 0)
    return { applied: true, digest: config.digest, problems: config.warnings, next: { config, peers } }
  const problems = restart.map((key) => ({ path: key, message: 'a change of this takes a restart' }))
  return { applied: false, digest: current.digest, problems }
}

async function finish(deps: ReloadDeps, requestId: string, decided: Decided): Promise<ReloadOutcome> {
  const { next, ...outcome } = decided
  if (!outcome.applied) await refuse(deps, requestId, outcome)
  if (next?.config !== undefined) await apply(deps, requestId, next.config)
  if (next !== undefined) await follow(deps, 'the bundles', () => deps.federation.adopt(next.peers))
  return outcome
}

async function apply(deps: ReloadDeps, requestId: string, config: Configuration): Promise<void> {
  const { holder, telemetry } = deps
  const details = { from: holder.configured().config.digest, to: config.digest }
  await record(deps, { requestId, decision: 'granted', details })
  holder.apply(config)
  telemetry.count('apostille_config_reloads_total', { result: 'applied' })
  telemetry.log('info', 'configuration reloaded', { document: config.digest })
  await follow(deps, 'the authorities', deps.authorities.refresh)
}

/** The configuration is in use by now; what could not follow yet is tried again every few seconds. */
async function follow({ telemetry }: ReloadDeps, what: string, run: () => Promise<void>): Promise<void> {
  await run().catch((error: unknown) => {
    telemetry.log('error', `${what} do not follow the new configuration yet`, { error: describeError(error) })
  })
}

type Loaded = { readonly config: Configuration; readonly peers: PreparedPeers } | { readonly problems: Problems }

async function load(file: string, federation: Pick<ConfiguredFederation, 'prepare'>): Promise<Loaded> {
  try {
    const config = await loadConfiguration(file)
    return { config, peers: await federation.prepare(config) }
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
  const details = { in_use: digest, problems: problems.length }
  await record(deps, { requestId, decision: 'refused', reason: summarise(problems), details })
}

const maxReasonLength = 300

/** Such as `2 mistakes, line 13: from: there is no authenticator frist`: the first stands for all. */
function summarise(problems: Problems): string {
  const [first] = problems
  const count = problems.length === 1 ? '1 mistake' : `${problems.length} mistakes`
  const place = first?.line === undefined ? '' : `, line ${first.line}`
  const path = first?.path ? `${first.path}: ` : ''
  return `${count}${place}: ${path}${first?.message ?? ''}`.slice(0, maxReasonLength)
}

type Said = Pick<RecordEntry, 'requestId' | 'decision' | 'reason' | 'details'>

function record(deps: ReloadDeps, said: Said): Promise<unknown> {
  return deps.writer.append([{ time: deps.now(), operation: 'config.reload', ...said }])
}
