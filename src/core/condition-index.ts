/**
 * Finds the conditions that may hold for given attributes, without evaluating the others.
 *
 * Of a condition, the comparisons with string literals that stand in its top-level conjunction are keys: when one of
 * them is false the whole is false, whatever else fails in it (CEL's `&&` takes an error for less than a `false`). So a
 * condition that is not found is exactly one that evaluates to false. What is found is still to be evaluated.
 *
 * @module
 */
import { type Comparison, comparisonOf, conjunctsOf, presenceOf, type Tree } from './expression-tree.ts'

/** `path` is one of `values`; with `length`, its first `length` UTF-16 units are. */
export interface ConditionKey {
  readonly path: readonly string[]
  readonly length?: number
  readonly values: ReadonlySet<string>
}

export interface Conditions {
  readonly keys: readonly ConditionKey[]
  /** Paths that the same conjunction asks for by `has()`, written with dots. */
  readonly guarded: ReadonlySet<string>
  /** The path whose comparisons contradict each other: the condition is never true. */
  readonly contradiction?: string
}

/** One path of a group that holds no text in the attributes looked up, and the entries that this leaves open. */
export interface OpenEntries<T> {
  readonly paths: readonly (readonly string[])[]
  readonly values: readonly T[]
}

export interface Found<T> {
  /** In the order in which they were given. */
  readonly candidates: readonly T[]
  /** Keyed on something that is absent or no text: an error when evaluated, or false. */
  readonly open: readonly OpenEntries<T>[]
}

export type Attributes = Readonly<Record<string, unknown>>

const unconditional: Conditions = { keys: [], guarded: new Set() }

/** What was read of each conjunction: its keys by their variable. A rule is checked, indexed and explained by it. */
const readBefore = new WeakMap<Tree, Conjunction>()

interface Conjunction {
  readonly byVariable: ReadonlyMap<string, Conditions>
  readonly others: Conditions
}

/** Keys of conditions with the given variable, such as `proof`. */
export function conditionsOf(tree: Tree | undefined, variable: string): Conditions {
  if (tree === undefined) return unconditional
  let conjunction = readBefore.get(tree)
  if (conjunction === undefined) {
    conjunction = readConjunction(tree)
    readBefore.set(tree, conjunction)
  }
  return conjunction.byVariable.get(variable) ?? conjunction.others
}

function readConjunction(tree: Tree): Conjunction {
  const conjuncts = conjunctsOf(tree)
  const guarded = new Set(conjuncts.flatMap((conjunct) => presenceOf(conjunct)?.join('.') ?? []))
  const byVariable = new Map<string, Conditions>()
  for (const comparisons of comparisonsByPath(conjuncts).values()) {
    const key = mergeComparisons(comparisons)
    const [variable = ''] = key.path
    const before = byVariable.get(variable)
    const contradiction = before?.contradiction ?? (key.values.size === 0 ? key.path.join('.') : undefined)
    byVariable.set(variable, {
      keys: [...(before?.keys ?? []), key],
      guarded,
      ...(contradiction !== undefined && { contradiction }),
    })
  }
  return { byVariable, others: { keys: [], guarded } }
}

function comparisonsByPath(conjuncts: readonly Tree[]): ReadonlyMap<string, readonly Comparison[]> {
  const compared = conjuncts.map(comparisonOf).filter((found) => found !== undefined)
  return Map.groupBy(
    compared.filter(({ negated }) => !negated),
    ({ path }) => path.join('\0'),
  )
}

function mergeComparisons(comparisons: readonly Comparison[]): ConditionKey {
  const [first] = comparisons
  const path = first?.path ?? []
  if (comparisons.length === 1 && first?.kind === 'equals') return { path, values: new Set(first.texts) }
  const starts = comparisons.filter(({ kind }) => kind === 'starts').flatMap(({ texts }) => texts)
  const equals = comparisons.filter(({ kind }) => kind === 'equals').map(({ texts }) => new Set(texts))
  const longest = starts.reduce((long, text) => (text.length > long.length ? text : long), '')
  const sound = starts.every((start) => longest.startsWith(start))
  if (equals.length === 0) return { path, length: longest.length, values: new Set(sound ? [longest] : []) }
  const fits = (text: string) => equals.every((set) => set.has(text)) && starts.every((start) => text.startsWith(start))
  return { path, values: new Set([...(equals[0] ?? [])].filter(fits)) }
}

interface Entry<T> {
  readonly order: number
  readonly value: T
  readonly keys: readonly ConditionKey[]
}

/** Entries whose keys are on the same paths and lengths, by the texts that these must hold. */
interface Group<T> {
  readonly parts: readonly Omit<ConditionKey, 'values'>[]
  readonly entries: readonly Entry<T>[]
  /** By which parts are missing (a bit for each, 0 for none), made when first asked for. */
  readonly tables: Map<number, ReadonlyMap<string, readonly Entry<T>[]>>
}

