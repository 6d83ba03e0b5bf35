/**
 * Paths of the SPIFFE IDs that rules give: the templates they come from, and those that are ours alone.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md SPIFFE-ID} §2.2
 * @module
 */
import { ProtocolError } from '../protocol/errors.ts'
import { buildSpiffeId, isBelow, isPathSegment, type SpiffeId, type TrustDomain } from '../protocol/spiffe-id.ts'
import { type Expression, ExpressionError, type Variables } from './expression.ts'
import { fillTemplate, isHole, type Template } from './template.ts'

/** Paths that no workload gets, with all below them: the gateway's own, and what SPIRE gives to its parts. */
export const reservedPaths: readonly string[] = ['/apostille', '/spire/server', '/spire/agent']

export function isReservedPath(path: string): boolean {
  return reservedPaths.some((reserved) => isBelow(path, reserved))
}

/** Whether the hole takes a whole path, with its slashes, instead of one segment. */
function takesPath(hole: Expression): boolean {
  return hole.text.trim() === 'proof.path'
}

/** Why a template can never give the path of an identity, if that is certain. */
export function findPathTemplateProblem(template: Template): string | undefined {
  const { pieces, text } = template
  if (text.startsWith('spiffe://'))
    return 'a rule gives IDs of our own trust domain: write the path only, such as /ns/web'
  const wrongType = pieces.find((piece) => isHole(piece) && piece.type !== 'string' && piece.type !== 'dyn')
  if (isHole(wrongType)) return `${wrongType.text} is a ${wrongType.type}: a path is made of strings`
  const sample = pieces.map((piece) => (isHole(piece) ? (takesPath(piece) ? '/x' : 'x') : piece)).join('')
  if (!sample.startsWith('/')) return 'a path starts with a slash'
  if (isReservedTemplate(template))
    return `reserved: ${reservedPaths.join(', ')} and all below them are not for workloads`
  return samplePathProblem(sample)
}

function samplePathProblem(sample: string): string | undefined {
  try {
    buildSpiffeId('x' as TrustDomain, sample)
    return undefined
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    if (error.code === 'spiffe_id_too_long') return 'a SPIFFE ID has at most 2048 bytes'
    return 'not a path: segments are letters, digits, dots, dashes and underscores, with one slash between them and none at the end'
  }
}

/** Whether whatever fills the holes is reserved: the literal text before the first of them tells. */
function isReservedTemplate({ pieces: [first, second] }: Template): boolean {
  if (typeof first !== 'string') return false
  const settled = second === undefined || first.endsWith('/') || (isHole(second) && takesPath(second))
  return isReservedPath(settled ? first : first.slice(0, first.lastIndexOf('/') + 1))
}

/** @throws {ExpressionError} where the proof's values give no path that a workload may have */
export function buildRuleId(trustDomain: TrustDomain, template: Template, variables: Variables): SpiffeId {
  const path = fillTemplate(template, variables, writeSegment)
  if (path === '') throw new ExpressionError('spiffe_id_path', 'spiffe_id comes to no path')
  if (isReservedPath(path)) throw new ExpressionError('reserved', 'spiffe_id comes to a reserved path')
  try {
    return buildSpiffeId(trustDomain, path)
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    const what = cause.code === 'spiffe_id_too_long' ? 'more than 2048 bytes' : 'no valid path'
    throw new ExpressionError(cause.code, `spiffe_id comes to ${what}`, { cause })
  }
}

function writeSegment(value: unknown, hole: Expression): string {
  if (typeof value !== 'string') throw new ExpressionError('not_a_string', `${hole.text} is not a string`)
  if (takesPath(hole) || isPathSegment(value)) return value
  throw new ExpressionError('not_a_segment', `${hole.text} is not one segment of a path`)
}
