import { STSClient } from '@aws-sdk/client-sts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { awsEndpoint } from '../../../src/adapters/aws-endpoint.ts'
import type { ClosableExchange } from '../../../src/adapters/exchangers/index.ts'
import type { CloudErrorKind } from '../../../src/core/cloud.ts'
import { exchangerContract } from '../../contracts/exchanger.ts'
import { type AwsSts, startAwsSts } from '../../support/clouds/aws-sts.ts'
import { makeIssuerKeys, startTestIssuer, type TestIssuer } from '../../support/clouds/test-issuer.ts'
import {
  createExchanger,
  exchangeOf,
  failureOf,
  type Members,
  startScriptedCloud,
  targetOf,
} from '../../support/exchanger.ts'
import { createTestAuthority } from '../../support/tls.ts'

const roleArn = 'arn:aws:iam::123456789012:role/payments'
const document = { type: 'aws', role_arn: roleArn, region: 'eu-west-1' }

const xml = (body: string, status = 200) => ({
  status,
  headers: { 'content-type': 'text/xml', 'x-amzn-requestid': 'request-1' },
  body,
})
const escaped = (text: string) => text.replace(/[&<>'"\p{Cc}]/gu, (character) => `&#${character.charCodeAt(0)};`)

function given(changes: Members = {}) {
  const members = {
    AccessKeyId: 'ASIAEXAMPLE',
    SecretAccessKey: 'secret',
    SessionToken: 'session',
    Expiration: '2026-11-23T13:00:00Z',
    ...changes,
  }
  const credentials = Object.entries(members)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `<${name}>${value}</${name}>`)
  return xml(
    `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>${credentials.join('')}</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
  )
}

function no(code: string, text: string, status = 400) {
  return xml(
    `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${escaped(text)}</Message></Error><RequestId>request-1</RequestId></ErrorResponse>`,
    status,
  )
}

exchangerContract({
  type: 'aws',
  target: (url) => ({ ...document, endpoint: url }),
  given: (mark, expiresAt) => given({ SessionToken: mark, Expiration: expiresAt.toISOString() }),
  markOf: (credential) => ('sessionToken' in credential ? credential.sessionToken : ''),
  tokenOf: ({ body }) => new URLSearchParams(body).get('WebIdentityToken'),
  useless: [
    ['a credential without an expiry', given({ Expiration: undefined })],
    ['an expiry that is no time', given({ Expiration: 'soon' })],
    ['an empty expiry', given({ Expiration: '' })],
    ['an empty key id', given({ AccessKeyId: '' })],
    ['an empty secret', given({ SecretAccessKey: '' })],
    ['a key id that is a text of any length', given({ AccessKeyId: 'A'.repeat(5000) })],
    ['a secret that no header can hold', given({ SecretAccessKey: 'a&#10;b' })],
    ['a session token that moves a cursor', given({ SessionToken: 'a\u202eb' })],
    ['no session token', given({ SessionToken: undefined })],
    ['no credential', xml('<AssumeRoleWithWebIdentityResponse/>')],
    ['an error with status 200', no('AccessDenied', 'no', 200)],
    ['JSON', xml('{"Credentials":{"AccessKeyId":"A"}}')],
  ],
  refusal: (text) => no('InvalidIdentityToken', text),
  refusalCode: 'InvalidIdentityToken',
})

test.each([
  'eu-west-1',
  'us-east-1',
  'us-gov-west-1',
  'cn-north-1',
  'eusc-de-east-1',
  'us-iso-east-1',
  'us-isob-east-1',
  'eu-isoe-west-1',
  'us-isof-south-1',
])('the endpoint of %s is the one that the library knows', (Region) => {
  const { config } = new STSClient({ region: Region })
  const { url } = config.endpointProvider({ Region, UseFIPS: false, UseDualStack: false, UseGlobalEndpoint: false })
  expect(`${awsEndpoint('sts', Region)}/`).toBe(url.href)
})

describe('at a cloud', () => {
  const account = '123456789012'
  const subject = 'spiffe://example.org/ns/payments/sa/api'
  let sts: AwsSts
  let issuer: TestIssuer
  let exchange: ClosableExchange
  let skewSeconds = 0
  const nowOfCloud = () => new Date(Date.now() + skewSeconds * 1000)

  beforeAll(async () => {
    const authority = await createTestAuthority('public CA')
    issuer = await startTestIssuer(authority, makeIssuerKeys())
    sts = await startAwsSts({
      publicCas: [authority.ca],
      resolve: issuer.resolve,
      deadlineMs: 300,
      now: nowOfCloud,
      keyCache: { maxAgeSeconds: 0 },
    })
    exchange = createExchanger()
  })
  beforeEach(() => {
    skewSeconds = 0
    issuer.mood = 'well'
    sts.requests.length = 0
    sts.state.providers = []
    sts.createOidcProvider({ account, url: issuer.issuer, clientIds: ['sts.amazonaws.com'] })
    trust({})
  })
  afterAll(() => Promise.all([exchange.close(), sts.close(), issuer.close()]))

  function trust(equals: Readonly<Record<string, string>>, maxSessionSeconds = 7200): void {
    const Condition = {
      StringEquals: { 'id.example.org:aud': 'sts.amazonaws.com', 'id.example.org:sub': subject, ...equals },
    }
    const Principal = { Federated: `arn:aws:iam::${account}:oidc-provider/id.example.org` }
    const Action = ['sts:AssumeRoleWithWebIdentity']
    const Statement = [{ Effect: 'Allow' as const, Principal, Action, Condition }]
    sts.state.roles.set(roleArn, {
      arn: roleArn,
      maxSessionSeconds,
      trustPolicy: { Version: '2012-10-17', Statement },
    })
  }

  function tokenFor(claims: Members = {}): string {
    const iat = Math.floor(Date.now() / 1000) - 30
    return issuer.token({ iss: issuer.issuer, sub: subject, aud: 'sts.amazonaws.com', iat, exp: iat + 330, ...claims })
  }

  const target = (more: Members = {}) => targetOf({ ...document, endpoint: sts.url, ca_file: sts.caFile, ...more })

  test('a token becomes a session with the name, the time and the policies of the target', async () => {
    const policy = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 's3:GetObject', Resource: '*' }] }
    const arns = ['arn:aws:iam::aws:policy/ReadOnlyAccess']
    const wanted = target({ session_duration: '15m', session_policy: policy, session_policy_arns: arns })
    const token = tokenFor()
    const { credential, requestId } = await exchange(exchangeOf(wanted, token, { sessionName: 'ns.payments-1a2b' }))
    if (credential.type !== 'aws') throw new Error('no credential of AWS')
    expect(sts.requests[0]?.fields).toEqual({
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      RoleArn: roleArn,
      RoleSessionName: 'ns.payments-1a2b',
      WebIdentityToken: token,
      DurationSeconds: '900',
      Policy: JSON.stringify(policy),
      'PolicyArns.member.1.arn': arns[0],
    })
    const key = sts.state.accessKeys.get(credential.accessKeyId)
    expect(key).toMatchObject({
      secretAccessKey: credential.secretAccessKey,
      sessionToken: credential.sessionToken,
      session: { roleArn, subject },
    })
    expect(credential.roleArn).toBe(roleArn)
    expect(Math.abs(credential.expiresAt.getTime() - (key?.expiresAt?.getTime() ?? 0))).toBeLessThan(1000)
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/)
  })

  interface Broken {
    readonly claims?: Members
    readonly target?: Members
    readonly world?: () => void
  }

  test.each<[string, Broken, CloudErrorKind, string, RegExp]>([
    [
      'an issuer that the account does not know',
      {
        world: () => {
          sts.state.providers = []
        },
      },
      'refused',
      'InvalidIdentityToken',
      /needs an OIDC provider/,
    ],
    [
      'an audience that the provider does not know',
      { claims: { aud: 'other' } },
      'refused',
      'InvalidIdentityToken',
      /client ids/,
    ],
    [
      'a subject that the role does not trust',
      { claims: { sub: 'spiffe://example.org/else' } },
      'refused',
      'AccessDenied',
      /trust policy/,
    ],
    [
      'no such role',
      { target: { role_arn: `arn:aws:iam::${account}:role/else` } },
      'refused',
      'AccessDenied',
      /trust policy/,
    ],
    [
      'an issuer that is away',
      {
        world: () => {
          issuer.mood = 'failing'
        },
      },
      'unreachable',
      'InvalidIdentityToken',
      /over the internet/,
    ],
    [
      'an issuer that hangs',
      {
        world: () => {
          issuer.mood = 'hang'
        },
      },
      'unreachable',
      'InvalidIdentityToken',
      /5 seconds/,
    ],
    [
      'a token that is over there',
      {
        world: () => {
          skewSeconds = 600
        },
      },
      'expired_token',
      'ExpiredTokenException',
      /clock/,
    ],
    [
      'a token of the future there',
      {
        world: () => {
          skewSeconds = -600
        },
      },
      'refused',
      'InvalidIdentityToken',
      /clock/,
    ],
    [
      'a session that is longer than the role allows',
      { target: { session_duration: '12h' } },
      'refused',
      'ValidationError',
      /maximum session duration/,
    ],
    [
      'a policy that is none',
      { target: { session_policy: '{"a":1}' } },
      'refused',
      'MalformedPolicyDocument',
      /session_policy/,
    ],
    ['throttling', { world: () => sts.inject({ kind: 'throttle' }) }, 'throttled', 'Throttling', /limits the requests/],
    [
      'an internal error',
      { world: () => sts.inject({ kind: 'unavailable', status: 500 }) },
      'unreachable',
      'InternalFailure',
      /internal error/,
    ],
    [
      'a service that is away',
      { world: () => sts.inject({ kind: 'unavailable' }) },
      'unreachable',
      'ServiceUnavailable',
      /unable/,
    ],
    ['garbage', { world: () => sts.inject({ kind: 'garbage' }) }, 'unreachable', 'malformed', /no answer of STS/],
  ])('%s', async (_, broken, kind, code, fix) => {
    broken.world?.()
    const token = tokenFor(broken.claims)
    const failure = await failureOf(exchange, exchangeOf(target(broken.target), token))
    expect({ kind: failure.kind, code: failure.code }).toEqual({ kind, code })
    expect(failure.message).toMatch(fix)
    expect(sts.requests).toHaveLength(1)
    expect(failure.requestId === undefined).toBe(code === 'malformed')
    for (const part of token.split('.')) expect(failure.message).not.toContain(part)
  })

  test.each([
    ['IDPCommunicationError', 400, 'unreachable'],
    ['ExpiredToken', 400, 'expired_token'],
    ['ThrottlingException', 400, 'throttled'],
    ['RequestLimitExceeded', 503, 'throttled'],
    ['IDPRejectedClaim', 403, 'refused'],
    ['RegionDisabledException', 403, 'refused'],
    ['PackedPolicyTooLarge', 400, 'refused'],
    ['SomethingNew', 400, 'refused'],
    ['SomethingNew', 500, 'unreachable'],
  ])('%s with %i is %s', async (code, status, kind) => {
    const cloud = await startScriptedCloud()
    cloud.script(no(code, 'so it is', status))
    const wanted = targetOf({ ...document, endpoint: cloud.url, ca_file: cloud.caFile })
    const failure = await failureOf(exchange, exchangeOf(wanted, tokenFor()))
    expect(failure).toMatchObject({ kind, code, status, requestId: 'request-1' })
    await cloud.close()
  })
})
