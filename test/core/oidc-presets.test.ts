import { expect, test } from 'vitest'
import { proofAttributes } from '../../src/core/config-authenticators.ts'
import {
  oidcPresets,
  type PresetName,
  presetAttributes,
  presetValues,
  suggestPreset,
  tellingAttributes,
} from '../../src/core/oidc-presets.ts'

const presets = Object.keys(oidcPresets) as PresetName[]

test.each(presets)(
  '%s: names are those that an expression can say, and none stands in for what every token has',
  (preset) => {
    for (const name of Object.keys(presetAttributes(preset))) {
      expect(name).toMatch(/^[a-z][a-z0-9_]*$/)
      expect(Object.keys(proofAttributes.oidc)).not.toContain(name)
    }
  },
)

test.each(presets)('%s: no address of a person becomes an attribute', (preset) => {
  for (const [name, { from = [[name]], part }] of Object.entries(oidcPresets[preset]))
    expect([name, part === undefined && from.some((path) => /mail/.test(path.at(-1) ?? ''))]).toEqual([name, false])
})

test('an attribute is a string where the vendor always sends it, and maybe one elsewhere', () => {
  expect(presetAttributes('github')).toMatchObject({ repository: 'string', environment: 'maybe string' })
  expect(presetAttributes('google')).toMatchObject({ service_account: 'maybe string', zone: 'maybe string' })
})

test.each<readonly [PresetName, readonly string[], readonly string[]]>([
  [
    'github',
    ['repository', 'repository_id', 'workflow_ref'],
    ['ref', 'environment', 'sha', 'job_workflow_ref', 'event_name'],
  ],
  ['gitlab', ['project_id', 'namespace_path'], ['ref', 'ref_protected', 'environment', 'runner_id']],
  ['buildkite', ['organization_slug', 'pipeline_id'], ['build_branch', 'step_key', 'queue_key']],
  ['circleci', ['project_id', 'vcs_origin', 'vcs_ref'], ['organization_id', 'ssh_rerun']],
  [
    'terraform',
    ['workspace_id', 'organization_name', 'full_workspace'],
    ['workspace_name', 'project_name', 'run_phase'],
  ],
  ['azure', ['object_id', 'client_id', 'resource_id'], ['tenant_id', 'identity_type']],
  ['google', ['service_account', 'project_id', 'instance_id'], ['zone', 'instance_name']],
  ['aws', ['role', 'lambda_source_function_arn'], ['account', 'org_id', 'source_region']],
])('%s: %j tell whose proof it is, %j do not', (preset, telling, common) => {
  expect(tellingAttributes(preset)).toEqual(expect.arrayContaining([...telling]))
  for (const name of common) expect(tellingAttributes(preset)).not.toContain(name)
})

