import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import fc from 'fast-check'
import { jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { algorithms, type SignatureAlgorithm, signWithKey } from '../../src/protocol/algorithms.ts'
import type { ProtocolErrorCode } from '../../src/protocol/errors.ts'
import { encodeJwsHeader, parseCompactJws, signCompactJws } from '../../src/protocol/jws.ts'
import {
  buildJwtSvidClaims,
  createJwtSvidSigner,
  type JwtAuthorityKey,
  type JwtSvid,
  type JwtSvidInput,
  type JwtSvidValidation,
  parseJwt,
  validateJwtSvid,
} from '../../src/protocol/jwt-svid.ts'
import type { Signer } from '../../src/protocol/signer.ts'
import { parseSpiffeId } from '../../src/protocol/spiffe-id.ts'

const issuer = 'https://id.example.org'
const now = new Date('2026-08-01T12:00:00.400Z')
const nowSeconds = Math.floor(now.getTime() / 1000)
const uri = 'spiffe://example.org/ns/web/sa/api'

const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const p256b = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })

function signerOf(algorithm: SignatureAlgorithm, pair: { publicKey: KeyObject; privateKey: KeyObject }): Signer {
  return {
    algorithm,
    publicKey: pair.publicKey.export({ type: 'spki', format: 'der' }),
    sign: (data) => signWithKey(algorithm, pair.privateKey, data),
  }
}
const signer = signerOf('ES256', p256)

const input: JwtSvidInput = {
  spiffeId: parseSpiffeId(uri),
  audience: ['https://api.example.org'],
  now,
  ttlSeconds: 300,
  jti: 'j-1',
  claims: {},
}

const keys: readonly JwtAuthorityKey[] = [
  { kid: 'k1', key: p256.publicKey },
  { kid: 'k2', key: rsa.publicKey },
  { kid: 'k3', key: p384.publicKey },
]
const validation: JwtSvidValidation = {
  keys: (trustDomain) => (trustDomain === 'example.org' ? keys : []),
  audience: 'https://api.example.org',
  now,
  leewaySeconds: 0,
}

/** A token of others: any header and payload, signed by the key of `k1` unless told. */
function foreign(header: object, claims: object, by: Signer = signer): string {
  return signCompactJws(
    by,
    encodeJwsHeader({ alg: by.algorithm, kid: 'k1', ...header }),
    JSON.stringify(claims),
  ) as string
}
const claims = { sub: uri, aud: 'https://api.example.org', exp: nowSeconds + 60 }

describe('building', () => {
  test('claims are backdated by 30 s and expire counted from now', () => {
    expect(buildJwtSvidClaims({ ...input, issuer, claims: { team: 'web' } })).toEqual({
      iss: issuer,
      sub: uri,
      aud: 'https://api.example.org',
      exp: nowSeconds + 300,
      iat: nowSeconds - 30,
      nbf: nowSeconds - 30,
      jti: 'j-1',
      team: 'web',
    })
  })

  test('several audiences are an array', () => {
    expect(buildJwtSvidClaims({ ...input, issuer, audience: ['a', 'b'] }).aud).toEqual(['a', 'b'])
  })

  test('a rule replaces no standard claim', () => {
    const clash = { iss: 'x', sub: 'x', aud: 'x', exp: 1, iat: 1, nbf: 1, jti: 'x', other: 'kept' }
    expect(buildJwtSvidClaims({ ...input, issuer, claims: clash })).toEqual({
      ...buildJwtSvidClaims({ ...input, issuer }),
      other: 'kept',
    })
  })

  test('a token does not outlive its authority', () => {
    const notAfter = new Date(now.getTime() + 60_999)
    expect(buildJwtSvidClaims({ ...input, issuer, notAfter }).exp).toBe(Math.floor(notAfter.getTime() / 1000))
    expect(buildJwtSvidClaims({ ...input, issuer, notAfter: new Date(now.getTime() + 999_000) }).exp).toBe(
      nowSeconds + 300,
    )
  })

  test.each<[string, Partial<JwtSvidInput>, ProtocolErrorCode]>([
    ['an ID without a path', { spiffeId: parseSpiffeId('spiffe://example.org') }, 'jwt_subject'],
    ['no audience', { audience: [] }, 'jwt_audience'],
    ['an empty audience', { audience: [''] }, 'jwt_audience'],
    ['no time to live', { ttlSeconds: 0 }, 'jwt_claims'],
    ['a negative time to live', { ttlSeconds: -1 }, 'jwt_claims'],
    ['half a second', { ttlSeconds: 0.5 }, 'jwt_claims'],
    ['an endless time to live', { ttlSeconds: Number.POSITIVE_INFINITY }, 'jwt_claims'],
    ['an authority that has ended', { notAfter: now }, 'jwt_claims'],
    ['no valid time', { now: new Date(Number.NaN) }, 'jwt_claims'],
    ['no valid end', { notAfter: new Date(Number.NaN) }, 'jwt_claims'],
  ])('refuses %s', (_, change, code) => {
    expect(() => buildJwtSvidClaims({ ...input, issuer, ...change })).toThrow(expect.objectContaining({ code }))
  })
})

