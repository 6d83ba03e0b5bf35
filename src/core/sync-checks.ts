/**
 * What syncs, sources, destinations and targets mean to each other, and what a cloud will never take.
 *
 * @module
 */
import type { DestinationDocument, DestinationType } from './config-destinations.ts'
import type { Found } from './config-source.ts'
import type { SourceDocument } from './config-sources.ts'
import type { SyncDocument } from './config-syncs.ts'
import type { TargetDocument } from './config-targets.ts'
import { destinationRules } from './destination-rules.ts'
import { findPatternProblem } from './glob.ts'
import { isStampTag, stampTagCount } from './owner-stamp.ts'
import { findSimilarName, listNames } from './similar-name.ts'

interface SyncSurroundings {
  readonly syncs: Named<SyncDocument>
  readonly sources: Named<SourceDocument>
  readonly destinations: Named<DestinationDocument>
  readonly targets: ReadonlyMap<string, TargetDocument>
  /** Names of those that can not be read. */
  readonly brokenTargets: ReadonlySet<string>
}

/** Parts that can be read, and the names of those that can not, which are told elsewhere. */
export interface Named<T> {
  readonly sound: ReadonlyMap<string, T>
  readonly broken: ReadonlySet<string>
}

export function findSyncProblems(surroundings: SyncSurroundings): readonly Found[] {
  const { syncs, sources, destinations } = surroundings
  return [
    ...[...syncs.sound].flatMap(([name, sync]) => findProblemsOf(name, sync, surroundings)),
    ...[...destinations.sound].flatMap(([name, document]) => findDestinationProblems(name, document, surroundings)),
    ...(sources.sound.has('kv') || sources.broken.has('kv')
      ? [{ path: ['sources', 'kv'], message: 'kv is our own store: call this one otherwise', atKey: true }]
      : []),
  ]
}

function findProblemsOf(
  name: string,
  sync: SyncDocument,
  { sources, destinations }: SyncSurroundings,
): readonly Found[] {
  const at = (key: string | readonly (string | number)[], message: string): Found => ({
    path: ['syncs', name, ...[key].flat()],
    message,
  })
  const found: Found[] = []
  if (sync.source !== 'kv' && !isKnown(sources, sync.source))
    found.push(at('source', unknownName('source', sync.source, ['kv', ...namesOf(sources)])))
  for (const [index, destination] of sync.destinations.entries()) {
    const where = ['destinations', index]
    if (!isKnown(destinations, destination))
      found.push(at(where, unknownName('destination', destination, namesOf(destinations))))
    else if (sync.destinations.indexOf(destination) !== index) found.push(at(where, `${destination} is listed twice`))
    const document = destinations.sound.get(destination)
    if (document) found.push(...findTagProblems(sync.tags, document.type, (message) => at('tags', message)))
    if (document && sync.name !== undefined)
      found.push(...findLiteralProblems(sync.name, document.type, (message) => at('name', message)))
  }
  for (const [index, pattern] of sync.paths.entries()) {
    const problem = findPathProblem(pattern)
    if (problem !== undefined) found.push(at(['paths', index], problem))
  }
  if (sync.granularity === 'key' && sync.format !== undefined && sync.format !== 'raw')
    found.push(at('format', 'with granularity: key each value stands as it is: leave this out'))
  if (sync.field !== undefined && (sync.format !== 'raw' || sync.granularity === 'key'))
    found.push(at('field', 'it says which value of a path is taken as it is: add format: raw, and no granularity'))
  return found
}

function findPathProblem(pattern: string): string | undefined {
  if (pattern.startsWith('/') || pattern.endsWith('/') || pattern.includes('//'))
    return 'never matches: a path is segments with one slash between them, and none at its ends'
  return findPatternProblem(pattern)
}

/** Of text outside expressions, which is taken as it is. */
function findLiteralProblems(name: string, type: DestinationType, at: (message: string) => Found): readonly Found[] {
  const { nameOf, name: rule } = destinationRules[type]
  const literal = name.replaceAll(/\$\{[^}]*\}/g, '')
  return nameOf(literal) === literal ? [] : [at(`${type} takes no such name: it has ${rule.expected}`)]
}

