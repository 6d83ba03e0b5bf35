/**
 * A set of digests in typed arrays, each with a number that columns of values go by: maps of texts take ten times the
 * memory, and all of it from the collector's heap.
 *
 * @module
 */

/** 128 bits of a good hash, as four whole numbers below 2^32. */
export type Digest = readonly [number, number, number, number]

export interface DigestTable {
  /** Its number, from 0 in the order in which they came; a known one keeps its. */
  readonly add: (digest: Digest) => number
  readonly find: (digest: Digest) => number | undefined
  readonly size: () => number
}

const words = 4

export function createDigestTable(): DigestTable {
  let digests = new Uint32Array(64 * words)
  // Numbers counted from 1; open addressing, at most half full.
  let slots = new Uint32Array(128)
  let size = 0

  const isAt = (number: number, digest: Digest) =>
    digest.every((word, index) => digests[number * words + index] === word)

  function slotFor(digest: Digest): number {
    const mask = slots.length - 1
    let slot = digest[0] & mask
    for (;;) {
      const taken = slots[slot] ?? 0
      if (taken === 0 || isAt(taken - 1, digest)) return slot
      slot = (slot + 1) & mask
    }
  }

  function grow(): void {
    digests = enlarged(digests)
    slots = new Uint32Array(slots.length * 2)
    const mask = slots.length - 1
    for (let number = 0; number < size; number++) {
      let slot = (digests[number * words] ?? 0) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = number + 1
    }
  }

  return {
    add(digest) {
      const slot = slotFor(digest)
      const known = slots[slot] ?? 0
      if (known > 0) return known - 1
      if (size * 2 >= slots.length) {
        grow()
        return this.add(digest)
      }
      digests.set(digest, size * words)
      size += 1
      slots[slot] = size
      return size - 1
    },
    find(digest) {
      const known = slots[slotFor(digest)] ?? 0
      return known > 0 ? known - 1 : undefined
    },
    size: () => size,
  }
}

/** Values by number; 0 where none was set. */
export interface Column {
  readonly get: (number: number) => number
  readonly set: (number: number, value: number) => void
}

/** From 0 to 255. */
export function createFlags(): Column {
  return createColumn(new Uint8Array(64))
}

/** Whole numbers up to 2^53 − 1. */
export function createNumbers(): Column {
  return createColumn(new Float64Array(64))
}

function createColumn<T extends Uint8Array | Float64Array>(first: T): Column {
  let values = first
  return {
    get: (number) => values[number] ?? 0,
    set(number, value) {
      while (number >= values.length) values = enlarged(values)
      values[number] = value
    },
  }
}

function enlarged<T extends Uint8Array | Uint32Array | Float64Array>(values: T): T {
  const larger = new (values.constructor as new (length: number) => T)(values.length * 2)
  larger.set(values)
  return larger
}