describe('issuing', () => {
  const issueWith = (by: Signer, change: Partial<JwtSvidInput> = {}) =>
    createJwtSvidSigner({ signer: by, kid: 'k1', issuer }).issue({ ...input, ...change })
  const issued = (change: Partial<JwtSvidInput> = {}) => issueWith(signer, change) as JwtSvid

  test('gives the token with what it says', () => {
    const { token, ...said } = issued()
    const expiresAt = new Date((nowSeconds + 300) * 1000)
    expect(said).toEqual({ spiffeId: input.spiffeId, audience: input.audience, jti: 'j-1', kid: 'k1', expiresAt })
    expect(parseCompactJws(token).header).toEqual({ alg: 'ES256', kid: 'k1', typ: 'JWT' })
  })

  test.each([
    ['ES256', p256],
    ['ES384', p384],
    ['ES512', p521],
    ['RS256', rsa],
  ] as const)('%s verifies with jose', async (algorithm, pair) => {
    const { token } = await issueWith(signerOf(algorithm, pair), { claims: { team: 'wéb 😀' } })
    const { payload, protectedHeader } = await jwtVerify(token, pair.publicKey, {
      issuer,
      audience: 'https://api.example.org',
      subject: uri,
      algorithms: [algorithm],
      typ: 'JWT',
      currentDate: now,
      requiredClaims: ['iat', 'nbf', 'exp', 'jti'],
    })
    expect(payload).toEqual({ ...buildJwtSvidClaims({ ...input, issuer }), team: 'wéb 😀' })
    expect(Object.keys(protectedHeader).sort()).toEqual(['alg', 'kid', 'typ'])
  })

  test('a signer that answers later gives a promise of the same', async () => {
    const later: Signer = { ...signer, sign: async (data) => signer.sign(data) }
    const svid = issueWith(later)
    expect(svid).toBeInstanceOf(Promise)
    expect(validateJwtSvid((await svid).token, validation).spiffeId).toEqual(input.spiffeId)
  })

  test('nothing that is refused is signed', () => {
    const unused: Signer = { ...signer, sign: () => expect.unreachable() }
    expect(() => issueWith(unused, { claims: { a: '\ud800' } })).toThrow(
      expect.objectContaining({ code: 'jwt_claims' }),
    )
  })

  test('what is said is what the token says', () => {
    const svid = issued({ audience: ['a', 'b'], claims: { team: 'web' } })
    const valid = validateJwtSvid(svid.token, { ...validation, audience: 'a' })
    expect(valid).toMatchObject({ spiffeId: svid.spiffeId, audience: svid.audience, jti: svid.jti, kid: svid.kid })
    expect(valid.expiresAt).toEqual(svid.expiresAt)
  })

  test('a promise rejects when the later signature is none', async () => {
    await expect(issueWith({ ...signer, sign: async () => Buffer.alloc(8) })).rejects.toEqual(
      expect.objectContaining({ code: 'jws_signature' }),
    )
  })

  test.each<[string, Partial<JwtSvidInput>, ProtocolErrorCode]>([
    ['a claim named __proto__', { claims: JSON.parse('{"__proto__":1}') }, 'jwt_claims'],
    ['a claim with half a surrogate pair', { claims: { a: '\ud800' } }, 'jwt_claims'],
    ['a claim that is nested too deeply', { claims: { a: JSON.parse('['.repeat(32) + ']'.repeat(32)) } }, 'jwt_claims'],
    [
      'a payload that says something else',
      { claims: { toJSON: () => ({ sub: 'spiffe://example.org/admin' }) } },
      'jwt_audience',
    ],
    ['claims above 16 KiB', { claims: { a: 'a'.repeat(16 * 1024) } }, 'jws'],
    ['an ID without a path', { spiffeId: parseSpiffeId('spiffe://example.org') }, 'jwt_subject'],
  ])('refuses %s', (_, change, code) => {
    expect(() => issued(change)).toThrow(expect.objectContaining({ code }))
  })

  test.each([
    ['subject', 'spiffe://example.org/admin'],
    ['issuer', 'https://evil.example'],
    ['audience', 'sts.amazonaws.com'],
    ['jti', 'other'],
  ])('refuses a payload that serialises to another %s', (what, other) => {
    const rightful = buildJwtSvidClaims({ ...input, issuer })
    const name = { subject: 'sub', issuer: 'iss', audience: 'aud', jti: 'jti' }[what] ?? ''
    const forged = { toJSON: () => ({ ...rightful, [name]: other }) }
    expect(() => issued({ claims: forged })).toThrow(expect.objectContaining({ code: 'jwt_claims' }))
    expect(issued({ claims: { toJSON: () => rightful } }).kid).toBe('k1')
  })

  test('refuses a payload that serialises to a later end', () => {
    const forged = { toJSON: () => ({ ...buildJwtSvidClaims({ ...input, issuer }), exp: nowSeconds + 301 }) }
    expect(() => issued({ claims: forged })).toThrow(expect.objectContaining({ code: 'jwt_claims' }))
  })

  test('a signer has a kid', () => {
    expect(() => createJwtSvidSigner({ signer, kid: '', issuer })).toThrow(
      expect.objectContaining({ code: 'jws_header' }),
    )
  })

  test('every token that is issued is valid', () => {
    const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/)
    const audience = fc.array(fc.string({ unit: 'grapheme', minLength: 1 }), { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(id, audience, fc.integer({ min: 1, max: 86_400 }), (name, values, ttlSeconds) => {
        const spiffeId = parseSpiffeId(`spiffe://example.org/${name}`)
        const svid = issued({ spiffeId, audience: values, ttlSeconds, claims: { name } })
        const valid = validateJwtSvid(svid.token, { ...validation, audience: values })
        expect(valid).toMatchObject({ spiffeId, audience: values, expiresAt: svid.expiresAt, kid: 'k1', jti: 'j-1' })
        expect(valid.claims).toMatchObject({ name, iss: issuer })
      }),
      { numRuns: 30 },
    )
  })
})

