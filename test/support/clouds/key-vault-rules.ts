/**
 * What Key Vault checks of a request for secrets.
 *
 * @see {@link https://learn.microsoft.com/rest/api/keyvault/secrets/operation-groups REST API}
 * @module
 */
import type { CloudRequest } from './cloud-server.ts'
import type { EntraToken } from './entra.ts'
import type { KeyVaultSecret, KeyVaultState } from './key-vault-state.ts'
import type { Rule } from './rules.ts'

export interface KeyVaultProblem {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly innerCode?: string
}

export type KeyVaultOperation =
  | 'set'
  | 'get'
  | 'update'
  | 'delete'
  | 'list'
  | 'versions'
  | 'list deleted'
  | 'get deleted'
  | 'recover'
  | 'purge'

export interface KeyVaultContext {
  readonly request: CloudRequest
  readonly query: URLSearchParams
  readonly vault: string
  readonly tenant: string
  readonly token: EntraToken | undefined
  /** Undefined where the path and method are of none. */
  readonly operation: KeyVaultOperation | undefined
  readonly name: string
  readonly version: string
  /** Undefined where it is no JSON object. */
  readonly body: KeyVaultBody | undefined
  readonly secret: KeyVaultSecret | undefined
  readonly state: KeyVaultState
  readonly now: Date
}

export interface KeyVaultBody {
  readonly value?: unknown
  readonly contentType?: unknown
  readonly tags?: unknown
  readonly attributes?: { readonly enabled?: boolean }
}

type VaultRule = Rule<KeyVaultContext, KeyVaultProblem>

const authPage = 'https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses'
const limitsPage = 'https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates'
const secretsPage = 'https://learn.microsoft.com/azure/key-vault/secrets/about-secrets'
const softDeletePage = 'https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview'
const rbacPage = 'https://learn.microsoft.com/azure/role-based-access-control/permissions/security#microsoftkeyvault'
const page = (name: string) => `https://learn.microsoft.com/rest/api/keyvault/secrets/${name}`

const bad = (message: string): KeyVaultProblem => ({ status: 400, code: 'BadParameter', message })
const unauthorized = (message: string): KeyVaultProblem => ({ status: 401, code: 'Unauthorized', message })

function must(
  name: string,
  source: string,
  holds: (context: KeyVaultContext) => boolean,
  problem: (context: KeyVaultContext) => KeyVaultProblem,
): VaultRule {
  return { name, source, check: (context) => (holds(context) ? undefined : problem(context)) }
}

/** Data actions of roles. */
export const actionOf: Readonly<Record<KeyVaultOperation, string>> = {
  set: 'Microsoft.KeyVault/vaults/secrets/setSecret/action',
  get: 'Microsoft.KeyVault/vaults/secrets/getSecret/action',
  update: 'Microsoft.KeyVault/vaults/secrets/update/action',
  delete: 'Microsoft.KeyVault/vaults/secrets/delete',
  list: 'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
  versions: 'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
  'list deleted': 'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
  'get deleted': 'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
  recover: 'Microsoft.KeyVault/vaults/secrets/recover/action',
  purge: 'Microsoft.KeyVault/vaults/secrets/purge/action',
}

const apiVersions = ['7.2', '7.3', '7.4', '7.5', '7.6', '2025-07-01', '2026-04-01']
const writes: ReadonlySet<KeyVaultOperation | undefined> = new Set(['set', 'update'])
const ofMany: ReadonlySet<KeyVaultOperation | undefined> = new Set(['list', 'list deleted'])

