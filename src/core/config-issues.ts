/**
 * What the schema of the configuration finds, in the words of the operator.
 *
 * @module
 */
import { configurationKeysAt, type SchemaIssue, valueAt } from './config-schema.ts'
import type { Found } from './config-source.ts'
import { findSimilarName } from './similar-name.ts'

/** What to write where a key is missing. */
const examples: Readonly<Record<string, string>> = {
  trust_domain: 'trust_domain: example.org',
  issuer: 'issuer: https://id.example.org',
  listen: 'listen: { address: 0.0.0.0:8443 }',
  store: 'store: sqlite:./data/apostille.db',
  seal: 'seal: { file: ./data/seal.key }',
}

/** Every problem of the document's shape. */
export function describeIssues(issues: readonly SchemaIssue[], content: unknown): readonly Found[] {
  const misspelt = new Set(issues.flatMap((issue) => meantKeys(issue, content)))
  return issues
    .filter((issue) => valueAt(content, issue.path) !== undefined || !misspelt.has(JSON.stringify(issue.path)))
    .flatMap((issue) => describeIssue(issue, content))
}

/** Keys that unknown ones probably stand for: that these are missing is no second mistake. */
function meantKeys(issue: SchemaIssue, content: unknown): readonly string[] {
  if (issue.code !== 'unrecognized_keys') return []
  const known = configurationKeysAt(issue.path, content)
  return issue.keys.map((key) => JSON.stringify([...issue.path, findSimilarName(key, known)]))
}

function describeIssue(issue: SchemaIssue, content: unknown): readonly Found[] {
  const path = issue.path as Found['path']
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey(key, path, content), atKey: true }))
  if (issue.code === 'invalid_key') return [{ path, message: issue.issues[0]?.message ?? issue.message, atKey: true }]
  if (path.length === 0 && issue.code !== 'custom')
    return [{ path, message: 'expected keys and their values, such as trust_domain: example.org' }]
  return [{ path, message: valueAt(content, path) === undefined ? missing(issue, path) : inPlainWords(issue) }]
}

function missing(issue: SchemaIssue, path: Found['path']): string {
  const example = path.length === 1 ? examples[String(path[0])] : undefined
  if (example !== undefined) return `${String(path[0])} is missing: add \`${example}\``
  return `${String(path.at(-1))} is missing: ${inPlainWords(issue)}`
}

const nouns: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'keys and their values',
  record: 'keys and their values',
  array: 'a list',
}

const noun = (type: string) => nouns[type] ?? type

function inPlainWords(issue: SchemaIssue): string {
  if (issue.code === 'invalid_type') return `expected ${noun(issue.expected)}`
  if (issue.code === 'invalid_value' && issue.message.startsWith('Invalid'))
    return `expected ${issue.values.length === 1 ? '' : 'one of '}${issue.values.join(', ')}`
  if (issue.code === 'invalid_union' && 'options' in issue)
    return `expected one of ${(issue.options as readonly unknown[]).filter((option) => option !== undefined).join(', ')}`
  if (issue.code === 'too_small') return `expected ${sizeOf(issue.origin, issue.minimum, 'at least')}`
  if (issue.code === 'too_big') return `expected ${sizeOf(issue.origin, issue.maximum, 'at most')}`
  return issue.message.charAt(0).toLowerCase() + issue.message.slice(1)
}

function sizeOf(origin: string, bound: number | bigint, word: string): string {
  if (origin === 'string') return bound === 1 ? 'a text that is not empty' : `a text of ${word} ${bound} characters`
  return origin === 'array' ? `a list of ${word} ${bound}` : `a number of ${word} ${bound}`
}

/** Keys whose time has not come are unknown as well: nobody shall think that they do something. */
function unknownKey(key: string, path: Found['path'], content: unknown): string {
  const known = configurationKeysAt(path, content)
  const similar = findSimilarName(key, known)
  if (similar !== undefined) return `unknown key: did you mean ${similar}?`
  return known.length > 0 ? `unknown key: there are ${known.join(', ')}` : 'unknown key'
}
