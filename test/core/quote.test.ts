import { expect, test } from 'vitest'
import { quote } from '../../src/core/quote.ts'

test.each([
  ['text as it is', 'key-1', "'key-1'"],
  ['nothing', '', "''"],
  ['no line breaks and escapes', 'a\n\u001b[31mb\u0000', "'a??[31mb?'"],
  ['nothing beyond ASCII', 'ä\u202e', "'??'"],
  ['64 characters', 'x'.repeat(64), `'${'x'.repeat(64)}'`],
  ['no more than 64', 'x'.repeat(10_000), `'${'x'.repeat(64)}…'`],
])('quotes %s', (_, text, quoted) => {
  expect(quote(text)).toBe(quoted)
})
