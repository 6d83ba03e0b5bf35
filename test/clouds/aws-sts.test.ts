import { createHash, randomBytes, X509Certificate } from 'node:crypto'
import { Agent } from 'node:https'
import { AssumeRoleWithWebIdentityCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type AwsSts, awsRuleNames, startAwsSts } from '../support/clouds/aws-sts.ts'
import type { TrustStatement } from '../support/clouds/aws-trust-policy.ts'
import { type CloudCall, call } from '../support/clouds/cloud-client.ts'
import {
  type IssuerKeys,
  type IssuerMood,
  makeIssuerKeys,
  publishedJwk,
  startTestIssuer,
  type TestIssuer,
} from '../support/clouds/test-issuer.ts'
import { type PresignOptions, presignUrl } from '../support/presigned-url.ts'
import { createTestAuthority, type TestAuthority } from '../support/tls.ts'
import type { WireAnswer } from '../support/wire.ts'

const account = '123456789012'
const roleArn = `arn:aws:iam::${account}:role/apps/payments`
const start = new Date('2026-08-01T12:00:00Z')
const seconds = start.getTime() / 1000
const subject = 'spiffe://example.org/ns/payments/sa/api'
const tagsClaim = 'https://aws.amazon.com/tags'
const sourceClaim = 'https://aws.amazon.com/source_identity'

let authority: TestAuthority
let otherAuthority: TestAuthority
let keys: IssuerKeys

beforeAll(async () => {
  authority = await createTestAuthority('public CA')
  otherAuthority = await createTestAuthority('private CA')
  keys = makeIssuerKeys()
})

interface World {
  readonly sts: AwsSts
  readonly issuer: TestIssuer
  readonly resolve: Record<string, string>
  now: Date
}

const open: World[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).flatMap(({ sts, issuer }) => [sts.close(), issuer.close()]))
})

interface Stage {
  readonly privateIssuer?: boolean
  readonly issuer?: string
  /** Of the double's fetches; as in truth by default. */
  readonly deadlineMs?: number
}

async function openWorld({ privateIssuer = false, issuer: name, deadlineMs = 5000 }: Stage = {}): Promise<World> {
  const issuer = await startTestIssuer(privateIssuer ? otherAuthority : authority, keys, name)
  const resolve = { ...issuer.resolve }
  const sts = await startAwsSts({
    publicCas: [authority.ca],
    privateCas: [otherAuthority.ca],
    resolve,
    deadlineMs,
    now: () => world.now,
  })
  const world: World = { sts, issuer, resolve, now: start }
  sts.createOidcProvider({ account, url: issuer.issuer, clientIds: ['sts.amazonaws.com'] })
  sts.state.accessKeys.set(caller.accessKeyId, caller)
  trust(world, {})
  open.push(world)
  return world
}

const caller = {
  accessKeyId: 'ASIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: 'session/token+of=example',
  expiresAt: new Date(start.getTime() + 3_600_000),
  arn: `arn:aws:sts::${account}:assumed-role/web/i-0123`,
  userId: 'AROAEXAMPLE:i-0123',
  account,
}

function trust({ sts, issuer }: World, changes: Partial<TrustStatement>, more: readonly TrustStatement[] = []): void {
  const host = issuer.issuer.replace('https://', '')
  const statement: TrustStatement = {
    Effect: 'Allow',
    Principal: { Federated: `arn:aws:iam::${account}:oidc-provider/${host}` },
    Action: ['sts:AssumeRoleWithWebIdentity', 'sts:TagSession', 'sts:SetSourceIdentity'],
    Condition: {
      StringEquals: { [`${host}:aud`]: 'sts.amazonaws.com' },
      StringLike: { [`${host}:sub`]: 'spiffe://example.org/*' },
    },
    ...changes,
  }
  sts.state.roles.set(roleArn, {
    arn: roleArn,
    trustPolicy: { Version: '2012-10-17', Statement: [statement, ...more] },
  })
}

