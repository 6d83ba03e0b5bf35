/**
 * Explanations as the admin socket gives them, for people.
 *
 * @module
 */
import { formatFields, oneLine, style } from './output.ts'

export interface PartDocument {
  readonly text: string
  readonly value: 'true' | 'false' | 'failed'
  readonly problem?: string
  readonly read?: Readonly<Record<string, unknown>>
  readonly joins?: 'all' | 'any' | 'not'
  readonly parts?: readonly PartDocument[]
}

export interface RuleDocument {
  readonly name: string
  readonly applies: boolean
  readonly spiffe_id?: string
  readonly notes: readonly string[]
  readonly when?: PartDocument
}

export interface PolicyDocument {
  readonly name: string
  readonly effect: 'permit' | 'forbid'
  readonly applies: boolean
  readonly passed_over?: string
  readonly when?: PartDocument
}

export interface ExplanationDocument {
  readonly document: string
  readonly same_document?: boolean
  readonly record?: Readonly<Record<string, unknown>>
  readonly request?: Readonly<Record<string, unknown>>
  readonly proof?: {
    readonly authenticator: string
    readonly type: string
    readonly use: 'rules' | 'join_token' | 'renewal' | 'identity_only'
    readonly attributes: Readonly<Record<string, unknown>>
  }
  readonly refused?: { readonly code: string; readonly reason: string }
  readonly unexplained?: string
  readonly rules?: readonly RuleDocument[]
  readonly other_rules?: number
  readonly policies?: readonly PolicyDocument[]
  readonly decision?: {
    readonly granted: boolean
    readonly code?: string
    readonly reason: string
    readonly spiffe_id?: string
    readonly rule?: string
    readonly policy?: string
    readonly notes: readonly string[]
  }
}

/** @param most Rules and policies that do not apply: so many of each are shown, the nearest ones. */
export function formatExplanation(explanation: ExplanationDocument, most: number): string {
  const { record, request, proof, refused, unexplained } = explanation
  return [
    ...(record === undefined ? [] : section('record', formatRecord(record))),
    ...documentNote(explanation),
    ...(request === undefined ? [] : section('asked for', formatFields(fieldsOf(request)))),
    ...(proof === undefined ? [] : section('proof', formatProof(proof))),
    ...(refused === undefined ? [] : section('proof', formatVerdict(false, `${refused.reason} (${refused.code})`))),
    ...(unexplained === undefined ? [] : section('not decided again', unexplained)),
    ...formatConsidered(explanation, most),
    ...formatDecision(explanation),
  ].join('\n')
}

function section(title: string, text: string): readonly string[] {
  return [style(process.stdout, 'bold', title), ...text.split('\n').map((line) => `  ${line}`.trimEnd()), '']
}

const shownOfRecord = [
  'time',
  'request_id',
  'operation',
  'decision',
  'code',
  'reason',
  'spiffe_id',
  'rule',
  'policy',
  'notes',
]

function formatRecord(record: Readonly<Record<string, unknown>>): string {
  return formatFields(shownOfRecord.map((name) => [name, shown(record[name])]))
}

function documentNote({ same_document: isSame }: ExplanationDocument): readonly string[] {
  if (isSame !== false) return []
  const text = 'Another document decided then: what follows is how the one in use decides.'
  return [style(process.stdout, 'yellow', text), '']
}

function fieldsOf(values: Readonly<Record<string, unknown>>): readonly (readonly [string, string | undefined])[] {
  return Object.entries(values).map(([name, value]) => [name, shown(value)])
}

function shown(value: unknown): string | undefined {
  return value === undefined || typeof value === 'string' ? value : JSON.stringify(value)
}

const uses = {
  rules: 'rules say what it is good for',
  join_token: 'a join token: rules say what it is good for',
  renewal: 'an X.509-SVID of ours: the same identity again, while its rule stands',
  identity_only: 'a JWT-SVID of ours: it gets no other SVID',
} as const

function formatProof({ authenticator, type, use, attributes }: NonNullable<ExplanationDocument['proof']>): string {
  return [`accepted by ${authenticator} (${type}); ${uses[use]}`, formatFields(fieldsOf(attributes))]
    .join('\n')
    .trimEnd()
}

