import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseConfiguration } from '../../src/core/config.ts'

const root = join(import.meta.dirname, '../..')
const files = globSync('examples/*/apostille.yaml', { cwd: root })

test('there are examples to check', () => {
  expect(files).toHaveLength(3)
})

test.each(files)('%s is a configuration as it stands', (file) => {
  const config = parseConfiguration(readFileSync(join(root, file), 'utf8'))
  // That of a laptop: the issuer has a port, which clouds would refuse.
  expect(config.warnings.map(({ path }) => path)).toEqual(['issuer'])
})
