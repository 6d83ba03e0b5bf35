/** A source of X.509-SVIDs at a real gateway: renewal, outages, authorities that are not trusted any more. */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type Agent, request, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import {
  ApostilleError,
  authorizeId,
  createClient,
  createHttpsAgent,
  createJwtSource,
  createMtlsServer,
  createX509Source,
  peerOf,
  verifyJwtSvid,
  type X509Source,
  type X509SourceOptions,
} from '../../src/node.ts'
import { formatTrustBundle } from '../../src/protocol/trust-bundle.ts'
import { makeKey, requestText } from '../../src/sdk/new-key.node.ts'
import { makeFolder } from '../cli/run-cli.ts'
import { authorityOf, bundleOf, signedAnswer } from '../support/own-source.ts'
import { handClock, type SdkGateway, startSdkGateway } from '../support/sdk-gateway.ts'

let world: SdkGateway

const files = makeFolder()
const partner = bundleOf('partner.example', authorityOf('partner.example'))

beforeAll(async () => {
  const bundle = files.write('partner.json', formatTrustBundle({ ...partner, sequence: 1n }))
  const endpoint = { bundle, endpoint: 'https://partner.example', profile: 'https_web' }
  world = await startSdkGateway({ federation: { 'partner.example': endpoint } })
})

const sources: X509Source[] = []
afterEach(() => {
  for (const source of sources.splice(0)) source.close()
})

afterAll(async () => {
  await world?.close()
  files.remove()
})

async function open(name: string, options: Partial<X509SourceOptions> = {}): Promise<X509Source> {
  const source = await createX509Source({ ...world.optionsOf(name), ...options })
  sources.push(source)
  return source
}

async function failureOf(work: Promise<unknown>): Promise<ApostilleError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof ApostilleError)) throw new Error('it should have failed')
  return error
}

const recordsOf = async (query: string) => (await world.gateway().records(`order=newest&limit=20&${query}`)) ?? []

