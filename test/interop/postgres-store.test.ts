import { beforeAll, describe } from 'vitest'
import { createPostgresStore, type PostgresStoreConfig } from '../../src/adapters/stores/postgres.node.ts'
import { storeField } from '../../src/core/config-store.ts'
import { storeContract } from '../contracts/store.ts'
import { cleanupAfterAll } from './support/cleanup.ts'
import { buildDeadlineMs } from './support/parts.ts'
import { makeDatabase, type PostgresServer, startPostgres } from './support/postgres.ts'

const config = (url: string, trustDomain = 'example.org'): PostgresStoreConfig => {
  const store = storeField.parse(url)
  if (store.kind !== 'postgres') throw new Error('no PostgreSQL')
  return { ...store, trustDomain, env: {} }
}

describe.each([15, 18] as const)('PostgreSQL %i', (version) => {
  const stack = cleanupAfterAll()
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres(stack, version)
    await makeDatabase(server, 'contract')
  }, buildDeadlineMs)

  storeContract(`PostgreSQL ${version}`, async () => {
    await server.query('DROP SCHEMA IF EXISTS apostille CASCADE', 'contract')
    return {
      open: (trustDomain) => createPostgresStore(config(server.url('contract'), trustDomain)),
      close: async () => {},
    }
  })
})