/** Of caller and protocol. */
export const keyVaultCallerRules: readonly VaultRule[] = [
  must(
    'token_present',
    authPage,
    ({ request }) => /^Bearer ./.test(request.headers['authorization'] ?? ''),
    () => unauthorized('AKV10000: Request is missing a Bearer or PoP token.'),
  ),
  must(
    'token_of_entra',
    authPage,
    ({ token }) => token !== undefined,
    () => unauthorized('AKV10022: Invalid signature.'),
  ),
  must(
    'token_audience',
    authPage,
    ({ token }) => token?.resource === 'https://vault.azure.net',
    ({ token }) =>
      unauthorized(`AKV10022: Invalid audience. Expected https://vault.azure.net, found: ${token?.resource}.`),
  ),
  must(
    'token_tenant',
    authPage,
    ({ token, tenant }) => token?.tenant === tenant,
    () => unauthorized('AKV10032: Invalid issuer.'),
  ),
  must(
    'token_expired',
    authPage,
    ({ token, now }) => (token?.expiresAt ?? now) > now,
    () => unauthorized('AKV10020: Token expired.'),
  ),
  must(
    'route',
    page('secrets'),
    ({ operation }) => operation !== undefined,
    () => ({ status: 404, code: 'NotFound', message: 'The requested resource was not found.' }),
  ),
  must(
    'api_version',
    'https://learn.microsoft.com/azure/key-vault/general/versions',
    ({ query }) => apiVersions.includes(query.get('api-version') ?? ''),
    ({ query }) => bad(`The specified version (${query.get('api-version') ?? ''}) is not recognized.`),
  ),
  {
    name: 'permission',
    source: rbacPage,
    check({ operation, token, state, vault, name }) {
      const action = actionOf[operation ?? 'get']
      if (state.grants.get(token?.clientId ?? '')?.has(action)) return undefined
      const message = [
        'Caller is not authorized to perform action on resource.',
        'If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.',
        `Caller: appid=${token?.clientId};iss=https://sts.windows.net/${token?.tenant}/`,
        `Action: '${action}'`,
        `Resource: '/subscriptions/0/resourcegroups/rg/providers/microsoft.keyvault/vaults/${vault}/secrets/${name}'`,
        'Assignment: (not found)',
        'DenyAssignmentId: null',
        "DecisionReason: 'DeniedWithNoValidRBAC'",
        `Vault: ${vault};location=westeurope`,
        '',
      ].join('\r\n')
      return { status: 403, code: 'Forbidden', message, innerCode: 'ForbiddenByRbac' }
    },
  },
]

/** Of what is asked. */
export const keyVaultInputRules: readonly VaultRule[] = [
  must(
    'name',
    limitsPage,
    ({ operation, name }) => ofMany.has(operation) || /^[0-9a-zA-Z-]{1,127}$/.test(name),
    ({ name }) => bad(`The request URI contains an invalid name: ${name}`),
  ),
  must(
    'page_size',
    page('get-secrets/get-secrets'),
    ({ query }) => !query.has('maxresults') || /^(?:[1-9]|1\d|2[0-5])$/.test(query.get('maxresults') ?? ''),
    () => bad('maxresults must be between 1 and 25.'),
  ),
  must(
    'page_token',
    page('get-secrets/get-secrets'),
    ({ query }) => !query.has('$skiptoken') || /^[\w-]+$/.test(query.get('$skiptoken') ?? ''),
    () => bad('The skiptoken is invalid.'),
  ),
  must(
    'body',
    page('set-secret/set-secret'),
    ({ operation, body, request }) =>
      !writes.has(operation) ||
      (body !== undefined && /^application\/json\b/.test(request.headers['content-type'] ?? '')),
    () => bad('The request body is missing or invalid.'),
  ),
  must(
    'value',
    page('set-secret/set-secret'),
    ({ operation, body }) => operation !== 'set' || typeof body?.value === 'string',
    () => bad('Property value is required.'),
  ),
  must(
    'value_size',
    secretsPage,
    ({ body }) => Buffer.byteLength(String(body?.value ?? '')) <= 25 * 1024,
    () => bad('The specified secret value is too long. The maximum is 25600 bytes.'),
  ),
  must(
    'content_type',
    secretsPage,
    ({ body }) => String(body?.contentType ?? '').length <= 255,
    () => bad('Property contentType has invalid value.'),
  ),
  must(
    'tags',
    `${page('set-secret/set-secret')} (tags: application specific metadata in the form of key-value pairs)`,
    ({ body }) => body?.tags === undefined || isTextMap(body.tags),
    () => bad('Property tags has invalid value.'),
  ),
  must(
    'tag_count',
    limitsPage,
    ({ body }) => Object.keys(body?.tags ?? {}).length <= 15,
    () => bad('Property tags has invalid value. The maximum number of tags is 15.'),
  ),
  must(
    'tag_name',
    limitsPage,
    ({ body }) => Object.keys(body?.tags ?? {}).every(({ length }) => length >= 1 && length <= 512),
    () => bad('Property tags has invalid value. A tag name can have at most 512 characters.'),
  ),
  must(
    'tag_value',
    limitsPage,
    ({ body }) => Object.values(body?.tags ?? {}).every((value) => String(value).length <= 256),
    () => bad('Property tags has invalid value. A tag value can have at most 256 characters.'),
  ),
]

