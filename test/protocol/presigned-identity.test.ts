import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type AwsPartition,
  awsPartitions,
  buildPresignedUrl,
  buildStringToSign,
  digestPresignedIdentity,
  formatPresignedIdentity,
  isAwsRegion,
  isStsHost,
  type PresignedIdentity,
  parsePresignedIdentity,
  readPresignedHost,
  regionOfStsHost,
  type StsPlace,
  stsHostOfRegion,
} from '../../src/protocol/presigned-identity.ts'
import { type PresignOptions, presign, presignUrl, verifyPresigned, wrapUrl } from '../support/presigned-url.ts'
import vectors from '../vectors/presigned-identity.json' with { type: 'json' }

const now = new Date('2026-07-28T12:35:00Z')
const aws: StsPlace = { partition: 'aws' }
const options: PresignOptions = {
  host: 'sts.eu-west-1.amazonaws.com',
  region: 'eu-west-1',
  audience: 'https://id.example.org',
  signedAt: new Date('2026-07-28T12:34:56Z'),
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'secret',
  securityToken: 'Fwo+/=',
}
const url = presignUrl(options)
const changed = (change: Partial<PresignOptions>) => presign({ ...options, ...change })
const withParameters = (parameters: Readonly<Record<string, string | undefined>>) => changed({ parameters })
const edited = (from: string | RegExp, to: string) => {
  const text = url.replace(from, to)
  expect(text).not.toBe(url)
  return wrapUrl(text)
}
const parse = (token: string, place = aws, at = now) => parsePresignedIdentity(token, place, at)

const partsOf = (token: string) =>
  Buffer.from(token.slice('k8s-aws-v1.'.length), 'base64url').toString().split(/[?&]/).sort()

test.each(vectors.cases)('reads what botocore presigns, and would write the same in another order: $name', (one) => {
  const place = { partition: one.partition as AwsPartition }
  const identity = parse(one.token, place, new Date(vectors.signed_at))
  expect(identity).toEqual({
    host: one.host,
    accessKeyId: vectors.access_key_id,
    region: one.region,
    signedAt: new Date(vectors.signed_at),
    expiresSeconds: one.expires_seconds,
    signature: one.signature,
    ...(one.security_token !== undefined && { securityToken: one.security_token }),
  })
  expect(partsOf(formatPresignedIdentity(identity))).toEqual(partsOf(one.token))
  expect(parse(formatPresignedIdentity(identity), place, new Date(vectors.signed_at))).toEqual(identity)
  const { pathname, search } = new URL(buildPresignedUrl(identity))
  const headers = { host: one.host, 'x-k8s-aws-id': one.audience }
  expect(verifyPresigned(pathname + search, headers, () => vectors.secret_access_key)).toBe(vectors.access_key_id)
  expect(readPresignedHost(one.token)).toBe(one.host)
  for (const partition of awsPartitions) expect(isStsHost(one.host, { partition })).toBe(partition === one.partition)
})

test('what is sent has the signature of what was signed, and only for the audience that was', () => {
  const { pathname, search, host } = new URL(buildPresignedUrl(parse(wrapUrl(url))))
  const verify = (headers: Record<string, string>) => verifyPresigned(pathname + search, headers, () => 'secret')
  expect(verify({ host, 'x-k8s-aws-id': options.audience })).toBe(options.accessKeyId)
  expect(verify({ host, 'x-k8s-aws-id': 'https://other.example' })).toBeUndefined()
  expect(verify({ host })).toBeUndefined()
})

test('the string to sign names the time and the scope', () => {
  const [algorithm, date, scope, digest] = buildStringToSign(parse(wrapUrl(url)), options.audience).split('\n')
  expect([algorithm, date, scope]).toEqual([
    'AWS4-HMAC-SHA256',
    '20260728T123456Z',
    '20260728/eu-west-1/sts/aws4_request',
  ])
  expect(digest).toMatch(/^[0-9a-f]{64}$/)
})

test('the order of parameters and the encoding of values say nothing', () => {
  const query = url.slice(url.indexOf('?') + 1).split('&')
  const reordered = `https://${options.host}/?${query.toReversed().join('&')}`
  const spelt = reordered.replaceAll('%2F', '/').replaceAll('%3B', '%3b')
  expect(parse(wrapUrl(spelt))).toEqual(parse(wrapUrl(url)))
  expect(buildPresignedUrl(parse(wrapUrl(spelt)))).toBe(buildPresignedUrl(parse(wrapUrl(url))))
})

