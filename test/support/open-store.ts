/** Opens a store in a process of its own: says `open` or the code of the error; with `stay` it keeps it open. */
import { createSqliteStore } from '../../src/adapters/stores/sqlite.node.ts'
import { StoreError } from '../../src/core/store.ts'

const [path = '', mode] = process.argv.slice(2)
try {
  createSqliteStore({ path, trustDomain: 'example.org' })
  console.log('open')
  if (mode === 'stay') setInterval(() => {}, 60_000)
} catch (error) {
  console.log(error instanceof StoreError ? error.code : String(error))
}
