/**
 * Three replicas on one PostgreSQL under load, with clocks up to 30 s apart, while everything that can end ends: what
 * left is on record, nothing is used twice, no key signs that verifiers do not know, and every chain is whole.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createOidcIssuer, testAudience, testIssuer } from '../support/oidc-issuer.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { type LossyProxy, startLossyProxy } from './support/lossy-proxy.ts'
import { buildDeadlineMs } from './support/parts.ts'
import { makeDatabase, type PostgresServer, startPostgres } from './support/postgres.ts'
import { makeReplica, type Replica } from './support/replica.ts'
import { type ReplicaLoad, startLoad } from './support/replica-load.ts'

const stack = cleanupAfterAll()
const issuer = createOidcIssuer()
let server: PostgresServer
let proxy: LossyProxy
let replicas: readonly Replica[]
let load: ReplicaLoad
/** Grants that a join token gave, by the answers that came. */
let granted = 0
let joinToken: { readonly token: string; readonly id: string }

const uses = 60
/** The longest that a replica may take to issue again once the database is back. */
const recoveryMs = 5_000

beforeAll(async () => {
  server = await startPostgres(stack, 18)
  await makeDatabase(server, 'replicas')
  proxy = await startLossyProxy({ host: '127.0.0.1', port: server.port })
  stack.defer(proxy.close)
  const folder = await makeFolder(stack)
  await writeFile(join(folder, 'ci.jwks.json'), issuer.jwks)
  const deployment = { folder, store: server.url('replicas'), document: documentIn(folder) }
  replicas = [
    await makeReplica(stack, 'a', deployment),
    await makeReplica(stack, 'b', deployment, { nodeArgs: clockOff(15_000) }),
    await makeReplica(stack, 'c', deployment, { nodeArgs: clockOff(-15_000), store: server.url('replicas', proxy) }),
  ]
  // The first makes the tables; the others meet them half made.
  await Promise.all(replicas.map((replica) => replica.start()))
  joinToken = (
    await replicas[0]?.admin('/v1/join-tokens', {
      json: { authenticator: 'first', name: 'vm', uses, ttl_seconds: 3600 },
    })
  )?.json
  load = startLoad({ replicas, proof: issuer.token, callersEach: 2 })
}, buildDeadlineMs)
afterAll(() => load.stop())

/** The shortest life of authorities there is: in a minute there is another, so that the test sees some rotate. */
const documentIn = (folder: string) => ({
  authorities: { x509: { ttl: '180s' }, jwt: { algorithms: ['ES256'], rs256_audiences: [], ttl: '180s' } },
  authenticators: {
    first: { type: 'join_token' },
    ci: { type: 'oidc', issuer: testIssuer, audience: testAudience, jwks_file: join(folder, 'ci.jwks.json') },
  },
  identities: [
    { from: 'ci', when: 'true', spiffe_id: '/ci', audiences: ['*'], jwt_ttl: '30s', x509_ttl: '60s' },
    { from: 'first', spiffe_id: '/vm/${proof.name}', audiences: ['*'], jwt_ttl: '30s', x509_ttl: '60s' },
  ],
})

/** Runs before the program and moves the wall clock of its process. */
function clockOff(ms: number): readonly string[] {
  const code = `const Real = Date; globalThis.Date = class extends Real {
    constructor(...given) { if (given.length === 0) super(Real.now() + ${ms}); else super(...given) }
    static now() { return Real.now() + ${ms} }
  }`
  return ['--import', `data:text/javascript,${encodeURIComponent(code)}`]
}

const byName = (name: string) => replicas.find((replica) => replica.name === name) as Replica

/** @throws {Error} when one of them does not issue within {@link recoveryMs} */
async function recovers(names: readonly string[]): Promise<void> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(
      () => reject(new Error(`not within ${recoveryMs} ms: ${JSON.stringify(names.map(answersOf))}`)),
      recoveryMs,
    ).unref()
  })
  await Promise.race([Promise.all(names.map((name) => load.next(byName(name), 200))), late])
}

const answersOf = (name: string) => load.answers(byName(name))

