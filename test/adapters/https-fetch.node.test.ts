import type { LookupAddress } from 'node:dns'
import type { RequestListener } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAddressRule } from '../../src/adapters/address-rule.ts'
import { createHttpClient } from '../../src/adapters/http-client.ts'
import { createHttpsFetch, type HttpsFetchOptions } from '../../src/adapters/https-fetch.node.ts'
import { type HttpsServer, startHttpsServer } from '../support/https-server.ts'
import { createTestAuthority, type TestAuthority } from '../support/tls.ts'

let authority: TestAuthority
let server: HttpsServer
let respond: RequestListener
const clients: { close: () => Promise<void> }[] = []

beforeAll(async () => {
  authority = await createTestAuthority()
  server = await startHttpsServer(await authority.issue(['localhost', '127.0.0.1']), (request, response) => {
    respond(request, response)
  })
})
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()))
  await server.close()
})

const anywhere = () => true

function connect(options: Partial<HttpsFetchOptions> = {}, maxBytes = 1000) {
  const fetch = createHttpsFetch({ ca: authority.ca, allowAddress: anywhere, ...options })
  const client = createHttpClient({ fetch, maxBytes, close: fetch.close })
  clients.push(client)
  return client
}

test('sends a request and reads the answer over TLS', async () => {
  respond = async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString()
    response.writeHead(201, { 'x-method': request.method, 'cache-control': 'max-age=7' })
    response.end(`${body} ${request.headers['accept-encoding']} ${request.headers.authorization}`)
  }
  const answer = await connect().request({
    url: `${server.origin}/x`,
    method: 'POST',
    headers: { authorization: 'Bearer t' },
    body: 'hello',
  })
  expect(answer).toMatchObject({ status: 201, text: 'hello identity Bearer t' })
  expect(answer.headers.get('cache-control')).toBe('max-age=7')
})

test('keeps its connection for the next request', async () => {
  const ports = new Set<number | undefined>()
  respond = (request, response) => {
    ports.add(request.socket.remotePort)
    response.end('ok')
  }
  const client = connect()
  await client.request({ url: server.origin })
  await client.request({ url: server.origin })
  expect(ports.size).toBe(1)
})

test.each([
  ['is sent again', {}, 'ok'],
  ['is sent again if it may be', { method: 'POST', repeatable: true }, 'ok'],
  ['fails if it may not be', { method: 'POST' }, 'network'],
] as const)('a request on a kept connection that is dead %s', async (_, init, outcome) => {
  let asked = 0
  respond = (request, response) => {
    asked++
    if (asked === 2) request.socket.destroy()
    else response.end('ok')
  }
  const client = connect()
  await client.request({ url: server.origin })
  const second = client.request({ url: server.origin, ...init }).then(
    ({ text }) => text,
    (error: { code: string }) => error.code,
  )
  expect(await second).toBe(outcome)
  expect(asked).toBe(outcome === 'ok' ? 3 : 2)
})

test('a server that ends every connection is asked twice and no more, however many are kept', async () => {
  let asked = 0
  let dead = false
  const arrived: (() => void)[] = []
  respond = (request, response) => {
    asked++
    if (dead) request.socket.destroy()
    // All are answered together, so that each has a connection of its own.
    else if (arrived.push(() => response.end('ok')) === 8) for (const answer of arrived) answer()
  }
  const client = connect({ connections: 8 })
  await Promise.all(Array.from({ length: 8 }, () => client.request({ url: server.origin })))
  asked = 0
  dead = true
  await expect(client.request({ url: server.origin })).rejects.toMatchObject({ code: 'network' })
  expect(asked).toBe(2)
})

test('no more connections are open at a time than are allowed, and all are kept', async () => {
  const ports = new Set<number | undefined>()
  respond = (request, response) => {
    ports.add(request.socket.remotePort)
    setImmediate(() => response.end('ok'))
  }
  const client = connect({ connections: 6 })
  for (const many of [30, 6])
    await Promise.all(Array.from({ length: many }, () => client.request({ url: server.origin })))
  expect(ports.size).toBe(6)
})

test('reads an answer without a body', async () => {
  respond = (_, response) => response.writeHead(204).end()
  expect(await connect().request({ url: server.origin })).toMatchObject({ status: 204, text: '' })
})

test('does not follow a redirect', async () => {
  const paths: (string | undefined)[] = []
  respond = (request, response) => {
    paths.push(request.url)
    response.writeHead(302, { location: '/elsewhere' }).end()
  }
  await expect(connect().request({ url: `${server.origin}/here` })).rejects.toMatchObject({
    code: 'redirect',
    status: 302,
  })
  expect(paths).toEqual(['/here'])
})

