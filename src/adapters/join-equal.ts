/**
 * Joins equal work of one process by sharing its promise.
 *
 * @module
 */
import type { JoinEqual } from '../core/cloud.ts'

export function createJoinEqual(): JoinEqual {
  const running = new Map<string, Promise<unknown>>()
  return <T>(key: string, run: () => Promise<T>) => {
    const known = running.get(key)
    if (known) return known as Promise<T>
    const started = run().finally(() => running.delete(key))
    running.set(key, started)
    return started
  }
}