interface Change extends Stage {
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
  readonly form?: CloudCall['form']
  readonly headers?: Readonly<Record<string, string>>
  readonly world?: (world: World) => void
}

function tokenFor(world: World, { claims, header }: Change): string {
  const standard = {
    iss: world.issuer.issuer,
    sub: subject,
    aud: 'sts.amazonaws.com',
    iat: seconds - 30,
    exp: seconds + 300,
  }
  return world.issuer.token({ ...standard, ...claims }, header)
}

function assume(world: World, change: Change = {}): Promise<WireAnswer> {
  const form = {
    Action: 'AssumeRoleWithWebIdentity',
    Version: '2011-06-15',
    RoleArn: roleArn,
    RoleSessionName: 'payments.api-1a2b3c4d',
    WebIdentityToken: tokenFor(world, change),
    ...change.form,
  }
  return call(world.sts, { form, ...(change.headers && { headers: change.headers }) })
}

const element = (text: string, name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1]

type Case = readonly [rule: string, code: string, change: Change]

const manyTags = (count: number, value: () => string) => ({
  [tagsClaim]: { principal_tags: Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, [value()]])) },
})
const tag = (key: string, value: unknown) => ({ [tagsClaim]: { principal_tags: { [key]: value } } })
const statement = { Effect: 'Allow', Action: 's3:GetObject', Resource: '*' }
const policyOf = (length: number) => {
  const policy = { Version: '2012-10-17', Statement: [{ Sid: '', ...statement }] }
  return JSON.stringify(policy).replace('"Sid":""', `"Sid":"${'a'.repeat(length - JSON.stringify(policy).length)}"`)
}
const policyArns = (count: number, name: string) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, n) => [`PolicyArns.member.${n + 1}.arn`, `arn:aws:iam::aws:policy/${name}`]),
  )
const without = (name: string) => (world: World) => void delete world.issuer.discovery[name]
const discover = (name: string, value: unknown) => (world: World) => {
  world.issuer.discovery[name] = value
}
const mood = (wanted: IssuerMood) => (world: World) => {
  world.issuer.mood = wanted
}
const clock = (ms: number) => (world: World) => {
  world.now = new Date(start.getTime() + ms)
}
const redirectHost = (resolve: Record<string, string>, port: number) => {
  resolve['id.example.org'] = `127.0.0.1:${port}`
}
const otherKeys = (world: World) => {
  world.issuer.jwks = [publishedJwk(makeIssuerKeys(), 'rsa')]
}
const trustIf = (key: string, value: string) => (world: World) =>
  trust(world, { Condition: { StringEquals: { [key.replace('~', 'id.example.org')]: value } } })

