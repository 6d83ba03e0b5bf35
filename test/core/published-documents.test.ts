import { X509Certificate } from 'node:crypto'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Ring, RingPlan } from '../../src/core/authority-plan.ts'
import type { PublishedDocument } from '../../src/core/published-documents.ts'
import { parsePem } from '../../src/protocol/encoding.ts'
import { parseSpiffeId } from '../../src/protocol/spiffe-id.ts'
import { createTestAuthorities, type TestAuthorities } from '../support/authorities.ts'
import { testNow } from '../support/certificate-authority.ts'

const week = 7 * 86_400
const algorithms = ['ES256', 'ES384', 'RS256'] as const
const plansOf = (...used: readonly (typeof algorithms)[number][]): readonly RingPlan[] => [
  { ring: 'x509', algorithm: 'ES256', ttlSeconds: week },
  ...used.map((algorithm): RingPlan => ({ ring: `jwt/${algorithm}`, algorithm, ttlSeconds: week })),
]

type Jwk = Readonly<Record<string, unknown>>

const read = ({ body }: PublishedDocument) =>
  JSON.parse(Buffer.from(body).toString()) as Readonly<Record<string, unknown>> & { readonly keys: readonly Jwk[] }

let world: TestAuthorities
const documents = () => world.authorities.current().documents

beforeAll(async () => {
  world = createTestAuthorities({ plans: plansOf('ES256', 'RS256') })
  await world.authorities.refresh()
})

describe('discovery', () => {
  test('has what AWS, Azure and Google ask for', () => {
    expect(read(documents().discovery)).toEqual({
      issuer: 'https://id.example.org',
      jwks_uri: 'https://id.example.org/keys',
      authorization_endpoint: expect.any(String),
      token_endpoint: 'https://id.example.org/token',
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256', 'RS256'],
      claims_supported: expect.arrayContaining(['iss', 'sub', 'aud', 'exp', 'iat']),
      grant_types_supported: ['urn:ietf:params:oauth:grant-type:token-exchange'],
      token_endpoint_auth_methods_supported: ['none'],
    })
  })

  test.each([
    ['https://id.example.org/tenant/a', 'https://id.example.org/tenant/a/keys'],
    ['https://id.example.org/', 'https://id.example.org/keys'],
  ])('of issuer %s names its keys below it', async (issuer, jwksUri) => {
    const other = createTestAuthorities({ plans: plansOf('ES256') })
    other.issuer = issuer
    await other.authorities.refresh()
    const discovery = read(other.authorities.current().documents.discovery)
    expect(discovery).toMatchObject({ issuer, jwks_uri: jwksUri })
  })
})

describe('the key set', () => {
  test('holds the JWT keys, for signatures, each under its kid and with its algorithm', () => {
    const { keys } = read(documents().keys)
    expect(keys).toHaveLength(4)
    for (const key of keys) {
      const isRsa = key['kty'] === 'RSA'
      const own = isRsa
        ? { n: expect.any(String), e: 'AQAB' }
        : { crv: 'P-256', x: expect.any(String), y: expect.any(String) }
      expect(key).toEqual({
        kty: key['kty'],
        use: 'sig',
        alg: isRsa ? 'RS256' : 'ES256',
        kid: expect.stringMatching(/./),
        ...own,
      })
    }
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(4)
  })

  test('names no key of a certificate, and nothing private', () => {
    const text = Buffer.from(documents().keys.body).toString()
    expect(text).not.toMatch(/x5c|jwt-svid|x509-svid|spiffe|"d"|"p"|"q"/)
  })

  test.each(['ES256', 'RS256'] as const)('another library verifies %s with it', async (algorithm) => {
    const { token } = await world.authorities
      .current()
      .jwt(algorithm)
      .svids.issue({
        spiffeId: parseSpiffeId('spiffe://example.org/web'),
        ...{ audience: ['a'], now: testNow, ttlSeconds: 300, jti: 'j', claims: {} },
      })
    const keys = createLocalJWKSet(read(documents().keys) as never)
    const { payload } = await jwtVerify(token, keys, {
      ...{ audience: 'a', issuer: 'https://id.example.org', currentDate: testNow, algorithms: [algorithm] },
    })
    expect(payload.sub).toBe('spiffe://example.org/web')
  })

  test('has at most four keys for each algorithm at any time, which for two keeps it below ten', async () => {
    const own = createTestAuthorities({ plans: plansOf('ES256', 'ES384') })
    for (let hours = 0; hours < 24 * 20; hours += 7) {
      await own.authorities.refresh()
      expect(read(own.authorities.current().documents.keys).keys.length).toBeLessThanOrEqual(8)
      own.pass(7 * 3600)
    }
  })

  test('has three for each algorithm once the five minutes after a rotation are over', async () => {
    const own = createTestAuthorities({ plans: plansOf('ES256', 'ES384') })
    await own.authorities.refresh()
    for (let slot = 0; slot < 4; slot++) {
      own.pass(week / 3)
      await own.authorities.refresh()
      own.pass(300)
      await own.authorities.refresh()
      expect(read(own.authorities.current().documents.keys).keys).toHaveLength(6)
    }
  })
})

