/** A database that an older version left is opened by this one, and everything in it goes on. */
import { beforeAll, test } from 'vitest'
import { readOldStore } from '../support/old-store.ts'
import { expectOldStoreGoesOn } from '../support/old-store-checks.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { buildDeadlineMs } from './support/parts.ts'
import { makeDatabase, type PostgresServer, startPostgres } from './support/postgres.ts'

const stack = cleanupAfterAll()
let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres(stack, 18)
}, buildDeadlineMs)

test.each(['postgres-1'])('the store %s', async (name) => {
  await makeDatabase(server, 'old')
  const sql = readOldStore(name)
  await server.query(sql, 'old')
  const folder = await makeFolder(stack)
  // Twice: what the first start changed is no obstacle to the next.
  for (const _ of [1, 2]) await expectOldStoreGoesOn(folder, server.url('old'), sql)
})
