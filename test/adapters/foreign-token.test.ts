import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { verifyForeignToken } from '../../src/adapters/foreign-token.ts'
import { Refusal } from '../../src/core/refusal.ts'
import { parseKeySet } from '../../src/protocol/key-set.ts'
import { ecSigner, encodePart, hmacSigner, type Members, rsaSigner, signToken } from '../support/raw-token.ts'

const issuer = 'https://issuer.example'
const audience = 'https://id.example.org'
const now = new Date('2026-03-01T12:00:00Z')
const seconds = now.getTime() / 1000

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pss = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 })
const rsaPem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()

const jwk = (pair: { publicKey: typeof rsa.publicKey }, members: object) => ({
  ...pair.publicKey.export({ format: 'jwk' }),
  ...members,
})
const set = parseKeySet(
  JSON.stringify({
    keys: [
      jwk(rsa, { kid: 'rsa', use: 'sig' }),
      jwk(pss, { kid: 'pss', alg: 'PS256' }),
      jwk(ec, { kid: 'ec' }),
      jwk(stranger, { kid: 'twice' }),
      jwk(rsa, { kid: 'twice' }),
    ],
  }),
)

const keys = {
  find: async (kid: string | undefined) => ({
    keys: set.keys.filter((key) => kid === undefined || key.kid === kid),
    version: 7,
  }),
  size: () => set.keys.length,
}

const header = { alg: 'RS256', kid: 'rsa', typ: 'JWT' }
const claims = { iss: issuer, sub: 'repo:org/app', aud: audience, exp: seconds + 600, iat: seconds, nbf: seconds }
const signed = rsaSigner(rsa.privateKey)

function make(changed: { readonly header?: Members; readonly claims?: Members } = {}, sign = signed): string {
  return signToken({ ...header, ...changed.header }, { ...claims, ...changed.claims }, sign)
}

function verify(token: string, leewaySeconds?: number) {
  return verifyForeignToken(token, {
    keys,
    issuer,
    audience,
    now,
    ...(leewaySeconds === undefined ? {} : { leewaySeconds }),
  })
}

test('answers claims, subject, expiry and the version of the keys', async () => {
  expect(await verify(make({ claims: { extra: { deep: [1, true, null] } } }))).toEqual({
    claims: { ...claims, extra: { deep: [1, true, null] } },
    subject: 'repo:org/app',
    expiresAt: new Date('2026-03-01T12:10:00Z'),
    keysVersion: 7,
  })
})

test('accepts what another library signs', async () => {
  const token = await new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256', kid: 'ec' }).sign(ec.privateKey)
  expect(await verify(token)).toMatchObject({ subject: 'repo:org/app' })
})

test.each([
  ['no typ', make({ header: { typ: undefined } })],
  ['an access token', make({ header: { typ: 'at+jwt' } })],
  ['an access token, spelled out', make({ header: { typ: 'application/AT+JWT' } })],
  ['typ JOSE', make({ header: { typ: 'JOSE' } })],
  ['typ in lower case', make({ header: { typ: 'jwt' } })],
  ['fingerprints of certificates', make({ header: { x5t: 'abc', 'x5t#S256': 'abc' } })],
  ['no kid', make({ header: { kid: undefined } })],
  ['one of two keys of one kid', make({ header: { kid: 'twice' } })],
  ['ES256', make({ header: { alg: 'ES256', kid: 'ec' } }, ecSigner(ec.privateKey))],
  [
    'PS256 by a key that says so',
    make({ header: { alg: 'PS256', kid: 'pss' } }, rsaSigner(pss.privateKey, { pss: true })),
  ],
  ['one of several audiences', make({ claims: { aud: ['x', audience] } })],
  ['neither iat nor nbf', make({ claims: { iat: undefined, nbf: undefined } })],
  ['a part of a second', make({ claims: { exp: seconds + 0.5 } })],
  ['exp just within the leeway', make({ claims: { exp: seconds - 59 } })],
  ['nbf just within the leeway', make({ claims: { nbf: seconds + 60 } })],
  ['iat just within the leeway', make({ claims: { iat: seconds + 60 } })],
])('accepts %s', async (_, token) => {
  expect(await verify(token)).toMatchObject({ subject: 'repo:org/app' })
})

const body = encodePart(claims)
const deep = `{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`
const [goodHeader = '', goodClaims = '', goodSignature = ''] = make().split('.')

