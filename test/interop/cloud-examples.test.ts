import { mkdtempSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checksOf, type Ended, runToEnd } from '../examples/run-to-end.ts'

/** Variables of this machine by which an SDK finds other credentials. */
const none = { AWS_PROFILE: '', AWS_ACCESS_KEY_ID: '', AZURE_CLIENT_SECRET: '', GOOGLE_APPLICATION_CREDENTIALS: '' }

async function play(example: string): Promise<Ended> {
  const temporary = mkdtempSync(join(tmpdir(), 'example-'))
  const cache = mkdtempSync(join(tmpdir(), 'example-cache-'))
  const places = { HOME: temporary, TMPDIR: temporary, XDG_CACHE_HOME: cache }
  const run = await runToEnd(`examples/${example}/run.ts`, { ...none, ...places })
  expect(run).toMatchObject({ code: 0, stderr: '' })
  expect(checksOf(run)).toMatch(/It is a stand-in.*A double of .*It is not.*opens nothing/s)
  expect(run.stdout).toMatch(/With the real \w+ nothing\s+changes but this/)
  expect(checksOf(run)).toContain('finds none changed and none missing')
  expect(readdirSync(temporary)).toEqual([])
  rmdirSync(temporary)
  rmSync(cache, { recursive: true })
  return run
}

test('a pod uses AWS with two variables and its own token', async () => {
  const run = await play('04-kubernetes-to-aws')

  expect(run.stdout).toMatch(
    /AWS_CONTAINER_CREDENTIALS_FULL_URI +https:\/\/id\.example\.org\/v1\/credentials\/payments-s3\n/,
  )
  expect(run.stdout).toMatch(
    /payments-report +│ AWS says that I am arn:aws:sts::123456789012:assumed-role\/payments\/ns\.payments\.sa\.payments-report-/,
  )
  const checks = checksOf(run)
  expect(checks).toContain('AWS took spiffe://example.org/ns/payments/sa/payments-report for')
  expect(checks).toContain('Apostille refuses. On record: "no policy permits it"')
  expect(checks).toMatch(/batch of .* AWS refuses.*On record: ".*AccessDenied/)
  expect(run.stdout).toMatch(/granted +exchange +cluster +spiffe:/)
}, 120_000)

test('a pod uses Azure, which takes it for the subject of the target', async () => {
  const run = await play('04-kubernetes-to-azure')

  expect(run.stdout).toMatch(/payments-sync +│ I have a token for the vault, good for 60 minutes/)
  const checks = checksOf(run)
  expect(checks).toContain('Entra took spiffe://example.org/cloud/payments-vault for the application')
  expect(checks).toContain('its program is not even started. On record: "no policy permits it"')
}, 120_000)

test('a pod uses Google Cloud as a service account, by a file without a secret', async () => {
  const run = await play('04-kubernetes-to-google')

  expect(run.stdout).toMatch(/payments-reports +│ I have an access token of Google/)
  expect(run.stdout).toMatch(/storefront +│ the Google library says: .*not_entitled/)
  expect(run.stdout).toMatch(/batch +│ the Google library says: .*unauthorized_client/)
  expect(checksOf(run)).toContain('let it act as payments-reports@example.iam.gserviceaccount.com.')
}, 120_000)
