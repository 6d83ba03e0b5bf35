/**
 * Vendors whose OIDC tokens are known: which claims become attributes of `proof`, by name and type.
 *
 * - Every attribute is a text, so that rules compare it with texts and templates can hold it. A number is written in
 *   digits, a boolean as `true` or `false`; lists and maps stay in `claims`.
 * - An attribute is one that a proof always has where the vendor says so. A proof that lacks it is none.
 * - A judge is there where the form of a value is certain. Lists that a vendor may yet add to are left open.
 * - Records hold every attribute that names a thing. Those that name a person are left out: the run or job leads to them.
 *
 * @module
 */
import { type AttributeValues, beginningWith, byPattern, oneOf, shapedAs, type ValueJudge } from './attribute-values.ts'
import type { AttributeType } from './config-authenticators.ts'

export type PresetName = 'aws' | 'azure' | 'buildkite' | 'circleci' | 'github' | 'gitlab' | 'google' | 'terraform'

export interface PresetAttribute {
  /** Names of members from the outside in; of several paths the first that leads somewhere. The attribute's name by default. */
  readonly from?: readonly (readonly string[])[]
  /** What the claim is in JSON; `digits` is an integer or a text of digits. A text by default. */
  readonly json?: 'text' | 'digits' | 'boolean'
  /** Absent only from what is no proof. */
  readonly always?: true
  /** What of the text is taken: the first group. Where it does not fit there is no attribute. */
  readonly part?: RegExp
  /** A claim without whose `true` there is no attribute. */
  readonly vouchedBy?: string
  /** Does not tell whose proof it is: everybody's has it, or anybody can choose it. */
  readonly common?: true
  /** Names a person: in no record. */
  readonly personal?: true
  readonly judge?: ValueJudge
}

type PresetAttributes = Readonly<Record<string, PresetAttribute>>

const uuidPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const uuid = shapedAs(uuidPattern, '00000000-0000-0000-0000-000000000000', 'it is a UUID')
const number = byPattern(/^\d+$/, /^\d*$/, 'it is a number in digits')
const commit = byPattern(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, /^[0-9a-f]{0,64}$/, 'it is the whole hash of a commit')
const gitRef = beginningWith('refs/')
const refType = oneOf(['branch', 'tag'], 'types')
const visibility = oneOf(['internal', 'private', 'public'], 'visibilities')
const truth = oneOf(['true', 'false'], 'values')
const word = byPattern(/^[^\s/]+$/, /^[^\s/]*$/, 'it has neither a slash nor a space')
// Owners are letters, digits, dashes, and an underscore before the code of an enterprise.
const repository = byPattern(/^[\w-]+\/[^\s/]+$/, /^(?:[\w-]+(?:\/[^\s/]*)?)?$/, 'a repository is OWNER/NAME')
const projectPath = byPattern(
  /^[^\s/]+(?:\/[^\s/]+)+$/,
  /^(?:[^\s/]+(?:\/[^\s/]+)*\/?)?$/,
  'the path of a project is GROUP/PROJECT',
)
const namespacePath = byPattern(
  /^[^\s/]+(?:\/[^\s/]+)*$/,
  /^(?:[^\s/]+(?:\/[^\s/]+)*\/?)?$/,
  'the path of a namespace is GROUP or GROUP/SUBGROUP',
)
const workflowRef = byPattern(
  /^[\w-]+\/[^\s/]+\/[^\s].*@.+$/,
  /^(?:[\w-]+(?:\/(?:[^\s/]+(?:\/.*)?)?)?)?$/,
  'a workflow is OWNER/NAME/PATH@REF',
)
const schemeless = byPattern(/^(?!\w+:\/\/)\S+$/, /^(?!\w+:\/\/)\S*$/, 'it is written without https://')
const account = shapedAs(/^\d{12}$/, '000000000000', 'an account is 12 digits')
const arn = beginningWith('arn:')
const serviceAccount = byPattern(
  /^[^\s@]+@[^\s@]+\.gserviceaccount\.com$/,
  /^(?:[^\s@]+(?:@[^\s@]*)?)?$/,
  'a service account is NAME@PROJECT.iam.gserviceaccount.com',
)

