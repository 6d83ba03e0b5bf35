import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { createSpiffeAuthenticator } from '../../../src/adapters/authenticators/spiffe.ts'
import type { Proof } from '../../../src/core/authenticate.ts'
import { signIntermediate } from '../../../src/core/sign-intermediate.ts'
import { parseCertificate } from '../../../src/protocol/certificate.ts'
import { derExtension } from '../../../src/protocol/certificate-writer.ts'
import type { DerPart } from '../../../src/protocol/der-writer.ts'
import { type FirstProof, firstProofOid, formatFirstProof } from '../../../src/protocol/first-proof.ts'
import { parseSpiffeId, parseTrustDomain } from '../../../src/protocol/spiffe-id.ts'
import { buildX509Svid, createX509Authority, validateX509Svid } from '../../../src/protocol/x509-svid.ts'
import { createTestAuthorities, type TestAuthorities } from '../../support/authorities.ts'
import { createTestAuthority, makeTestKey, testNow } from '../../support/certificate-authority.ts'
import { makeCsr } from '../../support/csr.ts'
import { ecSigner, signToken } from '../../support/raw-token.ts'

const issuer = 'https://id.example.org'
const spiffeId = parseSpiffeId('spiffe://example.org/ns/web')
const config = { type: 'spiffe', name: 'ours', trust_domain: parseTrustDomain('example.org') } as const
const firstProof: FirstProof = { ruleDigest: 'ab'.repeat(32), at: testNow, joinToken: '00ff' }
const later = (seconds: number) => new Date(testNow.getTime() + seconds * 1000)
const week = 7 * 86_400

let world: TestAuthorities
beforeAll(async () => {
  world = await running()
})

async function running(): Promise<TestAuthorities> {
  const made = createTestAuthorities()
  await made.authorities.refresh()
  return made
}

const authenticatorOf = ({ authorities }: TestAuthorities) =>
  createSpiffeAuthenticator(config, {
    trustDomain: config.trust_domain,
    ours: authorities.current,
    bundleOf: () => undefined,
  })

const authenticate = (proof: Proof, now = testNow, of = world) => authenticatorOf(of).authenticate(proof, now)

interface JwtWishes {
  readonly audience?: readonly string[]
  readonly ttlSeconds?: number
  readonly claims?: Readonly<Record<string, unknown>>
  readonly of?: TestAuthorities
}

async function jwt({
  audience = [issuer],
  ttlSeconds = 3600,
  claims = {},
  of = world,
}: JwtWishes = {}): Promise<Proof> {
  const { svids } = of.authorities.current().jwt('ES256')
  const { token } = await svids.issue({ spiffeId, audience, now: testNow, ttlSeconds, jti: 'j', claims })
  return { kind: 'bearer', token }
}

const workload = makeTestKey()

interface X509Wishes {
  readonly extension?: Uint8Array | 'none'
  readonly ttlSeconds?: number
  readonly dnsNames?: readonly string[]
  readonly of?: TestAuthorities
}

async function x509({ extension, ttlSeconds = 3600, dnsNames = [], of = world }: X509Wishes = {}): Promise<Proof> {
  const value = extension ?? formatFirstProof(firstProof)
  const { authority, chain } = of.authorities.current().x509()
  const { certificate } = await buildX509Svid(authority, {
    ...{ spiffeId, publicKeyInfo: workload.publicKeyInfo, serialNumber: randomBytes(16), now: testNow },
    ...{ ttlSeconds, dnsNames, ...(value !== 'none' && { extension: { oid: firstProofOid, value } }) },
  })
  return { kind: 'certificate', chain: [certificate, ...chain] }
}

const firstProofExtension = (): DerPart => derExtension(firstProofOid, 'not critical', formatFirstProof(firstProof))

const rejected = (reason: RegExp) =>
  expect.objectContaining({ name: 'Refusal', code: 'proof_rejected', reason: expect.stringMatching(reason) })

test('an X.509-SVID of ours with more certificates beside it than are read is rejected', async () => {
  const proof = await x509()
  if (proof.kind !== 'certificate') throw new Error('no chain')
  const [leaf = Buffer.of()] = proof.chain
  const chainOf = (length: number): Proof => ({ kind: 'certificate', chain: Array.from({ length }, () => leaf) })
  expect((await authenticate(chainOf(8))).identity.recorded).toEqual({ spiffe_id: spiffeId.uri })
  await expect(authenticate(chainOf(9))).rejects.toThrow(rejected(/chain length/))
})

