/**
 * Texts that quoting goes wrong with.
 *
 * @module
 */
import fc from 'fast-check'

export const hostileTexts: readonly string[] = [
  "it's",
  '"quoted"',
  '$(id)',
  '`id`',
  '${HOME}',
  '%{if true}',
  '$${x} %%{y}',
  '$$',
  '\\',
  "\\'",
  "ends in \\'",
  'a\nEOF\nid',
  "'\n; id #",
  'tab\tand\r',
  '\u001b[2J',
  '\u0001' + '7',
  '\u202eevil',
  '\u0085',
  'ünïcödé 😀',
  '-rf',
  '--flag=x',
  '@file',
  'file://x',
  '[1,2]',
  '{"a":1}',
  'a,b=c',
  '^,^',
  '!history',
  '#comment',
  '*',
  '~',
  ' ',
]

export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...hostileTexts),
  fc.string({
    unit: fc.constantFrom(...'\'"\\$`{}%!\n\r\t ;|&#@^,=-ab1\u0001\u009b\u2028é😀'),
    minLength: 1,
    maxLength: 12,
  }),
)
