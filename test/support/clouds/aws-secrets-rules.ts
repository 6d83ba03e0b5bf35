/**
 * What Secrets Manager checks of a request that is signed rightly.
 *
 * @see {@link https://docs.aws.amazon.com/secretsmanager/latest/apireference/Welcome.html API reference}
 * @module
 */
import type { AwsAccessKey } from './aws-account.ts'
import { whyDenied } from './aws-identity-policy.ts'
import { type AwsSecret, type AwsSecretsState, maxVersions } from './aws-secrets-state.ts'
import type { AwsProblem } from './aws-wire.ts'
import type { Rule } from './rules.ts'

export interface AwsTag {
  readonly Key: string
  readonly Value: string
}

interface AwsReplica {
  readonly Region: string
  readonly KmsKeyId?: string
}

/** Of every operation that the double knows. */
export interface AwsSecretsInput {
  readonly Name?: string
  readonly SecretId?: string
  readonly ClientRequestToken?: string
  readonly SecretString?: string
  readonly SecretBinary?: string
  readonly KmsKeyId?: string
  readonly Tags?: readonly AwsTag[]
  readonly AddReplicaRegions?: readonly AwsReplica[]
  readonly RemoveReplicaRegions?: readonly string[]
  readonly VersionStages?: readonly string[]
  readonly VersionStage?: string
  readonly RecoveryWindowInDays?: number
  readonly ForceDeleteWithoutRecovery?: boolean
  readonly IncludePlannedDeletion?: boolean
  readonly MaxResults?: number
  readonly NextToken?: string
}

export interface AwsSecretsContext {
  readonly operation: string
  readonly input: AwsSecretsInput
  readonly secret: AwsSecret | undefined
  readonly state: AwsSecretsState
  readonly key: AwsAccessKey
  readonly now: Date
}

type SecretsRule = Rule<AwsSecretsContext, AwsProblem>

const page = (operation: string) =>
  `https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_${operation}.html`
const limitsPage = 'https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html'
const deletePage = 'https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_delete-secret.html'
const replicaPage = 'https://docs.aws.amazon.com/secretsmanager/latest/userguide/replicate-secrets.html'

const no = (code: string, message: string): AwsProblem => ({ status: 400, code, message })
const invalid = (message: string) => no('InvalidParameterException', message)
const badRequest = (message: string) => no('InvalidRequestException', message)
const constraint = (member: string, what: string) =>
  no('ValidationException', `1 validation error detected: Value at '${member}' failed to satisfy constraint: ${what}`)

/** A rule that is a condition. */
function must(
  name: string,
  source: string,
  holds: (context: AwsSecretsContext) => boolean,
  problem: (context: AwsSecretsContext) => AwsProblem,
): SecretsRule {
  return { name, source, check: (context) => (holds(context) ? undefined : problem(context)) }
}

const writesValue = ({ operation, input }: AwsSecretsContext) =>
  operation === 'PutSecretValue' || input.SecretString !== undefined || input.SecretBinary !== undefined

const lengthBetween = (text: string | undefined, least: number, most: number) =>
  text === undefined || (text.length >= least && text.length <= most)