test('stops reading what is too large', async () => {
  respond = (_, response) => response.end('x'.repeat(1001))
  await expect(connect().request({ url: server.origin })).rejects.toMatchObject({ code: 'too_large' })
})

test('a server that hangs in the middle of its answer is given up', async () => {
  const started = Promise.withResolvers<() => void>()
  const waiting = Promise.withResolvers<void>()
  respond = (_, response) => {
    response.writeHead(200).write('x')
    response.on('close', waiting.resolve)
    started.promise.then((fire) => fire())
  }
  const fetch = createHttpsFetch({ ca: authority.ca, allowAddress: anywhere })
  const startTimer = (callback: () => void) => {
    started.resolve(callback)
    return () => {}
  }
  const client = createHttpClient({ fetch, startTimer, close: fetch.close })
  clients.push(client)
  await expect(client.request({ url: server.origin })).rejects.toMatchObject({ code: 'timeout' })
  await waiting.promise
})

test('a server that hangs up is a network failure', async () => {
  respond = (request) => request.socket.destroy()
  await expect(connect().request({ url: server.origin })).rejects.toMatchObject({ code: 'network' })
})

test('trusts only the authorities that it was given', async () => {
  respond = (_, response) => response.end('ok')
  const other = await createTestAuthority('other CA')
  await expect(connect({ ca: other.ca }).request({ url: server.origin })).rejects.toMatchObject({ code: 'tls' })
})

test('without authorities of its own it trusts those of Node', async () => {
  const fetch = createHttpsFetch({ allowAddress: anywhere })
  const client = createHttpClient({ fetch, close: fetch.close })
  clients.push(client)
  await expect(client.request({ url: server.origin })).rejects.toMatchObject({ code: 'tls' })
})

test('a certificate for another name is refused', async () => {
  const resolve = async (): Promise<LookupAddress[]> => [{ address: '127.0.0.1', family: 4 }]
  const url = `https://other.example:${server.port}`
  await expect(connect({ resolve }).request({ url })).rejects.toMatchObject({ code: 'tls' })
})

test.each([
  ['a name', 'localhost'],
  ['an address', '127.0.0.1'],
])('connects to no address that is not allowed: %s', async (_, host) => {
  let asked = 0
  respond = (_request, response) => {
    asked++
    response.end('ok')
  }
  const url = `https://${host}:${server.port}`
  expect((await connect().request({ url })).text).toBe('ok')
  await expect(connect({ allowAddress: () => false }).request({ url })).rejects.toMatchObject({ code: 'address' })
  expect(asked).toBe(1)
})

test('connects to the address that was checked: a name is resolved once', async () => {
  respond = (_, response) => response.end('ok')
  const answers: LookupAddress[][] = [[{ address: '127.0.0.1', family: 4 }], [{ address: '10.0.0.1', family: 4 }]]
  const checked: string[] = []
  const client = connect({
    resolve: async () => answers.shift() ?? [],
    allowAddress: (address) => checked.push(address) > 0,
  })
  expect((await client.request({ url: server.origin })).text).toBe('ok')
  expect(checked).toEqual(['127.0.0.1'])
})

test('of several addresses only the allowed ones are tried', async () => {
  respond = (_, response) => response.end('ok')
  const resolve = async (): Promise<LookupAddress[]> => [
    { address: '169.254.169.254', family: 4 },
    { address: '127.0.0.1', family: 4 },
  ]
  const client = connect({ resolve, allowAddress: (address) => address === '127.0.0.1' })
  expect((await client.request({ url: server.origin })).text).toBe('ok')
})

test('a name that does not resolve is a network failure', async () => {
  const resolve = async (): Promise<LookupAddress[]> => {
    throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })
  }
  await expect(connect({ resolve }).request({ url: server.origin })).rejects.toMatchObject({ code: 'network' })
})

test.each([
  ['a configured host may be anywhere', 'issuer.example', '127.0.0.1', false, true],
  ['whatever its case', 'ISSUER.example', '10.0.0.1', false, true],
  ['another one is public', 'keys.example', '8.8.8.8', false, true],
  ['and never loopback', 'keys.example', '127.0.0.1', false, false],
  ['nor link-local', 'keys.example', '169.254.169.254', false, false],
  ['nor private', 'keys.example', 'fd00::1', false, false],
  ['nor below the configured one', 'a.issuer.example', '10.0.0.1', false, false],
  ['unless the place is private', 'keys.example', '10.0.0.1', true, true],
])('%s', (_, host, address, isPrivate, allowed) => {
  const rule = createAddressRule({ hosts: ['issuer.example', '[::1]'], private: isPrivate })
  expect(rule(address, host)).toBe(allowed)
  expect(rule('::1', '::1')).toBe(true)
})
