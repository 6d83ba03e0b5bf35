/**
 * A pause between attempts that doubles while they go on to be in vain.
 *
 * @module
 */

/** Points in time are milliseconds of one clock that only grows. */
export interface DoublingPause {
  /** An attempt starts: the pause after it is twice the last one, or the first again after as long a rest. */
  readonly begin: (nowMs: number) => void
  /** The attempt was not in vain: no pause. */
  readonly end: () => void
  readonly isOver: (nowMs: number) => boolean
  /** In milliseconds; 0 when the last attempt was not in vain. */
  readonly length: () => number
}

export function createDoublingPause(limits: { readonly firstMs: number; readonly longestMs: number }): DoublingPause {
  let lengthMs = 0
  let untilMs = Number.NEGATIVE_INFINITY

  return {
    begin(nowMs) {
      const rested = lengthMs === 0 || nowMs - untilMs > lengthMs
      lengthMs = rested ? limits.firstMs : Math.min(2 * lengthMs, limits.longestMs)
      untilMs = nowMs + lengthMs
    },
    end() {
      lengthMs = 0
      untilMs = Number.NEGATIVE_INFINITY
    },
    isOver: (nowMs) => nowMs >= untilMs,
    length: () => lengthMs,
  }
}