function isTextMap(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && Object.values(value).every((member) => typeof member === 'string')
  )
}

const conflict = (innerCode: string, message: string): KeyVaultProblem => ({
  status: 409,
  code: 'Conflict',
  message,
  innerCode,
})

const isSettling = ({ secret, now }: KeyVaultContext) => (secret?.settledAt ?? now) > now

/** Of the state of the secret. */
export const keyVaultStateRules: readonly VaultRule[] = [
  must(
    'being_deleted',
    `${softDeletePage} (assumed, the text; the code is of https://github.com/Azure/azure-sdk-for-go/tree/main/sdk/security/keyvault/azsecrets)`,
    (context) =>
      !['set', 'update', 'delete', 'recover', 'purge'].includes(context.operation ?? '') ||
      !(isSettling(context) && context.secret?.deleted),
    ({ name }) => conflict('ObjectIsBeingDeleted', `Secret ${name} is currently being deleted.`),
  ),
  must(
    'being_recovered',
    `${softDeletePage} (assumed, the text)`,
    (context) =>
      !['set', 'update', 'delete', 'recover'].includes(context.operation ?? '') ||
      !(isSettling(context) && !context.secret?.deleted),
    ({ name }) => conflict('ObjectIsBeingRecovered', `Secret ${name} is currently being recovered.`),
  ),
  must(
    'deleted_recoverable',
    softDeletePage,
    ({ operation, secret }) => operation !== 'set' || secret?.deleted === undefined,
    ({ name }) =>
      conflict(
        'ObjectIsDeletedButRecoverable',
        `Secret ${name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the secret can only be recovered or purged.`,
      ),
  ),
  must(
    'purge_protected',
    softDeletePage,
    ({ operation, state }) => operation !== 'purge' || !state.purgeProtection,
    () => ({
      status: 403,
      code: 'Forbidden',
      message: 'Operation "purge" is not allowed because purge protection is enabled for this vault.',
    }),
  ),
  must(
    'found',
    page('get-secret/get-secret'),
    (context) => {
      const { operation, secret, version } = context
      if (!['get', 'update', 'delete'].includes(operation ?? '')) return true
      if (secret === undefined || secret.deleted !== undefined || isSettling(context)) return false
      return version === '' || secret.versions.some(({ id }) => id === version)
    },
    ({ name }) => ({
      status: 404,
      code: 'SecretNotFound',
      message: `A secret with (name/id) ${name} was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command.`,
    }),
  ),
  must(
    'found_deleted',
    page('get-deleted-secret/get-deleted-secret'),
    (context) =>
      !['get deleted', 'recover', 'purge'].includes(context.operation ?? '') ||
      (context.secret?.deleted !== undefined && !isSettling(context)),
    ({ name }) => ({ status: 404, code: 'SecretNotFound', message: `Deleted Secret not found: ${name}` }),
  ),
  must(
    'disabled',
    secretsPage,
    ({ operation, secret, version }) => {
      if (operation !== 'get') return true
      const shown = version === '' ? secret?.versions.at(-1) : secret?.versions.find(({ id }) => id === version)
      return shown?.enabled !== false
    },
    () => ({
      status: 403,
      code: 'Forbidden',
      message: 'Operation get is not allowed on a disabled secret.',
      innerCode: 'SecretDisabled',
    }),
  ),
]
