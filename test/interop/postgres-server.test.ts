/** What only this store does: migrations by many at once, limits in time, servers that die, freeze or take no writes. */
import { execFileSync } from 'node:child_process'
import { chmod, chown, copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createPostgresStore, type PostgresStoreConfig } from '../../src/adapters/stores/postgres.node.ts'
import { postgresMigrations } from '../../src/adapters/stores/postgres-migrations.ts'
import { storeField } from '../../src/core/config-store.ts'
import type { Store } from '../../src/core/store.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { poll } from './support/command.ts'
import { buildDeadlineMs } from './support/parts.ts'
import { administrator, makeDatabase, type PostgresServer, startPostgres } from './support/postgres.ts'

const stack = cleanupAfterAll()
let server: PostgresServer
let stores: Store[] = []

beforeAll(async () => {
  server = await startPostgres(stack, 18)
  await makeDatabase(server, 'd')
}, buildDeadlineMs)
afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()))
  stores = []
})

const configOf = (url: string, change: Partial<PostgresStoreConfig> = {}): PostgresStoreConfig => {
  const store = storeField.parse(url)
  if (store.kind !== 'postgres') throw new Error('no PostgreSQL')
  return { ...store, trustDomain: 'example.org', env: {}, ...change }
}

async function open(config = configOf(server.url('d'))): Promise<Store> {
  const store = await createPostgresStore(config)
  stores.push(store)
  return store
}

const noon = new Date('2026-01-01T12:00:00.000Z')
const record = (sequence: number) => ({ chain: 'main', sequence, at: noon, mac: Buffer.alloc(32), body: '{}' })
const append = (store: Store, sequence: number) => store.appendRecords({ records: [record(sequence)], spends: [] })
const token = (id: string) => ({
  ...{ id, authenticator: 'first', name: 'web', digest: Buffer.from(id), attributes: {}, uses: 1, usesLeft: 1 },
  createdAt: noon,
  expiresAt: new Date(noon.getTime() + 60_000),
})

/** Milliseconds until `work` succeeds, tried again every 50. */
async function untilItWorks(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  const once = () =>
    work().then(
      () => true,
      () => undefined,
    )
  await poll('the store', 20_000, once, 50)
  return performance.now() - startedMs
}

describe('the schema', () => {
  test('is made by one of many that start at once', async () => {
    await server.query('DROP SCHEMA IF EXISTS apostille CASCADE', 'd')
    await Promise.all(Array.from({ length: 10 }, () => open()))
    expect(await server.query('SELECT version FROM apostille.schema_version', 'd')).toEqual([
      { version: postgresMigrations.length },
    ])
  })

  test.each<[string, string, string, RegExp]>([
    [
      'of a newer program',
      'UPDATE apostille.schema_version SET version = 1000',
      'newer_version',
      /version 1000, and this program knows versions up to \d+: run the newer program/,
    ],
    [
      'of another application',
      'DROP TABLE apostille.schema_version',
      'not_a_store',
      /belongs to another application: name another database/,
    ],
    ['of `dev`', `UPDATE apostille.meta SET value = 'dev'`, 'other_purpose', /was made for `dev`/],
  ])('%s is refused and left as it is', async (_, change, code, message) => {
    await makeDatabase(server, 'refused')
    const config = configOf(server.url('refused'))
    await (await createPostgresStore(config)).close()
    await server.query(change, 'refused')
    await expect(createPostgresStore(config)).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  })

  test('in another encoding is refused', async () => {
    await server.query(`CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0`)
    await expect(createPostgresStore(configOf(server.url('latin')))).rejects.toMatchObject({
      code: 'not_a_store',
      message: expect.stringContaining('LATIN1'),
    })
  })
})

describe('what keeps us from getting in is told', () => {
  test.each<[string, string, RegExp]>([
    ['a database that is not there', 'postgres://apostille@/none?host=FOLDER&port=PORT', /createdb \(3D000\)/],
    ['a user that is not there', 'postgres://nobody@/d?host=FOLDER&port=PORT', /check user, password .*\(28000\)/],
    ['a socket that is not there', 'postgres://apostille@/d?host=FOLDER&port=1', /there is no such socket.*ENOENT/],
    ['a port where nobody listens', 'postgres://apostille@127.0.0.1:1/d', /nobody listens there \(ECONNREFUSED\)/],
    ['a server without TLS', 'postgres://apostille@127.0.0.1:PORT/d?sslmode=verify-full', /does not support SSL/],
  ])('%s', async (_, url, message) => {
    const config = configOf(url.replace('FOLDER', server.folder).replace('PORT', String(server.port)))
    await expect(createPostgresStore(config)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(message),
    })
  })

  test('a user that may make nothing', async () => {
    await server.query('CREATE USER guest')
    await makeDatabase(server, 'closed')
    const config = configOf(server.url('closed').replace(administrator, 'guest'))
    await expect(createPostgresStore(config)).rejects.toMatchObject({ message: expect.stringContaining('42501') })
  })
})

