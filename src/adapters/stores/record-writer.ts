/**
 * Writes records, all that were asked for in one turn of the event loop in one durable write: the disk makes so many
 * syncs a second, however much is in each.
 *
 * @module
 */
import type { KeyObject } from 'node:crypto'
import type { AppendOutcome, RecordWriter, WriterHead } from '../../core/audit.ts'
import { formatRecord, type RecordEntry } from '../../core/record.ts'
import { type ChainEnd, chainStart, linkRecord } from '../../core/record-chain.ts'
import { Refusal } from '../../core/refusal.ts'
import {
  type DocumentChange,
  type JoinTokenSpend,
  type Store,
  type StoredRecord,
  StoreError,
} from '../../core/store.ts'
import type { Telemetry } from '../../core/telemetry.ts'
import { describe } from './sqlite-database.ts'

export interface RecordWriterDeps {
  readonly store: Store
  /** Name of the chain: one writer has it at a time. Undefined while there is none to write to. */
  readonly chain: () => string | undefined
  readonly macKey: KeyObject
  readonly telemetry: Telemetry
  /** Runs `flush` when the present turn is over. Default `setImmediate`. */
  readonly schedule?: (flush: () => void) => void
  /** Entries that may wait in all before more are refused. Default 100,000. */
  readonly maxWaitingEntries?: number
}

/** What one caller waits for. */
interface Waiting {
  readonly entries: readonly { readonly at: Date; readonly body: string }[]
  readonly spend: JoinTokenSpend | undefined
  readonly change: DocumentChange | undefined
  readonly resolve: (outcome: AppendOutcome) => void
  readonly reject: (error: Refusal) => void
}

/** Entries that one write takes: so many keep the event loop for some 10 ms. */
const maxBatchEntries = 1000

/** @throws {StoreError} when it can not be read where the chain ends */
export async function createRecordWriter(deps: RecordWriterDeps): Promise<RecordWriter> {
  const { schedule = setImmediate, maxWaitingEntries = 100_000 } = deps
  const chain = await openChain(deps)
  const report = createReport(deps.telemetry)
  let waiting: Waiting[] = []
  let waitingEntries = 0
  let closed = false
  let flushing: Promise<void> | undefined
  let scheduled = false

  const showWaiting = () => deps.telemetry.gauge('apostille_store_waiting_records', waitingEntries)
  const scheduleFlush = () => {
    if (scheduled || flushing || waiting.length === 0) return
    scheduled = true
    schedule(() => void flush())
  }
  const takeBatch = (): readonly Waiting[] => {
    const count = batchSize(waiting)
    const batch = waiting.slice(0, count)
    waiting = waiting.slice(count)
    waitingEntries -= entriesOf(batch)
    showWaiting()
    return batch
  }
  const flush = async () => {
    scheduled = false
    if (flushing || waiting.length === 0) return flushing
    flushing = writeBatch(chain, report, takeBatch())
    await flushing
    flushing = undefined
    scheduleFlush()
  }
  const append: RecordWriter['append'] = async (entries, spend, change) => {
    if (closed) throw new Refusal('store_unavailable', 'the records are closed')
    if (waitingEntries + entries.length > maxWaitingEntries)
      throw new Refusal('overloaded', 'too many records wait to be written')
    const lines = entries.map(formatEntry)
    return new Promise((resolve, reject) => {
      waiting.push({ entries: lines, spend, change, resolve, reject })
      waitingEntries += lines.length
      showWaiting()
      scheduleFlush()
    })
  }
  return {
    append,
    head: chain.head,
    isFailing: report.isFailing,
    close: async () => {
      closed = true
      while (flushing || waiting.length > 0) await (flushing ?? flush())
    },
  }
}

function formatEntry(entry: RecordEntry) {
  return { at: entry.time, body: formatRecord(entry) }
}

const entriesOf = (batch: readonly Waiting[]) => batch.reduce((sum, { entries }) => sum + entries.length, 0)

/** How many callers fit one write, at least one. */
function batchSize(waiting: readonly Waiting[]): number {
  let entries = 0
  const beyond = waiting.findIndex((caller) => {
    entries += caller.entries.length
    return entries > maxBatchEntries
  })
  return beyond < 0 ? waiting.length : Math.max(1, beyond)
}

type ChainAppender = Awaited<ReturnType<typeof openChain>>

/** Writes that are tried again because another writer had the chain, or an earlier one of ours was kept after all. */
const maxConflicts = 3

