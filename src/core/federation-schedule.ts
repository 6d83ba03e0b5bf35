/**
 * When the endpoint of a federated trust domain is asked: at the hint of its bundle, later after failures, and never
 * all of them together.
 *
 * Times are of the wall clock, which replicas share. It may jump: a time that lies further ahead than any that is ever
 * set is one that a jump left behind.
 *
 * @see {@link https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Federation.md#42-retrieving-and-comparing-bundles SPIFFE Federation §4.2}
 * @module
 */

/** What the time of a poll depends on. */
export interface PollState {
  readonly pollAt: Date
  /** In a row. */
  readonly failures: number
  /** Of the bundle that is held, as it says. */
  readonly refreshHintSeconds?: number
  /** Absent while none is held. */
  readonly bundle?: string
}

/** A replica that asks has this long before another one does. Longer than any poll takes. */
export const leaseMs = 60_000

const defaultIntervalSeconds = 300 // §4.2
const firstIntervalSeconds = 60
const shortestSeconds = 10
const longestSeconds = 86_400
/** Keys are published three to five hints before they sign (§4.1), so waiting longer could miss one. */
const longestBackoff = 4
const longestBackoffSeconds = 3600

/** Seconds between polls that succeed. */
export function intervalSeconds({ refreshHintSeconds, bundle }: Omit<PollState, 'pollAt' | 'failures'>): number {
  if (bundle === undefined) return firstIntervalSeconds
  return Math.min(longestSeconds, Math.max(shortestSeconds, refreshHintSeconds ?? defaultIntervalSeconds))
}

/**
 * When to ask next: at the interval less up to a quarter; after failures twice as late each time, up to four intervals
 * or an hour, and never sooner than the interval (§6.2).
 *
 * @param random From 0 to 1.
 * @param isLate The poll before this one was the first or overdue, so that many peers come together: any time from a
 *   quarter of the interval parts them.
 */
export function nextPoll(
  now: Date,
  state: Omit<PollState, 'pollAt'>,
  { random, isLate }: { readonly random: number; readonly isLate: boolean },
): Date {
  const interval = intervalSeconds(state)
  const seconds =
    state.failures === 0
      ? interval * (1 - random * (isLate ? 0.75 : 0.25))
      : backoffSeconds(interval, state.failures) * (1 + random / 4)
  return new Date(now.getTime() + seconds * 1000)
}

function backoffSeconds(interval: number, failures: number): number {
  const wanted = interval * Math.min(longestBackoff, 2 ** Math.min(failures, 10))
  return Math.max(interval, Math.min(longestBackoffSeconds, wanted))
}

export function isDue(state: PollState, now: Date): boolean {
  const aheadMs = state.pollAt.getTime() - now.getTime()
  return aheadMs <= 0 || aheadMs > longestWaitMs(state)
}

function longestWaitMs(state: PollState): number {
  return Math.max(leaseMs, backoffSeconds(intervalSeconds(state), state.failures) * 1250)
}

/** Whether it should have been asked long ago: the process was down, or the clock jumped. */
export function isOverdue(state: PollState, now: Date): boolean {
  return now.getTime() - state.pollAt.getTime() > intervalSeconds(state) * 250
}

/** Over how long the polls of a process that starts are spread: a tenth of a second for each, up to half a minute. */
export function firstPollsMs(peers: number): number {
  return Math.min(30_000, peers * 100)
}
