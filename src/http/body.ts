/**
 * Request bodies: JSON by schema, fields by the parsers of the protocol floor.
 *
 * @module
 */
import * as z from 'zod'
import { Refusal } from '../core/refusal.ts'
import { ProtocolError } from '../protocol/errors.ts'
import { parseStrictJson } from '../protocol/json.ts'
import { parseSpiffeId } from '../protocol/spiffe-id.ts'

/** The largest body that is read. */
export const maxBodyBytes = 128 * 1024

/**
 * The value of a JSON body that fits `schema`.
 *
 * @throws {Refusal} `malformed_request`, with the field that is wrong but none of what the caller wrote there
 */
export function readJsonBody<Schema extends z.ZodType>(text: string, schema: Schema): z.output<Schema> {
  const parsed = schema.safeParse(parseBody(text))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw malformed(describe(issue))
}

function parseBody(text: string): unknown {
  try {
    return parseStrictJson(text)
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw malformed(`the body is not JSON (${cause.detail})`, cause)
  }
}

/** @throws {Refusal} `unsupported_media_type` */
export function requireMediaType(contentType: string | undefined, ...expected: readonly string[]): void {
  const mediaType = contentType?.split(';', 1)[0]?.trim().toLowerCase()
  if (mediaType !== undefined && expected.includes(mediaType)) return
  const names = expected.join(' or ')
  throw new Refusal('unsupported_media_type', `the body is not ${names}`, { detail: `expected ${names}` })
}

export function malformed(detail: string, cause?: unknown): Refusal {
  return new Refusal('malformed_request', detail, { detail, cause })
}

function describe(issue: z.core.$ZodIssue | undefined): string {
  if (issue === undefined) return 'the body does not fit'
  if (issue.code === 'unrecognized_keys') return `unknown field in ${fieldName(issue.path) || 'the body'}`
  return `${fieldName(issue.path) || 'the body'}: ${issue.message.replace(/^Invalid input: /, '')}`
}

/** Field names of the schema and positions only: names that the caller made up are not repeated. */
function fieldName(path: readonly PropertyKey[]): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : String(step)))
    .join('.')
    .replaceAll('.[', '[')
}

export const spiffeIdField = z.string().max(2048).refine(isSpiffeId, { error: 'expected a SPIFFE ID' })

function isSpiffeId(text: string): boolean {
  try {
    parseSpiffeId(text)
    return true
  } catch (error) {
    if (error instanceof ProtocolError) return false
    throw error
  }
}

export const ttlField = z
  .int()
  .positive()
  .max(10 * 366 * 86_400)
export const audienceField = z.array(z.string().min(1).max(2048)).min(1).max(16)

/** The caller went away: nothing of ours is wrong, and nobody is left to be told. */
export function cutOff(cause?: unknown): Refusal {
  return new Refusal('malformed_request', 'the connection ended before the body was complete', { cause })
}

/** @throws {Refusal} `malformed_request` for bytes that are not UTF-8 */
export function decodeBody(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new Refusal('malformed_request', 'the body is not UTF-8', { detail: 'the body is not UTF-8', cause })
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function tooLarge(): Refusal {
  return new Refusal('too_large', `a body above ${maxBodyBytes} bytes`)
}