const cases: readonly Case[] = [
  ['action', 'InvalidAction', { form: { Action: 'AssumeRole' } }],
  ['version', 'InvalidAction', { form: { Version: undefined } }],
  ['unsigned_authorization', 'InvalidClientTokenId', { headers: { authorization: 'AWS4-HMAC-SHA256 Credential=x' } }],
  ['unsigned_security_token', 'InvalidIdentityToken', { headers: { 'x-amz-security-token': 'stale' } }],
  ['role_arn_required', 'ValidationError', { form: { RoleArn: undefined } }],
  ['role_arn_length', 'ValidationError', { form: { RoleArn: 'arn:aws:iam::1:r' } }],
  ['role_arn_shape', 'ValidationError', { form: { RoleArn: `arn:aws:iam::${account}:user/payments` } }],
  ['session_name_required', 'ValidationError', { form: { RoleSessionName: undefined } }],
  ['session_name_length', 'ValidationError', { form: { RoleSessionName: 'a'.repeat(65) } }],
  ['session_name_length', 'ValidationError', { form: { RoleSessionName: 'a' } }],
  ['session_name_shape', 'ValidationError', { form: { RoleSessionName: subject } }],
  ['token_required', 'ValidationError', { form: { WebIdentityToken: undefined } }],
  ['token_length', 'ValidationError', { claims: { padding: 'a'.repeat(20_000) } }],
  ['duration_number', 'MalformedInput', { form: { DurationSeconds: '15m' } }],
  ['duration_range', 'ValidationError', { form: { DurationSeconds: '899' } }],
  ['duration_range', 'ValidationError', { form: { DurationSeconds: '43201' } }],
  ['policy_length', 'ValidationError', { form: { Policy: policyOf(2049) } }],
  ['policy_document', 'MalformedPolicyDocument', { form: { Policy: '{"Version":"2012-10-17"}' } }],
  ['policy_arns_count', 'ValidationError', { form: policyArns(11, 'ReadOnlyAccess') }],
  ['policy_arns_shape', 'ValidationError', { form: { 'PolicyArns.member.1.arn': 'arn:aws:s3:::bucket' } }],
  [
    'policy_plaintext',
    'PackedPolicyTooLarge',
    { form: { Policy: policyOf(2000), ...policyArns(2, 'ReadOnlyAccess') } },
  ],
  ['provider_id', 'ValidationError', { form: { ProviderId: 'id.example.org' } }],
  ['token_jwt', 'InvalidIdentityToken', { form: { WebIdentityToken: 'opaque-access-token' } }],
  ['token_alg', 'InvalidIdentityToken', { header: { alg: 'PS256' } }],
  ['token_alg', 'InvalidIdentityToken', { header: { alg: 'HS256' } }],
  ['token_kid', 'InvalidIdentityToken', { header: { kid: undefined } }],
  ['token_issuer', 'InvalidIdentityToken', { claims: { iss: undefined } }],
  ['token_issuer_https', 'InvalidIdentityToken', { claims: { iss: 'http://id.example.org' } }],
  [
    'token_issuer_port',
    'InvalidIdentityToken',
    {
      claims: { iss: 'https://id.example.org:8443' },
      world: ({ sts }) =>
        sts.state.providers.push({ account, url: 'https://id.example.org:8443', clientIds: ['sts.amazonaws.com'] }),
    },
  ],
  ['token_issuer_query', 'InvalidIdentityToken', { claims: { iss: 'https://id.example.org?tenant=a' } }],
  ['provider_known', 'InvalidIdentityToken', { claims: { iss: 'https://id.example.org/' } }],
  ['provider_known', 'InvalidIdentityToken', { form: { RoleArn: roleArn.replace(account, '210987654321') } }],
  ['token_subject', 'InvalidIdentityToken', { claims: { sub: undefined } }],
  ['token_subject_length', 'InvalidIdentityToken', { claims: { sub: `spiffe://example.org/${'a'.repeat(235)}` } }],
  ['token_audience', 'InvalidIdentityToken', { claims: { aud: undefined } }],
  ['token_audiences_azp', 'InvalidIdentityToken', { claims: { aud: ['sts.amazonaws.com', 'other'] } }],
  ['token_audience_registered', 'InvalidIdentityToken', { claims: { aud: 'https://id.example.org' } }],
  ['token_audience_registered', 'InvalidIdentityToken', { claims: { azp: 'other' } }],
  ['token_expiry', 'InvalidIdentityToken', { claims: { exp: undefined } }],
  ['token_issued_at', 'InvalidIdentityToken', { claims: { iat: undefined } }],
  ['token_times_integers', 'InvalidIdentityToken', { claims: { exp: seconds + 300.5 } }],
  ['token_expired', 'ExpiredTokenException', { claims: { exp: seconds } }],
  ['token_expired', 'ExpiredTokenException', { world: clock(600_000) }],
  ['token_issued_in_future', 'InvalidIdentityToken', { claims: { iat: seconds + 1 } }],
  ['token_issued_in_future', 'InvalidIdentityToken', { world: clock(-600_000) }],
  ['token_not_yet_valid', 'InvalidIdentityToken', { claims: { nbf: seconds + 1 } }],
  ['issuer_reached', 'IDPCommunicationError', { world: ({ resolve }) => void delete resolve['id.example.org'] }],
  ['issuer_deadline', 'InvalidIdentityToken', { deadlineMs: 50, world: mood('jwks hangs') }],
  ['issuer_tls', 'InvalidIdentityToken', { world: ({ sts, resolve }) => redirectHost(resolve, sts.port) }],
  ['issuer_thumbprint', 'InvalidIdentityToken', { privateIssuer: true }],
  ['issuer_no_redirect', 'InvalidIdentityToken', { world: mood('redirect') }],
  ['issuer_no_redirect', 'InvalidIdentityToken', { world: mood('jwks redirects') }],
  ['issuer_status', 'InvalidIdentityToken', { world: mood('failing') }],
  ['issuer_json', 'InvalidIdentityToken', { world: mood('not json') }],
  ['discovery_issuer', 'InvalidIdentityToken', { world: discover('issuer', 'https://id.example.org/') }],
  ...[
    'claims_supported',
    'response_types_supported',
    'id_token_signing_alg_values_supported',
    'subject_types_supported',
  ].map((name): Case => ['discovery_members', 'InvalidIdentityToken', { world: without(name) }]),
  ['discovery_members', 'InvalidIdentityToken', { world: without('jwks_uri') }],
  ['discovery_members', 'InvalidIdentityToken', { world: discover('claims_supported', ['iss', 'sub', 'aud']) }],
  [
    'discovery_algorithm',
    'InvalidIdentityToken',
    { world: discover('id_token_signing_alg_values_supported', ['EdDSA']) },
  ],
  ['jwks_uri_https', 'InvalidIdentityToken', { world: discover('jwks_uri', 'http://id.example.org/keys') }],
  [
    'jwks_size',
    'InvalidIdentityToken',
    {
      world: ({ issuer }) =>
        void issuer.jwks.push(...Array.from({ length: 100 }, (_, n) => publishedJwk(keys, 'rsa', `old-${n}`))),
    },
  ],
  ['key_known', 'InvalidIdentityToken', { header: { kid: 'next' } }],
  ['signature', 'InvalidIdentityToken', { header: { kid: 'ec' } }],
  ['signature', 'InvalidIdentityToken', { world: otherKeys }],
  ['role_known', 'AccessDenied', { form: { RoleArn: `arn:aws:iam::${account}:role/other` } }],
  ['tags_shape', 'InvalidIdentityToken', { claims: tag('team', ['a', 'b']) }],
  ['tags_shape', 'InvalidIdentityToken', { claims: tag('team', 'a') }],
  ['tags_count', 'ValidationError', { claims: manyTags(51, () => 'a') }],
  ['tags_key', 'ValidationError', { claims: tag('aws:team', ['a']) }],
  ['tags_key', 'ValidationError', { claims: tag('a'.repeat(129), ['a']) }],
  ['tags_value', 'ValidationError', { claims: tag('team', ['a'.repeat(257)]) }],
  ['tags_value', 'ValidationError', { claims: tag('team', ['a?b']) }],
  [
    'tags_distinct',
    'InvalidParameterValue',
    { claims: { [tagsClaim]: { principal_tags: { team: ['a'], Team: ['a'] } } } },
  ],
  [
    'tags_transitive',
    'ValidationError',
    { claims: { [tagsClaim]: { principal_tags: { team: ['a'] }, transitive_tag_keys: ['other'] } } },
  ],
  ['source_identity_shape', 'ValidationError', { claims: { [sourceClaim]: subject } }],
  [
    'trust_principal',
    'AccessDenied',
    {
      world: (world) =>
        trust(world, { Principal: { Federated: `arn:aws:iam::${account}:oidc-provider/other.example` } }),
    },
  ],
  ['trust_action', 'AccessDenied', { world: (world) => trust(world, { Action: 'sts:AssumeRole' }) }],
  ['trust_audience', 'AccessDenied', { world: trustIf('~:aud', 'other') }],
  ['trust_subject', 'AccessDenied', { world: trustIf('~:sub', subject.toUpperCase()) }],
  ['trust_subject', 'AccessDenied', { claims: { sub: 'spiffe://example.com/ns/payments/sa/api' } }],
  ['trust_request_tag', 'AccessDenied', { world: trustIf('aws:RequestTag/team', 'a') }],
  ['trust_request_tag', 'AccessDenied', { world: trustIf('aws:RequestTag/team', 'a'), claims: tag('team', ['b']) }],
  ['trust_condition', 'AccessDenied', { world: trustIf('~:namespace', 'payments'), claims: { namespace: 'payments' } }],
  [
    'trust_deny',
    'AccessDenied',
    {
      world: (world) =>
        trust(world, {}, [
          {
            Effect: 'Deny',
            Principal: { Federated: `arn:aws:iam::${account}:oidc-provider/id.example.org` },
            Action: 'sts:*',
          },
        ]),
    },
  ],
  [
    'trust_tag_session',
    'AccessDenied',
    { world: (world) => trust(world, { Action: 'sts:AssumeRoleWithWebIdentity' }), claims: tag('team', ['a']) },
  ],
  [
    'trust_source_identity',
    'AccessDenied',
    {
      world: (world) => trust(world, { Action: 'sts:AssumeRoleWithWebIdentity' }),
      claims: { [sourceClaim]: 'payments' },
    },
  ],
  ['role_duration', 'ValidationError', { form: { DurationSeconds: '3601' } }],
  ['packed_size', 'PackedPolicyTooLarge', { claims: manyTags(30, () => randomBytes(90).toString('base64')) }],
]

