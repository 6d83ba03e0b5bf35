import { generateKeyPairSync } from 'node:crypto'
import { expect } from 'vitest'
import { signWithKey } from '../../src/protocol/algorithms.ts'
import type { ProtocolErrorCode } from '../../src/protocol/errors.ts'
import { encodeJwsHeader, parseCompactJws, signCompactJws } from '../../src/protocol/jws.ts'
import { createJwtSvidSigner, type JwtSvid, validateJwtSvid } from '../../src/protocol/jwt-svid.ts'
import { buildSpiffeId, isPathSegment, parseSpiffeId, parseTrustDomain } from '../../src/protocol/spiffe-id.ts'
import { defineConformance } from './requirements.ts'

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const signer = {
  algorithm: 'ES256',
  publicKey: publicKey.export({ type: 'spki', format: 'der' }),
  sign: (data: Uint8Array) => signWithKey('ES256', privateKey, data),
} as const
const now = new Date('2026-08-01T12:00:00Z')
const validation = { keys: () => [{ kid: 'k1', key: publicKey }], now, leewaySeconds: 0 }

/** Accepts the first list letter for letter and refuses each of the others with its code. */
function ids(accepted: readonly string[], refused: Readonly<Record<string, ProtocolErrorCode>>): () => void {
  return () => {
    for (const uri of accepted) expect(parseSpiffeId(uri).uri).toBe(uri)
    for (const [uri, code] of Object.entries(refused)) {
      expect(() => parseSpiffeId(uri), uri).toThrow(expect.objectContaining({ code }))
    }
  }
}

function issued(): string {
  const svid = createJwtSvidSigner({ signer, kid: 'k1', issuer: 'https://id.example.org' }).issue({
    spiffeId: parseSpiffeId('spiffe://example.org/a'),
    audience: ['a'],
    now,
    ttlSeconds: 300,
    jti: 'j',
    claims: {},
  })
  return (svid as JwtSvid).token
}

const longest = (bytes: number) => 'spiffe://example.org/'.padEnd(bytes, 'a')

