/** The programs that docs/verify-jwt-svid.md shows: they accept our JWT-SVIDs, and nothing else. */
import { createPublicKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { startHttpsServer } from '../support/https-server.ts'
import { ecSigner, hmacSigner, type Members, signToken } from '../support/raw-token.ts'
import { createTestAuthority } from '../support/tls.ts'
import { cleanupAfterAll, makeFolder } from './support/cleanup.ts'
import { poll } from './support/command.ts'
import { startGateway, type TestGateway } from './support/gateway.ts'
import { ask } from './support/https.ts'
import { buildDeadlineMs } from './support/parts.ts'
import { fetchJwtSvid, tamper } from './support/svids.ts'
import {
  buildTokenVerifiers,
  type Settings,
  type TokenVerifiers,
  type Verifier,
  verifierPrograms,
} from './support/token-verifiers.ts'

const api = 'https://api.example.org'
const legacy = 'https://legacy.example.org'
const subject = 'spiffe://example.org/vm/web'

const stack = cleanupAfterAll()
const authority = await createTestAuthority()
let verifiers: TokenVerifiers
let gateway: TestGateway
let settings: Settings
let running: ReadonlyMap<string, Verifier>
let shortLived: string
let ofAnother: string

beforeAll(async () => {
  const folder = await makeFolder(stack)
  const caFile = join(folder, 'ca.pem')
  await writeFile(caFile, authority.ca)
  verifiers = await buildTokenVerifiers(caFile, folder)
  gateway = await startPublicGateway(folder)
  settings = { issuer: gateway.origin, audience: api, trustDomain: 'example.org' }
  running = new Map(verifierPrograms.map((program) => [program.name, verifiers.start(stack, program, settings)]))
  shortLived = await tokenFor(api, { ttl_seconds: 1 })
  ofAnother = await ofAnotherGateway()
}, buildDeadlineMs)

/** Its TLS certificate is of an authority that is not the trust domain's. */
async function startPublicGateway(folder: string): Promise<TestGateway> {
  const { cert, key } = await authority.issue()
  const tls = { certificate: join(folder, 'tls.crt'), key: join(folder, 'tls.key') }
  await Promise.all([writeFile(tls.certificate, cert), writeFile(tls.key, key, { mode: 0o600 })])
  const started = await startGateway(stack, (origin) => ({
    listen: { address: `127.0.0.1:${new URL(origin).port}`, tls },
    authorities: { jwt: { algorithms: ['ES256', 'RS256'], rs256_audiences: [legacy] } },
    authenticators: { first: { type: 'join_token' } },
    identities: [
      {
        from: 'first',
        spiffe_id: '/vm/${proof.name}',
        audiences: [api, legacy],
        claims: { business_line: 'retail', regions: ['eu', 'us'], ünïcode: '✓' },
      },
    ],
  }))
  return { ...started, ask: (path, wanted) => started.ask(path, { ca: authority.ca, ...wanted }) }
}

async function tokenFor(audience: string, more: Members = {}): Promise<string> {
  const bearer = await gateway.joinToken('web')
  const { status, json } = await gateway.ask('/v1/svid/jwt', { bearer, json: { audience: [audience], ...more } })
  expect(status).toBe(200)
  return json.token
}

const decodePart = (token: string, at: 0 | 1): Members =>
  JSON.parse(Buffer.from(token.split('.')[at] ?? '', 'base64url').toString())

async function keyOf(token: string): Promise<JsonWebKey> {
  const { keys } = (await gateway.ask('/keys')).json
  return keys.find(({ kid }: { readonly kid: string }) => kid === decodePart(token, 0)['kid'])
}

function verify(name: string, token: string): Promise<string> {
  const verifier = running.get(name)
  if (verifier === undefined) throw new Error(`${name} is not running`)
  return verifier.verify(token)
}

const claimsOf = (line: string): Members => JSON.parse(line.replace(/^accepted /, ''))

const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey

/** Each from a token that would be accepted. */
const badTokens: readonly (readonly [string, (good: string) => string | Promise<string>])[] = [
  ['no token', () => 'token'],
  ['a token that has expired', expired],
  ['a token for another audience', () => tokenFor(legacy)],
  ['a token of another gateway of the same trust domain', () => ofAnother],
  ['a token without a signature', (good) => `${unsigned(good, 'none')}.`],
  ['a token without a signature, spelt otherwise', (good) => `${unsigned(good, 'nOnE')}.`],
  ['a token whose signature is left out', (good) => `${good.split('.').slice(0, 2).join('.')}.`],
  ['a token with HS256 and our public key, PEM, as its secret', async (good) => keyedBy(good, await publicPem(good))],
  ['a token with HS256 and our public key, JWK, as its secret', async (good) => keyedBy(good, await publicJwk(good))],
  ['a token with a changed byte in its signature', tamper],
  ['a token with changed claims', withOtherClaims],
  ['a token that a stranger signed with the name of our key', (good) => signedByStranger(good, {})],
  ['a token with its own key in its header', (good) => signedByStranger(good, { jwk: strangersJwk() })],
  ['a token whose key nobody knows', (good) => signedByStranger(good, { kid: 'unknown' })],
  ['a token that names no key', (good) => signedByStranger(good, { kid: undefined })],
]

async function expired(): Promise<string> {
  const { exp } = decodePart(shortLived, 1)
  await poll('the end of a token', 5_000, async () => Date.now() >= Number(exp) * 1000 || undefined)
  return shortLived
}

async function ofAnotherGateway(): Promise<string> {
  const other = await startPublicGateway(await makeFolder(stack))
  return fetchJwtSvid(other, await other.joinToken('web'), api)
}

function unsigned(token: string, alg: string): string {
  const header = Buffer.from(JSON.stringify({ ...decodePart(token, 0), alg })).toString('base64url')
  return `${header}.${token.split('.')[1]}`
}

const keyedBy = (token: string, secret: string): string =>
  signToken({ ...decodePart(token, 0), alg: 'HS256' }, decodePart(token, 1), hmacSigner(secret))

const publicJwk = async (token: string): Promise<string> => JSON.stringify(await keyOf(token))

async function publicPem(token: string): Promise<string> {
  const key = createPublicKey({ key: await keyOf(token), format: 'jwk' })
  return key.export({ format: 'pem', type: 'spki' }).toString()
}

function withOtherClaims(token: string): string {
  const [head, , signature] = token.split('.')
  const claims = Buffer.from(JSON.stringify({ ...decodePart(token, 1), business_line: 'wealth' }))
  return [head, claims.toString('base64url'), signature].join('.')
}

const strangersJwk = () => createPublicKey(stranger).export({ format: 'jwk' })

const signedByStranger = (token: string, header: Members): string =>
  signToken({ ...decodePart(token, 0), ...header }, decodePart(token, 1), ecSigner(stranger))

describe.each(verifierPrograms)('$name', (program) => {
  const { name } = program

  test('accepts a JWT-SVID with ES256, and says its claims', async () => {
    const token = await tokenFor(api)
    const line = await verify(name, token)
    expect(line).toMatch(/^accepted /)
    expect(decodePart(token, 0)['alg']).toBe('ES256')
    expect(claimsOf(line)).toMatchObject({ ...decodePart(token, 1), sub: subject, aud: expect.anything() })
  })

  test('accepts a JWT-SVID with RS256', async () => {
    const token = await tokenFor(legacy)
    expect(decodePart(token, 0)['alg']).toBe('RS256')
    const { stdout } = await verifiers.runOver(program, { ...settings, audience: legacy }, [token])
    expect(stdout).toMatch(/^accepted /)
  })

  test.each(badTokens)('refuses %s', async (_, makeBad) => {
    const bad = await makeBad(await tokenFor(api))
    expect(await verify(name, bad)).toMatch(/^refused \S/)
  })

  test('refuses a token about a workload of a trust domain that is not the one expected', async () => {
    const token = await tokenFor(api)
    const { stdout } = await verifiers.runOver(program, { ...settings, trustDomain: 'example.or' }, [token])
    expect(stdout).toMatch(/^refused \S/)
  })

  test('accepts nothing when the discovery document is of another issuer', async () => {
    await using imposter = await startIssuer(() => gateway.origin)
    const { stdout, code } = await verifiers.runOver(program, { ...settings, issuer: imposter.origin }, [
      await tokenFor(api),
    ])
    expect(stdout).not.toContain('accepted')
    expect(code !== 0 || stdout.startsWith('refused')).toBe(true)
  })

  test('refuses an issuer that is not the one expected, and asks for keys as often as the page says', async () => {
    await using other = await startIssuer((origin) => origin)
    const token = await tokenFor(api)
    const unknown = Array.from({ length: 11 }, (_, n) => signedByStranger(token, { kid: `unknown-${n}` }))
    const { stdout } = await verifiers.runOver(program, { ...settings, issuer: other.origin }, [token, ...unknown])
    expect(stdout).toMatch(/^(?:refused \S.*\n){12}$/)
    expect(other.keyRequests()).toBe(program.keyRequests)
  })
})

/** Publishes our keys as its own. */
async function startIssuer(issuerOf: (origin: string) => string) {
  const { text } = await gateway.ask('/keys')
  let keyRequests = 0
  const server = await startHttpsServer(await authority.issue(), (request, response) => {
    if (request.url === '/keys') keyRequests++
    const discovery = {
      issuer: issuerOf(server.origin),
      jwks_uri: `${server.origin}/keys`,
      authorization_endpoint: `${server.origin}/authorize`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256', 'RS256'],
    }
    response.setHeader('content-type', 'application/json')
    response.end(request.url === '/keys' ? text : JSON.stringify(discovery))
  })
  return { ...server, keyRequests: () => keyRequests, [Symbol.asyncDispose]: server.close }
}

describe('after a rotation', () => {
  async function activateNext(): Promise<void> {
    const json = { action: 'activate', ring: 'jwt/ES256', force: true }
    const { status } = await ask('http://admin/v1/authorities', {
      socketPath: join(gateway.folder, 'admin.sock'),
      json,
    })
    expect(status).toBe(200)
  }

  test('all accept what the next authority signs, whose key was published before', async () => {
    const before = decodePart(await tokenFor(api), 0)['kid']
    await activateNext()
    const token = await tokenFor(api)
    expect(decodePart(token, 0)['kid']).not.toBe(before)
    for (const { name } of verifierPrograms) expect([name, await verify(name, token)]).toEqual([name, accepted])
  })

  test('all read keys again for a key that is newer than theirs, once their cool-down is over', async () => {
    await activateNext()
    await activateNext()
    const token = await tokenFor(api)
    await Promise.all(
      verifierPrograms.map(({ name }) =>
        poll(name, 45_000, async () => (await verify(name, token)).startsWith('accepted') || undefined),
      ),
    )
    for (const { name } of verifierPrograms) expect([name, await verify(name, token)]).toEqual([name, accepted])
  })

  const accepted = expect.stringMatching(/^accepted \{.*"sub": ?"spiffe:\/\/example\.org\/vm\/web"/)
})