const forbidden = new Set(['AccessDenied', 'InvalidClientTokenId'])

test.each(cases)('AssumeRoleWithWebIdentity breaks %s: %s', async (rule, code, change) => {
  const world = await openWorld(change)
  change.world?.(world)
  const answer = await assume(world, change)
  expect({
    rule: world.sts.requests[0]?.refusedBy,
    code: element(answer.text, 'Code'),
    text: answer.text,
  }).toMatchObject({ rule, code })
  expect(answer.status).toBe(forbidden.has(code) ? 403 : 400)
  expect(answer.headers['x-amzn-requestid']).toBe(element(answer.text, 'RequestId'))
})

const presigned = (change: Partial<PresignOptions> = {}) => ({
  host: 'sts.eu-west-1.amazonaws.com',
  region: 'eu-west-1',
  audience: 'https://id.example.org',
  signedAt: start,
  accessKeyId: caller.accessKeyId,
  secretAccessKey: caller.secretAccessKey,
  securityToken: caller.sessionToken,
  ...change,
})

function identify(
  world: World,
  change: Partial<PresignOptions> = {},
  headers: Record<string, string> = {},
  rewrite = (path: string) => path,
) {
  const options = presigned(change)
  const url = new URL(presignUrl(options))
  return call(world.sts, {
    path: rewrite(`${url.pathname}${url.search}`),
    headers: { host: options.host, 'x-k8s-aws-id': options.audience, ...headers },
  })
}

