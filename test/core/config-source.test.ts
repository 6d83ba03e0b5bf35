import { describe, expect, test } from 'vitest'
import { readSource } from '../../src/core/config-source.ts'

/** `line:column` of a path. */
function placeOf(text: string, path: readonly (string | number)[], atKey = false): string {
  const { line, column } = readSource(text).locate({ path, message: '', atKey })
  return `${line}:${column}`
}

describe('a value that is left out stands', () => {
  test.each<readonly [string, string, string]>([
    ['behind its colon', 'b: 1\na:\nc: 2', '2:3'],
    ['behind the colon of a key in quotes', '"a"  :\nb: 1', '1:7'],
    ['behind the colon of an alias', 'b: &x a\n*x :\n', '2:5'],
    ['at a key without a colon', '{a, b: 1}', '1:2'],
    ['at a key without a colon, whatever follows', '? a\n# b: c\n', '1:3'],
  ])('%s', (_, text, place) => {
    expect(placeOf(text, ['a'])).toBe(place)
  })
})

test('a place is told by line and UTF-16 column, from 1', () => {
  const text = '# é😀\r\na: { b: [1,\r\n  😀, c] }\n'
  expect(placeOf(text, [])).toBe('2:1')
  expect(placeOf(text, ['a'], true)).toBe('2:1')
  expect(placeOf(text, ['a', 'b', 0])).toBe('2:10')
  expect(placeOf(text, ['a', 'b', 1])).toBe('3:3')
  expect(placeOf(text, ['a', 'b', 2])).toBe('3:7')
})

test('what is not there stands where the nearest thing above it does', () => {
  expect(placeOf('a:\n  b: 1', ['a', 'toString', 'x'])).toBe('2:3')
  expect(placeOf('a:\n  b: 1', ['constructor'])).toBe('1:1')
})

test('a mistake below a million empty lines is told as any other', () => {
  expect(readSource(`${'\n'.repeat(1_000_000)}a:\n   b: 1\n  c: 2`).problems).toMatchObject([
    { line: 1_000_003, column: 3, message: 'this is indented unlike what stands above it' },
  ])
})
