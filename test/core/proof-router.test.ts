import { describe, expect, test } from 'vitest'
import type { Authentication, Authenticator, Proof } from '../../src/core/authenticate.ts'
import { createProofRouter, fingerprintProof } from '../../src/core/proof-router.ts'
import { Refusal } from '../../src/core/refusal.ts'
import { silentTelemetry } from '../../src/core/telemetry.ts'
import { formatJoinToken } from '../../src/protocol/join-token.ts'
import { parseJwt } from '../../src/protocol/jwt-svid.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { createTestAuthority, testNow } from '../support/certificate-authority.ts'
import { encodePart } from '../support/raw-token.ts'

type Accepts = Authenticator['accepts']

interface Fake extends Partial<Pick<Authenticator, 'holdsKey' | 'owns'>> {
  readonly reusableSeconds?: number
  readonly stillHolds?: () => boolean
  readonly rejects?: boolean
}

const calls: string[] = []

function typeOf(accepts: Accepts): Authenticator['type'] {
  if ('issuer' in accepts) return 'oidc'
  if ('trustDomain' in accepts) return 'spiffe'
  return 'joinTokens' in accepts ? 'join_token' : 'aws'
}

function fake(name: string, accepts: Accepts, options: Fake = {}): Authenticator {
  const { reusableSeconds, stillHolds, rejects, ...rest } = options
  const type = typeOf(accepts)
  return {
    ...{ name, type, accepts, ...rest },
    authenticate: async (_proof, now): Promise<Authentication> => {
      calls.push(name)
      if (rejects) throw new Refusal('proof_rejected', `${name} rejects it`)
      return {
        identity: { authenticator: name, type, attributes: {}, recorded: {}, use: { kind: 'rules' } },
        ...(reusableSeconds !== undefined && { reusableUntil: new Date(now.getTime() + reusableSeconds * 1000) }),
        ...(stillHolds && { stillHolds }),
      }
    },
  }
}

function routerOf(...authenticators: readonly Authenticator[]) {
  const clock = { now: testNow, monotonicMs: 0 }
  const counted: string[] = []
  const route = createProofRouter({
    authenticators,
    telemetry: { ...silentTelemetry, count: (_metric, labels) => void counted.push(String(labels?.['result'])) },
    now: () => clock.now,
    monotonicMs: () => clock.monotonicMs,
  })
  calls.length = 0
  return {
    clock,
    counted,
    route: async (proof: Proof | undefined, name?: string) => (await route(proof, name)).authenticator,
  }
}

const bearer = (token: string): Proof => ({ kind: 'bearer', token })
const jwt = (claims: object, header: object = {}): Proof =>
  bearer(`${encodePart({ alg: 'ES256', ...header })}.${encodePart({ ...claims })}.c2ln`)
const authority = createTestAuthority()
/** Of 4,096 bytes. */
const heavy = (index: number): Proof => {
  const claims = encodePart({ iss: 'https://k.example', jti: String(index).padStart(8, '0') })
  const signed = `${encodePart({ alg: 'ES256' })}.${claims}`
  return bearer(`${signed}.${'A'.repeat(4096 - signed.length - 1)}`)
}
const certificate = (...uris: readonly string[]): Proof => ({
  kind: 'certificate',
  chain: [authority.issue({ uris }).der],
})
const presigned = bearer('k8s-aws-v1.aHR0cHM6Ly9zdHM')
const joinToken = bearer(formatJoinToken(Buffer.alloc(32, 1)))

const cluster = fake('cluster', { issuer: 'https://k.example', audience: 'gateway' })
const github = fake('github', { issuer: 'https://g.example', audience: 'gateway' })
const ours = fake('ours', { trustDomain: parseTrustDomain('example.org') })
const spire = fake('spire', { trustDomain: parseTrustDomain('spire.example') })
const first = fake('first', { joinTokens: true })
const aws = fake('aws', { awsIdentities: true })
const all = [cluster, github, ours, spire, first, aws]

const rejected = (reason: RegExp | string) =>
  expect.objectContaining({ name: 'Refusal', code: 'proof_rejected', reason: expect.stringMatching(reason) })

