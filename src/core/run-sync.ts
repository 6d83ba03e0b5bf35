/**
 * One run of a sync at one destination: what the comparison finds is carried out and put on record.
 *
 * A secret that leaves is on record before it does, and what came of it after. The two records of a push that a crash
 * came between differ from those of one that was refused: it may have arrived.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { compareSync, type SyncProblem, type SyncVisitor, type WriteStep } from './compare-sync.ts'
import { type CallDeps, createDestinationCalls, type DestinationCalls } from './destination-calls.ts'
import { type RecordEntry, shortenTexts } from './record.ts'
import type { RefusalCode } from './refusal.ts'
import {
  DestinationError,
  type DestinationErrorKind,
  type PushOutcome,
  type SecretDestination,
  type SecretValue,
} from './secret-destination.ts'
import type { SecretSource } from './secret-source.ts'
import type { Sync, SyncDestination } from './sync.ts'
import type { SyncDigests } from './sync-digests.ts'
import type { SyncLease } from './sync-lease.ts'
import { maxProblems, noCounts, type SyncCounts, type SyncFault, type SyncState } from './sync-status.ts'

export interface RunInput {
  readonly sync: Sync
  readonly destination: SyncDestination
  readonly source: SecretSource
  readonly adapter: SecretDestination
  readonly digests: SyncDigests
  readonly owner: string
  /** Whether each secret there is looked at by itself. */
  readonly closely: boolean
  readonly signal: AbortSignal
}

export interface ApplyInput extends RunInput {
  readonly lease: SyncLease
  /** Whether all may be removed that nothing stands for, however much it is. */
  readonly allowDeletions: boolean
  /** What every record of the run says. */
  readonly base: Pick<RecordEntry, 'requestId' | 'spiffeId' | 'target' | 'document'>
  readonly now: () => Date
  readonly onProgress: (counts: SyncCounts) => void
}

export interface RunOutcome {
  readonly state: Exclude<SyncState, 'failed'>
  readonly counts: SyncCounts
  /** The first of them. */
  readonly problems: readonly SyncFault[]
}

/** So many in a row fail alike: the rest would as well. */
const hopeless = 20

/** @throws {DestinationError} @throws {SourceError} @throws {LeaseLost} @throws {Refusal} when it comes to no end */
export async function applySync(deps: CallDeps, input: ApplyInput): Promise<RunOutcome> {
  const { destination, adapter, signal, lease } = input
  const calls = createDestinationCalls(deps, { destination, adapter, signal, hold: lease.hold })
  const tally = createTally(input.onProgress)
  const visitor = createApplier(input, calls, tally)
  await compareSync({
    ...input,
    source: holding(input.source, lease),
    list: calls.list,
    find: (name) => calls.call((there, turn) => there.find(name, turn)),
    // While some wait for the cloud, others are read, and put on record many at a time.
    atOnce: calls.atOnce * 4,
    visitor,
  })
  return tally.outcome()
}

/** A long listing of the source loses no lease. */
function holding(source: SecretSource, { hold }: SyncLease): SecretSource {
  return {
    ...source,
    async *list(query) {
      for await (const page of source.list(query)) {
        await hold()
        yield page
      }
    },
  }
}

type Tally = ReturnType<typeof createTally>

export function createTally(onProgress: (counts: SyncCounts) => void = () => undefined) {
  let counts: SyncCounts = noCounts
  let isHeld = false
  const problems: SyncFault[] = []
  return {
    add(key: keyof SyncCounts, by = 1): void {
      counts = { ...counts, [key]: counts[key] + by }
      onProgress(counts)
    },
    fault(fault: SyncFault): void {
      if (problems.length < maxProblems) problems.push(fault)
      this.add('problems')
    },
    /** What is left over may not go. */
    holdDeletions(): void {
      isHeld = true
    },
    outcome(): RunOutcome {
      const state = isHeld ? 'deletions_held' : counts.problems > 0 ? 'incomplete' : 'synced'
      return { state, counts, problems }
    },
  }
}

/** Whether what is left over goes, and what the tally then says. */
export function mayRemove(
  { document }: Pick<Sync, 'document'>,
  tally: Tally,
  { ours, leftOver, allowed }: { readonly ours: number; readonly leftOver: number; readonly allowed: boolean },
): boolean {
  const isHeld = document.deletion === 'delete' && !allowed && leftOver > ours * document.max_deletions
  if (isHeld) tally.holdDeletions()
  if (document.deletion === 'delete' && !isHeld) return true
  tally.add('leftOver', leftOver)
  return false
}

const counted = {
  created: 'created',
  updated: 'updated',
  adopted: 'adopted',
  recovered: 'updated',
  marked: 'marked',
  unchanged: 'current',
} as const satisfies Record<PushOutcome, keyof SyncCounts>

