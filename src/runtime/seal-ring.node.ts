/**
 * The seal keys of a process, which change while it runs.
 *
 * @module
 */
import { type SealRing, sealKeyId } from '../adapters/keys/sealed.ts'
import type { SealKeys } from './seal-key.node.ts'

export interface ChangingRing extends SealRing {
  /** Of the key that seals. */
  readonly id: () => string
  readonly isUnfinished: () => boolean
  /** From now on this one seals, and those before it open. */
  readonly begin: (next: Uint8Array) => void
  /** Nothing is sealed under those before it any more. */
  readonly finish: () => void
}

export function createChangingRing(initial: SealKeys): ChangingRing {
  let keys = initial
  return {
    seals: () => keys.seals,
    opens: () => keys.opens,
    id: () => sealKeyId(keys.seals),
    isUnfinished: () => keys.isUnfinished,
    begin: (next) => {
      keys = { seals: next, opens: [keys.seals, ...keys.opens], isUnfinished: true }
    },
    finish: () => {
      keys = { seals: keys.seals, opens: [], isUnfinished: false }
    },
  }
}
