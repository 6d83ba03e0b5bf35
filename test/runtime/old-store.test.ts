/** A database that an older version left is opened by this one, and everything in it goes on. */
import { mkdirSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'vitest'
import { readOldStore } from '../support/old-store.ts'
import { expectOldStoreGoesOn } from '../support/old-store-checks.ts'
import { makeStoreDirectory } from '../support/store-directory.ts'

test.each(['sqlite-2'])('the store %s', async (name) => {
  using folder = makeStoreDirectory()
  mkdirSync(folder.file('data'))
  const db = new DatabaseSync(folder.file('data/apostille.db'))
  const sql = readOldStore(name)
  db.exec(sql)
  db.close()
  // Twice: what the first start changed is no obstacle to the next.
  for (const _ of [1, 2]) await expectOldStoreGoesOn(folder.path, 'sqlite:./data/apostille.db', sql)
})
