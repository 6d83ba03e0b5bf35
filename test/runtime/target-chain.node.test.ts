/** Each link of the chain to a credential is broken once: the doctor finds it, and says what to do. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createConnectUpstream } from '../../src/adapters/connect-upstream.node.ts'
import { createFileReader } from '../../src/adapters/file-reader.node.ts'
import { type HttpAnswer, UpstreamError, type UpstreamErrorCode } from '../../src/adapters/http-client.ts'
import { createAdminClient } from '../../src/runtime/admin-client.node.ts'
import type { Check, DoctorDeps } from '../../src/runtime/doctor.node.ts'
import { type ChainRequest, diagnoseTarget } from '../../src/runtime/target-chain.node.ts'
import { type CloudsWorld, issuer, openClouds, provider } from '../support/clouds-world.ts'
import type { Document } from '../support/gateway.ts'
import { send } from '../support/wire.ts'

const links = ['configuration', 'issuer', 'discovery', 'keys', 'algorithm', 'identity', 'clock', 'exchange']
const acting = 'spiffe://example.org/cloud/payments'
const longPath = `/${'x'.repeat(130)}`

function documentOf({ aws, azure, gcp }: CloudsWorld['targets']) {
  const acts = { acts_as: '/cloud/payments' }
  const targets: Readonly<Record<string, Document>> = {
    aws: { ...aws, ...acts },
    azure: { ...azure, ...acts },
    gcp: { ...gcp, ...acts },
    long: { ...gcp, acts_as: `/long${longPath}` },
    caller: aws,
    named: aws,
    lent: azure,
    claiming: { ...aws, tags: { team: '${identity.claims.team}' } },
    nobody: { ...aws, ...acts },
    shut: { ...aws, ...acts },
    stranger: { ...aws, ...acts, role_arn: 'arn:aws:iam::123456789012:role/stranger' },
    unknown: { ...aws, ...acts, audience: 'unknown' },
    off: { ...azure, ...acts, tenant: 'nobody.example' },
    gone: { ...gcp, ...acts, provider: provider.replace('providers/apostille', 'providers/gone') },
    away: { ...aws, ...acts, endpoint: 'https://localhost:1' },
  }
  return {
    authorities: { jwt: { algorithms: ['ES256', 'RS256'] } },
    targets,
    policies: [
      { permit: 'exchange', to: Object.keys(targets).filter((name) => !/nobody|named/.test(name)), when: 'true' },
      { permit: 'exchange', to: 'named', when: "identity.path == '/ns/named'" },
      { name: 'closed', forbid: 'exchange', to: 'shut' },
    ],
  }
}

let world: CloudsWorld
beforeAll(async () => {
  world = await openClouds({ document: documentOf })
})
afterAll(() => world.close())
beforeEach(() => world.knowSubjects([acting]))

type Change = (answer: HttpAnswer, path: string) => HttpAnswer

/** How the world looks, other than it is. */
interface Sight {
  readonly addresses?: readonly string[]
  readonly unresolved?: string
  readonly answer?: Change
  readonly failure?: readonly [path: string, code: UpstreamErrorCode]
  /** Our own clock, ahead of the true one. */
  readonly aheadSeconds?: number
  readonly admin?: DoctorDeps['admin']
}

/** The gateway by its public name, at an address that only looks public. */
function depsOf(sight: Sight): DoctorDeps {
  const { addresses = ['9.9.9.9'], unresolved, answer: change = (answer) => answer, failure } = sight
  const monotonicMs = () => performance.now()
  const { admin } = world.gateway.server.addresses
  if (admin.kind !== 'unix') throw new Error('the admin API is not on a socket')
  return {
    view: {
      async resolve() {
        if (unresolved !== undefined) throw Object.assign(new Error('no such name'), { code: unresolved })
        return addresses
      },
      client: {
        async request({ url }) {
          const path = url.slice(issuer.length)
          if (failure?.[0] === path) throw new UpstreamError(failure[1], `id.example.org: ${failure[1]}`)
          const { status, headers, text } = await send(world.target, path)
          return change({ status, headers: new Headers(headers as Record<string, string>), text }, path)
        },
        close: async () => {},
      },
    },
    connect: createConnectUpstream({ files: createFileReader(), monotonicMs }),
    admin: sight.admin ?? (async () => createAdminClient(admin.path)),
    now: () => new Date(Date.now() + (sight.aheadSeconds ?? 0) * 1000),
    monotonicMs,
  }
}

