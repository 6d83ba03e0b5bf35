/**
 * Every way to be wrong about who one is, and what the operator is to read of it.
 *
 * @module
 */
import { createPublicKey, randomBytes, sign } from 'node:crypto'
import { formatJoinToken } from '../../src/protocol/join-token.ts'
import spiffeIds from '../vectors/spiffe-id.json' with { type: 'json' }
import { type OidcIssuer, signWithRsa } from './oidc-issuer.ts'
import { ecSigner, encodePart, hmacSigner, type Members, rsaSigner, signToken } from './raw-token.ts'

export interface BadProof {
  readonly name: string
  readonly headers: Readonly<Record<string, string>>
  /** Part of the record's reason. */
  readonly reason: string | RegExp
}

type Row = readonly [name: string, token: string, reason: string | RegExp]

const now = () => Math.floor(Date.now() / 1000)

export function badProofs(issuer: OidcIssuer): readonly BadProof[] {
  return [
    { name: 'no proof', headers: {}, reason: 'no proof' },
    { name: 'another scheme', headers: { authorization: 'Basic YTpi' }, reason: 'no compact JWT' },
    { name: 'a bare token', headers: { authorization: issuer.token() }, reason: 'no compact JWT' },
    { name: 'a scheme alone', headers: { authorization: 'Bearer' }, reason: 'no compact JWT' },
    { name: 'two tokens', headers: { authorization: `Bearer ${issuer.token()}, x` }, reason: 'no compact JWT' },
    ...[
      ...badClaims(issuer),
      ...badHeaders(issuer),
      ...badForms(issuer),
      ...badJoinTokens(),
      ...badSubjects(issuer),
    ].map(([name, token, reason]) => ({ name, headers: { authorization: `Bearer ${token}` }, reason })),
    {
      name: 'an unknown authenticator',
      headers: { authorization: `Bearer ${issuer.token()}`, 'apostille-authenticator': 'nobody' },
      reason: 'an authenticator that is not in the configuration',
    },
    {
      name: 'an authenticator of another kind',
      headers: { authorization: `Bearer ${issuer.token()}`, 'apostille-authenticator': 'first' },
      reason: 'no authenticator',
    },
    {
      name: 'an empty authenticator',
      headers: { authorization: `Bearer ${issuer.token()}`, 'apostille-authenticator': '' },
      reason: 'an authenticator that is not in the configuration',
    },
  ]
}

function badClaims({ token, claims, ec }: OidcIssuer): readonly Row[] {
  const without = (name: string) => {
    const { [name]: _left, ...rest } = claims()
    return signToken({ alg: 'ES256', kid: 'ec' }, rest, ecSigner(ec))
  }
  const nested = `${'{"a":'.repeat(2_000)}`
  return [
    ['unknown issuer', token({ iss: 'https://elsewhere.example' }), 'no authenticator'],
    ['issuer with a slash more', token({ iss: 'https://ci.example/' }), 'no authenticator'],
    ['issuer that is a list', token({ iss: ['https://ci.example'] }), 'no authenticator'],
    ['no issuer', without('iss'), 'no authenticator'],
    ['expired', token({ exp: now() - 120 }), /^exp is .* now is/],
    ['no exp', without('exp'), 'no exp'],
    ['exp that is text', token({ exp: `${now() + 600}` }), 'exp is not a time'],
    ['exp in milliseconds', token({ exp: Date.now() + 600_000 }), 'exp is not a time'],
    ['not yet valid', token({ nbf: now() + 300 }), /^nbf is .* now is/],
    ['issued in the future', token({ iat: now() + 300 }), /^iat is .* now is/],
    ['wrong audience', token({ aud: 'https://other.example' }), "without 'https://id.example.org'"],
    ['audience with a slash more', token({ aud: 'https://id.example.org/' }), "without 'https://id.example.org'"],
    ['no audience', without('aud'), 'aud is neither'],
    ['audience of numbers', token({ aud: [1] }), 'aud is neither'],
    ['no subject', without('sub'), 'sub is not'],
    ['empty subject', token({ sub: '' }), 'sub is not'],
    ['two claims of one name', signToken({ alg: 'ES256', kid: 'ec' }, twoMembers(claims()), ecSigner(ec)), 'repeated'],
    ['claims that are a list', signToken({ alg: 'ES256', kid: 'ec' }, '[]', ecSigner(ec)), 'no compact JWT'],
    ['claims nested 2,000 deep', signToken({ alg: 'ES256', kid: 'ec' }, nested, ecSigner(ec)), 'nested too deeply'],
    ['lists nested 10,000 deep', signToken({ alg: 'ES256', kid: 'ec' }, '['.repeat(10_000), ecSigner(ec)), 'nested'],
    ['a claim named __proto__', signToken({ alg: 'ES256' }, '{"__proto__":{"iss":"x"}}', ecSigner(ec)), '__proto__'],
    [
      'claims that are not UTF-8',
      `${encodePart({ alg: 'ES256' })}.${Buffer.from([0x7b, 0xff]).toString('base64url')}.AA`,
      'no compact JWT',
    ],
  ]
}