describe('a proof goes', () => {
  test.each<readonly [string, Proof, string]>([
    ['by its issuer', jwt({ iss: 'https://k.example', sub: 'x', aud: 'gateway' }), 'cluster'],
    [
      'by its issuer, whatever its audience, where there is one of that issuer',
      jwt({ iss: 'https://g.example', aud: 'b' }),
      'github',
    ],
    ['by the trust domain of its subject', jwt({ sub: 'spiffe://example.org/web' }), 'ours'],
    [
      'by the trust domain of its subject before its issuer',
      jwt({ iss: 'https://k.example', sub: 'spiffe://spire.example/a' }),
      'spire',
    ],
    [
      'by its issuer where its trust domain is not configured',
      jwt({ iss: 'https://k.example', sub: 'spiffe://unknown.example/a' }),
      'cluster',
    ],
    ['by the trust domain of its certificate', certificate('spiffe://example.org/web'), 'ours'],
    ['by the trust domain of its certificate, a foreign one', certificate('spiffe://spire.example/web'), 'spire'],
    ['by the form of a join token', joinToken, 'first'],
    ['by the form of a presigned AWS request', presigned, 'aws'],
  ])('%s', async (_, proof, name) => {
    const { route } = routerOf(...all)
    expect(await route(proof)).toBe(name)
    expect(calls).toEqual([name])
  })
})

describe('a proof that belongs to nobody', () => {
  const nobody = /no authenticator takes this kind of proof or its issuer/

  test.each<readonly [string, Proof | undefined, RegExp]>([
    ['none at all', undefined, /the request carries no proof/],
    ['another issuer', jwt({ iss: 'https://other.example' }), nobody],
    ['an issuer with a slash', jwt({ iss: 'https://k.example/' }), nobody],
    ['no issuer', jwt({ sub: 'x' }), nobody],
    ['an issuer that is no text', jwt({ iss: ['https://k.example'] }), nobody],
    [
      'a subject that is nearly a SPIFFE ID',
      jwt({ iss: 'https://k.example', sub: 'spiffe://example.org/a/' }),
      /the subject is no SPIFFE ID/,
    ],
    ['no JWT', bearer('abc'), /no compact JWT/],
    ['nothing', bearer(''), /no compact JWT/],
    ['two parts', bearer('a.b'), /no compact JWT/],
    ['four parts', bearer('e30.e30.a.b'), /no compact JWT/],
    ['an encrypted token', bearer('e30.e30.a.b.c'), /no compact JWT/],
    ['parts that are no JSON', bearer('YQ.YQ.YQ'), /no compact JWT/],
    ['a payload that is a list', bearer('e30.W10.YQ'), /no compact JWT/],
    ['a name twice', bearer(`e30.${encodePart('{"iss":"https://k.example","iss":"x"}')}.YQ`), /no compact JWT/],
    ['17 KB', bearer(`e30.${'a'.repeat(16_384)}.YQ`), /longer than 16384 bytes/],
    ['a certificate without a URI', certificate(), nobody],
    ['a certificate with two URIs', certificate('spiffe://example.org/a', 'spiffe://example.org/b'), nobody],
    ['a certificate of another trust domain', certificate('spiffe://other.example/a'), nobody],
    ['a certificate of a web server', certificate('https://example.org/'), nobody],
    ['bytes that are no certificate', { kind: 'certificate', chain: [Buffer.from('x')] }, /can not be read/],
    ['an empty chain', { kind: 'certificate', chain: [] }, /can not be read/],
  ])('%s is rejected', async (_, proof, reason) => {
    const { route } = routerOf(...all)
    await expect(route(proof)).rejects.toThrow(rejected(reason))
    expect(calls).toEqual([])
  })

  test.each([
    ['a join token', joinToken, aws],
    ['a presigned AWS request', presigned, first],
  ])('%s where none are taken', async (_, proof, other) => {
    await expect(routerOf(cluster, ours, other).route(proof)).rejects.toThrow(rejected(nobody))
  })
})

