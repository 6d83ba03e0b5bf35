/**
 * Arrays as PostgreSQL takes them in binary: a column of a batch is one parameter, which neither side has to escape,
 * quote or parse. `pg` sends a `Buffer` as it is, and would write a list as text.
 *
 * @see {@link https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/arrayfuncs.c array_recv}
 * @module
 */

/** Object identifiers of the types of elements. */
const oids = { bigint: 20, bytea: 17, text: 25 } as const
/** Dimensions, whether there are NULLs, type, and of the one dimension its length and the index it begins with. */
const headBytes = 20
const lengthBytes = 4
const twoTo32 = 2 ** 32

/** @param values Safe integers. */
export function formatBigints(values: readonly number[]): Buffer {
  const elementBytes = lengthBytes + 8
  const array = begin(oids.bigint, values.length, values.length * elementBytes)
  values.forEach((value, index) => {
    const at = headBytes + index * elementBytes
    array.writeInt32BE(8, at)
    array.writeInt32BE(Math.floor(value / twoTo32), at + 4)
    array.writeUInt32BE(value >>> 0, at + 8)
  })
  return array
}

export function formatByteStrings(values: readonly Uint8Array[]): Buffer {
  const array = begin(
    oids.bytea,
    values.length,
    sum(values, (value) => lengthBytes + value.length),
  )
  let at = headBytes
  for (const value of values) {
    at = array.writeInt32BE(value.length, at)
    array.set(value, at)
    at += value.length
  }
  return array
}

/** In UTF-8, which is the encoding of every connection. */
export function formatTexts(values: readonly string[]): Buffer {
  // No character takes more than three bytes for each of its code units.
  const array = begin(
    oids.text,
    values.length,
    sum(values, (value) => lengthBytes + 3 * value.length),
  )
  let at = headBytes
  for (const value of values) {
    const written = array.write(value, at + lengthBytes)
    at = array.writeInt32BE(written, at) + written
  }
  return array.subarray(0, at)
}

function begin(oid: number, length: number, bytes: number): Buffer {
  const array = Buffer.allocUnsafe(headBytes + bytes)
  let at = 0
  for (const value of [1, 0, oid, length, 1]) at = array.writeInt32BE(value, at)
  return array
}

function sum<T>(values: readonly T[], bytesOf: (value: T) => number): number {
  return values.reduce((total, value) => total + bytesOf(value), 0)
}