describe('a source', () => {
  test('has an SVID and the bundle of its trust domain', async () => {
    const source = await open('web')
    expect(source.svid()).toMatchObject({
      spiffeId: { uri: 'spiffe://example.org/ci/web', trustDomain: 'example.org' },
      serialNumber: expect.stringMatching(/^[0-9a-f]{32}$/),
      certificates: expect.stringContaining('BEGIN CERTIFICATE'),
      privateKey: expect.stringContaining('BEGIN PRIVATE KEY'),
    })
    expect(source.svid().expiresAt.getTime() - Date.now()).toBeGreaterThan(3_500_000)
    const [bundle] = source.bundles()
    expect([source.bundles().length, bundle?.trustDomain, bundle?.refreshHintSeconds]).toEqual([1, 'example.org', 300])
    expect(bundle?.jwtAuthorities.length).toBeGreaterThan(0)
  })

  test('has the bundles of trust domains that it is told of', async () => {
    const source = await open('federated', { federatesWith: ['partner.example'] })
    expect(source.bundles().map(({ trustDomain }) => trustDomain)).toEqual(['example.org', 'partner.example'])
    expect(source.bundles()[1]?.x509Authorities.map((der) => Buffer.from(der))).toEqual(partner.x509Authorities)
  })

  test('renews with the SVID at hand as the proof, and a new key', async () => {
    const source = await open('renews')
    const before = source.svid()
    const told = once(source.events, 'svid')
    await source.refresh()
    const after = source.svid()
    expect((await told)[0]).toBe(after)
    expect([after.spiffeId, after.serialNumber === before.serialNumber]).toEqual([before.spiffeId, false])
    expect(after.privateKey).not.toBe(before.privateKey)
    const [record] = await recordsOf('operation=x509_svid')
    expect(record).toMatchObject({ authenticator: 'ours', spiffe_id: 'spiffe://example.org/ci/renews' })
  })

  test.each([
    [0, 45],
    [0.5, 50],
    [1, 55],
  ])('renews at half of its life, give or take a tenth: with chance %d at %d percent', async (chance, percent) => {
    const clock = handClock()
    const source = await open('half', { ...clock, random: () => chance, federatesWith: [] })
    const told = vi.fn()
    source.events.on('svid', told)
    clock.pass(3_600_000 * (percent / 100 - 0.01))
    await expect.poll(() => clock.waits(), { timeout: 15_000 }).toBe(2)
    expect(told).not.toHaveBeenCalled()
    const renewed = once(source.events, 'svid')
    clock.pass(3_600_000 * 0.02)
    await renewed
  })

  test('equal renewals at the same time are one', async () => {
    const source = await open('equal')
    const told: unknown[] = []
    source.events.on('svid', (svid) => told.push(svid))
    await Promise.all([source.refresh(), source.refresh(), source.refresh()])
    expect(told).toHaveLength(1)
  })

  test('does nothing after its end', async () => {
    const clock = handClock()
    const source = await open('ends', clock)
    expect(clock.waits()).toBe(2)
    source[Symbol.dispose]()
    expect(clock.waits()).toBe(0)
    expect(source.svid().spiffeId.uri).toBe('spiffe://example.org/ci/ends')
  })

  test.each([
    ['a proof that is none', { token: 'e30.e30.AA' }, 'proof_rejected'],
    ['an identity that the proof has not', { spiffeId: 'spiffe://example.org/ci/other' }, 'not_entitled'],
    ['a TTL that is too long', { ttlSeconds: 1_000_000 }, 'malformed_request'],
    ['a trust domain that the gateway does not federate with', { federatesWith: ['other.example'] }, 'not_found'],
    ['a server that is none', { server: 'ftp://localhost' }, 'usage'],
    ['a CA that is not there', { caFile: '/nowhere/ca.pem' }, 'files'],
  ])('%s is thrown at the start', async (_, options, code) => {
    const error = await failureOf(open('wrong', options))
    expect(error.code).toBe(code)
    if (error.status !== undefined) expect(error.requestId).toMatch(/^[0-9a-f]{24}$/)
  })

  test('a source without any proof is refused', async () => {
    const { token: _unused, ...rest } = world.optionsOf('x')
    expect(await failureOf(createX509Source(rest))).toMatchObject({ code: 'usage' })
  })
})

describe('an SVID of a source', () => {
  test('is the proof of a client', async () => {
    const source = await open('client')
    const { server, caFile } = world.optionsOf('client')
    const client = createClient({ server, caFile, source, env: {} })
    expect((await client.listIdentities()).map(({ spiffeId }) => spiffeId)).toEqual(['spiffe://example.org/ci/client'])
  })

  test('gives JWT-SVIDs that its bundle verifies', async () => {
    const source = await open('jwt')
    const { server, caFile } = world.optionsOf('jwt')
    const tokens = createJwtSource({ server, caFile, source, env: {} })
    const audience = 'https://api.example.org'
    const { token } = await tokens.get(audience)
    expect((await tokens.get(audience)).token).toBe(token)
    const svid = await verifyJwtSvid(token, { keys: source.jwtKeys, audience })
    expect(svid.spiffeId.uri).toBe('spiffe://example.org/ci/jwt')
  })

  test('starts the source of a process that comes after, where the first proof is spent', async () => {
    const { token } = await world.gateway().joinToken()
    const first = await open('x', { token })
    first.close()
    const { token: _unused, ...rest } = world.optionsOf('x')
    const startFrom = { svid: first.svid(), bundles: first.bundles() }
    const next = await createX509Source({ ...rest, startFrom })
    sources.push(next)
    expect(next.svid()).toBe(first.svid())
    await next.refresh()
    expect(next.svid().spiffeId.uri).toBe('spiffe://example.org/vm/one')
    expect(next.svid().serialNumber).not.toBe(first.svid().serialNumber)
  })

  test('that has expired starts nothing', async () => {
    const first = await open('x')
    const svid = { ...first.svid(), expiresAt: new Date(Date.now() - 1) }
    const next = await open('y', { startFrom: { svid, bundles: first.bundles() } })
    expect(next.svid().spiffeId.uri).toBe('spiffe://example.org/ci/y')
  })
})

