/**
 * The syncs of a gateway, loaded once there are any: who has none pays nothing for them.
 *
 * @module
 */
import type { ConnectUpstream } from '../adapters/http-client.ts'
import type { KeyManager } from '../core/key-manager.ts'
import type { SecretChanges } from '../core/secret-changes.ts'
import type { Store } from '../core/store.ts'
import type { Syncs, SyncsDeps } from '../core/syncs.ts'
import { describeError } from './describe-error.ts'

/** What a runtime gives the syncs, besides the adapters that it loads with them. */
export interface RuntimeSyncsDeps
  extends Omit<SyncsDeps, 'store' | 'keys' | 'kv' | 'openSource' | 'openDestination' | 'holder'> {
  readonly store: Store
  readonly keys: KeyManager
  readonly changes: SecretChanges
  readonly connect: ConnectUpstream
}

type UntilLoaded = Pick<RuntimeSyncsDeps, 'configured' | 'telemetry'>

export function createSyncsAtFirstUse(deps: UntilLoaded, loadSyncs: () => Promise<Syncs>): Syncs {
  let loaded: Promise<Syncs> | undefined
  let syncs: Syncs | undefined
  const load = () => (loaded ??= loadSyncs())
  const whereLoaded = () => loaded?.catch(() => undefined)
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
          deps.telemetry.log('error', 'the syncs could not be loaded', { error: describeError(error) })
        },
      )
    },
    idle: async () => (await whereLoaded())?.idle(),
    list: async () => (await load()).list(),
    show: async (sync) => (await load()).show(sync),
    plan: async (request, emit) => (await load()).plan(request, emit),
    apply: async (request, onProgress) => (await load()).apply(request, onProgress),
    close: async () => (await whereLoaded())?.close(),
  }
}
