/**
 * Source and destination of a sync → what is to be written and removed there, and what is in the way.
 *
 * The destination is listed once into an index of a few dozen bytes a secret; then the source goes by, page by page. What
 * stands there as it was written from this revision is passed over without reading it on either side. Of all else the
 * value is read at the source, and what is held is compared by its fingerprint.
 *
 * @module
 */
import { runBounded } from './bounded-work.ts'
import { ExpressionError } from './expression.ts'
import { type HeldSecret, ownershipOf, type SecretPush, type SecretValue } from './secret-destination.ts'
import { type SecretSource, type SourceEntry, SourceError, type SourceSecret } from './secret-source.ts'
import type { Sync, SyncDestination } from './sync.ts'
import type { SyncDigests } from './sync-digests.ts'
import { FormError, formSecret } from './sync-form.ts'
import { createSyncIndex, type SyncIndex } from './sync-index.ts'

/**
 * - `create`, `update`, `adopt`
 * - `repair`: it is ours, and somebody edited or emptied it there
 * - `mark`: the value is right; stamp, tags or settings are not
 */
export type WriteAction = 'create' | 'update' | 'adopt' | 'repair' | 'mark'

export interface WriteStep {
  readonly action: WriteAction
  readonly push: SecretPush
  /** Path at the source, and the key where it is one of several. */
  readonly source: SecretReference
  /** As people count them at the source. */
  readonly version?: string
}

export interface SecretReference {
  readonly path: string
  readonly key?: string
}

export type ProblemKind =
  | 'conflict'
  | 'collision'
  | 'drift'
  | 'bad_name'
  | 'bad_value'
  | 'too_large'
  | 'unreadable'
  | 'source_failed'

/** What keeps one secret from being as it should; holds no value. */
export interface SyncProblem {
  readonly kind: ProblemKind
  readonly message: string
  readonly source?: SecretReference
  /** At the destination. */
  readonly name?: string
}

/** What is done with each difference, one secret at a time and many at once. Whatever it throws ends the comparison. */
export interface SyncVisitor {
  readonly write: (step: WriteStep) => Promise<void>
  readonly remove: (held: HeldSecret) => Promise<void>
  /** Decides, once all else is done, whether what nothing at the source stands for any more is removed. */
  readonly mayRemove: (count: { readonly ours: number; readonly leftOver: number }) => boolean
  readonly report: (problem: SyncProblem) => void
  /** So many more secrets stand as they should. */
  readonly current: (count: number) => void
}

export interface Comparison {
  readonly sync: Sync
  readonly destination: SyncDestination
  readonly digests: SyncDigests
  readonly owner: string
  readonly source: SecretSource
  /** Every secret there, from the start at each call. */
  readonly list: () => AsyncIterable<readonly HeldSecret[]>
  readonly find: (name: string) => Promise<HeldSecret | undefined>
  /** Whether each secret of ours is looked at by `find` too, for what a listing does not show. */
  readonly closely: boolean
  readonly signal: AbortSignal
  /** Secrets that are looked at, and written, at once. */
  readonly atOnce: number
  readonly visitor: SyncVisitor
}

/** @throws {SourceError} when it can not be listed; what `list`, `find` and the visitor throw */
export async function compareSync(comparison: Comparison): Promise<void> {
  const { sync, source, destination, owner, atOnce, signal } = comparison
  const index = createSyncIndex(owner, destination.rules.nameKey)
  await addListed(comparison, index)
  const contested: Entry[] = []
  const look = createLook(comparison, index, contested)
  await runBounded(atOnce, async (begin) => {
    for await (const page of source.list({ prefix: sync.prefix, signal }))
      for (const listed of page) {
        if (!sync.matches(listed.path)) continue
        const entry = digested(comparison, listed)
        if (!isCurrent(comparison, index, entry)) await begin(() => look(entry, false))
      }
  })
  for (const entry of contested) await look(entry, true)
  await removeLeftOvers(comparison, index)
}

