import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { DestinationError } from '../../src/core/secret-destination.ts'
import { serveSyncAdmin } from '../support/sync-admin.ts'
import { createSyncWorld, type SyncWorld } from '../support/sync-world.ts'
import { makeFolder, runCli } from './run-cli.ts'

// Processes of their own, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const folder = makeFolder()
let world: SyncWorld
let admin: Awaited<ReturnType<typeof serveSyncAdmin>>

beforeAll(async () => {
  world = await createSyncWorld(`syncs: { payments: { paths: ['**'], destinations: [aws], max_deletions: 25% } }`)
  admin = await serveSyncAdmin(world, folder)
})
afterAll(() => {
  admin.close()
  folder.remove()
})
beforeEach(() => {
  world.clouds.aws.onRequest = () => undefined
})

const sync = (...words: readonly string[]) => runCli(['sync', ...words], { env: { APOSTILLE_CONFIG: admin.config } })
const json = async (...words: readonly string[]) => JSON.parse((await sync(...words, '--output', 'json')).stdout)

test('a sync goes from plan to status', async () => {
  expect(await sync('list')).toEqual({
    code: 0,
    stdout: 'NAME      STATE      SOURCE  DESTINATIONS  PATHS\npayments  never run  kv      aws           **\n',
    stderr: '',
  })
  for (const path of ['a', 'b', 'c']) world.source.set(path, { key: 'hunter2' })
  const planned = await sync('plan', 'payments')
  expect(planned).toMatchObject({ code: 0, stderr: '' })
  expect(planned.stdout.split('\n').sort()).toEqual([
    '',
    'aws: 3 to create, 0 as they should be',
    'create   aws  a  (from a, version 1)',
    'create   aws  b  (from b, version 2)',
    'create   aws  c  (from c, version 3)',
  ])
  expect(await sync('apply', 'payments')).toEqual({
    code: 0,
    stdout: 'aws: 3 created, 0 as they should be\n',
    stderr: '',
  })
  const status = await sync('status', 'payments')
  expect(status.stdout).toMatch(
    /^sync +payments\nstate +synced\nfrom +kv: \*\*\nas +spiffe:\/\/example\.org\/apostille/,
  )
  expect(status.stdout).toMatch(/destination +aws\nstate +synced\nlast run +/)
  expect(await json('status')).toMatchObject({ items: [{ name: 'payments', status: { fence: 1 } }] })
})

test('deletions above the share wait for --yes', async () => {
  for (const path of ['a', 'b']) world.source.delete(path)
  const planned = await sync('plan', 'payments')
  expect(planned.stdout).toContain('delete   aws  a  (from kv:a)\n')
  expect(planned.stdout).toContain(
    'aws: 2 to delete, 1 as they should be; so many deletions wait for `sync apply --yes`',
  )
  const held = await sync('apply', 'payments')
  expect(held).toMatchObject({ code: 1, stdout: expect.stringContaining('2 left over') })
  expect(held.stderr).toContain('sync apply payments --yes')
  expect(await sync('list')).toMatchObject({ stdout: expect.stringContaining('deletions held') })
  expect(await json('apply', 'payments', '--yes')).toMatchObject({ destinations: { aws: { counts: { removed: 2 } } } })
})

test('problems are told with what helps, and end with 1', async () => {
  world.source.set('d', { key: 'k' })
  world.clouds.aws.onRequest = (request) => {
    const more = { code: 'AccessDenied', requestId: 'q-1', fix: 'permit CreateSecret' }
    if (request === 'write') throw new DestinationError('forbidden', 'not permitted; permit CreateSecret', more)
  }
  const line = 'd: forbidden (AccessDenied, request q-1): not permitted; permit CreateSecret\n'
  const applied = await sync('apply', 'payments')
  expect(applied).toMatchObject({ code: 1, stdout: `aws: 1 with problems, 1 as they should be\n  ${line}` })
  expect(applied.stderr).toContain('some secrets are not as they should be')
  expect((await sync('status')).stdout).toContain(`  ${line}`)
})

test('a destination that fails ends both plan and run with 1', async () => {
  world.clouds.aws.onRequest = () => {
    throw new DestinationError('forbidden', 'not permitted', { code: 'AccessDenied' })
  }
  const planned = await sync('plan', 'payments')
  expect(planned).toMatchObject({ code: 1, stdout: 'aws: failed\n' })
  expect(planned.stderr).toContain('aws: forbidden (AccessDenied): not permitted')
  const { stdout } = await sync('apply', 'payments')
  expect(stdout).toMatch(/^aws: failed: forbidden \(AccessDenied\): not permitted\n/)
})

test.each([
  ['plan', ['plan', 'other']],
  ['apply', ['apply', 'payments', '--destination', 'other']],
  ['status', ['status', 'other']],
])('%s of what is not there says so', async (_, words) => {
  expect(await sync(...words)).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('(not_found)') })
})
