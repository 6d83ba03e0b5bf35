/**
 * What Secret Manager checks of a request.
 *
 * @see {@link https://cloud.google.com/secret-manager/docs/reference/rest REST API}
 * @module
 */
import type { GoogleCall } from './google-description.ts'
import { membersOf } from './google-description.ts'
import type { GoogleApiProblem } from './google-project.ts'
import { invalidArgument } from './google-project.ts'
import type { GoogleSecret, GoogleSecretsState, GoogleSecretVersion, Texts } from './google-secrets-state.ts'
import type { Rule } from './rules.ts'

export interface GoogleCaller {
  readonly principals: readonly string[]
  readonly scopes: readonly string[]
  readonly expiresAt: Date
}

export interface GoogleSecretsContext {
  readonly authorization: string | undefined
  readonly caller: GoogleCaller | undefined
  readonly call: GoogleCall | undefined
  readonly isJson: boolean
  readonly state: GoogleSecretsState
  /** Of the path, or of the id that is to be created. */
  readonly secret: GoogleSecret | undefined
  readonly version: GoogleSecretVersion | undefined
  readonly now: Date
}

type SecretsRule = Rule<GoogleSecretsContext, GoogleApiProblem>

const rest = 'https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets'
const protos = 'https://github.com/googleapis/googleapis/blob/master/google/cloud/secretmanager/v1/resources.proto'
const service = 'https://github.com/googleapis/googleapis/blob/master/google/cloud/secretmanager/v1/service.proto'
const quotas = 'https://cloud.google.com/secret-manager/quotas'
const etags = 'https://cloud.google.com/secret-manager/docs/etags'
const access = 'https://cloud.google.com/secret-manager/docs/access-control'
const errors = 'https://cloud.google.com/apis/design/errors'

const problem = (status: number, code: string, message: string): GoogleApiProblem => ({ status, code, message })
const precondition = (message: string) => problem(400, 'FAILED_PRECONDITION', message)
const unauthenticated = problem(
  401,
  'UNAUTHENTICATED',
  'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.',
)

function must(
  name: string,
  source: string,
  holds: (context: GoogleSecretsContext) => boolean,
  refusal: GoogleApiProblem | ((context: GoogleSecretsContext) => GoogleApiProblem),
): SecretsRule {
  return {
    name,
    source,
    check: (context) => (holds(context) ? undefined : typeof refusal === 'function' ? refusal(context) : refusal),
  }
}

/** Permission of each method that the double knows. */
export const permissionOf: Readonly<Record<string, string>> = {
  ListSecrets: 'secretmanager.secrets.list',
  CreateSecret: 'secretmanager.secrets.create',
  GetSecret: 'secretmanager.secrets.get',
  UpdateSecret: 'secretmanager.secrets.update',
  DeleteSecret: 'secretmanager.secrets.delete',
  AddSecretVersion: 'secretmanager.versions.add',
  ListSecretVersions: 'secretmanager.versions.list',
  GetSecretVersion: 'secretmanager.versions.get',
  AccessSecretVersion: 'secretmanager.versions.access',
  EnableSecretVersion: 'secretmanager.versions.enable',
  DisableSecretVersion: 'secretmanager.versions.disable',
  DestroySecretVersion: 'secretmanager.versions.destroy',
}

const wideScope = 'https://www.googleapis.com/auth/cloud-platform'
const is = ({ call }: GoogleSecretsContext, ...rpcs: readonly string[]) => rpcs.includes(call?.rpc ?? '')
const writing = ['CreateSecret', 'UpdateSecret', 'DeleteSecret', 'AddSecretVersion']
const changing = [...writing, 'EnableSecretVersion', 'DisableSecretVersion', 'DestroySecretVersion']

/** Of caller and protocol. */
export const googleSecretsCallerRules: readonly SecretsRule[] = [
  must('secrets_bearer', errors, ({ authorization }) => /^Bearer ./.test(authorization ?? ''), unauthenticated),
  must('secrets_token', errors, ({ caller }) => caller !== undefined, unauthenticated),
  must('secrets_token_expired', errors, ({ caller, now }) => (caller?.expiresAt ?? now) > now, unauthenticated),
  must(
    'secrets_scope',
    service,
    ({ caller }) => caller?.scopes.includes(wideScope) === true,
    problem(403, 'PERMISSION_DENIED', 'Request had insufficient authentication scopes.'),
  ),
  must(
    'secrets_route',
    service,
    ({ call }) => permissionOf[call?.rpc ?? ''] !== undefined,
    problem(404, 'NOT_FOUND', 'The requested URL was not found on this server.'),
  ),
  must(
    'secrets_permission',
    access,
    ({ call, caller, state }) =>
      state.bindings.some(
        ({ permissions, members }) =>
          permissions.includes(permissionOf[call?.rpc ?? ''] ?? '') &&
          members.some((member) => caller?.principals.includes(member)),
      ),
    ({ call }) =>
      problem(
        403,
        'PERMISSION_DENIED',
        `Permission '${permissionOf[call?.rpc ?? '']}' denied for resource '${call?.resource}' (or it may not exist).`,
      ),
  ),
  must(
    'secrets_quota',
    quotas,
    (context) => !is(context, ...changing) || context.state.writtenAt.length < context.state.writesPerMinute,
    problem(
      429,
      'RESOURCE_EXHAUSTED',
      "Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute' of service 'secretmanager.googleapis.com'.",
    ),
  ),
]

