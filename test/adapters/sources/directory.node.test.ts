import { chmod, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createDirectorySource } from '../../../src/adapters/sources/directory.node.ts'
import { type DirectorySourceDocument, sourceSchema } from '../../../src/core/config-sources.ts'
import type { SecretSource } from '../../../src/core/secret-source.ts'
import { secretSourceContract } from '../../contracts/secret-source.ts'
import { createTelemetryLog } from '../../support/fake-upstream.ts'
import { createTestMount, type TestMount } from '../../support/mounted.ts'

const { signal } = new AbortController()
const telemetry = createTelemetryLog()

function open(folder: TestMount, document: object = {}): SecretSource {
  const parsed = sourceSchema.parse({ type: 'directory', path: folder.root, ...document }) as DirectorySourceDocument
  return createDirectorySource({ name: 'mounted', document: parsed }, { telemetry, settleMs: 1 })
}

secretSourceContract('directory, files', async () => {
  const folder = await createTestMount()
  return {
    source: open(folder),
    put: (path, value) => folder.put(path, value),
    remove: folder.remove,
    contentOf: (value) => ({ kind: 'raw', bytes: new TextEncoder().encode(value) }),
    breakDown: () => rm(folder.root, { recursive: true }),
    close: () => folder[Symbol.asyncDispose](),
  }
})

secretSourceContract('directory, folders', async () => {
  const folder = await createTestMount()
  return {
    source: open(folder, { secrets: 'folders' }),
    put: (path, value) => folder.put(`${path}/value`, value),
    remove: folder.remove,
    contentOf: (value) => ({ kind: 'fields', fields: { value } }),
    breakDown: () => rm(folder.root, { recursive: true }),
    close: () => folder[Symbol.asyncDispose](),
  }
})

let folder: TestMount

beforeEach(async () => {
  folder = await createTestMount()
})

afterEach(() => folder[Symbol.asyncDispose]())

async function paths(source: SecretSource): Promise<readonly string[]> {
  return (await Array.fromAsync(source.list({ prefix: '', signal }))).flat().map(({ path }) => path)
}

describe('files', () => {
  test('a volume of Kubernetes is one secret for each key', async () => {
    await folder.mount('db', { username: 'app', password: 'one' })
    const source = open(folder)
    expect(await paths(source)).toEqual(['db/password', 'db/username'])
    expect(await source.read('db/password', signal)).toMatchObject({
      content: { kind: 'raw', bytes: new TextEncoder().encode('one') },
    })
  })

  test('bytes stay as they are, line ends and what is no text', async () => {
    const bytes = Uint8Array.of(0xff, 0x00, 0x0a)
    await folder.put('blob', bytes)
    expect((await open(folder).read('blob', signal))?.content).toEqual({ kind: 'raw', bytes })
  })

  test('an empty file is an empty secret', async () => {
    await folder.put('a', '')
    expect((await open(folder).read('a', signal))?.content).toEqual({ kind: 'raw', bytes: new Uint8Array() })
  })

  test('max_bytes holds', async () => {
    await folder.put('a', 'x'.repeat(11))
    await expect(open(folder, { max_bytes: 10 }).read('a', signal)).rejects.toMatchObject({
      kind: 'unreadable',
      code: 'too_large',
      message: `${folder.root}: a has more than 10 bytes (max_bytes)`,
    })
  })
})

describe('folders', () => {
  test('a volume of Kubernetes is one secret with its keys', async () => {
    await folder.mount('db', { username: 'app', password: 'one' })
    await folder.mount('tls', { 'tls.crt': 'c', 'tls.key': 'k' })
    const source = open(folder, { secrets: 'folders' })
    expect(await paths(source)).toEqual(['db', 'tls'])
    expect((await source.read('db', signal))?.content).toEqual({
      kind: 'fields',
      fields: { password: 'one', username: 'app' },
    })
  })

  test('folders within folders are secrets of their own', async () => {
    for (const path of ['a/x', 'a/b/y', 'a/c/d/z']) await folder.put(path, path)
    const source = open(folder, { secrets: 'folders' })
    expect(await paths(source)).toEqual(['a', 'a/b', 'a/c/d'])
    expect((await source.read('a', signal))?.content).toMatchObject({ fields: { x: 'a/x' } })
    expect(await source.read('a/c', signal)).toBeUndefined()
  })

  test('a key may have any name', async () => {
    await folder.put('a/__proto__', 'planted')
    const found = await open(folder, { secrets: 'folders' }).read('a', signal)
    expect(JSON.stringify(found?.content)).toBe('{"kind":"fields","fields":{"__proto__":"planted"}}')
  })

  test('a key that comes or goes is another revision', async () => {
    await folder.put('a/x')
    const source = open(folder, { secrets: 'folders' })
    const before = await source.read('a', signal)
    await folder.put('a/y')
    const during = await source.read('a', signal)
    await folder.remove('a/y')
    expect(new Set([before?.revision, during?.revision]).size).toBe(2)
    expect((await source.read('a', signal))?.revision).toBe(before?.revision)
  })

  test('what is no text is no field, and nothing of it is said', async () => {
    await folder.put('a/blob', Uint8Array.of(0xff, 0x00))
    await expect(open(folder, { secrets: 'folders' }).read('a', signal)).rejects.toMatchObject({
      kind: 'unreadable',
      message: 'a/blob is no text, which a field has to be: with secrets: files it stays as it is',
    })
  })

  test('a file in no folder would be left out, so that nothing is listed', async () => {
    await folder.put('a/x')
    await folder.put('stray')
    await expect(paths(open(folder, { secrets: 'folders' }))).rejects.toMatchObject({
      kind: 'refused',
      message: 'stray is in no folder, and folders are secrets here: let path name the folder above',
    })
  })
})

