import { describe, expect, test } from 'vitest'
import { type HttpAnswer, type HttpRequest, UpstreamError } from '../../../src/adapters/http-client.ts'
import { createJoinEqual } from '../../../src/adapters/join-equal.ts'
import { createVaultSource } from '../../../src/adapters/sources/vault.ts'
import { sourceSchema, type VaultSourceDocument } from '../../../src/core/config-sources.ts'
import { SourceError } from '../../../src/core/secret-source.ts'
import { secretSourceContract } from '../../contracts/secret-source.ts'
import { createFakeClock } from '../../support/fake-upstream.ts'
import { answerOf, createVaultDouble, errorsOf, type VaultDouble, vaultOrigin } from '../../support/vault-double.ts'

const { signal } = new AbortController()
const least = { type: 'vault', address: vaultOrigin, role: 'sync', audience: 'vault' }

function setUp(document: object = {}) {
  const vault = createVaultDouble()
  const clock = createFakeClock()
  const audiences: string[] = []
  const source = createVaultSource(
    {
      name: 'team',
      document: sourceSchema.parse({ ...least, ...document }) as VaultSourceDocument,
      token: async (audience) => `jwt-for-${audience}.${audiences.push(audience)}`,
    },
    {
      connect: vault.connect,
      joinEqual: createJoinEqual(),
      now: () => new Date('2026-11-23T12:00:00Z'),
      monotonicMs: clock.monotonicMs,
    },
  )
  const list = async (prefix = '') =>
    (await Array.fromAsync(source.list({ prefix, signal }))).flat().map(({ path }) => path)
  const failure = async (run: Promise<unknown>): Promise<SourceError> => {
    const error = await run.then(
      () => new Error('it did not fail'),
      (found: unknown) => found,
    )
    if (!(error instanceof SourceError)) throw error
    return error
  }
  return { vault, source, audiences, list, failure, read: (path: string) => source.read(path, signal), ...clock }
}

secretSourceContract('vault', async () => {
  const { vault, source } = setUp()
  return {
    source,
    put: (path, value) => vault.put(path, { value }),
    remove: vault.purge,
    contentOf: (value) => ({ kind: 'fields', fields: { value } }),
    breakDown: () => {
      vault.engine = { type: 'kv', options: null }
      vault.fault = ({ url }) => (url.includes('/data/') ? errorsOf(500, 'internal error') : undefined)
    },
    close: async () => {},
  }
})