const configFile = () => join(world.gateway.folder, 'apostille.yaml')

/** A document beside the one that the gateway watches. */
function writeOther(changes: Document): string {
  const file = join(world.gateway.folder, 'other.yaml')
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(configFile(), 'utf8')), ...changes }))
  return file
}

function diagnose(target: string, sight: Sight = {}, more: Partial<ChainRequest> = {}) {
  return diagnoseTarget({ configFile: configFile(), target, isPrivate: false, ...more }, depsOf(sight))
}

/** `link: code` of everything that was found. */
const foundIn = (checks: readonly Check[]) =>
  checks.flatMap(({ name, findings }) => findings.map(({ code, severity }) => `${name}: ${severity} ${code}`))
const verdictsOf = (checks: readonly Check[]) => checks.map(({ verdict }) => verdict)

test.each([['aws'], ['azure'], ['gcp']])('a sound chain to %s passes, link by link', async (target) => {
  const before = (await world.gateway.records()).length
  const { ok, checks } = await diagnose(target)
  expect(checks.map(({ name }) => name)).toEqual(links)
  expect([ok, foundIn(checks)]).toEqual([true, []])
  expect(checks.at(-1)?.seen).toMatch(/^spiffe:\/\/example\.org\/cloud\/payments: a credential until \S+, thrown away/)
  expect(checks.find(({ name }) => name === 'keys')?.seen).toMatch(/4 keys, [\w-]+ signs now/)
  const records = (await world.gateway.records()).slice(before)
  expect(records.map(({ operation, decision }) => [operation, decision])).toEqual([
    ['exchange_token', 'granted'],
    ['exchange.try', 'granted'],
  ])
})

async function codesOf(target: string, sight: Sight = {}, more: Partial<ChainRequest> = {}) {
  const { checks } = await diagnose(target, sight, more)
  for (const { remedy, message } of checks.flatMap(({ findings }) => findings)) {
    expect(remedy.length).toBeGreaterThan(10)
    expect(message).not.toContain('eyJ')
  }
  return foundIn(checks)
}

const ofPath = (wanted: string, change: (answer: HttpAnswer) => Partial<HttpAnswer>): Sight => ({
  answer: (answer, path) => (path === wanted ? { ...answer, ...change(answer) } : answer),
})
const discoveryPath = '/.well-known/openid-configuration'
const discovery = (change: (members: Document) => Document): Sight =>
  ofPath(discoveryPath, ({ text }) => ({ text: JSON.stringify(change(JSON.parse(text))) }))
type Keys = readonly Document[]
const keys = (change: (keys: Keys) => Keys): Sight =>
  ofPath('/keys', ({ text }) => ({ text: JSON.stringify({ keys: change((JSON.parse(text) as { keys: Keys }).keys) }) }))
const header = (name: string, value: string) => {
  const headers = new Headers({ 'content-type': 'application/json' })
  headers.set(name, value)
  return headers
}
const without = (member: string) => (members: Document) =>
  Object.fromEntries(Object.entries(members).filter(([name]) => name !== member))