/** Knows where the chain ends, and asks the store whenever that is in doubt. */
async function openChain(deps: RecordWriterDeps) {
  const { store, macKey } = deps
  const first = deps.chain()
  let end: WriterHead = { chain: first ?? '', ...chainStart }
  let inDoubt = false
  if (first !== undefined) end = await findEnd(deps, first, undefined)

  /** Where the chain goes on, which the lease may have moved to another one. */
  const goOn = async (): Promise<void> => {
    const chain = deps.chain()
    if (chain === undefined) throw new StoreError('unavailable', 'there is no chain of records to write to yet')
    if (inDoubt || chain !== end.chain) end = await findEnd(deps, chain, end)
    inDoubt = true
  }
  const appendAll = async (callers: readonly Waiting[]) => {
    const records = linkAll(macKey, end, callers)
    const spending = callers.filter((caller) => caller.spend !== undefined)
    const changing = callers.filter((caller) => caller.change !== undefined)
    const failed = await store.appendRecords({
      records,
      spends: spending.flatMap(({ spend }) => spend ?? []),
      changes: changing.flatMap(({ change }) => change ?? []),
    })
    if (failed.length === 0) end = records.at(-1) ?? end
    const outdated = failed.filter((index) => index >= spending.length)
    // The uses of those that are outdated may be what the others lack: these first, and the others again.
    if (outdated.length > 0)
      return new Map(outdated.map((index) => [changing[index - spending.length], 'outdated' as const]))
    return new Map(failed.map((index) => [spending[index], 'spent' as const]))
  }
  /** Of a batch whose numbers are taken nothing was kept. */
  const appendBehindOthers = async (callers: readonly Waiting[]) => {
    for (let conflicts = 1; ; conflicts++) {
      try {
        return await appendAll(callers)
      } catch (error) {
        if (!(error instanceof StoreError) || error.code !== 'conflict' || conflicts === maxConflicts) throw error
        await goOn()
      }
    }
  }
  return {
    head: () => end,
    /** Answers the callers of whom nothing was kept, and why; everything of the others is durable. */
    write: async (batch: readonly Waiting[]): Promise<ReadonlyMap<Waiting | undefined, AppendOutcome>> => {
      await goOn()
      const left = new Map<Waiting | undefined, AppendOutcome>()
      let callers = batch
      while (callers.length > 0) {
        const failed = await appendBehindOthers(callers)
        if (failed.size === 0) break
        for (const [caller, outcome] of failed) left.set(caller, outcome)
        callers = callers.filter((caller) => !failed.has(caller))
      }
      inDoubt = false
      return left
    },
  }
}

/**
 * What was durable and is gone, as after a fail-over to a copy that had not got it, leaves a gap in the numbers: a chain
 * that went on from where the copy ends would hide it.
 */
async function findEnd(deps: RecordWriterDeps, chain: string, known: WriterHead | undefined): Promise<WriterHead> {
  const { sequence, mac } = await readEnd(deps.store, chain)
  if (known?.chain === chain && sequence < known.sequence) {
    deps.telemetry.log('error', 'records are missing: the store has lost the last ones of the chain', {
      chain,
      kept: known.sequence,
      found: sequence,
    })
    return known
  }
  if (known?.chain !== chain) await warnWhenCutOff(deps, chain, sequence)
  return { chain, sequence, mac }
}

/** Where all records were pruned, the chain goes on from the checkpoint. */
async function readEnd(store: Store, chain: string): Promise<ChainEnd> {
  const last = await store.lastRecord(chain)
  if (last) return last
  const [oldest] = await store.readHeads({ chain, limit: 1 })
  return oldest?.kind === 'checkpoint' ? oldest : chainStart
}

async function warnWhenCutOff(
  { store, telemetry }: RecordWriterDeps,
  chain: string,
  lastSequence: number,
): Promise<void> {
  const [head] = await store.readHeads({ chain, newestFirst: true, limit: 1 })
  if (head && head.sequence > lastSequence)
    telemetry.log('error', 'records are missing: the chain ends before its last signed head', { chain })
}

function linkAll(macKey: KeyObject, from: WriterHead, callers: readonly Waiting[]): StoredRecord[] {
  const { chain } = from
  let previousMac = from.mac
  let sequence = from.sequence
  return callers.flatMap(({ entries }) =>
    entries.map(({ at, body }) => {
      const link = { previousMac, chain, sequence: ++sequence, at, body }
      previousMac = linkRecord(macKey, link)
      return { chain, sequence, at, mac: previousMac, body }
    }),
  )
}

/** Never throws: whoever waits is answered. */
async function writeBatch(chain: ChainAppender, report: Report, batch: readonly Waiting[]): Promise<void> {
  const startedMs = performance.now()
  try {
    const left = await chain.write(batch)
    for (const caller of batch) caller.resolve(left.get(caller) ?? 'stored')
    report.written(entriesOf(batch), performance.now() - startedMs)
  } catch (cause) {
    report.failed(cause)
    const refusal = new Refusal('store_unavailable', `the records could not be written: ${describe(cause)}`, { cause })
    for (const caller of batch) caller.reject(refusal)
  }
}

type Report = ReturnType<typeof createReport>

/** Says once that writing fails, and once that it works again. */
function createReport(telemetry: Telemetry) {
  let failing = false
  return {
    isFailing: () => failing,
    written: (records: number, durationMs: number) => {
      telemetry.observe('apostille_store_commit_duration_seconds', durationMs / 1000)
      telemetry.observe('apostille_store_commit_records', records)
      if (failing) telemetry.log('info', 'records are written again')
      failing = false
    },
    failed: (cause: unknown) => {
      telemetry.count('apostille_store_commit_failures_total')
      if (!failing)
        telemetry.log('error', 'records can not be written, requests are refused', { reason: describe(cause) })
      failing = true
    },
  }
}
