/** The Worker as an operator meets it. The HTTP suite has what callers meet. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Document } from '../support/gateway.ts'
import { startTestWorker, type TestWorker } from '../support/worker-subject.ts'

let worker: TestWorker
beforeAll(async () => {
  worker = await startTestWorker()
})
afterAll(() => worker.close())

const operatorSees = async (path: string) => (await (await worker.administer(path)).json()) as Document

test('says at start what no Worker can do', async () => {
  await worker.tick()
  await expect.poll(() => worker.log).toContainEqual(expect.objectContaining({ message: 'ready', level: 'INFO' }))
  expect(worker.log).toContainEqual(
    expect.objectContaining({
      level: 'WARN',
      message: expect.stringContaining('client certificates are no proof here'),
    }),
  )
})

test('the address of a caller is that which the platform saw', async () => {
  const headers = { 'cf-connecting-ip': '192.0.2.7', 'x-forwarded-for': '198.51.100.1' }
  const { headers: answered } = await worker.ask('/v1/identities', { headers })
  const { items } = await operatorSees(`/v1/records?request_id=${answered['x-request-id']}`)
  expect(items).toMatchObject([{ operation: 'identities', address: '192.0.2.7' }])
})

test('a client certificate that somebody claims in a header is none', async () => {
  const headers = { 'cf-client-cert-der-base64': 'MIIB', 'x-forwarded-client-cert': 'Cert=MIIB' }
  expect((await worker.ask('/v1/identities', { headers })).status).toBe(401)
})

test('a changed configuration comes with a deployment, and the admin API says so', async () => {
  const answer = await worker.administer('/v1/reload', { method: 'POST' })
  const problems = [{ message: expect.stringContaining('deploy it again') }]
  expect([answer.status, await answer.json()]).toMatchObject([409, { applied: false, problems }])
  expect(await operatorSees('/v1/status')).toMatchObject({ ready: true, trust_domain: 'example.org' })
})