async function addListed({ list, find, closely, owner, atOnce }: Comparison, index: SyncIndex): Promise<void> {
  await runBounded(atOnce, async (begin) => {
    for await (const page of list())
      for (const held of page) {
        if (!closely || ownershipOf(held.stamp, owner) !== 'ours') index.add(held)
        else
          await begin(async () => {
            const closer = await find(held.name)
            if (closer !== undefined) index.add(closer)
          })
      }
  })
}

interface Entry extends SourceEntry {
  readonly group: string
  /** For what the listing says; a change since then makes another. */
  readonly basis: string
}

function digested({ sync, destination, digests }: Comparison, entry: SourceEntry): Entry {
  const { source } = sync.document
  const { path, revision = '' } = entry
  const basis = digests.basis(destination.digest, source, path, revision)
  return { ...entry, group: digests.group(source, path), basis }
}

/** Whether all that the path gives stands as it was written from this revision; then it stays. */
function isCurrent({ visitor }: Comparison, index: SyncIndex, { group, basis, revision }: Entry): boolean {
  const count = revision === undefined ? 0 : index.current(group, basis)
  if (count === 0) return false
  index.keep(group)
  visitor.current(count)
  return true
}

/** A value with its name. */
interface Named {
  readonly reference: SecretReference
  readonly name: string
  readonly value: SecretValue
}

function createLook(comparison: Comparison, index: SyncIndex, contested: Entry[]) {
  const { source, signal, visitor, atOnce } = comparison

  /** @param isLast All other paths were seen: a name that another had is free where that one has it no more. */
  return async (entry: Entry, isLast: boolean): Promise<void> => {
    const { group } = entry
    index.keep(group)
    const secret = await orReport(visitor, entry.path, () => source.read(entry.path, signal))
    if (secret === 'failed') return
    if (secret === undefined) {
      // It went between the listing and now.
      index.settle(group)
      return
    }
    const named = nameParts(comparison, secret)
    if (named === undefined) return
    const isContested = named.some(({ name }) => isHeldForAnother(index, name, group))
    if (isContested && !isLast) {
      contested.push(entry)
      return
    }
    const claimed = named.filter((each) => claim(comparison, index, group, each))
    if (claimed.length === named.length) index.settle(group)
    await runBounded(atOnce, async (begin) => {
      for (const each of claimed)
        await begin(() => compareOne(comparison, index, { entry, secret, parts: named.length, ...each }))
    })
  }
}

/** What one secret's source fails at keeps no other from being compared. */
async function orReport(
  { report }: SyncVisitor,
  path: string,
  read: () => Promise<SourceSecret | undefined>,
): Promise<SourceSecret | undefined | 'failed'> {
  try {
    return await read()
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    const kind = error.kind === 'unreadable' ? 'unreadable' : 'source_failed'
    report({ kind, message: `${error.message} (${error.code})`, source: { path } })
    return 'failed'
  }
}

/** Undefined where some part can not be: the path stays as it is there. */
function nameParts({ sync, destination, visitor }: Comparison, secret: SourceSecret): readonly Named[] | undefined {
  const { path } = secret
  try {
    const parts = formSecret(secret.content, sync.document)
    const named = parts.map(({ key, value }): Named => {
      const reference = { path, ...(key !== undefined && { key }) }
      return { reference, name: destination.nameOf(path, key), value }
    })
    const problems = named.flatMap((each) => findMisfit(destination, each) ?? [])
    for (const problem of problems) visitor.report(problem)
    return problems.length === 0 ? named : undefined
  } catch (error) {
    if (error instanceof FormError) visitor.report({ kind: 'bad_value', message: error.message, source: { path } })
    else if (error instanceof ExpressionError)
      visitor.report({ kind: 'bad_name', message: `name: ${error.message}`, source: { path } })
    else throw error
    return undefined
  }
}

/** Why the destination would never take it. */
function findMisfit({ rules }: SyncDestination, { reference: source, name, value }: Named): SyncProblem | undefined {
  const misfit = (kind: ProblemKind, message: string): SyncProblem => ({ kind, message, source, name })
  if (!rules.name.pattern.test(name)) return misfit('bad_name', `expected ${rules.name.expected}`)
  if (typeof value !== 'string' && !rules.takesBytes) return misfit('bad_value', 'it is bytes, and only text is taken')
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value).length : value.length
  if (bytes > rules.maxValueBytes)
    return misfit('too_large', `${bytes} bytes, and at most ${rules.maxValueBytes} are taken`)
  return bytes < rules.minValueBytes ? misfit('bad_value', 'it is empty, and that is not taken') : undefined
}