describe('a session', () => {
  test('commits durably, whatever the database says', async () => {
    await server.query('ALTER DATABASE d SET synchronous_commit = off', 'd')
    try {
      const store = await open()
      await append(store, 1)
      const [found] = await server.query(
        `SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'apostille example.org'`,
      )
      expect(found?.['n']).toBeGreaterThan(0)
      // Asked over a lane of the store itself: a trigger tells what the session has.
      await server.query(
        `CREATE TABLE public.seen (value text); CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$;
         CREATE TRIGGER see BEFORE INSERT ON apostille.records FOR EACH ROW EXECUTE FUNCTION see()`,
        'd',
      )
      await append(store, 2)
      expect(await server.query('SELECT DISTINCT value FROM public.seen', 'd')).toEqual([{ value: 'on' }])
    } finally {
      await server.query('DROP TRIGGER see ON apostille.records; ALTER DATABASE d RESET synchronous_commit', 'd')
    }
  })

  test('waits for a lock of others no longer than its deadline, and keeps nothing then', async () => {
    const store = await open()
    await store.createJoinToken(token('locked'))
    const holding = server.query(
      `BEGIN; SELECT * FROM apostille.join_tokens WHERE id = 'locked' FOR UPDATE; SELECT pg_sleep(4); COMMIT`,
      'd',
    )
    await poll('the lock', 5_000, async () => {
      const rows = await server.query(
        `SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep(4)%' AND wait_event = 'PgSleep'`,
      )
      return rows.length > 0 || undefined
    })
    const batch = { records: [record(3)], spends: [{ id: 'locked', at: noon }] }
    await expect(store.appendRecords(batch)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('55P03'),
    })
    await holding
    expect((await store.readJoinToken('locked'))?.usesLeft).toBe(1)
    expect(await store.appendRecords(batch)).toEqual([])
  })

  test('that another ends is made anew by the next that needs one', async () => {
    const store = await open()
    await store.check()
    await server.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'apostille%'`,
    )
    expect(await untilItWorks(() => append(store, 4))).toBeLessThan(2_000)
  })
})

describe('two that change the same', () => {
  test('in another order both come through, one after the other', async () => {
    const [one, two] = [await open(), await open()]
    for (const name of ['x', 'y']) await one.writeDocument(name, 0, 'first')
    const changes = (names: readonly string[], expected: number) =>
      names.map((name) => ({ name, expected, body: `${expected}` }))
    const outcomes = await Promise.all([
      one.appendRecords({ records: [], spends: [], changes: changes(['x', 'y'], 1) }),
      two.appendRecords({ records: [], spends: [], changes: changes(['y', 'x'], 1) }),
    ])
    expect(outcomes.map((failed) => failed.length).sort()).toEqual([0, 2])
    expect((await one.readDocument('x')).version).toBe(2)
  })

  test('a document is never made with a version that one had which is being removed', async () => {
    const [one, two] = [await open(), await open()]
    for (let round = 0; round < 30; round++) {
      const name = `race${round}/a`
      await one.writeDocument(name, 0, 'first')
      await one.writeDocument(name, 1, 'second')
      const [removed] = await Promise.all([one.deleteDocument(name, 2), two.writeDocument(name, 0, 'late')])
      expect(removed).toBe(true)
      const found = await two.readDocument(name)
      if (found.version === 0) await two.writeDocument(name, 0, 'again')
      expect((await two.readDocument(name)).version).toBeGreaterThan(2)
    }
  })

  test('of many that spend the last use one succeeds', async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => open()))
    await all[0]?.createJoinToken(token('last'))
    const spend = (store: Store, index: number) =>
      store.appendRecords({ records: [{ ...record(1), chain: `spend${index}` }], spends: [{ id: 'last', at: noon }] })
    const outcomes = await Promise.all(all.map(spend))
    expect(outcomes.filter((failed) => failed.length === 0)).toHaveLength(1)
    const kept = await Promise.all(all.map((store, index) => store.lastRecord(`spend${index}`)))
    expect(kept.filter((last) => last !== undefined)).toHaveLength(1)
  })
})

describe('a server that', () => {
  test('is frozen is given up in time, and used again within 5 s after it is thawed', async () => {
    const store = await open()
    await store.check()
    await server.freeze()
    const startedMs = performance.now()
    await expect(store.readDocument('a')).rejects.toMatchObject({ code: 'unavailable' })
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    await server.thaw()
    expect(await untilItWorks(() => store.check())).toBeLessThan(5_000)
    expect(await untilItWorks(() => append(store, 10))).toBeLessThan(5_000)
  })

  test('is killed is found again within 5 s after it is back', async () => {
    const store = await open()
    await append(store, 20)
    await server.stop('kill')
    for (let attempt = 0; attempt < 20; attempt++)
      await expect(append(store, 21)).rejects.toMatchObject({ code: 'unavailable' })
    await server.start()
    expect(await untilItWorks(() => append(store, 21))).toBeLessThan(5_000)
    expect((await store.lastRecord('main'))?.sequence).toBe(21)
  })

  test('takes no writes says so, and is read', async () => {
    const store = await open()
    await store.writeDocument('r', 0, 'body')
    await server.query('ALTER DATABASE d SET default_transaction_read_only = on')
    await server.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'apostille%'`,
    )
    await untilItWorks(() => store.readDocument('r'))
    await expect(append(store, 30)).rejects.toMatchObject({ code: 'read_only' })
    await expect(store.check()).rejects.toMatchObject({ code: 'read_only' })
    expect(await store.readDocument('r')).toMatchObject({ body: 'body' })
    const opened = await open()
    expect((await opened.readDocument('r')).version).toBe(1)
    await server.query('SET default_transaction_read_only = off; ALTER DATABASE d RESET default_transaction_read_only')
    expect(await untilItWorks(() => append(store, 30))).toBeLessThan(2_000)
  })
})