function secretOf({ call }: GoogleSecretsContext): Readonly<Record<string, unknown>> {
  return (call?.message['secret'] ?? {}) as Readonly<Record<string, unknown>>
}

const textsOf = (context: GoogleSecretsContext, member: string): Texts => (secretOf(context)[member] ?? {}) as Texts
const isShort = (text: string) => Buffer.byteLength(text) <= 128

function pathsOf({ call }: GoogleSecretsContext): readonly string[] {
  return String(call?.message['updateMask'] ?? '')
    .split(',')
    .filter((path) => path !== '')
}

const isRegional = ({ call }: GoogleSecretsContext) => /^projects\/[^/]+\/locations\//.test(call?.resource ?? '')
const dataOf = ({ call }: GoogleSecretsContext) =>
  Buffer.from(String((call?.message['payload'] as { data?: string } | undefined)?.data ?? ''), 'base64')

/** Of what is asked. */
export const googleSecretsInputRules: readonly SecretsRule[] = [
  must(
    'secrets_body',
    errors,
    ({ isJson }) => isJson,
    invalidArgument('Invalid JSON payload received. Unexpected end of string.'),
  ),
  must(
    'secrets_members',
    service,
    ({ call }) => call?.wrong === undefined,
    ({ call }) => invalidArgument(call?.wrong ?? ''),
  ),
  must(
    'secrets_id',
    service,
    (context) =>
      !is(context, 'CreateSecret') || /^[A-Za-z0-9_-]{1,255}$/.test(String(context.call?.message['secretId'])),
    invalidArgument('Secret ID must match the expected format: [[a-zA-Z_0-9-]+] and be at most 255 characters.'),
  ),
  must(
    'secrets_replication',
    `${rest}#Replication (required for secrets that are not regional)`,
    (context) =>
      !is(context, 'CreateSecret') || isRegional(context) || hasReplication(secretOf(context)['replication']),
    invalidArgument('The replication policy is required and must be automatic or user managed.'),
  ),
  must(
    'secrets_regional_replication',
    'https://cloud.google.com/secret-manager/regional-secrets/create-regional-secret (assumed)',
    (context) => !isRegional(context) || secretOf(context)['replication'] === undefined,
    invalidArgument('Regional secrets can not have a replication policy.'),
  ),
  must(
    'secrets_label_count',
    protos,
    (context) => Object.keys(textsOf(context, 'labels')).length <= 64,
    invalidArgument('No more than 64 labels can be assigned to a given resource.'),
  ),
  must(
    'secrets_label_key',
    protos,
    (context) =>
      Object.keys(textsOf(context, 'labels')).every(
        (key) => isShort(key) && /^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u.test(key),
      ),
    invalidArgument('Label keys must conform to [\\p{Ll}\\p{Lo}][\\p{Ll}\\p{Lo}\\p{N}_-]{0,62}.'),
  ),
  must(
    'secrets_label_value',
    protos,
    (context) =>
      Object.values(textsOf(context, 'labels')).every(
        (value) => isShort(value) && /^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u.test(value),
      ),
    invalidArgument('Label values must conform to [\\p{Ll}\\p{Lo}\\p{N}_-]{0,63}.'),
  ),
  must(
    'secrets_annotation_key',
    protos,
    (context) =>
      Object.keys(textsOf(context, 'annotations')).every((key) =>
        /^[a-z0-9A-Z](?:[a-z0-9A-Z._-]{0,61}[a-z0-9A-Z])?$/.test(key),
      ),
    invalidArgument('Annotation keys must begin and end with an alphanumeric character.'),
  ),
  must(
    'secrets_annotation_size',
    protos,
    (context) => Buffer.byteLength(Object.entries(textsOf(context, 'annotations')).flat().join('')) < 16 * 1024,
    invalidArgument('The total size of annotation keys and values must be less than 16KiB.'),
  ),
  must(
    'secrets_payload',
    'https://github.com/hashicorp/terraform-provider-google/issues/10475',
    (context) => !is(context, 'AddSecretVersion') || dataOf(context).length > 0,
    invalidArgument('Field [payload] is required.'),
  ),
  must(
    'secrets_payload_size',
    protos,
    (context) => dataOf(context).length <= 64 * 1024,
    invalidArgument('The secret payload is too large. The maximum is 65536 bytes.'),
  ),
  must(
    'secrets_payload_checksum',
    protos,
    (context) => {
      const { dataCrc32c: said } = (context.call?.message['payload'] ?? {}) as { readonly dataCrc32c?: unknown }
      return said === undefined || String(said) === String(crc32c(dataOf(context)))
    },
    invalidArgument('The checksum of the payload does not match its data.'),
  ),
  must(
    'secrets_mask',
    service,
    (context) => !is(context, 'UpdateSecret') || pathsOf(context).length > 0,
    invalidArgument('Field [update_mask] is required.'),
  ),
  must(
    'secrets_mask_paths',
    service,
    (context) => pathsOf(context).every((path) => membersOf('Secret').has(toCamel(path.split('.')[0] ?? ''))),
    invalidArgument('The update mask names a field that is not of a secret.'),
  ),
  must(
    'secrets_mask_mutable',
    protos,
    (context) =>
      pathsOf(context).every((path) => !['name', 'create_time', 'createTime', 'etag', 'tags'].includes(path)),
    invalidArgument('The update mask names a field that can not be changed.'),
  ),
  must(
    'secrets_page_size',
    `${service} (assumed, that it is an error below 0)`,
    ({ call }) => Number(call?.message['pageSize'] ?? 0) >= 0,
    invalidArgument('The page size must not be negative.'),
  ),
  must(
    'secrets_page_token',
    service,
    ({ call }) => /^$|^after-/.test(String(call?.message['pageToken'] ?? '')),
    invalidArgument('The page token is invalid.'),
  ),
]

