import { once } from 'node:events'
import { Agent } from 'node:https'
import type { ConnectionOptions } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestAuthority, type makeTestKey } from '../support/certificate-authority.ts'
import { type Certified, certify, svidRequest } from '../support/certified.ts'
import { bearer, startGateway, type TestGateway } from '../support/gateway.ts'
import { openHttp2, openTls, send, type WireTarget } from '../support/wire.ts'

let gateway: TestGateway
let one: Certified
let two: Certified

beforeAll(async () => {
  gateway = await startGateway({ document: { listen: { address: '127.0.0.1:0' } } })
  one = await certify(gateway, 'one')
  two = await certify(gateway, 'two')
})
afterAll(() => gateway[Symbol.asyncDispose]())

const itemsOf = (text: string) =>
  (JSON.parse(text).items as readonly { readonly spiffe_id: string }[]).map(({ spiffe_id }) => spiffe_id)

test('a client certificate is a proof over HTTP/1.1, and renews itself as X.509 and JWT', async () => {
  const listed = await send(one.target, '/v1/identities')
  expect(itemsOf(listed.text)).toEqual(['spiffe://example.org/vm/one'])
  const renewed = await send(one.target, '/v1/svid/x509', svidRequest({ csr: one.csr }))
  const token = await send(one.target, '/v1/svid/jwt', svidRequest({ audience: ['https://api.example.org'] }))
  expect([renewed, token].map(({ status, json }) => [status, json().spiffe_id])).toEqual([
    [200, 'spiffe://example.org/vm/one'],
    [200, 'spiffe://example.org/vm/one'],
  ])
})

test('a client certificate is a proof over HTTP/2, and each connection has its own', async () => {
  const clients = await Promise.all([one, two].map(({ target }) => openHttp2(target)))
  for (let round = 0; round < 3; round++) {
    const answers = await Promise.all(clients.map((client) => client.send('/v1/identities')))
    expect(answers.map(({ text }) => itemsOf(text))).toEqual([
      ['spiffe://example.org/vm/one'],
      ['spiffe://example.org/vm/two'],
    ])
  }
  const renewed = await clients[0]?.send('/v1/svid/x509', svidRequest({ csr: one.csr }))
  expect(renewed?.status).toBe(200)
  await Promise.all(clients.map((client) => client.close()))
})

test('records and the access log name the address of the peer over both', async () => {
  const client = await openHttp2(one.target)
  const answers = [await client.send('/v1/identities'), await send(one.target, '/v1/identities')]
  await client.close()
  for (const { headers } of answers) {
    const [record] = await gateway.records(`request_id=${headers['x-request-id']}`)
    expect(record?.address).toBe('127.0.0.1')
    const line = gateway.log.find(({ fields }) => fields.request_id === headers['x-request-id'])
    expect(line?.fields).toMatchObject({ address: '127.0.0.1', status: 200, path: '/v1/identities' })
  }
})

test('a connection without a certificate has no proof', async () => {
  const client = await openHttp2(gateway.target)
  const answers = [await client.send('/v1/identities'), await send(gateway.target, '/v1/identities')]
  await client.close()
  expect(answers.map(({ status }) => status)).toEqual([401, 401])
})

test('a bearer proof goes before the certificate, and one that fails is not followed by it', async () => {
  const good = await send(one.target, '/v1/identities', { headers: bearer(gateway.issuer.token()) })
  expect(itemsOf(good.text)[0]).toBe('spiffe://example.org/ci/build')
  for (const authorization of [`Bearer ${gateway.issuer.token({ exp: 1 })}`, 'Bearer', '', 'Basic YTpi']) {
    const bad = await send(one.target, '/v1/identities', { headers: { authorization } })
    expect([authorization, bad.status]).toEqual([authorization, 401])
  }
})

test('a header that claims a certificate is none', async () => {
  const pem = encodeURIComponent(one.certificates)
  for (const name of ['x-forwarded-client-cert', 'x-ssl-cert', 'x-client-cert', 'ssl-client-cert', 'client-cert']) {
    const answer = await send(gateway.target, '/v1/identities', { headers: { [name]: pem } })
    expect([name, answer.status]).toEqual([name, 401])
  }
})

interface Asked {
  readonly status: number
  readonly ids: readonly string[]
  readonly session: Buffer | undefined
  readonly reused: boolean
}