defineConformance('SPIFFE-ID', { prefix: 'ID', last: 19 }, [
  {
    id: 'ID-01',
    level: 'MUST',
    section: '2',
    sentence: 'the scheme is spiffe',
    test: ids(['spiffe://td/a'], {
      'http://td/a': 'spiffe_id_scheme',
      'spiffe:td/a': 'spiffe_id_scheme',
      '//td/a': 'spiffe_id_scheme',
    }),
  },
  {
    id: 'ID-02',
    level: 'MUST',
    section: '2',
    sentence: 'there is no query and no fragment, not even an empty one',
    test: ids(['spiffe://td/a'], {
      'spiffe://td/a?b=c': 'spiffe_id_path',
      'spiffe://td/a?': 'spiffe_id_path',
      'spiffe://td/a#b': 'spiffe_id_path',
      'spiffe://td/a#': 'spiffe_id_path',
      'spiffe://td?': 'trust_domain_name',
      'spiffe://td#': 'trust_domain_name',
    }),
  },
  {
    id: 'ID-03',
    level: 'MUST',
    section: '2.1',
    sentence: 'the trust domain is not empty',
    test: ids(['spiffe://t/a'], { 'spiffe:///a': 'trust_domain_name', 'spiffe://': 'trust_domain_name' }),
  },
  {
    id: 'ID-04',
    level: 'MUST',
    section: '2.1',
    sentence: 'there is no userinfo and no port, not even an empty one',
    test: ids(['spiffe://td/a'], {
      'spiffe://u@td/a': 'trust_domain_name',
      'spiffe://@td/a': 'trust_domain_name',
      'spiffe://td:1/a': 'trust_domain_name',
      'spiffe://td:/a': 'trust_domain_name',
    }),
  },
  {
    id: 'ID-05',
    level: 'MUST',
    section: '2.1',
    sentence: 'a trust domain is written in lower case',
    test: () => {
      expect(parseTrustDomain('example.org')).toBe('example.org')
      expect(() => parseTrustDomain('Example.org')).toThrow(expect.objectContaining({ code: 'trust_domain_name' }))
    },
  },
  {
    id: 'ID-06',
    level: 'MUST',
    section: '2.1',
    sentence: 'a trust domain has letters, digits, dot, dash and underscore only: no percent-encoding, no IPv6 literal',
    test: ids(['spiffe://a-z.0_9/a'], {
      'spiffe://[::1]/a': 'trust_domain_name',
      'spiffe://t%64/a': 'trust_domain_name',
      'spiffe://täd/a': 'trust_domain_name',
      'spiffe://t d/a': 'trust_domain_name',
    }),
  },
  {
    id: 'ID-07',
    level: 'MUST',
    section: '2.1',
    sentence: 'a name that looks like an IP address or a DNS name is a name like any other',
    test: ids(['spiffe://10.0.0.1/a', 'spiffe://a_b/x', 'spiffe://.a./x', 'spiffe://-/x'], {
      'spiffe://10.0.0.1:80/a': 'trust_domain_name',
    }),
  },
  {
    id: 'ID-08',
    level: 'MUST',
    section: '2.3',
    sentence: 'a trust domain has at most 255 bytes',
    test: ids([`spiffe://${'a'.repeat(255)}/a`], { [`spiffe://${'a'.repeat(256)}/a`]: 'trust_domain_name' }),
  },
  {
    id: 'ID-09',
    level: 'MUST',
    section: '2.2',
    sentence: 'a path has no percent-encoding',
    test: ids(['spiffe://td/aA'], { 'spiffe://td/a%41': 'spiffe_id_path', 'spiffe://td/%': 'spiffe_id_path' }),
  },
  {
    id: 'ID-10',
    level: 'MUST',
    section: '2.2',
    sentence: 'a path has no empty segment, no dot segments and no trailing slash',
    test: ids(['spiffe://td', 'spiffe://td/a/b'], {
      'spiffe://td/': 'spiffe_id_path',
      'spiffe://td/a/': 'spiffe_id_path',
      'spiffe://td/a//b': 'spiffe_id_path',
      'spiffe://td/a/./b': 'spiffe_id_path',
      'spiffe://td/..': 'spiffe_id_path',
      'spiffe://td/a/../b': 'spiffe_id_path',
    }),
  },
  {
    id: 'ID-11',
    level: 'MUST',
    section: '2.2',
    sentence: 'a path segment has letters, digits, dot, dash and underscore only',
    test: () => {
      ids(['spiffe://td/...', 'spiffe://td/A-z.0_9'], {
        'spiffe://td/a!b': 'spiffe_id_path',
        'spiffe://td/a b': 'spiffe_id_path',
        'spiffe://td/ü': 'spiffe_id_path',
      })()
      expect(['...', 'A-z.0_9', 'a!b', 'ü', '..'].map(isPathSegment)).toEqual([true, true, false, false, false])
    },
  },
  {
    id: 'ID-12',
    level: 'MUST',
    section: '2.3',
    sentence: 'IDs of up to 2048 bytes are accepted, in tokens as well',
    test: () => {
      ids([longest(2048)], { [longest(2049)]: 'spiffe_id_too_long' })()
      const token = (sub: string) =>
        signCompactJws(
          signer,
          encodeJwsHeader({ alg: 'ES256' }),
          JSON.stringify({ sub, aud: 'a', exp: now.getTime() / 1000 + 1 }),
        ) as string
      expect(validateJwtSvid(token(longest(2048)), validation).spiffeId.uri).toBe(longest(2048))
      expect(() => validateJwtSvid(token(longest(2049)), validation)).toThrow(
        expect.objectContaining({ code: 'jwt_subject' }),
      )
    },
  },
  {
    id: 'ID-13',
    level: 'SHOULD',
    section: '2.3',
    sentence: 'no ID longer than 2048 bytes is made',
    test: () => {
      const path = (bytes: number) => longest(bytes).slice('spiffe://example.org'.length)
      expect(buildSpiffeId(parseTrustDomain('example.org'), path(2048)).uri).toHaveLength(2048)
      expect(() => buildSpiffeId(parseTrustDomain('example.org'), path(2049))).toThrow(
        expect.objectContaining({ code: 'spiffe_id_too_long' }),
      )
    },
  },
  {
    id: 'ID-14',
    level: 'NOTE',
    section: '2.4',
    sentence: 'scheme and trust domain compare without case, the path with it; here the other spellings are refused',
    test: () => {
      ids(['spiffe://td/Web', 'spiffe://td/web'], {
        'SPIFFE://td/web': 'spiffe_id_scheme',
        'spiffe://TD/web': 'trust_domain_name',
      })()
      expect(parseSpiffeId('spiffe://td/Web')).not.toEqual(parseSpiffeId('spiffe://td/web'))
    },
  },
  {
    id: 'ID-15',
    level: 'MUST',
    section: '3.1',
    sentence: 'a trust domain has a signing authority that itself holds an SVID',
    reason: 'A property of the authority certificate: the rows X-05 and X-06 test it.',
  },
  {
    id: 'ID-16',
    level: 'SHOULD',
    section: '3.1',
    sentence: 'the ID of that authority is the trust domain itself, without a path',
    reason: 'A property of the authority certificate: the row X-06 tests it.',
  },
  {
    id: 'ID-17',
    level: 'MUST',
    section: '3.2',
    sentence: 'the ID is inside the signed part',
    test: () => {
      const token = issued()
      expect(validateJwtSvid(token, validation).spiffeId.uri).toBe('spiffe://example.org/a')
      const [header, , signature] = token.split('.')
      const claims = JSON.parse(parseCompactJws(token).payload.toString())
      const payload = Buffer.from(JSON.stringify({ ...claims, sub: 'spiffe://example.org/b' })).toString('base64url')
      expect(() => validateJwtSvid(`${header}.${payload}.${signature}`, validation)).toThrow(
        expect.objectContaining({ code: 'jws_signature' }),
      )
    },
  },
  {
    id: 'ID-18',
    level: 'MUST',
    section: '3.3',
    sentence: 'only documents with a specification are SVIDs; as JWT only the JWT-SVID is taken',
    test: () => {
      const token = (typ: string) =>
        signCompactJws(
          signer,
          encodeJwsHeader({ alg: 'ES256', typ }),
          JSON.stringify({ sub: 'spiffe://td/a', aud: 'a', exp: now.getTime() / 1000 + 1 }),
        ) as string
      expect(validateJwtSvid(token('JWT'), validation).spiffeId.uri).toBe('spiffe://td/a')
      for (const typ of ['at+jwt', 'wit+jwt', 'dpop+jwt']) {
        expect(() => validateJwtSvid(token(typ), validation)).toThrow(expect.objectContaining({ code: 'jws_header' }))
      }
    },
  },
  {
    id: 'ID-19',
    level: 'NOTE',
    section: '4.1',
    sentence: 'further assertions in an SVID are weighed for staleness, scope and truth',
    reason: 'Only claims that an identity rule writes out are added; there is no list of defaults that could go stale.',
  },
])
