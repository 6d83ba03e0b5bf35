import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { expect } from 'vitest'
import { signWithKey } from '../../src/protocol/algorithms.ts'
import { encodeJwsHeader, signCompactJws } from '../../src/protocol/jws.ts'
import { validateJwtSvid } from '../../src/protocol/jwt-svid.ts'
import { parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { formatTrustBundle, parseTrustBundle, type TrustBundle } from '../../src/protocol/trust-bundle.ts'
import { createTestAuthorities } from '../support/authorities.ts'
import vectors from '../vectors/trust-bundle.json' with { type: 'json' }
import { defineConformance } from './requirements.ts'

const domain = parseTrustDomain('example.org')
const { p256, rsa2048, ed25519 } = vectors.certificates
const ours: TrustBundle = {
  trustDomain: domain,
  sequence: 42n,
  refreshHintSeconds: 300,
  x509Authorities: [Buffer.from(p256.x5c, 'base64')],
  jwtAuthorities: [{ kid: 'k1', key: createPublicKey({ key: rsa2048.jwk, format: 'jwk' }) }],
}
const written = () => JSON.parse(formatTrustBundle(ours))
const read = (document: unknown) => parseTrustBundle(domain, JSON.stringify(document))
const refuses = (document: unknown) => expect(() => read(document)).toThrow(expect.objectContaining({ code: 'bundle' }))
const noBundleMap =
  'Bundle maps are neither published nor read: every bundle is kept and served by the name of its trust domain.'

defineConformance('SPIFFE Trust Domain and Bundle', { prefix: 'B', last: 12 }, [
  {
    id: 'B-01',
    level: 'MUST',
    section: '4.1',
    sentence: 'a bundle is a JWK Set in JSON; further members are allowed and never needed',
    test: () => {
      expect(Object.keys(written())).toEqual(['spiffe_sequence', 'spiffe_refresh_hint', 'keys'])
      expect(read({ ...written(), future: { a: 1 } }).x509Authorities).toHaveLength(1)
      expect(read({ keys: written().keys }).x509Authorities).toHaveLength(1)
      refuses([])
      refuses('keys')
      expect(() => parseTrustBundle(domain, 'keys: []')).toThrow(expect.objectContaining({ code: 'bundle' }))
    },
  },
  {
    id: 'B-02',
    level: 'SHOULD',
    section: '4.1.1',
    sentence:
      'spiffe_sequence is there, an integer of at least 64 bits, which grows with every change and never steps back',
    test: async () => {
      const world = createTestAuthorities()
      await world.authorities.refresh()
      const published = () => JSON.parse(Buffer.from(world.authorities.published().bundle.body).toString())
      const first = published()
      await world.authorities.refresh()
      expect(published()).toEqual(first)
      const sequences = [first.spiffe_sequence]
      const backup = world.store.backUp()
      for (const seconds of [0, -86_400, 1]) {
        world.now = new Date(world.now.getTime() + seconds * 1000)
        await world.authorities.change({ action: 'prepare', ring: 'x509' })
        expect(published().keys).not.toEqual(first.keys)
        sequences.push(published().spiffe_sequence)
      }
      world.store.restore(backup)
      await world.authorities.refresh()
      sequences.push(published().spiffe_sequence)
      expect(sequences.every((sequence, at) => at === 0 || sequence > sequences[at - 1])).toBe(true)
      expect(sequences.every(Number.isSafeInteger)).toBe(true)

      expect(written().spiffe_sequence).toBe(42)
      const large = formatTrustBundle({ ...ours, sequence: 2n ** 64n - 1n })
      expect(large).toContain('"spiffe_sequence":18446744073709551615')
      expect(parseTrustBundle(domain, large).sequence).toBe(2n ** 64n - 1n)
      for (const spiffe_sequence of ['42', 4.2, -1, null]) {
        expect(read({ ...written(), spiffe_sequence }).sequence).toBeUndefined()
      }
      expect(() => formatTrustBundle({ ...ours, sequence: -1n })).toThrow(expect.objectContaining({ code: 'bundle' }))
    },
  },
  {
    id: 'B-03',
    level: 'SHOULD',
    section: '4.1.2',
    sentence: 'spiffe_refresh_hint is there, in whole seconds',
    test: () => {
      expect(written().spiffe_refresh_hint).toBe(300)
      expect(read(written()).refreshHintSeconds).toBe(300)
      for (const spiffe_refresh_hint of ['300', 0.5, -1, null]) {
        expect(read({ ...written(), spiffe_refresh_hint }).refreshHintSeconds).toBeUndefined()
      }
      expect(() => formatTrustBundle({ ...ours, refreshHintSeconds: 0.5 })).toThrow(
        expect.objectContaining({ code: 'bundle' }),
      )
    },
  },
  {
    id: 'B-04',
    level: 'MUST',
    section: '4.1.3',
    sentence: 'keys is there, an array',
    test: () => {
      expect(JSON.parse(formatTrustBundle({ trustDomain: domain, x509Authorities: [], jwtAuthorities: [] }))).toEqual({
        keys: [],
      })
      expect(read({ keys: [] }).x509Authorities).toEqual([])
      for (const keys of [undefined, null, {}, '', ['k']]) refuses({ keys })
    },
  },
  {
    id: 'B-05',
    level: 'MUST',
    section: '4.1.3',
    sentence: 'without any usable key every SVID of the trust domain is untrusted',
    test: () => {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const now = new Date('2026-08-01T12:00:00Z')
      const sign = (data: Uint8Array) => signWithKey('ES256', privateKey, data)
      const claims = { sub: 'spiffe://example.org/a', aud: 'a', exp: now.getTime() / 1000 + 1 }
      const signer = { algorithm: 'ES256', publicKey: new Uint8Array(), sign } as const
      const token = signCompactJws(signer, encodeJwsHeader({ alg: 'ES256' }), JSON.stringify(claims)) as string
      const validate = (keys: readonly object[]) =>
        validateJwtSvid(token, { keys: () => read({ keys }).jwtAuthorities, now, leewaySeconds: 0 })

      const usable = { ...publicKey.export({ format: 'jwk' }), use: 'jwt-svid', kid: 'k1' }
      expect(validate([usable]).audience).toEqual(['a'])
      for (const keys of [[], [{ ...usable, kty: 'AKP' }], [{ ...usable, use: 'future-svid' }]]) {
        expect(() => validate(keys)).toThrow(expect.objectContaining({ code: 'jws_signature' }))
      }
    },
  },
  {
    id: 'B-06',
    level: 'MUST',
    section: '4.2',
    sentence: 'each key has kty and use',
    test: () => {
      const keys = written().keys.map(({ kty, use }: Record<string, unknown>) => [kty, use])
      expect(keys).toEqual([
        ['EC', 'x509-svid'],
        ['RSA', 'jwt-svid'],
      ])
      expect(read(written()).jwtAuthorities).toHaveLength(1)
      for (const member of ['kty', 'use']) {
        const without = written().keys.map((key: object) => ({ ...key, [member]: undefined }))
        expect(read({ keys: without })).toEqual({ trustDomain: domain, x509Authorities: [], jwtAuthorities: [] })
      }
    },
  },
  {
    id: 'B-07',
    level: 'MUST',
    section: '4.2',
    sentence: 'a key of unknown kty or use is ignored, and that key only; use is case-sensitive',
    test: () => {
      const [x509, jwt] = written().keys
      const unknown = [
        { ...ed25519.jwk, use: 'jwt-svid', kid: 'k2' },
        { ...jwt, use: 'sig' },
        { ...jwt, use: 'JWT-SVID' },
        { ...x509, use: 'X509-svid' },
        { ...jwt, use: undefined },
        { ...jwt, kty: 'AKP' },
      ]
      const bundle = read({ keys: [...unknown, x509, ...unknown, jwt] })
      expect(bundle.x509Authorities).toEqual(ours.x509Authorities)
      expect(bundle.jwtAuthorities.map(({ kid }) => kid)).toEqual(['k1'])
    },
  },
  {
    id: 'B-08',
    level: 'SHOULD',
    section: '4.2',
    sentence: 'keys have no members that no specification of theirs defines, and others are ignored when read',
    test: () => {
      expect(written().keys.map((key: object) => Object.keys(key).sort())).toEqual([
        ['crv', 'kty', 'use', 'x', 'x5c', 'y'],
        ['e', 'kid', 'kty', 'n', 'use'],
      ])
      const [x509, jwt] = written().keys
      expect(read({ keys: [{ ...jwt, note: 1 }] }).jwtAuthorities).toHaveLength(1)
      expect(read({ keys: [{ ...x509, d: 'AAAA' }] }).x509Authorities).toEqual([])
    },
  },
  {
    id: 'B-09',
    level: 'MUST',
    section: '5.1.1',
    sentence: 'a bundle map has an object of trust domain names and bundles',
    reason: noBundleMap,
  },
  {
    id: 'B-10',
    level: 'MUST',
    section: '5.1.1',
    sentence: 'a bundle map with a name twice is refused',
    reason: noBundleMap,
  },
  {
    id: 'B-11',
    level: 'MUST',
    section: '5.1.1',
    sentence: 'the hints of single bundles do not change how often a bundle map is read',
    reason: noBundleMap,
  },
  {
    id: 'B-12',
    level: 'NOTE',
    section: '6.2',
    sentence: 'trust domains do not share keys',
    reason: 'A gateway serves one trust domain and makes the keys of its authorities itself.',
  },
])