describe('refuses', () => {
  test.each([
    ['another prefix', wrapUrl(url).replace('v1', 'v2')],
    ['a prefix in capitals', wrapUrl(url).replace('k8s', 'K8S')],
    ['nothing after the prefix', 'k8s-aws-v1.'],
    ['padding', `${wrapUrl(`${url}`)}=`],
    ['base64 with a space', wrapUrl(url).replace('k8s-aws-v1.', 'k8s-aws-v1. ')],
    ['bits left over', `${wrapUrl('https://a').slice(0, -1)}`],
    ['http', edited('https:', 'http:')],
    ['a scheme in capitals', edited('https:', 'HTTPS:')],
    ['a user', edited('https://', 'https://sts.amazonaws.com@')],
    ['a user and a password', edited('https://', 'https://a:b@')],
    ['a path', edited('/?', '/a?')],
    ['two slashes', edited('/?', '//?')],
    ['no path', edited('.com/?', '.com?')],
    ['a dot segment', edited('/?', '/./?')],
    ['a backslash', edited('.com/?', '.com\\?')],
    ['no query', edited(/\?.*/, '')],
    ['a fragment', edited(/$/, '#a')],
    ['a fragment before the query', edited('/?', '/#?')],
    ['a tab, which URL parsers drop', edited('amazonaws', 'amazon\taws')],
    ['a line feed at the end', edited(/$/, '\n')],
    ['a space before it', edited(/^/, ' ')],
    ['a host in capitals', edited('sts.eu', 'STS.eu')],
    ['a dot of another alphabet', edited('.amazonaws', '\u3002amazonaws')],
    ['a percent-encoded host', edited('sts.', 'sts%2e')],
    ['a host in brackets', edited(options.host, '[::1]')],
    ['a port that is none', edited('.com/', '.com:/')],
    ['a port that begins with 0', edited('.com/', '.com:0443/')],
    ['a parameter twice', edited(/$/, '&Action=GetCallerIdentity')],
    ['a parameter twice, empty', edited(/$/, '&X-Amz-Date=')],
    ['a parameter twice, in other case', edited(/$/, '&action=AssumeRole')],
    ['another spelling of a name', edited('Action=', 'action=')],
    ['a name that is encoded', edited('Action=', '%41ction=')],
    ['a parameter that we do not know', withParameters({ Marker: 'a' })],
    ['a parameter of AssumeRole', withParameters({ RoleArn: 'arn:aws:iam::123456789012:role/a' })],
    ['a name from the prototype', edited(/$/, '&constructor=a')],
    ['an empty parameter', edited(/$/, '&')],
    ['a parameter without a value', edited(/$/, '&a')],
    ['a semicolon between parameters', edited('&Version', ';Version')],
    ['a bare plus', edited('%2B', '+')],
    ['a percent sign of its own', edited('Fwo%2B', 'Fwo%')],
    ['bytes that are not UTF-8', edited('Fwo%2B', 'Fwo%ff')],
    ['an encoded line feed', edited('Fwo%2B', 'Fwo%0A')],
    ['another action', withParameters({ Action: 'GetSessionToken' })],
    ['another version', withParameters({ Version: '2011-06-16' })],
    ['another algorithm', withParameters({ 'X-Amz-Algorithm': 'AWS4-ECDSA-P256-SHA256' })],
    ['no action', withParameters({ Action: undefined })],
    ['no time', withParameters({ 'X-Amz-Date': undefined })],
    ['no credential', withParameters({ 'X-Amz-Credential': undefined })],
    ['no expiry', withParameters({ 'X-Amz-Expires': undefined })],
    ['no signed headers', withParameters({ 'X-Amz-SignedHeaders': undefined })],
    ['no signature', edited(/&X-Amz-Signature=.*/, '')],
    ['an expiry of 0', withParameters({ 'X-Amz-Expires': '0' })],
    ['an expiry of 901', withParameters({ 'X-Amz-Expires': '901' })],
    ['an expiry with a leading zero', withParameters({ 'X-Amz-Expires': '060' })],
    ['an expiry below 0', withParameters({ 'X-Amz-Expires': '-1' })],
    ['the host alone signed', changed({ headers: { 'x-k8s-aws-id': undefined } })],
    ['the audience alone signed', changed({ headers: { host: undefined } })],
    ['another header signed', changed({ headers: { 'x-other': 'a' } })],
    ['signed headers out of order', withParameters({ 'X-Amz-SignedHeaders': 'x-k8s-aws-id;host' })],
    ['signed headers in capitals', withParameters({ 'X-Amz-SignedHeaders': 'Host;X-K8s-Aws-Id' })],
    ['another service', changed({ service: 'iam' })],
    ['a region that is not that of the host', changed({ region: 'eu-west-2' })],
    ['a credential of another day', withParameters({ 'X-Amz-Date': '20260727T123456Z' })],
    [
      'a credential without its end',
      withParameters({ 'X-Amz-Credential': 'AKIAIOSFODNN7EXAMPLE/20260728/eu-west-1/sts' }),
    ],
    ['an access key in lower case', changed({ accessKeyId: 'akiaiosfodnn7example' })],
    ['an empty security token', withParameters({ 'X-Amz-Security-Token': '' })],
    ['a time that is none', withParameters({ 'X-Amz-Date': '20260728T126056Z' })],
    ['a time with an offset', withParameters({ 'X-Amz-Date': '20260728T123456+0000' })],
    ['a signature in capitals', edited(/[0-9a-f]{64}$/, 'A'.repeat(64))],
    ['a signature of 63 digits', edited(/.$/, '')],
    ['an empty signature', edited(/[0-9a-f]{64}$/, '')],
  ])('%s', (_, token) => {
    expect(() => parse(token)).toThrow(expect.objectContaining({ code: 'presigned_identity' }))
  })

  test('a day that does not exist', () => {
    const credential = 'AKIAIOSFODNN7EXAMPLE/20260230/eu-west-1/sts/aws4_request'
    const token = withParameters({ 'X-Amz-Date': '20260230T123456Z', 'X-Amz-Credential': credential })
    expect(() => parse(token)).toThrow(expect.objectContaining({ code: 'presigned_identity' }))
  })

  test.each([
    ['a host that goes on', 'sts.eu-west-1.amazonaws.com.evil.example'],
    ['a host that goes on, global', 'sts.amazonaws.com.evil.example'],
    ['a host that begins earlier', 'evil.sts.eu-west-1.amazonaws.com'],
    ['a host that is a suffix', 'xsts.eu-west-1.amazonaws.com'],
    ['a dot at the end', 'sts.eu-west-1.amazonaws.com.'],
    ['the port, which is not written', 'sts.eu-west-1.amazonaws.com:443'],
    ['another port', 'sts.eu-west-1.amazonaws.com:8443'],
    ['an address', '169.254.169.254'],
    ['an address as a number', '2852039166'],
    ['localhost', 'localhost'],
    ['a bucket that is named like a region', 'sts.s3.amazonaws.com'],
    ['another service', 'iam.eu-west-1.amazonaws.com'],
    ['no region', 'sts..amazonaws.com'],
    ['two regions', 'sts.eu-west-1.eu-west-1.amazonaws.com'],
    ['another partition', 'sts.cn-north-1.amazonaws.com.cn'],
    ['a region of another partition', 'sts.us-gov-west-1.amazonaws.com'],
    ['China under the suffix of the others', 'sts.cn-north-1.amazonaws.com'],
    ['a suffix that looks the same', 'sts.eu-west-1.arnazonaws.com'],
    ['a private endpoint', 'vpce-0a.sts.eu-west-1.vpce.amazonaws.com'],
  ])('%s', (_, host) => {
    expect(() => parse(changed({ host }))).toThrow(expect.objectContaining({ code: 'presigned_identity_host' }))
  })

  test.each([
    ['15 minutes old', 900, undefined],
    ['older than 15 minutes', 901, 'presigned_identity_expired'],
    ['a day old', 86_400, 'presigned_identity_expired'],
    ['a minute from now', -60, undefined],
    ['more than a minute from now', -61, 'presigned_identity_not_yet_valid'],
  ])('a signature %s, or not', (_, ageSeconds, code) => {
    const at = new Date(options.signedAt.getTime() + ageSeconds * 1000)
    if (code === undefined) expect(parse(wrapUrl(url), aws, at).signedAt).toEqual(options.signedAt)
    else expect(() => parse(wrapUrl(url), aws, at)).toThrow(expect.objectContaining({ code }))
  })
})