const maxCombinations = 64
const maxParts = 4 // a table for each set of missing parts: 16 at most

/**
 * The function that looks up. The attributes it takes are those of the variable. The index is made when it is first asked: a
 * check of the document needs none.
 */
export function createConditionIndex<T>(
  items: readonly { readonly keys: readonly ConditionKey[]; readonly value: T }[],
): (attributes: Attributes) => Found<T> {
  let groups: readonly Group<T>[] | undefined
  return (attributes) => {
    groups ??= createGroups(items)
    return find(groups, attributes)
  }
}

function createGroups<T>(items: readonly { readonly keys: readonly ConditionKey[]; readonly value: T }[]) {
  const entries = items.map(({ keys, value }, order): Entry<T> => ({ order, value, keys: chooseKeys(keys) }))
  return [...Map.groupBy(entries, signatureOf).values()].map(createGroup)
}

/** The most telling keys: none that would need more than a handful of combinations, in one order for all entries. */
function chooseKeys(keys: readonly ConditionKey[]): readonly ConditionKey[] {
  const chosen: ConditionKey[] = []
  let combinations = 1
  for (const key of keys.toSorted((a, b) => a.values.size - b.values.size)) {
    if (key.values.size === 0 || combinations * key.values.size > maxCombinations || chosen.length === maxParts)
      continue
    combinations *= key.values.size
    chosen.push(key)
  }
  return chosen.toSorted((a, b) => (partName(a) < partName(b) ? -1 : 1))
}

function signatureOf({ keys }: Entry<unknown>): string {
  return keys.map(partName).join('\0\0')
}

function partName({ path, length }: ConditionKey): string {
  return `${path.join('\0')}\0${length ?? ''}`
}

function createGroup<T>(entries: readonly Entry<T>[]): Group<T> {
  const parts = entries[0]?.keys.map(({ path, length }) => ({ path, ...(length !== undefined && { length }) })) ?? []
  const tables = new Map([[0, createTable(entries, 0)]])
  return { parts, entries, tables }
}

function createTable<T>(entries: readonly Entry<T>[], missing: number): ReadonlyMap<string, readonly Entry<T>[]> {
  const table = new Map<string, Entry<T>[]>()
  for (const entry of entries) {
    for (const key of combinationsOf(entry.keys, missing)) {
      const row = table.get(key)
      if (row) row.push(entry)
      else table.set(key, [entry])
    }
  }
  return table
}

/** Every joined key that finds the entry. Texts with a NUL may share one: evaluation tells them apart. */
function combinationsOf(keys: readonly ConditionKey[], missing: number): readonly string[] {
  return keys
    .filter((_, part) => (missing & (1 << part)) === 0)
    .reduce<string[]>(
      (joined, { values }) => joined.flatMap((start) => [...values].map((text) => `${start}${text}\0`)),
      [''],
    )
}

function find<T>(groups: readonly Group<T>[], attributes: Attributes): Found<T> {
  const found: Entry<T>[] = []
  const open: OpenEntries<T>[] = []
  let groupsWithHits = 0
  for (const group of groups) {
    const { key, missing } = readKey(group, attributes)
    const hits = tableOf(group, missing).get(key)
    if (!hits) continue
    if (missing === 0) {
      groupsWithHits++
      for (const hit of hits) found.push(hit)
    } else {
      const paths = group.parts.filter((_, part) => (missing & (1 << part)) !== 0).map(({ path }) => path)
      open.push({ paths, values: hits.map(({ value }) => value) })
    }
  }
  if (groupsWithHits > 1) found.sort((a, b) => a.order - b.order)
  return { candidates: found.map(({ value }) => value), open }
}

function readKey(
  { parts }: Group<unknown>,
  attributes: Attributes,
): { readonly key: string; readonly missing: number } {
  let key = ''
  let missing = 0
  for (const [index, { path, length }] of parts.entries()) {
    const text = readText(attributes, path)
    if (text === undefined) missing |= 1 << index
    else key += `${length === undefined ? text : text.slice(0, length)}\0`
  }
  return { key, missing }
}

function tableOf<T>(group: Group<T>, missing: number): ReadonlyMap<string, readonly Entry<T>[]> {
  const known = group.tables.get(missing)
  if (known) return known
  const table = createTable(group.entries, missing)
  group.tables.set(missing, table)
  return table
}

/** The text at a path whose first step is the variable; `undefined` for what is absent or no text. */
function readText(attributes: Attributes, path: readonly string[]): string | undefined {
  const value = readPath(attributes, path)
  return typeof value === 'string' ? value : undefined
}

/** The value at a path whose first step is the variable. */
export function readPath(attributes: Attributes, path: readonly string[]): unknown {
  let value: unknown = attributes
  for (let step = 1; step < path.length; step++) {
    const name = path[step] ?? ''
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name))
      return undefined
    value = (value as Attributes)[name]
  }
  return value
}
