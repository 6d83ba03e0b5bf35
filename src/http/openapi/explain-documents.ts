/**
 * Why something is granted or refused, as operators are told.
 *
 * @module
 */
import * as z from 'zod'
import { codes } from './admin-documents.ts'
import { seconds, spiffeId, text, time } from './fields.ts'

const part = z
  .object({
    text: text.meta({ description: 'As the configuration has it.' }),
    value: z.enum(['true', 'false', 'failed']),
    problem: text.optional(),
    read: z.record(text, z.unknown()).optional().meta({ description: 'What it reads, and what that is.' }),
    joins: z.enum(['all', 'any', 'not']).optional(),
    get parts() {
      return z.array(part).optional()
    },
  })
  .meta({ id: 'ExplainedPart' })

const request = z.object({
  operation: text,
  audience: z.array(text).optional(),
  target: text.optional(),
  path: text.optional(),
  spiffe_id: spiffeId.optional(),
  ttl_seconds: seconds.optional(),
  address: text.optional(),
  time,
})

const explained = z
  .object({
    record: z.record(text, z.unknown()).optional().meta({ description: 'Where a request of the past was asked for.' }),
    document: text.meta({ description: 'SHA-256 of the configuration that was asked.' }),
    same_document: z.boolean().optional().meta({ description: 'Whether it is the one that decided then.' }),
    request: request.optional(),
    proof: z.object({ authenticator: text, type: text, use: text, attributes: z.record(text, z.unknown()) }).optional(),
    refused: z.object({ code: codes, reason: text }).optional().meta({ description: 'Why the proof is none.' }),
    unexplained: text.optional(),
    rules: z
      .array(
        z.object({
          name: text,
          applies: z.boolean(),
          spiffe_id: spiffeId.optional(),
          notes: z.array(text),
          when: part.optional(),
        }),
      )
      .optional(),
    other_rules: z.int().min(0).optional(),
    policies: z
      .array(
        z.object({
          name: text,
          effect: z.enum(['permit', 'forbid']),
          applies: z.boolean(),
          passed_over: text.optional(),
          when: part.optional(),
        }),
      )
      .optional(),
    decision: z
      .object({
        granted: z.boolean(),
        code: codes.optional(),
        reason: text,
        spiffe_id: spiffeId.optional(),
        rule: text.optional(),
        policy: text.optional(),
        notes: z.array(text),
      })
      .optional(),
  })
  .meta({ id: 'Explained' })

export const explanationsDocument = z.object({ items: z.array(explained) })

export const rotationDocument = z.object({
  key: text.meta({ description: 'Tells the key that seals from others, and says nothing of it.' }),
  resealed: z.int().min(0),
  former_key_file: text.optional(),
})
