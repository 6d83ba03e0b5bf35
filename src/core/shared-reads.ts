/**
 * One read of a source for all destinations of a sync, which ask for the same secrets within moments of each other: to
 * read and to open a secret takes longer than all else that is done for a write.
 *
 * Whoever comes much later reads anew, so that no slow destination is written what its source held a while ago, and few
 * values are held at a time.
 *
 * @module
 */
import type { SecretSource, SourceSecret } from './secret-source.ts'

interface SharedRead {
  readonly secret: Promise<SourceSecret | undefined>
  readonly untilMs: number
  /** Who may come for it still. */
  left: number
}

const lastsMs = 1_000
const maxReads = 256

/** @param readers Destinations that are compared with it at the same time. */
export function shareReads(source: SecretSource, readers: number, monotonicMs: () => number): SecretSource {
  if (readers < 2) return source
  const reads = new Map<string, SharedRead>()

  function forgetOld(nowMs: number): void {
    for (const [path, { untilMs }] of reads) {
      if (untilMs > nowMs && reads.size < maxReads) return
      reads.delete(path)
    }
  }

  return {
    ...source,
    read(path, signal) {
      const nowMs = monotonicMs()
      const known = reads.get(path)
      if (known && known.untilMs > nowMs) {
        known.left -= 1
        if (known.left === 0) reads.delete(path)
        return known.secret
      }
      reads.delete(path)
      forgetOld(nowMs)
      const secret = source.read(path, signal)
      reads.set(path, { secret, untilMs: nowMs + lastsMs, left: readers - 1 })
      return secret
    },
  }
}
