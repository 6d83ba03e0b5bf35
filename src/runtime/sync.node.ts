/**
 * The syncs of a gateway on Node. What they are made of is loaded once there are any.
 *
 * @module
 */
import { setTimeout } from 'node:timers/promises'
import type { ConnectUpstream } from '../adapters/http-client.ts'
import type { KeyManager } from '../core/key-manager.ts'
import type { SecretChanges } from '../core/secret-changes.ts'
import type { Store } from '../core/store.ts'
import type { Syncs, SyncsDeps } from '../core/syncs.ts'
import { formatHex } from '../protocol/encoding.ts'

export interface NodeSyncsDeps
  extends Omit<SyncsDeps, 'store' | 'keys' | 'kv' | 'openSource' | 'openDestination' | 'holder'> {
  readonly store: Store
  readonly keys: KeyManager
  readonly changes: SecretChanges
  readonly connect: ConnectUpstream
}

export function createNodeSyncs(deps: NodeSyncsDeps): Syncs {
  let loaded: Promise<Syncs> | undefined
  let syncs: Syncs | undefined
  const load = () => (loaded ??= loadSyncs(deps))
  return {
    tick() {
      if (syncs === undefined && deps.configured().config.syncs.size === 0) return
      if (syncs !== undefined) return syncs.tick()
      load().then(
        (ready) => {
          syncs = ready
          ready.tick()
        },
        (error: unknown) => {
          loaded = undefined
          const said = error instanceof Error ? error.message : String(error)
          deps.telemetry.log('error', 'the syncs could not be loaded', { error: said })
        },
      )
    },
    list: async () => (await load()).list(),
    show: async (sync) => (await load()).show(sync),
    plan: async (request, emit) => (await load()).plan(request, emit),
    apply: async (request, onProgress) => (await load()).apply(request, onProgress),
    close: async () => (await loaded?.catch(() => undefined))?.close(),
  }
}

async function loadSyncs(deps: NodeSyncsDeps): Promise<Syncs> {
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
}