describe('where it goes', () => {
  test('only to the host of address, with the authorities of ca_file', () => {
    const { vault } = setUp({ ca_file: '/ca.pem' })
    expect(vault.places).toMatchObject([{ hosts: ['vault.example.org'], caFile: '/ca.pem' }])
  })

  test('names go into the path as they are, and the namespace into its header', async () => {
    const { vault, read } = setUp({ namespace: 'team/a', address: `${vaultOrigin}/` })
    vault.put('a b/ü%/?x', { value: 'x' })
    const seen: unknown[] = []
    vault.fault = ({ headers }) => void seen.push(headers?.['x-vault-namespace'])
    expect(await read('a b/ü%/?x')).toMatchObject({ content: { fields: { value: 'x' } } })
    expect(vault.asked.at(-1)).toBe('GET secret/data/a%20b/%C3%BC%25/%3Fx')
    expect(seen).toEqual(['team/a', 'team/a'])
  })

  test('mounts may have slashes at their ends and within', async () => {
    const { vault, read } = setUp({ mount: '/kv/team/', auth_mount: '/jwt/' })
    vault.fault = ({ url }) => (url.includes('/kv/') ? errorsOf(404) : undefined)
    expect(await read('a')).toBeUndefined()
    expect(vault.asked).toEqual(['POST auth/jwt/login', 'GET kv/team/data/a'])
  })

  test('a listing begins in the folder that the prefix leads to', async () => {
    const { vault, list } = setUp()
    vault.put('a/b/c', {})
    vault.permitted = 'a/'
    expect(await list('a/b')).toEqual(['a/b/c'])
    expect(vault.asked.slice(2)).toEqual(['GET secret/metadata/a/?list=true', 'GET secret/metadata/a/b/?list=true'])
  })

  test.each(['.', '..', 'a/../b', 'a/.'])('a name out of dots is never asked for: %s', async (path) => {
    const { vault, read, failure } = setUp()
    expect(await failure(read(path))).toMatchObject({ kind: 'unreadable', message: expect.stringContaining(path) })
    expect(vault.asked).toEqual([])
  })

  test('a folder out of dots can not be listed', async () => {
    const { vault, list, failure } = setUp()
    vault.put('a/../b', {})
    expect(await failure(list('a/'))).toMatchObject({
      kind: 'unreadable',
      message: expect.stringMatching(/^a\/\.\.\//),
    })
  })
})

test('folders within folders without end are left', async () => {
  const { vault, list, failure } = setUp()
  vault.put('x/y', { value: 'x' })
  let listings = 0
  vault.fault = ({ url }) => {
    if (!url.includes('list=true')) return undefined
    if (++listings > 10_000) throw new Error('it never ends')
    return answerOf(200, { data: { keys: ['x/'] } })
  }
  const { kind, message } = await failure(list())
  expect([kind, message.length < 200]).toEqual(['unreadable', true])
})

describe('login', () => {
  test('is made once, with a token for the audience', async () => {
    const { vault, audiences, read } = setUp()
    vault.put('a', { value: 'x' })
    await Promise.all([read('a'), read('a'), read('a')])
    await read('a')
    expect(audiences).toEqual(['vault'])
    expect(vault.asked.filter((asked) => asked.includes('login'))).toEqual(['POST auth/jwt/login'])
  })

  test.each([
    ['at two thirds of its life', 60, 39_999, 1],
    ['never where it has no end', 0, 40 * 86_400_000, 0],
  ])('is made again %s', async (_, leaseSeconds, quietMs, more) => {
    const { vault, audiences, read, advance } = setUp()
    vault.leaseSeconds = leaseSeconds
    await read('a')
    advance(quietMs)
    await read('a')
    expect(audiences).toHaveLength(1)
    advance(1)
    await read('a')
    expect(audiences).toHaveLength(1 + more)
  })

  test('is made again when the token was revoked, once', async () => {
    const { vault, audiences, read, failure } = setUp()
    vault.put('a', { value: 'x' })
    await read('a')
    vault.revokeAll()
    expect(await Promise.all([read('a'), read('a')])).toMatchObject([{ path: 'a' }, { path: 'a' }])
    expect(audiences).toHaveLength(2)
    vault.fault = ({ url }) => {
      if (!url.includes('login')) vault.revokeAll()
      return undefined
    }
    expect(await failure(read('a'))).toMatchObject({ kind: 'forbidden', code: 'permission_denied' })
    expect(audiences).toHaveLength(3)
  })

  test('is not made again because something is not permitted', async () => {
    const { vault, audiences, read, failure } = setUp()
    vault.permitted = 'a/'
    await failure(read('b'))
    await failure(read('b'))
    expect(audiences).toHaveLength(1)
  })

  test('that fails is tried anew by the next request', async () => {
    const { vault, read, failure } = setUp()
    vault.fault = () => errorsOf(503, 'Vault is sealed')
    await failure(read('a'))
    vault.fault = () => undefined
    expect(await read('a')).toBeUndefined()
  })

  test('gives the token back at the end, and hears of no failure there', async () => {
    const { vault, source, read } = setUp()
    await read('a')
    await source.close?.()
    expect([vault.tokens.size, vault.closed()]).toEqual([0, true])
    const again = setUp()
    await again.read('a')
    again.vault.fault = () => new UpstreamError('network', 'away')
    await again.source.close?.()
    const never = setUp()
    await never.source.close?.()
    expect(never.vault.asked).toEqual([])
  })

  test('what keeps us from signing is passed on', async () => {
    const { source } = setUp()
    const error = new SourceError('forbidden', 'a policy forbids it', { code: 'not_entitled' })
    const denied = createVaultSource(
      { name: 'team', document: sourceSchema.parse(least) as VaultSourceDocument, token: () => Promise.reject(error) },
      { ...createVaultDouble(), joinEqual: createJoinEqual(), now: () => new Date(), monotonicMs: () => 0 },
    )
    await expect(denied.read('a', signal)).rejects.toBe(error)
    await source.close?.()
  })
})

describe('versions', () => {
  test('the revision names the version and when it was made', async () => {
    const { vault, read } = setUp()
    vault.put('a', { value: 'x' })
    vault.put('a', { value: 'y' })
    expect(await read('a')).toEqual({
      path: 'a',
      revision: '2@2026-11-23T07:09:42.000456789Z',
      version: '2',
      content: { kind: 'fields', fields: { value: 'y' } },
    })
  })

  test.each(['deleteLatest', 'destroyLatest'] as const)(
    'after %s there is nothing to read, and the name is still listed',
    async (how) => {
      const { vault, read, list } = setUp()
      vault.put('a', { value: 'x' })
      vault[how]('a')
      expect(await read('a')).toBeUndefined()
      expect(await list()).toEqual(['a'])
    },
  )

  test('a number that would not be kept as it is is refused, and not shown', async () => {
    const { vault, read, failure } = setUp()
    vault.put('a', { deep: [{ n: 2 ** 64 }] })
    const { kind, message } = await failure(read('a'))
    expect([kind, message]).toEqual(['unreadable', 'a: a whole number above 2^53 is not kept as it is: make it text'])
  })
})

/** What a request comes to: its kind, code, and a part of what operators read. */
type Outcome = readonly [kind: string, code: string, says: string]

describe('what goes wrong', () => {
  /** Answers every request so. */
  const always = (answer: HttpAnswer | UpstreamError) => () => answer
  const afterLogin = (answer: HttpAnswer) => (request: HttpRequest) =>
    request.url.includes('login') ? undefined : answer
  const noActive = 'local node not active but active cluster node not found'
  const overQuota = 'request path "secret/data/a": rate limit quota exceeded'
  const redirected = new UpstreamError('redirect', 'vault answered with a redirect (307)', { status: 307 })
  const late = new UpstreamError('timeout', 'vault did not answer within 5000 ms')
  const loginWith = (auth: object) => answerOf(200, { auth })

  test.each<[string, VaultDouble['fault'], Outcome]>([
    ['it is sealed', always(errorsOf(503, 'Vault is sealed')), ['unreachable', 'sealed', `unseal ${vaultOrigin}`]],
    ['no active server', always(errorsOf(500, noActive)), ['unreachable', 'standby', 'has no active server']],
    ['a standby that redirects', always(redirected), ['refused', 'redirect', 'let address name the active server']],
    ['a quota', always(errorsOf(429, overQuota)), ['throttled', 'rate_limited', 'quota of Vault']],
    [
      'not replicated',
      always(errorsOf(412, 'index state not present')),
      ['unreachable', 'not_replicated', 'index state'],
    ],
    [
      'an internal error',
      always(errorsOf(500, 'internal error')),
      ['unreachable', 'http_500', "says 'internal error'"],
    ],
    ['a proxy', always(answerOf(502, '<html>bad gateway</html>')), ['unreachable', 'http_502', 'no answer of Vault']],
    ['a proxy without a way', afterLogin(answerOf(404, 'nothing')), ['unreachable', 'http_404', 'no answer of Vault']],
    ['no answer', always(late), ['unreachable', 'timeout', 'did not answer']],
    ['no trust', always(new UpstreamError('tls', 'no trust in vault')), ['refused', 'tls', 'ca_file']],
    ['too much', always(new UpstreamError('too_large', 'too many bytes')), ['unreadable', 'too_large', 'larger than']],
    ['no answer of Vault', afterLogin(answerOf(200, { data: [] })), ['unreachable', 'malformed', 'no Vault answers']],
    ['an empty token', always(loginWith({ client_token: '' })), ['unreachable', 'malformed', 'a login']],
    [
      'no life',
      always(loginWith({ client_token: 'x', lease_duration: '1h' })),
      ['unreachable', 'malformed', 'a login'],
    ],
    ['an unknown no', afterLogin(errorsOf(400, 'what is this')), ['refused', 'http_400', 'what is this']],
    ['nothing said', afterLogin(errorsOf(400)), ['refused', 'http_400', 'no reason is given']],
  ])('%s', async (_, fault, [kind, code, says]) => {
    const { vault, read, list, failure } = setUp()
    vault.fault = fault
    for (const run of [() => read('a'), () => list()])
      expect(await failure(run())).toMatchObject({ kind, code, message: expect.stringContaining(says) })
  })

  test.each<[string, string, Outcome]>([
    ['auth/jwt not enabled', 'permission denied', ['forbidden', 'no_login', 'auth/jwt']],
    ['no configuration', 'could not load configuration', ['forbidden', 'not_configured', 'write auth/jwt/config']],
    ['no such role', 'role "sync" could not be found', ['forbidden', 'no_role', 'write auth/jwt/role/sync']],
    [
      'another audience',
      'error validating token: invalid audience (aud) claim: audience claim does not match any expected audience',
      ['forbidden', 'audience', 'bound_audiences of sync'],
    ],
    [
      'another subject',
      'error validating claims: claim "sub" does not match any associated bound claim values',
      ['forbidden', 'subject', 'SPIFFE ID of the sync'],
    ],
    [
      'another subject yet',
      'error validating token: invalid subject (sub) claim',
      ['forbidden', 'subject', 'bound_subject'],
    ],
    [
      'a claim we have not',
      'error validating claims: claim "team" is missing',
      ['forbidden', 'claims', 'our token has not'],
    ],
    [
      'another issuer',
      'error validating token: invalid issuer (iss) claim',
      ['forbidden', 'issuer', 'letter by letter'],
    ],
    [
      'clocks',
      'error validating token: invalid expiration time (exp) claim: token is expired',
      ['forbidden', 'clock', 'clock of Vault'],
    ],
    [
      'an algorithm',
      'error validating token: invalid algorithm (alg) header parameter: token signed with unexpected algorithm',
      ['forbidden', 'algorithm', 'jwt_supported_algs'],
    ],
    [
      'other keys',
      'error validating token: error verifying token signature: no known key successfully validated the token signature',
      ['forbidden', 'signature', 'our key set'],
    ],
    [
      'keys out of reach',
      'error validating token: error verifying token signature: fetching keys oidc: get keys failed Get "https://id.example.org/keys": dial tcp 127.0.0.1:1: connect: connection refused',
      ['unreachable', 'no_keys', 'jwks_url'],
    ],
    ['something new', 'error validating token: the moon is full', ['refused', 'http_400', 'the moon is full']],
  ])('a login that is refused: %s', async (_, text, [kind, code, says]) => {
    const { vault, read, failure } = setUp({ namespace: 'team' })
    vault.fault = () => errorsOf(code === 'no_login' ? 403 : 400, text)
    const error = await failure(read('a'))
    expect(error).toMatchObject({ kind, code, message: expect.stringContaining(says) })
    expect(error.message).toMatch(/^the login: Vault says '/)
    if (code === 'no_login') expect(error.message).toContain('in the namespace team')
  })

  test('what a policy of Vault has to permit is said', async () => {
    const { vault, read, list, failure } = setUp()
    vault.permitted = 'nothing'
    expect((await failure(read('a/b'))).message).toBe(
      "the secret a/b: Vault says 'permission denied'; permit read on secret/data/a/b",
    )
    expect((await failure(list('a/'))).message).toBe(
      "the list of secret/a/: Vault says 'permission denied'; permit list on secret/metadata/a/",
    )
  })

  test.each<[string, VaultDouble['engine'], string]>([
    ['KV v1', { type: 'kv', options: { version: '1' } }, 'KV v1 is mounted at secret'],
    ['KV v1 without options', { type: 'kv', options: null }, 'vault kv enable-versioning secret'],
    ['another engine', { type: 'pki', options: null }, 'pki is mounted'],
  ])('%s is no empty engine', async (_, engine, says) => {
    const { vault, list, failure } = setUp()
    vault.engine = engine
    expect(await failure(list())).toMatchObject({
      kind: 'refused',
      code: 'not_kv2',
      message: expect.stringContaining(says),
    })
  })

  test('an engine that is taken away meanwhile is not empty', async () => {
    const { vault, list, failure } = setUp()
    const gone = errorsOf(404, 'no handler for route "secret/metadata/". route entry not found.')
    vault.fault = ({ url }) => (url.includes('metadata') ? gone : undefined)
    expect(await failure(list())).toMatchObject({
      kind: 'refused',
      code: 'no_such_mount',
      message: expect.stringContaining('nothing is mounted at secret'),
    })
  })

  test('an engine that is not there is none that is empty', async () => {
    const { list, failure } = setUp({ mount: 'other' })
    expect(await failure(list())).toMatchObject({
      kind: 'forbidden',
      message: expect.stringContaining('something below other/, or let mount name what there is'),
    })
  })

  test.each([[{ keys: 'a' }], [{ keys: ['a//'] }], [{ keys: ['/'] }], [{ keys: [1] }], [{}]])(
    'a listing that is none: %j',
    async (data) => {
      const { vault, list, failure } = setUp()
      vault.fault = ({ url }) => (url.includes('metadata') ? answerOf(200, { data }) : undefined)
      expect(await failure(list())).toMatchObject({ kind: 'unreachable', code: 'malformed' })
    },
  )

  test('how long to wait is passed on', async () => {
    const { vault, read, failure } = setUp()
    vault.fault = () => answerOf(429, { errors: ['slow down'] }, { 'retry-after': '7' })
    expect(await failure(read('a'))).toMatchObject({ kind: 'throttled', retryAfterSeconds: 7 })
  })

  test('nothing secret is in what is said', async () => {
    const { vault, read, failure } = setUp()
    vault.fault = ({ url, body, headers }) =>
      url.includes('login') ? errorsOf(400, `what is ${body} ${JSON.stringify(headers)}`) : undefined
    const { message } = await failure(read('a'))
    expect(message).toContain('what is')
    expect(message).not.toContain('jwt-for-vault.1')
    vault.fault = ({ url, headers }) =>
      url.includes('login') ? undefined : errorsOf(400, `token ${headers?.['x-vault-token']}`)
    expect((await failure(read('a'))).message).not.toContain('s'.repeat(20))
  })

  test('whoever waits no longer gets no answer', async () => {
    const { source, failure } = setUp()
    expect(await failure(source.read('a', AbortSignal.abort()))).toMatchObject({ kind: 'unreachable' })
  })
})