const parameters = (values: Record<string, string | undefined>) => ({ parameters: values })
const agedBy = (ms: number) => ({ signedAt: new Date(start.getTime() - ms) })
const credential = (text: string) => parameters({ 'X-Amz-Credential': `${caller.accessKeyId}/${text}` })

type CallerCase = readonly [
  rule: string,
  status: number,
  code: string,
  change?: Partial<PresignOptions>,
  headers?: Record<string, string>,
  rewrite?: (path: string) => string,
]

const callerCases: readonly CallerCase[] = [
  ['caller_version', 400, 'InvalidAction', parameters({ Version: '2010-05-08' })],
  ['caller_signed', 403, 'MissingAuthenticationToken', {}, {}, () => '/?Action=GetCallerIdentity&Version=2011-06-15'],
  ['caller_algorithm', 400, 'IncompleteSignature', parameters({ 'X-Amz-Algorithm': 'AWS4-ECDSA-P256-SHA256' })],
  ['caller_parameters', 400, 'IncompleteSignature', parameters({ 'X-Amz-Credential': undefined })],
  ['caller_parameters', 400, 'IncompleteSignature', {}, {}, (path) => `${path}&X-Amz-Date=20260801T120000Z`],
  ['caller_date_format', 400, 'IncompleteSignature', parameters({ 'X-Amz-Date': '2026-08-01T12:00:00Z' })],
  ['caller_scope', 403, 'SignatureDoesNotMatch', credential('20260801/eu-west-1/sts/aws5_request')],
  ['caller_scope_date', 403, 'SignatureDoesNotMatch', credential('20260731/eu-west-1/sts/aws4_request')],
  ['caller_scope_service', 403, 'SignatureDoesNotMatch', { service: 's3' }],
  ['caller_scope_region', 403, 'SignatureDoesNotMatch', { region: 'us-east-1' }],
  ['caller_expires', 400, 'IncompleteSignature', parameters({ 'X-Amz-Expires': '604801' })],
  ['caller_expired', 403, 'SignatureDoesNotMatch', agedBy(901_000)],
  ['caller_not_yet', 403, 'SignatureDoesNotMatch', agedBy(-901_000)],
  ['caller_host_signed', 403, 'SignatureDoesNotMatch', { headers: { host: undefined } }],
  ['caller_access_key', 403, 'InvalidClientTokenId', { accessKeyId: 'ASIAUNKNOWN0000000000' }],
  ['caller_session_token', 403, 'InvalidClientTokenId', parameters({ 'X-Amz-Security-Token': 'another' })],
  ['caller_session_token', 403, 'InvalidClientTokenId', parameters({ 'X-Amz-Security-Token': undefined })],
  ['caller_session_expired', 403, 'ExpiredToken', { accessKeyId: 'ASIAEXPIRED000000000' }],
  ['caller_signature', 403, 'SignatureDoesNotMatch', { secretAccessKey: 'another' }],
  ['caller_signature', 403, 'SignatureDoesNotMatch', {}, { 'x-k8s-aws-id': 'https://other.example' }],
  ['caller_signature', 403, 'SignatureDoesNotMatch', {}, { host: 'sts.eu-west-1.amazonaws.com:443' }],
  ['caller_signature', 403, 'SignatureDoesNotMatch', {}, {}, (path) => `${path}&added=1`],
]

