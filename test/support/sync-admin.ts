/**
 * The admin API over syncs in memory, alone or on a socket.
 *
 * @module
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import type { Refusal } from '../../src/core/refusal.ts'
import type { Syncs } from '../../src/core/syncs.ts'
import { silentTelemetry } from '../../src/core/telemetry.ts'
import { type AdminDeps, createAdminApp } from '../../src/http/admin-app.ts'
import type { SyncWorld } from './sync-world.ts'

/** Refused acts go on record as with a whole gateway. */
export function createSyncAdmin(world: SyncWorld, syncs: Syncs = world.createProcess()) {
  const deps: Pick<AdminDeps, 'syncs' | 'telemetry' | 'newRequestId'> = {
    syncs,
    telemetry: silentTelemetry,
    newRequestId: () => 'request-1',
  }
  const operator = {
    async recordRefusal(requestId: string, operation: string, { code, reason }: Refusal, details?: object) {
      const entry = { time: new Date(world.nowMs), requestId, operation, decision: 'refused', code, reason } as const
      world.entries.push({ ...entry, ...(details && { details: { ...details } }) })
    },
    secrets: {},
  }
  return createAdminApp({ ...deps, operator } as unknown as AdminDeps)
}

/** @param folder Where a configuration and the socket that it names are written to. */
export async function serveSyncAdmin(
  world: SyncWorld,
  folder: { readonly path: string; write: (name: string, text: string) => string },
) {
  const config = folder.write('apostille.yaml', 'admin: { listen: unix:./admin.sock }')
  const server = createServer(getRequestListener(createSyncAdmin(world).fetch))
  server.listen(join(folder.path, 'admin.sock'))
  await once(server, 'listening')
  return { config, close: () => server.close() }
}
