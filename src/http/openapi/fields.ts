/**
 * Fields that many answers share.
 *
 * @module
 */
import * as z from 'zod'
import { audienceField, spiffeIdField, ttlField } from '../body.ts'

export const time = z.string().meta({ format: 'date-time', description: 'RFC 3339, in UTC.' })
export const spiffeId = z.string().meta({ examples: ['spiffe://example.org/ns/web/sa/api'] })
export const trustDomain = z.string().regex(/^[a-z0-9._-]{1,255}$/)
export const seconds = z.int().min(0)
export const pem = z.string().meta({ description: 'PEM, one certificate after the other.' })
export const requestId = z
  .string()
  .regex(/^[0-9a-f]{24}$/)
  .meta({ description: 'Under which the request is on record.' })
export const next = z.string().nullable().meta({ description: '`after` of the next page; null on the last one.' })
export const text = z.string()

/** What is to be said of schemas that routes read with, and that neither describe themselves nor show their own checks. */
export const described = new Map<z.core.$ZodType, Readonly<Record<string, string>>>([
  [audienceField, { description: 'Who the token is for. One, unless the rule’s `max_audiences` says more.' }],
  [
    spiffeIdField,
    {
      description: 'Which identity of the proof is meant. Default: the first.',
      pattern: '^spiffe://[a-z0-9._-]{1,255}(?:/[A-Za-z0-9._-]+)*$',
    },
  ],
  [ttlField, { description: 'At most, and by default, what the identity rule says.' }],
])