function formatConsidered({ rules, other_rules: others = 0, policies }: ExplanationDocument, most: number) {
  if (rules === undefined || policies === undefined) return []
  const shownRules = nearest(rules, most)
  const left = [
    ...leftOut(rules.length - shownRules.length, 'rule does not apply', 'rules do not apply'),
    ...leftOut(others, 'rule is for proofs of other authenticators', 'rules are for proofs of other authenticators'),
  ]
  const shownPolicies = nearest(policies, most)
  const leftPolicies = leftOut(policies.length - shownPolicies.length, 'policy does not apply', 'policies do not apply')
  return [
    ...section('rules', [...shownRules.map(formatRule), ...left].join('\n') || 'there are none'),
    ...(policies.length === 0
      ? []
      : section('policies', [...shownPolicies.map(formatPolicy), ...leftPolicies].join('\n'))),
  ]
}

function leftOut(count: number, one: string, many: string): readonly string[] {
  if (count === 0) return []
  return [style(process.stdout, 'dim', `${count} more ${count === 1 ? one : many}`)]
}

interface Considered {
  readonly applies: boolean
  readonly passed_over?: string
  readonly when?: PartDocument
}

/** Those that apply, and of the others the nearest, in their order. */
function nearest<T extends Considered>(all: readonly T[], most: number): readonly T[] {
  const near = all
    .filter(({ applies }) => !applies)
    .toSorted((a, b) => distance(a) - distance(b))
    .slice(0, most)
  return all.filter((item) => item.applies || near.includes(item))
}

function distance({ passed_over: passedOver, when }: Considered): number {
  if (passedOver !== undefined) return Number.POSITIVE_INFINITY
  return when === undefined ? 0 : missing(when)
}

/** How many comparisons would have to come out otherwise. */
function missing({ value, joins, parts = [] }: PartDocument): number {
  if (value === 'true') return 0
  const each = parts.map(missing)
  if (joins === 'any') return Math.min(...each)
  return joins === 'all' ? each.reduce((sum, count) => sum + count, 0) : 1
}

function formatRule({ name, applies, spiffe_id: spiffeId, notes, when }: RuleDocument): string {
  const told = applies ? `gives ${spiffeId}` : 'does not apply'
  return formatItem(applies, `${name} ${told}`, [...whyNot(applies, when), ...notes])
}

function formatPolicy({ name, effect, applies, passed_over: passedOver, when }: PolicyDocument): string {
  const told = applies ? 'applies' : passedOver === undefined ? 'does not apply' : `is passed over: ${passedOver}`
  return formatItem(applies, `${effect} ${name} ${told}`, whyNot(applies, when))
}

function formatItem(applies: boolean, title: string, lines: readonly string[]): string {
  const mark = style(process.stdout, applies ? 'bold' : 'dim', applies ? '✓' : '✗')
  return [`${mark} ${oneLine(title)}`, ...lines.map((line) => `    ${line}`)].join('\n')
}

/** Of a condition that holds there is nothing to tell. */
function whyNot(applies: boolean, when: PartDocument | undefined): readonly string[] {
  if (when === undefined || (applies && when.value === 'true')) return []
  return formatParts(when)
}

const colours = { true: 'green', false: 'red', failed: 'yellow' } as const

/** The terms of what has to hold as a whole stand by themselves. */
function formatParts(
  { text, value, problem, read = {}, joins, parts = [] }: PartDocument,
  depth = 0,
): readonly string[] {
  if (depth === 0 && joins === 'all') return parts.flatMap((part) => formatParts(part, 1))
  const indent = '  '.repeat(Math.max(0, depth - 1))
  const values = Object.entries(read).map(([path, found]) => `${path} is ${JSON.stringify(found)}`)
  const said = joins === undefined ? (problem ?? values.join(', ')) : ''
  const line = `${style(process.stdout, colours[value], value.padEnd(6))}  ${indent}${oneLine(text)}`
  return [
    said === '' ? line : `${line}    ${style(process.stdout, 'dim', oneLine(said))}`,
    ...parts.flatMap((part) => formatParts(part, depth + 2)),
  ]
}

function formatDecision({ decision }: ExplanationDocument): readonly string[] {
  if (decision === undefined) return []
  const { granted, code, reason, spiffe_id: spiffeId, notes } = decision
  const told = granted ? reason : `${reason} (${code})`
  const lines = [formatVerdict(granted, told), ...(spiffeId === undefined ? [] : [`as ${spiffeId}`]), ...notes]
  return section('decision', lines.join('\n')).slice(0, -1)
}

function formatVerdict(granted: boolean, reason: string): string {
  const word = granted ? style(process.stdout, 'green', 'granted') : style(process.stdout, 'red', 'refused')
  return `${word}: ${oneLine(reason)}`
}
