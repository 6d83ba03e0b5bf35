/**
 * The doubles of three clouds: of each its token service, and its store of secrets, which takes what the token service gave
 * and nothing else. Administrators tell each whom to trust with what `apostille trust` prints.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type AwsSecretsManager, startAwsSecretsManager } from '../../test/support/clouds/aws-secrets-manager.ts'
import { current, versionAt } from '../../test/support/clouds/aws-secrets-state.ts'
import { type AwsSts, startAwsSts } from '../../test/support/clouds/aws-sts.ts'
import type { TrustPolicy } from '../../test/support/clouds/aws-trust-policy.ts'
import type { CloudOptions } from '../../test/support/clouds/cloud-server.ts'
import { type Entra, startEntra } from '../../test/support/clouds/entra.ts'
import type { FederatedCredential } from '../../test/support/clouds/entra-directory.ts'
import type { GoogleProvider, GoogleServiceAccount } from '../../test/support/clouds/google-project.ts'
import { type GoogleSecretManager, startGoogleSecretManager } from '../../test/support/clouds/google-secret-manager.ts'
import { type GoogleSts, startGoogleSts } from '../../test/support/clouds/google-sts.ts'
import { type KeyVault, startKeyVault } from '../../test/support/clouds/key-vault.ts'
import type { Gateway, Places } from '../support/gateway.ts'

export const account = '123456789012'
const region = 'eu-west-1'
const tenant = '11111111-2222-3333-4444-555555555555'
const project = 'shop-payments'
const projectNumber = '123456789'

export interface Clouds {
  readonly sts: AwsSts
  readonly secretsManager: AwsSecretsManager
  readonly entra: Entra
  readonly vault: KeyVault
  readonly googleSts: GoogleSts
  readonly secretManager: GoogleSecretManager
  readonly close: () => Promise<void>
}

export async function startClouds(options: CloudOptions): Promise<Clouds> {
  const [sts, entra, googleSts] = await Promise.all([
    startAwsSts(options),
    startEntra(options),
    startGoogleSts(options),
  ])
  const { authority } = options
  const [secretsManager, vault, secretManager] = await Promise.all([
    startAwsSecretsManager({ authority, account, region, sts: sts.state }),
    startKeyVault({ authority, tenant, entra }),
    startGoogleSecretManager({ authority, project, projectNumber, sts: googleSts }),
  ])
  const all = [sts, secretsManager, entra, vault, googleSts, secretManager]
  return {
    ...{ sts, secretsManager, entra, vault, googleSts, secretManager },
    close: async () => void (await Promise.all(all.map(({ close }) => close()))),
  }
}

/** What leads the targets and destinations of the configuration to the doubles. */
export function placesOf({ sts, secretsManager, entra, vault, googleSts, secretManager }: Clouds, ca: string): Places {
  return [
    [['targets', 'aws', 'endpoint'], sts.url],
    [['targets', 'aws', 'ca_file'], ca],
    [['targets', 'azure', 'authority_host'], entra.url],
    [['targets', 'azure', 'ca_file'], ca],
    [['targets', 'google', 'token_url'], googleSts.tokenUrl],
    [['targets', 'google', 'impersonation_url'], googleSts.url],
    [['targets', 'google', 'ca_file'], ca],
    [['destinations', 'aws-secrets', 'endpoint'], secretsManager.url],
    [['destinations', 'aws-secrets', 'ca_file'], ca],
    [['destinations', 'azure-vault', 'endpoint'], vault.url],
    [['destinations', 'azure-vault', 'ca_file'], ca],
    [['destinations', 'google-secrets', 'endpoint'], secretManager.url],
    [['destinations', 'google-secrets', 'ca_file'], ca],
  ]
}

/** What `apostille trust` prints for each. */
interface Trusts {
  readonly aws: {
    readonly oidc_provider: { readonly url: string; readonly client_ids: readonly string[] }
    readonly role: { readonly arn: string; readonly trust_policy: TrustPolicy }
  }
  readonly azure: { readonly client_id: string; readonly federated_credentials: readonly FederatedCredential[] }
  readonly gcp: {
    readonly pool: { readonly name: string }
    readonly provider: GoogleProvider & { readonly name: string }
    readonly service_account: GoogleServiceAccount & { readonly email: string }
  }
}

