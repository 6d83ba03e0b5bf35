import { describe, expect, test } from 'vitest'
import type { PlanItem } from '../../src/core/plan-sync.ts'
import { Refusal } from '../../src/core/refusal.ts'
import { DestinationError } from '../../src/core/secret-destination.ts'
import { SourceError } from '../../src/core/secret-source.ts'
import type { Syncs } from '../../src/core/syncs.ts'
import { CloudError, createSyncWorld, type SyncWorld } from '../support/sync-world.ts'

interface ApplyOptions {
  readonly allowDeletions?: boolean
  readonly sync?: string
  readonly destination?: string
}

const apply = (syncs: Syncs, more: ApplyOptions = {}) =>
  syncs.apply({ sync: 'payments', requestId: 'r1', allowDeletions: false, ...more }, () => undefined)

/** What it came to at the only destination there is. */
async function applied(syncs: Syncs, more: ApplyOptions = {}) {
  const { destinations } = await apply(syncs, more)
  return Object.values(destinations)[0]
}

async function planOf(syncs: Syncs) {
  const items: PlanItem[] = []
  const planned = await syncs.plan({ sync: 'payments' }, (_, item) => void items.push(item))
  return { items, planned }
}

const valueAt = (world: SyncWorld, name: string) => world.clouds.aws.secrets.get(name)?.value
const namesAt = (world: SyncWorld) => [...world.clouds.aws.secrets.keys()].sort()
const syncOf = (more: string) => `syncs: { payments: { paths: ['**'], destinations: [aws], ${more} } }`

const hole = (expression: string) => `$${'{'}${expression}}`

