/**
 * Answers of `GET /v1/credentials/{target}`, read.
 *
 * @module
 */
import { type Document, textOf, timeOf, unexpected } from './answer-fields.ts'

export type CloudCredential = AwsCredential | AccessTokenCredential

export interface AwsCredential {
  readonly type: 'aws'
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  readonly expiresAt: Date
  readonly accountId?: string
  readonly roleArn?: string
}

export interface AccessTokenCredential {
  readonly type: 'azure' | 'gcp'
  readonly accessToken: string
  readonly expiresAt: Date
}

/** @throws {ApostilleError} `unexpected_answer` */
export function readCredential(document: Document): CloudCredential {
  return document['AccessKeyId'] === undefined ? readAccessToken(document) : readAws(document)
}

function readAws(document: Document): AwsCredential {
  const { AccountId: accountId, RoleArn: roleArn } = document
  return {
    type: 'aws',
    accessKeyId: textOf(document, 'AccessKeyId'),
    secretAccessKey: textOf(document, 'SecretAccessKey'),
    sessionToken: textOf(document, 'Token'),
    expiresAt: timeOf(document, 'Expiration'),
    ...(typeof accountId === 'string' && { accountId }),
    ...(typeof roleArn === 'string' && { roleArn }),
  }
}

function readAccessToken(document: Document): AccessTokenCredential {
  const type = document['target_type']
  if (type !== 'azure' && type !== 'gcp') throw unexpected('target_type')
  return { type, accessToken: textOf(document, 'access_token'), expiresAt: timeOf(document, 'expires_at') }
}