describe('GetCallerIdentity', () => {
  test.each(callerCases.map((one) => [one[0], one[1], one] as const))('breaks %s: %i', async (_, __, one) => {
    const [rule, status, code, change, headers, rewrite] = one
    const world = await openWorld()
    const expired = { ...caller, accessKeyId: 'ASIAEXPIRED000000000', expiresAt: start }
    world.sts.state.accessKeys.set(expired.accessKeyId, expired)
    const answer = await identify(world, change, headers, rewrite)
    const seen = { rule: world.sts.requests[0]?.refusedBy, status: answer.status, code: element(answer.text, 'Code') }
    expect(seen).toEqual({ rule, status, code })
  })

  test('answers a presigned URL in XML, or in JSON when asked', async () => {
    const world = await openWorld()
    const xml = await identify(world)
    expect([element(xml.text, 'Arn'), element(xml.text, 'UserId'), element(xml.text, 'Account')]).toEqual([
      caller.arn,
      caller.userId,
      account,
    ])
    const json = await identify(world, {}, { accept: 'application/json' })
    expect(json.json()).toMatchObject({
      GetCallerIdentityResponse: {
        GetCallerIdentityResult: { Arn: caller.arn, UserId: caller.userId, Account: account },
      },
    })
    const refused = await identify(world, { secretAccessKey: 'x' }, { accept: 'application/json' })
    expect(refused.json()).toMatchObject({ Error: { Code: 'SignatureDoesNotMatch', Type: 'Sender' } })
  })

  test('takes 15 minutes whatever X-Amz-Expires says', async () => {
    const world = await openWorld()
    expect((await identify(world, agedBy(899_000))).status).toBe(200)
  })
})