/**
 * GetWebIdentityToken: who may ask is a principal of one account, which has an issuer of its own. `ou_path` and tags stay
 * in `claims`.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound_token_claims.html
 */
const awsNamespace = 'https://sts.amazonaws.com/'
const awsClaim = (name: string) => ({ from: [[awsNamespace, name]] })
const aws: PresetAttributes = {
  account: { ...awsClaim('aws_account'), always: true, common: true, judge: account },
  // The name alone, since names of roles are unique in an account whatever their paths.
  role: { from: [['sub']], part: /^arn:[a-z-]+:iam::\d{12}:role\/(?:[^\s]*\/)?([^\s/]+)$/, judge: word },
  principal_id: awsClaim('principal_id'),
  source_region: { ...awsClaim('source_region'), common: true },
  org_id: { ...awsClaim('org_id'), common: true, judge: beginningWith('o-') },
  lambda_source_function_arn: { ...awsClaim('lambda_source_function_arn'), judge: arn },
  ec2_source_instance_arn: { ...awsClaim('ec2_source_instance_arn'), judge: arn },
  ec2_instance_source_vpc: { ...awsClaim('ec2_instance_source_vpc'), judge: beginningWith('vpc-') },
  federated_provider: awsClaim('federated_provider'),
  source_identity: { ...awsClaim('source_identity'), personal: true },
  identity_store_user_id: { ...awsClaim('identity_store_user_id'), personal: true },
}

/**
 * Access tokens of managed identities and applications for an application of ours: v1.0 and v2.0 differ in the name of one
 * claim. `oid` is never given to another principal. `xms_mirid` is the managed identity's resource, whose names may be used
 * again; the reference of claims does not list it.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
 * @see https://learn.microsoft.com/entra/identity-platform/optional-claims-reference
 */
const azure: PresetAttributes = {
  tenant_id: { from: [['tid']], always: true, common: true, judge: uuid },
  object_id: { from: [['oid']], always: true, judge: uuid },
  client_id: { from: [['appid'], ['azp']], judge: uuid },
  resource_id: { from: [['xms_mirid']] },
  identity_type: { from: [['idtyp']], common: true },
}

/**
 * The claims with UUIDs are there when the job asks for them: `buildkite-agent oidc request-token --claim pipeline_id`.
 *
 * @see https://buildkite.com/docs/agent/cli/reference/oidc
 */
const buildkite: PresetAttributes = {
  organization_slug: { always: true, judge: word },
  organization_id: { judge: uuid },
  pipeline_slug: { always: true, judge: word },
  pipeline_id: { judge: uuid },
  build_id: { judge: uuid },
  build_number: { json: 'digits', common: true, judge: number },
  build_branch: { always: true, common: true },
  build_tag: { common: true },
  build_commit: { always: true, common: true },
  build_source: { common: true },
  step_key: { common: true },
  job_id: { always: true, judge: uuid },
  agent_id: { judge: uuid },
  cluster_id: { judge: uuid },
  cluster_name: { common: true },
  queue_id: { judge: uuid },
  queue_key: { common: true },
  runner_environment: { common: true, judge: oneOf(['buildkite-hosted', 'self-hosted'], 'environments') },
}

/**
 * Each organization has its own issuer. `context-ids` is a list and stays in `claims`. Of a fork that is built with
 * secrets, `vcs_origin` alone tells.
 *
 * @see https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/
 */
const circleClaim = (name: string) => ({ from: [[`oidc.circleci.com/${name}`]] })
const circleci: PresetAttributes = {
  organization_id: { ...circleClaim('org-id'), common: true, judge: uuid },
  project_id: { ...circleClaim('project-id'), always: true, judge: uuid },
  pipeline_definition_id: { ...circleClaim('pipeline-definition-id'), judge: uuid },
  pipeline_id: { ...circleClaim('pipeline-id'), judge: uuid },
  workflow_id: { ...circleClaim('workflow-id'), judge: uuid },
  job_id: { ...circleClaim('job-id'), judge: uuid },
  vcs_origin: { ...circleClaim('vcs-origin'), judge: schemeless },
  vcs_ref: { ...circleClaim('vcs-ref'), judge: gitRef },
  ssh_rerun: { ...circleClaim('ssh-rerun'), json: 'boolean', common: true, judge: truth },
}