test('an endpoint of one’s own takes its own host alone', () => {
  const place = { partition: 'aws', endpointHost: 'sts.internal.example:8443' } as const
  const token = changed({ host: 'sts.internal.example:8443' })
  expect(parse(token, place)).toMatchObject({ host: 'sts.internal.example:8443', region: 'eu-west-1' })
  for (const other of [wrapUrl(url), changed({ host: 'sts.internal.example' })])
    expect(() => parse(other, place)).toThrow(expect.objectContaining({ code: 'presigned_identity_host' }))
  expect(() => parse(changed({ host: place.endpointHost, region: 'cn-north-1' }), place)).toThrow(
    expect.objectContaining({ code: 'presigned_identity' }),
  )
})

test.each([
  ['sts.amazonaws.com', 'aws', 'us-east-1'],
  ['sts.amazonaws.com', 'aws-us-gov', undefined],
  ['sts-fips.us-east-2.amazonaws.com', 'aws', 'us-east-2'],
  ['sts.ap-southeast-5.api.aws', 'aws', 'ap-southeast-5'],
  ['sts-fips.us-gov-east-1.api.aws', 'aws-us-gov', 'us-gov-east-1'],
  ['sts.cn-northwest-1.api.amazonwebservices.com.cn', 'aws-cn', 'cn-northwest-1'],
  ['sts.us-iso-east-1.amazonaws.com', 'aws', undefined],
] as const)('the region of %s in %s is %s', (host, partition, region) => {
  expect(regionOfStsHost(host, partition)).toBe(region)
  if (region !== undefined) expect(isAwsRegion(region, partition)).toBe(true)
})