/** Of the members alone. */
export const awsSecretsInputRules: readonly SecretsRule[] = [
  must(
    'name_length',
    page('CreateSecret'),
    ({ operation, input }) => operation !== 'CreateSecret' || (!!input.Name && input.Name.length <= 512),
    () => constraint('name', 'Member must have length less than or equal to 512'),
  ),
  must(
    'name_characters',
    page('CreateSecret'),
    ({ input }) => input.Name === undefined || /^[A-Za-z0-9/_+=.@-]+$/.test(input.Name),
    () =>
      invalid(
        'Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!',
      ),
  ),
  must(
    'secret_id',
    page('DescribeSecret'),
    ({ operation, input }) =>
      ['CreateSecret', 'ListSecrets'].includes(operation) || (!!input.SecretId && input.SecretId.length <= 2048),
    () => constraint('secretId', 'Member must have length less than or equal to 2048'),
  ),
  must(
    'token_length',
    page('PutSecretValue'),
    ({ input }) => lengthBetween(input.ClientRequestToken, 32, 64),
    () => constraint('clientRequestToken', 'Member must have length greater than or equal to 32'),
  ),
  must(
    'value_once',
    page('PutSecretValue'),
    (context) =>
      !writesValue(context) ||
      (context.input.SecretString === undefined) !== (context.input.SecretBinary === undefined),
    () => invalid('You must provide either SecretString or SecretBinary.'),
  ),
  must(
    'value_empty',
    `${page('PutSecretValue')} (length constraints: minimum length of 1)`,
    ({ input }) => input.SecretString !== '' && input.SecretBinary !== '',
    () => constraint('secretString', 'Member must have length greater than or equal to 1'),
  ),
  must(
    'value_size',
    limitsPage,
    ({ input }) =>
      Buffer.byteLength(input.SecretString ?? '') <= 65_536 &&
      Buffer.from(input.SecretBinary ?? '', 'base64').length <= 65_536,
    () => constraint('secretString', 'Member must have length less than or equal to 65536'),
  ),
  must(
    'tag_count',
    limitsPage,
    ({ input, secret }) =>
      new Set([...(secret?.tags.keys() ?? []), ...(input.Tags ?? []).map(({ Key }) => Key)]).size <= 50,
    () => no('LimitExceededException', 'You can have at most 50 tags on a secret.'),
  ),
  must(
    'tag_key',
    `${page('Tag')} and https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html`,
    ({ input }) => (input.Tags ?? []).every(({ Key }) => /^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/iu.test(Key)),
    () => invalid('Invalid tag key.'),
  ),
  must(
    'tag_value',
    `${page('Tag')} and https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html`,
    ({ input }) => (input.Tags ?? []).every(({ Value }) => /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u.test(Value)),
    () => invalid('Invalid tag value.'),
  ),
  must(
    'tag_unique',
    page('TagResource'),
    ({ input: { Tags = [] } }) => new Set(Tags.map(({ Key }) => Key)).size === Tags.length,
    () => invalid('Duplicate tag keys.'),
  ),
  must(
    'recovery_window',
    page('DeleteSecret'),
    ({ input: { RecoveryWindowInDays: days } }) => days === undefined || (days >= 7 && days <= 30),
    () => invalid('The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).'),
  ),
  must(
    'recovery_window_or_force',
    page('DeleteSecret'),
    ({ input }) => input.ForceDeleteWithoutRecovery !== true || input.RecoveryWindowInDays === undefined,
    () => invalid("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."),
  ),
  must(
    'page_size',
    page('ListSecrets'),
    ({ input: { MaxResults: size } }) => size === undefined || (size >= 1 && size <= 100),
    () => constraint('maxResults', 'Member must have value less than or equal to 100'),
  ),
  must(
    'page_token',
    page('ListSecrets'),
    ({ input: { NextToken: token } }) => token === undefined || Buffer.from(token, 'base64').toString().startsWith('>'),
    () => no('InvalidNextTokenException', 'The NextToken value is invalid.'),
  ),
]

