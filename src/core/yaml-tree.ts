/**
 * YAML read strictly: plain maps, lists and scalars with the place of each.
 *
 * YAML 1.2 with its core schema. Keys are text and stand once; anchors are taken, merge keys and tags of other types
 * are not, as each reader takes them for something else.
 *
 * @see {@link https://yaml.org/spec/1.2.2/ YAML 1.2.2}
 * @module
 */
import {
  type AliasEvent,
  boolCoreTag,
  type DocumentEvent,
  EVENT_ID,
  type Event,
  floatCoreTag,
  getScalarValue,
  intCoreTag,
  type MappingEvent,
  NOT_RESOLVED,
  nullCoreTag,
  parseEvents,
  SCALAR_STYLE,
  type ScalarEvent,
  type SequenceEvent,
  YAMLException,
} from 'js-yaml'

/** A value and where it stands: `at` is an offset into the text, in UTF-16 units, absent for a value that is left out. */
export type Tree = Scalar | List | Mapping

interface Placed {
  readonly at?: number | undefined
  /** Plain maps, lists, texts, numbers, booleans and `null`; an alias is the same object as its anchor. */
  readonly value: unknown
}

export interface Scalar extends Placed {
  readonly kind: 'scalar'
  readonly event: ScalarEvent
}

export interface List extends Placed {
  readonly kind: 'list'
  readonly value: unknown[]
  readonly items: Entry[]
}

export interface Mapping extends Placed {
  readonly kind: 'mapping'
  readonly value: Record<string, unknown>
  readonly entries: KeyedEntry[]
}

/** What stands in a list; an alias stands elsewhere than what it is for. */
export interface Entry {
  readonly at?: number | undefined
  readonly tree: Tree
}

export interface KeyedEntry extends Entry {
  readonly key: string
  readonly keyAt?: number | undefined
}

export interface TextProblem {
  readonly at: number
  readonly message: string
}

export interface YamlText {
  /** Absent for a text without any value, and when there are problems. */
  readonly root?: Tree
  /** In their order in the text. */
  readonly problems: readonly TextProblem[]
}

export function parseYaml(text: string): YamlText {
  try {
    const { root, problems } = compose(text, parseEvents(text, { maxDepth: 100 }))
    return problems.length === 0 && root ? { root, problems } : { problems }
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error
    return { problems: [findSyntaxProblem(error.reason, text, error.mark?.position ?? 0)] }
  }
}

/** What is found where the next key begins, or at the end, and stands in the line before. */
const unfinishedKey = /^(?:can not read a block mapping entry|expected ':' after a mapping key)/