/**
 * Every event has a `ref` but a deployment of a commit, which has an empty one. A reusable workflow that is public can be
 * called from everybody's repository, so `job_workflow_ref` does not tell whose job it is. Custom properties
 * (`repo_property_…`) stay in `claims`.
 *
 * @see https://docs.github.com/en/actions/reference/security/oidc
 */
const github: PresetAttributes = {
  repository: { always: true, judge: repository },
  repository_id: { always: true, judge: number },
  repository_owner: { always: true, judge: word },
  repository_owner_id: { always: true, judge: number },
  repository_visibility: { common: true, judge: visibility },
  enterprise: { judge: word },
  enterprise_id: { judge: number },
  ref: { common: true, judge: gitRef },
  ref_type: { common: true, judge: refType },
  base_ref: { common: true },
  head_ref: { common: true },
  sha: { common: true, judge: commit },
  environment: { common: true },
  event_name: {
    always: true,
    common: true,
    judge: byPattern(/^[a-z_]+$/, /^[a-z_]*$/, 'events are lower-case letters and _'),
  },
  workflow: { common: true },
  workflow_ref: { judge: workflowRef },
  workflow_sha: { common: true, judge: commit },
  job_workflow_ref: { common: true, judge: workflowRef },
  job_workflow_sha: { common: true, judge: commit },
  run_id: { always: true },
  run_number: { common: true, judge: number },
  run_attempt: { common: true, judge: number },
  runner_environment: { common: true, judge: oneOf(['github-hosted', 'self-hosted'], 'environments') },
  actor: { personal: true },
  actor_id: { personal: true, judge: number },
}

/**
 * Of a merge request from a fork, `project_…` and `namespace_…` are the fork's, `job_project_…` those of where the job runs.
 *
 * @see https://docs.gitlab.com/ci/secrets/id_token_authentication/#token-payload
 */
const gitlab: PresetAttributes = {
  project_id: { always: true, judge: number },
  project_path: { always: true, judge: projectPath },
  project_visibility: { common: true, judge: visibility },
  namespace_id: { always: true, judge: number },
  namespace_path: { always: true, judge: namespacePath },
  job_project_id: { judge: number },
  job_project_path: { judge: projectPath },
  job_namespace_id: { judge: number },
  job_namespace_path: { judge: namespacePath },
  pipeline_id: { always: true, judge: number },
  pipeline_source: { always: true, common: true },
  job_id: { always: true, judge: number },
  ref: { always: true, common: true },
  ref_type: { always: true, common: true, judge: refType },
  ref_path: { common: true, judge: gitRef },
  ref_protected: { always: true, common: true, judge: truth },
  sha: { common: true, judge: commit },
  environment: { common: true },
  environment_protected: { common: true, judge: truth },
  environment_action: { common: true },
  deployment_tier: {
    common: true,
    judge: oneOf(['production', 'staging', 'testing', 'development', 'other'], 'tiers'),
  },
  ci_config_ref_uri: { judge: schemeless },
  ci_config_sha: { common: true, judge: commit },
  runner_id: { json: 'digits', common: true, judge: number },
  runner_environment: { common: true, judge: oneOf(['gitlab-hosted', 'self-hosted'], 'environments') },
  user_id: { personal: true, judge: number },
  user_login: { personal: true },
  user_access_level: { common: true },
}

/**
 * Identity tokens of service accounts, and of instances when they are asked for with `format=full`. People have tokens of
 * this issuer as well: an address is an attribute only where it is a service account's, whose domain is Google's own.
 *
 * @see https://cloud.google.com/compute/docs/instances/verifying-instance-identity#payload
 * @see https://cloud.google.com/docs/authentication/token-types#id
 */
