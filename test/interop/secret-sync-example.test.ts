import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checksOf, runToEnd } from '../examples/run-to-end.ts'

test('secrets reach three clouds, are replaced and removed there, and nothing else is touched', async () => {
  const temporary = mkdtempSync(join(tmpdir(), 'example-'))
  const run = await runToEnd('examples/05-secret-sync/run.ts', { TMPDIR: temporary })

  expect(run).toMatchObject({ code: 0, stderr: '' })
  const checks = checksOf(run)
  expect(checks).toContain('They are no clouds')
  expect(checks).toContain('All three trust spiffe://example.org/apostille/sync/payments.')
  expect(checks).toContain('AWS, Azure and Google have both secrets')
  expect(checks).toContain('two versions of it: one for each value, and none twice')
  expect(checks).toMatch(/edited in the console of AWS: it was noticed.*not ours: it was left as it is/s)
  expect(run.stdout).toMatch(/delete +azure-vault +payments-partner/)
  expect(run.stdout).toContain('so many deletions wait')
  expect(checks).toMatch(/it is gone\. At AWS it can be had back until \d{4}-\d\d-\d\d/)
  expect(checks).toContain('No value is in any of them.')
  expect(checks).toContain('finds none changed and none missing')
  expect(run.stdout).not.toMatch(/(?:first|second)-password|key-of-the-partner/)
  expect(readdirSync(temporary)).toEqual([])
  rmdirSync(temporary)
}, 180_000)
