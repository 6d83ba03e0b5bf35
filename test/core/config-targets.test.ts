import { describe, expect, test } from 'vitest'
import { ConfigurationError, parseConfiguration } from '../../src/core/config.ts'
import { coversAudience } from '../../src/core/identify.ts'
import { algorithmFor } from '../../src/core/obtain-credential.ts'

const base = `trust_domain: example.org
issuer: https://id.example.org
listen: { address: 127.0.0.1:8443 }
store: sqlite:./data/a.db
seal: { file: ./data/seal.key }
authenticators: { first: { type: join_token } }
identities: [{ spiffe_id: '/vm/\${proof.name}', from: first, audiences: ['*', sts.amazonaws.com] }]`

/** `line:column path: message` of each, in order. */
function problemsOf(text: string): readonly string[] {
  try {
    parseConfiguration(text)
    return []
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    return error.diagnostics.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`)
  }
}

const withTarget = (target: string) => `${base}\ntargets:\n  t: ${target}`

const aws = (more: string) => `{ type: aws, role_arn: 'arn:aws:iam::123456789012:role/x', region: eu-west-1, ${more} }`
const tenant = 'tenant: contoso.example, client_id: 66666666-7777-8888-9999-000000000000'
const provider = 'projects/123/locations/global/workloadIdentityPools/pool/providers/provider'

test('without targets there are none', () => {
  expect(parseConfiguration(base).targets.size).toBe(0)
})

describe('what is wrong with a target is said where it stands', () => {
  test.each([
    ['{ type: oracle }', '9:14 targets.t.type: expected one of aws, azure, gcp'],
    [aws('role_arn2: x'), /^9:8\d targets\.t\.role_arn2: unknown key/],
    [
      "{ type: aws, role_arn: 'arn:aws:iam::1:role/x', region: eu-west-1 }",
      /targets\.t\.role_arn: expected the ARN of a role/,
    ],
    ["{ type: aws, role_arn: 'arn:aws:iam::123456789012:user/x', region: eu-west-1 }", /expected the ARN of a role/],
    [
      "{ type: aws, role_arn: 'arn:aws:iam::123456789012:role/x', region: Ireland }",
      /region: expected a region such as/,
    ],
    [aws('session_duration: 5m'), /session_duration: AWS takes 15m to 12h/],
    [aws('session_duration: 13h'), /session_duration: AWS takes 15m to 12h/],
    [aws("session_policy: '[]'"), /session_policy/],
    [aws(`session_policy: { a: '${'x'.repeat(2048)}' }`), /session_policy: AWS takes at most 2048 characters/],
    [aws('transitive_tags: [team], tags: { taem: a }'), /transitive_tags: team is none of tags/],
    [aws("tags: { team: '${identity.tribe}' }"), /tags\.team: .*tribe/],
    [aws("session_name: '${proof.name}'"), /session_name: .*proof/],
    [aws('endpoint: http://sts.example'), /endpoint: expected an https URL/],
    [aws('acts_as: cloud'), /acts_as: expected a path such as \/cloud\/payments/],
    [aws('acts_as: spiffe://other.example/x'), /acts_as: expected an ID of our own trust domain/],
    [aws('acts_as: spiffe://example.org'), /acts_as: expected a path/],
    [aws('acts_as: /apostille/server'), /acts_as: reserved/],
    [aws('session_name: x'), /session_name: expected 2 to 64 letters/],
    [aws("session_name: 'a b'"), /session_name: expected 2 to 64 letters/],
    [aws("tags: { team: 'a{b' }"), /tags\.team: expected at most 256 letters/],
    [aws("tags: { 'AWS:team': a }"), /tags\.\S+: expected a tag key/],
    [aws("tags: { 'te*am': a }"), /tags\.\S+: expected a tag key/],
    [aws('tags: { team: a, Team: b }'), /tags: two keys differ in capitals only/],
    [
      "{ type: aws, role_arn: 'arn:aws:iam::123456789012:role/x', region: cn-north-1 }",
      /region: the role is of partition aws, and this region of aws-cn/,
    ],
    [
      "{ type: aws, role_arn: 'arn:aws-us-gov:iam::123456789012:role/x', region: us-east-1 }",
      /region: the role is of partition aws-us-gov, and this region of aws$/,
    ],
    [aws('audience: https://id.example.org'), /audience: this is our own issuer/],
    [aws('audience: https://id.example.org/'), /audience: this is our own issuer/],
    [`{ type: azure, ${tenant}, audience: https://id.example.org }`, /audience: this is our own issuer/],
    [`{ type: gcp, provider: ${provider}, audience: https://id.example.org }`, /audience: this is our own issuer/],
    [aws("endpoint: 'https://me@sts.example'"), /endpoint: expected a URL without user, query and fragment/],
    [aws("endpoint: 'https://sts.example/?a=b'"), /endpoint: expected a URL without user, query and fragment/],
    [`{ type: azure, ${tenant}, authority_host: 'https://x.example/#a' }`, /authority_host: expected a URL without/],
    [aws('reuse: 1'), /reuse/],
    [aws('algorithm: EdDSA'), /algorithm/],
    [
      `{ type: azure, ${tenant}, scopes: [https://vault.azure.net] }`,
      /scopes.*expected a scope that ends in \/\.default/,
    ],
    [`{ type: azure, ${tenant}, scopes: [a/.default, b/.default] }`, /scopes: expected a list of at most 1/],
    ['{ type: azure, tenant: contoso.example, client_id: x }', /client_id: expected an id/],
    [
      "{ type: gcp, provider: 'projects/my-project/locations/global/workloadIdentityPools/pool/providers/x' }",
      /provider: expected projects\/NUMBER/,
    ],
    [
      `{ type: gcp, provider: ${provider}, service_account: a@b.example, lifetime: 13h }`,
      /lifetime: Google takes at most 12h/,
    ],
    [`{ type: gcp, provider: ${provider}, lifetime: 30m }`, /lifetime: .*add service_account/],
    [
      `{ type: gcp, provider: ${provider}, service_account: a@b.example, impersonation_url: 'https://x.example/v1/projects/-/serviceAccounts/c@b.example:generateAccessToken' }`,
      /impersonation_url: it is for another service account than a@b\.example/,
    ],
    [
      `{ type: gcp, provider: ${provider}, impersonation_url: https://x.example }`,
      /impersonation_url: .*add service_account/,
    ],
  ] as const)('%s', (target, expected) => {
    const problems = problemsOf(withTarget(target))
    expect(problems).toHaveLength(1)
    if (typeof expected === 'string') expect(problems[0]).toBe(expected)
    else expect(problems[0]).toMatch(expected)
  })

  test('tokens that a cloud takes must be ours to sign', () => {
    const text = `${withTarget(`{ type: azure, ${tenant} }`)}\nauthorities: { jwt: { algorithms: [ES256], rs256_audiences: [] } }`
    expect(problemsOf(text)).toEqual([
      '9:14 targets.t.type: its tokens are RS256, which authorities.jwt.algorithms does not list: list it there',
    ])
  })

  test.each([
    ['[ES384, RS256]', 'RS256'],
    ['[ES384, ES256]', 'ES256'],
  ])('Google gets the first of %s that it takes', (algorithms, expected) => {
    const authorities = `authorities: { jwt: { algorithms: ${algorithms}, rs256_audiences: [] } }`
    const config = parseConfiguration(`${withTarget(`{ type: gcp, provider: ${provider} }`)}\n${authorities}`)
    const [target] = config.targets.values()
    if (target === undefined) throw new Error('there is one target')
    expect(algorithmFor(config, target)).toBe(expected)
  })

  test('a policy for a target that is not there says which was meant', () => {
    const policies = 'policies: [{ permit: exchange, to: [s3-reprots] }, { permit: read, to: t }]'
    const text = `${base}\n${policies}\ntargets:\n  s3-reports: ${aws('')}\n  t: ${aws('')}`
    expect(problemsOf(text)).toEqual([
      '8:36 policies[0].to: there is no target s3-reprots: did you mean s3-reports?',
      '8:72 policies[1].to: only an exchange has a target',
    ])
  })

  test('an expression that names a target that is not there can never hold', () => {
    const text = `${base}\npolicies: [{ permit: exchange, when: "target.name == 'x'" }]\ntargets:\n  t: ${aws('')}`
    expect(problemsOf(text)).toEqual([expect.stringMatching(/^8:\d+ policies\[0\]\.when: .*the targets are t/)])
  })
})

