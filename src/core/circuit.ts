/**
 * A circuit breaker: what fails again and again is left alone for a while, so that its callers are answered at once and
 * it can recover.
 *
 * @module
 */

/** Points in time are milliseconds of one clock that only grows. */
export interface Circuit {
  /** How long it stays open, in milliseconds; 0: go on. When the time is over one attempt is let through. */
  readonly openForMs: (nowMs: number) => number
  readonly succeeded: () => void
  /** Of an attempt that began before it opened nothing new is learnt. */
  readonly failed: (nowMs: number) => void
  /** An attempt came to an end that says nothing of it. */
  readonly abandoned: () => void
}

export interface CircuitLimits {
  /** Failures in a row that open it. */
  readonly failures: number
  readonly firstMs: number
  readonly longestMs: number
}

const defaults: CircuitLimits = { failures: 5, firstMs: 5_000, longestMs: 60_000 }

/** Each attempt that fails when it was open doubles how long it stays so; a success closes it. */
export function createCircuit(limits: CircuitLimits = defaults): Circuit {
  let failures = 0
  let pauseMs = 0
  let openUntilMs = Number.NEGATIVE_INFINITY
  let trying = false

  return {
    openForMs(nowMs) {
      if (failures < limits.failures) return 0
      const rest = openUntilMs - nowMs
      if (rest > 0) return rest
      if (trying) return limits.firstMs
      trying = true
      return 0
    },
    succeeded() {
      failures = 0
      pauseMs = 0
      trying = false
    },
    abandoned() {
      trying = false
    },
    failed(nowMs) {
      if (nowMs < openUntilMs) return
      failures += 1
      trying = false
      if (failures < limits.failures) return
      pauseMs = pauseMs === 0 ? limits.firstMs : Math.min(2 * pauseMs, limits.longestMs)
      openUntilMs = nowMs + pauseMs
    },
  }
}