/** One request on a connection of its own. */
async function ask(target: WireTarget, options: ConnectionOptions): Promise<Asked> {
  const socket = openTls({ ...target, tls: { ...target.tls, ...options } })
  let session: Buffer | undefined
  let reused = false
  const chunks: Buffer[] = []
  socket.on('secureConnect', () => {
    reused = socket.isSessionReused()
  })
  socket.on('session', (ticket) => {
    session = ticket
  })
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.write('GET /v1/identities HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await once(socket, 'close')
  const text = Buffer.concat(chunks).toString()
  const status = Number(text.slice(9, 12))
  const ids = status === 200 ? itemsOf(text.slice(text.indexOf('\r\n\r\n') + 4)) : []
  return { status, ids, session, reused }
}

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'no session is resumed over %s, so that each connection shows its own certificates',
  async (version) => {
    const options = { minVersion: version, maxVersion: version }
    const targets = [one.target, two.target, gateway.target]
    const firsts = await Promise.all(targets.map((target) => ask(target, options)))
    const again = await Promise.all(
      targets.map((target, at) => {
        const session = firsts[at]?.session
        return ask(target, { ...options, ...(session && { session }) })
      }),
    )
    expect(again.map(({ reused }) => reused)).toEqual([false, false, false])
    expect(again.map(({ status, ids }) => [status, ...ids])).toEqual([
      [200, 'spiffe://example.org/vm/one'],
      [200, 'spiffe://example.org/vm/two'],
      [401],
    ])
  },
)

test('the session of a connection without a certificate does not stand in the way of one with it', async () => {
  const { session } = await ask(gateway.target, {})
  const later = await ask(one.target, { ...(session && { session }) })
  expect([later.reused, later.status]).toEqual([false, 200])
})

test.each<[string, () => { readonly cert: string; readonly key: string }]>([
  ['of another authority', () => strangerSvid()],
  ['of another authority that has the same name', () => strangerSvid('spiffe://example.org/vm/one')],
  ['signed by the SVID of a workload', () => signedByWorkload()],
  ['of an authority', () => authorityCertificate()],
])('refuses a client certificate %s', async (_, make) => {
  const answer = await send({ ...gateway.target, tls: { ...gateway.target.tls, ...make() } }, '/v1/identities')
  expect(answer.status).toBe(401)
  const [record] = await gateway.records(`request_id=${answer.headers['x-request-id']}`)
  expect(record).toMatchObject({ code: 'proof_rejected', reason: expect.any(String) })
})

const pem = (der: Uint8Array) =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`
const keyPem = (key: ReturnType<typeof makeTestKey>) =>
  key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const times = () => ({ notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 600_000) })

function strangerSvid(uri = 'spiffe://stranger.org/web') {
  const authority = createTestAuthority({ ...times(), uris: ['spiffe://example.org'] })
  const leaf = authority.issue({ ...times(), uris: [uri] })
  return { cert: pem(leaf.der) + pem(authority.der), key: keyPem(leaf.key) }
}

/** A chain of three: a leaf that a workload made of its own SVID. */
function signedByWorkload() {
  const leaf = createTestAuthority({ ...times(), key: one.key }).issue(times())
  return { cert: pem(leaf.der) + one.certificates, key: keyPem(leaf.key) }
}

function authorityCertificate() {
  const authority = createTestAuthority(times())
  return { cert: pem(authority.der), key: keyPem(authority.key) }
}

test('a certificate is judged at each request of a connection that stays open', async () => {
  const three = await certify(gateway, 'three')
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const client = await openHttp2(three.target)
  const both = async () => [
    (await send(three.target, '/v1/svid/jwt', { ...svidRequest({ audience: ['https://api.example.org'] }), agent }))
      .status,
    (await client.send('/v1/svid/jwt', svidRequest({ audience: ['https://api.example.org'] }))).status,
  ]
  expect(await both()).toEqual([200, 200])
  await gateway.admin(`/v1/join-tokens/${three.joinTokenId}`, 'DELETE')
  expect(await both()).toEqual([403, 403])
  agent.destroy()
  await client.close()
})

test('what a tainted authority signed is no proof any more, on open connections and on new ones of an old session too', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const client = await openHttp2(one.target)
  const { session } = await ask(one.target, {})
  const all = async () => [
    (await send(one.target, '/v1/identities', { agent })).status,
    (await client.send('/v1/identities')).status,
    (await ask(one.target, { ...(session && { session }) })).status,
    (await send(one.target, '/v1/svid/x509', { ...svidRequest({ csr: one.csr }), agent })).status,
  ]
  expect(await all()).toEqual([200, 200, 200, 200])

  const { items } = (await gateway.admin('/v1/authorities')).json() as {
    readonly items: readonly Record<string, string>[]
  }
  const active = items.find(({ ring, state }) => ring === 'x509' && state === 'active')
  expect((await gateway.admin('/v1/authorities', 'POST', { action: 'taint', id: active?.id })).status).toBe(200)
  expect(await all()).toEqual([401, 401, 401, 401])

  const anew = await certify(gateway, 'one')
  expect((await send(anew.target, '/v1/identities')).status).toBe(200)
  agent.destroy()
  await client.close()
})