describe('the bundle', () => {
  test('holds certificates and JWT keys, each with its use and nothing more than SPIFFE names', () => {
    const bundle = read(documents().bundle)
    expect(Object.keys(bundle).sort()).toEqual(['keys', 'spiffe_refresh_hint', 'spiffe_sequence'])
    expect(bundle['spiffe_sequence']).toBe(Math.floor(testNow.getTime() / 1000))
    expect(bundle['spiffe_refresh_hint']).toBe(300)
    const members = bundle.keys.map((key) => `${key['use']} ${key['kty']}: ${Object.keys(key).sort().join(' ')}`)
    expect([...new Set(members)].sort()).toEqual([
      'jwt-svid EC: crv kid kty use x y',
      'jwt-svid RSA: e kid kty n use',
      'x509-svid EC: crv kty use x x5c y',
    ])
    expect(bundle.keys).toHaveLength(6)
  })

  test('has one certificate in each x5c, which is that of an authority of the trust domain', () => {
    const chains = read(documents().bundle).keys.flatMap((key) => (key['x5c'] ? [key['x5c'] as string[]] : []))
    expect(chains.map((chain) => chain.length)).toEqual([1, 1])
    for (const [der = ''] of chains) {
      const certificate = new X509Certificate(Buffer.from(der, 'base64'))
      expect(certificate.ca).toBe(true)
      expect(certificate.subjectAltName).toBe('URI:spiffe://example.org')
      expect(certificate.verify(certificate.publicKey)).toBe(true)
    }
  })

  test('has the same kids as the key set', () => {
    const kids = (document: PublishedDocument) =>
      read(document)
        .keys.flatMap(({ kid }) => kid ?? [])
        .sort()
    expect(kids(documents().bundle)).toEqual(kids(documents().keys))
  })

  test('as PEM holds the certificates alone', () => {
    const text = Buffer.from(documents().bundlePem.body).toString()
    const chains = read(documents().bundle).keys.flatMap((key) => (key['x5c'] ? (key['x5c'] as string[]) : []))
    expect(parsePem('CERTIFICATE', text).map((der) => der.toString('base64'))).toEqual(chains)
    expect(text).not.toContain('PRIVATE')
  })

  test('changes with every change of an authority, and so does its sequence', async () => {
    const own = createTestAuthorities({ plans: plansOf('ES256') })
    await own.authorities.refresh()
    const seen: { readonly etag: string; readonly sequence: number }[] = []
    const look = () => {
      const { documents: now, sequence } = own.authorities.current()
      seen.push({ etag: now.bundle.etag, sequence })
    }
    look()
    for (const ring of ['x509', 'jwt/ES256'] as readonly Ring[]) {
      await own.authorities.change({ action: 'prepare', ring })
      look()
    }
    expect(new Set(seen.map(({ etag }) => etag)).size).toBe(3)
    expect(seen.map(({ sequence }, index) => sequence - (seen[0]?.sequence ?? 0) - index)).toEqual([0, 0, 0])
  })
})

test('each is served with its type, a strong validator, and an age that the rotation allows', () => {
  const types = {
    discovery: 'application/json',
    keys: 'application/jwk-set+json',
    bundle: 'application/json',
    bundlePem: 'application/x-pem-file',
  } as const
  for (const [name, contentType] of Object.entries(types)) {
    const document = documents()[name as keyof typeof types]
    expect(document).toMatchObject({ contentType, maxAgeSeconds: 300, etag: expect.stringMatching(/^"[\w-]{27}"$/) })
  }
})
