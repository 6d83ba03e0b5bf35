import { expect, test } from 'vitest'
import { followPages } from '../../../src/adapters/destinations/pages.ts'

/** Asks for at most so many pages of a store whose page after `token` is `next(token)`. */
async function readAll(next: (token: string | undefined) => string | undefined, maxPages?: number) {
  const asked: (string | undefined)[] = []
  const pages = followPages(async (token) => {
    asked.push(token)
    if (asked.length > 100) throw new Error('it never ends')
    return { items: asked.length, next: next(token) }
  }, maxPages)
  const outcome = await Array.fromAsync(pages).catch((error: unknown) => error)
  return { asked, outcome }
}

test('goes on from token to token until there is none', async () => {
  const { asked, outcome } = await readAll(
    (token) => ({ a: 'b', b: undefined })[token ?? ''] ?? (token ? undefined : 'a'),
  )
  expect(asked).toEqual([undefined, 'a', 'b'])
  expect(outcome).toEqual([1, 2, 3])
})

test.each([1, 2, 3, 7, 20])('a circle of %i pages is left', async (length) => {
  const { asked, outcome } = await readAll((token) => String((Number(token ?? -1) + 1) % length))
  expect(outcome).toMatchObject({ name: 'DestinationError', kind: 'refused', code: 'endless' })
  expect(asked.length).toBeLessThanOrEqual(4 * length + 2)
})

test('a listing with ever new tokens is left as well', async () => {
  const { asked, outcome } = await readAll((token) => String(Number(token ?? 0) + 1), 50)
  expect(outcome).toMatchObject({ kind: 'refused', code: 'endless' })
  expect(asked).toHaveLength(50)
})
