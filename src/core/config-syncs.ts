/**
 * The part of the configuration that says which secrets are kept equal where.
 *
 * @module
 */
import * as z from 'zod'
import { durationField } from './config-fields.ts'

const name = z.string().min(1).max(63)

/** A share such as 0.2 or `20%`. */
const share = z.union(
  [
    z.number().min(0).max(1),
    z
      .string()
      .regex(/^(?:100|\d{1,2})%$/)
      .transform((text) => Number(text.slice(0, -1)) / 100),
  ],
  { error: 'expected a share such as 20%' },
)

export const syncSchema = z.strictObject({
  /** `kv`, or the name of one of `sources`. */
  source: name.default('kv'),
  /** Patterns as of `glob`: `*` within a segment, `**` over all. */
  paths: z.array(z.string().min(1).max(256)).min(1).max(100),
  destinations: z.array(name).min(1).max(20),
  /** Template over `secret.path`, `secret.name`, `secret.folder`, `secret.key`. Default: the path, and the key behind it. */
  name: z.string().min(1).max(2048).optional(),
  /** One secret for each path, or for each key in it. */
  granularity: z.enum(['path', 'key']).default('path'),
  /** Of a secret for a path: all its keys as JSON or dotenv, or one as it is. */
  format: z.enum(['json', 'raw', 'dotenv']).optional(),
  /** Of `format: raw`: the key whose value it is; default: the only one. */
  field: z.string().min(1).max(512).optional(),
  tags: z.record(z.string().min(1).max(128), z.string().max(256)).default({}),
  /** What becomes of a secret there whose path is gone here. */
  deletion: z.enum(['delete', 'orphan']).default('delete'),
  /** What becomes of a secret there that has the name and is not ours. */
  conflict: z.enum(['refuse', 'adopt']).default('refuse'),
  /** What becomes of a secret of ours that somebody else edited there. */
  drift: z.enum(['repair', 'report']).default('repair'),
  /** From one run to the next; a change of `kv` is not waited for. */
  interval: durationField.default(300),
  /** A run that would remove more of what is ours there stops, and waits for somebody to say yes. */
  max_deletions: share.default(0.2),
  /** Stops it for a while, and leaves everything as it is. */
  paused: z.boolean().default(false),
})

export type SyncDocument = z.output<typeof syncSchema>