function hasReplication(value: unknown): boolean {
  const { automatic, userManaged } = (value ?? {}) as {
    readonly automatic?: object
    readonly userManaged?: { readonly replicas?: readonly { readonly location?: string }[] }
  }
  const locations = (userManaged?.replicas ?? []).map(({ location }) => location ?? '')
  const isManaged = locations.length > 0 && new Set(locations).size === locations.length && !locations.includes('')
  return (automatic !== undefined) !== (userManaged !== undefined) && (automatic !== undefined || isManaged)
}

const toCamel = (path: string) => path.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** Bit by bit, as a second opinion on who does it by a table. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xff_ff_ff_ff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) * 0x82_f6_3b_78)
  }
  return (crc ^ 0xff_ff_ff_ff) >>> 0
}

const ofVersion = ['GetSecretVersion', 'AccessSecretVersion', 'EnableSecretVersion', 'DisableSecretVersion']

function etagOf({ call }: GoogleSecretsContext): unknown {
  return call?.rpc === 'UpdateSecret' ? (call.message['secret'] as { etag?: string })?.etag : call?.message['etag']
}

/** Of the state of secret and version. */
export const googleSecretsStateRules: readonly SecretsRule[] = [
  must(
    'secrets_project',
    errors,
    ({ call, state }) => {
      const [, project] = /^projects\/([^/]+)/.exec(call?.resource ?? '') ?? []
      return project === state.project || project === state.projectNumber
    },
    ({ call }) => problem(404, 'NOT_FOUND', `Project [${call?.resource}] not found or deleted.`),
  ),
  must(
    'secrets_exists',
    `${rest}/create`,
    (context) => !is(context, 'CreateSecret') || context.secret === undefined,
    ({ secret }) => problem(409, 'ALREADY_EXISTS', `Secret [${secret?.name}] already exists.`),
  ),
  must(
    'secrets_found',
    `${rest}/get`,
    (context) => is(context, 'ListSecrets', 'CreateSecret') || context.secret !== undefined,
    ({ call }) => problem(404, 'NOT_FOUND', `Secret [${call?.resource}] not found.`),
  ),
  must(
    'secrets_version_found',
    `${rest}.versions/get`,
    (context) => !is(context, ...ofVersion, 'DestroySecretVersion') || context.version !== undefined,
    ({ call }) => problem(404, 'NOT_FOUND', `Secret Version [${call?.resource}] not found.`),
  ),
  must(
    'secrets_etag',
    etags,
    (context) => {
      const etag = etagOf(context) ?? ''
      return etag === '' || etag === (context.version ?? context.secret)?.etag
    },
    precondition('The etag provided does not match the current etag of the resource.'),
  ),
  must(
    'secrets_immutable',
    protos,
    (context) =>
      !is(context, 'UpdateSecret') ||
      !pathsOf(context).some((path) => path.split('.')[0] === 'replication' || path.split('.')[0] === 'secret_type'),
    precondition('The replication policy cannot be changed after the Secret has been created.'),
  ),
  must(
    'secrets_destroyed',
    `${rest}.versions/enable`,
    (context) => !is(context, ...ofVersion.slice(1)) || context.version?.state !== 'DESTROYED',
    ({ call }) => precondition(`Secret Version [${call?.resource}] is in DESTROYED state.`),
  ),
  must(
    'secrets_disabled',
    `${rest}.versions/access`,
    (context) => !is(context, 'AccessSecretVersion') || context.version?.state === 'ENABLED',
    ({ call }) => precondition(`Secret Version [${call?.resource}] is in DISABLED state.`),
  ),
]