function createApplier(input: ApplyInput, calls: DestinationCalls, tally: Tally): SyncVisitor {
  const { sync, lease, owner, allowDeletions } = input
  const entryOf = createEntries(input)
  let failedInRow = 0

  /** One secret's failure keeps no other from being written, until it is plain that none will be. */
  async function orFault(facts: Facts, work: () => Promise<RecordEntry>): Promise<void> {
    try {
      lease.note(await work())
      failedInRow = 0
    } catch (error) {
      if (!(error instanceof DestinationError)) throw error
      tally.fault(faultOf(error, facts))
      lease.note(refusedEntry(entryOf, error, facts))
      failedInRow += isGeneral(error) ? 1 : 0
      if (failedInRow >= hopeless) throw error
    }
  }

  return {
    async write(step) {
      const facts = factsOf(step)
      await lease.keep([entryOf('sync.push', { ...facts.details, action: step.action })])
      await orFault(facts, async () => {
        const pushed = await calls.call((there, turn) => there.write(step.push, turn))
        const isRepaired = step.action === 'repair' && pushed.outcome === 'updated'
        tally.add(isRepaired ? 'repaired' : counted[pushed.outcome])
        const { outcome, id, version, requestId } = pushed
        return entryOf('sync.pushed', {
          ...facts.details,
          ...withoutValue({ outcome, id, destination_version: version, cloud_request_id: requestId }, step.push.value),
        })
      })
    },
    async remove({ name, stamp }) {
      const facts: Facts = { operation: 'sync.remove', name, details: { name, source: stamp?.source } }
      await lease.keep([entryOf(facts.operation, facts.details)])
      await orFault(facts, async () => {
        const { outcome, id, recoverableUntil, requestId } = await calls.call((there, turn) =>
          there.remove(name, owner, turn),
        )
        tally.add('removed')
        const more = { outcome, id, recoverable_until: recoverableUntil?.toISOString(), cloud_request_id: requestId }
        return entryOf('sync.removed', { ...facts.details, ...removeAbsent(more) })
      })
    },
    mayRemove: (count) => mayRemove(sync, tally, { ...count, allowed: allowDeletions }),
    report: (problem) => tally.fault(problem),
    current: (count) => tally.add('current', count),
  }
}

type Details = Readonly<Record<string, unknown>>

interface Facts {
  readonly operation: 'sync.push' | 'sync.remove'
  readonly name: string
  readonly source?: SyncProblem['source']
  readonly details: Details
}

function factsOf({ push, source, version }: WriteStep): Facts {
  const { path, key } = source
  return {
    operation: 'sync.push',
    name: push.name,
    source,
    details: removeAbsent({ name: push.name, path, key, version }),
  }
}

function removeAbsent(details: Details): Details {
  return Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined))
}

/** What the destination answers to a write, without what repeats the value that it was given. */
function withoutValue(answered: Details, value: SecretValue): Details {
  const bytes = Buffer.from(value as string)
  const spellings = [bytes.toString(), bytes.toString('base64')]
  const repeats = (text: unknown) =>
    typeof text === 'string' && spellings.some((spelling) => spelling.length >= 8 && text.includes(spelling))
  return Object.fromEntries(Object.entries(answered).filter(([, text]) => text !== undefined && !repeats(text)))
}

type EntryOf = (operation: string, details: Details) => RecordEntry

/** Above all that clouds call secrets: what else a destination answers does not fill the records. */
const maxAnsweredText = 2048

function createEntries({ sync, destination, lease, base, now }: ApplyInput): EntryOf {
  const common = { sync: sync.name, destination: destination.name, fence: lease.fence }
  return (operation, details) =>
    shortenTexts(
      { ...base, time: now(), operation, decision: 'granted', details: { ...common, ...details } },
      maxAnsweredText,
    )
}

const codes: Partial<Record<DestinationErrorKind, RefusalCode>> = {
  conflict: 'conflict',
  blocked_deleted: 'conflict',
  too_large: 'too_large',
}

function refusedEntry(entryOf: EntryOf, error: DestinationError, { operation, details }: Facts): RecordEntry {
  const { kind, code, requestId } = error
  const entry = entryOf(operation, {
    ...details,
    kind,
    cloud_code: code,
    ...removeAbsent({ cloud_request_id: requestId }),
  })
  return { ...entry, decision: 'refused', code: codes[kind] ?? 'upstream_failed', reason: error.message }
}

function faultOf({ kind, message, code, requestId, fix }: DestinationError, { name, source }: Facts): SyncFault {
  return {
    kind,
    message,
    code,
    name,
    ...(source && { source }),
    ...(requestId !== undefined && { cloudRequestId: requestId }),
    ...(fix !== undefined && { fix }),
  }
}

/** Says something of the destination as a whole, and not of one secret. */
function isGeneral({ kind }: DestinationError): boolean {
  return kind === 'unreachable' || kind === 'throttled' || kind === 'forbidden'
}
