/** Tokens of vendors, as their documents show them: claims → attributes, through the authenticator and the rules. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createOidcAuthenticator } from '../../../src/adapters/authenticators/oidc.ts'
import { parseConfiguration } from '../../../src/core/config.ts'
import { createIdentifier } from '../../../src/core/identify.ts'
import { oidcPresets, type PresetName } from '../../../src/core/oidc-presets.ts'
import { silentTelemetry } from '../../../src/core/telemetry.ts'
import { createFakeFiles, createFakeUpstream } from '../../support/fake-upstream.ts'
import { createOidcIssuer, testAudience } from '../../support/oidc-issuer.ts'
import { ecSigner, type Members, signToken } from '../../support/raw-token.ts'

interface Vector {
  readonly name: string
  readonly preset: PresetName
  readonly origin: string
  readonly claims: Members & { readonly iss: string; readonly sub: string }
  readonly attributes: Readonly<Record<string, string>>
  readonly personal: readonly string[]
  readonly spiffePath?: string
}

const root = join(import.meta.dirname, '../../..')
const { tokens } = JSON.parse(readFileSync(join(root, 'test/vectors/oidc-presets.json'), 'utf8')) as {
  readonly tokens: readonly Vector[]
}
const vectorOf = (preset: PresetName): Vector => {
  const found = tokens.find((vector) => vector.preset === preset)
  if (found === undefined) throw new Error(`no token of ${preset}`)
  return found
}

const issuer = createOidcIssuer()
const now = new Date('2026-11-20T12:00:00Z')
const seconds = Math.floor(now.getTime() / 1000)

async function authenticate(preset: PresetName, claims: Members & { readonly iss: string }) {
  const files = createFakeFiles()
  files.texts.set('/jwks.json', issuer.jwks)
  const { request } = createFakeUpstream()
  const authenticator = createOidcAuthenticator(
    {
      name: preset,
      type: 'oidc',
      preset,
      issuer: claims.iss,
      audience: testAudience,
      jwks_file: '/jwks.json',
      private: false,
      max_stale: 86_400,
    },
    {
      connect: () => ({ request, close: async () => {} }),
      files,
      now: () => now,
      monotonicMs: () => 0,
      telemetry: silentTelemetry,
      shareFetches: true,
    },
  )
  const payload = { ...claims, aud: testAudience, iat: seconds, nbf: seconds, exp: seconds + 300 }
  const token = signToken({ alg: 'ES256', kid: 'ec', typ: 'JWT' }, payload, ecSigner(issuer.ec))
  return (await authenticator.authenticate({ kind: 'bearer', token }, now)).identity
}

test('there is a token of every preset', () => {
  expect([...new Set(tokens.map(({ preset }) => preset))].sort()).toEqual(Object.keys(oidcPresets).sort())
})

test.each(tokens)('$name', async ({ preset, claims, attributes, personal }) => {
  const identity = await authenticate(preset, claims)
  const { iss, sub } = claims
  expect(identity.attributes).toEqual({
    ...attributes,
    issuer: iss,
    subject: sub,
    claims: { ...claims, aud: testAudience, iat: seconds, nbf: seconds, exp: seconds + 300 },
  })
  const recorded = Object.entries(attributes).filter(([name]) => !personal.includes(name))
  expect(identity.recorded).toEqual({ ...Object.fromEntries(recorded), issuer: iss, subject: sub })
})

test.each(tokens)('$name: no address of a person is recorded', async ({ preset, claims }) => {
  const { recorded } = await authenticate(preset, claims)
  const addresses = Object.values(recorded).filter((value) => String(value).includes('@'))
  expect(addresses.filter((value) => !/gserviceaccount\.com$|@refs\//.test(String(value)))).toEqual([])
})

/** The values that judges call possible are those that vendors send: a judge that is wrong would refuse a good rule. */
test.each(tokens)('$name: has no value that `check` would call impossible', ({ preset, attributes, origin }) => {
  const placeholders = new Set(['example-sha'])
  const refused = Object.entries(attributes).filter(([name, value]) => {
    const judge = oidcPresets[preset][name]?.judge
    return !placeholders.has(value) && (judge?.(value, 'equals') ?? judge?.(value.slice(0, 5), 'starts')) !== undefined
  })
  expect(origin).toMatch(/^https:\/\//)
  expect(refused).toEqual([])
})

describe('a claim that is not as the vendor has it is no proof', () => {
  const aws = 'https://sts.amazonaws.com/'
  test.each<readonly [PresetName, Members, string]>([
    ['github', { repository: undefined }, "claim 'repository' is absent, and the preset needs it"],
    ['github', { repository: '' }, "claim 'repository' is absent, and the preset needs it"],
    ['github', { repository: null }, "claim 'repository' is absent, and the preset needs it"],
    ['github', { repository_id: 74 }, "claim 'repository_id' is not a string"],
    ['github', { environment: ['prod'] }, "claim 'environment' is not a string"],
    ['github', { environment: false }, "claim 'environment' is not a string"],
    ['gitlab', { ref_protected: true }, "claim 'ref_protected' is not a string"],
    ['gitlab', { runner_id: 1.5 }, "claim 'runner_id' is not a number"],
    ['gitlab', { runner_id: -1 }, "claim 'runner_id' is not a number"],
    ['gitlab', { runner_id: '1e3' }, "claim 'runner_id' is not a number"],
    ['buildkite', { build_number: 2 ** 53 }, "claim 'build_number' is not a number"],
    ['buildkite', { build_number: {} }, "claim 'build_number' is not a number"],
    [
      'circleci',
      { 'oidc.circleci.com/ssh-rerun': 'false' },
      "claim 'oidc.circleci.com/ssh-rerun' is not true or false",
    ],
    [
      'circleci',
      { 'oidc.circleci.com/project-id': null },
      "claim 'oidc.circleci.com/project-id' is absent, and the preset needs it",
    ],
    ['terraform', { terraform_workspace_id: 7 }, "claim 'terraform_workspace_id' is not a string"],
    ['azure', { oid: undefined }, "claim 'oid' is absent, and the preset needs it"],
    ['azure', { appid: undefined, azp: 1 }, "claim 'azp' is not a string"],
    ['google', { email: 7 }, "claim 'email' is not a string"],
    [
      'google',
      { google: { compute_engine: { zone: [] } } },
      "claim 'google' of 'compute_engine' of 'zone' is not a string",
    ],
    ['aws', { [aws]: {} }, "claim 'https://sts.amazonaws.com/' of 'aws_account' is absent, and the preset needs it"],
    [
      'aws',
      { [aws]: '123456789012' },
      "claim 'https://sts.amazonaws.com/' of 'aws_account' is absent, and the preset needs it",
    ],
    [
      'aws',
      { [aws]: ['123456789012'] },
      "claim 'https://sts.amazonaws.com/' of 'aws_account' is absent, and the preset needs it",
    ],
  ])('%s: %j', async (preset, changed, reason) => {
    await expect(authenticate(preset, { ...vectorOf(preset).claims, ...changed })).rejects.toMatchObject({
      code: 'proof_rejected',
      reason,
    })
  })
})

test.each<readonly [string, PresetName, Members, string, string | undefined]>([
  ['a number in digits is the same as a number', 'gitlab', { runner_id: '12' }, 'runner_id', '12'],
  ['an address that nobody vouches for is none', 'google', { email_verified: false }, 'service_account', undefined],
  [
    'nor is one that only contains the domain',
    'google',
    { email: 'a@x.gserviceaccount.com.evil.example' },
    'service_account',
    undefined,
  ],
  [
    'nor one of two addresses',
    'google',
    { email: 'me@evil.example\na@x.gserviceaccount.com' },
    'service_account',
    undefined,
  ],
  [
    'a user of an account has no role',
    'aws',
    { sub: 'arn:aws:iam::123456789012:user/DataProcessingRole' },
    'role',
    undefined,
  ],
  [
    'the path of a role is no part of its name',
    'aws',
    { sub: 'arn:aws-cn:iam::123456789012:role/a/b/web' },
    'role',
    'web',
  ],
  ['a role is one of IAM', 'aws', { sub: 'arn:aws:sts::123456789012:assumed-role/web/x' }, 'role', undefined],
  ['a token without an instance has no zone', 'google', { google: {} }, 'zone', undefined],
])('%s', async (_, preset, changed, attribute, expected) => {
  const { attributes } = await authenticate(preset, { ...vectorOf(preset).claims, ...changed })
  expect(attributes[attribute]).toBe(expected)
})

test('a claim cannot stand in for an attribute that every token has', async () => {
  const claims = { ...vectorOf('github').claims, issuer: 'https://evil.example', subject: 'x', claims: {} }
  const { attributes, recorded } = await authenticate('github', claims)
  expect(attributes).toMatchObject({ issuer: claims.iss, subject: claims.sub, claims: { subject: 'x' } })
  expect(recorded).toMatchObject({ issuer: claims.iss, subject: claims.sub })
})

describe('the examples of docs/configuration.md', () => {
  const page = readFileSync(join(root, 'docs/configuration.md'), 'utf8')
  const [, section = ''] = /^### Presets\n(.*?)^## /ms.exec(page) ?? []
  const parts = section.split(/^#### `/m).slice(1)
  const examples = parts.map(
    (part) => [part.slice(0, part.indexOf('`')), /```yaml\n(.*?)```/s.exec(part)?.[1]] as const,
  )
  const base = [
    'trust_domain: example.org',
    'issuer: https://id.example.org',
    "listen: { address: '127.0.0.1:8443' }",
    'store: sqlite:./data/a.db',
    'seal: { file: ./data/seal.key }\n',
  ].join('\n')
  const configurations = new Map(examples.map(([name, text]) => [name, parseConfiguration(base + text)]))

  test('there is one of every preset, named after it', () => {
    expect([...configurations.keys()].sort()).toEqual(Object.keys(oidcPresets).sort())
    for (const [name, { authenticators, warnings }] of configurations) {
      expect(authenticators.get(name)).toMatchObject({
        type: 'oidc',
        preset: name,
        issuer: vectorOf(name as PresetName).claims.iss,
      })
      expect(warnings).toEqual([])
    }
  })

  test.each(parts.map((part) => [part.slice(0, part.indexOf('`')), part] as const))(
    '%s: every attribute is named, personal ones marked',
    (name, part) => {
      const attributes = Object.entries(oidcPresets[name as PresetName])
      const missing = attributes.filter(
        ([attribute, { personal }]) => !part.includes(`\`${attribute}\`${personal ? '†' : ''}`),
      )
      expect(missing.map(([attribute]) => attribute)).toEqual([])
    },
  )

  test.each(parts.map((part) => [part.slice(0, part.indexOf('`')), part] as const))(
    '%s: what tells whose proof it is stands first',
    (name, part) => {
      const [telling = '', common = ''] = part.split(';')
      for (const [attribute, { common: isCommon }] of Object.entries(oidcPresets[name as PresetName]))
        expect([attribute, (isCommon ? common : telling).includes(`\`${attribute}\``)]).toEqual([attribute, true])
    },
  )

  test.each(tokens)('$name: what it is by the example', async ({ preset, claims, spiffePath }) => {
    const identity = await authenticate(preset, claims)
    const rules = configurations.get(preset)?.rules
    const found = rules && createIdentifier(rules)(identity, { operation: 'jwt_svid', time: now })
    expect(found?.entitlements.map(({ spiffeId }) => spiffeId.path)[0]).toBe(spiffePath)
  })

  test.each(tokens.filter(({ spiffePath }) => spiffePath !== undefined))(
    '$name: is nobody with other texts in its claims',
    async ({ preset, claims }) => {
      const rules = configurations.get(preset)?.rules
      const identify = rules && createIdentifier(rules)
      const text = JSON.stringify(Object.fromEntries(Object.entries(claims).filter(([name]) => name !== 'iss')))
      const other = JSON.parse(text.replaceAll(/"([^"]+)"(?=[,}\]])/g, '"$1x"')) as Members
      const outcome = await authenticate(preset, { ...other, iss: claims.iss }).then(
        (identity) => identify?.(identity, { operation: 'jwt_svid', time: now }).entitlements,
        () => [],
      )
      expect(outcome).toEqual([])
    },
  )
})