/** The clouds see the issuer as it is, so that the exchange passes. */
test.each<[string, Sight, string]>([
  ['a name without address', { unresolved: 'ENOTFOUND' }, 'issuer: error issuer_unresolved'],
  ['a private address', { addresses: ['10.1.2.3'] }, 'issuer: error issuer_private'],
  ['a loopback address beside a public one', { addresses: ['9.9.9.9', '::1'] }, 'issuer: error issuer_private'],
  ['no answer', { failure: [discoveryPath, 'network'] }, 'issuer: error issuer_unreachable'],
  ['a private certificate', { failure: [discoveryPath, 'tls'] }, 'issuer: error issuer_tls'],
  ['a slow answer', { failure: [discoveryPath, 'timeout'] }, 'issuer: error issuer_slow'],
  ['an endless answer', { failure: [discoveryPath, 'too_large'] }, 'issuer: error issuer_malformed'],
  [
    'a redirect',
    ofPath(discoveryPath, () => ({ status: 301, headers: header('location', 'https://www.example.org/') })),
    'discovery: error discovery_redirect',
  ],
  ['another status', ofPath(discoveryPath, () => ({ status: 403 })), 'discovery: error discovery_status'],
  [
    'another type',
    ofPath(discoveryPath, () => ({ headers: header('content-type', 'text/html') })),
    'discovery: error discovery_content_type',
  ],
  ['no JSON', ofPath(discoveryPath, () => ({ text: '<html>' })), 'discovery: error discovery_not_json'],
  ['another issuer', discovery((all) => ({ ...all, issuer: `${issuer}/` })), 'discovery: error discovery_issuer'],
  ['no jwks_uri', discovery(without('jwks_uri')), 'discovery: error discovery_jwks_uri'],
  ['a missing member', discovery(without('claims_supported')), 'discovery: error discovery_member'],
  ['keys that are slow', { failure: ['/keys', 'timeout'] }, 'keys: error keys_slow'],
  ['keys behind a redirect', ofPath('/keys', () => ({ status: 307 })), 'keys: error keys_redirect'],
  ['no keys', keys(() => []), 'keys: error keys_none'],
  ['too many keys', keys((all) => Array.from({ length: 60 }, () => all).flat()), 'keys: error keys_many'],
  ['old keys', keys((all) => all.map((key) => ({ ...key, kid: `old-${key['kid']}` }))), 'keys: error keys_signer'],
  [
    'an algorithm that is not listed',
    discovery((all) => ({ ...all, id_token_signing_alg_values_supported: ['RS256'] })),
    'algorithm: warning algorithm_unlisted',
  ],
])('the issuer has %s', async (_, sight, expected) => {
  expect(await codesOf('aws', sight)).toEqual([expected])
})

test('keys of the SPIFFE bundle in their place are told once', async () => {
  const found = await codesOf(
    'aws',
    keys((all) => all.map((key) => ({ ...key, use: 'jwt-svid' }))),
  )
  expect(found).toEqual(['keys: error keys_use'])
})

test('what was not reached is skipped, and not judged', async () => {
  const { checks } = await diagnose('aws', { unresolved: 'ENOTFOUND' })
  expect(verdictsOf(checks)).toEqual(['pass', 'fail', 'skip', 'skip', 'pass', 'pass', 'pass', 'pass'])
})

test('with authorities of its own a private address is a warning', async () => {
  expect(await codesOf('aws', { addresses: ['10.1.2.3'] }, { isPrivate: true })).toEqual([
    'issuer: warning issuer_private',
  ])
})

describe('the configuration', () => {
  test.each<[string, string, Partial<ChainRequest>, readonly string[]]>([
    ['without the target', 'none', {}, ['configuration: error target_unknown']],
    ['that permits nobody', 'nobody', {}, ['configuration: error nobody_permitted']],
    ['that forbids everybody', 'shut', {}, ['configuration: error forbidden']],
    ['that permits somebody else', 'named', { as: '/ns/other' }, ['configuration: error not_permitted']],
    ['that permits who is named', 'named', {}, []],
    ['that leaves open who it is, which --as says', 'caller', { as: '/ns/web' }, []],
    ['that leaves open who it is', 'caller', {}, ['identity: warning subject_unknown']],
    ['with a name that is none', 'caller', { as: 'web' }, ['configuration: error subject_malformed']],
    [
      'that is not there',
      'aws',
      { configFile: '/nowhere/apostille.yaml' },
      ['configuration: error configuration_unread'],
    ],
  ])('%s', async (_, target, more, expected) => {
    expect(await codesOf(target, {}, more)).toEqual(expected)
  })

  test('that has mistakes', async () => {
    const { ok, checks } = await diagnose('aws', {}, { configFile: join(world.gateway.folder, 'ci.jwks.json') })
    expect([ok, foundIn(checks)]).toEqual([false, ['configuration: error configuration_invalid']])
    expect(verdictsOf(checks)).toEqual(['fail', ...Array.from({ length: 7 }, () => 'skip')])
  })

  test('that the running gateway does not use yet', async () => {
    const document = documentOf(world.targets)
    const targets = { ...document.targets, newer: { ...world.targets.aws, acts_as: '/cloud/payments' } }
    const policies = [...document.policies, { permit: 'exchange', to: 'newer', when: 'true' }]
    const newer = writeOther({ targets, policies })
    expect(await codesOf('newer', {}, { configFile: newer })).toEqual([
      'configuration: warning configuration_not_in_use',
      'exchange: error configuration_not_in_use',
    ])
    expect(await codesOf('aws', {}, { configFile: newer })).toEqual(['configuration: warning configuration_not_in_use'])
  })
})

