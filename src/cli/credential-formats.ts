/**
 * A target's credential as tools read it.
 *
 * @see {@link https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html AWS: credential_process}
 * @see {@link https://google.aip.dev/auth/4117 AIP-4117: external accounts}
 * @see {@link https://learn.microsoft.com/entra/workload-id/workload-identity-federation Entra: AZURE_FEDERATED_TOKEN_FILE}
 * @module
 */
import type { AzureFacts, GoogleFacts } from '../runtime/target-facts.node.ts'
import type { AccessTokenCredential, AwsCredential } from '../sdk/credential-answer.ts'
import { quote } from './invocation.ts'
import { formatFields, formatMoment } from './output.ts'
import type { TargetAnswer } from './target-credential.ts'

export type Environment = Readonly<Record<string, string>>

/** Seconds are all that some SDKs parse. */
export function formatExpiry(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z')
}

export function formatText(target: string, { credential }: TargetAnswer, now: Date): string {
  const expires = ['expires', formatMoment(credential.expiresAt, now)] as const
  const head = ['target', `${target} (${credential.type})`] as const
  if (credential.type !== 'aws') return formatFields([head, expires, ['access token', credential.accessToken]])
  return formatFields([
    head,
    ['role', credential.roleArn],
    expires,
    ['access key id', credential.accessKeyId],
    ['secret access key', credential.secretAccessKey],
    ['session token', credential.sessionToken],
  ])
}

/** What `credential_process` of a profile prints. */
export function processDocument(credential: AwsCredential): Readonly<Record<string, unknown>> {
  return {
    Version: 1,
    AccessKeyId: credential.accessKeyId,
    SecretAccessKey: credential.secretAccessKey,
    SessionToken: credential.sessionToken,
    Expiration: formatExpiry(credential.expiresAt),
    ...(credential.accountId !== undefined && { AccountId: credential.accountId }),
  }
}

export function credentialEnvironment(credential: AwsCredential | AccessTokenCredential): Environment {
  if (credential.type !== 'aws') {
    const { type, accessToken } = credential
    return type === 'azure'
      ? { AZURE_ACCESS_TOKEN: accessToken }
      : { CLOUDSDK_AUTH_ACCESS_TOKEN: accessToken, GOOGLE_OAUTH_ACCESS_TOKEN: accessToken }
  }
  return {
    AWS_ACCESS_KEY_ID: credential.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credential.secretAccessKey,
    AWS_SESSION_TOKEN: credential.sessionToken,
    AWS_CREDENTIAL_EXPIRATION: formatExpiry(credential.expiresAt),
  }
}

export function azureEnvironment(facts: AzureFacts, tokenFile: string): Environment {
  return {
    AZURE_TENANT_ID: facts.tenant,
    AZURE_CLIENT_ID: facts.clientId,
    AZURE_FEDERATED_TOKEN_FILE: tokenFile,
    AZURE_AUTHORITY_HOST: facts.authorityHost,
  }
}

/** Lines for a POSIX shell. */
export function formatExports(environment: Environment): string {
  return Object.entries(environment)
    .map(([name, value]) => `export ${name}=${quote(value)}`)
    .join('\n')
}

/** Where the library finds the token: a file, or a program that prints it. */
export type SubjectTokenSource = { readonly file: string } | { readonly executable: { readonly command: string } }

/** What `GOOGLE_APPLICATION_CREDENTIALS` names. */
export function googleDocument(facts: GoogleFacts, source: SubjectTokenSource): Readonly<Record<string, unknown>> {
  const { provider, universe, serviceAccount, lifetimeSeconds } = facts
  const { tokenUrl = `https://sts.${universe}/v1/token` } = facts
  return {
    type: 'external_account',
    universe_domain: universe,
    audience: `//iam.${universe}/${provider}`,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: tokenUrl,
    ...(serviceAccount !== undefined && {
      service_account_impersonation_url: impersonationUrl(facts, serviceAccount),
      ...(lifetimeSeconds !== undefined && {
        service_account_impersonation: { token_lifetime_seconds: lifetimeSeconds },
      }),
    }),
    credential_source: source,
  }
}

/** The base of the service, or the URL in whole. */
function impersonationUrl(
  { universe, impersonationUrl: base = `https://iamcredentials.${universe}` }: GoogleFacts,
  account: string,
): string {
  const method = `/v1/projects/-/serviceAccounts/${account}:generateAccessToken`
  return base.endsWith(':generateAccessToken') ? base : `${base.replace(/\/$/, '')}${method}`
}
