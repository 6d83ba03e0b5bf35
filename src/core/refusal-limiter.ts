/**
 * Keeps refusals of strangers from filling the disk: up to a limit each is one record, beyond it they are counted.
 *
 * @module
 */
import { parseAddress } from './address-range.ts'
import type { RecordEntry } from './record.ts'
import type { RefusalCode } from './refusal.ts'

export interface RefusalLimiter {
  /** Whether this refusal becomes a record of its own; if not, it has been counted. */
  readonly admit: (now: Date, code: RefusalCode, address: string) => boolean
  /**
   * The counts of minutes that are over, or of all at a stop, as entries named `refusals.counted`: each is handed out
   * once.
   */
  readonly takeCounted: (now: Date, options?: { readonly all?: boolean }) => readonly RecordEntry[]
}

export interface RefusalLimiterConfig {
  /** How many refusals of one minute are recorded one by one; asked each time, as a reload may change it. */
  readonly perMinute: () => number
}

const minuteMs = 60_000
/** Address prefixes that are told apart; all others share one count for each minute and code. */
const maxCounters = 1000

interface Counter {
  readonly minute: number
  readonly code: RefusalCode
  readonly prefix: string
  readonly count: number
}

export function createRefusalLimiter({ perMinute }: RefusalLimiterConfig): RefusalLimiter {
  const counters = new Map<string, Counter>()
  let minute = Number.NaN
  let admitted = 0

  const count = (code: RefusalCode, address: string) => {
    const known = addressPrefix(address)
    const prefix = counters.size < maxCounters || counters.has(keyOf(minute, code, known)) ? known : 'other'
    const key = keyOf(minute, code, prefix)
    counters.set(key, { minute, code, prefix, count: (counters.get(key)?.count ?? 0) + 1 })
  }
  return {
    admit: (now, code, address) => {
      const current = minuteOf(now)
      // Also when the clock was set back: the limit is of this minute, whichever came before.
      if (current !== minute) admitted = 0
      minute = current
      if (admitted++ < perMinute()) return true
      count(code, address)
      return false
    },
    takeCounted: (now, { all = false } = {}) => {
      const current = minuteOf(now)
      const over = [...counters].filter(([, counter]) => all || counter.minute !== current)
      for (const [key] of over) counters.delete(key)
      return over.map(([, counter]) => entryOf(counter, now))
    },
  }
}

const minuteOf = (now: Date) => Math.floor(now.getTime() / minuteMs)
const keyOf = (minute: number, code: RefusalCode, prefix: string) => `${minute} ${code} ${prefix}`

function entryOf({ minute, code, prefix, count }: Counter, now: Date): RecordEntry {
  return {
    time: now,
    operation: 'refusals.counted',
    decision: 'refused',
    code,
    address: prefix,
    details: { count, minute: new Date(minute * minuteMs).toISOString() },
  }
}

/** The network that an address is counted under: /24 of IPv4, /48 of IPv6, which is what one party is usually given. */
export function addressPrefix(text: string): string {
  const address = parseAddress(text)
  if (address === undefined) return 'unknown'
  if (address.length === 4) return `${address.slice(0, 3).join('.')}.0/24`
  const group = (at: number) => (((address[at] ?? 0) << 8) | (address[at + 1] ?? 0)).toString(16)
  return `${group(0)}:${group(2)}:${group(4)}::/48`
}
