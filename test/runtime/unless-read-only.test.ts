import { expect, test } from 'vitest'
import { StoreError } from '../../src/core/store.ts'
import { unlessReadOnly } from '../../src/runtime/unless-read-only.ts'
import { createTelemetryLog } from '../support/fake-upstream.ts'

test('that a store takes no writes is said, and no reason not to start', async () => {
  const log = createTelemetryLog()
  await unlessReadOnly(log, 'the rotation', () => Promise.reject(new StoreError('read_only', 'a standby')))
  expect(log.lines).toEqual([
    { name: 'warning', text: 'the rotation waits until the store takes writes', fields: { error: 'a standby' } },
  ])
})

test.each([new StoreError('unavailable', 'away'), new Error('a bug')])('%s is one', async (error) => {
  await expect(unlessReadOnly(createTelemetryLog(), 'x', () => Promise.reject(error))).rejects.toBe(error)
})

test('nothing is said where all went well', async () => {
  const log = createTelemetryLog()
  await unlessReadOnly(log, 'x', async () => undefined)
  expect(log.lines).toEqual([])
})
