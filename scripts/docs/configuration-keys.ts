/**
 * Every key of the configuration: where it stands, of what type it is, and what it means. Types and defaults are those of the
 * JSON Schema; meanings are those of the tables of `docs/configuration.md`, which the published schema gets from here too, so
 * that editors show them.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Tokens } from 'marked'
import { formatShape, type Schema } from '../shape.ts'
import { readMarkdown } from './markdown.ts'
import { root } from './sidebar.ts'

export interface ConfigurationKey {
  /** Such as `targets.NAME.role_arn` and `identities[].when`. */
  readonly path: string
  /** The schemas that it has, one for each kind of thing that has the key. */
  readonly schemas: readonly Schema[]
  readonly required: boolean
}

export interface Meaning {
  /** Markdown; empty where there is none. */
  readonly fallback: string
  /** Markdown of one line. */
  readonly about: string
}

/** Whose keys the tables below a heading have: what stands before a name, by the first words of the table where they differ. */
const places: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'The gateway': { '': '' },
  Authorities: { '': '' },
  Authenticators: { '': 'authenticators.NAME.' },
  Presets: { '': 'authenticators.NAME.' },
  'AWS roles and users': { '': 'authenticators.NAME.' },
  Identities: { '': 'identities[].' },
  Policies: { '': 'policies[].' },
  Targets: { '': 'targets.NAME.' },
  'Secret sync': {
    'key of a source': 'sources.NAME.',
    'key of a sync': 'syncs.NAME.',
    '': 'destinations.NAME.',
  },
  Federation: { '': 'federation.TRUST_DOMAIN.' },
}

/** By path. A key that several tables have, such as those of two clouds, has what each of them says. */
export function readMeanings(): ReadonlyMap<string, Meaning> {
  const { tokens } = readMarkdown(readFileSync(join(root, 'docs/configuration.md'), 'utf8'))
  const meanings = new Map<string, Meaning>()
  let heading = ''
  for (const token of tokens) {
    if (token.type === 'heading') heading = (token as Tokens.Heading).text
    if (token.type !== 'table') continue
    const { header, rows } = token as Tokens.Table
    const [kind = '', ...columns] = header.map(({ text }) => text)
    if (!/^key/.test(kind)) continue
    const place = places[heading] ?? {}
    const prefix = place[kind] ?? place[''] ?? ''
    for (const cells of rows)
      addRow(
        meanings,
        prefix,
        columns,
        cells.map(({ text }) => text),
      )
  }
  return meanings
}

function addRow(
  meanings: Map<string, Meaning>,
  prefix: string,
  columns: readonly string[],
  [names = '', ...cells]: readonly string[],
): void {
  const about = cells.at(-1) ?? ''
  const fallbacks = columns.length > 1 ? (cells[0] ?? '') : ''
  const all = [...names.matchAll(/`([\w.]+)`/g)].map(([, name = '']) => prefix + name)
  const each = fallbacks.split(', ')
  for (const [index, path] of all.entries()) {
    const fallback = all.length > 1 && each.length === all.length ? (each[index] ?? '') : fallbacks
    const former = meanings.get(path)
    const said = [...new Set([former?.about, about])].filter(Boolean)
    meanings.set(path, { fallback: former?.fallback || fallback, about: said.join('; ') })
  }
}

/** In the order of the schema; what is a list or a map is written with what it holds. */
export function listKeys(schema: Schema): readonly ConfigurationKey[] {
  const found = new Map<string, { schemas: Schema[]; required: boolean }>()
  walk(schema, '', (path, member, required) => {
    const key = found.get(path) ?? { schemas: [], required }
    key.schemas.push(member)
    found.set(path, key)
  })
  return [...found].map(([path, { schemas, required }]) => ({ path, schemas, required }))
}

type Visit = (path: string, schema: Schema, required: boolean) => void

