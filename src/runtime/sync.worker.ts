/**
 * The syncs of a gateway on Workers: begun by whoever comes by, and waited for by the platform's clock.
 *
 * @module
 */
import type { Syncs } from '../core/syncs.ts'
import { formatHex } from '../protocol/encoding.ts'
import { createSyncsAtFirstUse, type RuntimeSyncsDeps } from './syncs-at-first-use.ts'

export function createWorkerSyncs(deps: RuntimeSyncsDeps): Syncs {
  return createSyncsAtFirstUse(deps, async () => {
    const [{ createSyncs }, { createKvSource }, { createOpenSource }, { createOpenDestination }] = await Promise.all([
      import('../core/syncs.ts'),
      import('../adapters/sources/kv.ts'),
      import('../adapters/sources/index.worker.ts'),
      import('../adapters/destinations/index.ts'),
    ])
    return createSyncs({
      ...deps,
      kv: createKvSource(deps),
      openSource: createOpenSource(deps),
      openDestination: createOpenDestination({ connect: deps.connect, now: deps.now, pause }),
      holder: formatHex(deps.randomBytes(8)),
    })
  })
}

/** @throws the reason of the signal, when it is aborted before */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    }, ms)
    const stop = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    signal.addEventListener('abort', stop, { once: true })
  })
}
