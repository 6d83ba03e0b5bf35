/** The middleware in real applications of each framework: tokens over HTTP, certificates over guarded TLS. */

import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer, type Server } from 'node:http'
import { type Agent, createServer as createHttpsServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { getRequestListener, type HttpBindings } from '@hono/node-server'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { afterEach, describe, expect, test } from 'vitest'
import {
  authorizeId,
  authorizeMemberOf,
  createHttpsAgent,
  guardServer,
  type JwtKeySource,
  mtlsServerOptions,
} from '../../src/node.ts'
import { ApostilleError } from '../../src/sdk/apostille-error.ts'
import { createCallerCheck, type SvidRequirement } from '../../src/sdk/middleware/caller.ts'
import { requireSvid as forExpress } from '../../src/sdk/middleware/express.node.ts'
import { requireSvid as forFastify } from '../../src/sdk/middleware/fastify.node.ts'
import { type CallerEnv, requireSvid as forHono } from '../../src/sdk/middleware/hono.ts'
import { authorityOf, bundleOf, ownSource, svidOf } from '../support/own-source.ts'
import { ecSigner, signToken } from '../support/raw-token.ts'

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const audience = 'https://api.example.org'
const keys: JwtKeySource = { find: (name) => (name === 'example.org' ? [{ kid: 'k', key: publicKey }] : []) }
const away: JwtKeySource = { find: () => Promise.reject(new ApostilleError('away', { code: 'unreachable' })) }

function token(changes: object = {}): string {
  const exp = Math.floor(Date.now() / 1000) + 300
  const claims = { sub: 'spiffe://example.org/web', aud: audience, exp, team: 'payments', ...changes }
  return signToken({ alg: 'ES256', kid: 'k' }, claims, ecSigner(privateKey))
}

const requirement: SvidRequirement = {
  jwt: { keys, audience },
  x509: true,
  authorize: authorizeId('spiffe://example.org/web', 'spiffe://example.org/client'),
}

type Application = (wanted: SvidRequirement, serve: (listener: Listener) => Server) => Server | Promise<Server>
type Listener = NonNullable<Parameters<typeof createHttpServer>[1]>

/** Paths of whom the services have answered. */
const reached: (string | undefined)[] = []

const applications: Readonly<Record<string, Application>> = {
  hono(wanted, serve) {
    const app = new Hono<CallerEnv & { Bindings: HttpBindings }>().use(forHono(wanted)).get('/x', (c) => {
      const { spiffeId, proof, claims } = c.get('caller')
      reached.push(spiffeId.path)
      return c.json([spiffeId.uri, proof, claims['team'] ?? null])
    })
    return serve(getRequestListener(app.fetch))
  },
  express(wanted, serve) {
    const app = express()
      .use(forExpress(wanted))
      .get('/x', ({ caller }, response) => {
        reached.push(caller?.spiffeId?.path)
        response.json([caller?.spiffeId.uri, caller?.proof, caller?.claims['team'] ?? null])
      })
    return serve(app)
  },
  async fastify(wanted, serve) {
    const served = Promise.withResolvers<Server>()
    const app = fastify({
      serverFactory(listener) {
        const server = serve(listener)
        served.resolve(server)
        return server
      },
    })
    app.addHook('onRequest', forFastify(wanted))
    app.get('/x', async ({ caller }) => {
      reached.push(caller?.spiffeId.path)
      return [caller?.spiffeId.uri, caller?.proof, caller?.claims['team'] ?? null]
    })
    await app.ready()
    return served.promise
  },
}

const opened: Server[] = []
afterEach(() => {
  for (const server of opened.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

async function portOf(server: Server): Promise<number> {
  opened.push(server)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

const ours = authorityOf('example.org')
const sourceOf = (uri: string) => ownSource(svidOf(ours, uri), bundleOf('example.org', ours))

async function askTls(port: number, agent: Agent, headers: Record<string, string> = {}) {
  const sent = request({ host: '127.0.0.1', port, path: '/x', agent, headers }).end()
  const [answer] = await once(sent, 'response')
  return { status: answer.statusCode as number, body: JSON.parse(await text(answer)) as unknown }
}

describe.each(Object.entries(applications))('%s', (_, application) => {
  const plain = (wanted = requirement) => application(wanted, (listener) => createHttpServer(listener))

  test.each<[string, Record<string, string>, number, unknown, string | null]>([
    ['a token', { authorization: `Bearer ${token()}` }, 200, ['spiffe://example.org/web', 'jwt', 'payments'], null],
    ['nothing', {}, 401, { code: 'proof_rejected' }, 'Bearer'],
    [
      'a token for somebody else',
      { authorization: `Bearer ${token({ aud: 'https://other.example' })}` },
      401,
      { code: 'proof_rejected' },
      'Bearer error="invalid_token"',
    ],
    ['no token', { authorization: 'Basic eDp5' }, 401, { code: 'proof_rejected' }, 'Bearer error="invalid_token"'],
    [
      'a token of somebody else',
      { authorization: `Bearer ${token({ sub: 'spiffe://example.org/other' })}` },
      403,
      { code: 'not_entitled' },
      null,
    ],
  ])('%s', async (_name, headers, status, body, challenge) => {
    const port = await portOf(await plain())
    const answer = await fetch(`http://127.0.0.1:${port}/x`, { headers })
    const type = status === 200 ? 'application/json' : 'application/problem+json'
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([status, challenge])
    expect(answer.headers.get('content-type')).toContain(type)
    const said = (await answer.json()) as unknown
    if (status === 200) expect(said).toEqual(body)
    else expect(said).toMatchObject({ type: 'about:blank', status, ...(body as object) })
  })

  test('who is refused never gets as far as the service', async () => {
    reached.length = 0
    const port = await portOf(await plain())
    expect((await fetch(`http://127.0.0.1:${port}/x`)).status).toBe(401)
    const other = token({ sub: 'spiffe://example.org/other' })
    expect((await fetch(`http://127.0.0.1:${port}/x`, { headers: { authorization: `Bearer ${other}` } })).status).toBe(
      403,
    )
    expect(reached).toEqual([])
    await fetch(`http://127.0.0.1:${port}/x`, { headers: { authorization: `Bearer ${token()}` } })
    expect(reached).toEqual(['/web'])
  })

  test('keys that are not to be had are no fault of the caller', async () => {
    const port = await portOf(await plain({ ...requirement, jwt: { keys: away, audience } }))
    const answer = await fetch(`http://127.0.0.1:${port}/x`, { headers: { authorization: `Bearer ${token()}` } })
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await answer.json()).toMatchObject({ code: 'upstream_failed' })
  })

  test('the peer of a guarded server, and a token before it', async () => {
    const server = await application(requirement, (listener) =>
      guardServer(createHttpsServer(mtlsServerOptions, listener), sourceOf('spiffe://example.org/server'), {
        authorize: authorizeMemberOf('example.org'),
      }),
    )
    const port = await portOf(server)
    const agentOf = (name: string) =>
      createHttpsAgent(sourceOf(`spiffe://example.org/${name}`), {
        authorize: authorizeId('spiffe://example.org/server'),
        keepAlive: false,
      })
    expect(await askTls(port, agentOf('client'))).toEqual({
      status: 200,
      body: ['spiffe://example.org/client', 'x509', null],
    })
    expect(await askTls(port, agentOf('other'))).toMatchObject({ status: 403 })
    const withToken = (text: string) => askTls(port, agentOf('client'), { authorization: `Bearer ${text}` })
    expect(await withToken(token())).toMatchObject({ body: ['spiffe://example.org/web', 'jwt', 'payments'] })
    expect(await withToken('wrong')).toMatchObject({ status: 401 })
  })
})

test('a certificate counts only where it is wanted, and a token as well', async () => {
  const socket = { [Symbol.for('apostille.peer')]: () => ({ spiffeId: {}, expiresAt: new Date() }) }
  const { jwt = { keys, audience } } = requirement
  const tokensOnly = createCallerCheck({ jwt, authorize: () => true })
  expect(await tokensOnly(undefined, socket)).toMatchObject({ status: 401 })
  const certificatesOnly = createCallerCheck({ x509: true, authorize: () => true })
  expect(await certificatesOnly(`Bearer ${token()}`, undefined)).toMatchObject({ status: 401 })
  expect(await certificatesOnly(`Basic eDp5`, socket)).toMatchObject({ proof: 'x509' })
})

test('a requirement that nobody can meet is refused when it is made', () => {
  for (const make of [forHono, forExpress, forFastify])
    expect(() => make({ authorize: () => true })).toThrow(expect.objectContaining({ code: 'usage' }))
})

test('a bug is no refusal', async () => {
  const broken: JwtKeySource = { find: () => Promise.reject(new TypeError('a bug')) }
  const check = createCallerCheck({ jwt: { keys: broken, audience }, authorize: () => true })
  await expect(check(`Bearer ${token()}`, undefined)).rejects.toThrow('a bug')
})
