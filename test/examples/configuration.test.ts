import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseConfiguration } from '../../src/core/config.ts'

const root = join(import.meta.dirname, '../..')
const files = globSync('examples/*/apostille.yaml', { cwd: root })

test('there are examples to check', () => {
  expect(files).toHaveLength(2)
})

test.each(files)('%s is a configuration as it stands', (file) => {
  const config = parseConfiguration(readFileSync(join(root, file), 'utf8'))
  // That of a laptop: the issuer has a port, which clouds would refuse.
  expect(config.warnings.map(({ path }) => path)).toEqual(['issuer'])
})

test('the configurations of the README hold', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const documents = [...readme.matchAll(/```yaml\n(version: 1\n.*?)```/gs)].map(([, text]) => text ?? '')
  expect(documents).toHaveLength(2)
  for (const document of documents) expect(parseConfiguration(document).warnings).toEqual([])
})
