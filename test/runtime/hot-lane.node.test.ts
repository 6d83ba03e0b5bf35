import { afterAll, beforeAll, expect, test } from 'vitest'
import { badProofs } from '../support/bad-proofs.ts'
import { makeCsr, makeWorkload } from '../support/csr.ts'
import { bearer, startGateway, type TestGateway } from '../support/gateway.ts'
import { createTestApp, type SubjectRequest } from '../support/http-subject.ts'
import { openSocket, sendRaw } from '../support/wire.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway[Symbol.asyncDispose]())

const workload = makeWorkload()
const api = 'https://api.example.org'
const json = { 'content-type': 'application/json' }

/** All of an answer but what differs from one to the next: ids, signatures, times, and what belongs to the connection. */
async function overWire(path: string, request: SubjectRequest) {
  const { status, headers, text } = await gateway.send(path, request)
  const { date: _date, connection: _connection, 'keep-alive': _keepAlive, ...rest } = headers
  return normal(status, Object.entries(rest) as [string, string][], text)
}

async function overHono(path: string, request: SubjectRequest) {
  const answer = await createTestApp(gateway).fetch(new Request(`https://a${path}`, request as RequestInit), {})
  const text = await answer.text()
  const headers = new Map(answer.headers)
  // Node counts what Hono leaves to it.
  if (answer.status !== 304) headers.set('content-length', String(Buffer.byteLength(text)))
  return normal(answer.status, [...headers], text)
}

function normal(status: number, headers: readonly [string, string][], text: string) {
  const id = headers.find(([name]) => name === 'x-request-id')?.[1] ?? 'none'
  return {
    status,
    headers: headers.map(([name, value]) => [name, value.replace(id, '*')]).sort(),
    body: body(text, id),
  }
}

function body(text: string, id: string): unknown {
  return text
    .replaceAll(id, '*')
    .replace(/"token":"[^"]+"/g, '"token":"*"')
    .replace(/"certificates":"[^"]+"/g, '"certificates":"*"')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '*')
}

const svid = (value: unknown, headers: SubjectRequest['headers'] = {}): SubjectRequest => ({
  method: 'POST',
  headers: { ...json, ...headers },
  body: typeof value === 'string' || value instanceof Uint8Array ? value : JSON.stringify(value),
})
const proof = () => bearer(gateway.issuer.token())

test.each<[string, string, () => SubjectRequest]>([
  ['a JWT-SVID', '/v1/svid/jwt', () => svid({ audience: [api] }, proof())],
  ['no proof', '/v1/svid/jwt', () => svid({ audience: [api] })],
  ['an empty body', '/v1/svid/jwt', () => svid('', proof())],
  ['no JSON', '/v1/svid/jwt', () => svid('{', proof())],
  ['no UTF-8', '/v1/svid/jwt', () => svid(Buffer.of(0xff), proof())],
  ['an unknown field', '/v1/svid/jwt', () => svid({ audience: [api], a: 1 }, proof())],
  ['no grant', '/v1/svid/jwt', () => svid({ audience: ['x'] }, proof())],
  ['a ttl too long', '/v1/svid/jwt', () => svid({ audience: [api], ttl_seconds: 301 }, proof())],
  ['a body too large', '/v1/svid/jwt', () => svid(' '.repeat(131_073), proof())],
  ['another type', '/v1/svid/jwt', () => svid('{}', { ...proof(), 'content-type': 'text/plain' })],
  ['a wrong CSR', '/v1/svid/x509', () => svid({ csr: 'AAAA' }, proof())],
  [
    'a batch',
    '/v1/svids',
    () => svid({ requests: [{ jwt: { audience: [api] } }, { jwt: { audience: ['x'] } }] }, proof()),
  ],
  ['an empty batch', '/v1/svids', () => svid({ requests: [] }, proof())],
  ['a query', '/v1/svid/jwt?a=b', () => svid({ audience: [api] }, proof())],
  ['another method', '/v1/svid/jwt', () => ({ method: 'PUT' })],
  ['discovery', '/.well-known/openid-configuration', () => ({})],
  ['keys', '/keys', () => ({})],
  ['the bundle', '/v1/bundle', () => ({})],
  ['the bundle as PEM', '/v1/bundle?format=pem', () => ({})],
  ['whether it lives', '/livez', () => ({})],
  ['whether it is ready', '/readyz', () => ({})],
  ['a probe with a query', '/livez?a=b', () => ({})],
  ['another method for a probe', '/readyz', () => ({ method: 'POST' })],
  ['what is known already', '/keys', () => ({ headers: { 'if-none-match': '*' } })],
])('answers %s exactly as the application does', async (_, path, make) => {
  expect(await overWire(path, make())).toEqual(await overHono(path, make()))
})

test('answers an X.509-SVID as the application does, but for its length', async () => {
  const ask = svid({ csr: makeCsr(workload.key).toString('base64') }, proof())
  const answers = await Promise.all([overWire('/v1/svid/x509', ask), overHono('/v1/svid/x509', ask)])
  const [wire, hono] = answers.map(({ headers, ...rest }) => ({
    ...rest,
    headers: headers.filter(([name]) => name !== 'content-length'),
  }))
  expect(wire).toEqual(hono)
})

test('answers every wrong proof exactly as the application does', async () => {
  for (const { name, headers } of badProofs(gateway.issuer)) {
    const ask = svid({ audience: [api] }, headers)
    expect([name, await overWire('/v1/svid/jwt', ask)]).toEqual([name, await overHono('/v1/svid/jwt', ask)])
  }
})