describe('what may not be read', () => {
  test.each(['files', 'folders'])(
    'is one secret that fails, and stays listed without a revision: %s',
    async (secrets) => {
      await folder.put('a/x')
      await folder.put('b/x')
      await folder.link('b/out', '/etc/hostname')
      const source = open(folder, { secrets })
      const path = secrets === 'files' ? 'b/out' : 'b'
      const listed = (await Array.fromAsync(source.list({ prefix: '', signal }))).flat()
      expect(listed.find((entry) => entry.path === path)).toEqual({ path })
      await expect(source.read(path, signal)).rejects.toMatchObject({
        kind: 'unreadable',
        code: 'escape',
        message: `${folder.root}: b/out is a link that leads out of the folder`,
      })
      expect(await source.read(secrets === 'files' ? 'a/x' : 'a', signal)).toMatchObject({
        revision: expect.any(String),
      })
    },
  )

  test('a file that anybody may write to says so', async () => {
    await folder.put('a')
    await chmod(join(folder.root, 'a'), 0o666)
    await expect(open(folder).read('a', signal)).rejects.toMatchObject({ kind: 'unreadable', code: 'writable' })
  })

  test('a folder that is not there is tried again', async () => {
    await expect(paths(open(folder, { path: join(folder.root, 'none') }))).rejects.toMatchObject({
      kind: 'unreachable',
      code: 'absent',
      message: `${folder.root}/none: the folder is not there`,
    })
  })

  test('whoever waits no longer gets no list', async () => {
    await folder.put('a')
    const list = Array.fromAsync(open(folder).list({ prefix: '', signal: AbortSignal.abort() }))
    await expect(list).rejects.toMatchObject({ kind: 'unreachable', code: 'aborted' })
  })
})

describe('watch', () => {
  interface Watched extends AsyncDisposable {
    /** Resolves once these paths were told, with all that were told since the last time. */
    readonly told: (...paths: readonly string[]) => Promise<readonly string[]>
  }

  /** Resolves once changes are noticed: those of a marker, until one is told. */
  async function watch(document: object = {}): Promise<Watched> {
    const source = open(folder, document)
    let seen = new Set<string>()
    let check = () => {}
    const stop = source.watch?.((path) => {
      seen.add(path)
      check()
    })
    async function told(...wanted: readonly string[]): Promise<readonly string[]> {
      const { promise, resolve } = Promise.withResolvers<void>()
      check = () => wanted.every((path) => seen.has(path)) && resolve()
      check()
      await promise
      const all = [...seen].sort()
      seen = new Set()
      return all
    }
    for (let round = 0; seen.size === 0; round++) {
      await folder.put('marker/x', `${round}`)
      await new Promise(setImmediate)
    }
    await folder.put('marker/x', 'last')
    return { told, [Symbol.asyncDispose]: async () => stop?.() }
  }

  test('a file that is made, written, renamed and removed', async () => {
    await folder.put('a/old')
    await using watched = await watch()
    await folder.put('a/new', 'one')
    expect(await watched.told('a/new')).toContain('a/new')
    await folder.put('a/new', 'two')
    await watched.told('a/new')
    await rename(join(folder.root, 'a/new'), join(folder.root, 'a/newer'))
    await watched.told('a/new', 'a/newer')
    await folder.remove('a/newer')
    expect(await watched.told('a/newer')).not.toContain('a/old')
  })

  test('a new moment of a volume, again and again', async () => {
    await folder.mount('db', { password: 'one', 'tls/key': 'k' })
    await using watched = await watch()
    for (const password of ['two', 'three', 'four']) {
      await folder.mount('db', { password, 'tls/key': password })
      await watched.told('db/password', 'db/tls/key')
    }
  })

  test('files in a folder that came later', async () => {
    await using watched = await watch({ secrets: 'folders' })
    await folder.put('new/deep/x', 'one')
    await watched.told('new/deep')
    await folder.put('new/deep/x', 'two')
    await watched.told('new/deep')
    await folder.remove('new')
    await watched.told('new/deep')
  })
})
