/**
 * The syncs of a gateway on Node.
 *
 * @module
 */
import { setTimeout } from 'node:timers/promises'
import type { Syncs } from '../core/syncs.ts'
import { formatHex } from '../protocol/encoding.ts'
import { createSyncsAtFirstUse, type RuntimeSyncsDeps } from './syncs-at-first-use.ts'

export function createNodeSyncs(deps: RuntimeSyncsDeps): Syncs {
  return createSyncsAtFirstUse(deps, async () => {
    const [{ createSyncs }, { createKvSource }, { createOpenSource }, { createOpenDestination }] = await Promise.all([
      import('../core/syncs.ts'),
      import('../adapters/sources/kv.ts'),
      import('../adapters/sources/index.ts'),
      import('../adapters/destinations/index.ts'),
    ])
    return createSyncs({
      ...deps,
      kv: createKvSource(deps),
      openSource: createOpenSource(deps),
      openDestination: createOpenDestination({
        connect: deps.connect,
        now: deps.now,
        pause: (ms, signal) => setTimeout(ms, undefined, { signal }),
      }),
      holder: formatHex(deps.randomBytes(8)),
    })
  })
}
