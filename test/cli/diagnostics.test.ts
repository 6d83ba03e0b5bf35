import { expect, test } from 'vitest'
import { formatDiagnostics } from '../../src/cli/diagnostics.ts'

test('of a line only what is around the place is looked at, for thousands of mistakes in one', () => {
  const line = `a:${'\tb'.repeat(500_000)}`
  const mistake = { severity: 'error', line: 1, column: 900_000, path: 'a', message: 'no' } as const
  const shown = formatDiagnostics('x.yaml', Array(5000).fill(mistake), [line])
  expect(shown).toHaveLength(5000)
  expect(shown[0]).toMatch(/^x\.yaml:1:900000: error: a: no\n 1 \| (?:b ){50,60}b?\n {3}\| {101}\^$/)
})
