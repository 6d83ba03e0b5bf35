/**
 * Errors as they are answered.
 *
 * @module
 */
import * as z from 'zod'
import { requestId } from './fields.ts'

/** RFC 9457 problem details, of one of these codes. */
export function problemOf(status: number, title: readonly string[], codes: readonly string[]) {
  return z.object({
    type: z.literal('about:blank'),
    title: z.enum(title as readonly [string, ...string[]]),
    status: z.literal(status),
    code: z.enum(codes as readonly [string, ...string[]]).meta({ description: 'Stable: branch on this.' }),
    request_id: requestId,
    detail: z.string().optional().meta({ description: 'What is wrong with the request itself, where it may be said.' }),
  })
}

/** RFC 6749 §5.2, with the request id. */
export function oauthErrorOf(errors: readonly string[]) {
  return z.object({
    error: z.enum(errors as readonly [string, ...string[]]),
    error_description: z.string().optional(),
    request_id: requestId,
  })
}
