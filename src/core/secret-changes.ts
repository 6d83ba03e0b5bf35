/**
 * Tells within the process that a secret of ours has changed, for those who would otherwise look again and again.
 *
 * @module
 */

export interface SecretChanges {
  readonly tell: (path: string) => void
  /** Answers what ends it. */
  readonly subscribe: (listener: (path: string) => void) => () => void
}

export function createSecretChanges(): SecretChanges {
  const listeners = new Set<(path: string) => void>()
  return {
    tell(path) {
      for (const listener of listeners) listener(path)
    },
    subscribe(listener) {
      // Each subscription is its own, also where two have one listener.
      const own = (path: string) => listener(path)
      listeners.add(own)
      return () => listeners.delete(own)
    },
  }
}