/** Those that are free to have any content are not looked into. */
function walk(schema: Schema, at: string, visit: Visit): void {
  const { properties = {}, required = [], items, additionalProperties, anyOf, oneOf, allOf } = schema
  for (const [name, member] of Object.entries(properties as Readonly<Record<string, Schema>>)) {
    const path = at === '' ? name : `${at}.${name}`
    visit(path, member, (required as readonly string[]).includes(name))
    walk(member, path, visit)
  }
  if (isSchema(items)) walk(items, `${at}[]`, visit)
  if (isSchema(additionalProperties))
    walk(additionalProperties, `${at}.${at === 'federation' ? 'TRUST_DOMAIN' : 'NAME'}`, visit)
  for (const option of [anyOf, oneOf, allOf].flat()) if (isSchema(option)) walk(option, at, visit)
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null
}

/** Puts the meanings into the schema, for editors. */
export function describeKeys(schema: Schema): void {
  const meanings = readMeanings()
  walk(schema, '', (path, member) => {
    const meaning = meanings.get(path)
    if (meaning !== undefined && !isNot(member)) Object.assign(member, { description: plain(meaning) })
  })
}

/** A key that tells kinds apart by its absence. */
function isNot(member: Schema): boolean {
  return member['not'] !== undefined
}

function plain({ about, fallback }: Meaning): string {
  const text = about.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
  return fallback === '' || fallback === '*required*' ? text : `${text}${text === '' ? '' : '. '}Default: ${fallback}`
}

export function buildConfigurationKeysPage(schema: Schema): string {
  const meanings = readMeanings()
  const groups = Map.groupBy(listKeys(schema), ({ path }) => /^\w+/.exec(path)?.[0] ?? '')
  const single = [...groups.values()].filter((keys) => keys.length === 1).flat()
  const sections = [...groups].filter(([, keys]) => keys.length > 1)
  const table = (keys: readonly ConfigurationKey[]) =>
    [
      '| key | type | default | |\n|---|---|---|---|',
      ...keys.map((key) => formatRow(key, meanings.get(key.path))),
    ].join('\n')
  return `# Configuration, every key

Made of the JSON Schema by \`npm run generate\`. [Configuration](configuration.md) explains them, with examples. \`NAME\` is one that you choose,
\`[]\` an entry of a list. Types are written as TypeScript writes them; a duration is a text such as \`90s\`, \`5m\`,
\`1h\`, \`7d\`. What is *required* is so where the thing that it stands in is there and of a kind that has the key.

${table(single)}
${sections.map(([name, keys]) => `\n## \`${name}\`\n\n${table(keys)}\n`).join('')}`
}

function formatRow({ path, schemas, required }: ConfigurationKey, meaning: Meaning | undefined): string {
  const types = [...new Set(schemas.filter((schema) => !isNot(schema)).flatMap(typesOf))].join(' | ')
  const shown = required ? '*required*' : meaning?.fallback || defaultOf(schemas)
  const cells = [`\`${path}\``, `\`${types}\``, shown, meaning?.about ?? '']
  return `| ${cells.map((cell) => cell.replaceAll(/(?<!\\)\|/g, '\\|')).join(' | ')} |`
}

/** Of a map it says nothing. */
function defaultOf(schemas: readonly Schema[]): string {
  const value = schemas.map((schema) => schema['default']).find((one) => one !== undefined)
  return value === undefined || (isSchema(value) && !Array.isArray(value)) ? '' : `\`${JSON.stringify(value)}\``
}

/** What has keys of its own is listed with them, so that only its kind is said. */
function typesOf(schema: Schema): readonly string[] {
  const options = [schema['anyOf'], schema['oneOf']].flat().filter(isSchema)
  if (options.length > 0) return options.flatMap(typesOf)
  if (schema['properties'] !== undefined || isSchema(schema['additionalProperties'])) return ['map']
  if (schema['type'] === 'array') return [isSchema(schema['items']) ? listOf(typesOf(schema['items'])) : 'list']
  if (typeof schema['pattern'] === 'string' && schema['pattern'].includes('[smhd]')) return ['duration']
  return formatShape(schema).split(' | ')
}

function listOf(types: readonly string[]): string {
  return types.length > 1 ? `(${types.join(' | ')})[]` : `${types.join('')}[]`
}
