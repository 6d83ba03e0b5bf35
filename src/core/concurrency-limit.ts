/**
 * Runs so much at once and no more: what is slow holds its own place only.
 *
 * @module
 */

/** Starts in the order of the calls. Rejects as `run` does. */
export type ConcurrencyLimit = <T>(run: () => Promise<T>) => Promise<T>

/** @param most At once; at least 1. */
export function createConcurrencyLimit(most: number): ConcurrencyLimit {
  const waiting: (() => void)[] = []
  let free = most

  async function takePlace(): Promise<void> {
    if (free > 0) {
      free -= 1
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    waiting.push(resolve)
    await promise
  }

  function leavePlace(): void {
    const next = waiting.shift()
    if (next) next()
    else free += 1
  }

  return async (run) => {
    await takePlace()
    try {
      return await run()
    } finally {
      leavePlace()
    }
  }
}