function findSyntaxProblem(reason: string, text: string, at: number): TextProblem {
  if (!unfinishedKey.test(reason)) return { at, message: describeSyntaxError(reason, text, at) }
  const end = reason.startsWith('expected') ? at : text.lastIndexOf('\n', at - 1)
  const lines = text.slice(0, Math.max(0, end)).split('\n')
  const last = lines.findLastIndex((line) => /^\s*[^\s#]/.test(line))
  const start = lines.slice(0, last).reduce((sum, line) => sum + line.length + 1, 0) + (lines[last] ?? '').search(/\S/)
  return { at: Math.max(0, start), message: 'this line is no `key: value`: a colon is missing, or the space behind it' }
}

function describeSyntaxError(reason: string, text: string, at: number): string {
  if (reason.startsWith('nesting exceeded')) return 'this is nested too deeply'
  if (reason.startsWith('tab characters')) return 'a tab can not indent in YAML: write spaces'
  if (reason.includes('within a double quoted')) return 'the text ends here, and a closing " is missing'
  if (reason.includes('within a single quoted')) return "the text ends here, and a closing ' is missing"
  if (reason.includes('within a flow collection')) return 'the text ends here, and a closing } or ] is missing'
  if (reason.startsWith('missed comma'))
    return text.slice(0, at).endsWith('$')
      ? 'within { } or [ ] a text that holds ${ stands in quotes'
      : 'within { } or [ ] a comma is missing before this'
  if (reason.startsWith('bad indentation') && /["'][ \t]*$/.test(text.slice(Math.max(0, at - 20), at)))
    return 'the quoted text ended before this: within it, \' is written twice, and " as \\"'
  if (reason.startsWith('bad indentation'))
    return isIndentation(text, at)
      ? 'this is indented unlike what stands above it'
      : 'a value can not go on here: what begins with one of - ? @ ` % or holds a colon and a space stands in quotes'
  if (reason.startsWith('end of the stream or'))
    return 'the document ended above this: is a colon missing there, or the space behind it?'
  if (reason.startsWith('name of an alias')) return "a * that means everything stands in quotes: '*'"
  if (reason.startsWith('unknown escape')) return 'within " a backslash begins an escape: write two, or quote with \''
  if (reason.startsWith('expected the node content')) return 'a value is missing before this'
  if (reason.startsWith('deficient indentation')) return 'this is indented too little, or a quote above is not closed'
  return reason
}

/** Whether there are only spaces before it in its line. */
function isIndentation(text: string, at: number): boolean {
  return text.slice(0, at).split('\n').at(-1)?.trim() === ''
}

const maxAliased = 100_000
const aliasedText = 256
const prefix = 'tag:yaml.org,2002:'
const scalarTags = [nullCoreTag, boolCoreTag, intCoreTag, floatCoreTag]
/** What a plain scalar that is not a text begins with. */
const telling = new Set(scalarTags.flatMap(({ implicitFirstChars }) => implicitFirstChars ?? []))

interface Anchored {
  readonly tree: Tree
  /** How many values it stands for, where a long text is several. */
  weight: number
  /** Whether it is still being read. */
  open: boolean
}

/** A list or a map that is being read. */
interface Frame {
  readonly tree: List | Mapping
  readonly anchored: Anchored
  /** Of a map: the key that was read last, while its value is awaited. */
  key?: { readonly name: string | undefined; readonly at: number | undefined } | undefined
}

function compose(text: string, events: readonly Event[]) {
  const problems: TextProblem[] = []
  const anchors = new Map<string, Anchored>()
  const frames: Frame[] = []
  let documents = 0
  let root: Tree | undefined
  /** The end of the last scalar or alias. */
  let passed = 0
  let aliased = 0

  const report = (at: number | undefined, message: string) => problems.push({ at: at ?? passed, message })

  function readDocument({ explicitStart, directives }: DocumentEvent, next: Event | undefined): boolean {
    if (directives.some(({ kind }) => kind === 'tag')) report(0, 'tags are not taken here: there is nothing to declare')
    if (++documents === 1) return true
    const start = explicitStart ? text.slice(passed).search(/^---(?=\s|$)/m) : -1
    const at = start < 0 ? next && startOf(text, next) : passed + start
    report(at, 'a second document begins here: a configuration is one document')
    return false
  }

  function anchor({ anchorStart, anchorEnd }: MappingEvent | SequenceEvent | ScalarEvent, anchored: Anchored): void {
    if (anchorStart >= 0) anchors.set(text.slice(anchorStart, anchorEnd), anchored)
  }

  /** Puts what was read into what holds it, as a key or as a value. */
  function place(tree: Tree, at: number | undefined, weight: number): void {
    const frame = frames.at(-1)
    if (frame === undefined) {
      root = tree
      return
    }
    frame.anchored.weight += weight
    if (frame.tree.kind === 'list') {
      frame.tree.items.push({ at, tree })
      frame.tree.value.push(tree.value)
    } else if (frame.key === undefined) frame.key = { name: readKey(frame.tree, tree, at), at }
    else {
      const { name, at: keyAt } = frame.key
      frame.key = undefined
      if (name === undefined) return
      frame.tree.entries.push({ key: name, keyAt, at: at ?? endOfColon(text, passed) ?? keyAt, tree })
      frame.tree.value[name] = tree.value
    }
  }

  function readKey(mapping: Mapping, { value }: Tree, at: number | undefined): string | undefined {
    const problem = findKeyProblem(value, mapping.value)
    if (problem !== undefined) report(at, problem)
    return problem === undefined ? (value as string) : undefined
  }

  function readScalar(event: ScalarEvent): void {
    const at = startOf(text, event)
    if (event.valueEnd > passed) passed = event.valueEnd
    const tree: Scalar = { kind: 'scalar', at, event, value: readValue(event, at) }
    const weight = weightOf(tree)
    if (event.anchorStart >= 0) anchor(event, { tree, weight, open: false })
    place(tree, at, weight)
  }

  function readValue(event: ScalarEvent, at: number | undefined): unknown {
    const written = getScalarValue(text, event)
    const tag = readTag(event)
    if (tag === `${prefix}str` || tag === '!') return written
    const known = scalarTags.find(({ tagName }) => tagName === tag)
    if (known) {
      const value: unknown = known.resolve(written, true, known.tagName)
      if (value === NOT_RESOLVED) report(at, `this is not what !!${known.tagName.slice(prefix.length)} says`)
      return value
    }
    if (tag !== undefined) report(at, 'tags are not taken here: write the value alone')
    return event.style === SCALAR_STYLE.PLAIN ? resolvePlain(written) : written
  }

  /** In full; `undefined` for what has none. */
  function readTag({ tagStart, tagEnd }: ScalarEvent | MappingEvent | SequenceEvent): string | undefined {
    if (tagStart < 0) return undefined
    const written = text.slice(tagStart, tagEnd)
    return written.startsWith('!!') ? prefix + written.slice(2) : written.replace(/^!<(.*)>$/, '$1')
  }

  function open(event: MappingEvent | SequenceEvent, tree: List | Mapping): void {
    const tag = readTag(event)
    const own = tree.kind === 'list' ? 'seq' : 'map'
    if (tag !== undefined && tag !== prefix + own) report(event.start, 'tags are not taken here: write the value alone')
    const anchored: Anchored = { tree, weight: 1, open: true }
    anchor(event, anchored)
    frames.push({ tree, anchored })
  }

  function close(): void {
    const frame = frames.pop()
    if (frame === undefined) return
    frame.anchored.open = false
    place(frame.tree, frame.tree.at, frame.anchored.weight)
  }

  function readAlias({ anchorStart, anchorEnd }: AliasEvent): void {
    const name = text.slice(anchorStart, anchorEnd)
    const at = anchorStart - 1
    passed = anchorEnd
    const target = anchors.get(name)
    if (target === undefined) report(at, `there is no anchor ${name} before this`)
    else if (target.open) report(at, `${name} holds itself`)
    else {
      aliased += target.weight
      place(target.tree, at, target.weight)
      return
    }
    place({ kind: 'list', value: [], items: [], at }, at, 1)
  }

  function read(event: Event, next: Event | undefined): boolean {
    switch (event.type) {
      case EVENT_ID.SCALAR:
        readScalar(event)
        return true
      case EVENT_ID.MAPPING:
        open(event, { kind: 'mapping', at: event.start, value: {}, entries: [] })
        return true
      case EVENT_ID.SEQUENCE:
        open(event, { kind: 'list', at: event.start, value: [], items: [] })
        return true
      case EVENT_ID.ALIAS:
        readAlias(event)
        return true
      case EVENT_ID.POP:
        close()
        return true
      default:
        return readDocument(event, next)
    }
  }

  let index = 0
  for (const event of events) if (!read(event, events[++index])) break
  if (aliased > maxAliased) report(0, `aliases stand for more than ${maxAliased} values: write them out`)
  return { root, problems }
}

function weightOf({ value }: Scalar): number {
  return typeof value === 'string' ? 1 + Math.floor(value.length / aliasedText) : 1
}

/** Where a value that is left out would stand: behind the colon of the key that ends at `at`, if it has one. */
function endOfColon(text: string, at: number): number | undefined {
  const colon = /["']?[ \t]*:/y
  colon.lastIndex = at
  return colon.test(text) ? colon.lastIndex : undefined
}

function findKeyProblem(key: unknown, known: object): string | undefined {
  if (typeof key !== 'string') return 'a key is a text: put it into quotes'
  if (key === '<<') return 'merge keys are not taken here: write the keys out'
  if (key === '__proto__') return 'this is not taken as a key'
  return Object.hasOwn(known, key) ? 'this key stands here for the second time' : undefined
}

/** §10.3.2: what is neither of the core schema's other types is a text. */
function resolvePlain(written: string): unknown {
  if (!telling.has(written.charAt(0))) return written
  for (const { resolve, tagName } of scalarTags) {
    const value: unknown = resolve(written, false, tagName)
    if (value !== NOT_RESOLVED) return value
  }
  return written
}

function startOf(text: string, event: Event): number | undefined {
  switch (event.type) {
    case EVENT_ID.SCALAR:
      return startOfScalar(text, event)
    case EVENT_ID.MAPPING:
    case EVENT_ID.SEQUENCE:
      return event.start
    case EVENT_ID.ALIAS:
      return event.anchorStart - 1
    default:
      return undefined
  }
}

function startOfScalar(text: string, { style, valueStart, indent }: ScalarEvent): number | undefined {
  if (valueStart < 0) return undefined
  switch (style) {
    case SCALAR_STYLE.SINGLE_QUOTED:
    case SCALAR_STYLE.DOUBLE_QUOTED:
      return valueStart - 1
    case SCALAR_STYLE.LITERAL_BLOCK:
    case SCALAR_STYLE.FOLDED_BLOCK:
      return Math.min(valueStart + Math.max(indent, 0), text.length)
    default:
      return valueStart
  }
}

/** Where in the text the character `offset` of a scalar's value is written, where that can be told; else its start. */
export function offsetInText(text: string, { value, event, at = 0 }: Scalar, offset: number): number {
  if (typeof value !== 'string') return at
  const { style, valueStart, valueEnd, indent } = event
  if (style === SCALAR_STYLE.LITERAL_BLOCK) {
    const above = value.slice(0, offset).split('\n')
    const lines = text
      .slice(valueStart, valueEnd)
      .split('\n')
      .slice(0, above.length - 1)
    const passed = lines.reduce((sum, line) => sum + line.length + 1, 0)
    return valueStart + passed + indent + (above.at(-1)?.length ?? 0)
  }
  // With an escape or a fold in it, what is written is longer or shorter.
  return text.slice(valueStart, valueEnd) === value ? valueStart + offset : at
}
