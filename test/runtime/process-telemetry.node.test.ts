import fc from 'fast-check'
import { expect, test } from 'vitest'
import { wholeLines } from '../../src/runtime/process-telemetry.node.ts'

test.each<[string, string, readonly string[]]>([
  ['nothing', '', []],
  ['lines that fit', 'ab\ncd\n', ['ab\ncd\n']],
  ['lines that do not', 'abcd\nef\ngh\n', ['abcd\n', 'ef\ngh\n']],
  ['a line that is longer', 'a\nabcdefgh\nb\n', ['a\n', 'abcdefgh\n', 'b\n']],
  ['characters of several bytes', 'éé\né\n', ['éé\n', 'é\n']],
])('%s', (_, text, pieces) => {
  expect(wholeLines(text, 6)).toEqual(pieces)
})

test('no piece is longer than it may be, but for a line alone, and together they are the text', () => {
  const lines = fc.array(fc.string({ unit: 'binary' }).map((line) => `${line.replaceAll('\n', '')}\n`))
  fc.assert(
    fc.property(lines, fc.integer({ min: 1, max: 50 }), (given, max) => {
      const pieces = wholeLines(given.join(''), max)
      expect(pieces.join('')).toBe(given.join(''))
      for (const piece of pieces) expect(Buffer.byteLength(piece) <= max || given.includes(piece)).toBe(true)
    }),
  )
})
