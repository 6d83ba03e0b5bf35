/** A hundred replicas on one store: what is to happen once does, and what each of them asks does not grow with the others. */
import { expect, test } from 'vitest'
import { createTestAuthorities } from '../support/authorities.ts'
import { a, bundleText, createWorld, webPeer } from '../support/federation-world.ts'
import { createMemoryStore } from '../support/memory-store.ts'

const count = 100
const each = Array.from({ length: count }, (_, index) => index)

test('authorities are rotated once, whoever is first, and all sign with what came of it', async () => {
  const store = createMemoryStore()
  const replicas = each.map(() => createTestAuthorities({ store }))
  await Promise.all(replicas.map(({ authorities }) => authorities.refresh()))
  expect(store.written('authorities')).toHaveLength(1)
  const slot = replicas[0]?.one('active').slotSeconds ?? 0
  let reads = 0
  let writes = 0
  store.beforeRead = () => void reads++
  store.beforeWrite = () => void writes++
  for (const { pass } of replicas) pass(slot)
  await Promise.all(replicas.map(({ authorities }) => authorities.refresh()))
  expect(store.written('authorities')).toHaveLength(2)
  expect(new Set(replicas.map(({ authorities }) => authorities.current().x509().id)).size).toBe(1)
  // Two reads of who was too late, and one write that it tried.
  expect(reads).toBeLessThanOrEqual(2 * count)
  expect(writes).toBeLessThanOrEqual(count)

  reads = writes = 0
  await Promise.all(replicas.map(({ authorities }) => authorities.refresh()))
  expect([reads, writes]).toEqual([count, 0])
})

test('an endpoint is asked once at each time, and all hold what it said', async () => {
  const world = createWorld(() => 0.5)
  world.endpoints.set(a, async () => bundleText(a, { sequence: 7, hint: 300 }))
  const replicas = each.map(() => world.start([webPeer(a, bundleText(a, { sequence: 5 }))]))
  await Promise.all(replicas.map((replica) => replica.refresh()))
  for (let turn = 1; turn <= 3; turn++) {
    world.advance(300)
    await Promise.all(replicas.map((replica) => replica.poll()))
    expect(world.asked).toHaveLength(turn)
    await Promise.all(replicas.map((replica) => replica.refresh()))
    expect(replicas.map((replica) => replica.sequences()[a])).toEqual(each.map(() => 7))
  }
})
