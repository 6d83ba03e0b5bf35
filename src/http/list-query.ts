/**
 * The query of a list: `limit` and `after`.
 *
 * @module
 */
import * as z from 'zod'
import { malformed } from './body.ts'

/** Where an answer before ended. Names in lists are ASCII, and PostgreSQL takes no NUL. */
export const positionField = z.string().regex(/^[ -~]+$/, { error: 'expected the `next` of an answer before' })

export const listQuery = {
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  after: positionField.max(256).optional(),
}

/** @throws {Refusal} `malformed_request` */
export function readListQuery(query: Record<string, string>): { readonly limit: number; readonly after?: string } {
  const { limit, after } = readQuery(query, z.strictObject(listQuery))
  return { limit, ...(after !== undefined && { after }) }
}

/** @throws {Refusal} `malformed_request` that names the parameter */
export function readQuery<Schema extends z.ZodType>(query: Record<string, string>, schema: Schema): z.output<Schema> {
  const parsed = schema.safeParse(query)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const field = issue?.code === 'unrecognized_keys' ? issue.keys.join(', ') : (issue?.path.join('.') ?? '')
  throw malformed(`${field}: ${issue?.code === 'unrecognized_keys' ? 'unknown parameter' : issue?.message}`)
}
