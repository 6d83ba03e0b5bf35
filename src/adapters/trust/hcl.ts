/**
 * Terraform's language, as far as a set-up needs it: blocks, attributes and values, laid out as `terraform fmt` does.
 *
 * @see {@link https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md HCL native syntax}
 * @module
 */

/** An expression as it stands, such as `aws_iam_role.x.arn`. */
export interface HclExpression {
  readonly expression: string
}

export interface HclObject {
  readonly [key: string]: HclValue
}

export type HclValue = string | number | boolean | HclExpression | HclObject | readonly HclValue[]

export interface HclBlock {
  readonly type: string
  readonly labels?: readonly string[]
  readonly attributes?: Readonly<Record<string, HclValue | undefined>>
  readonly blocks?: readonly HclBlock[]
}

export function hclExpression(expression: string): HclExpression {
  return { expression }
}

/** A name of a resource: letters, digits, dash and underscore, no digit first. */
export function hclName(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/g, '_').replace(/^(?=[^A-Za-z_])/, '_')
}

/** A quoted template that means the text itself. */
export function formatHclText(text: string): string {
  const escaped = text
    .replace(/["\\]/g, '\\$&')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
    // `${` and `%{` begin an expression or a directive unless the first sign is doubled.
    .replace(/([$%])(?=\{)/g, '$1$1')
    .replace(/[^\x20-\x7e]/gu, escapeRune)
  return `"${escaped}"`
}

function escapeRune(rune: string): string {
  const code = rune.codePointAt(0) ?? 0
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
}

/** @param comments Lines above the first block. */
export function formatHcl(comments: readonly string[], blocks: readonly HclBlock[]): string {
  const head = comments.map((line) => `# ${line.replace(/[^\x20-\x7e]/g, '?')}`.trimEnd()).join('\n')
  return `${[head, ...blocks.map((block) => formatBlock(block, ''))].filter((part) => part !== '').join('\n\n')}\n`
}

function formatBlock({ type, labels = [], attributes = {}, blocks = [] }: HclBlock, indent: string): string {
  const inner = `${indent}  `
  const present = Object.entries(attributes).filter((entry): entry is [string, HclValue] => entry[1] !== undefined)
  const body = [
    ...(present.length > 0 ? [formatMembers(present, inner)] : []),
    ...blocks.map((block) => formatBlock(block, inner)),
  ]
  const head = [type, ...labels.map(formatHclText)].join(' ')
  return `${indent}${head} {\n${body.join('\n\n')}\n${indent}}`
}

/** Signs of equality of neighbours stand in one column; a value of several lines ends a neighbourhood. */
function formatMembers(members: readonly (readonly [string, HclValue])[], indent: string): string {
  const written = members.map(([name, value]) => ({ name, value: formatValue(value, indent) }))
  const groups: { name: string; value: string }[][] = [[]]
  for (const member of written) {
    if (member.value.includes('\n')) groups.push([member], [])
    else groups.at(-1)?.push(member)
  }
  return groups.flatMap((group) => alignMembers(group, indent)).join('\n')
}

function alignMembers(group: readonly { readonly name: string; readonly value: string }[], indent: string) {
  const width = Math.max(0, ...group.map(({ name }) => name.length))
  return group.map(({ name, value }) => `${indent}${name.padEnd(width)} = ${value}`)
}

function formatValue(value: HclValue, indent: string): string {
  if (typeof value === 'string') return formatHclText(value)
  if (typeof value !== 'object') return String(value)
  if (isList(value)) return formatList(value, indent)
  if (isExpression(value)) return value.expression
  return formatHclObject(value, indent)
}

function isList(value: HclValue): value is readonly HclValue[] {
  return Array.isArray(value)
}

function isExpression(value: HclExpression | HclObject): value is HclExpression {
  return typeof value['expression'] === 'string' && Object.keys(value).length === 1
}

function formatList(values: readonly HclValue[], indent: string): string {
  const [only = ''] = values
  if (values.length < 2) return `[${values.length === 0 ? '' : formatValue(only, indent)}]`
  const written = values.map((value) => formatValue(value, `${indent}  `))
  const line = written.join(', ')
  if (line.length < 60 && !line.includes('\n')) return `[${line}]`
  return `[\n${written.map((text) => `${indent}  ${text},`).join('\n')}\n${indent}]`
}

/** Keys are quoted, so that none is taken for an expression. */
export function formatHclObject(value: HclObject, indent = ''): string {
  const members = Object.entries(value).map(([key, member]) => [formatHclText(key), member] as const)
  return members.length === 0 ? '{}' : `{\n${formatMembers(members, `${indent}  `)}\n${indent}}`
}
