import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { computeCrc32c } from '../../../src/adapters/destinations/crc32c.ts'
import { destinationContract } from '../../contracts/secret-destination.ts'
import { crc32c } from '../../support/clouds/google-secrets-rules.ts'
import type { GoogleSecret } from '../../support/clouds/google-secrets-state.ts'
import { failureOf, listAll, owner, pushOf, turnOf } from '../../support/destination-world.ts'
import { type Members, type Scripted, type ScriptedCloud, startScriptedCloud } from '../../support/exchanger.ts'
import { startGcpStore } from '../../support/gcp-store-world.ts'

destinationContract({
  type: 'gcp-secret-manager',
  start: startGcpStore,
  listsEdits: false,
  createsAlone: true,
  recovers: false,
  pageSize: 250,
  tagged: { annotations: { team: 'payments' } },
  badNames: ['', 'with space', 'ümlaut', 'x'.repeat(256), 'a/b', 'dot.dot'],
  tellsPause: true,
  refuse: (message) => ({ status: 400, body: JSON.stringify({ error: { status: 'INVALID_ARGUMENT', message } }) }),
})

test.each(['', 'a', '123456789', 's3cret', 'é'.repeat(1000)])(
  'the checksum of %j is the one that is checked',
  (text) => {
    expect(computeCrc32c(Buffer.from(text))).toBe(crc32c(Buffer.from(text)))
  },
)

test('the checksum is the one of RFC 3720', () => {
  expect(computeCrc32c(new Uint8Array(32))).toBe(0x8a_91_36_aa)
  expect(computeCrc32c(new Uint8Array(32).fill(255))).toBe(0x62_a8_ab_43)
})

