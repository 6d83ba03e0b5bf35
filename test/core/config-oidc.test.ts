import { describe, expect, test } from 'vitest'
import { ConfigurationError, parseConfiguration } from '../../src/core/config.ts'

const base = [
  'trust_domain: example.org',
  'issuer: https://id.example.org',
  'listen: { address: 127.0.0.1:8443 }',
  'store: sqlite:./data/a.db',
  'seal: { file: ./data/seal.key }',
  'authenticators:',
].join('\n')
const withAuthenticator = (line: string) => `${base}\n  ci: ${line}`

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

const tenant = '72f988bf-86f1-41af-91ab-2d7cd011db47'
const organization = 'c9035eb6-6eb2-4c85-8a81-d9ed6a1d1d1e'

test.each([
  ['preset: github', 'https://token.actions.githubusercontent.com'],
  [
    'preset: github, issuer: https://token.actions.githubusercontent.com/octocat-inc',
    'https://token.actions.githubusercontent.com/octocat-inc',
  ],
  ['preset: github, issuer: https://token.actions.octocorp.ghe.com', 'https://token.actions.octocorp.ghe.com'],
  ['preset: github, issuer: https://github.example.com/_services/token', 'https://github.example.com/_services/token'],
  ['preset: gitlab', 'https://gitlab.com'],
  ['preset: gitlab, issuer: https://gitlab.example.com', 'https://gitlab.example.com'],
  ['preset: buildkite', 'https://agent.buildkite.com'],
  [`preset: circleci, organization: ${organization}`, `https://oidc.circleci.com/org/${organization}`],
  ['preset: terraform', 'https://app.terraform.io'],
  ['preset: terraform, issuer: https://tfe.example.com', 'https://tfe.example.com'],
  ['preset: google', 'https://accounts.google.com'],
  [`preset: azure, tenant: ${tenant}`, `https://sts.windows.net/${tenant}/`],
  [`preset: azure, tenant: ${tenant}, token_version: 1`, `https://sts.windows.net/${tenant}/`],
  [`preset: azure, tenant: ${tenant}, token_version: 2`, `https://login.microsoftonline.com/${tenant}/v2.0`],
  [
    `preset: azure, tenant: ${tenant}, issuer: 'https://login.microsoftonline.us/${tenant}/v2.0'`,
    `https://login.microsoftonline.us/${tenant}/v2.0`,
  ],
  [
    `preset: azure, tenant: ${tenant}, issuer: 'https://sts.chinacloudapi.cn/${tenant}/'`,
    `https://sts.chinacloudapi.cn/${tenant}/`,
  ],
  [
    'preset: aws, issuer: https://abc123-def456.tokens.sts.global.api.aws',
    'https://abc123-def456.tokens.sts.global.api.aws',
  ],
])('%s: the issuer is %s', (keys, issuer) => {
  const { authenticators } = parseConfiguration(withAuthenticator(`{ type: oidc, audience: a, ${keys} }`))
  const preset = /preset: (\w+)/.exec(keys)?.[1]
  expect(authenticators.get('ci')).toEqual({
    name: 'ci',
    type: 'oidc',
    preset,
    issuer,
    audience: 'a',
    private: false,
    max_stale: 86_400,
  })
})

const at = (column: number, key: string, message: string) => `7:${column} authenticators.ci.${key}: ${message}`

test.each<readonly [string, readonly string[]]>([
  [
    'preset: githb',
    [at(42, 'preset', 'expected one of aws, azure, buildkite, circleci, github, gitlab, google, terraform')],
  ],
  [
    'preset: null, issuer: https://x.example',
    [at(42, 'preset', 'expected one of aws, azure, buildkite, circleci, github, gitlab, google, terraform')],
  ],
  ['token_file: x', [at(7, 'issuer', 'issuer is missing: expected a text')]],
  [
    'issuer: https://x.example, tenant: x',
    [expect.stringMatching(/^7:61 authenticators\.ci\.tenant: unknown key: there are /)],
  ],
  [
    'preset: buildkite, issuer: https://agent.buildkite.com',
    [expect.stringMatching(/^7:53 authenticators\.ci\.issuer: unknown key/)],
  ],
  [
    'preset: google, issuer: https://accounts.google.com',
    [expect.stringMatching(/^7:50 authenticators\.ci\.issuer: unknown key/)],
  ],
  [
    'preset: github, issuer: https://github.com',
    [
      expect.stringMatching(
        /^7:58 authenticators\.ci\.issuer: expected https:\/\/token\.actions\.githubusercontent\.com, /,
      ),
    ],
  ],
  [
    'preset: github, issuer: https://github.example.com/x/_services/token',
    [expect.stringMatching(/^7:58 authenticators\.ci\.issuer: expected https/)],
  ],
  [
    'preset: gitlab, issuer: http://gitlab.example.com',
    [expect.stringMatching(/^7:58 authenticators\.ci\.issuer: expected an https URL/)],
  ],
  ['preset: circleci', [at(7, 'organization', 'organization is missing: expected a text')]],
  [
    'preset: circleci, organization: acme',
    [at(66, 'organization', 'expected the ID of the organization, a UUID in lower case')],
  ],
  ['preset: azure, tennant: x', [at(49, 'tennant', 'unknown key: did you mean tenant?')]],
  [
    'preset: azure, tenant: acme.onmicrosoft.com',
    [at(57, 'tenant', 'expected the ID of the tenant, a UUID in lower case')],
  ],
  [`preset: azure, tenant: ${tenant}, token_version: 3`, [at(110, 'token_version', 'expected one of 1, 2')]],
  [
    `preset: azure, tenant: ${tenant}, issuer: https://login.microsoftonline.us/common/v2.0`,
    [at(103, 'issuer', `expected an issuer of the tenant, such as https://sts.windows.net/${tenant}/`)],
  ],
  [
    `preset: azure, tenant: ${tenant}, token_version: 2, issuer: 'https://login.microsoftonline.us/${tenant}/v2.0'`,
    [at(110, 'token_version', 'the issuer says which version: remove this')],
  ],
  ['preset: aws', [at(7, 'issuer', 'issuer is missing: expected a text')]],
  [
    'preset: aws, issuer: https://sts.amazonaws.com',
    [at(55, 'issuer', 'expected the issuer of an account: https://ID.tokens.sts.global.api.aws')],
  ],
  [
    'preset: gitlab, issuer: https://id.example.org',
    [expect.stringMatching(/^7:58 authenticators\.ci\.issuer: this is our own issuer/)],
  ],
])('%s is refused', (keys, problems) => {
  expect(problemsOf(withAuthenticator(`{ type: oidc, audience: a, ${keys} }`))).toEqual(problems)
})

