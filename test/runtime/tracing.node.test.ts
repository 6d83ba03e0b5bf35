import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { HttpRequest } from '../../src/adapters/http-client.ts'
import { createOpenTelemetry, type OpenTelemetry } from '../../src/adapters/telemetry/opentelemetry.node.ts'
import { readOtelSettings } from '../../src/adapters/telemetry/otel-settings.ts'
import { silentTelemetry } from '../../src/core/telemetry.ts'
import { askJwt, bearer, startGateway, type TestGateway } from '../support/gateway.ts'
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../support/otlp-receiver.ts'

const caller = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' }
const traceparent = `00-${caller.traceId}-${caller.spanId}-01`

interface World extends AsyncDisposable {
  readonly receiver: OtlpReceiver
  readonly gateway: TestGateway
  readonly lines: (readonly [message: string, fields: object])[]
  /** Spans below the one of a name, in order of their ends. */
  readonly below: (name: string, spans?: readonly ReceivedSpan[]) => readonly string[]
  /** Sends what is held, after which nothing is traced any more. */
  readonly settle: () => Promise<void>
}

async function openWorld(variables: Readonly<Record<string, string>> = {}): Promise<World> {
  const receiver = await startOtlpReceiver()
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', ...variables }
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
  const lines: World['lines'] = []
  const settings = readOtelSettings(env)
  if (settings === undefined) throw new Error('the variables ask for traces')
  const exported: OpenTelemetry = createOpenTelemetry(settings, {
    version: '1.2.3',
    log: (_, message, fields = {}) => void lines.push([message, fields]),
  })
  const gateway = await startGateway({
    telemetry: { log: exported.log, ...(exported.trace && { trace: exported.trace }) },
    ...(exported.tracing && { tracing: exported.tracing }),
  })
  return {
    receiver,
    gateway,
    lines,
    below(name, spans = receiver.spans) {
      const parent = spans.find((span) => span.name === name)
      return spans.filter(({ parentSpanId }) => parentSpanId === parent?.spanId).map((span) => span.name)
    },
    async settle() {
      await gateway.close()
      await exported.close(5_000)
    },
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]()
      await exported.close(0)
      await receiver.close()
      vi.unstubAllEnvs()
    },
  }
}

