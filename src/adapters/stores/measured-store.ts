/**
 * A store whose operations are timed, whatever it keeps things in.
 *
 * @module
 */
import type { Store } from '../../core/store.ts'
import type { Telemetry } from '../../core/telemetry.ts'

export interface MeasuredStoreDeps {
  readonly telemetry: Pick<Telemetry, 'observe'>
  /** Milliseconds that only grow. */
  readonly monotonicMs: () => number
}

type Operation = (...given: readonly never[]) => Promise<unknown>

export function measureStore(store: Store, { telemetry, monotonicMs }: MeasuredStoreDeps): Store {
  const measured = Object.entries(store).map(([name, run]: [string, Operation]) => {
    const labels = { operation: name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) }
    const timed: Operation = async (...given) => {
      const startedMs = monotonicMs()
      try {
        return await run(...given)
      } finally {
        telemetry.observe('apostille_store_operation_duration_seconds', (monotonicMs() - startedMs) / 1000, labels)
      }
    }
    return [name, timed]
  })
  return Object.fromEntries(measured) as Store
}
