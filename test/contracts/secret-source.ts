import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SecretContent, SecretSource, SourceEntry } from '../../src/core/secret-source.ts'

export interface SourceUnderTest {
  readonly source: SecretSource
  /** Makes the secret hold this, whatever is there. */
  readonly put: (path: string, value: string) => Promise<void> | void
  readonly remove: (path: string) => Promise<void> | void
  /** What a secret holds into which {@link put} put this. */
  readonly contentOf: (value: string) => SecretContent
  /** Takes the whole source away, or its answers. */
  readonly breakDown: () => Promise<void> | void
  readonly close: () => PromiseLike<void>
}

/** What every adapter of the port `SecretSource` does. */
export function secretSourceContract(name: string, open: () => Promise<SourceUnderTest>): void {
  describe(`the contract of a source: ${name}`, () => {
    let under: SourceUnderTest

    beforeEach(async () => {
      under = await open()
    })
    afterEach(async () => {
      await under.source.close?.()
      await under.close()
    })

    const { signal } = new AbortController()
    const read = (path: string) => under.source.read(path, signal)

    async function list(prefix = ''): Promise<readonly SourceEntry[]> {
      return (await Array.fromAsync(under.source.list({ prefix, signal }))).flat()
    }
    const paths = async (prefix?: string) => (await list(prefix)).map(({ path }) => path)

    async function fill(...wanted: readonly string[]): Promise<void> {
      for (const path of wanted) await under.put(path, `value of ${path}`)
    }

    test('lists everything, each path once, in the same order each time', async () => {
      const all = ['a/b', 'a/b-c', 'a/b2/c/d', 'a/z', 'b/x', 'long/way/down/here']
      await fill(...all)
      const listed = await paths()
      expect([...listed].sort()).toEqual(all)
      expect(await paths()).toEqual(listed)
    })

    test('nothing is an empty list', async () => {
      expect(await list()).toEqual([])
      expect(await list('some/where')).toEqual([])
    })

    test.each([
      ['a folder', 'a/', ['a/b', 'a/bc', 'a/bd/e']],
      ['a part of a name', 'a/b', ['a/b', 'a/bc', 'a/bd/e']],
      ['a whole path', 'a/bc', ['a/bc']],
      ['a folder that is none', 'a/b/', []],
      ['a part of the first name', 'ab', ['ab/c']],
    ])('lists at least what begins so: %s', async (_, prefix, expected) => {
      await fill('a/b', 'a/bc', 'a/bd/e', 'ab/c', 'z/z')
      const listed = (await paths(prefix)).filter((path) => path.startsWith(prefix))
      expect(listed.sort()).toEqual(expected)
    })

    test('more than a page is listed whole', async () => {
      const many = Array.from({ length: 1001 }, (_, index) => `many/k${index}/x`)
      await fill(...many)
      expect(await paths()).toHaveLength(1001)
    })

    test('reads what was put, under the path that was listed', async () => {
      await under.put('a/b', 'one')
      expect(await read('a/b')).toMatchObject({ path: 'a/b', content: under.contentOf('one') })
    })

    test('a listed revision is that of the reading, and another once the secret is changed', async () => {
      await under.put('a/b', 'one')
      const [listed] = await list()
      const before = await read('a/b')
      if (listed?.revision !== undefined) expect(listed.revision).toBe(before?.revision)
      await under.put('a/b', 'two')
      const after = await read('a/b')
      expect(after?.content).toEqual(under.contentOf('two'))
      expect(after?.revision).toEqual(expect.any(String))
      expect(after?.revision).not.toBe(before?.revision)
    })

    test('a revision is short and holds nothing of the value', async () => {
      await under.put('a/b', 'planted')
      const { revision = '' } = (await read('a/b')) ?? {}
      expect(revision.length).toBeLessThan(64)
      expect(revision).not.toContain('planted')
    })

    test('what was removed can not be read, nor what never was', async () => {
      await fill('a/b', 'a/c')
      await under.remove('a/b')
      expect(await read('a/b')).toBeUndefined()
      expect(await read('a/never')).toBeUndefined()
      expect(await read('never/never')).toBeUndefined()
      expect(await read('a')).toBeUndefined()
      expect((await read('a/c'))?.path).toBe('a/c')
    })

    test('a secret that is made again has another revision', async () => {
      await under.put('a/b', 'one')
      const before = await read('a/b')
      await under.remove('a/b')
      await under.put('a/b', 'two')
      expect((await read('a/b'))?.revision).not.toBe(before?.revision)
    })

    test('what can not be listed is no empty list', async () => {
      await fill('a/b')
      await under.breakDown()
      for (const prefix of ['', 'a/', 'a/b'])
        await expect(list(prefix)).rejects.toMatchObject({ name: 'SourceError', code: expect.any(String) })
      await expect(read('a/b')).rejects.toMatchObject({ name: 'SourceError' })
    })
  })
}