/** Runs `apostille trust` for each cloud, and does there what it prints. Answers the subject that all of them trust. */
export async function trustApostille(clouds: Clouds, gateway: Gateway): Promise<readonly string[]> {
  const trust = async <Cloud extends keyof Trusts>(cloud: Cloud, target: string) => {
    const printed = JSON.parse(await gateway.command('trust', cloud, target, '--format', 'json'))
    return printed as Trusts[Cloud] & { readonly subjects: readonly string[] }
  }
  const [aws, azure, google] = [await trust('aws', 'aws'), await trust('azure', 'azure'), await trust('gcp', 'google')]
  await trustAtAws(clouds, aws)
  await trustAtAzure(clouds, azure)
  trustAtGoogle(clouds, google)
  return [...new Set([aws, azure, google].flatMap(({ subjects }) => subjects))]
}

async function trustAtAws({ sts, secretsManager }: Clouds, { oidc_provider: provider, role }: Trusts['aws']) {
  sts.createOidcProvider({ account, url: provider.url, clientIds: provider.client_ids })
  sts.state.roles.set(role.arn, { arn: role.arn, trustPolicy: role.trust_policy })
  const policy = JSON.parse(await readFile(join(import.meta.dirname, 'aws-policy.json'), 'utf8'))
  secretsManager.state.policies.set(role.arn, policy.Statement)
}

const keyVaultActions = ['readMetadata/action', 'setSecret/action', 'update/action', 'delete', 'recover/action']

async function trustAtAzure({ entra, vault }: Clouds, { client_id: clientId, ...trust }: Trusts['azure']) {
  entra.state.tenants.set(tenant, {})
  entra.state.apps.push({ tenant, clientId, federatedCredentials: [] })
  for (const credential of trust.federated_credentials) await entra.addFederatedCredential(clientId, credential)
  const actions = keyVaultActions.map((action) => `Microsoft.KeyVault/vaults/secrets/${action}`)
  vault.state.grants.set(clientId, new Set(actions))
}

const googlePermissions = [
  ...['list', 'get', 'create', 'update', 'delete'].map((action) => `secretmanager.secrets.${action}`),
  ...['add', 'list'].map((action) => `secretmanager.versions.${action}`),
]

function trustAtGoogle({ googleSts, secretManager }: Clouds, { pool, provider, service_account: who }: Trusts['gcp']) {
  googleSts.state.pools.set(pool.name, {})
  googleSts.createProvider(provider.name, provider)
  googleSts.state.serviceAccounts.set(who.email, who)
  secretManager.state.bindings = [{ permissions: googlePermissions, members: [`serviceAccount:${who.email}`] }]
}

/** A secret as its cloud has it; undefined where there is none, or none any more. */
export interface StoredSecret {
  readonly value: string
  readonly versions: number
  readonly tags: Readonly<Record<string, string>>
}

type Find = (clouds: Clouds, path: string) => StoredSecret | undefined

/** By the name of the cloud. @param path At the source: its name there is made of it. */
export const stores: Readonly<Record<string, Find>> = {
  AWS({ secretsManager: { state } }, path) {
    const secret = state.secrets.get(path)
    const version = secret?.deletion === undefined ? secret && versionAt(secret, current) : undefined
    if (secret === undefined || version === undefined) return undefined
    return { value: version.text ?? '', versions: secret.versions.size, tags: Object.fromEntries(secret.tags) }
  },
  Azure({ vault: { state } }, path) {
    const secret = state.secrets.get(path.replaceAll('/', '-'))
    const version = secret?.deleted === undefined ? secret?.versions.at(-1) : undefined
    return version && { value: version.value, versions: secret?.versions.length ?? 0, tags: version.tags }
  },
  Google({ secretManager: { state } }, path) {
    const secret = state.secrets.get(`projects/${projectNumber}/secrets/${path.replaceAll('/', '-')}`)
    const version = secret?.versions.at(-1)
    return (
      version && { value: `${version.data}`, versions: secret?.versions.length ?? 0, tags: secret?.annotations ?? {} }
    )
  },
}