function findTagProblems(
  tags: Readonly<Record<string, string>>,
  type: DestinationType,
  at: (message: string) => Found,
): readonly Found[] {
  const { tagName, tagValue, maxTags } = destinationRules[type]
  const found: Found[] = []
  const most = maxTags - stampTagCount
  if (Object.keys(tags).length > most) found.push(at(`${type} takes at most ${most} tags besides ours`))
  for (const [tag, value] of Object.entries(tags)) {
    if (isStampTag(tag)) found.push(at(`${tag}: tags that begin with apostille- are ours`))
    else if (!tagName.pattern.test(tag)) found.push(at(`${tag}: ${type} takes names of ${tagName.expected}`))
    if (!tagValue.pattern.test(value)) found.push(at(`${tag}: ${type} takes values of ${tagValue.expected}`))
  }
  return found
}

const cloudOf = {
  'aws-secrets-manager': 'aws',
  'azure-key-vault': 'azure',
  'gcp-secret-manager': 'gcp',
} as const satisfies Record<DestinationType, TargetDocument['type']>

function findDestinationProblems(
  name: string,
  document: DestinationDocument,
  { targets, brokenTargets }: SyncSurroundings,
): readonly Found[] {
  const at = (key: string, message: string): Found => ({ path: ['destinations', name, key], message })
  const target = targets.get(document.target)
  const known = [...targets.keys(), ...brokenTargets]
  const found: Found[] = []
  if (target === undefined) {
    if (!brokenTargets.has(document.target)) found.push(at('target', unknownName('target', document.target, known)))
  } else if (target.type !== cloudOf[document.type])
    found.push(
      at('target', `${document.target} is a target of type ${target.type}, and this takes ${cloudOf[document.type]}`),
    )
  else found.push(...findScopeProblems(document, target, at))
  if (document.type !== 'gcp-secret-manager')
    return [...found, ...findTagProblems(document.tags, document.type, (message) => at('tags', message))]
  if (document.location !== undefined && document.replication !== undefined)
    found.push(at('replication', 'secrets of one region are not replicated: remove this, or location'))
  return [
    ...found,
    ...findLabelProblems(document.labels, (message) => at('labels', message)),
    ...findTagProblems(document.annotations, document.type, (message) => at('annotations', message)),
  ]
}

/** A token of Entra is good for one API. */
function findScopeProblems(
  document: DestinationDocument,
  target: TargetDocument,
  at: (key: string, message: string) => Found,
): readonly Found[] {
  if (document.type !== 'azure-key-vault' || target.type !== 'azure') return []
  const { hostname } = new URL(document.vault_url)
  const api = hostname.slice(hostname.indexOf('.') + 1)
  const wanted = `https://${api}/.default`
  if (document.endpoint !== undefined || target.scopes.includes(wanted)) return []
  return [at('target', `its tokens are for ${target.scopes.join(', ')}: give ${document.target} scopes: ['${wanted}']`)]
}

// https://cloud.google.com/secret-manager/docs/creating-and-accessing-secrets, labels.
const labelKey = /^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u
const labelValue = /^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u

function findLabelProblems(labels: Readonly<Record<string, string>>, at: (message: string) => Found): readonly Found[] {
  return Object.entries(labels).flatMap(([label, value]) =>
    labelKey.test(label) && labelValue.test(value)
      ? []
      : [at(`${label}: a label is lower-case letters, digits, hyphens and underscores, at most 63`)],
  )
}

function isKnown<T>({ sound, broken }: Named<T>, name: string): boolean {
  return sound.has(name) || broken.has(name)
}

function namesOf<T>({ sound, broken }: Named<T>): readonly string[] {
  return [...sound.keys(), ...broken]
}

function unknownName(noun: string, name: string, known: readonly string[]): string {
  const similar = findSimilarName(name, known)
  const hint = similar === undefined ? listed(noun, known) : `: did you mean ${similar}?`
  return `there is no ${noun} ${name}${hint}`
}

function listed(noun: string, known: readonly string[]): string {
  return known.length === 0 ? `: add it to ${noun}s` : `, only ${listNames(known)}`
}
