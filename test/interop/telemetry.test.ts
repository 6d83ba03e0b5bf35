import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { createProcessTelemetry } from '../../src/runtime/process-telemetry.node.ts'
import { askJwt, bearer, startGateway } from '../support/gateway.ts'
import { cleanupAfterAll } from './support/cleanup.ts'
import { runOk } from './support/command.ts'
import { buildDeadlineMs, part } from './support/parts.ts'

const stack = cleanupAfterAll()

/** Keeps what is sent to it. */
async function startReceiver() {
  const bodies: (readonly [path: string, type: string, body: Buffer])[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    bodies.push([request.url ?? '', request.headers['content-type'] ?? '', Buffer.concat(chunks)])
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  stack.defer(() => void server.close())
  return { bodies, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

test(
  'traces and logs of a process are OTLP in protobuf, by the classes that are made of its protocol',
  async () => {
    const python = await part('python-environment.sh', 'test/interop/python/otlp.txt')
    const receiver = await startReceiver()
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_SERVICE_NAME: 'gateway-1' }
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
    const { telemetry, tracing, close } = await createProcessTelemetry({ logLevel: 'info', logFormat: 'json', env })
    const gateway = await startGateway({ telemetry: { ...telemetry }, ...(tracing && { tracing }) })
    await askJwt(gateway, gateway.issuer.token())
    await gateway[Symbol.asyncDispose]()
    await close()
    vi.unstubAllEnvs()

    expect(new Set(receiver.bodies.map(([, type]) => type))).toEqual(new Set(['application/x-protobuf']))
    const lines = receiver.bodies.map(([path, , body]) => `${path} ${body.toString('base64')}\n`).join('')
    const said = await runOk(join(python, 'bin/python'), [join(import.meta.dirname, 'python/otlp.py')], {
      input: lines,
    })

    for (const name of ['POST /v1/svid/jwt', 'authenticate', 'authorise', 'issue', 'record'])
      expect(said).toContain(`"name": "${name}"`)
    expect(said).toContain('"stringValue": "ready"')
    expect(said).toContain('"stringValue": "gateway-1"')
  },
  buildDeadlineMs,
)

test(
  'the linter of Prometheus has nothing to say against our metrics',
  async () => {
    const linter = join(await part('go-program.sh', 'test/interop/promlint'), 'promlint-interop')
    await using gateway = await startGateway()
    await askJwt(gateway, gateway.issuer.token())
    await askJwt(gateway, 'forged')
    await gateway.send('/v1/credentials/away', { headers: bearer(gateway.issuer.token({ sub: 'build' })) })
    const exposed = (await gateway.admin('/metrics')).text

    expect(JSON.parse(await runOk(linter, [], { input: exposed }))).toEqual([])
    expect(exposed).toContain('apostille_issue_duration_seconds_bucket{le="+Inf",operation="jwt_svid"} 1')
  },
  buildDeadlineMs,
)
