/**
 * Keeps the requests to one destination within its quotas, and all of them away from it for as long as it asks.
 *
 * @module
 */

export interface PaceDeps {
  /** Requests a second of each kind. */
  readonly read: number
  readonly write: number
  readonly monotonicMs: () => number
  /** Resolves after so long. */
  readonly pause: (ms: number) => Promise<void>
}

export interface Pace {
  /** Answers when it is the caller's turn for a request. */
  readonly next: (kind: 'read' | 'write') => Promise<void>
  /** Answers when nobody is held back. */
  readonly untilFree: () => Promise<void>
  /** Nobody's turn comes before so long. */
  readonly holdBack: (ms: number) => void
}

/** What was not used lately may be used at once, up to that of one second. */
const burstMs = 1000

export function createPace({ monotonicMs, pause, ...rates }: PaceDeps): Pace {
  const dueMs = { read: Number.NEGATIVE_INFINITY, write: Number.NEGATIVE_INFINITY }
  let heldUntilMs = Number.NEGATIVE_INFINITY

  async function untilFree(): Promise<void> {
    for (let restMs = heldUntilMs - monotonicMs(); restMs > 0; restMs = heldUntilMs - monotonicMs()) await pause(restMs)
  }

  return {
    untilFree,
    async next(kind) {
      const nowMs = monotonicMs()
      dueMs[kind] = Math.max(dueMs[kind], nowMs - burstMs) + 1000 / rates[kind]
      const waitMs = dueMs[kind] - nowMs
      if (waitMs > 0) await pause(waitMs)
      await untilFree()
    },
    holdBack(ms) {
      heldUntilMs = Math.max(heldUntilMs, monotonicMs() + ms)
    },
  }
}
