/**
 * JSON Schema as TypeScript writes types, for people to read.
 *
 * @module
 */

export type Schema = Readonly<Record<string, unknown>>

/** What it refers to is named, and nothing more. */
export function formatShape(schema: Schema, indent = ''): string {
  const { type, properties, items, anyOf, oneOf, enum: values, additionalProperties, const: constant, $ref } = schema
  if (constant !== undefined) return typeof constant === 'string' ? `'${constant}'` : JSON.stringify(constant)
  if (Array.isArray(values)) return values.map((value) => `'${String(value)}'`).join(' | ')
  const options = anyOf ?? oneOf
  if (Array.isArray(options)) return options.map((option: Schema) => formatShape(option, indent)).join(' | ')
  if (Array.isArray(type)) return type.map((one) => formatShape({ ...schema, type: one }, indent)).join(' | ')
  if (type === 'array') return `${wrapUnion(formatShape(items as Schema, indent), items as Schema)}[]`
  if (properties !== undefined && Object.keys(Object(properties)).length > 0) return formatMembers(schema, indent)
  if (type === 'object') {
    const inner = Object.keys(Object(additionalProperties)).length > 0 ? (additionalProperties as Schema) : {}
    return `Record<string, ${formatShape(inner, indent)}>`
  }
  if ($ref !== undefined) return String($ref).replace(/^.*\//, '')
  return (
    { integer: 'number', number: 'number', string: 'string', boolean: 'boolean', null: 'null' }[String(type)] ??
    'unknown'
  )
}

function formatMembers({ properties, required = [] }: Schema, indent: string): string {
  const inner = `${indent}  `
  const members = Object.entries(properties as Readonly<Record<string, Schema>>).map(([name, member]) => {
    const mark = (required as readonly string[]).includes(name) ? '' : '?'
    const about = member['description'] === undefined ? '' : ` // ${String(member['description'])}`
    return `${inner}${name}${mark}: ${formatShape(member, inner)}${about}`
  })
  return `{\n${members.join('\n')}\n${indent}}`
}

function wrapUnion(shape: string, { anyOf, oneOf, enum: values, type }: Schema): string {
  const count = [anyOf, oneOf, values, type].map((options) => (Array.isArray(options) ? options.length : 0))
  return count.some((options) => options > 1) ? `(${shape})` : shape
}
