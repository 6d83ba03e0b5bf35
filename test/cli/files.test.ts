import { statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../src/cli/files.ts'
import { makeStoreDirectory } from '../support/store-directory.ts'

test('a folder is made with those above it, and one that is there is left', async () => {
  using place = makeStoreDirectory()
  const folder = place.file('a/b/c')
  await Promise.all([makeFolder(folder), makeFolder(folder), makeFolder(place.file('a/b/d'))])
  await makeFolder(folder)
  expect(statSync(folder).isDirectory()).toBe(true)
  symlinkSync(folder, place.file('link'))
  await makeFolder(join(place.file('link'), 'e'))
  expect(statSync(join(folder, 'e')).isDirectory()).toBe(true)
})

test.runIf(process.platform === 'linux')('a folder that takes none is said, and not asked for ever', async () => {
  await expect(makeFolder('/proc/there-is-none/x')).rejects.toThrow('cannot write /proc/there-is-none/x')
})

test('a file in the way is said', async () => {
  using place = makeStoreDirectory()
  writeFileSync(place.file('file'), '')
  await expect(makeFolder(place.file('file/x'))).rejects.toThrow('cannot write')
  await expect(makeFolder(place.file('file'))).rejects.toThrow('cannot write')
})