describe('what happens at the gateway', () => {
  test('a tainted authority: the SVID is no proof any more, and the platform vouches anew', async () => {
    const source = await open('tainted')
    const before = source.svid()
    await world.change('taint')
    await source.refresh()
    expect(source.svid().serialNumber).not.toBe(before.serialNumber)
    const [granted, refused] = await recordsOf('operation=x509_svid')
    expect(granted).toMatchObject({ decision: 'granted', authenticator: 'ci' })
    expect(refused).toMatchObject({ decision: 'refused' })
  })

  test('a revoked authority: the SVID is replaced as soon as the bundle says so', async () => {
    const clock = handClock()
    const source = await open('revoked', clock)
    const before = source.svid()
    const authorities = source.bundles()[0]?.x509Authorities
    const [replaced, news] = [once(source.events, 'svid'), once(source.events, 'bundles')]
    await world.change('revoke')
    clock.pass(300_000)
    await Promise.all([replaced, news])
    expect(source.svid().serialNumber).not.toBe(before.serialNumber)
    expect(source.bundles()[0]?.x509Authorities).not.toEqual(authorities)
  })

  test('an outage: what is at hand serves, it is tried again with growing pauses, and goes on afterwards', async () => {
    const clock = handClock()
    const [server, client] = [await open('server', { ...clock, random: () => 1 }), await open('caller')]
    const before = server.svid()
    const service = createMtlsServer(
      server,
      { authorize: authorizeId('spiffe://example.org/ci/caller') },
      (request, response) => response.end(peerOf(request.socket)?.spiffeId.path),
    )
    await once(service.listen(0, '127.0.0.1'), 'listening')
    const options = { authorize: authorizeId('spiffe://example.org/ci/server') }
    const agent = createHttpsAgent(client, { ...options, keepAlive: false })
    await world.goAway()

    const failures = vi.fn()
    server.events.on('failure', failures)
    clock.pass(2_000_000)
    await expect.poll(() => failures.mock.calls.length, { timeout: 15_000 }).toBeGreaterThanOrEqual(2) // SVID and bundle
    for (const [error] of failures.mock.calls) expect(['unreachable', 'timeout']).toContain(error.code)
    expect(server.svid()).toBe(before)
    expect(await call(service, agent)).toBe('/ci/caller')
    clock.pass(999)
    expect(server.svid()).toBe(before)

    await world.comeBack()
    // A request may still meet the connection of before: then the next one is made.
    const renewedSerial = () => {
      clock.pass(1_000)
      return server.svid().serialNumber
    }
    await expect.poll(renewedSerial, { timeout: 15_000, interval: 100 }).not.toBe(before.serialNumber)
    expect(await call(service, agent)).toBe('/ci/caller')
    service.close()
  })

  test('the file of the CA may be from before several rotations', async () => {
    const source = await open('old-ca')
    for (const _round of [1, 2, 3]) {
      await world.change('revoke')
      await source.refresh()
    }
    expect(source.svid().spiffeId.uri).toBe('spiffe://example.org/ci/old-ca')
  })
})

