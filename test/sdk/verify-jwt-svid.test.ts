import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  authorizeId,
  type JwtKeySource,
  type JwtVerification,
  parseTrustDomain,
  type TrustBundle,
  verifyJwtSvid,
} from '../../src/index.ts'
import { ecSigner, signToken } from '../support/raw-token.ts'

const now = new Date('2026-08-01T12:00:00Z')
const seconds = now.getTime() / 1000
const [ours, theirs] = [1, 2].map(() => generateKeyPairSync('ec', { namedCurve: 'P-256' })) as [Pair, Pair]
interface Pair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}
const audience = 'https://api.example.org'
const issuer = 'https://id.example.org'

function bundle(trustDomain: string, { publicKey: key }: Pair): TrustBundle {
  return { trustDomain: parseTrustDomain(trustDomain), x509Authorities: [], jwtAuthorities: [{ kid: 'k', key }] }
}

const claims = { iss: issuer, sub: 'spiffe://example.org/web', aud: audience, exp: seconds + 60, iat: seconds }
const token = (changes: object = {}, pair = ours, header: object = {}) =>
  signToken({ alg: 'ES256', kid: 'k', ...header }, { ...claims, ...changes }, ecSigner(pair.privateKey))

const ownBundle = bundle('example.org', ours)
const verify = (text: string, changes: Partial<JwtVerification> = {}) =>
  verifyJwtSvid(text, { keys: ownBundle, audience, now: () => now, ...changes })

test('a token is verified by the bundle of its trust domain', async () => {
  expect(await verify(token({ team: 'payments' }))).toMatchObject({
    spiffeId: { uri: 'spiffe://example.org/web', trustDomain: 'example.org', path: '/web' },
    audience: [audience],
    expiresAt: new Date('2026-08-01T12:01:00Z'),
    claims: { team: 'payments' },
  })
})

test('of several bundles that of its trust domain counts, and no other', async () => {
  const keys = [ownBundle, bundle('partner.example', theirs)]
  const partner = { sub: 'spiffe://partner.example/web' }
  expect((await verify(token(partner, theirs), { keys })).spiffeId.trustDomain).toBe('partner.example')
  await expect(verify(token({}, theirs), { keys })).rejects.toMatchObject({ code: 'jws_signature' })
  await expect(verify(token(partner, ours), { keys })).rejects.toMatchObject({ code: 'jws_signature' })
})

test.each<[string, string, Partial<JwtVerification>, string]>([
  ['no token', 'x', {}, 'jws'],
  ['another trust domain', token({ sub: 'spiffe://other.example/web' }), {}, 'jws_signature'],
  ['a subject that is no SPIFFE ID', token({ sub: 'web' }), {}, 'jwt_subject'],
  ['a key that is not there', token({}, ours, { kid: 'other' }), {}, 'jws_signature'],
  ['an algorithm of the past', token({}, ours, { alg: 'none' }), {}, 'algorithm'],
  ['another audience', token({ aud: 'https://other.example' }), {}, 'jwt_audience'],
  ['an end that is over', token({ exp: seconds - 1 }), {}, 'jwt_expired'],
  ['a beginning that is to come', token({ nbf: seconds + 5 }), {}, 'jwt_not_yet_valid'],
  ['somebody else', token(), { authorize: authorizeId('spiffe://example.org/admin') }, 'not_authorized'],
])('%s is refused', async (_, text, changes, code) => {
  await expect(verify(text, changes)).rejects.toMatchObject({ code })
})

test('clocks may differ as far as they are told to', async () => {
  await verify(token({ exp: seconds - 5, nbf: seconds + 5 }), { leewaySeconds: 10 })
})

test('a source of an issuer takes tokens of that issuer only', async () => {
  const asked: unknown[] = []
  const keys: JwtKeySource = {
    issuer,
    async find(trustDomain, kid) {
      asked.push([trustDomain, kid])
      return ownBundle.jwtAuthorities
    },
  }
  await verify(token(), { keys })
  await expect(verify(token({ iss: 'https://other.example' }), { keys })).rejects.toMatchObject({ code: 'jwt_claims' })
  await expect(verify(token({ iss: undefined }), { keys })).rejects.toMatchObject({ code: 'jwt_claims' })
  expect(asked).toEqual(Array(3).fill(['example.org', 'k']))
})

test('what no source can help with asks none', async () => {
  const keys: JwtKeySource = { find: () => Promise.reject(new Error('asked')) }
  await expect(verify('a.b.c', { keys })).rejects.toMatchObject({ name: 'ProtocolError' })
  await expect(verify(token({ sub: 'web' }), { keys })).rejects.toMatchObject({ code: 'jwt_subject' })
  await expect(verify(token(), { keys })).rejects.toThrow('asked')
})
