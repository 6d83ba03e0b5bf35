import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createAccessLog } from '../../src/runtime/access-log.node.ts'
import { type Listener, listen } from '../../src/runtime/listener.node.ts'
import { createUnreadableAnswer } from '../../src/runtime/unreadable.node.ts'
import { createTelemetryLog } from '../support/fake-upstream.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { openTls, sendRaw, type WireTarget } from '../support/wire.ts'

/** Head and body of an answer over HTTP/1.1. */
function readAnswer(text: string) {
  const [head = '', body = ''] = text.split('\r\n\r\n')
  const [statusLine = '', ...lines] = head.split('\r\n')
  const headers = Object.fromEntries(lines.map((line) => line.split(': ', 2))) as Readonly<Record<string, string>>
  return { statusLine, headers, body, problem: JSON.parse(body) as Record<string, unknown> }
}

const head = 'GET /v1/bundle HTTP/1.1\r\nHost: a\r\n'
const large = 'x'.repeat(17 * 1024)

describe.each([
  ['plain', 'off'],
  ['TLS', 'self'],
])('bytes that are no request, %s', (_, tls) => {
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startGateway({ document: { listen: { address: '127.0.0.1:0', tls } } })
  })
  afterAll(() => gateway[Symbol.asyncDispose]())

  test.each([
    ['headers above 16 KiB', `${head}a: ${large}\r\n\r\n`, 431, 'headers_too_large', 'Request Header Fields Too Large'],
    ['no HTTP', 'nonsense\r\n\r\n', 400, 'malformed_request', 'Bad Request'],
    ['a header that is none', `${head}no colon\r\n\r\n`, 400, 'malformed_request', 'Bad Request'],
  ])('%s', async (_name, bytes, status, code, phrase) => {
    const counted = () => gateway.metric(`apostille_http_requests_total{route="other",status="${status}"}`)
    const before = (await counted()) ?? 0
    const answer = readAnswer(await sendRaw(gateway.target, bytes))
    expect(answer.statusLine).toBe(`HTTP/1.1 ${status} ${phrase}`)
    expect(answer.headers).toMatchObject({
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      connection: 'close',
      'content-length': String(answer.body.length),
    })
    expect(answer.problem).toMatchObject({ status, code, request_id: answer.headers['x-request-id'] })
    const { request_id } = answer.problem
    expect(gateway.log.filter(({ fields }) => fields.request_id === request_id)).toEqual([
      {
        level: 'info',
        message: 'request',
        fields: { request_id, status, address: '127.0.0.1', protocol: '1.1', unreadable: true },
      },
    ])
    expect(await counted()).toBe(before + 1)
  })
})

test('the admin socket answers problem details as well', async () => {
  await using gateway = await startGateway()
  const target = { address: gateway.server.addresses.admin }
  const answer = readAnswer(await sendRaw(target, `${head}a: ${large}\r\n\r\n`))
  expect(answer.problem).toMatchObject({ code: 'headers_too_large', request_id: answer.headers['x-request-id'] })
})

/** Sent together with the preface: our settings, which name the limit, can not be known to the client yet. */
async function sendFirst(target: WireTarget, headers: Readonly<Record<string, string>>) {
  const session = connectHttp2('https://gateway.test', { createConnection: () => openTls(target, ['h2']) })
  session.on('error', () => undefined)
  const stream = session.request({ ':path': '/v1/bundle', ...headers })
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  const [received] = (await once(stream, 'response')) as [Readonly<Record<string, string | number>>]
  await once(stream, 'close')
  session.destroy()
  return { received, text: Buffer.concat(chunks).toString() }
}

test('headers above 16 KiB in the first request of a connection of HTTP/2', async () => {
  await using gateway = await startGateway({ document: { listen: { address: '127.0.0.1:0' } } })
  expect((await sendFirst(gateway.target, { a: 'x'.repeat(15 * 1024) })).received[':status']).toBe(200)
  const { received, text } = await sendFirst(gateway.target, { a: large })
  expect(received).toMatchObject({ ':status': 431, 'content-type': 'application/problem+json' })
  expect(JSON.parse(text)).toMatchObject({ code: 'headers_too_large', request_id: received['x-request-id'] })
  const line = gateway.log.find(({ fields }) => fields.request_id === received['x-request-id'])
  expect(line?.fields).toMatchObject({ status: 431, address: '127.0.0.1', protocol: '2.0' })
})

describe('a request that does not arrive in time', () => {
  const timeouts = {
    handshakeMs: 60_000,
    headersMs: 50,
    requestMs: 50,
    idleMs: 60_000,
    drainMs: 60_000,
    checkMs: 10,
    silentMs: 60_000,
  }
  let listener: Listener | undefined
  afterEach(() => listener?.close(0))

  /** A listener whose requests read their body and have the id `of-handler`. */
  async function start() {
    const telemetry = createTelemetryLog()
    const log = createAccessLog({ telemetry, connection: () => ({ address: '192.0.2.1', certificates: [] }) })
    listener = await listen({
      address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      timeouts,
      unreadable: createUnreadableAnswer(() => 'of-nobody', log),
      handle: (request, response) => {
        log.begin(request, response, 'of-handler')
        request.resume().on('error', () => undefined)
      },
    })
    const lines = () => telemetry.lines.filter(({ text }) => text === 'request').map(({ fields }) => fields)
    return { target: { address: listener.address }, lines }
  }

  test('its headers: an answer and a line of its own', async () => {
    const { target, lines } = await start()
    const { statusLine, problem } = readAnswer(await sendRaw(target, head))
    expect(statusLine).toBe('HTTP/1.1 408 Request Timeout')
    expect(problem).toMatchObject({ code: 'request_timeout', request_id: 'of-nobody' })
    expect(lines()).toMatchObject([{ request_id: 'of-nobody', status: 408 }])
  })

  test('its body: the id of the request, whose line says 408', async () => {
    const { target, lines } = await start()
    const bytes = 'POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab'
    const { statusLine, problem } = readAnswer(await sendRaw(target, bytes))
    expect(statusLine).toBe('HTTP/1.1 408 Request Timeout')
    expect(problem).toMatchObject({ code: 'request_timeout', request_id: 'of-handler' })
    await expect.poll(lines).toMatchObject([{ request_id: 'of-handler', status: 408, path: '/token', aborted: true }])
  })
})
