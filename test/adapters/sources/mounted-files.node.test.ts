import { execFileSync } from 'node:child_process'
import fsPromises, { chmod, mkdir, rename, rm } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ofOneMoment, openMount, readMountedFile } from '../../../src/adapters/sources/mounted-files.node.ts'
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

async function read(path: string, maxBytes = 100): Promise<string | undefined> {
  const found = await readMountedFile(folder.root, path, maxBytes)
  return found && Buffer.from(found.bytes).toString()
}

test('reads a file of a Kubernetes volume by the name that its pods see', async () => {
  await folder.mount('db', { password: 'one', 'tls/key': 'k' })
  expect(await read('db/password')).toBe('one')
  expect(await read('db/tls/key')).toBe('k')
})

test('a new moment of a volume has another stamp', async () => {
  await folder.mount('', { password: 'one' })
  const before = await readMountedFile(folder.root, 'password', 10)
  await folder.mount('', { password: 'two' })
  const after = await readMountedFile(folder.root, 'password', 10)
  expect(Buffer.from(after?.bytes ?? []).toString()).toBe('two')
  expect(after?.stamp).not.toBe(before?.stamp)
})

test('what is written in place, as long as before, has another stamp', async () => {
  await folder.put('a', 'one')
  const before = await readMountedFile(folder.root, 'a', 10)
  await folder.put('a', 'two')
  expect((await readMountedFile(folder.root, 'a', 10))?.stamp).not.toBe(before?.stamp)
})

test('a volume that is replaced while it is read is read again', async () => {
  await folder.mount('', { a: 'one', b: 'one' })
  const seen = await ofOneMoment(folder.root, '', async () => {
    const first = await read('a')
    if (first === 'one') await folder.mount('', { a: 'two', b: 'two' })
    return [first, await read('b')]
  })
  expect(seen).toEqual(['two', 'two'])
})

test('what a volume above replaces counts as well, and what looks deleted meanwhile is not', async () => {
  await folder.mount('db', { 'tls/key': 'one' })
  let runs = 0
  const seen = await ofOneMoment(folder.root, 'db/tls', async () => {
    runs += 1
    if (runs > 1) return read('db/tls/key')
    await folder.mount('db', { 'tls/key': 'two' })
    return undefined
  })
  expect(seen).toBe('two')
})

test('what fails while a volume is replaced is tried again, and what fails otherwise is said', async () => {
  await folder.mount('', { a: 'one' })
  let runs = 0
  const outcome = ofOneMoment(folder.root, '', async () => {
    runs += 1
    if (runs === 1) await folder.mount('', { a: 'two' })
    throw new Error(`run ${runs}`)
  })
  await expect(outcome).rejects.toThrow('run 2')
})

test('a volume that never rests is given up', async () => {
  await folder.mount('db', { a: 'x' })
  const outcome = ofOneMoment(folder.root, 'db', () => folder.mount('db', { a: 'x' }))
  await expect(outcome).rejects.toMatchObject({
    code: 'restless',
    message: 'db was replaced 5 times while it was read',
  })
})

test.each([
  ['the system tells what was opened', undefined],
  ['the system does not', Object.assign(new Error('ENOENT'), { code: 'ENOENT' })],
])('a folder that is a link outside only while a file is opened leads nowhere, where %s', async (_, noProc) => {
  await folder.put('a/secret', 'ours')
  await outside.put('secret', 'theirs')
  const [at, aside] = [join(folder.root, 'a'), join(folder.root, 'aside')]
  const { open, readlink } = fsPromises
  let opened = 0
  vi.spyOn(fsPromises, 'open').mockImplementation(async (...asked) => {
    if (++opened > 1) return open(...asked)
    await rename(at, aside)
    await folder.link('a', outside.root)
    try {
      return await open(...asked)
    } finally {
      await rm(at)
      await rename(aside, at)
    }
  })
  vi.spyOn(fsPromises, 'readlink').mockImplementation((async (path: string) => {
    if (noProc !== undefined && path.startsWith('/proc/')) throw noProc
    return readlink(path)
  }) as typeof readlink)
  syncBuiltinESMExports()
  try {
    expect(await read('a/secret')).toBe('ours')
    expect(opened).toBe(2)
  } finally {
    vi.restoreAllMocks()
    syncBuiltinESMExports()
  }
})