/** `{"a":1,"a":1}`: the same member twice. */
function twoMembers(claims: Members): string {
  return JSON.stringify(claims).replace(/}$/, ',"sub":"admin"}')
}

function badHeaders(issuer: OidcIssuer): readonly Row[] {
  const { rsa, ec, claims } = issuer
  const publicPem = createPublicKey(rsa).export({ type: 'spki', format: 'pem' }).toString()
  const own = createPublicKey(ec).export({ format: 'jwk' })
  const es = (header: Members | string) => signToken(header, claims(), ecSigner(ec))
  const derSigned = (data: Buffer) => sign('sha256', data, ec)
  return [
    ['alg none without a signature', signToken({ alg: 'none' }, claims(), () => Buffer.alloc(0)), 'no compact JWT'],
    ['alg none with a signature', es({ alg: 'none', kid: 'ec' }), "alg is 'none'"],
    ['alg None', es({ alg: 'None', kid: 'ec' }), "alg is 'None'"],
    [
      'HS256 with the public key',
      signToken({ alg: 'HS256', kid: 'rsa' }, claims(), hmacSigner(publicPem)),
      "alg is 'HS256'",
    ],
    [
      'PS256 where the key is for RS256',
      signToken({ alg: 'PS256', kid: 'rsa' }, claims(), rsaSigner(rsa, { pss: true })),
      'alg is PS256',
    ],
    [
      'RS384 where the key is for RS256',
      signToken({ alg: 'RS384', kid: 'rsa' }, claims(), rsaSigner(rsa, { hash: 'sha384' })),
      'alg is RS384',
    ],
    ['RS256 by name of the EC key', signWithRsa(issuer, { kid: 'ec' }), 'alg is RS256'],
    ['alg that is a list', es({ alg: ['ES256'], kid: 'ec' }), 'alg is'],
    ['no alg', es({ kid: 'ec' }), /^(alg is|the token is no compact JWS)/],
    ['crit', es({ alg: 'ES256', kid: 'ec', crit: ['exp'] }), 'the header has crit'],
    ['b64', es({ alg: 'ES256', kid: 'ec', b64: false }), 'the header has b64'],
    ['jku', es({ alg: 'ES256', kid: 'ec', jku: 'https://evil.example/keys' }), 'the header has jku'],
    ['x5u', es({ alg: 'ES256', kid: 'ec', x5u: 'https://evil.example/chain' }), 'the header has x5u'],
    ['x5c', es({ alg: 'ES256', kid: 'ec', x5c: ['AAAA'] }), 'the header has x5c'],
    ['embedded jwk', es({ alg: 'ES256', jwk: { ...own } }), 'the header has jwk'],
    ['unknown kid', es({ alg: 'ES256', kid: 'other' }), 'is not among the 2 keys'],
    ['kid that is a path', es({ alg: 'ES256', kid: '../../../../dev/null' }), 'is not among the 2 keys'],
    ['kid that is a query', es({ alg: 'ES256', kid: "' OR 1=1 --" }), 'is not among the 2 keys'],
    ['kid __proto__', es({ alg: 'ES256', kid: '__proto__' }), 'is not among the 2 keys'],
    ['empty kid', es({ alg: 'ES256', kid: '' }), 'kid is not a string'],
    ['kid that is a number', es({ alg: 'ES256', kid: 1 }), 'kid is not a string'],
    ['kid that is null', es({ alg: 'ES256', kid: null }), 'kid is not a string'],
    ['kid of 513 characters', es({ alg: 'ES256', kid: 'k'.repeat(513) }), 'kid is not a string'],
    ['typ of a logout token', es({ alg: 'ES256', kid: 'ec', typ: 'logout+jwt' }), 'another kind of token'],
    ['typ that is a number', es({ alg: 'ES256', kid: 'ec', typ: 1 }), 'another kind of token'],
    ['two header members of one name', es('{"alg":"ES256","kid":"ec","kid":"rsa"}'), 'repeated'],
    ['a header that is a list', es('[]'), 'no compact JWT'],
    ['a header of 10,000 lists', es('['.repeat(10_000)), 'nested'],
    ['an ECDSA signature in DER', signToken({ alg: 'ES256', kid: 'ec' }, claims(), derSigned), 'signature'],
    [
      'the signature of another key',
      signToken({ alg: 'ES256', kid: 'ec' }, claims(), () => randomBytes(64)),
      'signature',
    ],
    ['a signature of zeros', signToken({ alg: 'ES256', kid: 'ec' }, claims(), () => Buffer.alloc(64)), 'signature'],
  ]
}

