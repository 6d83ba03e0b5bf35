import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { createConnectUpstream } from '../../src/adapters/connect-upstream.node.ts'
import { createFileReader } from '../../src/adapters/file-reader.node.ts'
import { createJoinEqual } from '../../src/adapters/join-equal.ts'
import { createVaultSource } from '../../src/adapters/sources/vault.ts'
import { sourceSchema, type VaultSourceDocument } from '../../src/core/config-sources.ts'
import type { SecretSource } from '../../src/core/secret-source.ts'
import { secretSourceContract } from '../contracts/secret-source.ts'
import { createFakeClock, type FakeClock } from '../support/fake-upstream.ts'
import { cleanupAfterAll } from './support/cleanup.ts'
import { startGateway, type TestGateway } from './support/gateway.ts'
import { ask } from './support/https.ts'
import { buildDeadlineMs } from './support/parts.ts'
import { fetchJwtSvid, tamper } from './support/svids.ts'
import { startVault, type Vault } from './support/vault.ts'

const stack = cleanupAfterAll()
const { signal } = new AbortController()
let vault: Vault
let gateway: TestGateway
let proof: string

beforeAll(async () => {
  vault = await startVault(stack)
  gateway = await startGateway(stack, {
    authenticators: { first: { type: 'join_token' } },
    identities: [{ from: 'first', spiffe_id: '/sync/${proof.name}', audiences: ['vault', 'other'] }],
  })
  proof = await gateway.joinToken('team')
  const jwksUri = { jwks_url: `${gateway.origin}/keys`, jwks_ca_pem: gateway.bundle }
  const discovery = { oidc_discovery_url: gateway.origin, oidc_discovery_ca_pem: gateway.bundle }
  await enableLogin('jwks', { ...jwksUri, bound_issuer: gateway.origin })
  await enableLogin('discovery', { ...discovery, bound_issuer: gateway.origin })
  await enableLogin('issuer', { ...discovery, bound_issuer: 'https://other.example.org' })
  await enableLogin('algorithm', { ...discovery, jwt_supported_algs: ['RS256'] })
  await vault.must('sys/auth/unconfigured', { json: { type: 'jwt' } })
  await writePolicy('everything', 'path "*" { capabilities = ["read", "list"] }')
  await writePolicy(
    'web',
    'path "secret/data/web/*" { capabilities = ["read"] }\npath "secret/metadata/web/*" { capabilities = ["list"] }',
  )
}, buildDeadlineMs)

async function enableLogin(mount: string, config: object): Promise<void> {
  await vault.must(`sys/auth/${mount}`, { json: { type: 'jwt' } })
  await vault.must(`auth/${mount}/config`, { json: config })
  const role = {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_audiences: ['vault'],
    bound_claims_type: 'glob',
    bound_claims: { sub: 'spiffe://example.org/sync/*' },
    token_policies: ['everything'],
  }
  const stranger = { ...role, bound_claims: { sub: 'spiffe://example.org/web' } }
  const bound = { ...role, bound_claims: undefined, bound_subject: 'spiffe://example.org/web' }
  const claims = { ...role, bound_claims: { team: 'payments' } }
  const roles = { sync: role, web: { ...role, token_policies: ['web'] }, stranger, bound, claims }
  for (const [name, json] of Object.entries(roles)) await vault.must(`auth/${mount}/role/${name}`, { json })
}

async function writePolicy(name: string, policy: string): Promise<void> {
  await vault.must(`sys/policies/acl/${name}`, { json: { policy } })
}

interface Opened {
  readonly source: SecretSource
  readonly clock: FakeClock
  readonly read: SecretSource['read'] extends (path: string, signal: AbortSignal) => infer R
    ? (path: string) => R
    : never
  readonly list: (prefix?: string) => Promise<readonly string[]>
}

const mintToken = (audience: string) => fetchJwtSvid(gateway, proof, audience)

function open(document: object = {}, token = mintToken): Opened {
  const clock = createFakeClock()
  const least = {
    type: 'vault',
    address: vault.origin,
    ca_file: vault.caFile,
    auth_mount: 'jwks',
    role: 'sync',
    audience: 'vault',
  }
  const source = createVaultSource(
    { name: 'team', document: sourceSchema.parse({ ...least, ...document }) as VaultSourceDocument, token },
    {
      connect: createConnectUpstream({ files: createFileReader(), monotonicMs: performance.now.bind(performance) }),
      joinEqual: createJoinEqual(),
      now: () => new Date(),
      monotonicMs: clock.monotonicMs,
    },
  )
  stack.defer(async () => source.close?.())
  return {
    source,
    clock,
    read: (path) => source.read(path, signal),
    list: async (prefix = '') =>
      (await Array.fromAsync(source.list({ prefix, signal }))).flat().map(({ path }) => path),
  }
}

const put = (path: string, data: object, mount = 'secret') => vault.must(`${mount}/data/${path}`, { json: { data } })
const fields = async (opened: Opened, path: string) => (await opened.read(path))?.content

