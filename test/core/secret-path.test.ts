import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseSecretFolder, parseSecretPath } from '../../src/core/secret-path.ts'

test.each(['a', 'payments/db', 'A-z_0.9/..a/b..', '...', 'a'.repeat(512), `${'a/'.repeat(255)}bc`])(
  '%s is a path',
  (path) => {
    expect(parseSecretPath(path)).toBe(path)
    expect(parseSecretFolder(path)).toBe(`${path}/`)
    expect(parseSecretFolder(`${path}/`)).toBe(`${path}/`)
  },
)

test.each([
  ['nothing', ''],
  ['a slash', '/'],
  ['a slash before', '/a'],
  ['a slash after', 'a/'],
  ['two slashes', 'a//b'],
  ['a dot', '.'],
  ['the folder above', 'a/..'],
  ['the folder itself', 'a/./b'],
  ['a space', 'a b'],
  ['a line end', 'a\n'],
  ['an escape', 'a%2fb'],
  ['a letter of another alphabet', 'а'],
  ['a wildcard', 'a/*'],
  ['a sign that separates versions', 'a#1'],
  ['513 bytes', 'a'.repeat(513)],
])('%s is none', (_, path) => {
  expect(() => parseSecretPath(path)).toThrow(expect.objectContaining({ code: 'malformed_request' }))
})

test('all secrets are in the topmost folder', () => {
  expect(parseSecretFolder('')).toBe('')
  expect(() => parseSecretFolder('/')).toThrow(expect.objectContaining({ code: 'malformed_request' }))
  expect(() => parseSecretFolder('a//')).toThrow(expect.objectContaining({ code: 'malformed_request' }))
})

test('what is accepted is what it was, and stands below its folders alone', () => {
  const segment = fc.stringMatching(/^[A-Za-z0-9._-]{1,8}$/).filter((text) => text !== '.' && text !== '..')
  fc.assert(
    fc.property(fc.array(segment, { minLength: 1, maxLength: 5 }), (segments) => {
      const path = segments.join('/')
      expect(parseSecretPath(path)).toBe(path)
      expect(new URL(`https://a/${path}`).pathname).toBe(`/${path}`)
    }),
  )
})
