/**
 * A file with a token that is replaced before it expires.
 *
 * @module
 */
import { replaceFile } from '../runtime/replace-file.node.ts'
import { createAlarm, halfOf, pauseAfterFailure, type Timing } from '../sdk/alarm.ts'

export interface FreshToken {
  readonly token: string
  readonly expiresAt: Date
}

export interface FreshFileDeps<Token extends FreshToken = FreshToken> extends Timing {
  readonly path: string
  readonly fetch: () => Promise<Token>
  /** Told whenever the file is new; the next renewal does not wait for it. */
  readonly written?: (token: Token) => void
  /** Told of each failure; the file stays as it is, and soon the next attempt is made. */
  readonly failed: (error: unknown) => void
}

const shortestMs = 1000

/** Comes back when the first token is there. @throws as `fetch`, for the first */
export async function keepFileFresh<Token extends FreshToken>(
  deps: FreshFileDeps<Token>,
): Promise<{ readonly stop: () => void }> {
  const { path, fetch, written, failed, now } = deps
  const alarm = createAlarm(deps)
  let endsAt = now()
  let failures = 0
  let stopped = false

  async function renew(): Promise<void> {
    const next = await fetch()
    if (stopped) return
    await replaceFile(path, next.token, 0o600)
    failures = 0
    endsAt = next.expiresAt
    wakeAt(halfOf({ from: now(), expiresAt: endsAt }, deps))
    written?.(next)
  }

  function wakeAt(at: Date): void {
    const earliest = new Date(now().getTime() + shortestMs)
    if (!stopped) alarm.set(at > earliest ? at : earliest, () => void renew().catch(tryAgain))
  }

  function tryAgain(error: unknown): void {
    if (stopped) return
    failed(error)
    failures++
    const leftMs = endsAt.getTime() - now().getTime()
    wakeAt(new Date(now().getTime() + pauseAfterFailure(failures, leftMs, deps)))
  }

  await renew()
  return {
    stop() {
      stopped = true
      alarm.cancel()
    },
  }
}

/** By the clock of this machine; timers keep the process alive. */
export const machineTiming: Timing = {
  now: () => new Date(),
  random: Math.random,
  startTimer(callback, ms) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}
