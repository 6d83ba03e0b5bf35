import { createSecretKey } from 'node:crypto'
import { expect, test } from 'vitest'
import { createSyncDigests, type SyncDigests } from '../../src/core/sync-digests.ts'

const digestsOf = (seed: number) => createSyncDigests(createSecretKey(Buffer.alloc(32, seed)))
const digests = digestsOf(1)

/** What each digest is of, one argument after the other. */
const cases: readonly (readonly [keyof Omit<SyncDigests, 'deployment'>, readonly string[]])[] = [
  ['fingerprint', ['owner', 'name', 'value']],
  ['token', ['owner', 'name', 'value', 'replaced']],
  ['group', ['source', 'path']],
  ['basis', ['settings', 'source', 'path', 'revision']],
]

const compute = (of: SyncDigests, name: (typeof cases)[number][0], given: readonly string[]): string =>
  (of[name] as (...texts: readonly string[]) => string)(...given)

test.each(cases)('%s is the same for the same, and another for any other part or key', (name, given) => {
  const same = compute(digests, name, given)
  expect(compute(digestsOf(1), name, given)).toBe(same)
  const others = given.map((text, at) => compute(digests, name, given.with(at, `${text}2`)))
  // Parts are not run together.
  const moved = compute(digests, name, [`${given[0]}${given[1]}`, '', ...given.slice(2)])
  expect(new Set([same, ...others, moved, compute(digestsOf(2), name, given)]).size).toBe(given.length + 3)
})

test('a token is a UUID, as AWS takes it for the id of a version', () => {
  expect(digests.token('owner', 'name', 'value', '')).toMatch(
    /^[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/,
  )
})

test('none is of one kind what another is of another, and none holds what it is of', () => {
  const all = cases.map(([name, given]) =>
    compute(
      digests,
      name,
      given.map(() => 'hunter2'),
    ),
  )
  expect(new Set(all).size).toBe(all.length)
  expect(all.join()).not.toContain('hunter2')
})
