/**
 * The environment of the command that `exec` runs: that of this process, with the variables by which an SDK finds the
 * credentials of this run, and without those by which it would find others.
 *
 * @module
 */
import type { AzureFacts, TargetType } from '../runtime/target-facts.node.ts'
import { azureEnvironment, type Environment } from './credential-formats.ts'

type ProcessEnvironment = Readonly<Record<string, string | undefined>>

/** By which an SDK of that cloud finds credentials of another kind, or of somebody else. */
export const removedVariables: Readonly<Record<TargetType, readonly string[]>> = {
  aws: [
    'AWS_ACCESS_KEY_ID',
    'AWS_SECRET_ACCESS_KEY',
    'AWS_SESSION_TOKEN',
    'AWS_SECURITY_TOKEN',
    'AWS_CREDENTIAL_EXPIRATION',
    'AWS_PROFILE',
    'AWS_DEFAULT_PROFILE',
    'AWS_CONFIG_FILE',
    'AWS_SHARED_CREDENTIALS_FILE',
    'AWS_ROLE_ARN',
    'AWS_ROLE_SESSION_NAME',
    'AWS_WEB_IDENTITY_TOKEN_FILE',
    'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
    'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
    'AWS_BEARER_TOKEN_BEDROCK',
  ],
  azure: [
    'AZURE_TENANT_ID',
    'AZURE_CLIENT_ID',
    'AZURE_CLIENT_SECRET',
    'AZURE_CLIENT_CERTIFICATE_PATH',
    'AZURE_CLIENT_CERTIFICATE_PASSWORD',
    'AZURE_USERNAME',
    'AZURE_PASSWORD',
    'AZURE_FEDERATED_TOKEN_FILE',
    'AZURE_TOKEN_CREDENTIALS',
    'IDENTITY_ENDPOINT',
    'IDENTITY_HEADER',
    'IDENTITY_SERVER_THUMBPRINT',
    'IMDS_ENDPOINT',
    'MSI_ENDPOINT',
    'MSI_SECRET',
  ],
  gcp: [
    'GOOGLE_APPLICATION_CREDENTIALS',
    'GOOGLE_CREDENTIALS',
    'GOOGLE_CLOUD_KEYFILE_JSON',
    'GCLOUD_KEYFILE_JSON',
    'GOOGLE_OAUTH_ACCESS_TOKEN',
    'GOOGLE_IMPERSONATE_SERVICE_ACCOUNT',
    'CLOUDSDK_AUTH_ACCESS_TOKEN',
    'CLOUDSDK_AUTH_ACCESS_TOKEN_FILE',
    'CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT',
  ],
}

export interface ExecPlace {
  /** Of the {@link startCredentialServer}. */
  readonly origin: string
  readonly secret: string
  /** Files that are there for this run. */
  readonly emptyFile: string
  readonly googleFile: string
}

/** @param awsConfig Text of the file that `AWS_CONFIG_FILE` names, for its region; empty where there is none. */
export function awsVariables({ origin, secret, emptyFile }: ExecPlace, env: ProcessEnvironment, awsConfig: string) {
  const region = env['AWS_REGION'] ?? env['AWS_DEFAULT_REGION'] ?? readDefaultRegion(awsConfig)
  return {
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${origin}/aws`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN: secret,
    // Most SDKs look there before they ask anybody.
    AWS_CONFIG_FILE: emptyFile,
    AWS_SHARED_CREDENTIALS_FILE: emptyFile,
    ...(region !== undefined && { AWS_REGION: region, AWS_DEFAULT_REGION: env['AWS_DEFAULT_REGION'] ?? region }),
  }
}

/** What the file with the profiles says besides credentials that a command can not do without. */
export function readDefaultRegion(awsConfig: string): string | undefined {
  const section = /^\s*\[\s*default\s*\](.*?)(?=^\s*\[|$(?![\s\S]))/ms.exec(awsConfig)?.[1] ?? ''
  return /^\s*region\s*=\s*(\S+)\s*$/m.exec(section)?.[1]
}

/** As on App Service, or with facts, as in AKS. */
export function azureVariables({ origin, secret }: ExecPlace, facts?: AzureFacts, tokenFile?: string): Environment {
  if (facts && tokenFile !== undefined) return azureEnvironment(facts, tokenFile)
  return { IDENTITY_ENDPOINT: `${origin}/azure`, IDENTITY_HEADER: secret }
}

export function googleVariables({ googleFile }: ExecPlace): Environment {
  return { GOOGLE_APPLICATION_CREDENTIALS: googleFile, CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE: googleFile }
}

/**
 * An external account whose token service is ours: a library sends the secret of this run there as the token to exchange,
 * and gets the access token that the gateway has for the target.
 */
export function googleExecDocument(origin: string, target: string, secretFile: string) {
  return {
    type: 'external_account',
    audience: `//iam.googleapis.com/apostille/${target}`,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${origin}/gcp`,
    credential_source: { file: secretFile },
  }
}

/** @param added Wins over what is inherited. */
export function childEnvironment(
  env: ProcessEnvironment,
  types: readonly TargetType[],
  added: Environment,
): Record<string, string> {
  const removed = new Set(types.flatMap((type) => removedVariables[type]))
  const kept = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !removed.has(entry[0]),
  )
  return { ...Object.fromEntries(kept), ...added, ...withoutProxy(env) }
}

/** A proxy does not reach this machine's loopback, and must not see what goes there. */
function withoutProxy(env: ProcessEnvironment): Environment {
  const proxied = Object.keys(env).some((name) => /^(?:https?|all)_proxy$/i.test(name))
  if (!proxied) return {}
  const list = [env['NO_PROXY'] ?? env['no_proxy'], '127.0.0.1'].filter(Boolean).join(',')
  return { NO_PROXY: list, no_proxy: list }
}