describe('a JWT-SVID of ours', () => {
  test('says who its bearer is, and is good for that alone', async () => {
    const { identity, reusableUntil } = await authenticate(await jwt({ claims: { team: 'a' } }))
    expect(identity).toEqual({
      authenticator: 'ours',
      type: 'spiffe',
      attributes: {
        ...{ spiffe_id: spiffeId.uri, trust_domain: 'example.org', path: '/ns/web' },
        claims: expect.objectContaining({ team: 'a', sub: spiffeId.uri, aud: issuer }),
      },
      recorded: { spiffe_id: spiffeId.uri },
      use: { kind: 'identity_only', spiffeId },
    })
    expect(reusableUntil).toEqual(later(300))
  })

  test('is not used again after its expiry', async () => {
    expect((await authenticate(await jwt({ ttlSeconds: 60 }))).reusableUntil).toEqual(later(60))
  })

  test.each<readonly [string, JwtWishes, number, RegExp]>([
    ['for another audience', { audience: ['https://api.example.org'] }, 0, /jwt_audience/],
    ['for our issuer and another', { audience: [issuer, 'https://api.example.org'] }, 0, /other audiences beside/],
    ['for our issuer twice', { audience: [issuer, issuer] }, 0, /other audiences beside/],
    ['for our issuer with a slash', { audience: [`${issuer}/`] }, 0, /jwt_audience/],
    ['that expires now', { ttlSeconds: 60 }, 60, /jwt_expired/],
    ['that expired a second ago', { ttlSeconds: 60 }, 61, /jwt_expired/],
    ['from the future', {}, -31, /jwt_not_yet_valid/],
  ])('%s is rejected', async (_, wishes, seconds, reason) => {
    await expect(authenticate(await jwt(wishes), later(seconds))).rejects.toThrow(rejected(reason))
  })

  test('is good to its last second, and from half a minute before it was made', async () => {
    for (const seconds of [59, -30]) await authenticate(await jwt({ ttlSeconds: 60 }), later(seconds))
  })

  test('with anything changed is rejected', async () => {
    const proof = await jwt()
    const token = proof.kind === 'bearer' ? proof.token : ''
    for (const at of [5, 60, token.lastIndexOf('.') - 3, token.length - 5]) {
      const changed = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`
      await expect(authenticate({ kind: 'bearer', token: changed })).rejects.toThrow(rejected(/./))
    }
  })

  const foreign = makeTestKey()
  const now = testNow.getTime() / 1000
  const claims = { iss: issuer, sub: spiffeId.uri, aud: issuer, exp: now + 60, iat: now, nbf: now, jti: 'j' }

  test.each([
    [
      'under the kid of ours',
      () => ({ alg: 'ES256', kid: world.one('active', 'jwt/ES256').id, typ: 'JWT' }),
      claims,
      /does not verify/,
    ],
    ['under no kid', () => ({ alg: 'ES256' }), claims, /does not verify/],
    ['under its own kid', () => ({ alg: 'ES256', kid: 'mine' }), claims, /no such key/],
    ['that brings its key', () => ({ alg: 'ES256', jwk: {} }), claims, /closed set/],
    [
      'for another trust domain',
      () => ({ alg: 'ES256' }),
      { ...claims, sub: 'spiffe://other.example/a' },
      /no such key/,
    ],
  ])('of a foreign key %s is rejected', async (_, header, payload, reason) => {
    const token = signToken(header(), payload, ecSigner(foreign.privateKey))
    await expect(authenticate({ kind: 'bearer', token })).rejects.toThrow(rejected(reason))
  })

  test.each(['', 'a.b.c', 'apo_join_x', `${'a'.repeat(20_000)}`])('that is none is rejected', async (token) => {
    await expect(authenticate({ kind: 'bearer', token })).rejects.toThrow(rejected(/./))
  })

  test('is good while its authority retires, and no more once that is tainted or revoked', async () => {
    for (const [action, reason] of [
      ['taint', 'tainted'],
      ['revoke', 'no such key'],
    ] as const) {
      const own = await running()
      const proof = await jwt({ of: own })
      const { id } = own.one('active', 'jwt/ES256')
      await own.authorities.change({ action: 'activate', ring: 'jwt/ES256', force: true })
      await authenticate(proof, testNow, own)
      await own.authorities.change({ action, id })
      const told = reason === 'tainted' ? `: signed by the tainted authority ${id}$` : reason
      await expect(authenticate(proof, testNow, own)).rejects.toThrow(rejected(new RegExp(told)))
    }
  })

  test('of a tainted authority is not told as such where something else is wrong with it, too', async () => {
    const own = await running()
    const proof = await jwt({ of: own, ttlSeconds: 60 })
    await own.authorities.change({ action: 'taint', id: own.one('active', 'jwt/ES256').id })
    await expect(authenticate(proof, later(61), own)).rejects.toThrow(rejected(/no such key/))
  })

  test('what was remembered of it ends with the set of authorities that it was verified with', async () => {
    const own = await running()
    const { stillHolds } = await authenticate(await jwt({ of: own }), testNow, own)
    expect(stillHolds?.()).toBe(true)
    await own.authorities.refresh()
    expect(stillHolds?.()).toBe(true)
    await own.authorities.change({ action: 'taint', id: own.one('active', 'jwt/ES256').id })
    expect(stillHolds?.()).toBe(false)
  })
})

describe('an X.509-SVID of ours', () => {
  test('is good to be renewed: with its first proof and its DNS names', async () => {
    const { identity, reusableUntil } = await authenticate(await x509({ dnsNames: ['web.example.org', 'web'] }))
    expect(identity).toMatchObject({
      authenticator: 'ours',
      attributes: { spiffe_id: spiffeId.uri, trust_domain: 'example.org', path: '/ns/web', claims: {} },
      recorded: { spiffe_id: spiffeId.uri },
      use: { kind: 'renewal', spiffeId, firstProof, dnsNames: ['web.example.org', 'web'] },
    })
    expect(reusableUntil).toEqual(later(300))
    expect((await authenticate(await x509({ ttlSeconds: 60 }))).reusableUntil).toEqual(later(60))
  })

  test.each<readonly [string, X509Wishes, number, RegExp]>([
    ['without a first proof, as our own listener has one,', { extension: 'none' }, 0, /says nothing of a first proof/],
    ['with a first proof that is none', { extension: Buffer.of(0x05, 0x00) }, 0, /der/],
    ['that expired a second ago', { ttlSeconds: 60 }, 61, /certificate_expired/],
    ['from the future', {}, -31, /certificate_not_yet_valid/],
  ])('%s is rejected', async (_, wishes, seconds, reason) => {
    await expect(authenticate(await x509(wishes), later(seconds))).rejects.toThrow(rejected(reason))
  })

  test('is good to its last second', async () => {
    await authenticate(await x509({ ttlSeconds: 60 }), later(60))
  })

  test('with anything changed is rejected', async () => {
    const proof = await x509()
    const [leaf = Buffer.alloc(0)] = proof.kind === 'certificate' ? proof.chain : []
    for (const at of [20, 120, leaf.length - 3]) {
      const changed = Buffer.from(leaf)
      changed[at] = (changed[at] ?? 0) ^ 1
      await expect(authenticate({ kind: 'certificate', chain: [changed] })).rejects.toThrow(rejected(/./))
    }
  })

  test('of an authority that is not ours is rejected, also when it has our names', async () => {
    const { subject } = world.authorities.current().x509().authority.certificate
    const foreign = createTestAuthority({ subject })
    const { der } = foreign.issue({ extensions: [firstProofExtension()] })
    for (const chain of [[der], [der, foreign.der]])
      await expect(authenticate({ kind: 'certificate', chain })).rejects.toThrow(
        rejected(/certificate_(path|signature)/),
      )
  })

  test('of an authority below ours is rejected: it is not ours to renew', async () => {
    const intermediate = createTestAuthority({ notAfter: later(week) }).issueAuthority({ notAfter: later(week) })
    const own = createTestAuthorities({ plans: [{ ring: 'x509', algorithm: 'ES256', ttlSeconds: 86_400 }] })
    own.upstream = async () => ({
      certificate: intermediate.certificate,
      signer: intermediate.key.signer,
      chain: [intermediate.certificate],
      roots: [intermediate.certificate],
    })
    await own.authorities.refresh()
    const proof = await x509({ of: own })
    expect((await authenticate(proof, testNow, own)).identity.use.kind).toBe('renewal')

    const ours = own.authorities.current().x509().authority
    const below = intermediate.issueAuthority({ notAfter: later(week) })
    for (const by of [intermediate, below]) {
      const { der } = by.issue({ extensions: [firstProofExtension()] })
      const chain = [der, by.der, ours.certificate.der, intermediate.der]
      await expect(authenticate({ kind: 'certificate', chain }, testNow, own)).rejects.toThrow(
        rejected(/certificate_path/),
      )
    }
  })

  test('of an intermediate that we signed is rejected, although peers accept it and it says what ours say', async () => {
    const key = makeTestKey()
    const now = testNow
    const signed = await signIntermediate(
      { authorities: world.authorities.current, trustDomain: config.trust_domain, now: () => now, randomBytes },
      { csr: makeCsr(key).toString('base64'), ttlSeconds: 3600, pathLength: 0 },
    )
    const certificate = parseCertificate(signed.certificates[0] ?? new Uint8Array())
    const below = createX509Authority({ certificate, signer: key.signer, chain: [] })
    const leaf = await buildX509Svid(below, {
      ...{ spiffeId, publicKeyInfo: workload.publicKeyInfo, serialNumber: randomBytes(16), now, ttlSeconds: 600 },
      ...{ dnsNames: [], extension: { oid: firstProofOid, value: formatFirstProof(firstProof) } },
    })
    const chain = [leaf.certificate, ...signed.certificates]
    const { x509Issuers } = world.authorities.current()
    expect(validateX509Svid(chain, () => x509Issuers, { now }).spiffeId.uri).toBe(spiffeId.uri)
    await expect(authenticate({ kind: 'certificate', chain })).rejects.toThrow(rejected(/certificate_path/))
  })

  test('is judged by its leaf alone: whatever comes with it vouches for nothing', async () => {
    const proof = await x509()
    const [leaf = Buffer.alloc(0)] = proof.kind === 'certificate' ? proof.chain : []
    const other = createTestAuthority()
    expect((await authenticate({ kind: 'certificate', chain: [leaf, other.der] })).identity.use.kind).toBe('renewal')
    const mine = other.issue({ extensions: [firstProofExtension()] }).der
    await expect(authenticate({ kind: 'certificate', chain: [mine, leaf, other.der] })).rejects.toThrow(rejected(/./))
  })

  test.each([
    ['nothing', []],
    ['no certificate', [Buffer.from('x')]],
  ])('that is %s is rejected', async (_, chain) => {
    await expect(authenticate({ kind: 'certificate', chain })).rejects.toThrow(rejected(/./))
  })

  test('the certificate of an authority is none', async () => {
    const { der } = world.authorities.current().x509().authority.certificate
    await expect(authenticate({ kind: 'certificate', chain: [der] })).rejects.toThrow(rejected(/./))
  })

  test('is good while its authority retires, and no more once that is tainted or revoked', async () => {
    for (const action of ['taint', 'revoke'] as const) {
      const own = await running()
      const proof = await x509({ of: own })
      const { id } = own.one('active')
      await own.authorities.change({ action: 'activate', ring: 'x509', force: true })
      const { stillHolds } = await authenticate(proof, testNow, own)
      expect(stillHolds?.()).toBe(true)
      await own.authorities.change({ action, id })
      expect(stillHolds?.()).toBe(false)
      const told = action === 'taint' ? `: signed by the tainted authority ${id}$` : 'certificate_path'
      await expect(authenticate(proof, testNow, own)).rejects.toThrow(rejected(new RegExp(told)))
    }
  })
})

test('without authorities that were read in the last minute nothing is judged', async () => {
  const own = await running()
  const proof = await jwt({ of: own })
  own.monotonicMs += 61_000
  await expect(authenticate(proof, testNow, own)).rejects.toThrow(expect.objectContaining({ code: 'no_authority' }))
})

test('takes what names our trust domain', () => {
  expect(authenticatorOf(world)).toMatchObject({
    name: 'ours',
    type: 'spiffe',
    accepts: { trustDomain: 'example.org' },
  })
})
