import { expect, test } from 'vitest'
import { invocation, quote } from '../../src/cli/invocation.ts'

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
  ['the sources, from their folder', '/p/src/cli/main.ts', {}, 'node src/cli/main.ts'],
  ['the sources, from elsewhere', '/work/src/cli/main.ts', {}, 'node /work/src/cli/main.ts'],
  ['the build', '/opt/a b/dist/cli/main.js', {}, "node '/opt/a b/dist/cli/main.js'"],
  [
    'the sources below something that npx started',
    '/p/src/cli/main.ts',
    { npm_command: 'exec' },
    'node src/cli/main.ts',
  ],
])('%s', (_, script, env, expected) => {
  expect(invocation({ script, cwd: '/p', env })).toBe(expected)
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
