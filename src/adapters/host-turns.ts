/**
 * Turns at the hosts of one upstream: so many requests at a time to each, and the rest wait outside of every deadline of a
 * request, as a host that is well is not late because others were first.
 *
 * @module
 */
import { createPlaces, type Places } from '../core/concurrency-limit.ts'

/**
 * Answers when it is the caller's turn, in the order of the calls, with what ends it.
 *
 * @throws {CrowdedOut} when the signal aborts first
 */
export type HostTurns = (host: string, signal: AbortSignal | undefined) => Promise<() => void>

/** Nobody waits for the turn any longer. */
export class CrowdedOut extends Error {
  override readonly name = 'CrowdedOut'
}

/** @param most At a time for each host; at least 1. */
export function createHostTurns(most: number): HostTurns {
  const hosts = new Map<string, Places>()
  return async (host, signal) => {
    const places = hosts.get(host) ?? createPlaces(most)
    hosts.set(host, places)
    const taken = places.take()
    const { promise: forsaken, reject } = Promise.withResolvers<never>()
    const forsake = () => reject(new CrowdedOut())
    signal?.addEventListener('abort', forsake)
    if (signal?.aborted === true) forsake()
    try {
      // Where both are so, the turn goes first.
      await Promise.race([taken, forsaken])
      return places.leave
    } catch (error) {
      void taken.then(places.leave)
      throw error
    } finally {
      signal?.removeEventListener('abort', forsake)
    }
  }
}
