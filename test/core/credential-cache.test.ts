import { expect, test } from 'vitest'
import { createCredentialCache, type HeldCredential } from '../../src/core/credential-cache.ts'

const now = new Date('2026-11-23T12:00:00Z')
const later = (seconds: number) => new Date(now.getTime() + seconds * 1000)

function held(accessToken = 'token', expiresAt = later(3600)): HeldCredential {
  const moment = { at: expiresAt, ms: 0 }
  return {
    credential: { type: 'azure', accessToken, expiresAt },
    issued: { jti: 'j', kid: 'k', expiresAt },
    freshUntil: moment,
    worthUntil: moment,
  }
}

/** Which of the keys are there, of `count` that are set one after the other. */
function remaining(count: number, keyOf: (n: number) => string, entryOf: (n: number) => HeldCredential) {
  const cache = createCredentialCache()
  for (let n = 0; n < count; n++) cache.set(keyOf(n), entryOf(n), now)
  return Array.from({ length: count }, (_, n) => n).filter((n) => cache.get(keyOf(n)) !== undefined)
}

test('so many are held and no more, the newest', () => {
  const kept = remaining(20_010, String, () => held())
  expect([kept.length, kept[0]]).toEqual([20_000, 10])
})

test.each<[string, (n: number) => string, (n: number) => HeldCredential]>([
  ['credentials', String, () => held('x'.repeat(1024 * 1024))],
  ['keys, as sessions may hold what workloads say', (n) => `${n}`.padEnd(1024 * 1024, 'x'), () => held('')],
])('so many bytes are held and no more: of %s', (_, keyOf, entryOf) => {
  const kept = remaining(70, keyOf, entryOf)
  expect(kept.length).toBeGreaterThan(60)
  expect(kept.length).toBeLessThanOrEqual(64)
  expect(kept.at(-1)).toBe(69)
})

test('one that is replaced takes its room once', () => {
  const cache = createCredentialCache()
  cache.set('other', held(), now)
  for (let n = 0; n < 200; n++) cache.set('same', held('x'.repeat(1024 * 1024)), now)
  expect(cache.get('other')).toBeDefined()
})

test('what is over goes first', () => {
  const cache = createCredentialCache()
  cache.set('over', held('a', later(10)), now)
  cache.set('good', held('b'), now)
  cache.set('new', held('c'), later(11))
  expect(['over', 'good', 'new'].map((key) => cache.get(key) !== undefined)).toEqual([false, true, true])
})