test('links within the root count, those to nowhere are not there', async () => {
  await folder.put('real/x')
  await folder.link('folder', 'real')
  await folder.link('dangling', 'nowhere')
  expect(await read('folder/x')).toBe('text')
  expect(await read('dangling')).toBeUndefined()
})

test('what is gone is undefined', async () => {
  await folder.put('a')
  expect(await read('none')).toBeUndefined()
  expect(await read('a/b')).toBeUndefined()
})

test('bytes that are no text stay as they are', async () => {
  const bytes = Uint8Array.of(0xff, 0x00, 0xfe)
  await folder.put('blob', bytes)
  expect((await readMountedFile(folder.root, 'blob', 3))?.bytes).toEqual(bytes)
})

test.each([
  ['to a file', 'key', (root: string) => join(root, 'key')],
  ['to a file, relative', 'key', (root: string) => `../${basename(root)}/key`],
  ['to a folder on the way', 'sub/key', (root: string) => root],
])('a link that leads out is not read: %s', async (_, path, to) => {
  await outside.put('key', 'planted')
  await folder.link(path.split('/', 1)[0] ?? '', to(outside.root))
  await expect(read(path)).rejects.toMatchObject({
    code: 'escape',
    message: `${path} is a link that leads out of the folder`,
  })
})

test('a folder beside the root whose name begins alike is outside', async () => {
  const twin = `${folder.root}-twin`
  await mkdir(twin)
  await folder.link('x', twin)
  await expect(read('x').finally(() => rm(twin, { recursive: true }))).rejects.toMatchObject({ code: 'escape' })
})

test('a path with dots does not lead out', async () => {
  await outside.put('key', 'planted')
  await expect(read(`../${basename(outside.root)}/key`)).rejects.toMatchObject({ code: 'escape' })
})

test('a link around in a circle is given up', async () => {
  await folder.link('loop', 'loop')
  await expect(read('loop')).rejects.toMatchObject({ code: 'escape', message: expect.stringContaining('in a circle') })
})

test('a root that is gone, or may be reached by links, is told apart', async () => {
  await outside.link('way', folder.root)
  expect(await openMount(join(outside.root, 'way'))).toBe(folder.root)
  await rename(folder.root, `${folder.root}-gone`)
  await expect(openMount(folder.root)).rejects.toMatchObject({ code: 'absent', message: 'the folder is not there' })
  await rename(`${folder.root}-gone`, folder.root)
})

test('a file that anybody may write to is refused', async () => {
  await folder.put('a')
  await chmod(join(folder.root, 'a'), 0o646)
  await expect(read('a')).rejects.toMatchObject({
    code: 'writable',
    message: 'anybody may write to a: take that right away (chmod o-w)',
  })
})

test('a file above the limit is refused, one as long as it is not', async () => {
  await folder.put('a', 'x'.repeat(11))
  await expect(read('a', 10)).rejects.toMatchObject({ code: 'too_large' })
  expect(await read('a', 11)).toHaveLength(11)
})

test('a pipe is refused without waiting for whoever would write to it, and a folder is no file', async () => {
  execFileSync('mkfifo', [join(folder.root, 'pipe')])
  await folder.put('a/b')
  await expect(read('pipe')).rejects.toMatchObject({ code: 'special', message: 'pipe is neither a file nor a folder' })
  expect(await read('a')).toBeUndefined()
})

test('a path that the system does not take can not be read', async () => {
  await expect(read('x'.repeat(300))).rejects.toMatchObject({
    code: 'unreadable',
    message: expect.stringMatching(/\(ENAMETOOLONG\)$/),
  })
})