const instanceClaim = (name: string) => ({ from: [['google', 'compute_engine', name]] })
const google: PresetAttributes = {
  service_account: {
    from: [['email']],
    part: /^([^\s@]+@[^\s@]+\.gserviceaccount\.com)$/,
    vouchedBy: 'email_verified',
    judge: serviceAccount,
  },
  authorized_party: { from: [['azp']] },
  project_id: { ...instanceClaim('project_id'), judge: word },
  project_number: { ...instanceClaim('project_number'), json: 'digits', judge: number },
  zone: { ...instanceClaim('zone'), common: true, judge: word },
  instance_id: { ...instanceClaim('instance_id'), json: 'digits', judge: number },
  instance_name: { ...instanceClaim('instance_name'), common: true, judge: word },
}

/**
 * Runs of workspaces, and of stacks, which have `stack_…`, `deployment_name` and `operation` in the place of `workspace_…` and
 * `run_phase`. All names can be changed.
 *
 * @see https://developer.hashicorp.com/terraform/cloud-docs/workspaces/dynamic-provider-credentials/workload-identity-tokens
 */
const terraformClaim = (name: string) => ({ from: [[`terraform_${name}`]] })
const terraform: PresetAttributes = {
  organization_id: { ...terraformClaim('organization_id'), always: true, judge: beginningWith('org-') },
  organization_name: { ...terraformClaim('organization_name'), always: true },
  project_id: { ...terraformClaim('project_id'), always: true, judge: beginningWith('prj-') },
  project_name: { ...terraformClaim('project_name'), always: true, common: true },
  workspace_id: { ...terraformClaim('workspace_id'), judge: beginningWith('ws-') },
  workspace_name: { ...terraformClaim('workspace_name'), common: true },
  full_workspace: { ...terraformClaim('full_workspace'), judge: beginningWith('organization:') },
  run_id: { ...terraformClaim('run_id'), judge: beginningWith('run-') },
  run_phase: { ...terraformClaim('run_phase'), common: true },
  stack_id: { ...terraformClaim('stack_id'), judge: beginningWith('st-') },
  stack_name: { ...terraformClaim('stack_name'), common: true },
  deployment_name: { ...terraformClaim('stack_deployment_name'), common: true },
  operation: { ...terraformClaim('operation'), common: true },
}

export const oidcPresets: Readonly<Record<PresetName, PresetAttributes>> = {
  aws,
  azure,
  buildkite,
  circleci,
  github,
  gitlab,
  google,
  terraform,
}

/** Attributes that a preset adds to those of every OIDC token. */
export function presetAttributes(preset: PresetName): Readonly<Record<string, AttributeType>> {
  return Object.fromEntries(
    Object.entries(oidcPresets[preset]).map(([name, { always }]) => [name, always ? 'string' : 'maybe string']),
  )
}

/** What is known of their values, by `proof.NAME`. */
export function presetValues(preset: PresetName): AttributeValues {
  return new Map(
    Object.entries(oidcPresets[preset]).flatMap(([name, { judge }]) => (judge ? [[`proof.${name}`, judge]] : [])),
  )
}

/** Names of the attributes that tell whose proof it is. */
export function tellingAttributes(preset: PresetName): readonly string[] {
  return Object.entries(oidcPresets[preset]).flatMap(([name, { common }]) => (common ? [] : [name]))
}

/** What was probably meant by an attribute, such as `proof.ref`, that tokens without a preset do not have. */
export function suggestPreset(attribute: string): string | undefined {
  const name = /^proof\.(.+)$/.exec(attribute)?.[1] ?? ''
  const having = Object.entries(oidcPresets).filter(([, attributes]) => Object.hasOwn(attributes, name))
  if (having.length === 0) return undefined
  const asClaim = having.some(([, attributes]) => attributes[name]?.from === undefined)
  const presets = `preset: ${having.map(([preset]) => preset).join(' or ')}`
  return asClaim ? `did you mean claims.${name}, or ${presets}?` : `did you mean ${presets}?`
}
