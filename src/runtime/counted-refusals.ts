/**
 * Refusals that were counted instead of recorded, put on record as counts.
 *
 * @module
 */
import type { RecordWriter, RefusalLimiter } from '../core/audit.ts'

/** @param all Also those of the minute that has not ended. */
export async function keepCountedRefusals(
  limiter: RefusalLimiter,
  writer: RecordWriter,
  now: Date,
  all: boolean,
): Promise<void> {
  const entries = limiter.takeCounted(now, { all })
  if (entries.length > 0) await writer.append(entries)
}