test('no algorithm that the cloud takes is a mistake of the configuration', async () => {
  const { targets, policies } = documentOf(world.targets)
  const other = writeOther({
    targets: { gcp: targets['gcp'] },
    policies: policies.map((policy) => ({ ...policy, to: 'gcp' })).slice(0, 1),
    authorities: { jwt: { algorithms: ['ES384'], rs256_audiences: [] } },
  })
  const found = await codesOf('gcp', {}, { configFile: other })
  expect(found.filter((line) => line.includes('error'))).toEqual(['configuration: error configuration_invalid'])
})

test('a subject that is longer than Google takes', async () => {
  const { checks } = await diagnose('long')
  const [finding] = checks.find(({ name }) => name === 'identity')?.findings ?? []
  expect(finding).toMatchObject({ code: 'subject_too_long', severity: 'error' })
})

describe('clocks', () => {
  const dated = (seconds: number): Sight => ({
    answer: (answer) => {
      const headers = new Headers(answer.headers)
      headers.set('date', new Date(Date.now() + seconds * 1000).toUTCString())
      return { ...answer, headers }
    },
  })
  test.each<[string, Sight, readonly string[]]>([
    ['the issuer is behind', dated(-600), ['clock: error clock_skew']],
    ['the issuer is ahead', dated(90), ['clock: error clock_skew']],
    ['the issuer is a little off', dated(-30), []],
    ['this machine is off', { aheadSeconds: 600 }, ['clock: warning clock_here']],
  ])('%s', async (_, sight, expected) => {
    expect(await codesOf('aws', sight)).toEqual(expected)
  })

  test("the issuer is held against ours where the cloud's is not known", async () => {
    expect(await codesOf('away', dated(-600))).toEqual([
      'clock: error clock_skew',
      'exchange: error exchange_unreachable',
    ])
  })

  test("the cloud's clock is off", async () => {
    world.skewSeconds = 600
    const found = await codesOf('aws')
    world.skewSeconds = 0
    expect(found).toEqual(['exchange: error exchange_expired_token'])
  })
})

describe('the exchange', () => {
  test.each([
    [
      'stranger',
      'exchange_refused',
      /^AccessDenied \(HTTP 403, request [\w-]+\): /,
      /trust policy.*`apostille trust aws stranger`/,
    ],
    ['unknown', 'exchange_refused', /^InvalidIdentityToken \(HTTP 400/, /client ids.*`apostille trust aws unknown`/],
    ['off', 'exchange_refused', /^AADSTS90002 /, /no such tenant.*`apostille trust azure off`/],
    ['gone', 'exchange_refused', /^invalid_target /, /does not exist.*`apostille trust gcp gone`/],
    ['away', 'exchange_unreachable', /^network/, /endpoint of the cloud/],
  ])('is refused: %s', async (target, code, message, remedy) => {
    const before = (await world.gateway.records()).length
    const { ok, checks } = await diagnose(target)
    const exchange = checks.at(-1)
    expect(ok).toBe(false)
    expect(exchange?.findings).toEqual([
      {
        code,
        severity: 'error',
        message: expect.stringMatching(message),
        remedy: expect.stringMatching(remedy),
      },
    ])
    expect(checks.filter(({ verdict }) => verdict === 'fail').map(({ name }) => name)).toEqual(['exchange'])
    const [, tried] = (await world.gateway.records()).slice(before)
    expect(tried).toMatchObject({
      operation: 'exchange.try',
      decision: 'refused',
      code: 'upstream_failed',
      target,
      spiffe_id: acting,
    })
  })

  test('of a caller is set up by a command that names the caller', async () => {
    const { checks } = await diagnose('lent', {}, { as: '/ns/web' })
    expect(checks.at(-1)?.findings.map(({ remedy }) => remedy)).toEqual([
      expect.stringMatching(/`apostille trust azure lent --as spiffe:\/\/example\.org\/ns\/web`$/),
    ])
  })

  test('of a caller whose claims are not known is not tried', async () => {
    expect(await codesOf('claiming', {}, { as: '/ns/web' })).toEqual(['exchange: warning exchange_not_tried'])
  })

  test('needs a running gateway', async () => {
    const admin = async () => createAdminClient(join(world.folder, 'nobody.sock'))
    expect(await codesOf('aws', { admin })).toEqual(['exchange: error gateway_not_running'])
  })
})
