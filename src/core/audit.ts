/**
 * Port: where operations put their records.
 *
 * @module
 */
import type { RecordEntry } from './record.ts'
import type { ChainEnd } from './record-chain.ts'
import type { DocumentChange, JoinTokenSpend } from './store.ts'

export type { RefusalLimiter } from './refusal-limiter.ts'

/** Where the chain of a writer ends. */
export interface WriterHead extends ChainEnd {
  readonly chain: string
}

export type AppendOutcome = 'stored' | 'spent' | 'outdated'

/**
 * Port: keeps records in a chain, in the order in which they were given.
 *
 * The entries of one call are kept together or not at all, and with them the use of the join token that they spend and
 * the document that they change.
 */
export interface RecordWriter {
  /**
   * Answers once the entries are durable; `spent` when the join token had no use left, `outdated` when the document is
   * no longer of the version expected: then nothing was kept.
   *
   * @throws {Refusal} `store_unavailable` when they could not be written, `overloaded` when too many wait already
   */
  readonly append: (
    entries: readonly RecordEntry[],
    spend?: JoinTokenSpend,
    change?: DocumentChange,
  ) => Promise<AppendOutcome>
  /** Up to where this writer's chain is known to be durable. */
  readonly head: () => WriterHead
  /** Whether the last write failed: until one succeeds, nothing can be granted. */
  readonly isFailing: () => boolean
  /** Writes what waits; whatever comes later is refused. */
  readonly close: () => Promise<void>
}
