/**
 * Credentials for the AWS SDK for JavaScript, version 3.
 *
 * @see {@link https://docs.aws.amazon.com/sdk-for-javascript/v3/developer-guide/setting-credentials-node.html AWS: credentials}
 * @module
 */
import { createCredentialSource, type TargetOptions } from './fresh-client.ts'

/** An `AwsCredentialIdentity`. */
export interface AwsIdentity {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  readonly expiration: Date
  readonly accountId?: string
}

/**
 * An `AwsCredentialIdentityProvider`, for `credentials` of a client:
 *
 *     new S3Client({ region: 'eu-west-1', credentials: fromApostille({ server, target: 'payments-s3', token }) })
 *
 * Clients that share a provider share its credential. The provider throws {@link ApostilleError}.
 *
 * @throws {ApostilleError} `usage`
 */
export function fromApostille(options: TargetOptions): () => Promise<AwsIdentity> {
  const source = createCredentialSource(options, 'aws')
  return async () => {
    const { accessKeyId, secretAccessKey, sessionToken, expiresAt, accountId } = await source()
    return {
      accessKeyId,
      secretAccessKey,
      sessionToken,
      expiration: expiresAt,
      ...(accountId !== undefined && { accountId }),
    }
  }
}
