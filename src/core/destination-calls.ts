/**
 * Calls to one destination: paced, each with its deadline, tried again while that can help.
 *
 * @module
 */
import { type ConcurrencyLimit, createConcurrencyLimit } from './concurrency-limit.ts'
import type { SecretDestination } from './secret-destination.ts'
import { DestinationError, type DestinationTurn, type HeldSecret } from './secret-destination.ts'
import type { SyncDestination } from './sync.ts'
import { operationMs } from './sync-lease.ts'
import { createPace, type Pace } from './sync-pace.ts'

export interface CallDeps {
  /** Resolves after so long. */
  readonly pause: (ms: number) => Promise<void>
  /** Aborts after so long. */
  readonly deadline: (ms: number) => AbortSignal
  readonly monotonicMs: () => number
  readonly randomBytes: (size: number) => Uint8Array
}

export interface CallContext {
  readonly destination: Pick<SyncDestination, 'document' | 'rules'>
  readonly adapter: SecretDestination
  /** Stops all. */
  readonly signal: AbortSignal
  /** Awaited before each request. @throws {LeaseLost} */
  readonly hold: () => void | Promise<void>
}

export interface DestinationCalls {
  /** Operations that run at once; more of them wait. */
  readonly atOnce: number
  /** Every secret there, from the start at each call; pages that were given may be given again. */
  readonly list: () => AsyncIterable<readonly HeldSecret[]>
  /** @throws what the last attempt threw */
  readonly call: <T>(run: (adapter: SecretDestination, turn: DestinationTurn) => Promise<T>) => Promise<T>
}

const maxAttempts = 5
const firstPauseMs = 250
const longestPauseMs = 20_000
/** A destination that asks to be left alone for longer is left to the next run. */
const longestWaitMs = 120_000

export function createDestinationCalls(deps: CallDeps, context: CallContext): DestinationCalls {
  const { rules, document } = context.destination
  const atOnce = document.concurrency ?? rules.pace.concurrency
  const pace = createPace({
    ...deps,
    write: document.writes_per_second ?? rules.pace.writesPerSecond,
    read: document.reads_per_second ?? rules.pace.readsPerSecond,
  })
  const limit = createConcurrencyLimit(atOnce)
  return {
    atOnce,
    list: () => listAgain(deps, context, pace),
    call: (run) => callAgain({ deps, context, pace, limit }, run),
  }
}

function turnOf({ signal, hold }: CallContext, pace: Pace, deadline: AbortSignal): DestinationTurn {
  return {
    signal: AbortSignal.any([signal, deadline]),
    async pace(kind) {
      await pace.next(kind)
      signal.throwIfAborted()
      await hold()
    },
  }
}

interface Calling {
  readonly deps: CallDeps
  readonly context: CallContext
  readonly pace: Pace
  readonly limit: ConcurrencyLimit
}

async function callAgain<T>(
  { deps, context, pace, limit }: Calling,
  run: (adapter: SecretDestination, turn: DestinationTurn) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await limit(async () => {
        await pace.untilFree()
        return run(context.adapter, turnOf(context, pace, deps.deadline(operationMs)))
      })
    } catch (error) {
      await pauseBeforeNext(deps, pace, error, attempt)
    }
  }
}

/** A listing that breaks off begins anew: whoever takes it takes what is given twice as given once. */
async function* listAgain(deps: CallDeps, context: CallContext, pace: Pace): AsyncIterable<readonly HeldSecret[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return yield* listOnce(deps, context, pace)
    } catch (error) {
      await pauseBeforeNext(deps, pace, error, attempt)
    }
  }
}

/** Each page has a deadline of its own. */
async function* listOnce(deps: CallDeps, context: CallContext, pace: Pace): AsyncIterable<readonly HeldSecret[]> {
  const late = new AbortController()
  const pages = context.adapter.list(turnOf(context, pace, late.signal))[Symbol.asyncIterator]()
  try {
    for (;;) {
      const deadline = deps.deadline(operationMs)
      const abort = () => late.abort(deadline.reason)
      deadline.addEventListener('abort', abort)
      const page = await pages.next().finally(() => deadline.removeEventListener('abort', abort))
      if (page.done === true) return
      yield page.value
    }
  } finally {
    await pages.return?.()
  }
}

/** @throws the error, when another attempt would not help or comes too late */
async function pauseBeforeNext(deps: CallDeps, pace: Pace, error: unknown, attempt: number): Promise<void> {
  if (!(error instanceof DestinationError) || attempt >= maxAttempts) throw error
  const { kind, retryAfterSeconds = 0 } = error
  if (kind !== 'unreachable' && kind !== 'throttled' && kind !== 'busy') throw error
  const askedMs = retryAfterSeconds * 1000
  if (askedMs > longestWaitMs) throw error
  const [high = 0, low = 0] = deps.randomBytes(2)
  const jittered = ((high * 256 + low) / 65_536) * Math.min(firstPauseMs * 2 ** (attempt - 1), longestPauseMs)
  const pauseMs = Math.max(jittered, askedMs)
  // What one was told holds for all.
  if (kind === 'throttled') pace.holdBack(pauseMs)
  await deps.pause(pauseMs)
}
