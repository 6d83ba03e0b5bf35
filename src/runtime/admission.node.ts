/**
 * Sheds load before latency collapses.
 *
 * Only so many requests are begun in each turn of the event loop, oldest first; one that would have to wait too long is
 * refused. A refusal costs nearly half of what an answer costs, and a caller who is refused at once is back at once. So
 * refusals are let go at a fraction of the rate of answers: their callers wait, which costs nothing, and what the
 * process can do goes into answers.
 *
 * @module
 */
import type { Telemetry } from '../core/telemetry.ts'

/** A request that could not be begun when it arrived: one of the two is called, unless its caller is gone. */
export interface Waiting {
  readonly answer: () => void
  readonly refuse: () => void
  readonly isGone: () => boolean
}

export interface AdmissionLimits {
  /** Enough to share a durable write well, and done in some 10 ms. Default 64. */
  readonly beginsPerTurn: number
  /**
   * With the turns before and after, those that are answered have their answer well within a quarter of a second.
   * Default 100.
   */
  readonly maxWaitMs: number
  /** Requests that wait for another service, as when an issuer hangs, and hold memory meanwhile. Default 2,000. */
  readonly maxAnswering: number
  /** Beyond it a refusal is immediate. Default 10,000. */
  readonly maxHeld: number
}

export interface AdmissionDeps {
  readonly limits?: Partial<AdmissionLimits>
  readonly telemetry: Pick<Telemetry, 'count' | 'gauge'>
  /** Milliseconds that only grow. */
  readonly monotonicMs: () => number
  /** Requests that were begun and keep the process busy; none that waits for its peer. */
  readonly answering: () => number
  /** Calls back once what has arrived meanwhile was read. Default `setImmediate`. */
  readonly nextTurn?: (begin: () => void) => void
}

export interface Admission {
  /** Whether a request may be begun now. */
  readonly admits: () => boolean
  /** For one that may not. */
  readonly wait: (request: Waiting) => void
}

const usualLimits: AdmissionLimits = { beginsPerTurn: 64, maxWaitMs: 100, maxAnswering: 2_000, maxHeld: 10_000 }
/** While every turn is full. Otherwise refusals take the room that is left. */
const refusalsPerTurn = 16
/** Since it arrived: callers do not wait much longer themselves. */
const maxHoldMs = 1_500

interface Held {
  readonly request: Waiting
  readonly sinceMs: number
}

export function createAdmission(deps: AdmissionDeps): Admission {
  const { nextTurn = setImmediate } = deps
  const { beginsPerTurn, maxWaitMs, maxAnswering, maxHeld } = { ...usualLimits, ...deps.limits }
  const waiting: Held[] = []
  const late: Held[] = []
  let held = 0
  let shown = 0
  let begun = 0
  let scheduled = false

  const hasRoom = () => begun < beginsPerTurn && deps.answering() < maxAnswering

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    nextTurn(turn)
  }

  function turn(): void {
    scheduled = false
    begun = 0
    const nowMs = deps.monotonicMs()
    beginOldest(nowMs)
    refuseOldest(nowMs)
    show()
    if (held > 0) schedule()
  }

  /** Once a turn, as it changes with each request. */
  function show(): void {
    if (shown !== held) deps.telemetry.gauge('apostille_http_requests_waiting', held)
    shown = held
  }

  function beginOldest(nowMs: number): void {
    let next = 0
    for (const entry of waiting) {
      const isLate = nowMs - entry.sinceMs > maxWaitMs
      if (!isLate && !hasRoom()) break
      next += 1
      if (isLate) late.push(entry)
      else begin(entry.request)
    }
    waiting.splice(0, next)
  }

  function refuseOldest(nowMs: number): void {
    const room = Math.max(refusalsPerTurn, beginsPerTurn - begun)
    let next = 0
    for (const { request, sinceMs } of late) {
      if (next >= room && nowMs - sinceMs <= maxHoldMs) break
      next += 1
      refuse(request)
    }
    late.splice(0, next)
  }

  function begin(request: Waiting): void {
    held -= 1
    if (request.isGone()) return
    begun += 1
    request.answer()
  }

  function refuse(request: Waiting): void {
    held -= 1
    if (request.isGone()) return
    deps.telemetry.count('apostille_http_requests_shed_total')
    request.refuse()
  }

  return {
    admits() {
      if (waiting.length > 0 || !hasRoom()) return false
      begun += 1
      schedule()
      return true
    },
    wait(request) {
      held += 1
      if (held > maxHeld) return refuse(request)
      waiting.push({ request, sinceMs: deps.monotonicMs() })
      schedule()
    },
  }
}