/** As many ask with the token as it has uses left and more, at all replicas at once. */
async function spend(count: number): Promise<void> {
  const asked = Array.from({ length: count }, (_, index) => {
    const replica = replicas[index % replicas.length] as Replica
    return replica
      .ask('/v1/svid/jwt', { bearer: joinToken.token, json: { audience: ['x'] } })
      .then(({ status }) => status === 200)
      .catch(() => false)
  })
  granted += (await Promise.all(asked)).filter(Boolean).length
}

test('a replica that is killed costs nobody but its own callers anything', async () => {
  await recovers(['a', 'b', 'c'])
  const spending = spend(15)
  await byName('a').stop('SIGKILL')
  await spending
  await recovers(['b', 'c'])
  await byName('a').start()
  await recovers(['a', 'b', 'c'])
})

test('a replica that is frozen holds nobody up, and goes on when it is thawed', async () => {
  const spending = spend(15)
  byName('b').signal('SIGSTOP')
  for (let round = 0; round < 20; round++) await recovers(['a', 'c'])
  byName('b').signal('SIGCONT')
  await spending
  await recovers(['a', 'b', 'c'])
})

test.each(['fast', 'kill'] as const)(
  'a database that is stopped (%s) is used again as soon as it is back',
  async (how) => {
    const spending = spend(9)
    await server.stop(how)
    await Promise.all(replicas.map((replica) => load.next(replica, 503)))
    for (const replica of replicas) {
      expect((await replica.ask('/readyz')).status).toBe(503)
      expect((await replica.ask('/readyz/documents')).status).toBe(200)
      expect((await replica.ask('/v1/bundle')).status).toBe(200)
    }
    await server.start()
    await recovers(['a', 'b', 'c'])
    await spending
  },
)

test('a database that is frozen keeps nobody waiting for longer than the deadlines', async () => {
  await server.freeze()
  await Promise.all(replicas.map((replica) => load.next(replica, 503)))
  expect((await byName('a').ask('/keys')).status).toBe(200)
  await server.thaw()
  await recovers(['a', 'b', 'c'])
})

test.each(['to_client', 'to_server', 'both'] as const)(
  'a network that loses what goes %s harms the one behind it alone',
  async (loss) => {
    const spending = spend(9)
    proxy.loss = loss
    await load.next(byName('c'), 503)
    for (let round = 0; round < 10; round++) await recovers(['a', 'b'])
    proxy.loss = 'none'
    await recovers(['a', 'b', 'c'])
    await spending
  },
)

test('through all of it authorities were rotated, and no token had a key that verifiers did not know', {
  timeout: 120_000,
}, async () => {
  // A third of a life after the start the second authority signs.
  while (load.keysSeen.size < 2) await recovers(['a', 'b', 'c'])
  expect(load.unknownKeys).toEqual([])
})

test('every token that left is on record, no join token was used too often, and every chain is whole', async () => {
  await spend(uses)
  await load.stop()
  const exported = (await byName('b').admin('/v1/records/export')).text
  const recorded = new Set([...exported.matchAll(/"jti":"([^"]+)"/g)].map(([, jti]) => jti))
  const missing = load.jtis.filter((jti) => !recorded.has(jti))
  expect(load.jtis.length).toBeGreaterThan(200)
  expect(missing).toEqual([])
  const records = exported
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).record)
  const ofToken = records.filter(
    (record) =>
      record?.operation === 'jwt_svid' && record.decision === 'granted' && record.attributes?.id === joinToken.id,
  )
  expect(granted).toBeGreaterThan(0)
  expect(granted).toBeLessThanOrEqual(ofToken.length)
  expect(ofToken.length).toBe(uses)
  const { ok, chains } = (await byName('c').admin('/v1/records/verify', { method: 'POST' })).json
  expect(ok, JSON.stringify(chains)).toBe(true)
  // One for each process that there was, and not for each connection or request.
  expect(chains.length).toBeLessThanOrEqual(5)
  for (const replica of replicas) expect(await replica.stop('SIGTERM')).toBe(0)
})