function badForms({ token }: OidcIssuer): readonly Row[] {
  const good = token()
  const [header = '', payload = '', signature = ''] = good.split('.')
  return [
    ['no token at all', '-', 'no compact JWT'],
    ['two parts', `${header}.${payload}`, /no compact JW[TS]/],
    ['four parts', `${good}.AA`, 'no compact JWT'],
    ['an empty payload', `${header}..${signature}`, 'no compact JWT'],
    ['base64 with padding', `${header}=.${payload}.${signature}`, 'no compact JWT'],
    ['base64 of the other alphabet', `${header}.${payload}.${'+/'.repeat(43)}`, /no compact JW[TS]/],
    ['base64 with bits left over', `${header}.${payload}.${signature}A`, /no compact JW[TS]|signature/],
    ['a signature cut off', `${header}.${payload}.${signature.slice(0, -4)}`, /no compact JW[TS]|signature/],
    ['JSON serialisation', JSON.stringify({ payload, protected: header, signature }), 'no compact JWT'],
    ['encrypted', `${encodePart({ alg: 'dir', enc: 'A256GCM' })}..AAAA.AAAA.AAAA`, 'no compact JWT'],
    [
      'a presigned request of AWS',
      'k8s-aws-v1.aHR0cHM6Ly9zdHMuYW1hem9uYXdzLmNvbS8',
      'no authenticator takes this kind',
    ],
  ]
}

function badJoinTokens(): readonly Row[] {
  const unknown = formatJoinToken(randomBytes(32))
  const last = unknown.at(-1) === '0' ? '1' : '0'
  return [
    ['an unknown join token', unknown, 'there is no such join token'],
    ['a join token with a wrong checksum', `${unknown.slice(0, -1)}${last}`, 'no join token (checksum)'],
    ['a join token cut off', unknown.slice(0, -1), 'no join token'],
    ['the prefix of join tokens', 'apo_join_', 'no join token'],
    ['a join token with a path', `apo_join_${'../'.repeat(16)}a`, 'no join token'],
    ['another case of the prefix', unknown.replace('apo', 'APO'), 'no compact JWT'],
  ]
}

/** A subject that says it is a SPIFFE ID belongs to a trust domain, or is refused. */
function badSubjects({ token }: OidcIssuer): readonly Row[] {
  const invalid = spiffeIds.refused.flatMap(([name = '', id = '']): Row[] =>
    id.startsWith('spiffe://') ? [[`a subject with ${name}`, token({ sub: id }), 'no SPIFFE ID']] : [],
  )
  return [
    ...invalid,
    ['a subject of 2049 bytes', token({ sub: `spiffe://example.org/${'a'.repeat(2028)}` }), 'no SPIFFE ID'],
    ['a SPIFFE ID of ours by a stranger', token({ sub: 'spiffe://example.org/vm/one' }), 'the SVID is not accepted'],
    [
      'the ID of the server by a stranger',
      token({ sub: 'spiffe://example.org/apostille/server' }),
      'the SVID is not accepted',
    ],
    ['the trust domain by a stranger', token({ sub: 'spiffe://example.org' }), 'the SVID is not accepted'],
  ]
}
