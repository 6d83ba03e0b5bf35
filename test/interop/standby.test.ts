/** A primary and its standby, by streaming replication: reading goes on where the primary is away, and writing where the standby takes its place. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { createOidcIssuer, testAudience, testIssuer } from '../support/oidc-issuer.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { poll } from './support/command.ts'
import { buildDeadlineMs } from './support/parts.ts'
import { administrator, makeDatabase, type PostgresServer, startPostgres } from './support/postgres.ts'
import { type Deployment, makeReplica, type Replica } from './support/replica.ts'

const stack = cleanupAfterAll()
const issuer = createOidcIssuer()
let primary: PostgresServer
let standby: PostgresServer
let deployment: Deployment
/** Knows both servers, the primary first. */
let here: Replica
/** Knows the standby alone. */
let away: Replica

const ask = (replica: Replica) =>
  replica.ask('/v1/svid/jwt', { bearer: issuer.token(), json: { audience: ['https://api.example.org'] } })
const statusesOf = (replica: Replica, paths: readonly string[]) =>
  Promise.all(paths.map(async (path) => (await replica.ask(path)).status))
const documents = ['/keys', '/v1/bundle', '/.well-known/openid-configuration', '/readyz/documents']

beforeAll(async () => {
  const folder = await makeFolder(stack)
  await writeFile(join(folder, 'ci.jwks.json'), issuer.jwks)
  primary = await startPostgres(stack, 18)
  await makeDatabase(primary, 'd')
  deployment = {
    folder,
    store: '',
    document: {
      authorities: { jwt: { algorithms: ['ES256'], rs256_audiences: [] } },
      authenticators: {
        ci: { type: 'oidc', issuer: testIssuer, audience: testAudience, jwks_file: join(folder, 'ci.jwks.json') },
      },
      identities: [{ from: 'ci', when: 'true', spiffe_id: '/ci', audiences: ['*'] }],
    },
  }
  const first = await makeReplica(stack, 'first', deployment, { store: primary.url('d') })
  await first.start()
  expect((await ask(first)).status).toBe(200)
  expect(await first.stop()).toBe(0)

  standby = await startPostgres(stack, 18, { standbyOf: primary })
  const both = `postgres://${administrator}@127.0.0.1:${primary.port},127.0.0.1:${standby.port}/d`
  here = await makeReplica(stack, 'here', deployment, { store: both })
  away = await makeReplica(stack, 'away', deployment, { store: standby.url('d') })
  await here.start()
  const [written] = await primary.query('SELECT pg_current_wal_lsn() AS at')
  await poll('replication', 20_000, async () => {
    const [row] = await standby.query(`SELECT pg_last_wal_replay_lsn() >= '${written?.['at']}' AS is_there`)
    return row?.['is_there'] === true || undefined
  })
  await away.start()
}, buildDeadlineMs)

test('a replica that starts on a standby serves documents and issues nothing', async () => {
  expect(await statusesOf(away, documents)).toEqual([200, 200, 200, 200])
  expect(await statusesOf(away, ['/readyz'])).toEqual([503])
  const refused = await ask(away)
  expect([refused.status, refused.json.code]).toEqual([503, 'store_unavailable'])
  expect((await here.ask('/keys')).text).toBe((await away.ask('/keys')).text)
  expect((await ask(here)).status).toBe(200)
})

test('where the primary is away, what the standby has is read, and nothing is issued', async () => {
  await primary.stop('kill')
  const refused = await poll('the refusal', 10_000, async () => {
    const answer = await ask(here)
    return answer.status === 503 ? answer : undefined
  })
  expect(refused.json.code).toBe('store_unavailable')
  expect(await statusesOf(here, documents)).toEqual([200, 200, 200, 200])
  const records = await poll('the records', 10_000, async () => {
    const answer = await here.admin('/v1/records?limit=10')
    return answer.status === 200 ? answer : undefined
  })
  expect(records.json.items.length).toBeGreaterThan(1)
})

test('a standby that is promoted is written to within 5 s, by replicas of both kinds, and the chains go on', async () => {
  await standby.query('SELECT pg_promote()')
  const issues = (replica: Replica) =>
    poll('a credential', 5_000, async () => ((await ask(replica)).status === 200 ? true : undefined), 50)
  await Promise.all([issues(here), issues(away)])
  expect((await here.ask('/readyz')).status).toBe(200)
  const { ok, chains } = (await away.admin('/v1/records/verify', { method: 'POST' })).json
  expect(ok, JSON.stringify(chains)).toBe(true)
})
