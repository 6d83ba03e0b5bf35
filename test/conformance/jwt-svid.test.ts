import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { CompactSign } from 'jose'
import { expect } from 'vitest'
import { algorithms, type SignatureAlgorithm, signWithKey } from '../../src/protocol/algorithms.ts'
import type { ProtocolErrorCode } from '../../src/protocol/errors.ts'
import { encodeJwsHeader, parseCompactJws, signCompactJws } from '../../src/protocol/jws.ts'
import {
  createJwtSvidSigner,
  type JwtSvid,
  type JwtSvidInput,
  type JwtSvidValidation,
  validateJwtSvid,
} from '../../src/protocol/jwt-svid.ts'
import { parseSpiffeId, parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { formatTrustBundle, parseTrustBundle } from '../../src/protocol/trust-bundle.ts'
import { defineConformance } from './requirements.ts'

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const otherEc = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const p256Stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
type Pair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject }

const now = new Date('2026-08-01T12:00:00Z')
const seconds = now.getTime() / 1000
const claims = { sub: 'spiffe://example.org/a', aud: 'reports', exp: seconds + 60 }
const domain = parseTrustDomain('example.org')

const signerOf = (algorithm: SignatureAlgorithm, pair: Pair) => ({
  algorithm,
  publicKey: pair.publicKey.export({ type: 'spki', format: 'der' }),
  sign: (data: Uint8Array) => signWithKey(algorithm, pair.privateKey, data),
})

function token(header: object = {}, change: object = {}, pair: Pair = ec): string {
  const encoded = encodeJwsHeader({ alg: 'ES256', kid: 'k1', ...header })
  return signCompactJws(signerOf('ES256', pair), encoded, JSON.stringify({ ...claims, ...change })) as string
}

const validation: JwtSvidValidation = {
  keys: () => [{ kid: 'k1', key: ec.publicKey }],
  audience: 'reports',
  now,
  leewaySeconds: 0,
}

function accepts(text: string, change: Partial<JwtSvidValidation> = {}, uri = claims.sub): void {
  expect(validateJwtSvid(text, { ...validation, ...change }).spiffeId.uri).toBe(uri)
}

function refuses(text: string, code: ProtocolErrorCode, change: Partial<JwtSvidValidation> = {}): void {
  expect(() => validateJwtSvid(text, { ...validation, ...change })).toThrow(expect.objectContaining({ code }))
}

const input: JwtSvidInput = {
  spiffeId: parseSpiffeId('spiffe://example.org/a'),
  audience: ['reports'],
  now,
  ttlSeconds: 300,
  jti: 'j',
  claims: {},
}
function issue(change: Partial<JwtSvidInput> = {}): string {
  const signer = createJwtSvidSigner({ signer: signerOf('ES256', ec), kid: 'k1', issuer: 'https://id.example.org' })
  return (signer.issue({ ...input, ...change }) as JwtSvid).token
}
const issuedClaims = (change: Partial<JwtSvidInput> = {}) =>
  JSON.parse(parseCompactJws(issue(change)).payload.toString())
const cannotIssue = (change: Partial<JwtSvidInput>, code: ProtocolErrorCode) =>
  expect(() => issue(change)).toThrow(expect.objectContaining({ code }))