const provider = (changes: object) => ({ account, url: 'https://new.example', clientIds: ['a'], ...changes })

const providerCases = [
  ['provider_url', { url: 'http://new.example' }],
  ['provider_url_port', { url: 'https://new.example:8443' }],
  ['provider_url_query', { url: 'https://new.example?a=b' }],
  ['provider_unique', { url: 'https://id.example.org' }],
  ['provider_client_ids', { clientIds: Array.from({ length: 101 }, (_, n) => `a${n}`) }],
  ['provider_client_id_length', { clientIds: ['a'.repeat(256)] }],
  ['provider_thumbprints', { thumbprints: Array.from({ length: 6 }, () => 'a'.repeat(40)) }],
  ['provider_thumbprint_shape', { thumbprints: ['a'.repeat(64)] }],
] as const

test.each(providerCases)('CreateOpenIDConnectProvider breaks %s', async (rule, changes) => {
  const { sts } = await openWorld()
  expect(() => sts.createOidcProvider(provider(changes))).toThrow(expect.objectContaining({ rule }))
  expect(sts.state.providers).toHaveLength(1)
})

test('every rule is broken by a case, and none is named twice', () => {
  const broken = [...cases, ...callerCases, ...providerCases].map(([rule]) => rule)
  expect(new Set(broken)).toEqual(new Set(awsRuleNames))
  expect(new Set(awsRuleNames).size).toBe(awsRuleNames.length)
})

test('exchanges a token for a session, in XML', async () => {
  const world = await openWorld()
  const change = {
    claims: { ...tag('team', ['payments']), [sourceClaim]: 'payments-1a2b' },
    form: { Policy: policyOf(200), DurationSeconds: '900' },
  }
  const answer = await assume(world, change)
  expect(answer.status, answer.text).toBe(200)
  expect(
    Object.fromEntries(
      ['Provider', 'Audience', 'SubjectFromWebIdentityToken', 'Expiration', 'SourceIdentity'].map((name) => [
        name,
        element(answer.text, name),
      ]),
    ),
  ).toEqual({
    Provider: 'https://id.example.org',
    Audience: 'sts.amazonaws.com',
    SubjectFromWebIdentityToken: subject,
    Expiration: '2026-08-01T12:15:00Z',
    SourceIdentity: 'payments-1a2b',
  })
  expect(element(answer.text, 'Arn')).toBe(`arn:aws:sts::${account}:assumed-role/payments/payments.api-1a2b3c4d`)
  expect(world.sts.state.accessKeys.get(element(answer.text, 'AccessKeyId') ?? '')?.session).toMatchObject({
    subject,
    tags: { team: 'payments' },
    sourceIdentity: 'payments-1a2b',
  })
  expect(world.sts.requests[0]).toMatchObject({ method: 'POST', path: '/', status: 200, fields: { RoleArn: roleArn } })
})

test('exchanges a token for a session, in JSON', async () => {
  const world = await openWorld()
  const answer = await assume(world, { headers: { accept: 'application/json' } })
  expect(answer.json()).toMatchObject({
    AssumeRoleWithWebIdentityResponse: {
      AssumeRoleWithWebIdentityResult: {
        Credentials: { Expiration: seconds + 3600 },
        Provider: 'https://id.example.org',
      },
    },
  })
})

test.each([
  ['RS256', 'rsa'],
  ['ES256', 'ec'],
  ['ES384', 'p384'],
])('takes %s', async (alg, kid) => {
  const answer = await assume(await openWorld(), { header: { alg, kid } })
  expect(answer.status, answer.text).toBe(200)
})

test('azp stands for the audience where there are several', async () => {
  const answer = await assume(await openWorld(), { claims: { aud: ['a', 'b'], azp: 'sts.amazonaws.com' } })
  expect(answer.status, answer.text).toBe(200)
})

