/**
 * Waking up at a point in wall time. Clocks are set and machines sleep while timers run, so it looks at the clock at least
 * once a minute.
 *
 * @module
 */

export interface Timing {
  readonly now: () => Date
  /** Between 0 and 1. */
  readonly random: () => number
  /** Calls back once; answers what cancels it. */
  readonly startTimer: (callback: () => void, ms: number) => () => void
}

export interface Alarm {
  /** In place of what was set before. */
  readonly set: (at: Date, callback: () => void) => void
  readonly cancel: () => void
}

const longestSleepMs = 60_000

export function createAlarm({ now, startTimer }: Timing): Alarm {
  let cancel = () => {}

  function set(at: Date, callback: () => void): void {
    cancel()
    const leftMs = Math.max(0, at.getTime() - now().getTime())
    cancel = startTimer(
      () => (at > now() ? set(at, callback) : callback()),
      Math.ceil(Math.min(leftMs, longestSleepMs)),
    )
  }

  return { set, cancel: () => cancel() }
}

export interface Lifetime {
  readonly from: Date
  readonly expiresAt: Date
}

/** Half of its life, give or take a tenth of that, so that what began together does not renew together. */
export function halfOf({ from, expiresAt }: Lifetime, { random }: Timing): Date {
  const lifeMs = expiresAt.getTime() - from.getTime()
  return new Date(from.getTime() + lifeMs * (0.45 + 0.1 * random()))
}

const firstPauseMs = 1_000
const longestPauseMs = 60_000

/** Doubles from a second to a minute, or less where what is left is short; with jitter. @param failures 1 or more */
export function pauseAfterFailure(failures: number, leftMs: number, { random }: Timing): number {
  const longestMs = Math.min(longestPauseMs, Math.max(firstPauseMs, leftMs / 8))
  const pauseMs = Math.min(longestMs, firstPauseMs * 2 ** Math.min(failures - 1, 10))
  return pauseMs * (0.5 + random() / 2)
}
