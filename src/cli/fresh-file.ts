/**
 * A file with a token that is replaced before it expires.
 *
 * @module
 */
import { replaceFile } from '../runtime/replace-file.node.ts'

export interface FreshToken {
  readonly token: string
  readonly expiresAt: Date
}

export interface FreshFileDeps<Token extends FreshToken = FreshToken> {
  readonly path: string
  readonly fetch: () => Promise<Token>
  /** Told whenever the file is new; the next renewal does not wait for it. */
  readonly written?: (token: Token) => void
  /** Told of each failure; the file stays as it is, and soon the next attempt is made. */
  readonly failed: (error: unknown) => void
  readonly now: () => Date
  /** Calls back once; answers what cancels it. */
  readonly startTimer: (callback: () => void, ms: number) => () => void
}

const longestRetryMs = 10_000
const shortestMs = 1000

/** Comes back when the first token is there. @throws as `fetch`, for the first */
export async function keepFileFresh<Token extends FreshToken>(
  deps: FreshFileDeps<Token>,
): Promise<{ readonly stop: () => void }> {
  const { path, fetch, written, failed, now, startTimer } = deps
  let cancel = () => {}
  let endsAtMs = 0
  let stopped = false

  async function renew(): Promise<void> {
    const next = await fetch()
    if (stopped) return
    await replaceFile(path, next.token, 0o600)
    endsAtMs = next.expiresAt.getTime()
    schedule(leftMs() / 2)
    written?.(next)
  }

  const leftMs = () => endsAtMs - now().getTime()

  function schedule(ms: number): void {
    if (!stopped) cancel = startTimer(() => void renew().catch(giveTime), Math.max(shortestMs, ms))
  }

  function giveTime(error: unknown): void {
    if (stopped) return
    failed(error)
    schedule(Math.min(longestRetryMs, leftMs() / 4))
  }

  await renew()
  return {
    stop() {
      stopped = true
      cancel()
    },
  }
}
