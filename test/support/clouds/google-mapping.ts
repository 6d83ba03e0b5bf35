/**
 * Attribute mappings and conditions of workload identity providers: the part of Google's CEL that names `assertion`,
 * `google` and `attribute`, with `extract()`.
 *
 * @see {@link https://cloud.google.com/iam/docs/workload-identity-federation#mapping}
 * @module
 */
import { Environment } from '@marcbachmann/cel-js'

/** Attributes of an identity: `google.subject`, `attribute.team` … */
export type MappedAttributes = Readonly<Record<string, string>>

type Claims = Readonly<Record<string, unknown>>

const environment = new Environment({ unlistedVariablesAreDyn: true })
  .registerFunction('string.extract(string): string', extract)
  .registerFunction('extract(dyn, string): string', extract)

/**
 * The text between what stands before and after the one `{name}` of the template; empty where there is no match.
 *
 * @see {@link https://cloud.google.com/iam/docs/conditions-attribute-reference#extract}
 */
export function extract(text: string, template: string): string {
  const [before, after, ...rest] = template.split(/\{[^{}]*\}/)
  if (before === undefined || after === undefined || rest.length > 0) throw new Error('extract() takes one {name}')
  const found = text.indexOf(before)
  if (found < 0) return ''
  const start = found + before.length
  const end = after === '' ? text.length : text.indexOf(after, start)
  return end < 0 ? '' : text.slice(start, end)
}

/** @returns undefined where an expression is malformed, reads what is absent, or gives no text */
export function mapAttributes(
  mapping: Readonly<Record<string, string>>,
  assertion: Claims,
): MappedAttributes | undefined {
  const mapped = Object.entries(mapping).map(
    ([name, expression]) => [name, evaluate(expression, { assertion })] as const,
  )
  if (!mapped.every((entry): entry is readonly [string, string] => typeof entry[1] === 'string')) return undefined
  return Object.fromEntries(mapped)
}

/** A condition that is malformed or reads what is absent does not hold. */
export function holdsCondition(condition: string, assertion: Claims, attributes: MappedAttributes): boolean {
  const below = (prefix: string) =>
    Object.fromEntries(
      Object.entries(attributes)
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, value]) => [name.slice(prefix.length), value]),
    )
  const variables = { assertion, mapped: below('google.'), attribute: below('attribute.') }
  return evaluate(renameGoogle(condition), variables) === true
}

/** The library has a constant named `google`, which no variable may hide; texts in quotes stay as they are. */
function renameGoogle(expression: string): string {
  return expression.replace(/('[^']*'|"[^"]*")|\bgoogle(?=\.)/g, (_, quoted: string | undefined) => quoted ?? 'mapped')
}

function evaluate(expression: string, variables: Readonly<Record<string, unknown>>): unknown {
  try {
    return environment.evaluate(expression, { ...variables })
  } catch {
    return undefined
  }
}
