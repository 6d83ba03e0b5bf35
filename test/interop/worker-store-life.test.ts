/** What a Worker keeps: over its end, under its seal key, in the place where it began. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { LocalWorkerOptions } from '../../scripts/local-worker.ts'
import { bearer } from '../support/gateway.ts'
import { startTestWorker, type TestWorker } from '../support/worker-subject.ts'

const folder = mkdtempSync(join(tmpdir(), 'apostille-kept-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const sealKey = () => ({ APOSTILLE_SEAL_KEY: randomBytes(32).toString('base64') })

async function statusOfIssue(worker: TestWorker): Promise<number> {
  const body = JSON.stringify({ audience: ['https://api.example.org'] })
  return (await worker.ask('/v1/svid/jwt', { method: 'POST', headers: bearer(worker.issuer.token()), body })).status
}

async function verify(worker: TestWorker): Promise<unknown> {
  return (await worker.administer('/v1/records/verify', { method: 'POST' })).json()
}

const hasSaid = (worker: TestWorker, text: string) =>
  expect.poll(() => worker.log.map(({ message }) => message)).toContainEqual(expect.stringContaining(text))

async function withWorker(
  options: Partial<LocalWorkerOptions>,
  run: (worker: TestWorker) => Promise<void>,
): Promise<void> {
  const worker = await startTestWorker({}, options)
  try {
    await run(worker)
  } finally {
    await worker.close()
  }
}

describe.each([
  ['in its Durable Object', false],
  ['in D1', true],
])('a store %s', (name, d1) => {
  const keptIn = join(folder, name)
  const bindings = sealKey()

  test('outlives the process, and opens with the seal key alone that it was made with', async () => {
    let keys = ''
    await withWorker({ keptIn, d1, bindings }, async (worker) => {
      expect(await statusOfIssue(worker)).toBe(200)
      keys = (await worker.ask('/keys')).text
      await worker.tick()
      expect(await verify(worker)).toMatchObject({ ok: true, chains: [{ chain: 'main', records: 1, heads: 1 }] })
    })
    await withWorker({ keptIn, d1, bindings: sealKey() }, async (worker) => {
      const { status, json } = await worker.ask('/keys')
      expect([status, json().code]).toEqual([503, 'store_unavailable'])
      await hasSaid(worker, 'the seal key is not the one that this store was made with')
    })
    await withWorker({ keptIn, d1, bindings }, async (worker) => {
      expect((await worker.ask('/keys')).text).toBe(keys)
      expect(await statusOfIssue(worker)).toBe(200)
      expect(await verify(worker)).toMatchObject({ ok: true, chains: [{ chain: 'main', records: 2, heads: 1 }] })
    })
  })
})

test('a store in the Durable Object is not left behind for an empty one in D1', async () => {
  const keptIn = join(folder, 'moved')
  const bindings = sealKey()
  await withWorker({ keptIn, bindings }, async (worker) => {
    expect((await worker.ask('/keys')).status).toBe(200)
  })
  await withWorker({ keptIn, bindings, d1: true }, async (worker) => {
    expect((await worker.ask('/keys')).status).toBe(503)
    await hasSaid(worker, 'deploy it without the binding DATABASE')
  })
})
