/**
 * How many credentials one identity may take in a minute, where the configuration sets a limit.
 *
 * @module
 */

/** Answers 0 when there is room and takes it, else how many seconds to wait. */
export type IdentityLimiter = (spiffeId: string) => number

const minuteMs = 60_000
const trackedIdentities = 100_000

/** A bucket for each identity that holds `perMinute` and fills evenly; per process. Without a limit there is always room. */
export function createIdentityLimiter(perMinute: number | undefined, monotonicMs: () => number): IdentityLimiter {
  if (perMinute === undefined) return () => 0
  const costMs = minuteMs / perMinute
  /** For each identity the moment at which its bucket is full again. */
  const fullAtMs = new Map<string, number>()

  return (spiffeId) => {
    const now = monotonicMs()
    const fullAt = Math.max(now, fullAtMs.get(spiffeId) ?? 0)
    if (fullAt + costMs > now + minuteMs) return Math.ceil((fullAt + costMs - now - minuteMs) / 1000)
    fullAtMs.delete(spiffeId)
    if (fullAtMs.size >= trackedIdentities) fullAtMs.delete(fullAtMs.keys().next().value ?? '')
    fullAtMs.set(spiffeId, fullAt + costMs)
    return 0
  }
}
