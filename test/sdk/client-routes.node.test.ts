/** Each method of a client at a real gateway, over TLS. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  ApostilleError,
  type Client,
  type ClientOptions,
  createClient,
  createIssuerKeys,
  createJwtSource,
  parseTrustBundle,
  parseTrustDomain,
  verifyJwtSvid,
} from '../../src/node.ts'
import { makeKey, requestText } from '../../src/sdk/new-key.node.ts'
import { readX509Svid } from '../../src/sdk/x509-svid.node.ts'
import { type SdkGateway, startSdkGateway } from '../support/sdk-gateway.ts'

const api = 'https://api.example.org'
let world: SdkGateway
let client: Client

const clientOf = (name: string, options: Partial<ClientOptions> = {}) =>
  createClient({ ...world.optionsOf(name), ...options })

beforeAll(async () => {
  world = await startSdkGateway()
  client = clientOf('build')
})
afterAll(() => world?.close())

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error = await work.catch((thrown: unknown) => thrown)
  if (!(error instanceof ApostilleError)) throw new Error('it should have failed')
  return error.code
}

test('identities', async () => {
  expect(await client.listIdentities()).toEqual([
    {
      spiffeId: 'spiffe://example.org/ci/build',
      audiences: [api, 'https://db.example.org'],
      dnsNames: [],
      x509TtlSeconds: 3600,
      jwtTtlSeconds: 300,
    },
    expect.objectContaining({ spiffeId: 'spiffe://example.org/build' }),
  ])
  const { token } = await world.gateway().joinToken({ uses: 2 })
  const [machine] = await clientOf('x', { token }).listIdentities()
  expect(machine).toMatchObject({ hint: 'machine', dnsNames: ['one.vm.example.org'] })
})

test('a JWT-SVID, verified by the bundle and by the issuer', async () => {
  const audience = [api, 'https://db.example.org']
  const { token, spiffeId, expiresAt } = await client.getJwtSvid({ audience, ttlSeconds: 100 })
  expect(spiffeId).toBe('spiffe://example.org/ci/build')
  expect(expiresAt.getTime() - Date.now()).toBeLessThanOrEqual(100_000)
  const bundle = parseTrustBundle(parseTrustDomain('example.org'), await client.getBundle())
  const { caFile } = world.optionsOf('x')
  const issuer = createIssuerKeys({ issuer: world.url, trustDomain: 'example.org', caFile })
  for (const keys of [bundle, issuer])
    expect((await verifyJwtSvid(token, { keys, audience: api })).audience).toEqual(audience)
})

test('an X.509-SVID', async () => {
  const key = await makeKey('ec-p384')
  const issued = await client.getX509Svid({ csr: await requestText(key), ttlSeconds: 60 })
  expect(readX509Svid(issued.certificates, key.privateKey).spiffeId.uri).toBe(issued.spiffeId)
  expect(issued.bundle).toContain('BEGIN CERTIFICATE')
})

test('a batch, each with its SVID or why there is none', async () => {
  const csr = await requestText(await makeKey('ec-p256'))
  const [jwt, refused, x509, wrong] = await client.getSvids([
    { jwt: { audience: api } },
    { jwt: { audience: 'https://other.example' } },
    { x509: { csr, ttlSeconds: 60 } },
    { x509: { csr: 'none' } },
  ])
  if (jwt instanceof ApostilleError || x509 instanceof ApostilleError) throw new Error('it should have been given')
  expect([jwt.spiffeId, x509.spiffeId]).toEqual(Array(2).fill('spiffe://example.org/ci/build'))
  expect(jwt.token).toMatch(/^ey/)
  expect(x509.certificates).toContain('BEGIN CERTIFICATE')
  expect(refused).toMatchObject({ name: 'ApostilleError', code: 'not_entitled', status: 403 })
  expect(wrong).toMatchObject({ code: 'malformed_request', status: 400, requestId: expect.any(String) })
})

test('a bundle takes no proof, and one that there is not is told', async () => {
  const nobody = clientOf('x', { token: () => Promise.reject(new Error('asked for a proof')) })
  expect(JSON.parse(await nobody.getBundle())).toHaveProperty('keys')
  expect(await codeOf(nobody.getBundle('other.example'))).toBe('not_found')
})

test('a target that there is not', async () => {
  expect(await codeOf(client.getCredential('nowhere'))).toBe('not_entitled')
})

test('a proof in a file is read anew for each request', async () => {
  const tokenFile = join(world.gateway().folder, 'token')
  const { token: _unused, ...rest } = world.optionsOf('x')
  const fromFile = createClient({ ...rest, tokenFile })
  const ids: string[] = []
  for (const name of ['first', 'second']) {
    writeFileSync(tokenFile, `${world.tokenOf(name)}\n`)
    const [identity] = await fromFile.listIdentities()
    ids.push(identity?.spiffeId ?? '')
  }
  expect(ids).toEqual(['spiffe://example.org/ci/first', 'spiffe://example.org/ci/second'])
  expect(readFileSync(tokenFile, 'utf8')).not.toBe('')
})

test('JWT-SVIDs of a source are used again, by audience', async () => {
  const tokens = createJwtSource(world.optionsOf('cache'))
  const [first, same, other] = await Promise.all([
    tokens.get(api),
    tokens.get(api),
    tokens.get('https://db.example.org'),
  ])
  expect(same.token).toBe(first.token)
  expect(other.token).not.toBe(first.token)
  expect(await codeOf(tokens.get('https://other.example'))).toBe('not_entitled')
})

test('a fetch of a source shows the token of its audience', async () => {
  const tokens = createJwtSource(world.optionsOf('fetch'))
  const seen: [string, string | null][] = []
  const asApi = tokens.fetchAs(api, async (input, init) => {
    seen.push([String(input), new Headers(init?.headers).get('authorization')])
    return new Response('ok')
  })
  await asApi('https://api.example.org/a', { headers: { 'x-mine': '1' } })
  expect(seen).toEqual([['https://api.example.org/a', `Bearer ${(await tokens.get(api)).token}`]])
})

test.each([
  ['a secret', () => client.kv.write('team/../other', { a: 1 })],
  ['a folder', () => client.kv.list('..')],
  ['a target', () => client.getCredential('..')],
  ['a trust domain', () => client.getBundle('.')],
])('%s whose name leads elsewhere is not asked for', async (_, ask) => {
  expect(await codeOf(ask())).toBe('usage')
})

describe('secrets', () => {
  test('are written, read, patched and listed', async () => {
    const { kv } = client
    const written = await kv.write('team/db', { user: 'a', password: 'b' }, { cas: 0 })
    expect(written).toEqual({ version: 1, createdAt: expect.any(Date), destroyed: false })
    expect(await kv.patch('team/db', { password: 'c' })).toMatchObject({ version: 2 })
    expect(await kv.read('team/db')).toEqual({
      version: 2,
      createdAt: expect.any(Date),
      destroyed: false,
      data: { user: 'a', password: 'c' },
    })
    expect((await kv.read('team/db', { version: 1 })).data).toEqual({ user: 'a', password: 'b' })
    await kv.write('team/a/x', { k: 1 })
    expect(await kv.list('team')).toEqual({ keys: ['a/', 'db'] })
    expect(await kv.list('team', { limit: 1 })).toEqual({ keys: ['a/'], next: 'a/' })
    expect(await kv.list('team', { limit: 1, after: 'a/' })).toEqual({ keys: ['db'] })
  })

  test('have a history, are taken away, brought back and destroyed', async () => {
    const { kv } = client
    await kv.write('team/old', { a: 1 })
    await kv.write('team/old', { a: 2 })
    await kv.configure('team/old', { customMetadata: { owner: 'x' }, maxVersions: 3, casRequired: true })
    await kv.delete('team/old')
    expect(await codeOf(kv.read('team/old'))).toBe('not_found')
    expect(await kv.history('team/old')).toEqual({
      currentVersion: 2,
      maxVersions: 3,
      casRequired: true,
      customMetadata: { owner: 'x' },
      versions: [
        { version: 1, createdAt: expect.any(Date), destroyed: false },
        { version: 2, createdAt: expect.any(Date), deletedAt: expect.any(Date), destroyed: false },
      ],
    })
    await kv.undelete('team/old', [2])
    expect((await kv.read('team/old')).data).toEqual({ a: 2 })
    await kv.delete('team/old', [1])
    await kv.destroy('team/old', [1])
    expect((await kv.history('team/old')).versions[0]).toMatchObject({ destroyed: true })
    await kv.purge('team/old')
    expect(await codeOf(kv.history('team/old'))).toBe('not_found')
  })

  test('are refused by code', async () => {
    const { kv } = client
    await kv.write('team/cas', { a: 1 })
    expect(await codeOf(kv.write('team/cas', { a: 2 }, { cas: 7 }))).toBe('conflict')
    expect(await codeOf(kv.write('other/x', { a: 1 }))).toBe('not_entitled')
    expect(await codeOf(kv.write('team/ä', { a: 1 }))).toBe('malformed_request')
  })
})
