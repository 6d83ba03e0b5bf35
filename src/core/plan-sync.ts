/**
 * What a run of a sync would do at one destination, without doing it and without showing a value.
 *
 * @module
 */
import { compareSync, type SecretReference, type SyncVisitor, type WriteAction } from './compare-sync.ts'
import { type CallDeps, createDestinationCalls } from './destination-calls.ts'
import { createTally, mayRemove, type RunInput, type RunOutcome } from './run-sync.ts'
import type { SyncFault } from './sync-status.ts'

/** One secret that would change, or that something is in the way of. */
export type PlanItem =
  | { readonly action: WriteAction; readonly name: string; readonly source: SecretReference; readonly version?: string }
  | { readonly action: 'delete'; readonly name: string; readonly origin?: string }
  | ({ readonly action: 'problem' } & SyncFault)

export type EmitItem = (item: PlanItem) => void

const counted = {
  create: 'created',
  update: 'updated',
  adopt: 'adopted',
  repair: 'repaired',
  mark: 'marked',
} as const satisfies Record<WriteAction, string>

/**
 * Writes nothing; a secret whose value has to be compared is read at the source.
 *
 * @throws {DestinationError} @throws {SourceError}
 */
export async function planSync(deps: CallDeps, input: RunInput, emit: EmitItem): Promise<RunOutcome> {
  const { destination, adapter, signal, sync } = input
  const calls = createDestinationCalls(deps, { destination, adapter, signal, hold: () => undefined })
  const tally = createTally()
  const visitor: SyncVisitor = {
    async write({ action, push, source, version }) {
      tally.add(counted[action])
      emit({ action, name: push.name, source, ...(version !== undefined && { version }) })
    },
    async remove({ name, stamp }) {
      tally.add('removed')
      emit({ action: 'delete', name, ...(stamp && { origin: stamp.source }) })
    },
    mayRemove(count) {
      mayRemove(sync, tally, { ...count, allowed: false })
      // What is held is shown as well: it is what somebody has to say yes to.
      return sync.document.deletion === 'delete'
    },
    report(problem) {
      tally.fault(problem)
      emit({ action: 'problem', ...problem })
    },
    current: (count) => tally.add('current', count),
  }
  await compareSync({
    ...input,
    list: calls.list,
    find: (name) => calls.call((there, turn) => there.find(name, turn)),
    atOnce: calls.atOnce * 2,
    visitor,
  })
  return tally.outcome()
}
