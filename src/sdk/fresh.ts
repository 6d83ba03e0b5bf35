/**
 * What expires, used again while it is fresh.
 *
 * @module
 */

/** Something that is good until a time. */
export interface Perishable {
  readonly expiresAt: Date
}

/** Equal keys at the same time are one run, whose outcome all get. */
export type JoinEqual = <T>(key: string, run: () => Promise<T>) => Promise<T>

export interface FreshDeps {
  readonly now: () => Date
  /** By default each runs: where requests are kept apart, as on Workers, they can not share a promise. */
  readonly join?: JoinEqual
  /** Whether what is left of an earlier one serves instead of this failure. */
  readonly mayServeOld: (error: unknown) => boolean
}

export type KeepFresh<T extends Perishable> = (key: string, load: () => Promise<T>) => Promise<T>

const minMarginMs = 60_000
const maxMarginMs = 15 * 60_000

interface Held<T> {
  readonly value: T
  readonly freshUntil: Date
}

/**
 * One is fresh for half of what it had left when it came, or until 15 minutes before its end, whichever is later. That
 * is when SDKs begin to ask for the next one. Nothing is handed out that has less than a minute left, unless it came so.
 */
export function createFreshKeeper<T extends Perishable>(deps: FreshDeps): KeepFresh<T> {
  const { now, join = (_key, run) => run(), mayServeOld } = deps
  const held = new Map<string, Held<T>>()

  async function renew(key: string, load: () => Promise<T>): Promise<T> {
    const old = held.get(key)
    try {
      const value = await load()
      held.set(key, { value, freshUntil: freshUntil(value, now()) })
      return value
    } catch (error) {
      const serves = old && mayServeOld(error) && old.value.expiresAt.getTime() - now().getTime() > minMarginMs
      if (serves) return old.value
      held.delete(key)
      throw error
    }
  }

  return async (key, load) => {
    const known = held.get(key)
    if (known && now() < known.freshUntil) return known.value
    return join(key, () => renew(key, load))
  }
}

/** When the next one is to be had. */
export function freshUntil({ expiresAt }: Perishable, now: Date): Date {
  const leftMs = expiresAt.getTime() - now.getTime()
  const marginMs = Math.max(minMarginMs, Math.min(maxMarginMs, leftMs / 2))
  return new Date(expiresAt.getTime() - marginMs)
}
