import { afterAll, beforeAll, expect, test } from 'vitest'
import { createConnectUpstream } from '../../src/adapters/connect-upstream.node.ts'
import type { UpstreamPlace } from '../../src/adapters/http-client.ts'
import { createFakeClock, createFakeFiles } from '../support/fake-upstream.ts'
import { type HttpsServer, startHttpsServer } from '../support/https-server.ts'
import { createTestAuthority, type TestAuthority } from '../support/tls.ts'

let authority: TestAuthority
let server: HttpsServer
const files = createFakeFiles()
const clock = createFakeClock()
const connect = createConnectUpstream({ files, monotonicMs: clock.monotonicMs, maxBytes: 10 })
const closing: (() => Promise<void>)[] = []

beforeAll(async () => {
  authority = await createTestAuthority()
  server = await startHttpsServer(await authority.issue(), (request, response) => {
    response.end(request.url === '/large' ? 'x'.repeat(11) : 'ok')
  })
  files.texts.set('/ca.pem', authority.ca)
})
afterAll(async () => {
  await Promise.all(closing.map((close) => close()))
  await server.close()
})

function request(place: Partial<UpstreamPlace>, path = '/') {
  const client = connect({ hosts: [], caFile: '/ca.pem', ...place })
  closing.push(client.close)
  return client.request({ url: `${server.origin}${path}` })
}

test('a host of the configuration may be loopback', async () => {
  expect(await request({ hosts: ['localhost'] })).toMatchObject({ status: 200, text: 'ok' })
})

test('another host may not', async () => {
  await expect(request({ hosts: ['issuer.example'] })).rejects.toMatchObject({ code: 'address' })
})

test('unless the place is private', async () => {
  expect(await request({ hosts: ['issuer.example'], private: true })).toMatchObject({ text: 'ok' })
})

test('answers are bounded', async () => {
  await expect(request({ hosts: ['localhost'] }, '/large')).rejects.toMatchObject({ code: 'too_large' })
})

test('without the authority there is no trust', async () => {
  const client = connect({ hosts: ['localhost'] })
  closing.push(client.close)
  await expect(client.request({ url: server.origin })).rejects.toMatchObject({ code: 'tls' })
})

test('a missing file of authorities is said', async () => {
  await expect(request({ hosts: ['localhost'], caFile: '/gone.pem' })).rejects.toMatchObject({
    code: 'tls',
    message: 'ca_file could not be read',
  })
})

test('authorities that are replaced on disk hold from then on', async () => {
  const other = await createTestAuthority('other CA')
  files.texts.set('/rotating.pem', other.ca)
  const client = connect({ hosts: ['localhost'], caFile: '/rotating.pem' })
  closing.push(client.close)
  await expect(client.request({ url: server.origin })).rejects.toMatchObject({ code: 'tls' })

  files.texts.set('/rotating.pem', authority.ca)
  clock.advance(1000)
  expect(await client.request({ url: server.origin })).toMatchObject({ text: 'ok' })
})

test('a client that was never used can be closed', async () => {
  await expect(connect({ hosts: [] }).close()).resolves.toBeUndefined()
})
