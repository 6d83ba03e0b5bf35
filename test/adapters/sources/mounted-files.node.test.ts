import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  listMountedFiles,
  ofOneGeneration,
  openMount,
  readMountedFile,
} from '../../../src/adapters/sources/mounted-files.node.ts'

let root: string
let outside: string

beforeEach(async () => {
  root = await openMount(await mkdtemp(join(tmpdir(), 'mount-')))
  outside = await openMount(await mkdtemp(join(tmpdir(), 'outside-')))
})

afterEach(async () => {
  for (const folder of [root, outside]) await rm(folder, { recursive: true, force: true })
})

async function put(path: string, text: string | Uint8Array = 'text'): Promise<void> {
  await mkdir(join(root, path, '..'), { recursive: true })
  await writeFile(join(root, path), text)
}

async function paths(folder?: string): Promise<readonly string[]> {
  return (await Array.fromAsync(listMountedFiles(root, folder))).map(({ path }) => path)
}

async function read(path: string, maxBytes = 100): Promise<string | undefined> {
  const found = await readMountedFile(root, path, maxBytes)
  return found && Buffer.from(found.bytes).toString()
}

/** As the kubelet writes a volume: files in a folder of this moment, `..data` to it, and a link for each name. */
async function mount(folder: string, generation: string, files: Readonly<Record<string, string>>): Promise<void> {
  const at = join(root, folder)
  for (const [path, text] of Object.entries(files)) await put(join(folder, generation, path), text)
  await symlink(generation, join(at, '..data_tmp'))
  await rename(join(at, '..data_tmp'), join(at, '..data'))
  for (const name of new Set(Object.keys(files).map((path) => path.split('/', 1)[0] ?? '')))
    await symlink(join('..data', name), join(at, name)).catch(() => {})
}

test('lists files in the order of the bytes of their paths, folders in place', async () => {
  for (const path of ['b', 'a-b', 'a/x', 'a/c/y', 'a.b', 'a0', '.dockerconfigjson']) await put(path)
  expect(await paths()).toEqual(['.dockerconfigjson', 'a-b', 'a.b', 'a/c/y', 'a/x', 'a0', 'b'])
})

test('lists one folder', async () => {
  for (const path of ['a/x', 'ab', 'b/y']) await put(path)
  expect(await paths('a')).toEqual(['a/x'])
  expect(await paths('none')).toEqual([])
})

test('a volume of Kubernetes has the names that its pods see', async () => {
  await mount('db', '..2026_11_23_07', { username: 'app', password: 'one', 'tls/key': 'k' })
  expect(await paths()).toEqual(['db/password', 'db/tls/key', 'db/username'])
  expect(await read('db/password')).toBe('one')
  expect(await read('db/tls/key')).toBe('k')
})

test('a new moment of a volume changes the stamps of what it replaces', async () => {
  await mount('db', '..1', { password: 'one' })
  const [before] = await Array.fromAsync(listMountedFiles(root))
  await mount('db', '..2', { password: 'two', more: 'x' })
  const [more, after] = await Array.fromAsync(listMountedFiles(root))
  expect([more?.path, after?.path]).toEqual(['db/more', 'db/password'])
  expect(after?.stamp).not.toBe(before?.stamp)
  expect(await read('db/password')).toBe('two')
})

test('what is written in place, as long as before, has another stamp', async () => {
  await put('a', 'one')
  const [before] = await Array.fromAsync(listMountedFiles(root))
  await put('a', 'two')
  const [after] = await Array.fromAsync(listMountedFiles(root))
  expect(after?.stamp).not.toBe(before?.stamp)
})

test('a volume that is replaced while it is read is read again', async () => {
  await mount('', '..1', { a: 'one', b: 'one' })
  const seen = await ofOneGeneration(root, '', async () => {
    const first = await read('a')
    if (first === 'one') await mount('', '..2', { a: 'two', b: 'two' })
    return [first, await read('b')]
  })
  expect(seen).toEqual(['two', 'two'])
})

test('what fails while a volume is replaced is tried again, and what fails otherwise is said', async () => {
  await mount('', '..1', { a: 'one' })
  let runs = 0
  const outcome = ofOneGeneration(root, '', async () => {
    runs += 1
    if (runs === 1) await mount('', '..2', { a: 'two' })
    throw new Error(`run ${runs}`)
  })
  await expect(outcome).rejects.toThrow('run 2')
})

