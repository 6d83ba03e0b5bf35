/**
 * The text of a configuration document: YAML read strictly, and where in it a path stands.
 *
 * YAML 1.2 with its core schema. Keys are text and stand once; anchors are taken, merge keys and tags of other types
 * are not, as each reader takes them for something else.
 *
 * @see {@link https://yaml.org/spec/1.2.2/ YAML 1.2.2}
 * @module
 */
import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
} from 'yaml'
import type { Problem } from './expression.ts'

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
  /** Plain maps, lists, texts, numbers and booleans. Absent when the text can not be read. */
  readonly content?: unknown
  /** What is wrong with the text as such. */
  readonly problems: readonly Diagnostic[]
  readonly locate: (problem: Found) => Diagnostic
}

const maxProblems = 100
const maxAliases = 100
const coreTags: ReadonlySet<string | undefined> = new Set([
  undefined,
  ...['map', 'seq', 'str', 'int', 'float', 'bool', 'null'].map((name) => `tag:yaml.org,2002:${name}`),
])

export function readSource(text: string): ConfigurationSource {
  const lines = new LineCounter()
  const yaml = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    version: '1.2',
    schema: 'core',
    resolveKnownTags: false,
    logLevel: 'error',
  })
  const locate = createLocator(text, yaml.contents as Node | null, lines)
  const errors = yaml.errors.length > 0 ? syntaxProblems(yaml.errors, text) : findOddities(yaml)
  const problems = errors
    .slice(0, maxProblems)
    .map(({ at, message }): Diagnostic => ({ severity: 'error', ...position(lines, at), path: '', message }))
  if (problems.length > 0) return { problems, locate }
  return readContent(yaml, locate)
}

interface TextProblem {
  readonly at: number
  readonly message: string
}

interface SyntaxError {
  readonly code: string
  readonly pos: readonly number[]
  readonly message: string
}

/** Keys that stand twice are told all; of everything else the first, as the others mostly follow from it. */
function syntaxProblems(errors: readonly SyntaxError[], text: string): readonly TextProblem[] {
  const first = errors.find(({ code }) => code !== 'DUPLICATE_KEY')
  return errors
    .filter((error) => error === first || error.code === 'DUPLICATE_KEY')
    .map((error) => ({ at: error.pos[0] ?? 0, message: describeSyntaxError(error, text) }))
}

function describeSyntaxError({ code, pos, message }: SyntaxError, text: string): string {
  if (message.startsWith('Maximum call stack')) return 'this is nested too deeply'
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here: a configuration is one document'
  if (code === 'TAB_AS_INDENT') return 'a tab can not indent in YAML: write spaces'
  if (code === 'DUPLICATE_KEY') return 'this key stands here for the second time'
  if (text.slice(0, pos[0]).endsWith('$')) return 'within { } or [ ] a text that holds ${ stands in quotes'
  const line = message.split('\n')[0] ?? ''
  return lowerFirst(line.replace(/ at line \d+, column \d+:?$/, ''))
}

const lowerFirst = (text: string) => text.charAt(0).toLowerCase() + text.slice(1)

/** What YAML allows and a configuration does without. */
function findOddities(yaml: Document.Parsed): readonly TextProblem[] {
  const found: TextProblem[] = []
  const report = (node: unknown, message: string) => found.push({ at: startOf(node) ?? 0, message })
  /** The nodes above the present one. */
  const above: unknown[] = []

  function walkPair({ key, value }: Pair): void {
    const problem = findKeyProblem(key)
    if (problem) report(key, problem)
    walk(key)
    walk(value)
  }

  function walkAlias(node: Alias): void {
    const target = node.resolve(yaml)
    if (target === undefined) report(node, `there is no anchor ${node.source} before this`)
    else if (above.includes(target)) report(node, `${node.source} holds itself`)
  }

  function walk(node: unknown): void {
    if (isAlias(node)) walkAlias(node)
    if (!isNode(node)) return
    if (!coreTags.has(node.tag)) report(node, 'tags are not taken here: write the value alone')
    if (!isCollection(node)) return
    above.push(node)
    for (const item of node.items) {
      if (isPair(item)) walkPair(item)
      else walk(item)
    }
    above.pop()
  }

  walk(yaml.contents)
  return found
}

function findKeyProblem(key: unknown): string | undefined {
  if (!isScalar(key) || typeof key.value !== 'string') return 'a key is a text: put it into quotes'
  if (key.value === '<<') return 'merge keys are not taken here: write the keys out'
  return key.value === '__proto__' ? 'this is not taken as a key' : undefined
}

function readContent(yaml: Document.Parsed, locate: ConfigurationSource['locate']): ConfigurationSource {
  try {
    return { content: yaml.toJS({ maxAliasCount: maxAliases }) as unknown, problems: [], locate }
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error
    const message = `aliases stand for more than ${maxAliases} values each: write them out`
    return { problems: [locate({ path: [], message })], locate }
  }
}

/** Finds the place of a path, or of the nearest thing above it that is there: a missing key has no place of its own. */
function createLocator(text: string, root: Node | null, lines: LineCounter) {
  return (problem: Found): Diagnostic => {
    let node: unknown = root
    let at = startOf(root) ?? 0
    for (const [depth, step] of problem.path.entries()) {
      const { key, child } = stepInto(node, step)
      const isKey = problem.atKey === true && depth === problem.path.length - 1
      const place = startOf(isKey ? key : (child ?? key)) ?? startOf(key)
      if (place === undefined) {
        node = undefined
        break
      }
      at = place
      node = child
    }
    return {
      severity: problem.severity ?? 'error',
      ...position(lines, at + offsetIn(text, node, problem.offset)),
      path: formatPath(problem.path),
      message: problem.message,
    }
  }
}

function stepInto(node: unknown, step: string | number): { readonly key?: unknown; readonly child?: unknown } {
  if (isMap(node)) {
    const pair = (node.items as Pair[]).find(({ key }) => isScalar(key) && key.value === step)
    return pair ? { key: pair.key, child: pair.value } : {}
  }
  return { child: (node as { get?: (key: unknown, keep: boolean) => unknown } | undefined)?.get?.(step, true) }
}

/** How far from the start of a scalar its character `offset` is written, where that can be told; else 0. */
function offsetIn(text: string, node: unknown, offset: number | undefined): number {
  if (offset === undefined || !isScalar(node) || typeof node.value !== 'string' || node.range == null) return 0
  const written = text.slice(node.range[0], node.range[1])
  if (node.type === 'BLOCK_LITERAL') return offsetInBlock(written, node.value.slice(0, offset))
  // With an escape or a fold in it, what is written is longer or shorter.
  if (written === node.value) return offset
  return written.slice(1, -1) === node.value ? offset + 1 : 0
}

/** The first line is the header, and the indentation was taken away from the others. */
function offsetInBlock(written: string, before: string): number {
  const [header = '', ...lines] = written.split('\n')
  const above = before.split('\n')
  const indents = lines.filter((line) => line.trim() !== '').map((line) => line.search(/\S/))
  const passed = [header, ...lines.slice(0, above.length - 1)].reduce((sum, line) => sum + line.length + 1, 0)
  return passed + Math.min(...indents) + (above.at(-1)?.length ?? 0)
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0]
}

function position(lines: LineCounter, offset: number): { readonly line: number; readonly column: number } {
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(1, line), column: Math.max(1, col) }
}

function formatPath(path: Found['path']): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`
    return text === '' ? step : `${text}.${step}`
  }, '')
}
