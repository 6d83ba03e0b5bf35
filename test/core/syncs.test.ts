import { expect, test } from 'vitest'
import type { PlanItem } from '../../src/core/plan-sync.ts'
import { DestinationError } from '../../src/core/secret-destination.ts'
import type { Syncs } from '../../src/core/syncs.ts'
import { CloudError, createSyncWorld, type SyncWorld } from '../support/sync-world.ts'

const apply = (syncs: Syncs, more: { readonly allowDeletions?: boolean } = {}) =>
  syncs.apply({ sync: 'payments', requestId: 'r1', allowDeletions: false, ...more }, () => undefined)

async function planOf(syncs: Syncs): Promise<readonly PlanItem[]> {
  const items: PlanItem[] = []
  await syncs.plan({ sync: 'payments' }, (_, item) => void items.push(item))
  return items
}

const valueAt = (world: SyncWorld, name: string) => world.clouds.aws.secrets.get(name)?.value

test('a first run creates, the next does nothing, and reads nothing but listings', async () => {
  const world = await createSyncWorld()
  const syncs = world.createProcess()
  world.source.set('payments/db', { user: 'u', password: 'hunter2' })
  world.source.set('payments/api', { key: 'k' })

  const first = await apply(syncs)
  expect(first.destinations['aws']).toMatchObject({ state: 'synced', counts: { created: 2, current: 0 } })
  expect(valueAt(world, 'payments/db')).toBe('{"password":"hunter2","user":"u"}')

  const { requests } = world.clouds.aws
  Object.assign(requests, { list: 0, look: 0, write: 0, remove: 0 })
  world.source.reads = 0
  const second = await apply(syncs)
  expect(second.destinations['aws']).toMatchObject({ state: 'synced', counts: { created: 0, current: 2 } })
  expect(requests).toEqual({ list: 1, look: 0, write: 0, remove: 0 })
  expect(world.source.reads).toBe(0)
})