describe('a name that the caller gives', () => {
  test.each<readonly [string, Proof]>([
    ['cluster', jwt({ iss: 'https://k.example' })],
    ['ours', jwt({ sub: 'spiffe://example.org/a' })],
    ['first', joinToken],
  ])('%s stands where the proof would go there anyway', async (name, proof) => {
    expect(await routerOf(...all).route(proof, name)).toBe(name)
  })

  const unknown = /is not in the configuration: there are cluster, github, ours, spire, first, aws$/

  test.each<readonly [string, Proof, RegExp]>([
    ['github', jwt({ iss: 'https://k.example' }), /no authenticator takes .* \(the request asks for github alone\)$/],
    ['first', jwt({ iss: 'https://k.example' }), /no authenticator takes .* first alone/],
    ['spire', certificate('spiffe://example.org/a'), /no authenticator takes .* spire alone/],
    [
      'cluster',
      jwt({ iss: 'https://k.example', sub: 'spiffe://spire.example/a', aud: 'gateway' }),
      /no authenticator takes .* cluster alone/,
    ],
    ['clutser', jwt({ iss: 'https://k.example' }), /is not in the configuration: near to cluster, which there is$/],
    ['unknown', jwt({ iss: 'https://k.example' }), unknown],
    ['', jwt({ iss: 'https://k.example' }), unknown],
    ['a-secret'.repeat(1000), joinToken, unknown],
  ])('%.20s only narrows, and sends no proof where it does not belong', async (name, proof, reason) => {
    await expect(routerOf(...all).route(proof, name)).rejects.toThrow(rejected(reason))
    expect(calls).toEqual([])
  })

  test('chooses among several of one issuer', async () => {
    const [a, b] = ['a', 'b'].map((name) => fake(name, { issuer: 'https://k.example', audience: 'gateway' }))
    const { route } = routerOf(a!, b!)
    expect(await route(jwt({ iss: 'https://k.example', aud: 'gateway' }), 'b')).toBe('b')
  })
})

describe('several authenticators of one issuer', () => {
  const issuer = 'https://kubernetes.default.svc'
  const holding =
    (...kids: readonly string[]) =>
    async (kid: string | undefined) =>
      kids.includes(kid ?? '')
  const away = async (): Promise<boolean> => {
    throw new Refusal('upstream_failed', 'its keys can not be had')
  }
  const token = (aud: unknown, kid = 'k') => jwt({ iss: issuer, aud }, { kid })
  const one = (name: string, audience: string, holdsKey = holding()) => fake(name, { issuer, audience }, { holdsKey })

  test.each<readonly [string, readonly Authenticator[], Proof, string]>([
    ['the audience', [one('a', 'x'), one('b', 'y')], token('y'), 'b'],
    ['one of the audiences', [one('a', 'x'), one('b', 'y')], token(['z', 'x']), 'a'],
    ['whose keys hold the kid', [one('a', 'x', holding('j')), one('b', 'x', holding('k'))], token('x'), 'b'],
    ['the audience before the kid', [one('a', 'x', holding('k')), one('b', 'y', holding())], token('y'), 'b'],
    [
      'the kid, when the keys of the other can not be had',
      [one('a', 'x', away), one('b', 'x', holding('k'))],
      token('x'),
      'b',
    ],
  ])('are told apart by %s', async (_, authenticators, proof, name) => {
    expect(await routerOf(...authenticators).route(proof)).toBe(name)
    expect(calls).toEqual([name])
  })

  test.each<readonly [string, readonly Authenticator[], Proof, RegExp]>([
    ['neither audience', [one('a', 'x'), one('b', 'y')], token('z'), /no authenticator takes/],
    ['no audience', [one('a', 'x'), one('b', 'y')], token(undefined), /no authenticator takes/],
    [
      'a kid that none holds',
      [one('a', 'x', holding('j')), one('b', 'x', holding('i'))],
      token('x'),
      /no authenticator takes/,
    ],
    [
      'a kid that both hold',
      [one('a', 'x', holding('k')), one('b', 'x', holding('k'))],
      token('x'),
      /more than one authenticator takes this proof \(a, b\): give them different audiences/,
    ],
  ])('%s is rejected', async (_, authenticators, proof, reason) => {
    await expect(routerOf(...authenticators).route(proof)).rejects.toThrow(rejected(reason))
    expect(calls).toEqual([])
  })

  test('a kid that none holds while the keys of one can not be had is not the fault of the proof', async () => {
    const { route } = routerOf(one('a', 'x', holding('j')), one('b', 'x', away))
    await expect(route(token('x'))).rejects.toThrow(expect.objectContaining({ code: 'upstream_failed' }))
  })

  test('one that rejects a proof is not followed by another', async () => {
    const rejects = fake('a', { issuer, audience: 'x' }, { rejects: true })
    const { route } = routerOf(rejects, one('b', 'y'))
    await expect(route(token(['x', 'w']))).rejects.toThrow(rejected('a rejects it'))
    expect(calls).toEqual(['a'])
  })
})