describe('at Google', () => {
  let there: Awaited<ReturnType<typeof startGcpStore>>

  beforeAll(async () => {
    there = await startGcpStore()
  })
  beforeEach(() => there.reset())
  afterAll(() => there.close())

  const write = (name: string, value: string, document: Members = {}, changes = {}) =>
    there.open(document).write(pushOf(name, value, changes), turnOf())
  const find = (name = 'db') => there.open().find(name, turnOf())
  const resource = 'projects/123456789/secrets/db'
  const secret = (name = resource) => there.state.secrets.get(name) as GoogleSecret
  const asked = () => there.store.requests.map(({ method, path }) => `${method} ${path.split('/secrets')[1]}`)

  test('creating is four requests, changing five', async () => {
    expect(await write('db', 'one')).toMatchObject({ outcome: 'created', id: resource, version: '1' })
    expect(asked()).toEqual(['GET /db', 'POST ', 'POST /db:addVersion', 'PATCH /db'])
    there.store.calm()
    expect(await write('db', 'two')).toMatchObject({ outcome: 'updated', version: '2' })
    expect(asked()).toEqual(['GET /db', 'GET /db/versions', 'PATCH /db', 'POST /db:addVersion', 'PATCH /db'])
  })

  test('a secret without a version is not synced', async () => {
    there.store.inject({ kind: 'reset' }, 1, ({ path }) => path.endsWith(':addVersion'))
    await failureOf(write('db', 'one'))
    expect(secret().versions).toEqual([])
    expect(await listAll(there.open())).toMatchObject([{ name: 'db', state: 'empty', stamp: { owner } }])
    expect(await find()).toMatchObject({ state: 'empty' })
    expect((await write('db', 'one')).outcome).toBe('updated')
    expect(await find()).toMatchObject({ state: 'whole' })
  })

  test('one that somebody made and gave no version is empty, and nobody’s', async () => {
    there.edit('db', 'x')
    secret().versions.length = 0
    expect(await find()).toEqual({ name: 'db', state: 'empty' })
    expect(await failureOf(write('db', 'one'))).toMatchObject({ kind: 'conflict' })
    expect((await write('db', 'one', {}, { adopts: true })).outcome).toBe('adopted')
  })

  test.each(['DISABLED', 'DESTROYED'] as const)('a version that somebody made %s is an edit', async (state) => {
    await write('db', 'one')
    Object.assign(secret().versions[0] ?? {}, { state })
    expect(await find()).toMatchObject({ state: 'edited', stamp: { owner } })
    expect(await write('db', 'one')).toMatchObject({ outcome: 'updated', version: '2' })
  })

  test('a stamp whose version somebody removed is not believed', async () => {
    await write('db', 'one')
    there.setTag('db', 'apostille-version', '')
    expect(await listAll(there.open())).toMatchObject([{ state: 'edited' }])
    expect((await write('db', 'one')).outcome).toBe('updated')
  })

  test('labels, annotations and replication are those of the destination', async () => {
    const replication = { locations: ['europe-west1', 'europe-west4'] }
    const kms_key = { 'europe-west1': 'projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k' }
    const document = { labels: { team: 'payments' }, annotations: { 'a.b': 'C d' }, replication, kms_key }
    await write('db', 'one', document)
    expect(secret().replication).toEqual({
      userManaged: {
        replicas: [
          { location: 'europe-west1', customerManagedEncryption: { kmsKeyName: kms_key['europe-west1'] } },
          { location: 'europe-west4' },
        ],
      },
    })
    expect([secret().labels, secret().annotations['a.b']]).toEqual([{ team: 'payments' }, 'C d'])
    expect((await write('db', 'one', document)).outcome).toBe('unchanged')
    expect((await write('db', 'one', { ...document, labels: { team: 'web' } })).outcome).toBe('marked')
    expect(secret().labels).toEqual({ team: 'web' })
  })

  test('a key of replication that is automatic is the global one', async () => {
    await write('db', 'one', { kms_key: 'projects/p/locations/global/keyRings/r/cryptoKeys/k' })
    const customerManagedEncryption = { kmsKeyName: 'projects/p/locations/global/keyRings/r/cryptoKeys/k' }
    expect(secret().replication).toEqual({ automatic: { customerManagedEncryption } })
  })

  test('a region has its own secrets, and its key can be changed', async () => {
    const document = { location: 'europe-west1', kms_key: 'projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k' }
    const { id } = await write('db', 'one', document)
    expect(id).toBe('projects/123456789/locations/europe-west1/secrets/db')
    expect(secret(id).customerManagedEncryption).toEqual({ kmsKeyName: document.kms_key })
    expect(await listAll(there.open())).toEqual([])
    expect(await listAll(there.open(document))).toMatchObject([{ name: 'db', state: 'whole' }])
    const other = { ...document, kms_key: `${document.kms_key}2` }
    expect((await write('db', 'one', other)).outcome).toBe('marked')
    expect(secret(id).customerManagedEncryption).toEqual({ kmsKeyName: other.kms_key })
    expect((await write('db', 'one', other)).outcome).toBe('unchanged')
    expect(await there.open(document).remove('db', owner, turnOf())).toMatchObject({ outcome: 'removed', id })
  })

  describe('versions that were replaced', () => {
    const states = () => secret().versions.map(({ state }) => state)
    const destroying = { destroy_old_versions: true }

    test('stay by default', async () => {
      await write('db', 'one')
      await write('db', 'two')
      expect(states()).toEqual(['ENABLED', 'ENABLED'])
    })

    test('are destroyed where the destination says so', async () => {
      for (const value of ['one', 'two', 'three']) await write('db', value, destroying)
      expect(states()).toEqual(['DESTROYED', 'DESTROYED', 'ENABLED'])
      expect(there.read('db')).toBe('three')
    })

    test('are destroyed by the next attempt, where one was cut off', async () => {
      await write('db', 'one', destroying)
      there.store.inject({ kind: 'reset' }, 1, ({ path }) => path.endsWith(':destroy'))
      await failureOf(write('db', 'two', destroying))
      expect(await write('db', 'two', destroying)).toMatchObject({ outcome: 'marked', version: '2' })
      expect(states()).toEqual(['DESTROYED', 'ENABLED'])
    })

    test('of others are left to them', async () => {
      there.edit('db', 'precious')
      await write('db', 'one', destroying, { adopts: true })
      await write('db', 'two', destroying)
      expect(states()).toEqual(['ENABLED', 'DESTROYED', 'ENABLED'])
    })
  })

  test('somebody who adds a version in between is second to us', async () => {
    await write('db', 'one')
    const act = () => there.edit('db', 'by hand')
    there.store.inject({ kind: 'overtaken', act }, 1, ({ path }) => path.endsWith(':addVersion'))
    expect(await write('db', 'two')).toMatchObject({ outcome: 'updated', version: '3' })
    expect(there.read('db')).toBe('two')
    expect(await find()).toMatchObject({ state: 'whole' })
  })

  test('somebody who changes the secret in between is told of', async () => {
    await write('db', 'one')
    for (const attempt of [
      () => write('db', 'two'),
      () => there.open().remove('db', owner, turnOf()),
      () => write('db', 'one', { labels: { team: 'web' } }),
    ]) {
      there.store.inject({ kind: 'overtaken', act: () => there.setTag('db', 'by', 'hand') }, 1, there.isWrite)
      const failure = await failureOf(attempt())
      expect([failure.kind, failure.code]).toEqual(['conflict', 'FAILED_PRECONDITION'])
    }
    expect((await write('db', 'two')).outcome).toBe('updated')
    expect(there.tags('db')).toMatchObject({ by: 'hand' })
  })

  test('a secret that somebody removes in between is told of', async () => {
    await write('db', 'one')
    there.store.inject({ kind: 'overtaken', act: () => there.discard('db') }, 1, there.isWrite)
    expect(await failureOf(write('db', 'two'))).toMatchObject({ kind: 'conflict', code: 'NOT_FOUND' })
    expect((await write('db', 'two')).outcome).toBe('created')
  })

  test('the quota of a project is told', async () => {
    there.state.writesPerMinute = 2
    expect(await failureOf(write('db', 'one'))).toMatchObject({ kind: 'throttled', code: 'RESOURCE_EXHAUSTED' })
  })

  describe('a service that says what it is told', () => {
    let scripted: ScriptedCloud

    beforeEach(async () => {
      scripted = await startScriptedCloud()
    })
    afterEach(() => scripted.close())

    const no = (status: number, code: string, message: string): Scripted => ({
      status,
      body: JSON.stringify({ error: { code: status, status: code, message } }),
    })
    const at = () => there.open({ endpoint: scripted.url, ca_file: scripted.caFile })

    test.each([
      [
        403,
        'PERMISSION_DENIED',
        'Secret Manager API has not been used in project 1 before or it is disabled.',
        'enable',
      ],
      [403, 'PERMISSION_DENIED', 'Request had insufficient authentication scopes.', 'cloud-platform'],
      [403, 'PERMISSION_DENIED', 'No.', 'may not'],
    ])('%i %s %s is told with what to do', async (status, code, message, fix) => {
      scripted.script(no(status, code, message))
      const failure = await failureOf(listAll(at()))
      expect([failure.kind, failure.code, failure.fix]).toEqual(['forbidden', code, expect.stringContaining(fix)])
    })

    test.each([
      ['no secret', [{ body: '{}' }]],
      ['no version', [no(404, 'NOT_FOUND', 'no'), { body: `{"name":"${resource}","etag":"x"}` }, { body: '{}' }]],
    ] as const)('is not understood where it answers %s', async (_, answers) => {
      scripted.script(...answers)
      expect((await failureOf(at().write(pushOf('db', 'x'), turnOf()))).code).toBe('malformed')
    })

    test('names are put into paths so that they stay names', async () => {
      scripted.script(no(404, 'NOT_FOUND', 'no'))
      await at().find('a/b?c:d', turnOf())
      expect(scripted.requests[0]?.path).toBe('/v1/projects/payments-prod/secrets/a%2Fb%3Fc%3Ad')
    })
  })
})
