import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseConfiguration } from '../../src/core/config.ts'

const root = join(import.meta.dirname, '../..')
const files = globSync('examples/*/apostille.yaml', { cwd: root })

test('there are examples to check', () => {
  expect(files).toHaveLength(7)
})

test.each(files)('%s is a configuration as it stands', (file) => {
  const config = parseConfiguration(readFileSync(join(root, file), 'utf8'))
  // Those of a laptop have a port in their issuer, which clouds would refuse.
  const isForClouds = config.targets.size > 0
  expect(config.warnings.map(({ path }) => path)).toEqual(isForClouds ? [] : ['issuer'])
})
