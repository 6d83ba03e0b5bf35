/**
 * What clouds refused a moment ago: many copies of a workload whose trust policy is wrong are told so without asking the
 * cloud for each of them. It stands for seconds, as somebody may be mending it.
 *
 * @module
 */
import type { CloudError } from './cloud.ts'

/** Points in time are milliseconds of one clock that only grows. */
export interface StandingRefusals {
  /** The refusal, and how long it still stands; undefined where the cloud is to be asked. */
  readonly get: (key: string, nowMs: number) => StandingRefusal | undefined
  readonly add: (key: string, error: CloudError, nowMs: number) => void
}

export interface StandingRefusal {
  readonly error: CloudError
  readonly leftMs: number
}

/** How long one stands. */
export const standsMs = 5_000
const maxEntries = 10_000

/** The oldest go first. */
export function createStandingRefusals(): StandingRefusals {
  const standing = new Map<string, { readonly error: CloudError; readonly untilMs: number }>()
  return {
    get(key, nowMs) {
      const found = standing.get(key)
      if (found === undefined || found.untilMs <= nowMs) return undefined
      return { error: found.error, leftMs: found.untilMs - nowMs }
    },
    add(key, error, nowMs) {
      standing.delete(key)
      for (const [oldKey, { untilMs }] of standing) {
        if (untilMs > nowMs && standing.size < maxEntries) break
        standing.delete(oldKey)
      }
      standing.set(key, { error, untilMs: nowMs + standsMs })
    },
  }
}
