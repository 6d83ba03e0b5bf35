import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  formatAsciiJson,
  formatCommand,
  formatComment,
  formatFile,
  formatScript,
  quoteFlag,
  quoteWord,
} from '../../../src/adapters/trust/shell.ts'
import { anyText, hostileTexts } from '../../support/hostile-texts.ts'
import { runScript } from '../../support/shell.ts'

/** What a shell makes of the words, all in one process. */
function readBack(words: readonly string[]): readonly string[] {
  const { stdout, stderr } = spawnSync('bash', ['-s'], {
    input: `printf '%s\\0' ${words.join(' ')}`,
    encoding: 'utf8',
    env: { LC_ALL: 'C.UTF-8', PATH: process.env['PATH'] },
  })
  expect(stderr).toBe('')
  return stdout.split('\0').slice(0, -1)
}

test('a shell reads every word back as it was', () => {
  expect(readBack(hostileTexts.map(quoteWord))).toEqual(hostileTexts)
  fc.assert(
    fc.property(fc.array(anyText, { minLength: 20, maxLength: 60 }), (texts) => {
      expect(readBack(texts.map(quoteWord))).toEqual(texts)
    }),
    { numRuns: 10 },
  )
})

test('a word is one line without control characters, so that it can stand in a comment', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      expect(quoteWord(text)).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e]/u)
      expect(formatComment(text)).toMatch(/^#[^\n]*$/)
    }),
  )
})

test.each([
  ['plain words stay as they are', 'arn:aws:iam::1:role/x', 'arn:aws:iam::1:role/x'],
  ['quotes that are easy on the eye', "a == 'b'", `"a == 'b'"`],
  ['quotes where a dollar sign is inside', "a'$b", `'a'\\''$b'`],
])('%s', (_, text, expected) => {
  expect(quoteWord(text)).toBe(expected)
})

test.each([
  ['a value', 'x', '--name x'],
  ['one that looks like a flag', '-x', '--name=-x'],
  ['one that has to be quoted', 'a b', "--name 'a b'"],
])('a flag with %s', (_, value, expected) => {
  expect(quoteFlag('--name', value)).toBe(expected)
})

test('a script runs its commands, and nothing of its titles and files', () => {
  const text = hostileTexts.join('\n')
  const script = formatScript(hostileTexts, [
    {
      title: text,
      commands: [formatFile('a.json', { text }), formatCommand('told', ...hostileTexts.map(quoteWord))],
      otherwise: hostileTexts.map((when) => ({ when, command: `told ${quoteWord(when)}` })),
    },
  ])
  const ran = runScript(script, ['told'])
  try {
    expect(ran.commands.map(({ name, args }) => [name, args])).toEqual([['told', hostileTexts]])
    expect(JSON.parse(ran.file('a.json'))).toEqual({ text })
  } finally {
    ran.remove()
  }
})

test('JSON is printable ASCII and means the same', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      expect(formatAsciiJson([text])).toMatch(/^[\x20-\x7e]*$/)
      expect(JSON.parse(formatAsciiJson([text]))).toEqual([text])
    }),
  )
})