/** Signs what it is asked for, as the real one does, and says of it what `change` makes of that. */
async function serveAnswers(change: (answer: object) => readonly [status: number, body: object, headers?: object]) {
  const authority = authorityOf('example.org')
  const server = createServer(async (asked, response) => {
    if (asked.method === 'GET') return void response.end(formatTrustBundle(bundleOf('example.org', authority)))
    const { csr } = JSON.parse(await text(asked)) as { readonly csr: string }
    const [status, body, headers = {}] = change(signedAnswer(authority, csr))
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  servers.push(server)
  return { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: 'e30.e30.AA', env: {} }
}

const servers: { readonly close: () => unknown }[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

describe('an answer that is wrong', () => {
  test.each([
    ['for another SPIFFE ID than its certificate', { spiffe_id: 'spiffe://example.org/other' }],
    ['without a certificate', { certificates: 'none' }],
    ['without authorities', { bundle: '-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----' }],
  ])('%s is none', async (_, changes) => {
    const options = await serveAnswers((answer) => [200, { ...answer, ...changes }])
    expect((await failureOf(createX509Source(options))).code).toBe('unexpected_answer')
  })

  test('is none for another key', async () => {
    const { certificates } = signedAnswer(authorityOf('example.org'), await requestText(await makeKey('ec-p256')))
    const options = await serveAnswers((answer) => [200, { ...answer, certificates }])
    expect((await failureOf(createX509Source(options))).code).toBe('unexpected_answer')
  })

  test.each([
    ['a token that is not to be had', { token: () => Promise.reject(new Error('the metadata service is away')) }],
    ['a token that is none', { token: () => undefined as unknown as string }],
  ])('%s is told at the start', async (_, options) => {
    const error = await failureOf(createX509Source({ ...(await serveAnswers((answer) => [200, answer])), ...options }))
    expect(error.code).toBe('token')
    expect(error.message).not.toContain('metadata')
  })

  test.each<[string, () => string, object]>([
    ['a token', () => Promise.reject(new Error('away')) as unknown as string, {}],
    ['a bundle', () => 'e30.e30.AA', { bundle: '-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----' }],
  ])('%s ends no renewal later on', async (_, laterToken, changes) => {
    const clock = handClock()
    let isLater = false
    const options = await serveAnswers((answer) => [200, isLater ? { ...answer, ...changes } : answer])
    const token = () => (isLater ? laterToken() : options.token)
    const source = await createX509Source({ ...options, token, ...clock, renewAfterSeconds: 600 })
    sources.push(source)
    const before = source.svid()
    isLater = true
    const failed = once(source.events, 'failure')
    clock.pass(600_000)
    await failed
    expect(source.svid()).toBe(before)
    isLater = false
    const renewed = once(source.events, 'svid')
    clock.pass(1_000)
    await renewed
  })
})

test.each([
  ['growing pauses', {}, [1_000, 2_000, 4_000, 8_000]],
  ['the pause that the gateway asks for, where that is longer', { 'retry-after': '3' }, [3_000, 3_000, 4_000, 8_000]],
])('is asked again after %s', async (_, headers, wanted) => {
  let isAway = false
  const problem = { title: 'The gateway has too much to do', code: 'overloaded' }
  const options = await serveAnswers((answer) => (isAway ? [503, problem, headers] : [200, answer]))
  let nowMs = Date.now()
  let due = () => {}
  const pauses: number[] = []
  const source = await createX509Source({
    ...options,
    renewAfterSeconds: 1,
    random: () => 1,
    // The client itself tries again for so long.
    deadlineMs: 200,
    now: () => new Date(nowMs),
    startTimer(callback, ms) {
      // That of the bundles is longer.
      if (ms < 20_000) {
        pauses.push(ms)
        due = callback
      }
      return () => {}
    },
  })
  sources.push(source)
  isAway = true
  for (let count = 1; count <= wanted.length; count++) {
    nowMs += pauses.at(-1) ?? 0
    due()
    await expect.poll(() => pauses.length, { timeout: 15_000 }).toBe(count + 1)
  }
  expect(pauses.slice(1)).toEqual(wanted)
})

async function call(service: Server, agent: Agent): Promise<string> {
  const { port } = service.address() as AddressInfo
  const sent = request({ host: '127.0.0.1', port, agent }).end()
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  return text(answer)
}
