import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFileReader } from '../../src/adapters/file-reader.node.ts'
import { createWatchedFile } from '../../src/adapters/watched-file.ts'

let folder = ''
let now = 0

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'watched-'))
  now = 0
})
afterEach(() => rm(folder, { recursive: true }))

function watch(path: string, reads: string[] = []) {
  const files = createFileReader(100)
  const counted = {
    stamp: files.stamp,
    read: (name: string) => {
      reads.push(name)
      return files.read(name)
    },
  }
  return createWatchedFile(path, { files: counted, monotonicMs: () => now })
}

test('reads a file once until it changes', async () => {
  const path = join(folder, 'a')
  await writeFile(path, 'one')
  const reads: string[] = []
  const file = watch(path, reads)
  expect(await file.read()).toBe('one')
  now += 1000
  expect(await file.read()).toBe('one')
  expect(reads).toHaveLength(1)

  await writeFile(path, 'other')
  expect(await file.read(), 'within a second').toBe('one')
  now += 1000
  expect(await file.read()).toBe('other')
})

test('sees a file of the same length and time that took its place', async () => {
  const path = join(folder, 'a')
  await writeFile(path, 'one')
  const file = watch(path)
  await file.read()
  await writeFile(join(folder, 'b'), 'two')
  await rename(join(folder, 'b'), path)
  now += 1000
  expect(await file.read()).toBe('two')
})

test('says that a file is gone', async () => {
  const path = join(folder, 'a')
  await writeFile(path, 'one')
  const file = watch(path)
  await file.read()
  await rm(path)
  now += 1000
  await expect(file.read()).rejects.toThrow('ENOENT')
})

test('a file may have as many bytes as the limit says', async () => {
  const path = join(folder, 'a')
  await writeFile(path, 'x'.repeat(100))
  expect(await watch(path).read()).toHaveLength(100)
  await writeFile(path, 'x'.repeat(101))
  await expect(watch(path).read()).rejects.toThrow('more than 100 bytes')
})

test('a file that is not UTF-8 is refused', async () => {
  const path = join(folder, 'a')
  await writeFile(path, Buffer.from([0xff, 0xfe]))
  await expect(watch(path).read()).rejects.toThrow(TypeError)
})
