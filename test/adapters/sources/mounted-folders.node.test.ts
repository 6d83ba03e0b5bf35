import { rm } from 'node:fs/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { listMountedFolders } from '../../../src/adapters/sources/mounted-folders.node.ts'
import { createTestMount, type TestMount } from '../../support/mounted.ts'

let folder: TestMount
let outside: TestMount

beforeEach(async () => {
  folder = await createTestMount()
  outside = await createTestMount()
})

afterEach(async () => {
  for (const made of [folder, outside]) await made[Symbol.asyncDispose]()
})

async function list(path?: string) {
  const folders = await Array.fromAsync(listMountedFolders(folder.root, path))
  return folders.map((found) => [found.path, ...found.files.map(({ name }) => name)].join(' '))
}

test('lists folder by folder, each with its own files by name', async () => {
  for (const path of ['b', 'a-b', 'a/x', 'a/c/y', 'a/b', '.dockerconfigjson']) await folder.put(path)
  expect(await list()).toEqual([' .dockerconfigjson a-b b', 'a b x', 'a/c y'])
})

test('begins where it is asked to', async () => {
  for (const path of ['a/x', 'ab/z', 'b/y']) await folder.put(path)
  expect(await list('a')).toEqual(['a x'])
  expect(await list('none')).toEqual([])
})

test('a volume of Kubernetes has the names that its pods see', async () => {
  await folder.mount('db', { username: 'app', password: 'one', 'tls/key': 'k' })
  await folder.mount('db', { username: 'app', password: 'two', 'tls/key': 'k' })
  expect(await list()).toEqual(['', 'db password username', 'db/tls key'])
})

test('a stamp tells that a file changed', async () => {
  await folder.put('a', 'one')
  const stamp = async () => (await Array.fromAsync(listMountedFolders(folder.root)))[0]?.files[0]?.stamp
  const before = await stamp()
  expect(await stamp()).toBe(before)
  await folder.put('a', 'two')
  expect(await stamp()).not.toBe(before)
})

test('links within the root count, those to nowhere are left out', async () => {
  await folder.put('real/x')
  await folder.link('linked', 'real')
  await folder.link('file', 'real/x')
  await folder.link('dangling', 'nowhere')
  expect(await list()).toEqual([' file', 'linked x', 'real x'])
})

test('a link to a file outside is listed without a stamp, as what is not listed counts as deleted', async () => {
  await outside.put('key')
  await folder.link('x', `${outside.root}/key`)
  const [found] = await Array.fromAsync(listMountedFolders(folder.root))
  expect(found?.files).toEqual([{ name: 'x' }])
})

test.each([
  ['a folder outside', 'x is a link that leads out of the folder', () => folder.link('x', outside.root)],
  [
    'a circle',
    'a/up leads around in a circle',
    async () => {
      await folder.put('a/b')
      await folder.link('a/up', '..')
    },
  ],
  ['too many folders', 'is deeper than 16 folders', () => folder.put(`${'a/'.repeat(17)}b`)],
])('what can not be listed is thrown: %s', async (_, message, make) => {
  await make()
  await expect(list()).rejects.toMatchObject({ code: 'escape', message: expect.stringContaining(message) })
})

test('a root that is gone is no empty folder', async () => {
  await rm(folder.root, { recursive: true })
  await expect(list()).rejects.toMatchObject({ code: 'absent' })
  await expect(list('a')).rejects.toMatchObject({ code: 'absent' })
})
