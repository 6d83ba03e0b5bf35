/**
 * Syncs: which secrets are kept equal where, made ready to run.
 *
 * A sync is no caller: that it may read its source and write to its destinations is what the configuration says by having
 * it, so policies, which decide about callers, are not asked. It has a SPIFFE ID of its own, and what it may do in a cloud
 * is what that cloud grants to this ID, or to the one that the target acts as.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { buildSpiffeId, type SpiffeId, type TrustDomain } from '../protocol/spiffe-id.ts'
import type { DestinationDocument } from './config-destinations.ts'
import type { SourceDocument } from './config-sources.ts'
import type { SyncDocument } from './config-syncs.ts'
import { type DestinationRules, destinationRules } from './destination-rules.ts'
import { ExpressionError, ExpressionSyntaxError, type Problem, syncEnvironment } from './expression.ts'
import { literalPrefix, matchesGlob } from './glob.ts'
import type { Target, TargetSet } from './target.ts'
import { compileTemplate, fillTemplate, type Template } from './template.ts'

export interface Destination {
  readonly name: string
  readonly document: DestinationDocument
  readonly target: Target
}

/** One destination of one sync. */
export interface SyncDestination extends Destination {
  readonly rules: DestinationRules
  /**
   * @param key Where the secret is one of several of its path.
   * @throws {ExpressionError} where the template comes to no name
   */
  readonly nameOf: (path: string, key: string | undefined) => string
  /** Of all that a secret there is made from, but the secret. */
  readonly digest: string
  /** How often each secret is looked at by itself, in seconds. Absent: never. */
  readonly lookSeconds?: number
}

export interface Sync {
  readonly name: string
  readonly document: SyncDocument
  /** Absent: our own store. */
  readonly source?: SourceDocument
  readonly spiffeId: SpiffeId
  readonly destinations: readonly SyncDestination[]
  readonly matches: (path: string) => boolean
  /** What every matching path begins with. */
  readonly prefix: string
  /** Of its part of the configuration. */
  readonly digest: string
}

export type SyncSet = ReadonlyMap<string, Sync>

export interface SyncContext {
  readonly trustDomain?: TrustDomain | undefined
  readonly sources: ReadonlyMap<string, SourceDocument>
  readonly destinations: ReadonlyMap<string, DestinationDocument>
  readonly targets: TargetSet
}

/** Syncs all of whose parts can be read, and what is wrong with the templates of any. */
export function compileSyncs(documents: ReadonlyMap<string, SyncDocument>, context: SyncContext) {
  const problems: Problem[] = []
  const syncs = new Map<string, Sync>()
  for (const [name, document] of documents) {
    const template = compileName(name, document, problems)
    if (template !== undefined) syncs.set(name, compileSync(name, document, template, context))
  }
  return { syncs: syncs as SyncSet, problems: problems as readonly Problem[] }
}

/** Undefined: with a problem. */
function compileName(sync: string, { name, granularity }: SyncDocument, problems: Problem[]): NameTemplate | undefined {
  if (name === undefined) return 'usual'
  const report = (message: string, offset?: number) => {
    problems.push({ path: ['syncs', sync, 'name'], message, ...(offset !== undefined && { offset }) })
  }
  try {
    const template = compileTemplate(name, syncEnvironment())
    if (granularity === 'key' && !template.reads.has('secret.key'))
      report('with granularity: key all keys of a path would have one name: put in secret.key')
    else if (granularity === 'path' && template.reads.has('secret.key')) report('secret.key is for granularity: key')
    else if (!['secret.path', 'secret.name'].some((read) => template.reads.has(read)))
      report('all secrets would have one name: put in secret.path or secret.name')
    return template
  } catch (error) {
    if (!(error instanceof ExpressionSyntaxError)) throw error
    report(error.message, error.offset)
    return undefined
  }
}

type NameTemplate = Template | 'usual'

function compileSync(name: string, document: SyncDocument, template: NameTemplate, context: SyncContext): Sync {
  const { paths, destinations, source: sourceName } = document
  const source = context.sources.get(sourceName)
  return {
    name,
    document,
    ...(source && { source }),
    spiffeId: syncId(context.trustDomain ?? ('' as TrustDomain), name),
    destinations: destinations.flatMap((destination) => {
      const there = context.destinations.get(destination)
      const target = there && context.targets.get(there.target)
      if (there === undefined || target === undefined) return []
      return [compileDestination({ name: destination, document: there, target }, document, template)]
    }),
    matches: (path) => paths.some((pattern) => matchesGlob(path, pattern)),
    prefix: commonPrefix(paths.map(literalPrefix)),
    digest: digestOf([name, document, source, destinations.map((each) => context.destinations.get(each))]),
  }
}

/** Those that syncs read, by name, besides our own store. */
export function sourcesOf(syncs: SyncSet): ReadonlyMap<string, SourceDocument> {
  const used = [...syncs.values()]
  return new Map(used.flatMap(({ document, source }) => (source ? [[document.source, source] as const] : [])))
}

/** Those that syncs write to, by name. */
export function destinationsOf(syncs: SyncSet): ReadonlyMap<string, DestinationDocument> {
  return new Map([...syncs.values()].flatMap((sync) => sync.destinations.map(({ name, document }) => [name, document])))
}

/** What its tokens say as `sub`, unless the target acts as another. */
export function syncId(trustDomain: TrustDomain, name: string): SpiffeId {
  return buildSpiffeId(trustDomain, `/apostille/sync/${name}`)
}

/** Whether it is the ID of a sync, which is no workload. */
export function isSyncId(syncs: SyncSet, { uri }: SpiffeId): boolean {
  return [...syncs.values()].some(({ spiffeId }) => spiffeId.uri === uri)
}

function commonPrefix([first = '', ...rest]: readonly string[]): string {
  let length = first.length
  for (const text of rest) while (!text.startsWith(first.slice(0, length))) length -= 1
  return first.slice(0, length)
}

function compileDestination(
  destination: Destination,
  { paths: _, destinations: __, interval: ___, max_deletions: ____, paused: _____, ...settings }: SyncDocument,
  template: NameTemplate,
): SyncDestination {
  const { concurrency, writes_per_second, reads_per_second, ca_file, ...more } = destination.document
  const { look_closely: lookSeconds, ...document } = { look_closely: undefined, ...more }
  const rules = destinationRules[document.type]
  return {
    ...destination,
    rules,
    nameOf: (path, key) => (template === 'usual' ? usualName(rules, path, key) : fillName(rules, template, path, key)),
    digest: digestOf([settings, document]),
    ...(lookSeconds !== undefined && { lookSeconds }),
  }
}

/** The path, and the key behind it. */
function usualName({ nameOf }: DestinationRules, path: string, key: string | undefined): string {
  return nameOf(key === undefined ? path : `${path}/${key}`)
}

function fillName({ nameOf }: DestinationRules, template: Template, path: string, key: string | undefined): string {
  const slash = path.lastIndexOf('/')
  const secret = {
    path,
    name: path.slice(slash + 1),
    folder: path.slice(0, Math.max(slash, 0)),
    ...(key !== undefined && { key }),
  }
  return fillTemplate(template, { secret }, (value, hole) => {
    if (typeof value === 'string') return nameOf(value)
    throw new ExpressionError('not_a_string', `${hole.text} is not a string`)
  })
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex')
}
