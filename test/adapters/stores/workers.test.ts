import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrations } from '../../../src/adapters/stores/migrations.ts'
import { storeContract } from '../../contracts/store.ts'
import { startWorkerStores, type WorkerStores } from '../../support/worker-stores.ts'

let stores: WorkerStores
beforeAll(async () => {
  stores = await startWorkerStores()
})
afterAll(() => stores.close())

const kinds = ['durable object', 'd1'] as const

for (const kind of kinds)
  storeContract(`${kind} in workerd`, async () => {
    const { open } = await stores.create(kind)
    return { open, close: async () => undefined }
  })

describe.each(kinds)('%s in workerd', (kind) => {
  test('says its schema, and refuses a newer one without a change', async () => {
    const { open, run } = await stores.create(kind)
    await (await open('example.org')).close()
    expect(await run('SELECT version FROM schema_version')).toEqual([{ version: migrations.length }])
    await run('UPDATE schema_version SET version = version + 1')
    await expect(open('example.org')).rejects.toMatchObject({ code: 'newer_version' })
    expect(await run('SELECT version FROM schema_version')).toEqual([{ version: migrations.length + 1 }])
  })
})
