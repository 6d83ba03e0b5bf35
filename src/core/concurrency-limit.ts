/**
 * Runs so much at once and no more: what is slow holds its own place only.
 *
 * @module
 */

/** Starts in the order of the calls. Rejects as `run` does. */
export type ConcurrencyLimit = <T>(run: () => Promise<T>) => Promise<T>

/** @param most At once; at least 1. */
export function createConcurrencyLimit(most: number): ConcurrencyLimit {
  const places = createPlaces(most)
  return async (run) => {
    await places.take()
    try {
      return await run()
    } finally {
      places.leave()
    }
  }
}

export interface Places {
  /** Answers when there is a place, in the order of the calls. */
  readonly take: () => Promise<void>
  readonly leave: () => void
}

/** @param most Places; at least 1. */
export function createPlaces(most: number): Places {
  const waiting: (() => void)[] = []
  let free = most
  return {
    async take() {
      if (free > 0) {
        free -= 1
        return
      }
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.push(resolve)
      await promise
    },
    leave() {
      const next = waiting.shift()
      if (next) next()
      else free += 1
    },
  }
}