/** Of the caller's rights, and of what is there. */
export const awsSecretsStateRules: readonly SecretsRule[] = [
  {
    name: 'permission',
    source: 'https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html',
    check({ operation, input, secret, state, key }) {
      const action = `secretsmanager:${operation}`
      const name = input.Name ?? input.SecretId ?? ''
      const wanted = `arn:aws:secretsmanager:${state.region}:${state.account}:secret:${name}-??????`
      // ListSecrets knows no resources.
      const resource = operation === 'ListSecrets' ? '*' : (secret?.arn ?? wanted)
      const ofSecret = [...(secret?.tags ?? [])].map(
        ([tag, value]) => [`secretsmanager:resourcetag/${tag.toLowerCase()}`, [value]] as const,
      )
      const ofRequest = (input.Tags ?? []).map(
        ({ Key, Value }) => [`aws:requesttag/${Key.toLowerCase()}`, [Value]] as const,
      )
      const why = whyDenied(key, state.policies, { action, resource, values: new Map([...ofSecret, ...ofRequest]) })
      if (why === undefined) return undefined
      const message = `User: ${key.arn} is not authorized to perform: ${action} on resource: ${secret?.arn ?? name} ${why}`
      return no('AccessDeniedException', message)
    },
  },
  {
    name: 'permission_to_tag',
    source: `${page('CreateSecret')} (to add tags to a new secret: secretsmanager:TagResource)`,
    check({ operation, input, state, key }) {
      if (operation !== 'CreateSecret' || (input.Tags ?? []).length === 0) return undefined
      const action = 'secretsmanager:TagResource'
      const resource = `arn:aws:secretsmanager:${state.region}:${state.account}:secret:${input.Name}-??????`
      const why = whyDenied(key, state.policies, { action, resource, values: new Map() })
      if (why === undefined) return undefined
      return no(
        'AccessDeniedException',
        `User: ${key.arn} is not authorized to perform: ${action} on resource: ${input.Name} ${why}`,
      )
    },
  },
  must(
    'kms_key',
    `${page('CreateSecret')} (KmsKeyId; assumed, which error)`,
    ({ input, state }) => input.KmsKeyId === undefined || state.kmsKeys.has(input.KmsKeyId),
    () => no('AccessDeniedException', 'Access to KMS is not allowed'),
  ),
  must(
    'create_deleted',
    deletePage,
    ({ operation, input, state }) =>
      operation !== 'CreateSecret' || state.secrets.get(input.Name ?? '')?.deletion === undefined,
    () => badRequest("You can't create this secret because a secret with this name is already scheduled for deletion."),
  ),
  must(
    'create_exists',
    page('CreateSecret'),
    ({ operation, input, state }) => {
      const there = operation === 'CreateSecret' ? state.secrets.get(input.Name ?? '') : undefined
      return there === undefined || isRepeated(there, input)
    },
    ({ input }) =>
      no('ResourceExistsException', `The operation failed because the secret ${input.Name} already exists.`),
  ),
  must(
    'secret_exists',
    page('DescribeSecret'),
    ({ operation, secret }) => ['CreateSecret', 'ListSecrets'].includes(operation) || secret !== undefined,
    () => no('ResourceNotFoundException', "Secrets Manager can't find the specified secret."),
  ),
  must(
    'secret_deleted',
    deletePage,
    ({ operation, secret }) =>
      ['CreateSecret', 'ListSecrets', 'DescribeSecret', 'RestoreSecret'].includes(operation) ||
      secret?.deletion === undefined,
    () => badRequest("You can't perform this operation on the secret because it was marked for deletion."),
  ),
  must(
    'replica_read_only',
    replicaPage,
    ({ operation, secret }) =>
      ['DescribeSecret', 'GetSecretValue'].includes(operation) || secret?.primaryRegion === undefined,
    () => badRequest("You can't perform this operation on a replica secret. Use the primary secret's Region instead."),
  ),
  must(
    'delete_replicated',
    replicaPage,
    ({ operation, secret }) => operation !== 'DeleteSecret' || (secret?.replicas.size ?? 0) === 0,
    () =>
      badRequest(
        "You can't delete a secret that still has replica regions. Remove the replicas first with RemoveRegionsFromReplication.",
      ),
  ),
  must(
    'token_other_value',
    page('PutSecretValue'),
    ({ operation, input, secret }) => {
      const version = secret?.versions.get(input.ClientRequestToken ?? '')
      return operation !== 'PutSecretValue' || version === undefined || holdsValue(version, input)
    },
    ({ input, secret }) =>
      no(
        'ResourceExistsException',
        `You can't use ClientRequestToken ${input.ClientRequestToken} because that value is already in use for a version of secret ${secret?.arn}.`,
      ),
  ),
  must(
    'version_quota',
    limitsPage,
    ({ operation, secret, now }) =>
      operation !== 'PutSecretValue' ||
      [...(secret?.versions.values() ?? [])].filter(({ createdAt }) => now.getTime() - createdAt.getTime() < 86_400_000)
        .length < maxVersions,
    () => no('LimitExceededException', "You've exceeded the quota of versions for this secret."),
  ),
  must(
    'value_exists',
    page('GetSecretValue'),
    ({ operation, secret, input: { VersionStage: stage = 'AWSCURRENT' } }) =>
      operation !== 'GetSecretValue' || [...(secret?.versions.values() ?? [])].some(({ stages }) => stages.has(stage)),
    ({ input: { VersionStage: stage = 'AWSCURRENT' } }) =>
      no(
        'ResourceNotFoundException',
        `Secrets Manager can't find the specified secret value for staging label: ${stage}`,
      ),
  ),
]

/** The idempotency of a ClientRequestToken. */
export function isRepeated(secret: AwsSecret, input: AwsSecretsInput): boolean {
  const version = secret.versions.get(input.ClientRequestToken ?? '')
  return version !== undefined && holdsValue(version, input)
}

function holdsValue(
  version: { readonly text?: string; readonly binary?: string },
  { SecretString, SecretBinary }: AwsSecretsInput,
): boolean {
  return version.text === SecretString && version.binary === SecretBinary
}