test('an issuer may have a path, and a CA that is not public with its thumbprint', async () => {
  const world = await openWorld({ privateIssuer: true, issuer: 'https://id.example.org/td' })
  const thumbprint = createHash('sha1').update(new X509Certificate(otherAuthority.ca).raw).digest('hex')
  world.sts.state.providers = world.sts.state.providers.map((known) => ({ ...known, thumbprints: [thumbprint] }))
  const answer = await assume(world)
  expect(answer.status, answer.text).toBe(200)
})

test('keys are kept, and an unknown one causes no second look within the pause', async () => {
  const world = await openWorld()
  await Promise.all([assume(world), assume(world), assume(world)])
  await assume(world)
  expect(world.issuer.fetched).toHaveLength(2)

  world.issuer.jwks.push(publishedJwk(keys, 'rsa', 'next'))
  const early = await assume(world, { header: { kid: 'next' } })
  expect([early.status, world.issuer.fetched.length]).toEqual([400, 2])

  world.now = new Date(start.getTime() + 61_000)
  const late = await assume(world, { header: { kid: 'next' } })
  expect([late.status, world.issuer.fetched.length]).toEqual([200, 4])
})

test('fails as it is told, and only as often', async () => {
  const world = await openWorld()
  world.sts.inject({ kind: 'throttle' })
  world.sts.inject({ kind: 'unavailable', status: 500 })
  world.sts.inject({ kind: 'unavailable' })
  world.sts.inject({ kind: 'garbage', body: 'oops' })
  world.sts.inject({ kind: 'delay', ms: 5, followedBy: { kind: 'throttle' } })
  const seen = []
  for (let n = 0; n < 6; n++) {
    const { status, text } = await assume(world)
    seen.push([status, element(text, 'Code') ?? text.slice(0, 5)])
  }
  expect(seen).toEqual([
    [400, 'Throttling'],
    [500, 'InternalFailure'],
    [503, 'ServiceUnavailable'],
    [200, 'oops'],
    [400, 'Throttling'],
    [200, '<Assu'],
  ])
  world.sts.inject({ kind: 'reset' }, 2)
  await expect(assume(world)).rejects.toMatchObject({ code: 'ECONNRESET' })
  await expect(assume(world)).rejects.toMatchObject({ code: 'ECONNRESET' })
  expect((await assume(world)).status).toBe(200)
})

test("the vendor's SDK exchanges a token, and says who it is with what it got", async () => {
  const world = await openWorld()
  world.now = new Date()
  const issuedAt = Math.floor(world.now.getTime() / 1000)
  const agent = new Agent({ ca: world.sts.ca })
  const shared = {
    region: 'eu-west-1',
    endpoint: world.sts.url,
    requestHandler: { httpsAgent: agent },
  }
  const client = new STSClient({ ...shared, credentials: { accessKeyId: 'none', secretAccessKey: 'none' } })
  const { Credentials: made } = await client.send(
    new AssumeRoleWithWebIdentityCommand({
      RoleArn: roleArn,
      RoleSessionName: 'sdk',
      WebIdentityToken: tokenFor(world, { claims: { iat: issuedAt, exp: issuedAt + 300 } }),
    }),
  )
  const credentials = {
    accessKeyId: made?.AccessKeyId ?? '',
    secretAccessKey: made?.SecretAccessKey ?? '',
    sessionToken: made?.SessionToken ?? '',
  }
  const { Arn } = await new STSClient({ ...shared, credentials }).send(new GetCallerIdentityCommand({}))
  expect(Arn).toBe(`arn:aws:sts::${account}:assumed-role/payments/sdk`)

  const wrong = new STSClient({ ...shared, credentials: { ...credentials, secretAccessKey: 'wrong' }, maxAttempts: 1 })
  await expect(wrong.send(new GetCallerIdentityCommand({}))).rejects.toMatchObject({ name: 'SignatureDoesNotMatch' })
  agent.destroy()
})
