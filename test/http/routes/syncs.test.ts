import { expect, test } from 'vitest'
import { DestinationError } from '../../../src/core/secret-destination.ts'
import { createSyncAdmin } from '../../support/sync-admin.ts'
import { createSyncWorld, type SyncWorld } from '../../support/sync-world.ts'

const linesOf = async (answer: Response) =>
  (await answer.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)

async function open(syncs?: string) {
  const world = await createSyncWorld(syncs)
  const app = createSyncAdmin(world)
  const post = (path: string, body?: object) =>
    app.request(path, { method: 'POST', ...(body && { body: JSON.stringify(body) }) })
  const get = async (path: string) => (await app.request(path)).json() as Promise<Readonly<Record<string, unknown>>>
  return { world, post, get }
}

const failAll = (world: SyncWorld) => {
  world.clouds.aws.onRequest = () => {
    throw new DestinationError('forbidden', 'not permitted', { code: 'AccessDenied' })
  }
}

test('a plan is told line by line, and what it came to at last', async () => {
  const { world, post } = await open()
  world.source.set('payments/db', { key: 'hunter2' })
  world.source.set('taken', { key: 'hunter2' })
  world.clouds.aws.edit('taken', 'theirs')
  const answer = await post('/v1/syncs/payments/plan')
  expect(answer.headers.get('content-type')).toBe('application/jsonl')
  const lines = await linesOf(answer)
  expect(lines).toContainEqual({
    destination: 'aws',
    action: 'create',
    name: 'payments/db',
    source: { path: 'payments/db' },
    version: '1',
  })
  expect(lines).toContainEqual(expect.objectContaining({ action: 'problem', kind: 'conflict', name: 'taken' }))
  expect(lines.at(-1)).toMatchObject({ planned: { aws: { state: 'incomplete', counts: { created: 1, problems: 1 } } } })
  expect(JSON.stringify(lines)).not.toContain('hunter2')
})

test('a run tells its progress and its end, and is the status from then on', async () => {
  const { world, post, get } = await open()
  world.source.set('payments/db', { key: 'k' })
  const lines = await linesOf(await post('/v1/syncs/payments/apply', { destination: 'aws' }))
  expect(lines[0]).toMatchObject({ destination: 'aws', progress: { created: 1 } })
  const applied = { destinations: { aws: { state: 'synced', counts: { created: 1, left_over: 0 }, problems: [] } } }
  expect(lines.at(-1)).toMatchObject({ applied })
  expect(await get('/v1/syncs/payments')).toMatchObject({
    name: 'payments',
    source: 'kv',
    paths: ['**'],
    destinations: ['aws'],
    spiffe_id: 'spiffe://example.org/apostille/sync/payments',
    running: false,
    status: applied,
  })
  expect(world.entries.find(({ operation }) => operation === 'sync.apply')).toMatchObject({
    requestId: 'request-1',
    details: { sync: 'payments', allow_deletions: false },
  })
})

test('a destination that fails is told with the rest', async () => {
  const { world, post } = await open()
  failAll(world)
  expect(await linesOf(await post('/v1/syncs/payments/plan'))).toEqual([
    { planned: { aws: { state: 'failed', error: 'forbidden (AccessDenied): not permitted' } } },
  ])
})

test('what breaks behind the first line is the last line', async () => {
  const { world, post } = await open()
  for (const path of ['a', 'b']) world.source.set(path, { key: 'k' })
  world.clouds.aws.onRequest = (request, phase) => {
    if (request === 'write' && phase === 'after')
      world.beforeAppend = () => {
        throw new Error('a bug')
      }
  }
  const lines = await linesOf(await post('/v1/syncs/payments/apply'))
  expect(lines.at(-1)).toEqual({ error: { code: 'internal' } })
})

test.each([
  ['of a sync that is not there', '/v1/syncs/other/apply', undefined, 404, 'not_found'],
  ['of a destination that it has not', '/v1/syncs/payments/apply', { destination: 'gcp' }, 404, 'not_found'],
  ['with an unknown field', '/v1/syncs/payments/apply', { force: true }, 400, 'malformed_request'],
])('a run %s is refused, and that is on record', async (_, path, body, status, code) => {
  const { world, post } = await open()
  const answer = await post(path, body)
  expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([status, code])
  expect(world.entries.at(-1)).toMatchObject({ operation: 'sync.apply', decision: 'refused', code })
})

test('syncs are listed page by page', async () => {
  const sync = `{ paths: ['**'], destinations: [aws] }`
  const { get } = await open(`syncs: { b: ${sync}, a: ${sync}, c: ${sync} }`)
  expect(await get('/v1/syncs?limit=2')).toMatchObject({ items: [{ name: 'a' }, { name: 'b' }], next: 'b' })
  expect(await get('/v1/syncs?after=b')).toMatchObject({ items: [{ name: 'c' }], next: null })
})