let engines = 0

secretSourceContract('a real Vault', async () => {
  const mount = `kv-${engines++}`
  await vault.mountKv(mount)
  const { source } = open({ mount })
  return {
    source,
    put: async (path, value) => void (await put(path, { value }, mount)),
    remove: async (path) => void (await vault.must(`${mount}/metadata/${path}`, { method: 'DELETE' })),
    contentOf: (value) => ({ kind: 'fields', fields: { value } }),
    breakDown: async () => void (await vault.must(`sys/mounts/${mount}`, { method: 'DELETE' })),
    close: async () => void (await vault.api(`sys/mounts/${mount}`, { method: 'DELETE' })),
  }
})

describe('login', () => {
  test.each(['jwks', 'discovery'])('Vault verifies our token by %s', async (auth_mount) => {
    await put('web/db', { password: 'one' })
    expect(await fields(open({ auth_mount }), 'web/db')).toEqual({ kind: 'fields', fields: { password: 'one' } })
  })

  test('one login serves many readings, and the token is given back at the end', async () => {
    const before = await tokensOfOurs()
    const { source, read } = open()
    await Promise.all(Array.from({ length: 20 }, () => read('web/db')))
    expect(await tokensOfOurs()).toBe(before + 1)
    await source.close?.()
    expect(await tokensOfOurs()).toBe(before)
  })

  test('a token that Vault revoked is replaced', async () => {
    await put('web/db', { password: 'one' })
    const opened = open()
    await opened.read('web/db')
    await vault.must('sys/leases/revoke-prefix/auth/jwks/login', { json: { sync: true } })
    expect(await fields(opened, 'web/db')).toMatchObject({ fields: { password: 'one' } })
  })

  test('a key of ours that is replaced in the middle is followed', async () => {
    await put('web/db', { password: 'one' })
    const kids: unknown[] = []
    const opened = open({}, async (audience) => {
      const token = await mintToken(audience)
      kids.push(JSON.parse(Buffer.from(token.split('.', 1)[0] ?? '', 'base64url').toString()).kid)
      return token
    })
    await opened.read('web/db')
    await rotate('jwt/ES256')
    opened.clock.advance(32 * 86_400_000)
    expect(await fields(opened, 'web/db')).toMatchObject({ fields: { password: 'one' } })
    expect(new Set(kids).size).toBe(2)
  })

  test.each([
    ['another audience', { audience: 'other' }, 'forbidden', 'audience'],
    ['another subject', { role: 'stranger' }, 'forbidden', 'subject'],
    ['another subject yet', { role: 'bound' }, 'forbidden', 'subject'],
    ['a claim that our token has not', { role: 'claims' }, 'forbidden', 'claims'],
    ['no such role', { role: 'none' }, 'forbidden', 'no_role'],
    ['another issuer', { auth_mount: 'issuer' }, 'forbidden', 'issuer'],
    ['another algorithm', { auth_mount: 'algorithm' }, 'forbidden', 'algorithm'],
    ['a login without configuration', { auth_mount: 'unconfigured' }, 'forbidden', 'not_configured'],
    ['no login there', { auth_mount: 'none' }, 'forbidden', 'no_login'],
  ])('what is refused says what to change: %s', async (_, document, kind, code) => {
    await expect(open(document).read('web/db')).rejects.toMatchObject({
      kind,
      code,
      message: expect.stringMatching(/^the login: Vault says '.+'; ./),
    })
  })

  test('a token that was changed is refused, and is not in what is said', async () => {
    const token = tamper(await mintToken('vault'))
    const error: Error = await open({}, async () => token)
      .read('web/db')
      .then(
        () => {
          throw new Error('it was taken')
        },
        (found) => found,
      )
    expect(error).toMatchObject({ kind: 'forbidden', code: 'signature' })
    expect(error.message).not.toContain(token.slice(-20))
  })

  test('keys that Vault can not read say so', async () => {
    await using other = new AsyncDisposableStack()
    const gone = await startGateway(other, {})
    await enableLogin('gone', { jwks_url: `${gone.origin}/keys`, jwks_ca_pem: gone.bundle })
    await other.disposeAsync()
    await expect(open({ auth_mount: 'gone' }).read('web/db')).rejects.toMatchObject({
      kind: 'unreachable',
      code: 'no_keys',
    })
  })

  test('no trust in the certificate of Vault, no token for it', async () => {
    const tokens: string[] = []
    const opened = open({ ca_file: gateway.bundleFile }, async () => `${tokens.push('x')}`)
    await expect(opened.read('web/db')).rejects.toMatchObject({
      kind: 'refused',
      code: 'tls',
      message: expect.stringContaining('ca_file'),
    })
  })
})

