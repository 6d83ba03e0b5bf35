import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checksOf, runToEnd } from './run-to-end.ts'

test('an API validates JWT-SVIDs by discovery alone and decides by their claims', async () => {
  const temporary = mkdtempSync(join(tmpdir(), 'example-'))
  const run = await runToEnd('examples/02-api-with-jwt-svid/run.ts', { TMPDIR: temporary })

  expect(run).toMatchObject({ code: 0, stderr: '' })
  for (const [claim, value] of Object.entries({
    sub: 'spiffe://example.org/ns/wealth-prod/sa/relationship-assistant',
    business_line: 'wealth',
    environment: 'prod',
    customer_data_domain: 'wealth-customers',
  }))
    expect(run.stdout).toMatch(new RegExp(`^ +${claim} +${value}$`, 'm'))
  expect(run.stdout).toMatch(/customer-api +│ discovered the keys of https:\/\/localhost:\d+/)
  expect(run.stdout).toMatch(/relationship-assistant +│ \/customers\/1001: 200 .*Ada/)
  expect(run.stdout).toMatch(/relationship-assistant +│ \/customers\/2001: 403/)
  expect(run.stdout).toMatch(/branch-assistant +│ \/customers\/1001: 403/)
  expect(run.stdout).toMatch(/branch-assistant +│ \/customers\/2001: 200 .*Jan/)

  const checks = checksOf(run)
  expect(checks).toContain('✓ No token: 401.')
  expect(checks).toMatch(/for another audience, \S+: 401\./)
  expect(checks).toContain('✓ A token whose business line was changed from wealth to retail: 401.')
  expect(checks).toContain('✓ A token from the test environment: 401.')
  expect(checks).toContain('✓ The Kubernetes token itself: 401.')
  expect(checks).toMatch(/payroll, which no rule grants: 403/)
  expect(run.stdout).toMatch(/refused +jwt_svid +cluster +spiffe:/)
  expect(readdirSync(temporary)).toEqual([])
  rmdirSync(temporary)
}, 120_000)