test.each<readonly [PresetName, string, string, 'equals' | 'starts', boolean]>([
  ['github', 'ref', 'refs/heads/main', 'equals', true],
  ['github', 'ref', 'ref', 'starts', true],
  ['github', 'ref', 'refs/tags/v', 'starts', true],
  ['github', 'ref', 'main', 'equals', false],
  ['github', 'ref', 'ref', 'equals', false],
  ['github', 'ref', 'heads/', 'starts', false],
  ['github', 'repository', 'octo-org/octo-repo', 'equals', true],
  ['github', 'repository', 'octo-org/', 'starts', true],
  ['github', 'repository', '', 'starts', true],
  ['github', 'repository', 'octo-org', 'equals', false],
  ['github', 'repository', 'octo-org/a/b', 'equals', false],
  ['github', 'repository', 'https://github.com/', 'starts', false],
  ['github', 'repository', '/octo', 'starts', false],
  ['github', 'repository_owner', 'octo-org/', 'starts', false],
  ['github', 'repository_id', '74', 'equals', true],
  ['github', 'repository_id', 'octo-repo', 'equals', false],
  ['github', 'ref_type', 'tag', 'equals', true],
  ['github', 'ref_type', 'tags', 'equals', false],
  ['github', 'repository_visibility', 'secret', 'equals', false],
  ['github', 'runner_environment', 'self-hosted', 'equals', true],
  ['github', 'sha', '714a629c0b401fdce83e847fc9589983fc6f46bc', 'equals', true],
  ['github', 'sha', '714a629c', 'starts', true],
  ['github', 'sha', '714a629c', 'equals', false],
  ['github', 'event_name', 'pull_request_target', 'equals', true],
  ['github', 'event_name', 'Push', 'equals', false],
  ['github', 'job_workflow_ref', 'octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main', 'equals', true],
  ['github', 'job_workflow_ref', 'octo-org/octo-automation/.github/workflows/', 'starts', true],
  ['github', 'job_workflow_ref', 'octo-org/octo-automation/.github/workflows/oidc.yml', 'equals', false],
  ['github', 'job_workflow_ref', '.github/workflows/oidc.yml@refs/heads/main', 'equals', false],
  ['github', 'job_workflow_ref', '/octo-org', 'starts', false],
  ['gitlab', 'project_path', 'my-group/sub/my-project', 'equals', true],
  ['gitlab', 'project_path', 'my-group/', 'starts', true],
  ['gitlab', 'project_path', 'my-project', 'equals', false],
  ['gitlab', 'project_path', '/my-group', 'starts', false],
  ['gitlab', 'namespace_path', 'my-group', 'equals', true],
  ['gitlab', 'namespace_path', 'my-group/', 'equals', false],
  ['gitlab', 'ref_protected', 'true', 'equals', true],
  ['gitlab', 'ref_protected', 'yes', 'equals', false],
  ['gitlab', 'ref_path', 'main', 'equals', false],
  ['gitlab', 'deployment_tier', 'prod', 'equals', false],
  ['gitlab', 'ci_config_ref_uri', 'https://gitlab.example.com/g/p//.gitlab-ci.yml@refs/heads/main', 'equals', false],
  ['buildkite', 'organization_id', 'f892efa9-103e-4d28-97a1-3b8616a0994d', 'equals', true],
  ['buildkite', 'organization_id', 'F892efa9-103', 'starts', true],
  ['buildkite', 'organization_id', 'acme-inc', 'equals', false],
  ['buildkite', 'organization_id', 'f892efa9-103e-4d28-97a1-3b8616a0994d0', 'starts', false],
  ['buildkite', 'pipeline_slug', 'acme-inc/app', 'equals', false],
  ['circleci', 'vcs_origin', 'github.com/acme/web', 'equals', true],
  ['circleci', 'vcs_origin', 'https://github.com/acme/web', 'equals', false],
  ['circleci', 'ssh_rerun', 'no', 'equals', false],
  ['terraform', 'workspace_id', 'ws-mbsd5E3Ktt5Rg2Xm', 'equals', true],
  ['terraform', 'workspace_id', 'my-workspace', 'equals', false],
  ['terraform', 'full_workspace', 'my-org/my-workspace', 'equals', false],
  ['azure', 'object_id', '690222BE-FF1A-4D56-ABD1-7E4F7D38E474', 'equals', true],
  ['azure', 'object_id', 'web', 'equals', false],
  ['google', 'service_account', 'web@acme.iam.gserviceaccount.com', 'equals', true],
  ['google', 'service_account', 'web@', 'starts', true],
  ['google', 'service_account', 'me@gmail.com', 'equals', false],
  ['google', 'project_number', 'acme', 'equals', false],
  ['aws', 'account', '123456789012', 'equals', true],
  ['aws', 'account', '1234', 'starts', true],
  ['aws', 'account', '12345678901', 'equals', false],
  ['aws', 'role', 'path/web', 'equals', false],
  ['aws', 'lambda_source_function_arn', 'arn:aws:lambda:', 'starts', true],
  ['aws', 'lambda_source_function_arn', 'process-data', 'equals', false],
])('%s: %s and %j (%s): %s', (preset, name, text, kind, possible) => {
  expect(presetValues(preset).get(`proof.${name}`)?.(text, kind) === undefined).toBe(possible)
})

test.each([
  ['proof.repository', 'did you mean claims.repository, or preset: github?'],
  ['proof.ref', 'did you mean claims.ref, or preset: github or gitlab?'],
  ['proof.service_account', 'did you mean preset: google?'],
  ['proof.project_id', 'did you mean claims.project_id, or preset: circleci or gitlab or google or terraform?'],
  ['proof.toString', undefined],
  ['proof.nothing', undefined],
  ['request.ref', undefined],
])('instead of %s: %s', (attribute, expected) => {
  expect(suggestPreset(attribute)).toBe(expected)
})
