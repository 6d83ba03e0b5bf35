import { expect, test } from 'vitest'
import { measureStore } from '../../../src/adapters/stores/measured-store.ts'
import type { Store } from '../../../src/core/store.ts'
import type { Fields } from '../../../src/core/telemetry.ts'

function createWorld(methods: Partial<Store>) {
  const seen: unknown[] = []
  let nowMs = 0
  const store = measureStore(methods as Store, {
    telemetry: { observe: (metric, value, labels?: Fields) => void seen.push([metric, value, labels]) },
    monotonicMs: () => (nowMs += 250),
  })
  return { store, seen }
}

test('an operation answers as it did, and its time is told under its name', async () => {
  const { store, seen } = createWorld({ writeDocument: async (name, expected) => name === 'a' && expected === 1 })
  expect(await store.writeDocument('a', 1, '')).toBe(true)
  expect(seen).toEqual([['apostille_store_operation_duration_seconds', 0.25, { operation: 'write_document' }]])
})

test('so is one that fails', async () => {
  const { store, seen } = createWorld({ check: () => Promise.reject(new Error('away')) })
  await expect(store.check()).rejects.toThrow('away')
  expect(seen).toMatchObject([['apostille_store_operation_duration_seconds', 0.25, { operation: 'check' }]])
})