function isHeldForAnother(index: SyncIndex, name: string, group: string): boolean {
  const held = index.find(name)
  return held?.ownership === 'ours' && !held.isOf(group)
}

function claim({ visitor }: Comparison, index: SyncIndex, group: string, { name, reference }: Named): boolean {
  if (index.claim(name, group)) return true
  const message = 'another secret of this sync has the name: change `name`, or one of the two paths'
  visitor.report({ kind: 'collision', message, source: reference, name })
  return false
}

interface Compared extends Named {
  readonly entry: Entry
  readonly secret: SourceSecret
  /** How many secrets the path gives. */
  readonly parts: number
}

async function compareOne(comparison: Comparison, index: SyncIndex, compared: Compared): Promise<void> {
  const { sync, visitor } = comparison
  const push = buildPush(comparison, compared)
  const action = await chooseAction(comparison, index, push)
  const { reference: source, name, secret } = compared
  if (action === 'current') return visitor.current(1)
  if (action === 'conflict') {
    const message = 'a secret of that name is there and not ours: remove it, or take it over with conflict: adopt'
    return visitor.report({ kind: 'conflict', message, source, name })
  }
  if (action === 'foreign') {
    const message = 'another sync or deployment has a secret of that name there: choose other names'
    return visitor.report({ kind: 'conflict', message, source, name })
  }
  if (action === 'repair' && sync.document.drift === 'report')
    return visitor.report({ kind: 'drift', message: 'somebody else edited it there', source, name })
  const version = secret.version ?? secret.revision
  return visitor.write({ action, push, source, ...(version !== undefined && { version }) })
}

function buildPush(comparison: Comparison, compared: Compared): SecretPush {
  const { sync, digests, owner } = comparison
  const { name, value, reference, entry, secret, parts } = compared
  const { source, tags, conflict } = sync.document
  const { path, revision, version = revision } = secret
  return {
    name,
    value,
    tags,
    adopts: conflict === 'adopt',
    token: (replaced) => digests.token(owner, name, value, replaced),
    stamp: {
      owner,
      source: `${source}:${path}${reference.key === undefined ? '' : `#${reference.key}`}`,
      ...(version !== undefined && { revision: version }),
      basis: revision === entry.revision ? entry.basis : digested(comparison, secret).basis,
      fingerprint: digests.fingerprint(owner, name, value),
      group: entry.group,
      parts,
    },
  }
}

type Action = WriteAction | 'current' | 'conflict' | 'foreign'

async function chooseAction({ find }: Comparison, index: SyncIndex, push: SecretPush): Promise<Action> {
  const { name, stamp, adopts } = push
  const held = index.find(name)
  if (held === undefined) return 'create'
  if (held.ownership === 'ours') {
    if (held.holds(stamp.fingerprint)) return held.hasBasis(stamp.basis) ? 'current' : 'mark'
    // What is empty nobody edited: a write of ours was cut off.
    return held.state === 'edited' ? 'repair' : 'update'
  }
  if (held.ownership === 'foreign') return 'foreign'
  // An edit may have dropped our stamp: a listing does not show it.
  const closer = await find(name)
  if (closer === undefined) return 'create'
  const ownership = ownershipOf(closer.stamp, stamp.owner)
  if (ownership === 'ours') return 'repair'
  if (ownership === 'foreign') return 'foreign'
  return adopts ? 'adopt' : 'conflict'
}

async function removeLeftOvers({ list, visitor, atOnce }: Comparison, index: SyncIndex): Promise<void> {
  const count = index.count()
  if (count.leftOver === 0 || !visitor.mayRemove(count)) return
  await runBounded(atOnce, async (begin) => {
    for await (const page of list())
      for (const held of page) if (index.isLeftOver(held)) await begin(() => visitor.remove(held))
  })
}
