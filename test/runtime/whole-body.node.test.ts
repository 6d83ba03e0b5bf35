import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect, test } from 'vitest'
import type { Gateway } from '../../src/core/gateway.ts'
import { silentTelemetry } from '../../src/core/telemetry.ts'
import { createPublicApplication } from '../../src/runtime/applications.node.ts'
import { createHotLane } from '../../src/runtime/hot-lane.node.ts'
import { listen } from '../../src/runtime/listener.node.ts'
import { testNow } from '../support/certificate-authority.ts'
import { createTestAuthority } from '../support/tls.ts'
import { openHttp2 } from '../support/wire.ts'

const form = new URLSearchParams({
  grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
  subject_token: 'a.b.c',
  subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
  audience: 'https://api.example.org',
}).toString()
const json = JSON.stringify({ audience: ['https://api.example.org'] })

const authority = await createTestAuthority()
const certificate = await authority.issue(['gateway.test'])

/** A listener over HTTP/2, and what came of the first request: refused with a reason, or carried out. */
async function start() {
  const outcome = Promise.withResolvers<string>()
  const gateway: Partial<Gateway> = {
    issueSvid: async () => {
      outcome.resolve('carried out')
      throw new Error('nothing is issued here')
    },
    recordRefusal: async (_call: unknown, _operation: unknown, { reason }: Error & { reason: string }) =>
      outcome.resolve(reason),
    configured: () => ({ issuerPath: '' }),
  } as never
  const deps = {
    gateway: gateway as Gateway,
    telemetry: silentTelemetry,
    now: () => testNow,
    connection: () => ({ address: '127.0.0.1', certificates: [] }),
  }
  const lane = createHotLane(deps)
  const application = createPublicApplication({ ...deps, newRequestId: () => 'r' })
  const listener = await listen({
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    handle(request: IncomingMessage, response: ServerResponse) {
      if (!lane(request, response, 'r')) application(request, response, 'r')
    },
    tls: certificate,
  })
  const client = await openHttp2({ address: listener.address, tls: { ca: authority.ca, servername: 'gateway.test' } })
  return {
    outcome: outcome.promise,
    client,
    async close() {
      await client.close()
      await listener.close(0)
    },
  }
}

test.each([
  ['/token', 'application/x-www-form-urlencoded', form],
  ['/v1/svid/jwt', 'application/json', json],
])('a body that HTTP/2 resets after its last byte and before its end is none: %s', async (path, type, body) => {
  const { client, outcome, close } = await start()
  const headers = { ':method': 'POST', ':path': path, 'content-type': type }
  const stream = client.session.request(headers, { endStream: false })
  stream.on('error', () => undefined)
  stream.write(body)
  // Its answer comes after all that was sent before it was taken.
  await new Promise<void>((resolve) => client.session.ping(() => resolve()))
  stream.close(8)
  expect(await outcome).toBe('the connection ended before the body was complete')
  await close()

  const whole = await start()
  await whole.client.send(path, { method: 'POST', headers: { 'content-type': type }, body })
  expect(await whole.outcome).toBe('carried out')
  await whole.close()
})
