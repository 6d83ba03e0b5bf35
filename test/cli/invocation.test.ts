import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { invocation, invocationOf, quote } from '../../src/cli/invocation.ts'

/** Where paths lead. */
const files: Readonly<Record<string, string>> = {
  '/usr/bin/node': '/usr/bin/node',
  '/nvm/current/node': '/usr/bin/node',
  '/old/node': '/old/node',
  '/p/node_modules/.bin/node': '/usr/bin/node',
}

test.each([
  ['npx', '/p/node_modules/.bin/apostille', { npm_config_user_agent: 'npm/11.0.0 node/v24' }, 'npx apostille'],
  [
    'npx, from its cache',
    '/h/.npm/_npx/1f/node_modules/.bin/apostille',
    { PATH: '/h/.npm/_npx/1f/node_modules/.bin' },
    'npx apostille',
  ],
  ['pnpm', '/p/node_modules/.bin/apostille', { npm_config_user_agent: 'pnpm/10.1.0' }, 'pnpm exec apostille'],
  ['bun', '/p/node_modules/.bin/apostille', { npm_config_user_agent: 'bun/1.3.0' }, 'bunx apostille'],
  ['an installed command', '/usr/local/bin/apostille', { PATH: '/usr/bin:/usr/local/bin' }, 'apostille'],
  ['a link that no path leads to', '/opt/a/apostille', { PATH: '/usr/bin' }, '/opt/a/apostille'],
  ['a script, where node is this Node', '/p/src/cli/main.ts', { PATH: '/bin:/usr/bin' }, 'node /p/src/cli/main.ts'],
  ['a script, where node leads to this Node', '/p/main.ts', { PATH: '/nvm/current' }, 'node /p/main.ts'],
  ['a script, where node is another', '/p/main.ts', { PATH: '/old:/usr/bin' }, '/usr/bin/node /p/main.ts'],
  ['a script, where there is no node', '/p/main.ts', { PATH: '/bin' }, '/usr/bin/node /p/main.ts'],
  ['a script, without a path', '/p/main.ts', {}, '/usr/bin/node /p/main.ts'],
  [
    'a script, where only npm put node into the path',
    '/p/main.ts',
    { PATH: '/p/node_modules/.bin:/bin' },
    '/usr/bin/node /p/main.ts',
  ],
  ['the build', '/opt/a b/dist/cli/main.js', { PATH: '/usr/bin' }, "node '/opt/a b/dist/cli/main.js'"],
  [
    'the sources below something that npx started',
    '/p/src/cli/main.ts',
    { PATH: '/usr/bin', npm_command: 'exec' },
    'node /p/src/cli/main.ts',
  ],
])('%s', (_, script, env, expected) => {
  expect(invocation({ script, node: '/usr/bin/node', env, resolve: (path) => files[path] })).toBe(expected)
})

test('what it prints for this Node runs, whatever node is elsewhere', () => {
  const file = join(import.meta.dirname, '../../scripts/require-node.mjs')
  const run = spawnSync('sh', ['-c', invocationOf(file)], { cwd: '/', encoding: 'utf8' })
  expect(run).toMatchObject({ status: 0, stderr: '' })
})

test.each([
  ['plain/word-1.0', 'plain/word-1.0'],
  ['two words', "'two words'"],
  ["it's", `'it'\\''s'`],
  ['', "''"],
  ['$(rm)', "'$(rm)'"],
])('quotes %s for a shell', (word, quoted) => {
  expect(quote(word)).toBe(quoted)
})
