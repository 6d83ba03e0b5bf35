/**
 * Random bytes from the system's generator, fetched a few thousand at a time: a call for 16 bytes costs more than the
 * bytes do.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'

const poolBytes = 8192

/** Every byte is handed out once. */
export function createRandomPool(): (size: number) => Uint8Array {
  let pool = randomBytes(poolBytes)
  let at = 0
  return (size) => {
    if (size > poolBytes / 2) return randomBytes(size)
    if (at + size > poolBytes) {
      pool = randomBytes(poolBytes)
      at = 0
    }
    at += size
    return pool.subarray(at - size, at)
  }
}