describe.each([
  ['join tokens', joinToken, { joinTokens: true }],
  ['presigned AWS requests', presigned, { awsIdentities: true }],
] as const)('several that take %s', (_, proof, accepts) => {
  const owning = (name: string, owns: boolean) => fake(name, accepts, { owns: async () => owns })

  test('the one that it was made for takes it', async () => {
    expect(await routerOf(owning('a', false), owning('b', true)).route(proof)).toBe('b')
  })

  test('one that was made for none of them is rejected', async () => {
    await expect(routerOf(owning('a', false), owning('b', false)).route(proof)).rejects.toThrow(
      rejected(/no authenticator/),
    )
  })
})

describe('a proof that was verified', () => {
  const token = jwt({ iss: 'https://k.example' })
  const issuer = { issuer: 'https://k.example', audience: 'gateway' }

  function remembering(options: Fake = { reusableSeconds: 3600 }) {
    const router = routerOf(fake('cluster', issuer, options))
    const pass = (seconds: number) => {
      router.clock.now = new Date(router.clock.now.getTime() + seconds * 1000)
      router.clock.monotonicMs += seconds * 1000
    }
    const verified = async (proof: Proof, name?: string) => {
      const before = calls.length
      await router.route(proof, name)
      return calls.length > before
    }
    return { ...router, pass, verified }
  }

  test('is answered at once by who has nobody to ask, and gets what was read of the token', async () => {
    const seen: unknown[] = []
    const authenticator: Authenticator = {
      ...spire,
      authenticate(_proof, _now, parsed) {
        seen.push(parsed)
        return {
          identity: { authenticator: 'at once', type: 'spiffe', attributes: {}, recorded: {}, use: { kind: 'rules' } },
        }
      },
    }
    const route = createProofRouter({
      authenticators: [authenticator],
      telemetry: silentTelemetry,
      now: () => testNow,
      monotonicMs: () => 0,
    })
    const proof = jwt({ sub: 'spiffe://spire.example/web', team: 'a' }, { kid: 'k' })
    expect(route(proof)).toMatchObject({ authenticator: 'at once' })
    expect(route(certificate('spiffe://spire.example/web'))).toMatchObject({ authenticator: 'at once' })
    expect(seen).toEqual([proof.kind === 'bearer' && parseJwt(proof.token), undefined])
    expect(seen[0]).toMatchObject({ claims: { team: 'a' }, jws: { header: { kid: 'k' } } })
  })

  test('is not verified again', async () => {
    const { route, counted } = remembering()
    for (let time = 0; time < 3; time++) expect(await route(token)).toBe('cluster')
    expect(calls).toEqual(['cluster'])
    expect(counted).toEqual(['miss', 'hit', 'hit'])
  })

  test('gives the same identity, which rules may remember things of', async () => {
    const route = createProofRouter({
      authenticators: [fake('cluster', issuer, { reusableSeconds: 60 })],
      telemetry: silentTelemetry,
      now: () => testNow,
      monotonicMs: () => 0,
    })
    expect(await route(token)).toBe(await route(token))
  })

  test.each([
    ['after five minutes', 3600, 300],
    ['after its expiry', 60, 60],
  ])('is verified again %s', async (_, reusableSeconds, seconds) => {
    const { verified, pass } = remembering({ reusableSeconds })
    expect(await verified(token)).toBe(true)
    pass(seconds - 1)
    expect(await verified(token)).toBe(false)
    pass(1)
    expect(await verified(token)).toBe(true)
  })

  test('is verified again once the wall clock is past its expiry, whatever the other clock says', async () => {
    const { verified, clock } = remembering({ reusableSeconds: 60 })
    await verified(token)
    clock.now = new Date(clock.now.getTime() + 60_000)
    expect(await verified(token)).toBe(true)
  })

  test('is verified again after five minutes, also when the wall clock was set back', async () => {
    const { verified, clock } = remembering()
    await verified(token)
    clock.now = new Date(clock.now.getTime() - 3_600_000)
    clock.monotonicMs += 300_000
    expect(await verified(token)).toBe(true)
  })

  test('is verified again once its keys are not the same any more', async () => {
    let holds = true
    const { verified } = remembering({ reusableSeconds: 60, stillHolds: () => holds })
    await verified(token)
    expect(await verified(token)).toBe(false)
    holds = false
    expect(await verified(token)).toBe(true)
  })

  test('that is not to be used again is not, as a join token', async () => {
    const { verified } = remembering({})
    expect(await verified(token)).toBe(true)
    expect(await verified(token)).toBe(true)
  })

  test('of more than 4 KiB is verified each time', async () => {
    const { verified } = remembering()
    const heavy = jwt({ iss: 'https://k.example', groups: 'g'.repeat(4096) })
    for (let time = 0; time < 2; time++) expect(await verified(heavy)).toBe(true)
  })

  test('is forgotten when 16 MiB of newer proofs are held, the oldest first', async () => {
    const { verified } = remembering()
    for (let index = 0; index < 4096; index++) await verified(heavy(index))
    expect(await verified(heavy(0))).toBe(false)
    await verified(heavy(4096))
    expect(await verified(heavy(1))).toBe(false)
    expect(await verified(heavy(4096))).toBe(false)
    expect(await verified(heavy(0))).toBe(true)
  })

  test('counts once when two requests verify it at the same time, and not after its time', async () => {
    const { verified, route, pass } = remembering({ reusableSeconds: 60 })
    await verified(heavy(0))
    for (let index = 1; index < 4096; index++) await Promise.all([route(heavy(index)), route(heavy(index))])
    expect(await verified(heavy(0))).toBe(false)
    pass(60)
    for (let index = 0; index < 4096; index++) expect(await verified(heavy(index))).toBe(true)
    for (let index = 0; index < 4096; index++) expect(await verified(heavy(index))).toBe(false)
  })

  test('that was rejected is not remembered', async () => {
    const { route } = remembering({ rejects: true })
    for (let time = 0; time < 2; time++) await expect(route(token)).rejects.toThrow(rejected('rejects'))
    expect(calls).toHaveLength(2)
  })

  test('is another with another byte, in another place, or under another name', async () => {
    const { verified } = remembering()
    await verified(token)
    expect(await verified(bearer(`${token.kind === 'bearer' ? token.token : ''}AA`))).toBe(true)
    expect(await verified(token, 'cluster')).toBe(true)
    expect(await verified(token, 'cluster')).toBe(false)
  })

  test('a narrowed name does not open what was remembered without it', async () => {
    const { route } = remembering()
    await route(token)
    await expect(route(token, 'github')).rejects.toThrow(rejected(/not in the configuration: there are cluster$/))
  })

  test('of certificates the whole chain counts', async () => {
    const router = routerOf(fake('ours', { trustDomain: parseTrustDomain('example.org') }, { reusableSeconds: 60 }))
    const leaf = authority.issue().der
    await router.route({ kind: 'certificate', chain: [leaf] })
    await router.route({ kind: 'certificate', chain: [leaf] })
    await router.route({ kind: 'certificate', chain: [leaf, authority.der] })
    expect(calls).toHaveLength(2)
  })

  test('is forgotten when ten thousand others came after it', async () => {
    const { verified } = remembering()
    await verified(token)
    for (let count = 0; count < 9_999; count++) await verified(jwt({ iss: 'https://k.example', jti: count }))
    expect(await verified(token)).toBe(false)
    await verified(jwt({ iss: 'https://k.example', jti: 'one more' }))
    expect(await verified(token)).toBe(true)
  })
})

test('a fingerprint names a proof and gives nothing away', () => {
  const proof = bearer('planted-secret-token')
  expect(fingerprintProof(proof)).toMatch(/^[0-9a-f]{16}$/)
  expect(fingerprintProof(proof)).toBe(fingerprintProof({ ...proof }))
  expect(fingerprintProof(proof)).not.toBe(fingerprintProof(bearer('another')))
  expect(fingerprintProof({ kind: 'certificate', chain: [] })).toMatch(/^[0-9a-f]{16}$/)
})
