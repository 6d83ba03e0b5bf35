/**
 * DNS names in X.509-SVIDs, and the templates they come from.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc1123#section-2.1 RFC 1123}
 * @module
 */
import { isDnsLabel } from './attribute-values.ts'
import { type Expression, ExpressionError, type Variables } from './expression.ts'
import { fillTemplate, isHole, isLiteral, type Template } from './template.ts'

const maxNameLength = 253

/** Lower case, without the dot at the end, and no IP address: a last label of digits alone would be read as one. */
export function isDnsName(text: string): boolean {
  const labels = text.split('.')
  return text.length <= maxNameLength && labels.every(isDnsLabel) && !/^\d+$/.test(labels.at(-1) ?? '')
}

/** Why a template can never give a name that a workload may have, if that is certain. */
export function findDnsTemplateProblem(template: Template, reserved: ReadonlySet<string>): string | undefined {
  const wrongType = template.pieces.find((piece) => isHole(piece) && piece.type !== 'string' && piece.type !== 'dyn')
  if (isHole(wrongType)) return `${wrongType.text} is a ${wrongType.type}: a DNS name is made of strings`
  const sample = template.pieces.map((piece) => (isHole(piece) ? 'x' : piece)).join('')
  if (!isDnsName(sample)) return 'not a DNS name in lower case'
  return isLiteral(template) && reserved.has(sample) ? `${sample} is reserved: it is a host of ours` : undefined
}

/** @throws {ExpressionError} where the proof's values give no name that a workload may have */
export function buildDnsName(template: Template, variables: Variables, reserved: ReadonlySet<string>): string {
  const name = fillTemplate(template, variables, writeLabel)
  if (!isDnsName(name)) throw new ExpressionError('dns_name', `${template.text} comes to no valid DNS name`)
  if (reserved.has(name)) throw new ExpressionError('reserved', `${template.text} comes to a reserved DNS name`)
  return name
}

function writeLabel(value: unknown, hole: Expression): string {
  if (typeof value === 'string' && isDnsLabel(value)) return value
  throw new ExpressionError('not_a_label', `${hole.text} is not one lower-case label of a DNS name`)
}

/** Whether a template may have given the name: its literal text with one label, or a part of one, in each hole. */
export function fitsDnsTemplate(name: string, template: Template): boolean {
  const anyLabel = '[a-z0-9-]+'
  const source = template.pieces.reduce<string>((pattern, piece) => {
    if (!isHole(piece)) return pattern + piece.replaceAll('.', '\\.')
    return pattern.endsWith(anyLabel) ? pattern : pattern + anyLabel
  }, '')
  return isDnsName(name) && new RegExp(`^${source}$`).test(name)
}
