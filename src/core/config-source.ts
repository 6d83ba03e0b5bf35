/**
 * The text of a configuration document, and where in it a path stands.
 *
 * @module
 */
import type { Problem } from './expression.ts'
import { type Entry, type KeyedEntry, type Mapping, offsetInText, parseYaml, type Tree } from './yaml-tree.ts'

/** One mistake, or a warning, and where it stands. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning'
  /** From 1. */
  readonly line: number
  /** From 1. */
  readonly column: number
  /** Such as `identities[0].when`; empty for the document itself. */
  readonly path: string
  readonly message: string
}

/** A problem of the document's content. */
export interface Found extends Problem {
  readonly severity?: 'warning'
  /** It stands at the key and not at its value. */
  readonly atKey?: boolean
}

export interface ConfigurationSource {
  /** Plain maps, lists, texts, numbers and booleans; `null` for an empty text. Absent when the text can not be read. */
  readonly content?: unknown
  /** What is wrong with the text as such. */
  readonly problems: readonly Diagnostic[]
  readonly locate: (problem: Found) => Diagnostic
}

const maxProblems = 100

export function readSource(text: string): ConfigurationSource {
  const { root, problems } = parseYaml(text)
  const position = createPositions(text)
  const locate = createLocator(text, root, position)
  if (problems.length === 0) return { content: root?.value ?? null, problems: [], locate }
  const told = problems
    .slice(0, maxProblems)
    .map(({ at, message }): Diagnostic => ({ severity: 'error', ...position(at), path: '', message }))
  return { problems: told, locate }
}

/** Finds the place of a path, or of the nearest thing above it that is there: a missing key has no place of its own. */
function createLocator(text: string, root: Tree | undefined, position: Positions): ConfigurationSource['locate'] {
  const stepInto = createSteps()
  return ({ path, offset, atKey, severity, message }) => {
    let tree = root
    let at = root?.at ?? 0
    for (const [depth, step] of path.entries()) {
      const entry = stepInto(tree, step)
      tree = entry?.tree
      if (entry === undefined) break
      const isKey = atKey === true && depth === path.length - 1
      at = (isKey ? entry.keyAt : entry.at) ?? at
    }
    if (offset !== undefined && tree?.kind === 'scalar') at = offsetInText(text, tree, offset)
    return { severity: severity ?? 'error', ...position(at), path: formatPath(path), message }
  }
}

/** What stands at a key or an index. There may be as many problems as keys: the keys of a map are read through once. */
function createSteps() {
  const known = new Map<Mapping, ReadonlyMap<string | number, KeyedEntry>>()
  const entriesOf = (mapping: Mapping) => {
    const entries = known.get(mapping) ?? new Map(mapping.entries.map((entry) => [entry.key, entry]))
    known.set(mapping, entries)
    return entries
  }
  return (tree: Tree | undefined, step: string | number): (Partial<KeyedEntry> & Entry) | undefined => {
    if (tree?.kind === 'mapping') return entriesOf(tree).get(step)
    return tree?.kind === 'list' ? tree.items[Number(step)] : undefined
  }
}

type Positions = (at: number) => Pick<Diagnostic, 'line' | 'column'>

/** The lines of the text are counted when the first place is asked for. */
function createPositions(text: string): Positions {
  let starts: readonly number[] | undefined
  return (at) => {
    starts ??= [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)]
    let line = 1
    for (let above = starts.length; line < above; ) {
      const middle = (line + above) >> 1
      if ((starts[middle] ?? at) <= at) line = middle + 1
      else above = middle
    }
    return { line, column: at - (starts[line - 1] ?? 0) + 1 }
  }
}

function formatPath(path: Found['path']): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`
    return text === '' ? step : `${text}.${step}`
  }, '')
}
