import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checksOf, runToEnd } from './run-to-end.ts'

const id = (name: string) => `spiffe://example.org/ns/payments/sa/${name}`

test('two services talk by their SPIFFE IDs while certificates change and Apostille is gone', async () => {
  const temporary = mkdtempSync(join(tmpdir(), 'example-'))
  const run = await runToEnd('examples/01-mtls-microservices/run.ts', { TMPDIR: temporary })

  expect(run).toMatchObject({ code: 0, stderr: '' })
  expect(run.stdout).toContain(`│ I am ${id('payments-api')}, certificate`)
  expect(run.stdout).toContain(`│ I am ${id('mtls-backend')}, certificate`)
  expect(run.stdout).toMatch(/payments-api +│ request 1: \{"balance":1250\}/)
  expect(run.stdout).toMatch(/\(once\) +│ the backend refused: 403/)
  expect(run.stdout).toContain(`│ I hung up: the peer is ${id('reporting')}, which is not authorized here`)
  expect(run.stdout).toMatch(/payments-api +│ \d{2,} requests, 0 failed/)
  expect(run.stdout).not.toContain('FAILED')
  expect(run.stdout).not.toContain('DROPPED')
  // The first certificate, two rotations, and one after Apostille came back.
  const [, own, peers] = /│ (\d+) certificates of mine, (\d+) of the backend/.exec(run.stdout) ?? []
  expect(Number(own)).toBeGreaterThanOrEqual(4)
  expect(Number(peers)).toBeGreaterThanOrEqual(4)

  const checks = checksOf(run)
  expect(checks).toContain('It is a stand-in')
  expect(checks).toMatch(/Apostille is dead.*Requests go on.*Apostille is back.*fresh certificates again/s)
  expect(checks).toContain('finds none changed and none missing')
  expect(run.stdout).toMatch(/granted +x509_svid +ours +spiffe:/)
  expect(readdirSync(temporary)).toEqual([])
  rmdirSync(temporary)
}, 120_000)

test('half of the settings of a real cluster are refused', async () => {
  const run = await runToEnd('examples/01-mtls-microservices/run.ts', { EXAMPLE_CLUSTER_ISSUER: 'https://localhost:1' })
  expect(run.code).toBe(1)
  expect(run.stderr).toContain('EXAMPLE_TOKEN_DIR together, or none of them')
})