defineConformance('JWT-SVID', { prefix: 'J', last: 18 }, [
  {
    id: 'J-01',
    level: 'MUST',
    section: '1',
    sentence: 'only the compact serialisation is written and read',
    test: () => {
      const text = token()
      const [header, payload, signature] = text.split('.')
      accepts(text)
      accepts(issue())
      refuses(JSON.stringify({ payload, protected: header, signature }), 'jws')
      refuses(JSON.stringify({ payload, signatures: [{ protected: header, signature }] }), 'jws')
      refuses(`${header}..${signature}`, 'jws')
      refuses(`${text}.AA`, 'jws')
      refuses(`${text}.AA.AA`, 'jws')
    },
  },
  {
    id: 'J-02',
    level: 'MUST',
    section: '2',
    sentence: 'the header holds alg, kid and typ and nothing else, registered or private',
    test: () => {
      expect(Object.keys(parseCompactJws(issue()).header).sort()).toEqual(['alg', 'kid', 'typ'])
      accepts(token({ typ: 'JWT' }))
      for (const name of ['jku', 'jwk', 'x5u', 'x5c', 'x5t', 'cty', 'crit', 'zip', 'b64', 'iss']) {
        refuses(token({ [name]: 'a' }), 'jws_header')
      }
    },
  },
  {
    id: 'J-03',
    level: 'MUST',
    section: '2.1',
    sentence: 'alg is one of RS, ES and PS with 256, 384 and 512, and is checked before anything else',
    test: async () => {
      const pairs: Readonly<Record<string, Pair>> = { ES256: ec, ES384: p384, ES512: p521 }
      for (const alg of Object.keys(algorithms)) {
        const { publicKey, privateKey } = pairs[alg] ?? rsa
        const signing = new CompactSign(Buffer.from(JSON.stringify(claims))).setProtectedHeader({ alg, kid: 'k1' })
        accepts(await signing.sign(privateKey), { keys: () => [{ kid: 'k1', key: publicKey }] })
      }
      for (const alg of ['none', 'HS256', 'HS384', 'HS512', 'EdDSA', 'ES256K', 'RSA-OAEP', '']) {
        refuses(token({ alg }, { sub: 1 }), 'algorithm')
      }
      const confused = `${encodeJwsHeader({ alg: 'HS256' })}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
      const mac = createHmac('sha256', ec.publicKey.export({ type: 'spki', format: 'pem' }))
        .update(confused)
        .digest('base64url')
      refuses(`${confused}.${mac}`, 'algorithm')
    },
  },
  {
    id: 'J-04',
    level: 'MAY',
    section: '2.2',
    sentence: 'a token without kid is valid; every key of its type is tried',
    test: () => {
      const keys = () => [rsa, otherEc, ec].map(({ publicKey }, index) => ({ kid: `k${index}`, key: publicKey }))
      accepts(token({ kid: undefined }), { keys })
      refuses(token({ kid: undefined }, {}, p256Stranger), 'jws_signature', { keys })
      expect(parseCompactJws(issue()).header.kid).toBe('k1')
    },
  },
  {
    id: 'J-05',
    level: 'MUST',
    section: '2.3',
    sentence: 'typ is absent, JWT or JOSE',
    test: () => {
      for (const typ of [undefined, 'JWT', 'JOSE']) accepts(token({ typ }))
      for (const typ of ['at+jwt', 'wit+jwt', 'jwt', '', null, 1]) refuses(token({ typ }), 'jws_header')
      expect(parseCompactJws(issue()).header.typ).toBe('JWT')
    },
  },
  {
    id: 'J-06',
    level: 'MUST',
    section: '3.1',
    sentence: 'sub is the SPIFFE ID of a workload',
    test: () => {
      expect(issuedClaims().sub).toBe('spiffe://example.org/a')
      accepts(token())
      for (const sub of [undefined, null, 1, '', 'a', 'spiffe://example.org', 'spiffe://example.org/a/']) {
        refuses(token({}, { sub }), 'jwt_subject')
      }
      cannotIssue({ spiffeId: parseSpiffeId('spiffe://example.org') }, 'jwt_subject')
    },
  },
  {
    id: 'J-07',
    level: 'MUST',
    section: '3.2',
    sentence: 'aud is present with one value or more, the own one among them',
    test: () => {
      for (const aud of ['reports', ['reports'], ['a', 'reports']]) accepts(token({}, { aud }))
      for (const aud of [undefined, null, '', [], ['a'], 'a', [1], {}]) refuses(token({}, { aud }), 'jwt_audience')
      cannotIssue({ audience: [] }, 'jwt_audience')
    },
  },
  {
    id: 'J-08',
    level: 'SHOULD',
    section: '3.2',
    sentence: 'a token has one audience',
    reason:
      'Decided by policy above this floor: a rule gives one audience a token unless its `max_audiences` says more.',
  },
  {
    id: 'J-09',
    level: 'SHOULD',
    section: '3.2',
    sentence: 'an audience names one service and no environment',
    reason: 'What a name stands for is known to the operator only, who lists the audiences of each rule.',
  },
  {
    id: 'J-10',
    level: 'MUST',
    section: '3.3',
    sentence: 'exp is present and not past',
    test: () => {
      expect(issuedClaims().exp).toBe(seconds + 300)
      accepts(token({}, { exp: seconds + 1 }))
      accepts(token({}, { exp: seconds - 59 }), { leewaySeconds: 60 })
      refuses(token({}, { exp: seconds }), 'jwt_expired')
      refuses(token({}, { exp: seconds - 60 }), 'jwt_expired', { leewaySeconds: 60 })
      for (const exp of [undefined, null, '1', 1e308]) refuses(token({}, { exp }), 'jwt_claims')
      cannotIssue({ ttlSeconds: 0 }, 'jwt_claims')
    },
  },
  {
    id: 'J-11',
    level: 'MAY',
    section: '3',
    sentence: 'other claims are allowed, and replace no standard one',
    test: () => {
      expect(issuedClaims({ claims: { 'https://example.org/team': 'web', sub: 'x', exp: 1 } })).toEqual({
        ...issuedClaims(),
        'https://example.org/team': 'web',
      })
      accepts(token({}, { 'https://example.org/team': ['web'] }))
      refuses(token({}, { jti: 1 }), 'jwt_claims')
    },
  },
  {
    id: 'J-12',
    level: 'MUST',
    section: '4',
    sentence: 'signatures are processed as RFC 7519 §7 says; alg fits the type and curve of the key',
    test: () => {
      accepts(token())
      accepts(token({}, { nbf: seconds }))
      refuses(token({}, { nbf: seconds + 1 }), 'jwt_not_yet_valid')
      refuses(token({ crit: ['exp'] }), 'jws_header')
      refuses(token({ alg: 'RS256' }), 'algorithm')
      refuses(token({ alg: 'ES384' }), 'algorithm')
      refuses(token({}, {}, otherEc), 'jws_signature')
      refuses(token({ kid: 'k2' }), 'jws_signature')
    },
  },
  {
    id: 'J-13',
    level: 'MUST',
    section: 'Workload API 6.3',
    sentence: 'keys come from the bundle of the trust domain of sub only, also where a kid is used twice',
    test: () => {
      const keys: JwtSvidValidation['keys'] = (name) =>
        name === 'example.org' ? [{ kid: 'k1', key: ec.publicKey }] : [{ kid: 'k1', key: otherEc.publicKey }]
      const foreign = { sub: 'spiffe://other.example/a' }
      accepts(token(), { keys })
      accepts(token({}, foreign, otherEc), { keys }, foreign.sub)
      refuses(token({}, foreign, ec), 'jws_signature', { keys })
      refuses(token({}, {}, otherEc), 'jws_signature', { keys })
      refuses(token({ kid: undefined }, foreign, ec), 'jws_signature', { keys })
    },
  },
  {
    id: 'J-14',
    level: 'SHOULD',
    section: '5.2',
    sentence: 'a token travels in the Authorization header, as Bearer',
    reason: 'A rule for whoever carries the token. The gateway reads it from that header; its HTTP tests cover it.',
  },
  {
    id: 'J-15',
    level: 'MUST',
    section: '6.1',
    sentence: 'in a bundle a key has the use jwt-svid and a kid',
    test: () => {
      const jwtAuthorities = [{ kid: 'k1', key: ec.publicKey }]
      const text = formatTrustBundle({ trustDomain: domain, x509Authorities: [], jwtAuthorities })
      expect(JSON.parse(text).keys).toEqual([{ use: 'jwt-svid', kid: 'k1', ...ec.publicKey.export({ format: 'jwk' }) }])
      expect(parseTrustBundle(domain, text).jwtAuthorities).toHaveLength(1)
      expect(parseTrustBundle(domain, text.replace(',"kid":"k1"', '')).jwtAuthorities).toEqual([])
    },
  },
  {
    id: 'J-16',
    level: 'MUST',
    section: '6.2',
    sentence: 'only keys with the use jwt-svid verify a token',
    test: () => {
      const bundle = (use: string | undefined) =>
        parseTrustBundle(
          domain,
          JSON.stringify({ keys: [{ ...ec.publicKey.export({ format: 'jwk' }), kid: 'k1', use }] }),
        )
      accepts(token(), { keys: () => bundle('jwt-svid').jwtAuthorities })
      for (const use of ['x509-svid', 'wit-svid', 'sig', 'JWT-SVID', undefined]) {
        refuses(token(), 'jws_signature', { keys: () => bundle(use).jwtAuthorities })
      }
    },
  },
  {
    id: 'J-17',
    level: 'MAY',
    section: '7.1',
    sentence: 'jti may be present and need not be tracked',
    test: () => {
      expect(issuedClaims().jti).toBe('j')
      accepts(token({}, { jti: 'once' }))
      accepts(token({}, { jti: 'once' }))
      accepts(token({}, { jti: undefined }))
      refuses(token({}, { jti: {} }), 'jwt_claims')
    },
  },
  {
    id: 'J-18',
    level: 'NOTE',
    section: '7.2',
    sentence: 'the transport is confidential, and narrow audiences are the main control of replay',
    reason: 'TLS and the audiences of a rule are decided above this floor.',
  },
])