describe('policies of Vault', () => {
  test('what they permit is listed and read, from the folder of the prefix on', async () => {
    await put('web/a/b', { x: '1' })
    const opened = open({ role: 'web' })
    expect(await opened.list('web/a/')).toEqual(['web/a/b'])
    expect(await fields(opened, 'web/a/b')).toMatchObject({ fields: { x: '1' } })
  })

  test('what they do not permit says what to write', async () => {
    const opened = open({ role: 'web' })
    await expect(opened.read('other/db')).rejects.toMatchObject({
      kind: 'forbidden',
      message: "the secret other/db: Vault says 'permission denied'; permit read on secret/data/other/db",
    })
    await expect(opened.list('')).rejects.toMatchObject({
      kind: 'forbidden',
      message: "the list of secret/: Vault says 'permission denied'; permit list on secret/metadata/",
    })
    await expect(open({ role: 'web', mount: 'elsewhere' }).list('')).rejects.toMatchObject({ kind: 'forbidden' })
  })
})

describe('versions', () => {
  test('a new one is read, and a deleted or destroyed one is not until it is undeleted', async () => {
    const opened = open()
    await put('web/v', { n: 'one' })
    const first = await opened.read('web/v')
    await put('web/v', { n: 'two' })
    const second = await opened.read('web/v')
    expect([first?.revision, second?.revision]).toEqual([expect.stringMatching(/^1@/), expect.stringMatching(/^2@/)])
    await vault.must('secret/data/web/v', { method: 'DELETE' })
    expect(await opened.read('web/v')).toBeUndefined()
    expect(await opened.list('web/v')).toEqual(['web/v'])
    await vault.must('secret/undelete/web/v', { json: { versions: [2] } })
    expect(await opened.read('web/v')).toEqual(second)
    await vault.must('secret/destroy/web/v', { json: { versions: [2] } })
    expect(await opened.read('web/v')).toBeUndefined()
  })

  test('values come as they are', async () => {
    const data = { text: 'ü\n\u0000"', number: 1.5, yes: true, nothing: null, deep: { list: [1, 'two', { three: 3 }] } }
    await put('web/all', data)
    expect(await fields(open(), 'web/all')).toEqual({ kind: 'fields', fields: data })
  })

  test('names come as they are', async () => {
    const opened = open()
    for (const name of ['a b', 'ü%', 'q?x=1#y', 'plus+', "it's"]) {
      await put(`names/${encodeURIComponent(name)}`, { name })
      expect(await fields(opened, `names/${name}`)).toMatchObject({ fields: { name } })
    }
    expect((await opened.list('names/')).toSorted()).toEqual([
      'names/a b',
      "names/it's",
      'names/plus+',
      'names/q?x=1#y',
      'names/ü%',
    ])
  })
})

describe('a server that is not well', () => {
  test('a quota is to be waited for', async () => {
    await vault.must('sys/quotas/rate-limit/kv', { json: { rate: 2, interval: '60s', path: 'secret' } })
    const { read } = open()
    const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => read('web/db')))
    await vault.must('sys/quotas/rate-limit/kv', { method: 'DELETE' })
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
    expect(refused.length).toBeGreaterThan(0)
    for (const { reason } of refused) expect(reason).toMatchObject({ kind: 'throttled', code: 'rate_limited' })
  })

  test('one that is sealed says so, and serves again once it is not', async () => {
    const opened = open()
    await put('web/db', { password: 'one' })
    await opened.read('web/db')
    await vault.seal()
    await expect(opened.read('web/db')).rejects.toMatchObject({
      kind: 'unreachable',
      code: 'sealed',
      message: expect.stringContaining(`unseal ${vault.origin}`),
    })
    await expect(opened.list()).rejects.toMatchObject({ code: 'sealed' })
    await expect(open().list()).rejects.toMatchObject({ code: 'sealed' })
    await vault.unseal()
    expect(await fields(opened, 'web/db')).toMatchObject({ fields: { password: 'one' } })
  })

  test('a KV v1 engine is no empty one', async () => {
    await vault.must('sys/mounts/old', { json: { type: 'kv', options: { version: '1' } } })
    await vault.must('old/web/db', { json: { password: 'one' } })
    await expect(open({ mount: 'old' }).list()).rejects.toMatchObject({
      kind: 'refused',
      code: 'not_kv2',
      message: expect.stringContaining('KV v1'),
    })
  })
})

/** Logins by `jwks` that are still good. */
async function tokensOfOurs(): Promise<number> {
  const { json } = await vault.api('sys/leases/lookup/auth/jwks/login/?list=true')
  return (json.data?.keys ?? []).length
}

/** As an operator does it at once. */
async function rotate(ring: string): Promise<void> {
  const socketPath = join(gateway.folder, 'admin.sock')
  for (const change of [
    { action: 'prepare', ring },
    { action: 'activate', ring, force: true },
  ]) {
    const { status, text } = await ask('http://admin/v1/authorities', { socketPath, json: change })
    if (status !== 200) throw new Error(`${change.action}: ${status} ${text}`)
  }
}