test.each([
  // Shape
  ['nothing', '', 'no compact JWS'],
  ['two parts', `${goodHeader}.${goodClaims}`, 'no compact JWS'],
  ['four parts', `${make()}.x`, 'no compact JWS'],
  ['no signature', `${goodHeader}.${goodClaims}.`, 'no compact JWS'],
  ['padding', `${goodHeader}.${goodClaims}.${goodSignature}==`, 'no compact JWS'],
  ['characters of base64', make().replace(/\.[^.]*$/, '.+/+/'), 'no compact JWS'],
  ['a line feed', `${make()}\n`, 'no compact JWS'],
  ['17 KiB', make({ claims: { filler: 'x'.repeat(13 * 1024) } }), 'too long'],
  ['a header that is no JSON', `${encodePart('{')}.${body}.AA`, 'header'],
  ['a header that is a list', `${encodePart('[]')}.${body}.AA`, 'header'],
  [
    'a repeated member of the header',
    signToken('{"alg":"none","alg":"RS256","kid":"rsa"}', claims, signed),
    'repeated',
  ],
  ['a header nested 10,000 deep', `${encodePart(deep.slice(0, 12_000))}.e30.AA`, 'header'],
  ['claims that are no JSON', signToken(header, 'hello', signed), 'claims are not JSON'],
  ['claims that are a list', signToken(header, '[]', signed), 'not a JSON object'],
  ['claims nested 10,000 deep', signToken(header, deep.slice(0, 10_000), signed), 'nested too deeply'],
  ['a repeated claim', signToken(header, JSON.stringify(claims).replace('{', '{"sub":"admin",'), signed), 'repeated'],
  ['claims that are not UTF-8', `${goodHeader}.${Buffer.from([0xff]).toString('base64url')}.AA`, 'UTF-8'],
  // Header
  ['alg none', `${encodePart({ ...header, alg: 'none' })}.${body}.AA`, "alg is 'none'"],
  ['alg None', `${encodePart({ ...header, alg: 'None' })}.${body}.AA`, "alg is 'None'"],
  ['no alg', make({ header: { alg: undefined } }), 'alg is absent'],
  ['an alg that is a number', make({ header: { alg: 256 } }), 'alg is of type number'],
  ['HS256 keyed with the public key in PEM', make({ header: { alg: 'HS256' } }, hmacSigner(rsaPem)), "alg is 'HS256'"],
  ['EdDSA', make({ header: { alg: 'EdDSA' } }), "alg is 'EdDSA'"],
  ['crit', make({ header: { crit: ['exp'] } }), 'has crit'],
  ['b64', make({ header: { b64: false } }), 'has b64'],
  ['jku', make({ header: { jku: 'https://attacker.example/keys' } }), 'has jku'],
  ['x5u', make({ header: { x5u: 'https://attacker.example/cert' } }), 'has x5u'],
  ['x5c', make({ header: { x5c: ['MIIB'] } }), 'has x5c'],
  [
    'the key that it is signed with',
    make(
      { header: { jwk: createPublicKey(stranger.privateKey).export({ format: 'jwk' }) } },
      rsaSigner(stranger.privateKey),
    ),
    'has jwk',
  ],
  ['a logout token', make({ header: { typ: 'logout+jwt' } }), "typ is 'logout+jwt'"],
  ['a DPoP proof', make({ header: { typ: 'dpop+jwt' } }), "typ is 'dpop+jwt'"],
  ['a security event', make({ header: { typ: 'secevent+jwt' } }), "typ is 'secevent+jwt'"],
  ['a workload identity token', make({ header: { typ: 'wit+jwt' } }), "typ is 'wit+jwt'"],
  ['a typ that is a list', make({ header: { typ: ['JWT'] } }), 'typ is of type object'],
  ['an empty kid', make({ header: { kid: '' } }), 'kid is not a string'],
  ['a kid of 10 kB', make({ header: { kid: 'x'.repeat(10_000) } }), 'kid is not a string'],
  ['a kid that is a number', make({ header: { kid: 1 } }), 'kid is not a string'],
  ['a kid that is null', make({ header: { kid: null } }), 'kid is not a string'],
  // Claims
  ['another issuer', make({ claims: { iss: 'https://other.example' } }), "iss is 'https://other.example'"],
  ['the issuer with a slash', make({ claims: { iss: `${issuer}/` } }), 'iss is'],
  ['no issuer', make({ claims: { iss: undefined } }), 'iss is absent'],
  ['another audience', make({ claims: { aud: 'https://other.example' } }), "aud is 'https://other.example', without"],
  ['other audiences', make({ claims: { aud: ['a', 'b', 'c', 'd'] } }), "aud is 'a', 'b', 'c', …, without"],
  ['no audience', make({ claims: { aud: undefined } }), 'aud is neither'],
  ['an empty list of audiences', make({ claims: { aud: [] } }), 'aud is neither'],
  ['an audience among what is no string', make({ claims: { aud: [audience, 1] } }), 'aud is neither'],
  ['part of the audience', make({ claims: { aud: `${audience}/x` } }), 'aud is'],
  ['no exp', make({ claims: { exp: undefined } }), 'no exp'],
  ['an exp that is text', make({ claims: { exp: String(seconds + 600) } }), 'exp is not a time'],
  ['an exp in milliseconds', make({ claims: { exp: now.getTime() + 600_000 } }), 'exp is not a time'],
  [
    'an exp without end',
    signToken(header, JSON.stringify(claims).replace(/"exp":\d+/, '"exp":1e999'), signed),
    'out of range',
  ],
  [
    'an expired token',
    make({ claims: { exp: seconds - 60 } }),
    'exp is 2026-03-01T11:59:00.000Z, now is 2026-03-01T12:00:00.000Z',
  ],
  ['a token of the future', make({ claims: { nbf: seconds + 61 } }), 'nbf is 2026-03-01T12:01:01.000Z'],
  ['a token issued in the future', make({ claims: { iat: seconds + 61 } }), 'iat is 2026-03-01T12:01:01.000Z'],
  ['an nbf that is null', make({ claims: { nbf: null } }), 'nbf is not a time'],
  ['a negative iat', make({ claims: { iat: -1 } }), 'iat is not a time'],
  ['no subject', make({ claims: { sub: undefined } }), 'sub is not a string'],
  ['an empty subject', make({ claims: { sub: '' } }), 'sub is not a string'],
  ['a subject that is a number', make({ claims: { sub: 7 } }), 'sub is not a string'],
  ['a subject of 2049 characters', make({ claims: { sub: 'x'.repeat(2049) } }), 'sub is not a string'],
  // Signature
  [
    'an unknown kid',
    make({ header: { kid: 'gone' } }),
    "kid 'gone' is not among the 5 keys of issuer 'https://issuer.example'",
  ],
  ['a kid like a path', make({ header: { kid: '../../etc/passwd' } }), "kid '../../etc/passwd' is not among"],
  ['a kid with line breaks', make({ header: { kid: 'a\nfake: line' } }), "kid 'a?fake: line' is not among"],
  [
    'PS256 by a key for RS256',
    make({ header: { alg: 'PS256' } }, rsaSigner(rsa.privateKey, { pss: true })),
    'alg is PS256',
  ],
  [
    'RS512 by a key for RS256',
    make({ header: { alg: 'RS512' } }, rsaSigner(rsa.privateKey, { hash: 'sha512' })),
    'alg is RS512',
  ],
  ['RS256 by a key for PS256', make({ header: { kid: 'pss' } }, rsaSigner(pss.privateKey)), 'alg is RS256'],
  ['RS256 with the kid of an EC key', make({ header: { kid: 'ec' } }), 'alg is RS256'],
  [
    'a signature of PS256 called RS256',
    make({}, rsaSigner(rsa.privateKey, { pss: true })),
    'signature is not by the key',
  ],
  ['the key of somebody else', make({}, rsaSigner(stranger.privateKey)), 'signature is not by the key'],
  [
    'the key of nobody, without a kid',
    make({ header: { kid: undefined } }, rsaSigner(pss.privateKey)),
    'signature is not by the key of issuer',
  ],
  [
    'an ECDSA signature in DER',
    make({ header: { alg: 'ES256', kid: 'ec' } }, rsaSigner(ec.privateKey)),
    'signature is not',
  ],
  [
    'an ECDSA signature of zeros',
    make({ header: { alg: 'ES256', kid: 'ec' } }, () => Buffer.alloc(64)),
    'signature is not',
  ],
  ['an RSA signature of one byte', make({}, () => Buffer.from([1])), 'signature is not'],
])('refuses %s', async (_, token, reason) => {
  const error = await verify(token).catch((caught: unknown) => caught)
  expect(error).toBeInstanceOf(Refusal)
  expect(error).toMatchObject({ code: 'proof_rejected', reason: expect.stringContaining(reason) })
  const { reason: text } = error as Refusal
  expect(text.length).toBeLessThan(700)
  expect(text).toMatch(/^[\x20-\x7e…]*$/)
  for (const part of token.split('.').filter((each) => each.length > 20)) expect(text).not.toContain(part)
})

test('the leeway is an argument', async () => {
  await expect(verify(make({ claims: { exp: seconds } }), 0)).rejects.toMatchObject({ code: 'proof_rejected' })
  expect(await verify(make({ claims: { exp: seconds + 1 } }), 0)).toBeDefined()
})

test('keys that cannot be had are not the fault of the token', async () => {
  const away = {
    find: async () => {
      throw new Refusal('upstream_failed', 'away')
    },
    size: () => 0,
  }
  await expect(verifyForeignToken(make(), { keys: away, issuer, audience, now })).rejects.toMatchObject({
    code: 'upstream_failed',
  })
})

test('no token with one changed character verifies', async () => {
  const token = make()
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: token.length - 1 }),
      fc.constantFrom(...'AZaz09-_.'),
      async (at, character) => {
        fc.pre(token[at] !== character)
        const changed = `${token.slice(0, at)}${character}${token.slice(at + 1)}`
        await expect(verify(changed)).rejects.toMatchObject({ code: 'proof_rejected' })
      },
    ),
    { numRuns: 300 },
  )
})