describe('over TLS with a password', () => {
  let far: PostgresServer
  let folder: string
  const url = (query: string, host = 'localhost') =>
    `postgres://${administrator}:\${file:${folder}/password}@${host}:${far.port}/d?${query}`

  beforeAll(async () => {
    folder = await makeFolder(stack)
    const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
    execFileSync(
      'openssl',
      [...request, ...names, '-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')],
      {
        stdio: 'ignore',
      },
    )
    await writeFile(join(folder, 'password'), 'first\n')
    far = await startPostgres(stack, 15, { auth: 'scram-sha-256', password: 'first' })
    await far.stop('fast')
    for (const name of ['key.pem', 'cert.pem']) {
      const file = join(far.data, name)
      await copyFile(join(folder, name), file)
      await chmod(file, 0o600)
      if (process.getuid?.() === 0) await chown(file, 65_534, 65_534)
    }
    const settings = `ssl = on\nssl_cert_file = 'cert.pem'\nssl_key_file = 'key.pem'\n`
    await writeFile(join(far.data, 'postgresql.auto.conf'), settings)
    await far.start()
    await makeDatabase(far, 'd')
  }, buildDeadlineMs)

  test('the server is known by its certificate and its name', async () => {
    const store = await open(configOf(url(`sslmode=verify-full&sslrootcert=${folder}/cert.pem`)))
    await append(store, 1)
    const rows = await far.query(
      `SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'apostille%'`,
    )
    expect(rows).toEqual([{ ssl: true }])
  })

  test.each<[string, string, string, RegExp]>([
    ['nobody that is trusted vouches for', 'sslmode=verify-full', 'localhost', /SELF_SIGNED|self-signed/],
    ['has another name', 'sslmode=verify-full&sslrootcert=CERT', '127.0.0.1', /ERR_TLS_CERT_ALTNAME_INVALID/],
  ])('one that %s is refused', async (_, query, host, message) => {
    const config = configOf(url(query.replace('CERT', join(folder, 'cert.pem')), host))
    await expect(createPostgresStore(config)).rejects.toMatchObject({ message: expect.stringMatching(message) })
  })

  test.each(['sslmode=verify-ca&sslrootcert=CERT', 'sslmode=require'])('%s asks for less', async (query) => {
    const store = await open(configOf(url(query.replace('CERT', join(folder, 'cert.pem')), '127.0.0.1')))
    await store.check()
  })

  test('a password that was replaced is read for the next connection, and is in no message', async () => {
    const store = await open(configOf(url(`sslmode=verify-full&sslrootcert=${folder}/cert.pem`)))
    await store.check()
    await far.query(`ALTER USER ${administrator} PASSWORD 'second'`)
    await far.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'apostille%'`)
    const refused = await poll('the refusal', 5_000, () =>
      store.check().then(
        () => undefined,
        (error: Error) => (/28P01/.test(error.message) ? error : undefined),
      ),
    )
    expect(refused.message).not.toContain('first')
    await writeFile(join(folder, 'password'), 'second\n')
    expect(await untilItWorks(() => store.check())).toBeLessThan(3_000)
  })

  test.each<[string, Partial<PostgresStoreConfig>, RegExp]>([
    ['in no file', { password: { file: '/none' } }, /can not be read: \/none \(ENOENT\)/],
    ['in no variable', { password: { env: 'NONE' } }, /NONE is not set/],
  ])('a password that is %s is told', async (_, change, message) => {
    const config = configOf(url(`sslmode=verify-full&sslrootcert=${folder}/cert.pem`), change)
    await expect(createPostgresStore(config)).rejects.toMatchObject({ message: expect.stringMatching(message) })
  })

  test('a server that asks for a password where none is named is told', async () => {
    const { password: _password, ...config } = configOf(url(`sslmode=require`))
    await expect(createPostgresStore(config)).rejects.toMatchObject({
      message: expect.stringContaining('name one in the URL'),
    })
  })
})
