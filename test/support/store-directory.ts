import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A directory that goes away at the end of the block that `using` it. */
export function makeStoreDirectory() {
  const path = mkdtempSync(join(tmpdir(), 'apostille-store-'))
  const remove = () => rmSync(path, { recursive: true, force: true })
  return { path, file: (name: string) => join(path, name), remove, [Symbol.dispose]: remove }
}