test('a volume that never rests is given up', async () => {
  let generation = 0
  const outcome = ofOneGeneration(root, 'db', async () => mount('', `..${generation++}`, { a: 'x' }))
  await expect(outcome).rejects.toMatchObject({
    code: 'restless',
    path: 'db',
    message: expect.stringContaining('db was'),
  })
})

test('links within the root count, those to nowhere do not', async () => {
  await put('real/x')
  await symlink('real', join(root, 'folder'))
  await symlink('real/x', join(root, 'file'))
  await symlink('nowhere', join(root, 'dangling'))
  expect(await paths()).toEqual(['file', 'folder/x', 'real/x'])
  expect(await read('folder/x')).toBe('text')
  expect(await read('dangling')).toBeUndefined()
})

test('what is gone is undefined', async () => {
  await put('a')
  expect(await read('none')).toBeUndefined()
  expect(await read('a/b')).toBeUndefined()
})

test('bytes that are no text stay as they are', async () => {
  const bytes = Uint8Array.of(0xff, 0x00, 0xfe)
  await put('blob', bytes)
  expect((await readMountedFile(root, 'blob', 3))?.bytes).toEqual(bytes)
})

test.each([
  ['a file', async () => symlink(join(outside, 'key'), join(root, 'x')), 'x'],
  ['a file by a relative link', async () => symlink(`../${outside.split('/').at(-1)}/key`, join(root, 'x')), 'x'],
  ['a folder', async () => symlink(outside, join(root, 'x')), 'x'],
  ['a folder that begins alike', async () => symlink(`${root}-twin`, join(root, 'x')), 'x'],
])('a link that leads out is neither listed nor read: %s', async (_, make, path) => {
  await writeFile(join(outside, 'key'), 'planted')
  await mkdir(`${root}-twin`)
  try {
    await make()
    const expected = { code: 'escape', path, message: 'x is a link that leads out of the folder' }
    await expect(paths()).rejects.toMatchObject(expected)
    await expect(read('x')).rejects.toMatchObject(expected)
  } finally {
    await rm(`${root}-twin`, { recursive: true })
  }
})

test('a path with dots does not lead out', async () => {
  await writeFile(join(outside, 'key'), 'planted')
  await expect(read(`../${outside.split('/').at(-1)}/key`)).rejects.toMatchObject({ code: 'escape' })
})

test('links that lead around in a circle are given up', async () => {
  await mkdir(join(root, 'a'))
  await symlink('..', join(root, 'a', 'up'))
  await expect(paths()).rejects.toMatchObject({ code: 'escape', path: 'a/up' })
  await symlink('loop', join(root, 'loop'))
  await expect(read('loop')).rejects.toMatchObject({ code: 'escape', path: 'loop' })
})

test('a root that is gone is no empty folder', async () => {
  await rm(root, { recursive: true })
  await expect(paths()).rejects.toMatchObject({ code: 'absent', path: '' })
  await expect(openMount(root)).rejects.toMatchObject({ code: 'absent' })
  await mkdir(root)
})

test('a folder that others may change, and what is in it, is theirs: a file that anybody may write to is refused', async () => {
  await put('a')
  await chmod(join(root, 'a'), 0o646)
  await expect(read('a')).rejects.toMatchObject({ code: 'writable', message: 'anybody may write to a' })
})

test('a file above the limit is refused, one as long as it is not', async () => {
  await put('a', 'x'.repeat(11))
  await expect(read('a', 10)).rejects.toMatchObject({ code: 'too_large', message: 'a has more than 10 bytes' })
  expect(await read('a', 11)).toHaveLength(11)
})

test('a pipe is refused without waiting for whoever would write to it', async () => {
  execFileSync('mkfifo', [join(root, 'pipe')])
  await expect(read('pipe')).rejects.toMatchObject({ code: 'special', path: 'pipe' })
})

test('a folder is no file', async () => {
  await mkdir(join(root, 'a'))
  await expect(read('a')).rejects.toMatchObject({ code: 'special', path: 'a' })
})