test.each([
  [aws(''), 'sts.amazonaws.com', ['sts.amazonaws.com']],
  [aws('audience: mine'), 'mine', ['mine']],
  [`{ type: azure, ${tenant} }`, 'api://AzureADTokenExchange', ['api://AzureADTokenExchange']],
  [
    `{ type: gcp, provider: ${provider} }`,
    `https://iam.googleapis.com/${provider}`,
    [`https://iam.googleapis.com/${provider}`, `//iam.googleapis.com/${provider}`],
  ],
  [
    `{ type: gcp, provider: https://iam.googleapis.com/${provider}, audience: mine }`,
    'mine',
    ['mine', `https://iam.googleapis.com/${provider}`, `//iam.googleapis.com/${provider}`],
  ],
])('of %s the tokens have one audience, and a star covers none that the cloud takes', (target, audience, reserved) => {
  const { targets, rules } = parseConfiguration(withTarget(target))
  expect(targets.get('t')?.audience).toBe(audience)
  const [rule] = rules.byDigest.values()
  if (rule === undefined) throw new Error('there is one rule')
  expect(coversAudience(rules, rule, 'https://anything.example')).toBe(true)
  for (const name of reserved) expect(coversAudience(rules, rule, name)).toBe(name === 'sts.amazonaws.com')
})

test.each([
  "{ type: aws, role_arn: 'arn:aws-cn:iam::123456789012:role/x', region: cn-north-1 }",
  "{ type: aws, role_arn: 'arn:aws-us-gov:iam::123456789012:role/x', region: us-gov-west-1 }",
  "{ type: aws, role_arn: 'arn:aws-eusc:iam::123456789012:role/x', region: eusc-de-east-1 }",
  "{ type: aws, role_arn: 'arn:aws-iso-b:iam::123456789012:role/x', region: us-isob-east-1 }",
  aws("session_name: ab, tags: { 'team of': a, 'x:y': 'a/b c' }"),
  `{ type: azure, ${tenant}, audience: a, authority_host: 'https://login.example/base/' }`,
  `{ type: gcp, provider: ${provider}, service_account: a@b.example, impersonation_url: 'https://x.example/v1/projects/-/serviceAccounts/a@b.example:generateAccessToken' }`,
])('nothing is wrong with %s', (target) => {
  expect(problemsOf(withTarget(target))).toEqual([])
})

test('a target that changes is another, and one that is only moved is the same', () => {
  const digestOf = (text: string) => parseConfiguration(text).targets.get('t')?.digest
  const first = digestOf(withTarget(aws('')))
  expect(digestOf(`${withTarget(aws(''))}\nlimits: { refusals: 1 }`)).toBe(first)
  expect(digestOf(withTarget(aws('session_duration: 2h')))).not.toBe(first)
})
