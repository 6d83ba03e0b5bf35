import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { destinationContract } from '../../contracts/secret-destination.ts'
import { startAzureStore } from '../../support/azure-store-world.ts'
import { type KeyVaultSecret, setKeyVaultSecret } from '../../support/clouds/key-vault-state.ts'
import { failureOf, listAll, owner, pushOf, turnOf } from '../../support/destination-world.ts'
import { type Members, type Scripted, type ScriptedCloud, startScriptedCloud } from '../../support/exchanger.ts'

destinationContract({
  type: 'azure-key-vault',
  start: startAzureStore,
  listsEdits: true,
  createsAlone: false,
  recovers: true,
  pageSize: 25,
  tagged: { tags: { team: 'payments' } },
  badNames: ['', 'with space', 'ümlaut', 'x'.repeat(128), 'a/b', 'under_score', 'dot.dot'],
  tellsPause: true,
  refuse: (message) => ({ status: 400, body: JSON.stringify({ error: { code: 'BadParameter', message } }) }),
})

describe('at Azure', () => {
  let there: Awaited<ReturnType<typeof startAzureStore>>

  beforeAll(async () => {
    there = await startAzureStore()
  })
  beforeEach(() => there.reset())
  afterAll(() => there.close())

  const write = (name: string, value: string, document: Members = {}, changes = {}) =>
    there.open(document).write(pushOf(name, value, changes), turnOf())
  const find = (name: string) => there.open().find(name, turnOf())
  const secret = () => there.state.secrets.get('db') as KeyVaultSecret

  test('creating and changing are two requests each', async () => {
    const { id, version } = await write('db', 'one')
    expect([id, version]).toEqual([`${there.store.url}/secrets/db`, secret().versions[0]?.id])
    await write('db', 'two')
    expect(there.store.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /secrets/db/versions',
      'PUT /secrets/db',
      'GET /secrets/db/versions',
      'PUT /secrets/db',
    ])
  })

  test('every version carries all tags', async () => {
    await write('db', 'one', { tags: { team: 'payments' } })
    there.setTag('db', 'costs', '42')
    await write('db', 'two', { tags: { team: 'payments' } })
    expect(secret().versions.map(({ tags }) => [tags['team'], tags['costs'], tags['apostille-owner']])).toEqual([
      ['payments', '42', owner],
      ['payments', '42', owner],
    ])
  })

  test('names are one whatever their case', async () => {
    await write('db', 'one')
    expect((await write('DB', 'two')).outcome).toBe('updated')
    expect(secret().versions).toHaveLength(2)
  })

  test('a content type is set, and changed without a version', async () => {
    await write('db', 'one', { content_type: 'text/plain' })
    expect(secret().versions[0]?.contentType).toBe('text/plain')
    expect((await write('db', 'one', { content_type: 'application/json' })).outcome).toBe('marked')
    expect(secret().versions.map(({ contentType }) => contentType)).toEqual(['application/json'])
    expect((await write('db', 'one', { content_type: 'application/json' })).outcome).toBe('unchanged')
  })

  test('an empty value is one', async () => {
    await write('db', '')
    expect(there.read('db')).toBe('')
  })

  test('tags of others that leave no room are told before anything is written', async () => {
    const tags = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`tag-${n}`, 'x']))
    setKeyVaultSecret(there.state, 'db', there.identity.now, { value: 'x', tags })
    const failure = await failureOf(write('db', 'one', {}, { adopts: true }))
    expect([failure.kind, failure.code]).toEqual(['refused', 'too_many_tags'])
    expect(secret().versions).toHaveLength(1)
  })

  test('an edit that copies our tags is found when it is looked at closely', async () => {
    await write('db', 'one')
    const [ours] = secret().versions
    setKeyVaultSecret(there.state, 'db', there.identity.now, { value: 'by hand', tags: ours?.tags ?? {} })
    expect(await find('db')).toMatchObject({ state: 'edited', stamp: { owner } })
    expect((await write('db', 'one')).outcome).toBe('updated')
  })

  test('a secret that somebody disabled is edited', async () => {
    await write('db', 'one')
    Object.assign(secret().versions[0] ?? {}, { enabled: false })
    expect(await find('db')).toMatchObject({ state: 'edited' })
    expect(await listAll(there.open())).toMatchObject([{ state: 'edited' }])
    expect((await write('db', 'one')).outcome).toBe('updated')
  })

  test('a secret of many versions is looked at in pages', async () => {
    for (let n = 0; n < 60; n++) await write('db', `value ${n}`)
    there.store.calm()
    expect((await write('db', 'value 59')).outcome).toBe('unchanged')
    expect(there.store.requests).toHaveLength(3)
  })

  describe('a deleted secret', () => {
    async function removed(): Promise<void> {
      await write('db', 'one')
      await there.open().remove('db', owner, turnOf())
      there.store.calm()
    }

    test('is waited for while it is taken back', async () => {
      await removed()
      there.state.settleSeconds = 7
      expect((await write('db', 'two')).outcome).toBe('recovered')
      expect(there.read('db')).toBe('two')
      const looks = there.store.requests.filter(({ path }) => path === '/secrets/db/versions')
      expect(looks.length).toBeGreaterThan(3)
    })

    test('is left to the next attempt where that takes longer', async () => {
      await removed()
      there.state.settleSeconds = 3600
      expect(await failureOf(write('db', 'two'))).toMatchObject({ kind: 'busy', retryAfterSeconds: 5 })
      expect(await failureOf(write('db', 'two'))).toMatchObject({ kind: 'busy', code: 'ObjectIsBeingRecovered' })
      there.identity.now = new Date(there.identity.now.getTime() + 3_600_000 - 60_000)
      secret().settledAt = there.identity.now
      expect((await write('db', 'two')).outcome).toBe('updated')
    })

    test('is left to the next attempt where the time of this one is over', async () => {
      await removed()
      there.state.settleSeconds = 3600
      const deadline = new AbortController()
      there.identity.onPause = () => deadline.abort()
      const failure = await failureOf(there.open().write(pushOf('db', 'two'), turnOf(deadline.signal)))
      expect([failure.kind, failure.code, failure.retryAfterSeconds]).toEqual(['busy', 'ObjectIsBeingRecovered', 5])
    })

    test('is waited for while it is being deleted', async () => {
      there.state.settleSeconds = 60
      await removed()
      expect(await failureOf(write('db', 'two'))).toMatchObject({ kind: 'busy', code: 'ObjectIsBeingDeleted' })
      expect(await there.open().remove('db', owner, turnOf())).toMatchObject({ outcome: 'absent' })
    })

    test('is left alone where the destination says so', async () => {
      await removed()
      const failure = await failureOf(write('db', 'two', { recover: false }))
      expect([failure.kind, failure.fix]).toEqual(['blocked_deleted', expect.stringContaining('recover: true')])
      expect(there.store.requests.filter(there.isWrite).map(({ method }) => method)).toEqual(['PUT'])
    })

    test('that was purged in the meantime is tried again', async () => {
      await removed()
      const act = () => void there.state.secrets.delete('db')
      there.store.inject({ kind: 'overtaken', act }, 1, ({ path }) => path.startsWith('/deletedsecrets/'))
      expect((await failureOf(write('db', 'two'))).kind).toBe('busy')
      expect((await write('db', 'two')).outcome).toBe('created')
    })
  })

  describe('a vault that says what it is told', () => {
    let scripted: ScriptedCloud

    beforeEach(async () => {
      scripted = await startScriptedCloud()
    })
    afterEach(() => scripted.close())

    const json = (members: unknown, status = 200): Scripted => ({ status, body: JSON.stringify(members) })
    const at = () => there.open({ vault_url: scripted.url, ca_file: scripted.caFile })

    test('leads nowhere by the link to the next page', async () => {
      const nextLink = 'https://evil.example/secrets?$skiptoken=abc&api-version=7.4'
      scripted.script(json({ value: [], nextLink }), json({ value: [], nextLink: null }))
      expect(await listAll(at())).toEqual([])
      expect(scripted.requests.map(({ path }) => path)).toEqual([
        '/secrets?api-version=7.4&maxresults=25',
        '/secrets?api-version=7.4&maxresults=25&%24skiptoken=abc',
      ])
    })

    test('leads nobody around in a circle', async () => {
      const around = json({ value: [], nextLink: 'https://x.example/secrets?$skiptoken=abc' })
      scripted.script(around, around, around)
      expect(await failureOf(listAll(at()))).toMatchObject({ kind: 'refused', code: 'endless' })
    })

    test.each([
      ['a page without a list', json({})],
      ['a next page that is none', json({ value: [], nextLink: 'https://x.example/' })],
    ])('is not understood with %s', async (_, answer) => {
      scripted.script(answer)
      expect((await failureOf(listAll(at()))).code).toBe('malformed')
    })

    test('is not understood without the id of a version', async () => {
      scripted.script(json({ value: [] }), json({ id: `${scripted.url}/secrets/db` }))
      expect((await failureOf(at().write(pushOf('db', 'x'), turnOf()))).code).toBe('malformed')
    })

    test('that has no such secret in its own way has none', async () => {
      scripted.script(json({ error: { code: 'SecretNotFound', message: 'no' } }, 404))
      expect(await at().find('db', turnOf())).toBeUndefined()
    })

    const policy =
      "The user, group or application 'appid=1;oid=2' does not have secrets set permission on key vault 'payments;location=westeurope'."

    test.each([
      ['ForbiddenByPolicy', 403, policy, 'secret permission set'],
      ['AccessDenied', 403, policy, 'secret permission set'],
      ['ForbiddenByFirewall', 403, 'Client address is not authorized.', 'firewall'],
      ['ForbiddenByConnection', 403, 'Public network access is disabled.', 'private endpoint'],
    ])('%s is told with what to do', async (code, status, message, fix) => {
      scripted.script(json({ error: { code: 'Forbidden', message, innererror: { code } } }, status))
      const failure = await failureOf(listAll(at()))
      expect([failure.kind, failure.code, failure.fix]).toEqual(['forbidden', code, expect.stringContaining(fix)])
    })
  })
})
