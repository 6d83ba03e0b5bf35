/**
 * What is under way, in the order in which it began: thousands a second come and go, each with all that it holds.
 *
 * A `Set` would do, were it not for V8's garbage collector: as its entries come and go it moves to a new table every so
 * often, and each table that it leaves refers to the next. Once one of them is old, all later ones, with whatever was in
 * them, outlive every small collection, which then takes twenty milliseconds instead of one. Here nothing that is gone
 * refers to anything.
 *
 * @module
 */

/** A place in a roster; for its own use, but for `item`, which is undefined once it was deleted. */
export interface RosterEntry<T> {
  item: T | undefined
  before: RosterEntry<T> | undefined
  after: RosterEntry<T> | undefined
}

export interface Roster<T extends object> extends Iterable<T> {
  readonly add: (item: T) => RosterEntry<T>
  /** Idempotent. */
  readonly delete: (entry: RosterEntry<T>) => void
  readonly size: () => number
  readonly oldest: () => RosterEntry<T> | undefined
}

export function createRoster<T extends object>(): Roster<T> {
  let first: RosterEntry<T> | undefined
  let last: RosterEntry<T> | undefined
  let size = 0
  return {
    add(item) {
      const entry: RosterEntry<T> = { item, before: last, after: undefined }
      if (last === undefined) first = entry
      else last.after = entry
      last = entry
      size += 1
      return entry
    },
    delete(entry) {
      if (entry.item === undefined) return
      const { before, after } = entry
      if (before === undefined) first = after
      else before.after = after
      if (after === undefined) last = before
      else after.before = before
      entry.item = entry.before = entry.after = undefined
      size -= 1
    },
    size: () => size,
    oldest: () => first,
    *[Symbol.iterator]() {
      const items: T[] = []
      for (let entry = first; entry; entry = entry.after) if (entry.item) items.push(entry.item)
      // Those of the beginning, as what is done with one of them may delete others.
      yield* items
    },
  }
}