/** Lets everything that waits for nothing but promises go on. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}

test('a first run creates, the next does nothing, and reads nothing but listings', async () => {
  const world = await createSyncWorld()
  const syncs = world.createProcess()
  world.source.set('payments/db', { user: 'u', password: 'hunter2' })
  world.source.set('payments/api', { key: 'k' })

  expect(await applied(syncs)).toMatchObject({ state: 'synced', counts: { created: 2, current: 0 } })
  expect(valueAt(world, 'payments/db')).toBe('{"password":"hunter2","user":"u"}')

  const { requests } = world.clouds.aws
  Object.assign(requests, { list: 0, look: 0, write: 0, remove: 0 })
  world.source.reads = 0
  expect(await applied(syncs)).toMatchObject({ state: 'synced', counts: { created: 0, current: 2 } })
  expect(requests).toEqual({ list: 1, look: 0, write: 0, remove: 0 })
  expect(world.source.reads).toBe(0)
})

test('each push is on record before it leaves and after, with who, what, which version and whereto', async () => {
  const world = await createSyncWorld()
  world.source.set('payments/db', { password: 'hunter2' })
  const before: string[] = []
  world.clouds.aws.onRequest = (request, phase) => {
    if (request === 'write' && phase === 'before') before.push(...world.entries.map(({ operation }) => operation))
  }
  await apply(world.createProcess())

  expect(before).toContain('sync.push')
  const common = {
    sync: 'payments',
    destination: 'aws',
    name: 'payments/db',
    path: 'payments/db',
    version: '1',
    fence: 1,
  }
  expect(world.entries.find(({ operation }) => operation === 'sync.push')).toMatchObject({
    spiffeId: 'spiffe://example.org/cloud/sync',
    target: 'aws',
    requestId: 'r1',
    details: { ...common, action: 'create' },
  })
  expect(world.entries.find(({ operation }) => operation === 'sync.pushed')?.details).toEqual({
    ...common,
    outcome: 'created',
    id: 'payments/db',
    destination_version: '1',
  })
})

test('what a destination answers fills no record, and repeats no value there', async () => {
  const world = await createSyncWorld()
  const { open } = world.clouds.aws
  const answers = (opened: Parameters<typeof open>[0]) => {
    const there = open(opened)
    const write: typeof there.write = async (push, turn) => ({
      ...(await there.write(push, turn)),
      id: `arn:${push.value}`,
      version: 'v'.repeat(1_000_000),
      requestId: Buffer.from(push.value as string).toString('base64'),
    })
    return { ...there, write }
  }
  Object.assign(world.clouds.aws, { open: answers })
  world.source.set('payments/db', { key: 'correct-horse' })
  await apply(world.createProcess())
  const { details } = world.entries.find(({ operation }) => operation === 'sync.pushed') ?? {}
  expect(details).toMatchObject({ outcome: 'created', name: 'payments/db' })
  expect(details).not.toHaveProperty('id')
  expect(details).not.toHaveProperty('cloud_request_id')
  expect(String(details?.['destination_version']).length).toBeLessThanOrEqual(2048)
  expect(world.told()).not.toContain('correct-horse')
})

test.each<[string, (world: SyncWorld) => void]>([
  ['a value', ({ source }) => source.set('a', { key: 'two' })],
  ['a removal', ({ source }) => source.delete('a')],
])('%s that is not on record does not happen', async (_, change) => {
  const world = await createSyncWorld()
  const syncs = world.createProcess()
  world.source.set('a', { key: 'one' })
  await apply(syncs)
  const { requests } = world.clouds.aws
  Object.assign(requests, { look: 0, write: 0, remove: 0 })
  change(world)
  // What comes after the record of the request is that of the change.
  const disk = Promise.withResolvers<void>()
  world.beforeAppend = () => (world.entries.at(-1)?.operation === 'sync.apply' ? disk.promise : undefined)
  const ended = applied(syncs, { allowDeletions: true })
  await settle()
  expect(requests).toMatchObject({ look: 0, write: 0, remove: 0 })
  disk.reject(new Refusal('store_unavailable', 'the disk is full'))
  expect(await ended).toMatchObject({ state: 'failed', error: 'the disk is full' })
  expect(requests).toMatchObject({ write: 0, remove: 0 })
  expect(valueAt(world, 'a')).toBe('{"key":"one"}')
})

describe('the identity of a sync', () => {
  test('is exchanged as that of a workload, once for many secrets, with the token on record', async () => {
    const world = await createSyncWorld()
    for (let count = 0; count < 20; count++) world.source.set(`payments/${count}`, { key: 'k' })
    await apply(world.createProcess())
    expect(world.exchanges).toBe(1)
    const token = world.entries.find(({ operation }) => operation === 'exchange_token')
    expect(token?.issued).toMatchObject({ audience: ['sts.amazonaws.com'], kid: expect.any(String) })
    expect(world.entries.find(({ operation }) => operation === 'exchange')).toMatchObject({
      issued: { credentialId: 'ASIA1' },
      details: { acts_as: 'spiffe://example.org/cloud/sync', cloud_request_id: 'sts-1' },
    })
  })

  test('is its own where the target does not say whom it acts as', async () => {
    const world = await createSyncWorld(`syncs: { payments: { paths: ['**'], destinations: [gcp] } }`)
    world.source.set('db', { key: 'k' })
    await apply(world.createProcess())
    const push = world.entries.find(({ operation }) => operation === 'sync.push')
    expect(push?.spiffeId).toBe('spiffe://example.org/apostille/sync/payments')
  })

  test('that a cloud refuses keeps every secret here', async () => {
    const world = await createSyncWorld()
    world.exchange = () => Promise.reject(new CloudError('refused', 'no trust', { code: 'AccessDenied', status: 403 }))
    world.source.set('payments/db', { password: 'hunter2' })
    const status = await applied(world.createProcess())
    expect(status).toMatchObject({ state: 'failed', error: expect.stringContaining('AccessDenied') })
    expect(world.clouds.aws.requests).toEqual({ list: 0, look: 0, write: 0, remove: 0 })
  })
})

describe('what changed is written, and nothing else', () => {
  test.each([
    ['a new value', (world: SyncWorld) => world.source.set('b', { key: 'new' }), { updated: 1, current: 1 }, 2],
    ['an equal value in a new version', (world: SyncWorld) => world.source.set('b', { key: 'k' }), { marked: 1 }, 1],
    ['an edit outside', (world: SyncWorld) => world.clouds.aws.edit('b', 'x'), { repaired: 1, current: 1 }, 3],
    [
      'an edit that dropped our stamp',
      (world: SyncWorld) => world.clouds.aws.edit('b', 'x', { dropStamp: true }),
      { repaired: 1 },
      3,
    ],
    ['a removal outside', (world: SyncWorld) => world.clouds.aws.secrets.delete('b'), { created: 1, current: 1 }, 1],
    ['a new tag', (world: SyncWorld) => world.configure(syncOf('tags: { team: a }')), { marked: 2 }, 1],
  ])('%s', async (_, change, counts, versions) => {
    const world = await createSyncWorld()
    const syncs = world.createProcess()
    world.source.set('a', { key: 'k' })
    world.source.set('b', { key: 'k' })
    await apply(syncs)
    change(world)
    expect(await applied(syncs)).toMatchObject({ state: 'synced', counts })
    expect(world.clouds.aws.secrets.get('b')?.versions).toBe(versions)
    expect(await applied(syncs)).toMatchObject({ counts: { current: 2, updated: 0, marked: 0, repaired: 0 } })
  })

  test('a source without revisions is read each time, and equal values make no version', async () => {
    const world = await createSyncWorld()
    world.source.hasRevisions = false
    world.source.set('a', { key: 'k' })
    const syncs = world.createProcess()
    await apply(syncs)
    expect(await applied(syncs)).toMatchObject({ counts: { current: 1, marked: 0 } })
    world.source.set('a', { key: 'new' })
    expect(await applied(syncs)).toMatchObject({ counts: { updated: 1 } })
  })
})

describe('what is not ours', () => {
  test.each([
    ['somebody else’s', undefined],
    ['of another sync', 'example.org/other/aws/00000000'],
  ])('is never written: a secret %s', async (_, owner) => {
    const world = await createSyncWorld(syncOf('conflict: refuse'))
    world.clouds.aws.edit('a', 'theirs')
    const stored = world.clouds.aws.secrets.get('a')
    const stamp = { source: '', basis: '', fingerprint: '', group: '', parts: 1 }
    if (owner !== undefined && stored) world.clouds.aws.secrets.set('a', { ...stored, stamp: { ...stamp, owner } })
    world.source.set('a', { key: 'k' })
    const status = await applied(world.createProcess())
    expect(status).toMatchObject({ state: 'incomplete', problems: [{ kind: 'conflict', name: 'a' }] })
    expect(valueAt(world, 'a')).toBe('theirs')
  })

  test('is taken over where the sync adopts, but never from another sync', async () => {
    const world = await createSyncWorld(syncOf('conflict: adopt'))
    world.clouds.aws.edit('a', 'theirs')
    world.source.set('a', { key: 'k' })
    const syncs = world.createProcess()
    expect(await applied(syncs)).toMatchObject({ state: 'synced', counts: { adopted: 1 } })
    world.configure(`syncs: { other: { paths: ['**'], destinations: [aws], conflict: adopt } }`)
    expect(await applied(syncs, { sync: 'other' })).toMatchObject({ problems: [{ kind: 'conflict' }] })
  })

  test('is found out at the write where the listing did not have it yet', async () => {
    const world = await createSyncWorld()
    world.source.set('a', { key: 'k' })
    world.clouds.aws.onRequest = (request, phase) => {
      if (request === 'list' && phase === 'after') world.clouds.aws.edit('a', 'faster')
    }
    expect(await applied(world.createProcess())).toMatchObject({
      problems: [{ kind: 'conflict', code: 'NotOurs', cloudRequestId: 'request-1' }],
    })
    expect(world.entries.at(-1)).toMatchObject({ decision: 'refused', code: 'conflict', operation: 'sync.push' })
  })
})

describe('what is gone at the source', () => {
  const withFive = async (more: string) => {
    const world = await createSyncWorld(syncOf(more))
    for (const path of ['a', 'b', 'c', 'd', 'e']) world.source.set(path, { key: 'k' })
    world.clouds.aws.edit('theirs', 'x')
    const syncs = world.createProcess()
    await apply(syncs)
    return { world, syncs }
  }

  test('is removed, with what is not ours left alone', async () => {
    const { world, syncs } = await withFive('deletion: delete')
    world.source.delete('a')
    expect(await applied(syncs)).toMatchObject({ state: 'synced', counts: { removed: 1, current: 4 } })
    expect(namesAt(world)).toEqual(['b', 'c', 'd', 'e', 'theirs'])
    expect(world.entries.filter(({ operation }) => operation.startsWith('sync.remove'))).toMatchObject([
      { operation: 'sync.remove', details: { name: 'a', source: 'kv:a' } },
      { operation: 'sync.removed', details: { name: 'a', outcome: 'removed' } },
    ])
  })

  test('stays where the sync leaves orphans', async () => {
    const { world, syncs } = await withFive('deletion: orphan')
    world.source.delete('a')
    expect(await applied(syncs)).toMatchObject({ state: 'synced', counts: { removed: 0, leftOver: 1 } })
    expect(namesAt(world)).toContain('a')
  })

  test('stays while it is more than the share that may go at once, until somebody says yes', async () => {
    const { world, syncs } = await withFive('max_deletions: 20%')
    world.source.delete('a')
    world.source.delete('b')
    world.source.set('c', { key: 'new' })
    expect(await applied(syncs)).toMatchObject({ state: 'deletions_held', counts: { leftOver: 2, updated: 1 } })
    expect(namesAt(world)).toEqual(['a', 'b', 'c', 'd', 'e', 'theirs'])
    const { items } = await planOf(syncs)
    expect(items.filter(({ action }) => action === 'delete')).toHaveLength(2)
    expect(await applied(syncs, { allowDeletions: true })).toMatchObject({ state: 'synced', counts: { removed: 2 } })
    expect(namesAt(world)).toEqual(['c', 'd', 'e', 'theirs'])
  })

  test('is only what a whole listing lacks: one that breaks off removes nothing', async () => {
    const { world, syncs } = await withFive('max_deletions: 100%')
    world.source.onRead = () => {
      throw new SourceError('unreachable', 'no answer', { code: 'timeout' })
    }
    expect(await applied(syncs)).toMatchObject({ state: 'failed', error: expect.stringContaining('no answer') })
    expect(namesAt(world)).toHaveLength(6)
  })

  test('is not what could not be read', async () => {
    const { world, syncs } = await withFive('max_deletions: 100%')
    world.source.set('a', { key: 'new' })
    world.source.onRead = (path) => {
      if (path === 'a') throw new SourceError('unreadable', 'broken', { code: 'seal' })
    }
    expect(await applied(syncs)).toMatchObject({ state: 'incomplete', problems: [{ kind: 'unreadable' }] })
    expect(namesAt(world)).toContain('a')
  })

  test('is the old name, where the template changed', async () => {
    const { world, syncs } = await withFive('max_deletions: 100%')
    world.configure(syncOf(`max_deletions: 100%, name: 'prod/${hole('secret.path')}'`))
    expect(await applied(syncs)).toMatchObject({ counts: { created: 5, removed: 5 } })
    expect(namesAt(world)).toEqual(['prod/a', 'prod/b', 'prod/c', 'prod/d', 'prod/e', 'theirs'])
  })
})

describe('names and forms', () => {
  const synced = async (syncs: string, prepare: (world: SyncWorld) => void) => {
    const world = await createSyncWorld(syncs)
    prepare(world)
    const destinations = (await apply(world.createProcess())).destinations
    return { world, status: Object.values(destinations)[0] }
  }

  test('a secret for each key, and one that goes when its key does', async () => {
    const world = await createSyncWorld(syncOf('granularity: key, max_deletions: 100%'))
    const syncs = world.createProcess()
    world.source.set('db', { user: 'u', password: 'p', port: 5432 })
    expect(await applied(syncs)).toMatchObject({ state: 'synced', counts: { created: 3 } })
    expect(valueAt(world, 'db/port')).toBe('5432')
    world.source.reads = 0
    expect(await applied(syncs)).toMatchObject({ counts: { current: 3 } })
    expect(world.source.reads).toBe(0)
    world.source.set('db', { user: 'u', password: 'new' })
    expect(await applied(syncs)).toMatchObject({ counts: { updated: 1, marked: 1, removed: 1 } })
    expect(namesAt(world)).toEqual(['db/password', 'db/user'])
  })

  test('names are put into the alphabet of the destination', async () => {
    const { world } = await synced(`syncs: { payments: { paths: ['**'], destinations: [azure] } }`, ({ source }) =>
      source.set('payments/db_main.eu', { key: 'k' }),
    )
    expect([...world.clouds.azure.secrets.keys()]).toEqual(['payments-db-main-eu'])
  })

  test('of two paths with one name there, the one that has it keeps it', async () => {
    const world = await createSyncWorld(`syncs: { payments: { paths: ['**'], destinations: [azure] } }`)
    const syncs = world.createProcess()
    world.source.set('payments/db', { key: 'first' })
    await apply(syncs)
    world.source.set('PAYMENTS-DB', { key: 'second' })
    expect(await applied(syncs)).toMatchObject({
      state: 'incomplete',
      problems: [{ kind: 'collision', source: { path: 'PAYMENTS-DB' }, name: 'PAYMENTS-DB' }],
    })
    expect([...world.clouds.azure.secrets.values()].map(({ value }) => value)).toEqual(['{"key":"first"}'])
  })

  test('a name goes from one path to another in one run', async () => {
    const world = await createSyncWorld(syncOf(`name: ${'`'}x`.replace('`x', `'${hole('secret.name')}'`)))
    const syncs = world.createProcess()
    world.source.set('old/db', { key: 'k' })
    await apply(syncs)
    world.source.delete('old/db')
    world.source.set('new/db', { key: 'k' })
    expect(await applied(syncs)).toMatchObject({ state: 'synced', counts: { marked: 1, removed: 0 } })
    expect(world.clouds.aws.secrets.get('db')?.stamp?.source).toBe('kv:new/db')
  })

  test.each([
    ['too large for the destination', 'deletion: delete', { key: 'x'.repeat(65_536) }, 'too_large'],
    ['empty, where that is not taken', 'format: raw', { key: '' }, 'bad_value'],
    ['without the field that is wanted', 'format: raw, field: other', { key: 'k' }, 'bad_value'],
    ['of several keys where one is wanted', 'format: raw', { key: 'k', other: 'o' }, 'bad_value'],
    ['that dotenv has no form for', 'format: dotenv', { KEY: `'"` }, 'bad_value'],
    ['with a name that is too long', `name: 'x${'y'.repeat(512)}${hole('secret.path')}'`, { key: 'k' }, 'bad_name'],
    ['with a name that fails', `name: '${hole('secret.path.split("/")[1]')}'`, { key: 'k' }, 'bad_name'],
  ])('a value %s is a problem of its own', async (_, more, fields, kind) => {
    const { world, status } = await synced(syncOf(more), ({ source }) => source.set('a', fields))
    expect(status).toMatchObject({ state: 'incomplete', counts: { problems: 1 }, problems: [{ kind }] })
    expect(world.clouds.aws.requests.write).toBe(0)
  })
})

describe('a destination that fails', () => {
  const failing = (kind: DestinationError['kind'], more = {}) =>
    new DestinationError(kind, 'no', { code: 'X', ...more })

  test('for a while is tried again, no sooner than it asks for', async () => {
    const world = await createSyncWorld()
    world.source.set('a', { key: 'k' })
    let failures = 2
    world.clouds.aws.onRequest = (request, phase) => {
      if (request === 'write' && phase === 'before' && failures-- > 0)
        throw failing('throttled', { retryAfterSeconds: 7 })
    }
    expect(await applied(world.createProcess())).toMatchObject({ state: 'synced', counts: { created: 1 } })
    expect(world.nowMs).toBeGreaterThanOrEqual(14_000)
  })

  test('with an answer that was lost has one version in the end', async () => {
    const world = await createSyncWorld()
    world.source.set('a', { key: 'k' })
    let lost = false
    world.clouds.aws.onRequest = (request, phase) => {
      if (request !== 'write' || phase === 'before' || lost) return
      lost = true
      throw failing('unreachable')
    }
    expect(await applied(world.createProcess())).toMatchObject({ state: 'synced' })
    expect(world.clouds.aws.secrets.get('a')?.versions).toBe(1)
    expect(world.entries.at(-1)?.details).toMatchObject({ outcome: 'unchanged' })
  })

  test('for one secret only keeps no other from being written', async () => {
    const world = await createSyncWorld()
    for (const path of ['a', 'b', 'c']) world.source.set(path, { key: 'k' })
    world.clouds.aws.onRequest = (request, _, name) => {
      if (request === 'write' && name === 'b') throw failing('forbidden', { requestId: 'q', fix: 'permit it' })
    }
    expect(await applied(world.createProcess())).toMatchObject({
      state: 'incomplete',
      counts: { created: 2, problems: 1 },
      problems: [{ kind: 'forbidden', name: 'b', code: 'X', cloudRequestId: 'q', fix: 'permit it' }],
    })
  })

  test('for all is left alone after some of them', async () => {
    const world = await createSyncWorld()
    for (let count = 0; count < 200; count++) world.source.set(`${count}`, { key: 'k' })
    let asked = 0
    world.clouds.aws.onRequest = (request) => {
      if (request === 'write' && ++asked > 0) throw failing('forbidden')
    }
    expect(await applied(world.createProcess())).toMatchObject({ state: 'failed' })
    expect(asked).toBeLessThan(60)
  })

  test('keeps no other destination from its secrets', async () => {
    const world = await createSyncWorld(`syncs: { payments: { paths: ['**'], destinations: [aws, gcp] } }`)
    world.source.set('a', { key: 'k' })
    world.clouds.aws.onRequest = () => {
      throw failing('unreachable')
    }
    const { destinations } = await apply(world.createProcess())
    expect(destinations).toMatchObject({ aws: { state: 'failed' }, gcp: { state: 'synced', counts: { created: 1 } } })
  })
})

test('a secret is read once for all destinations that it goes to', async () => {
  const world = await createSyncWorld(`syncs: { payments: { paths: ['**'], destinations: [aws, azure, gcp] } }`)
  for (let count = 0; count < 100; count++) world.source.set(`${count}`, { key: 'k' })
  const counts = { state: 'synced', counts: { created: 100 } }
  expect((await apply(world.createProcess())).destinations).toMatchObject({ aws: counts, azure: counts, gcp: counts })
  expect(world.source.reads).toBe(100)
})

test('no more requests at once than the destination says', async () => {
  const world = await createSyncWorld()
  for (let count = 0; count < 100; count++) world.source.set(`${count}`, { key: 'k' })
  world.clouds.aws.onRequest = () => new Promise((resolve) => setImmediate(resolve))
  await apply(world.createProcess())
  expect(world.clouds.aws.load.most).toBe(16)
})

describe('a plan', () => {
  test('says what would be done, writes nothing and holds no value', async () => {
    const world = await createSyncWorld(syncOf('max_deletions: 100%'))
    const syncs = world.createProcess()
    for (const path of ['gone', 'same', 'changed', 'edited']) world.source.set(path, { key: `hunter2-${path}` })
    await apply(syncs)
    world.source.delete('gone')
    world.source.set('changed', { key: 'hunter2-new' })
    world.source.set('new', { key: 'hunter2' })
    world.source.set('taken', { key: 'hunter2' })
    world.clouds.aws.edit('edited', 'x')
    world.clouds.aws.edit('taken', 'x')
    Object.assign(world.clouds.aws.requests, { write: 0, remove: 0 })

    const { items, planned } = await planOf(syncs)
    expect(items.map((item) => `${item.action} ${item.name}`).sort()).toEqual([
      'create new',
      'delete gone',
      'problem taken',
      'repair edited',
      'update changed',
    ])
    expect(planned['aws']).toMatchObject({ counts: { created: 1, updated: 1, repaired: 1, removed: 1, current: 1 } })
    expect(world.clouds.aws.requests).toMatchObject({ write: 0, remove: 0 })
    expect(JSON.stringify({ items, planned })).not.toContain('hunter2')
  })

  test('tells what a destination fails at', async () => {
    const world = await createSyncWorld()
    world.clouds.aws.onRequest = () => {
      throw new DestinationError('forbidden', 'not permitted; permit it', { code: 'AccessDenied', fix: 'permit it' })
    }
    const { planned } = await planOf(world.createProcess())
    expect(planned).toEqual({ aws: { state: 'failed', error: 'forbidden (AccessDenied): not permitted; permit it' } })
  })
})

test('drift that is only to be reported stays as it is', async () => {
  const world = await createSyncWorld(syncOf('drift: report'))
  const syncs = world.createProcess()
  world.source.set('a', { key: 'k' })
  await apply(syncs)
  world.clouds.aws.edit('a', 'theirs')
  expect(await applied(syncs)).toMatchObject({ state: 'incomplete', problems: [{ kind: 'drift', name: 'a' }] })
  expect(valueAt(world, 'a')).toBe('theirs')
})

test('drift that no listing shows is found by a look at each secret, as often as the destination says', async () => {
  const world = await createSyncWorld(`syncs: { payments: { paths: ['**'], destinations: [gcp] } }`, (usual) =>
    usual.replace('project: payments-prod', 'project: payments-prod, look_closely: 1d'),
  )
  const { gcp } = world.clouds
  gcp.listsEdits = false
  const syncs = world.createProcess()
  for (const path of ['a', 'b']) world.source.set(path, { key: 'k' })
  const countsOf = async () => (await apply(syncs)).destinations['gcp']?.counts
  expect(await countsOf()).toMatchObject({ created: 2 })
  gcp.edit('a', 'by hand')
  world.pass(86_399_000)
  gcp.requests.look = 0
  expect([await countsOf(), gcp.requests.look]).toMatchObject([{ current: 2, repaired: 0 }, 0])
  expect((await planOf(syncs)).items).toMatchObject([{ action: 'repair', name: 'a' }])
  world.pass(1000)
  gcp.requests.look = 0
  expect(await countsOf()).toMatchObject({ current: 1, repaired: 1 })
  expect(gcp.secrets.get('a')?.value).toBe('{"key":"k"}')
  // Two were looked at, and the one that was written was looked at before that.
  expect(gcp.requests.look).toBe(3)
  gcp.requests.look = 0
  expect([await countsOf(), gcp.requests.look]).toMatchObject([{ current: 2 }, 0])
})

test('a write that was cut off is no drift, and is finished', async () => {
  const world = await createSyncWorld(syncOf('drift: report'))
  const syncs = world.createProcess()
  world.source.set('a', { key: 'k' })
  await apply(syncs)
  const whole = world.clouds.aws.secrets.get('a')
  if (whole) world.clouds.aws.secrets.set('a', { ...whole, value: undefined })
  expect(await applied(syncs)).toMatchObject({ state: 'synced' })
  expect(valueAt(world, 'a')).toBe(whole?.value)
})

describe('of several processes', () => {
  test('one runs a sync at a time, and its turn ends with the run', async () => {
    const world = await createSyncWorld()
    const [one, other] = [world.createProcess(), world.createProcess()]
    world.source.set('a', { key: 'k' })
    const during: Promise<unknown>[] = []
    world.clouds.aws.onRequest = (request) => {
      if (request === 'list') during.push(apply(other).catch((error: unknown) => error))
    }
    await apply(one)
    expect(await during[0]).toMatchObject({ code: 'conflict' })
    world.clouds.aws.onRequest = () => undefined
    expect((await apply(other)).fence).toBe(2)
  })

  test('the next takes over from one that died, and does what it had left', async () => {
    const world = await createSyncWorld()
    for (const path of ['a', 'b', 'c']) world.source.set(path, { key: 'k' })
    const { syncs: dying, kill } = world.createMortal()
    world.clouds.aws.onRequest = async (request, phase, name) => {
      if (request !== 'write' || phase === 'after' || name === 'a') return
      kill()
      await Promise.withResolvers<never>().promise
    }
    void apply(dying)
    await settle()
    world.clouds.aws.onRequest = () => undefined
    const next = world.createProcess()
    await expect(apply(next)).rejects.toMatchObject({ code: 'conflict' })
    world.pass(36_000)
    expect(await applied(next)).toMatchObject({ state: 'synced', counts: { current: 1, created: 2 } })
    expect([...world.clouds.aws.secrets.values()].map(({ versions }) => versions)).toEqual([1, 1, 1])
  })

  test('one that lost its turn begins nothing more', async () => {
    const world = await createSyncWorld()
    for (let count = 0; count < 100; count++) world.source.set(`${count}`, { key: 'k' })
    let pushesThen: number | undefined
    const pushes = () => world.entries.filter(({ operation }) => operation === 'sync.push').length
    world.clouds.aws.onRequest = (request, phase) => {
      if (request !== 'write' || phase === 'after' || pushesThen !== undefined) return
      const name = 'sync/lease/payments'
      const body = JSON.stringify({ holder: 'other', fence: 2, expires_at: new Date(0).toISOString() })
      world.store.apply({ name, expected: world.store.backUp().get(name)?.version ?? 0, body })
      pushesThen = pushes()
    }
    await expect(apply(world.createProcess())).rejects.toMatchObject({ code: 'conflict' })
    expect(pushes()).toBe(pushesThen)
    const { size } = world.clouds.aws.secrets
    expect(size).toBeLessThan(100)
    const { counts } = (await applied(world.createProcess())) ?? {}
    expect(counts).toMatchObject({ current: size, created: 100 - size })
  })
})

describe('by itself a sync', () => {
  const running = async (syncs = oneMinute) => {
    const world = await createSyncWorld(syncs)
    const process = world.createProcess()
    const tick = async () => {
      process.tick()
      await settle()
    }
    return { world, process, tick }
  }
  const oneMinute = syncOf('interval: 1m')

  test('runs at the start, then once per interval', async () => {
    const { world, tick } = await running()
    world.source.set('a', { key: 'k' })
    await tick()
    expect(namesAt(world)).toEqual(['a'])
    world.source.set('b', { key: 'k' })
    world.pass(30_000)
    await tick()
    expect(namesAt(world)).toEqual(['a'])
    world.pass(30_000)
    await tick()
    expect(namesAt(world)).toEqual(['a', 'b'])
  })

  test('runs at once when its source tells of a change that it matches', async () => {
    const { world, tick } = await running(`syncs: { payments: { paths: ['pay/**'], destinations: [aws] } }`)
    await tick()
    world.source.set('pay/a', { key: 'k' })
    world.source.set('other', { key: 'k' })
    world.source.tell('other')
    await settle()
    expect(namesAt(world)).toEqual([])
    world.source.tell('pay/a')
    await settle()
    expect(namesAt(world)).toEqual(['pay/a'])
  })

  test('runs at once with a changed configuration, and not while it is paused', async () => {
    const { world, tick } = await running()
    await tick()
    world.source.set('a', { key: 'k' })
    world.configure(syncOf('interval: 1m, paused: true'))
    await tick()
    expect(namesAt(world)).toEqual([])
    world.configure(syncOf('interval: 2m'))
    await tick()
    expect(namesAt(world)).toEqual(['a'])
  })

  test('is not run again by another replica within the interval', async () => {
    const { world, tick } = await running()
    await tick()
    const { list } = world.clouds.aws.requests
    const other = world.createProcess()
    other.tick()
    await settle()
    expect(world.clouds.aws.requests.list).toBe(list)
  })

  test('that failed is tried again sooner, and ever less often', async () => {
    const { world, tick } = await running(syncOf('interval: 1h'))
    world.source.onRead = () => {
      throw new SourceError('unreachable', 'down', { code: 'timeout' })
    }
    await tick()
    world.pass(15_000)
    await tick()
    expect(world.measured.get(runs('failed'))).toBe(2)
    world.pass(15_000)
    await tick()
    expect(world.measured.get(runs('failed'))).toBe(2)
    world.source.onRead = () => undefined
    world.pass(15_000)
    await tick()
    expect(world.measured.get(runs('synced'))).toBe(1)
  })

  test('shows in metrics, until the configuration has it no more', async () => {
    const { world, tick } = await running()
    world.source.set('a', { key: 'k' })
    await tick()
    const labels = JSON.stringify({ sync: 'payments', destination: 'aws' })
    expect(world.measured.get(`apostille_sync_synced_timestamp_seconds${labels}`)).toBeGreaterThan(1_700_000_000)
    expect(world.measured.get('apostille_sync_secrets{"sync":"payments","destination":"aws","state":"current"}')).toBe(
      1,
    )
    world.configure('')
    await tick()
    expect(world.measured.get(`apostille_sync_synced_timestamp_seconds${labels}`)).toBeUndefined()
  })

  test('whose source can not be opened fails alone', async () => {
    const broken = `broken: { source: there, paths: ['**'], destinations: [gcp] }`
    const whole = `payments: { paths: ['**'], destinations: [aws] }`
    const { world, process, tick } = await running(
      `sources: { there: { type: directory, path: /x } }\nsyncs: { ${broken}, ${whole} }`,
    )
    world.openSource = () => {
      throw new SourceError('refused', 'no such folder', { code: 'ENOENT' })
    }
    world.source.set('a', { key: 'k' })
    await tick()
    expect(namesAt(world)).toEqual(['a'])
    expect((await process.show('broken')).status?.destinations['gcp']).toMatchObject({
      state: 'failed',
      error: 'refused (ENOENT): no such folder',
    })
  })

  test('stops between two requests when the process stops, and leaves its turn to the next', async () => {
    const { world, process } = await running()
    for (let count = 0; count < 100; count++) world.source.set(`${count}`, { key: 'k' })
    world.clouds.aws.onRequest = () => new Promise((resolve) => setImmediate(resolve))
    process.tick()
    while (world.clouds.aws.secrets.size === 0) await new Promise((resolve) => setImmediate(resolve))
    await process.close()
    const { size } = world.clouds.aws.secrets
    expect(size).toBeLessThan(100)
    expect(await applied(world.createProcess())).toMatchObject({ counts: { current: size, created: 100 - size } })
  })
})

const runs = (result: string) =>
  `apostille_sync_runs_total${JSON.stringify({ sync: 'payments', destination: 'aws', result })}`

describe('what an operator asks for', () => {
  test.each([
    ['of an unknown sync', { sync: 'other' }, 'not_found'],
    ['of an unknown destination', { destination: 'other' }, 'not_found'],
  ])('%s is refused', async (_, more, code) => {
    const syncs = (await createSyncWorld()).createProcess()
    await expect(apply(syncs, more)).rejects.toMatchObject({ code })
    await expect(syncs.plan({ sync: 'payments', ...more }, () => undefined)).rejects.toMatchObject({ code })
  })

  test('while the sync is paused is refused', async () => {
    const syncs = (await createSyncWorld(syncOf('paused: true'))).createProcess()
    await expect(apply(syncs)).rejects.toMatchObject({ code: 'conflict' })
  })

  test('without a store is unavailable', async () => {
    const world = await createSyncWorld()
    const syncs = world.createProcess()
    world.beforeAppend = () => {
      throw new Error('disk full')
    }
    await expect(apply(syncs)).rejects.toThrow('disk full')
    await expect(syncs.show('other')).rejects.toMatchObject({ code: 'not_found' })
  })

  test('shows the last run of every sync', async () => {
    const world = await createSyncWorld()
    const syncs = world.createProcess()
    expect(await syncs.list()).toMatchObject([{ sync: { name: 'payments' }, running: false }])
    await apply(syncs)
    const { status } = await syncs.show('payments')
    expect(status).toMatchObject({ fence: 1, destinations: { aws: { state: 'synced', syncedAt: expect.any(Date) } } })
  })
})
