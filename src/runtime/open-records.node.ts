/**
 * The records of a process: its chain, who writes it, and what operators do with all of them.
 *
 * @module
 */
import { createRecordWriter } from '../adapters/stores/record-writer.ts'
import type { RecordWriter } from '../core/audit.ts'
import { type ChainLease, createChainLease, renewMs } from '../core/chain-lease.ts'
import { createRecords, type Records, type RecordsDeps } from '../core/records.ts'
import type { Telemetry } from '../core/telemetry.ts'
import type { Task } from './clockwork.node.ts'
import type { OpenStore } from './open-store.node.ts'
import { unlessReadOnly } from './unless-read-only.ts'

export interface OpenRecordsInput extends Pick<RecordsDeps, 'trustDomain' | 'now'> {
  readonly opened: OpenStore
  readonly telemetry: Telemetry
  readonly monotonicMs: () => number
  readonly randomBytes: (size: number) => Uint8Array
}

export interface OpenRecords {
  readonly writer: RecordWriter
  readonly records: Records
  readonly tasks: readonly Task[]
  /** Writes what waits. Idempotent. */
  readonly close: () => Promise<void>
}

/** Of a store that one process has for itself. */
const onlyChain = 'main'
const headMs = 60_000
/** Without a chain nothing is granted, as after a start on a standby that was promoted since. */
const lookMs = 1_000

/** @throws {StoreError} */
export async function openRecords(input: OpenRecordsInput): Promise<OpenRecords> {
  const { opened, telemetry } = input
  const { store, recordKeys, isShared } = opened
  const lease = isShared
    ? createChainLease({ ...input, store, signHead: (chain) => records.signHeadOf(chain) })
    : undefined
  const chain = lease?.chain ?? (() => onlyChain)
  const writer = await createRecordWriter({ store, chain, macKey: recordKeys.macKey, telemetry })
  const records = createRecords({ ...input, store, writer, keys: recordKeys })
  if (lease) await unlessReadOnly(telemetry, 'a chain of records', lease.renew)
  return {
    writer,
    records,
    tasks: [
      { name: 'head of the records', everyMs: headMs, run: records.signHeads },
      ...(lease ? [{ name: 'chain of the records', everyMs: lookMs, run: whenDue(lease, input.monotonicMs) }] : []),
    ],
    async close() {
      await writer.close()
      await lease?.release()
    },
  }
}

function whenDue(lease: ChainLease, monotonicMs: () => number): () => Promise<void> {
  let renewedAtMs = monotonicMs()
  return async () => {
    if (lease.chain() !== undefined && monotonicMs() - renewedAtMs < renewMs) return
    await lease.renew()
    renewedAtMs = monotonicMs()
  }
}
