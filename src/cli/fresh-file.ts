/**
 * A file with a token that is replaced before it expires.
 *
 * @module
 */
import { replaceFile } from '../runtime/replace-file.node.ts'

export interface FreshFileDeps {
  readonly path: string
  readonly fetch: () => Promise<{ readonly token: string; readonly expiresAt: Date }>
  /** Told of each failure; the file stays as it is, and soon the next attempt is made. */
  readonly failed: (error: unknown) => void
  readonly now: () => Date
  /** Calls back once; answers what cancels it. */
  readonly startTimer: (callback: () => void, ms: number) => () => void
}

const retryMs = 10_000

/** Comes back when the first token is there. @throws as `fetch`, for the first */
export async function keepFileFresh(deps: FreshFileDeps): Promise<{ readonly stop: () => void }> {
  const { path, fetch, failed, now, startTimer } = deps
  let cancel = () => {}
  let stopped = false

  async function renew(): Promise<void> {
    const { token, expiresAt } = await fetch()
    if (stopped) return
    await replaceFile(path, token, 0o600)
    schedule(Math.max(1000, (expiresAt.getTime() - now().getTime()) / 2))
  }

  function schedule(ms: number): void {
    if (!stopped) cancel = startTimer(() => void renew().catch(giveTime), ms)
  }

  function giveTime(error: unknown): void {
    if (stopped) return
    failed(error)
    schedule(retryMs)
  }

  await renew()
  return {
    stop() {
      stopped = true
      cancel()
    },
  }
}
