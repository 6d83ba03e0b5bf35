import { execFileSync } from 'node:child_process'
import { beforeAll, expect, test } from 'vitest'
import { type DescribedCommand, describeCommands } from '../../src/cli/command-tree.ts'
import { formatCompletion, shells } from '../../src/cli/completion-scripts.ts'

let commands: readonly DescribedCommand[]
beforeAll(async () => {
  commands = await describeCommands()
})

test.each(shells)('%s knows every command and every flag', (shell) => {
  const script = formatCompletion(shell, commands)
  for (const { path, flags } of commands) {
    for (const word of path.split(' ')) expect(script).toContain(word)
    for (const { name } of flags) expect(script).toContain(shell === 'fish' ? `-l ${name.slice(2)}` : name)
  }
})

/** What bash offers behind these words; the last may be incomplete. */
function complete(...words: readonly string[]): readonly string[] {
  const script = `${formatCompletion('bash', commands)}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _apostille; printf '%s\\n' "\${COMPREPLY[@]}"`
  const shown = execFileSync('bash', ['-c', script, 'bash', 'apostille', ...words], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  })
  return shown.split('\n').filter((word) => word !== '')
}

test.each([
  [['sv'], ['svid']],
  [
    ['svid', ''],
    ['jwt', 'x509', '--help'],
  ],
  [
    ['svid', 'jwt', '--au'],
    ['--authenticator', '--audience'],
  ],
  [
    ['svid', 'jwt', '--output', ''],
    ['text', 'json'],
  ],
  [
    ['--config', 'x', 'seal', ''],
    ['rotate', '--help'],
  ],
  [
    ['authority', 'prepare', 'jwt'],
    ['jwt/ES256', 'jwt/ES384', 'jwt/RS256'],
  ],
  [['svid', 'jwt', '--audience', ''], []],
  [['check', 'completion.te'], ['completion.test.ts']],
  [['check', '--config', 'completion.te'], ['completion.test.ts']],
  [['nothing', ''], []],
])('behind %j bash offers %j', (words, offered) => {
  expect([...complete(...words)].sort()).toEqual([...offered].sort())
})