test.each([
  ['eu-west-1', 'sts.eu-west-1.amazonaws.com'],
  ['us-gov-west-1', 'sts.us-gov-west-1.amazonaws.com'],
  ['cn-north-1', 'sts.cn-north-1.amazonaws.com.cn'],
  ['us-iso-east-1', undefined],
  ['eu-west-1.evil.example/', undefined],
])('signers take for %s the host %s', (region, host) => {
  expect(stsHostOfRegion(region)).toBe(host)
})

test('an identity for the global endpoint is signed in its region', () => {
  expect(parse(changed({ host: 'sts.amazonaws.com', region: 'us-east-1' })).region).toBe('us-east-1')
  expect(() => parse(changed({ host: 'sts.amazonaws.com' }))).toThrow(
    expect.objectContaining({ code: 'presigned_identity' }),
  )
})

test('a digest names one signature of one key', () => {
  const digestOf = (change: Partial<PresignedIdentity>) =>
    digestPresignedIdentity({ ...parse(wrapUrl(url)), ...change }).toString('hex')
  expect(digestOf({})).toMatch(/^[0-9a-f]{64}$/)
  expect(digestOf({ expiresSeconds: 1, securityToken: 'other' })).toBe(digestOf({}))
  expect(digestOf({ accessKeyId: 'AKIAIOSFODNN7EXAMPLF' })).not.toBe(digestOf({}))
  expect(digestOf({ signature: 'a'.repeat(64) })).not.toBe(digestOf({}))
})

const identities: fc.Arbitrary<PresignedIdentity> = fc.record(
  {
    host: fc.constant('sts.eu-west-1.amazonaws.com'),
    accessKeyId: fc.stringMatching(/^[A-Z0-9]{16,128}$/),
    region: fc.constant('eu-west-1'),
    signedAt: fc
      .integer({ min: now.getTime() / 1000 - 900, max: now.getTime() / 1000 + 60 })
      .map((seconds) => new Date(seconds * 1000)),
    expiresSeconds: fc.integer({ min: 1, max: 900 }),
    securityToken: fc.stringMatching(/^[A-Za-z0-9+/=_-]+$/),
    signature: fc.stringMatching(/^[0-9a-f]{64}$/),
  },
  { requiredKeys: ['host', 'accessKeyId', 'region', 'signedAt', 'expiresSeconds', 'signature'] },
)

test('writing and reading are inverse', () => {
  fc.assert(
    fc.property(identities, (identity) => {
      expect(parse(formatPresignedIdentity(identity))).toEqual(identity)
    }),
  )
})

test('whatever is changed in a URL, what is sent goes to STS or nowhere', () => {
  fc.assert(
    fc.property(fc.nat(url.length - 1), fc.string({ maxLength: 12 }), fc.nat(12), (at, text, gone) => {
      const token = wrapUrl(url.slice(0, at) + text + url.slice(at + gone))
      try {
        const sent = new URL(buildPresignedUrl(parse(token)))
        expect([sent.origin, sent.pathname]).toEqual(['https://sts.eu-west-1.amazonaws.com', '/'])
        expect([...sent.searchParams.keys()].length).toBe(new Set(sent.searchParams.keys()).size)
      } catch (error) {
        expect(error).toMatchObject({ name: 'ProtocolError' })
      }
    }),
    { numRuns: 500 },
  )
})
