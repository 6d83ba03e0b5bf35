import { expect, test } from 'vitest'
import { createJoinEqual } from '../../../src/adapters/join-equal.ts'
import { createOpenSource } from '../../../src/adapters/sources/index.ts'
import { sourceSchema } from '../../../src/core/config-sources.ts'
import { createTelemetryLog } from '../../support/fake-upstream.ts'
import { createVaultDouble, vaultOrigin } from '../../support/vault-double.ts'

const { signal } = new AbortController()

test('each kind of source is opened by its type', async () => {
  const vault = createVaultDouble()
  vault.put('a', { value: 'x' })
  const open = createOpenSource({
    connect: vault.connect,
    joinEqual: createJoinEqual(),
    telemetry: createTelemetryLog(),
    now: () => new Date(),
    monotonicMs: () => 0,
  })
  const opened = (document: object) =>
    open({ name: 'there', document: sourceSchema.parse(document), token: async (audience) => `jwt-for-${audience}.x` })

  const secret = await opened({ type: 'vault', address: vaultOrigin, role: 'sync', audience: 'vault' }).read(
    'a',
    signal,
  )
  expect(secret?.content).toEqual({ kind: 'fields', fields: { value: 'x' } })
  const files = opened({ type: 'directory', path: import.meta.dirname })
  expect((await files.read('index.test.ts', signal))?.content.kind).toBe('raw')
})
