/** `serve --workers`: several processes on the same addresses, which one process starts, supervises and stops. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { poll } from './support/command.ts'
import { buildDeadlineMs } from './support/parts.ts'
import { makeDatabase, type PostgresServer, startPostgres } from './support/postgres.ts'
import { makeReplica, type Replica, type ReplicaOptions } from './support/replica.ts'

const stack = cleanupAfterAll()
let server: PostgresServer
let running: Replica | undefined
let made = 0

beforeAll(async () => {
  server = await startPostgres(stack, 15)
}, buildDeadlineMs)
afterEach(async () => {
  await running?.stop('SIGKILL')
  running = undefined
})

const document = {
  authorities: { jwt: { algorithms: ['ES256'], rs256_audiences: [] } },
  authenticators: { first: { type: 'join_token' } },
  identities: [{ from: 'first', spiffe_id: '/vm/${proof.name}', audiences: ['*'] }],
}

async function startWorkers(
  change: Readonly<Record<string, unknown>> = {},
  options: ReplicaOptions = {},
): Promise<Replica> {
  const database = `workers${++made}`
  await makeDatabase(server, database)
  const deployment = {
    folder: await makeFolder(stack),
    store: server.url(database),
    document: { ...document, ...change },
  }
  running = await makeReplica(stack, 'gateway', deployment, { args: ['--workers', '2'], ...options })
  await running.start()
  const { log } = running
  await poll(
    'the workers',
    20_000,
    async () => log().some(({ message }) => message === 'workers are ready') || undefined,
    20,
  )
  return running
}

const linesOf = ({ log }: Replica, message: string) => log().filter((line) => line['message'] === message)
const workersOf = (replica: Replica, message: string) =>
  [...new Set(linesOf(replica, message).map((line) => line['worker']))].sort()
const isGone = (pid: number) => {
  try {
    // A process that has ended and is not waited for yet is a zombie.
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return true
  }
}
const childrenOf = (pid: number) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)

test('share the addresses and the store, and answer in turn; metrics are those of all of them', async () => {
  const replica = await startWorkers()
  expect(statSync(join(replica.folder, 'admin.sock')).mode & 0o777).toBe(0o600)
  const { token } = (await replica.admin('/v1/join-tokens', { json: { authenticator: 'first', name: 'a', uses: 30 } }))
    .json
  const asked = Array.from({ length: 31 }, () =>
    replica.ask('/v1/svid/jwt', { bearer: token, json: { audience: ['x'] } }),
  )
  const statuses = (await Promise.all(asked)).map(({ status }) => status)
  expect(statuses.filter((status) => status === 200)).toHaveLength(30)
  expect(statuses.filter((status) => status === 401)).toHaveLength(1)
  await poll('the log', 5_000, async () => linesOf(replica, 'request').length >= 31 || undefined, 20)
  expect(workersOf(replica, 'request')).toEqual([1, 2])

  const metrics = (await replica.admin('/metrics')).text
  const issued = [...metrics.matchAll(/^apostille_issued_total\{operation="jwt_svid",worker="(\d)"\} (\d+)$/gm)]
  expect(issued.map(([, worker]) => worker)).toEqual(['1', '2'])
  expect(issued.reduce((sum, [, , count]) => sum + Number(count), 0)).toBe(30)
  expect(metrics.match(/^# HELP apostille_issued_total /gm)).toHaveLength(1)
  expect((await replica.admin('/v1/records/verify', { method: 'POST' })).json.ok).toBe(true)
})

test('one that is killed is started again, later each time, while the others answer', async () => {
  const replica = await startWorkers()
  const before = childrenOf(replica.pid())
  const [victim = 0] = before
  process.kill(victim, 'SIGKILL')
  await poll('another worker', 20_000, async () => linesOf(replica, 'ready').length > 2 || undefined, 50)
  const [ended] = linesOf(replica, 'a worker ended and is started again')
  expect(ended).toMatchObject({ level: 'ERROR', signal: 'SIGKILL', after_ms: 200 })
  expect(linesOf(replica, 'ready').at(-1)?.['worker']).toBe(ended?.['worker'])
  const after = childrenOf(replica.pid())
  expect(after).toHaveLength(2)
  for (let index = 0; index < 6; index++) expect((await replica.ask('/readyz')).status).toBe(200)

  const next = after.find((pid) => !before.includes(pid)) ?? 0
  process.kill(next, 'SIGKILL')
  await poll('the log', 20_000, async () => linesOf(replica, 'a worker ended and is started again')[1], 50)
  expect(linesOf(replica, 'a worker ended and is started again')[1]).toMatchObject({ after_ms: 400 })
})

test('all follow a reload by signal, and one by an operator whom any of them answers', async () => {
  const replica = await startWorkers()
  const file = join(replica.folder, 'apostille.yaml')
  const change = (limits: object) =>
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), limits }))
  const reloaded = (count: number) =>
    poll('the reload', 10_000, async () => linesOf(replica, 'configuration reloaded').length >= count || undefined, 20)
  change({ refusals: 7 })
  replica.signal('SIGHUP')
  await reloaded(2)
  expect(workersOf(replica, 'configuration reloaded')).toEqual([1, 2])
  change({ refusals: 8 })
  expect((await replica.admin('/v1/reload', { method: 'POST' })).json).toMatchObject({ applied: true })
  await reloaded(4)
})

test('all end in order at SIGTERM, and at once when the process that started them is killed', async () => {
  const replica = await startWorkers({ listen: { address: 'unix:./public.sock', tls: 'off' } })
  expect(statSync(join(replica.folder, 'public.sock')).mode & 0o777).toBe(0o666 & ~process.umask())
  const workers = childrenOf(replica.pid())
  expect(await replica.stop('SIGTERM')).toBe(0)
  expect(workersOf(replica, 'stopped')).toEqual([1, 2])
  expect(workers.filter((pid) => !isGone(pid))).toEqual([])

  await replica.start()
  const others = childrenOf(replica.pid())
  await replica.stop('SIGKILL')
  await poll('the end', 10_000, async () => others.every(isGone) || undefined, 20)
})

test.each<[string, Readonly<Record<string, unknown>>, RegExp]>([
  [
    'a file of SQLite',
    { store: 'sqlite:./a.db' },
    /workers share a store, and a file of SQLite belongs to one process/,
  ],
  ['a configuration with a mistake', { limits: { refusals: -1 } }, /limits.refusals/],
  ['a store that is not there', { store: 'postgres://u@127.0.0.1:1/d' }, /nobody listens there/],
])('%s is told once, and nothing is started', async (_, change, message) => {
  const replica = startWorkers(change)
  await expect(replica).rejects.toThrow(message)
  await expect(replica).rejects.not.toThrow(/started again/)
})