describe('reading', () => {
  test('verifies nothing', () => {
    const parsed = parseJwt(`${encodeJwsHeader({ alg: 'none' })}.${Buffer.from('{"sub":1}').toString('base64url')}.AA`)
    expect(parsed).toMatchObject({ claims: { sub: 1 }, jws: { header: { alg: 'none' } } })
  })

  test.each<[string, string, ProtocolErrorCode]>([
    ['two parts', 'e30.e30', 'jws'],
    ['no signature', 'e30.e30.', 'jws'],
    ['a header that is no object', 'W10.e30.AA', 'jws'],
    ['a payload that is no object', 'e30.W10.AA', 'jwt_claims'],
    ['a payload that is no JSON', 'e30.AA.AA', 'jwt_claims'],
  ])('refuses %s', (_, token, code) => {
    expect(() => parseJwt(token)).toThrow(expect.objectContaining({ code }))
  })
})

describe('validating', () => {
  test('gives the identity and what else the token says', () => {
    const full = {
      ...claims,
      aud: ['x', 'https://api.example.org'],
      iat: nowSeconds - 1.5,
      nbf: nowSeconds,
      jti: 'a',
      n: 1,
    }
    expect(validateJwtSvid(foreign({}, full), validation)).toEqual({
      spiffeId: input.spiffeId,
      audience: ['x', 'https://api.example.org'],
      expiresAt: new Date((nowSeconds + 60) * 1000),
      issuedAt: new Date((nowSeconds - 1.5) * 1000),
      jti: 'a',
      kid: 'k1',
      algorithm: 'ES256',
      claims: full,
    })
  })

  test('a token that is already read proves the same', () => {
    const token = foreign({}, { ...claims, team: 'a' })
    expect(validateJwtSvid(parseJwt(token), validation)).toEqual(validateJwtSvid(token, validation))
    const other = foreign({}, claims, signerOf('ES256', p256b))
    expect(() => validateJwtSvid(parseJwt(other), validation)).toThrow(
      expect.objectContaining({ code: 'jws_signature' }),
    )
  })

  test('says nothing of what the token does not say', () => {
    const said = validateJwtSvid(foreign({ kid: undefined }, claims), validation)
    expect(Object.keys(said).sort()).toEqual(['algorithm', 'audience', 'claims', 'expiresAt', 'spiffeId'])
  })

  test.each<[string, object, object]>([
    ['typ JWT', { typ: 'JWT' }, {}],
    ['typ JOSE', { typ: 'JOSE' }, {}],
    ['no typ', {}, {}],
    ['no kid', { kid: undefined }, {}],
    ['an audience in an array', {}, { aud: ['https://api.example.org'] }],
    ['an issuer of anyone', {}, { iss: 'https://elsewhere.example' }],
    ['private claims', {}, { 'https://example.org/team': { a: [1] } }],
  ])('accepts %s', (_, header, change) => {
    expect(validateJwtSvid(foreign(header, { ...claims, ...change }), validation).spiffeId.uri).toBe(uri)
  })

  test.each<[string, object, ProtocolErrorCode]>([
    ['alg none', { alg: 'none' }, 'algorithm'],
    ['alg HS256', { alg: 'HS256' }, 'algorithm'],
    ['alg EdDSA', { alg: 'EdDSA' }, 'algorithm'],
    ['alg ES256K', { alg: 'ES256K' }, 'algorithm'],
    ['no alg', { alg: undefined }, 'algorithm'],
    ['an alg in an array', { alg: ['ES256'] }, 'algorithm'],
    ['an RSA algorithm over the EC key of its kid', { alg: 'RS256' }, 'algorithm'],
    ['ES384 over the P-256 key of its kid', { alg: 'ES384' }, 'algorithm'],
    ['a key of another type by kid', { kid: 'k2' }, 'algorithm'],
    ['an unknown kid', { kid: 'k9' }, 'jws_signature'],
    ['an empty kid', { kid: '' }, 'jws_header'],
    ['a kid that is a number', { kid: 1 }, 'jws_header'],
    ['a kid that is null', { kid: null }, 'jws_header'],
    ['typ at+jwt', { typ: 'at+jwt' }, 'jws_header'],
    ['typ wit+jwt', { typ: 'wit+jwt' }, 'jws_header'],
    ['typ in lower case', { typ: 'jwt' }, 'jws_header'],
    ['typ null', { typ: null }, 'jws_header'],
    ['crit', { crit: ['exp'] }, 'jws_header'],
    ['b64', { b64: true }, 'jws_header'],
    ['zip', { zip: 'DEF' }, 'jws_header'],
    ['cty', { cty: 'JWT' }, 'jws_header'],
    ['jku', { jku: 'https://evil.example/keys' }, 'jws_header'],
    ['jwk', { jwk: p256b.publicKey.export({ format: 'jwk' }) }, 'jws_header'],
    ['x5u', { x5u: 'https://evil.example/cert' }, 'jws_header'],
    ['x5c', { x5c: [] }, 'jws_header'],
    ['x5t', { x5t: 'AA' }, 'jws_header'],
    ['a private parameter', { 'https://example.org/p': 1 }, 'jws_header'],
  ])('refuses a header with %s', (_, header, code) => {
    expect(() => validateJwtSvid(foreign(header, claims), validation)).toThrow(expect.objectContaining({ code }))
  })

  test.each<[string, object, ProtocolErrorCode]>([
    ['no sub', { sub: undefined }, 'jwt_subject'],
    ['a sub that is a number', { sub: 1 }, 'jwt_subject'],
    ['a sub that is no SPIFFE ID', { sub: 'api' }, 'jwt_subject'],
    ['a sub in another spelling', { sub: 'SPIFFE://example.org/a' }, 'jwt_subject'],
    ['a sub with a trailing slash', { sub: `${uri}/` }, 'jwt_subject'],
    ['the trust domain as sub', { sub: 'spiffe://example.org' }, 'jwt_subject'],
    ['a trust domain without keys', { sub: 'spiffe://other.example/a' }, 'jws_signature'],
    ['no aud', { aud: undefined }, 'jwt_audience'],
    ['an empty aud', { aud: '' }, 'jwt_audience'],
    ['an empty array as aud', { aud: [] }, 'jwt_audience'],
    ['an aud with a number', { aud: ['https://api.example.org', 1] }, 'jwt_audience'],
    ['an aud with an empty string', { aud: ['https://api.example.org', ''] }, 'jwt_audience'],
    ['an object as aud', { aud: { 0: 'https://api.example.org' } }, 'jwt_audience'],
    ['another aud', { aud: 'https://other.example.org' }, 'jwt_audience'],
    ['an aud that begins alike', { aud: 'https://api.example.org/' }, 'jwt_audience'],
    ['an aud in other case', { aud: 'https://API.example.org' }, 'jwt_audience'],
    ['no exp', { exp: undefined }, 'jwt_claims'],
    ['exp as a string', { exp: String(nowSeconds + 60) }, 'jwt_claims'],
    ['exp null', { exp: null }, 'jwt_claims'],
    ['exp 1e308', { exp: 1e308 }, 'jwt_claims'],
    ['exp in milliseconds', { exp: Number.MAX_SAFE_INTEGER }, 'jwt_claims'],
    ['a negative exp', { exp: -1 }, 'jwt_claims'],
    ['exp 0', { exp: 0 }, 'jwt_expired'],
    ['exp a moment ago', { exp: nowSeconds + 0.3 }, 'jwt_expired'],
    ['nbf as a string', { nbf: '0' }, 'jwt_claims'],
    ['nbf 1e308', { nbf: 1e308 }, 'jwt_claims'],
    ['nbf in a second', { nbf: nowSeconds + 1 }, 'jwt_not_yet_valid'],
    ['iat as a string', { iat: 'now' }, 'jwt_claims'],
    ['jti as a number', { jti: 1 }, 'jwt_claims'],
    ['iss as an object', { iss: {} }, 'jwt_claims'],
  ])('refuses claims with %s', (_, change, code) => {
    expect(() => validateJwtSvid(foreign({}, { ...claims, ...change }), validation)).toThrow(
      expect.objectContaining({ code }),
    )
  })

  test.each([
    ['a repeated claim', `{"sub":"${uri}","aud":"https://api.example.org","exp":1,"exp":${nowSeconds + 60}}`],
    ['no JSON', 'sub'],
    ['an array', '[]'],
    ['a number beyond a double', `{"sub":"${uri}","exp":1e999}`],
  ])('refuses a payload that is %s', (_, payload) => {
    const token = signCompactJws(signer, encodeJwsHeader({ alg: 'ES256', kid: 'k1' }), payload) as string
    expect(() => validateJwtSvid(token, validation)).toThrow(expect.objectContaining({ code: 'jwt_claims' }))
  })

  test.each([
    ['nothing', ''],
    ['JSON serialisation', '{"payload":"e30","signatures":[]}'],
    ['five parts', `${foreign({}, claims)}.AA.AA`],
    ['white space around it', ` ${foreign({}, claims)}`],
  ])('refuses %s as a token', (_, token) => {
    expect(() => validateJwtSvid(token, validation)).toThrow(expect.objectContaining({ code: 'jws' }))
  })

  const refusedFor = (token: string, change: Partial<JwtSvidValidation>) => {
    try {
      return validateJwtSvid(token, { ...validation, ...change }).spiffeId.uri
    } catch (error) {
      return (error as { code: string }).code
    }
  }

  test.each([
    ['exp', { exp: nowSeconds - 59 }, 60, uri],
    ['exp', { exp: nowSeconds - 60 }, 60, 'jwt_expired'],
    ['exp', { exp: nowSeconds + 1 }, 0, uri],
    ['nbf', { nbf: nowSeconds + 60 }, 60, uri],
    ['nbf', { nbf: nowSeconds + 61 }, 60, 'jwt_not_yet_valid'],
  ])('%s %j with a leeway of %i s: %s', (_, change, leewaySeconds, expected) => {
    expect(refusedFor(foreign({}, { ...claims, ...change }), { leewaySeconds })).toBe(expected)
  })

  test('the instant of expiry is too late', () => {
    const token = foreign({}, claims)
    expect(refusedFor(token, { now: new Date(claims.exp * 1000 - 1) })).toBe(uri)
    expect(refusedFor(token, { now: new Date(claims.exp * 1000) })).toBe('jwt_expired')
    expect(refusedFor(token, { now: new Date(Number.NaN) })).toBe('jwt_expired')
  })

  test('the audience is one of ours, or not asked for', () => {
    const token = foreign({}, { ...claims, aud: ['a', 'b'] })
    const { audience: _, ...unasked } = validation
    expect(refusedFor(token, { audience: 'b' })).toBe(uri)
    expect(refusedFor(token, { audience: ['c', 'a'] })).toBe(uri)
    expect(refusedFor(token, { audience: ['c', 'd'] })).toBe('jwt_audience')
    expect(refusedFor(token, { audience: [] })).toBe('jwt_audience')
    expect(validateJwtSvid(token, unasked).audience).toEqual(['a', 'b'])
    expect(() => validateJwtSvid(foreign({}, { ...claims, aud: [] }), unasked)).toThrow(
      expect.objectContaining({ code: 'jwt_audience' }),
    )
  })

  test('without a kid every key of the type is tried, and only those', () => {
    const two = [...keys, { kid: 'k4', key: p256b.publicKey }]
    const token = foreign({ kid: undefined }, claims, signerOf('ES256', p256b))
    expect(refusedFor(token, { keys: () => two })).toBe(uri)
    expect(refusedFor(token, { keys: () => keys })).toBe('jws_signature')
    expect(refusedFor(token, { keys: () => [{ kid: 'k2', key: rsa.publicKey }] })).toBe('algorithm')
  })

  test('of two keys with one kid either may have signed', () => {
    const twins = [{ kid: 'k1', key: p256b.publicKey }, ...keys]
    expect(refusedFor(foreign({}, claims), { keys: () => twins })).toBe(uri)
  })

  test('a key for one algorithm verifies no other', () => {
    const token = foreign({}, claims, signerOf('RS256', rsa))
    const authority = { kid: 'k1', key: rsa.publicKey }
    expect(refusedFor(token, { keys: () => [{ ...authority, algorithm: 'RS256' }] })).toBe(uri)
    expect(refusedFor(token, { keys: () => [{ ...authority, algorithm: 'RS512' }] })).toBe('algorithm')
  })

  test('another domain vouches for nobody here, even with the same kid', () => {
    const domains: JwtSvidValidation['keys'] = (name) =>
      name === 'other.example' ? [{ kid: 'k1', key: p256b.publicKey }] : keys
    const bySelf = foreign({}, { ...claims, sub: 'spiffe://other.example/a' }, signerOf('ES256', p256b))
    expect(refusedFor(bySelf, { keys: domains })).toBe('spiffe://other.example/a')
    expect(refusedFor(foreign({}, claims, signerOf('ES256', p256b)), { keys: domains })).toBe('jws_signature')
    expect(refusedFor(foreign({}, { ...claims, sub: 'spiffe://other.example/a' }), { keys: domains })).toBe(
      'jws_signature',
    )
  })

  test('no changed character of a token is accepted', () => {
    const token = foreign({}, claims)
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.constantFrom(...'ABCDwxyz0189-_.=\n'), (at, character) => {
        fc.pre(token[at] !== character)
        expect(() => validateJwtSvid(token.slice(0, at) + character + token.slice(at + 1), validation)).toThrow()
      }),
      { numRuns: 300 },
    )
    expect(refusedFor(token, {})).toBe(uri)
  })

  test('no message repeats the token', () => {
    const token = foreign({}, { ...claims, sub: 'spiffe://example.org/secret-name?' })
    expect(() => validateJwtSvid(token, validation)).toThrow(/^(?!.*secret-name)/)
  })

  test('the table of algorithms is all there is', () => {
    const pairs = { ES256: p256, ES384: p384, ES512: p521 } as Readonly<Record<string, typeof p256>>
    const names = (Object.keys(algorithms) as SignatureAlgorithm[]).filter((name) => !name.startsWith('PS'))
    for (const name of names) {
      const pair = pairs[name] ?? rsa
      const only = () => [{ kid: 'k1', key: pair.publicKey }]
      expect(refusedFor(foreign({}, claims, signerOf(name, pair)), { keys: only })).toBe(uri)
    }
  })
})
