/** What callers get from a process that has no room for them, over the wire. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { openHttp2, type WireAnswer } from '../support/wire.ts'

let gateway: TestGateway
/** No room for a single one, and none to wait in. */
const admission = { maxAnswering: 0, maxHeld: 0 }
beforeAll(async () => {
  gateway = await startGateway({ admission, document: { listen: { address: '127.0.0.1:0' } } })
})
afterAll(() => gateway[Symbol.asyncDispose]())

/** Over HTTP/1.1 and over HTTP/2. */
async function sendBoth(path: string, method = 'GET'): Promise<readonly WireAnswer[]> {
  const client = await openHttp2(gateway.target)
  const answers = [await gateway.send(path, { method }), await client.send(path, { method })]
  await client.close()
  return answers
}

const shed = async () => (await gateway.metric('apostille_http_requests_shed_total')) ?? 0

test.each([
  ['/v1/svid/jwt', 'POST'],
  ['/v1/identities', 'GET'],
  ['/keys', 'GET'],
])('%s: 503, when to come back, and the code', async (path, method) => {
  const before = await shed()
  for (const { status, headers, json } of await sendBoth(path, method)) {
    expect(status).toBe(503)
    expect(headers).toMatchObject({ 'retry-after': '1', 'content-type': 'application/problem+json' })
    expect(json()).toMatchObject({ status: 503, code: 'overloaded', request_id: headers['x-request-id'] })
  }
  expect(await shed()).toBe(before + 2)
  await expect.poll(() => gateway.metric(`apostille_http_requests_total{route="${path}",status="503"}`)).toBe(2)
})

test.each(['/token', '/token?a=b'])('%s answers as OAuth', async (path) => {
  for (const { status, headers, json } of await sendBoth(path, 'POST')) {
    expect(status).toBe(503)
    expect(headers).toMatchObject({ 'retry-after': '1', 'cache-control': 'no-store', pragma: 'no-cache' })
    expect(json()).toEqual({ error: 'temporarily_unavailable', request_id: headers['x-request-id'] })
  }
})

test.each(['/livez', '/readyz', '/livez?a=b'])('%s is answered all the same', async (path) => {
  const before = await shed()
  expect((await sendBoth(path)).map(({ status }) => status)).toEqual([200, 200])
  expect(await shed()).toBe(before)
})

test('below the path of an issuer it is the same', async () => {
  await using below = await startGateway({ admission, document: { issuer: 'https://id.example.org/a' } })
  expect((await below.send('/a/livez')).status).toBe(200)
  expect((await below.send('/a/token', { method: 'POST' })).json()).toMatchObject({ error: 'temporarily_unavailable' })
  expect((await below.send('/a/keys')).json()).toMatchObject({ code: 'overloaded' })
  for (const [route, status] of [
    ['/livez', 200],
    ['/token', 503],
    ['/keys', 503],
  ])
    await expect.poll(() => below.metric(`apostille_http_requests_total{route="${route}",status="${status}"}`)).toBe(1)
})