describe('rules', () => {
  const withRule = (preset: string, when: string | undefined, spiffeId = '/ci') =>
    [
      withAuthenticator(`{ type: oidc, audience: a, ${preset} }`),
      'identities:',
      `  - from: ci`,
      `    spiffe_id: ${spiffeId}`,
      ...(when === undefined ? [] : [`    when: ${when}`]),
    ].join('\n')

  test.each([
    ['preset: github', "proof.repository == 'octo-org/octo-repo'"],
    ['preset: github', "proof.repository_id == '74' && has(proof.environment) && proof.environment == 'prod'"],
    ['preset: github', "proof.subject.startsWith('repo:octo-org/')"],
    ['preset: github', "proof.claims['repo_property_team'] == 'web'"],
    ['preset: github', "'true'"],
    ['preset: google', "proof.project_number == '74'"],
    ['preset: gitlab', "proof.ref == 'main' && proof.project_id in ['1', '2']"],
  ])('%s: %s holds for somebody', (preset, when) => {
    expect(problemsOf(withRule(preset, when))).toEqual([])
  })

  test('attributes stand in templates', () => {
    const when = "proof.repository_id == '74'"
    expect(problemsOf(withRule('preset: github', when, '/gh/${proof.repository_id}/${proof.run_id}'))).toEqual([])
    expect(problemsOf(withRule('preset: github', when, '/gh/${proof.repo}'))).toEqual([
      expect.stringMatching(
        /^10:28 identities\[0\]\.spiffe_id: proof has no repo here: it has issuer, subject, claims, repository, /,
      ),
    ])
  })

  const remedy = "or proof.subject, or write `when: 'true'` to mean everybody"
  const githubRemedy = `compare proof.repository, proof.repository_id, proof.repository_owner, proof.repository_owner_id ${remedy}`
  const nobody = 'nothing that this reads tells whose proof it is'

  test.each([
    [
      'preset: github',
      undefined,
      `9:5 identities[0]: the issuer of ci may have the whole world as its users: ${githubRemedy}`,
    ],
    ['preset: github', "proof.ref == 'refs/heads/main'", `11:11 identities[0].when: ${nobody}: ${githubRemedy}`],
    ['preset: github', "proof.environment == 'production'", `11:11 identities[0].when: ${nobody}: ${githubRemedy}`],
    [
      'preset: github',
      "proof.issuer == 'https://token.actions.githubusercontent.com'",
      `11:11 identities[0].when: ${nobody}: ${githubRemedy}`,
    ],
    [
      `preset: azure, tenant: ${tenant}`,
      `proof.tenant_id == '${tenant}'`,
      `11:11 identities[0].when: ${nobody}: compare proof.object_id, proof.client_id, proof.resource_id ${remedy}`,
    ],
    [
      'preset: github',
      "proof.repository == 'octo-repo'",
      "11:11 identities[0].when: proof.repository can never match 'octo-repo': a repository is OWNER/NAME",
    ],
    [
      'preset: github',
      "proof.repository_id == '74' && proof.ref == 'main'",
      "11:42 identities[0].when: proof.ref can never match 'main': it begins with refs/",
    ],
    [
      'preset: github',
      "glob(proof.workflow_ref, 'deploy.yml@*')",
      "11:11 identities[0].when: proof.workflow_ref can never match 'deploy.yml@*': a workflow is OWNER/NAME/PATH@REF",
    ],
    ['preset: gitlab', 'proof.ref_protected == true', '11:11 identities[0].when: no such overload: string == bool'],
    [
      'preset: gitlab',
      "proof.repository == 'a/b'",
      '11:17 identities[0].when: proof has no repository here: it has issuer, subject, claims, ',
    ],
    [
      'preset: github',
      "proof.repositry == 'a/b'",
      '11:17 identities[0].when: proof has no repositry here: did you mean repository?',
    ],
    [
      'issuer: https://token.actions.githubusercontent.com',
      "proof.repository == 'a/b'",
      '11:17 identities[0].when: proof has no repository here: did you mean claims.repository, or preset: github?',
    ],
  ])('%s: %s', (preset, when, problem) => {
    expect(problemsOf(withRule(preset, when))).toEqual([expect.stringContaining(problem)])
  })

  test('a preset that can not be read does not make its rules wrong', () => {
    expect(problemsOf(withRule('preset: circleci', "proof.project_id == 'x'"))).toEqual([
      at(7, 'organization', 'organization is missing: expected a text'),
    ])
  })
})