describe('with the variables of OpenTelemetry', () => {
  let world: World
  let token: string
  let forged: string
  let secret: string
  beforeAll(async () => {
    world = await openWorld({
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
      OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=a',
    })
    const { gateway } = world
    token = gateway.issuer.token({ sub: 'build' })
    forged = `${gateway.issuer.token()}forged`
    const issued = await gateway.send('/v1/svid/jwt', {
      method: 'POST',
      headers: { ...bearer(token), traceparent },
      body: JSON.stringify({ audience: ['https://api.example.org'] }),
    })
    secret = String(issued.json()['token'])
    await askJwt(gateway, forged)
    await gateway.send('/v1/credentials/away', { headers: bearer(token) })
    await gateway.send(`/v1/identities?token=${token}`, { headers: bearer(token) })
    await gateway.send(`/v1/kv/data/team/db`, { headers: bearer(token) })
    await gateway.send(`/nowhere/${token}`, { headers: { 'x-planted': token } })
    await world.settle()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const server = (name: string, at = 0) => world.receiver.spans.filter((span) => span.name === name)[at]

  test('what is sent is OTLP, with the headers and the resource that the variables say', () => {
    expect(world.receiver.problems).toEqual([])
    for (const headers of world.receiver.headers) expect(headers['x-tenant']).toBe('a')
    for (const resource of world.receiver.resources)
      expect(resource).toEqual({
        'service.name': 'apostille',
        'service.version': '1.2.3',
        'service.instance.id': expect.any(String),
        'deployment.environment.name': 'test',
      })
  })

  test('a request is a span of its caller’s trace, and its phases are below it', () => {
    expect(server('POST /v1/svid/jwt')).toMatchObject({
      traceId: caller.traceId,
      parentSpanId: caller.spanId,
      kind: 'server',
      failed: false,
      attributes: {
        'http.request.method': 'POST',
        'http.route': '/v1/svid/jwt',
        'http.response.status_code': 200,
        'url.scheme': 'http',
        'network.protocol.version': '1.1',
        'apostille.request_id': expect.stringMatching(/^[0-9a-f]{24}$/),
      },
    })
    const ofCaller = world.receiver.spans.filter(({ traceId }) => traceId === caller.traceId)
    expect(world.below('POST /v1/svid/jwt', ofCaller)).toEqual(['authenticate', 'authorise', 'issue', 'record'])
  })

  test('a refused proof is a phase that failed, by its code', () => {
    const refused = server('POST /v1/svid/jwt', 1)
    expect(refused).toMatchObject({ parentSpanId: undefined, failed: false })
    const phases = world.receiver.spans.filter(({ parentSpanId }) => parentSpanId === refused?.spanId)
    expect(phases.map(({ name, failed, attributes }) => [name, failed, attributes])).toEqual([
      ['authenticate', true, { 'error.type': 'proof_rejected' }],
      ['record', false, {}],
    ])
  })

  test('an exchange has the requests to the cloud below it', () => {
    const request = server('GET /v1/credentials/{target}')
    expect(request).toMatchObject({ failed: true, attributes: { 'http.response.status_code': 502 } })
    const phases = new Set(world.below('GET /v1/credentials/{target}'))
    expect(phases).toEqual(new Set(['authenticate', 'authorise', 'issue', 'exchange', 'record']))
    expect(new Set(world.below('exchange'))).toEqual(new Set(['POST']))
    expect(server('POST')).toMatchObject({
      kind: 'client',
      failed: true,
      attributes: { 'server.address': '127.0.0.1', 'server.port': 9, 'error.type': 'network' },
    })
  })

  test('every other route is a span as well, by its name', () => {
    const names = world.receiver.spans.filter(({ kind }) => kind === 'server').map(({ name }) => name)
    expect(names.slice(-3)).toEqual(['GET /v1/identities', 'GET /v1/kv/data/{path}', 'GET other'])
    expect(world.below('GET /v1/identities')).toEqual(['authenticate', 'authorise', 'record'])
    expect(world.below('GET /v1/kv/data/{path}')).toEqual(['authenticate', 'authorise', 'record'])
    for (const { durationNs } of world.receiver.spans) expect(durationNs).toBeGreaterThan(0n)
  })

  test('log lines are records, and those of a request belong to its trace on either way', () => {
    const { records } = world.receiver
    expect(records[0]).toMatchObject({ severity: 'INFO', body: 'ready', traceId: undefined })
    const request = records.find(({ body, traceId }) => body === 'request' && traceId === caller.traceId)
    expect(request?.attributes).toMatchObject({ path: '/v1/svid/jwt', status: 200 })
    expect(world.lines).toContainEqual(['request', expect.objectContaining({ trace_id: caller.traceId, status: 200 })])
    expect(records.find(({ body }) => body === 'an exchange failed')?.traceId).toBe(
      server('GET /v1/credentials/{target}')?.traceId,
    )
  })

  test('no token, proof or secret is in a span', () => {
    const spans = world.receiver.text('/v1/traces')
    expect(spans).not.toBe('')
    for (const planted of [token, forged, secret]) {
      expect(spans).not.toContain(planted)
      expect(spans).not.toContain(planted.split('.')[2])
    }
    expect(world.receiver.text('/v1/logs')).not.toContain(secret)
  })
})

test('a caller that samples nothing is followed in that', async () => {
  await using world = await openWorld()
  const headers = { ...bearer(world.gateway.issuer.token()), traceparent: traceparent.replace(/01$/, '00') }
  await world.gateway.send('/v1/identities', { headers })
  await world.settle()
  expect([world.receiver.spans, world.receiver.problems]).toEqual([[], []])
  expect(world.receiver.records.find(({ body }) => body === 'request')?.traceId).toBe(caller.traceId)
})

test.each(['00-0-0-01', 'x', `00-${'0'.repeat(32)}-${caller.spanId}-01`])(
  'traceparent %j is none: the trace begins here',
  async (broken) => {
    await using world = await openWorld({ OTEL_LOGS_EXPORTER: 'none' })
    await world.gateway.send('/livez', { headers: { traceparent: broken } })
    await world.settle()
    expect(world.receiver.spans).toMatchObject([{ name: 'GET /livez', parentSpanId: undefined }])
    expect(world.receiver.spans[0]?.traceId).not.toBe(caller.traceId)
    expect(world.receiver.records).toEqual([])
  },
)

test('nobody who listens is one line in the log, and requests are answered all the same', async () => {
  await using world = await openWorld({
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
    OTEL_EXPORTER_OTLP_TIMEOUT: '300',
  })
  expect((await world.gateway.send('/livez')).status).toBe(200)
  await world.settle()
  const said = world.lines.filter(([message]) => message === 'traces or logs can not be exported over OTLP')
  expect(said).toEqual([[expect.any(String), { code: 'ECONNREFUSED' }]])
})

test('work outside of a request is no span', async () => {
  await using world = await openWorld({ OTEL_LOGS_EXPORTER: 'none' })
  await world.settle()
  expect(world.receiver.spans).toEqual([])
  expect(silentTelemetry.trace).toBeUndefined()
})

test('requests to others carry the trace on, and say to whom they went and nothing else', async () => {
  const receiver = await startOtlpReceiver()
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
  const settings = readOtelSettings(env)
  const { tracing, close } = createOpenTelemetry(settings!, { version: '1', log() {} })
  vi.unstubAllEnvs()
  const sent: HttpRequest[] = []
  const client = tracing!.connect(() => ({
    async request(wanted) {
      sent.push(wanted)
      return { status: 403, headers: new Headers(), text: '' }
    },
    close: async () => {},
  }))({ hosts: ['sts.example'], private: false })

  const response = Object.assign(new EventEmitter(), { statusCode: 200 }) as unknown as ServerResponse
  const request = {
    method: 'GET',
    headers: { traceparent },
    httpVersion: '1.1',
    socket: {},
  } as unknown as IncomingMessage
  tracing!.begin(request, response, { requestId: 'r', route: '/x', address: '' })
  const asked = Promise.withResolvers<unknown>()
  tracing!.within(response, () =>
    asked.resolve(
      client.request({ url: 'https://sts.example/path?X-Amz-Signature=planted', headers: { accept: 'a' } }),
    ),
  )
  await asked.promise
  response.emit('close')
  await close(5_000)

  const [span] = receiver.spans.filter(({ kind }) => kind === 'client')
  expect(sent).toMatchObject([{ headers: { accept: 'a', traceparent: `00-${caller.traceId}-${span?.spanId}-01` } }])
  expect(span?.attributes).toEqual({
    'http.request.method': 'GET',
    'server.address': 'sts.example',
    'server.port': 443,
    'http.response.status_code': 403,
    'error.type': '403',
  })
  expect(receiver.text('/v1/traces')).not.toContain('planted')
  await receiver.close()
})
