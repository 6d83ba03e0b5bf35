import { expect, test } from 'vitest'
import { createGateway, type GatewayPorts } from '../../src/core/gateway.ts'
import type { RecordEntry } from '../../src/core/record.ts'
import { Refusal } from '../../src/core/refusal.ts'

const start = new Date('2026-01-01T12:00:00.000Z')

/** A gateway whose records can not be written while `broken`, and whose store passes every check. */
function createBroken() {
  const world = { broken: true, isFailing: true, now: start, tried: [] as RecordEntry[] }
  const keep = async (entries: readonly RecordEntry[]) => {
    world.tried.push(...entries)
    world.isFailing = world.broken
    if (world.broken) throw new Refusal('store_unavailable', 'the disk is full')
    return 'stored' as const
  }
  const ports = {
    store: { check: async () => {} },
    changes: { tell: () => {} },
    authorities: { current: () => ({ x509: () => undefined }) },
    records: { isFailing: () => world.isFailing, keep },
    now: () => world.now,
  } as unknown as GatewayPorts
  return { world, ready: createGateway(ports).ready }
}

const unavailable = { code: 'store_unavailable' }

test('is not ready while the last write of records failed, and tries again once per second', async () => {
  const { world, ready } = createBroken()
  for (let time = 0; time < 3; time++) await expect(ready()).rejects.toMatchObject(unavailable)
  expect(world.tried).toHaveLength(1)
  world.now = new Date(start.getTime() + 1000)
  await expect(ready()).rejects.toMatchObject(unavailable)
  expect(world.tried).toHaveLength(2)
})

test('is ready again without any request, with a record that says so', async () => {
  const { world, ready } = createBroken()
  await expect(ready()).rejects.toMatchObject(unavailable)
  world.broken = false
  world.now = new Date(start.getTime() + 1000)
  for (let time = 0; time < 3; time++) await ready()
  expect(world.tried.map(({ operation, decision }) => [operation, decision])).toEqual([
    ['records.resume', 'granted'],
    ['records.resume', 'granted'],
  ])
})