/** One request as bytes; the answer's status, and the reason on record. */
async function rawPost(headers: readonly string[], path = '/v1/svid/jwt') {
  const text = JSON.stringify({ audience: [api] })
  const lines = [`POST ${path} HTTP/1.1`, 'Connection: close', `Content-Length: ${text.length}`, ...headers]
  const answer = await sendRaw(gateway.target, `${lines.join('\r\n')}\r\n\r\n${text}`)
  const id = /x-request-id: ([0-9a-f]+)/i.exec(answer)?.[1] ?? ''
  const [record] = await gateway.records(`request_id=${id}`)
  return { status: Number(answer.slice(9, 12)), answer, record }
}

const host = 'Host: a'
const type = 'Content-Type: application/json'

test.each(['/v1/svid/jwt', '/v1/svid/jwt?through=hono'])('two proofs in one request are none, at %s', async (path) => {
  const good = `Authorization: Bearer ${gateway.issuer.token()}`
  expect((await rawPost([host, type, good], path)).status).toBe(200)
  for (const other of [good, 'Authorization: Bearer x', 'authorization: Basic YTpi', 'Authorization:']) {
    const { status, record } = await rawPost([host, type, good, other], path)
    expect([other, status, record?.code]).toEqual([other, 401, 'proof_rejected'])
  }
})

test.each(['/v1/svid/jwt', '/v1/svid/jwt?through=hono'])(
  'two media types or authenticators are none, at %s',
  async (path) => {
    const good = `Authorization: Bearer ${gateway.issuer.token()}`
    expect((await rawPost([host, type, 'content-type: text/plain', good], path)).status).toBe(415)
    const narrowed = ['Apostille-Authenticator: ci', 'apostille-authenticator: first']
    expect((await rawPost([host, type, good, ...narrowed], path)).status).toBe(401)
  },
)

test.each([
  ['two lengths', ['Content-Length: 5']],
  ['a length and chunks', ['Transfer-Encoding: chunked']],
  ['two hosts', ['Host: b']],
  ['a folded header', ['A: b\r\n c']],
  ['a space before the colon', ['Authorization : Bearer x']],
  ['a line feed alone', ['A: b\nAuthorization: Bearer x']],
  ['a NUL', ['A: b\0c']],
])('a request with %s is refused before anything reads it', async (_, headers) => {
  const { status, answer } = await rawPost([host, type, ...headers])
  expect([400, 401]).toContain(status)
  expect(answer).not.toContain('"token"')
})

test('the absolute form of a target is served as its path, whatever host it names', async () => {
  const good = `Authorization: Bearer ${gateway.issuer.token()}`
  expect((await rawPost([host, type, good], 'http://elsewhere.example/v1/svid/jwt')).status).toBe(200)
})

test.each([
  ['/v1/identities/../svid/jwt', 200],
  ['/v1/identities/%2e%2e/svid/jwt', 200],
  ['/v1/svid/../../../../etc/passwd', 404],
  ['*', 400],
  ['elsewhere.example:443', 400],
])('the target %s is what a URL says it is', async (path, status) => {
  const good = `Authorization: Bearer ${gateway.issuer.token()}`
  expect((await rawPost([host, type, good], path)).status).toBe(status)
})

test.each(['Host: a b', 'Host: ', 'Host: a/../b', 'Host: user@a', 'Host: [::1'])(
  'a wrong name in "%s" is answered as a problem',
  async (line) => {
    const answer = await sendRaw(gateway.target, `GET /livez HTTP/1.1\r\n${line}\r\nConnection: close\r\n\r\n`)
    const [head = '', text = ''] = answer.split('\r\n\r\n')
    expect(['200', '400']).toContain(head.slice(9, 12))
    expect(JSON.parse(text)).toMatchObject(
      head.startsWith('HTTP/1.1 400') ? { code: 'malformed_request' } : { status: 'ok' },
    )
  },
)

test.each(['127.999.1.1', '1.2.3.4.5', 'a.0x'])(
  'the Host %s, which no URL takes, is no failure of ours',
  async (name) => {
    for (const path of ['/v1/identities', '/nothing', '/v1/kv/data/a']) {
      const answer = await sendRaw(gateway.target, `GET ${path} HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`)
      expect(answer).toMatch(/^HTTP\/1\.1 400 /)
      expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({ code: 'malformed_request' })
    }
  },
)

test('a probe of HTTP/1.0 without a host is answered', async () => {
  expect(await sendRaw(gateway.target, 'GET /readyz HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /)
})

test.each(['/v1/svid/jwt', '/v1/svids', '/token'])(
  'a caller who goes away in the middle of a body is no bug of ours, at %s',
  async (path) => {
    const before = gateway.log.filter(({ level }) => level === 'error').length
    const socket = openSocket(gateway.target)
    const form = path === '/token' ? 'application/x-www-form-urlencoded' : 'application/json'
    socket.write(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${form}\r\nContent-Length: 100\r\n\r\n{"a`)
    await expect.poll(() => gateway.metric('apostille_http_requests_in_flight')).toBe(1)
    socket.destroy()
    await expect
      .poll(() => gateway.log.find(({ fields }) => fields.path === path && fields.aborted === true))
      .toBeDefined()
    await expect
      .poll(async () => (await gateway.records('order=newest&limit=5')).map(({ reason }) => reason))
      .toContain('the connection ended before the body was complete')
    expect(gateway.log.filter(({ level }) => level === 'error')).toHaveLength(before)
  },
)
