/**
 * What operators are told of syncs.
 *
 * @module
 */
import * as z from 'zod'
import { spiffeId, text, time } from './fields.ts'

const count = z.int().min(0)

export const syncCountsDocument = z
  .object({
    current: count.meta({ description: 'Stand as they should.' }),
    created: count,
    updated: count,
    adopted: count,
    repaired: count.meta({ description: 'Were edited or emptied by somebody else.' }),
    marked: count.meta({ description: 'Had the right value, and other tags or settings.' }),
    removed: count,
    left_over: count.meta({ description: 'Stay, though nothing at the source stands for them any more.' }),
    problems: count,
  })
  .meta({ id: 'SyncCounts' })
export type SyncCountsDocument = z.output<typeof syncCountsDocument>

const reference = z
  .object({ path: text, key: text.optional() })
  .meta({ description: 'At the source; with the key where the path gives one secret for each.' })

const fault = {
  kind: text.meta({ description: 'What kind of problem it is, such as `conflict` or `throttled`.' }),
  message: text,
  source: reference.optional(),
  name: text.optional().meta({ description: 'At the destination.' }),
  code: text.optional().meta({ description: 'As the cloud has it.' }),
  cloud_request_id: text.optional(),
  fix: text.optional().meta({ description: 'What most likely helps.' }),
}

export const syncFaultDocument = z.object(fault).meta({ id: 'SyncProblem' })
export type SyncFaultDocument = z.output<typeof syncFaultDocument>

const state = z
  .enum(['synced', 'incomplete', 'deletions_held', 'failed'])
  .meta({ description: '`deletions_held`: more would be removed than may be without a yes.' })

export const destinationStatusDocument = z
  .object({
    state,
    finished_at: time,
    synced_at: time.optional().meta({ description: 'When everything was last as it should be.' }),
    counts: syncCountsDocument,
    problems: z.array(syncFaultDocument).meta({ description: 'The first fifty.' }),
    error: text.optional().meta({ description: 'Why the run came to no end.' }),
  })
  .meta({ id: 'SyncDestinationStatus' })
export type DestinationStatusDocument = z.output<typeof destinationStatusDocument>

export const syncStatusDocument = z
  .object({
    started_at: time,
    finished_at: time.optional(),
    fence: z.int().min(1).meta({ description: 'Greater with each worker’s turn.' }),
    destinations: z.record(text, destinationStatusDocument),
  })
  .meta({ id: 'SyncStatus' })
export type SyncStatusDocument = z.output<typeof syncStatusDocument>

export const syncDocument = z
  .object({
    name: text,
    source: text,
    paths: z.array(text),
    destinations: z.array(text),
    spiffe_id: spiffeId,
    paused: z.boolean(),
    running: z.boolean().meta({ description: 'In the process that answers.' }),
    status: syncStatusDocument.optional(),
  })
  .meta({ id: 'Sync' })
export type SyncDocument = z.output<typeof syncDocument>
