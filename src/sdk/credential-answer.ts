/**
 * Answers of `GET /v1/credentials/{target}` and `POST /v1/svid/jwt`, read.
 *
 * @module
 */
import { ApostilleError } from './apostille-error.ts'

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

export interface JwtSvid {
  readonly spiffeId: string
  readonly token: string
  readonly expiresAt: Date
}

type Document = Readonly<Record<string, unknown>>

/** @throws {ApostilleError} `unexpected_answer` */
export function readCredential(document: Document): CloudCredential {
  return document['AccessKeyId'] === undefined ? readAccessToken(document) : readAws(document)
}

function readAws(document: Document): AwsCredential {
  const { AccountId: accountId, RoleArn: roleArn } = document
  return {
    type: 'aws',
    accessKeyId: text(document, 'AccessKeyId'),
    secretAccessKey: text(document, 'SecretAccessKey'),
    sessionToken: text(document, 'Token'),
    expiresAt: time(document, 'Expiration'),
    ...(typeof accountId === 'string' && { accountId }),
    ...(typeof roleArn === 'string' && { roleArn }),
  }
}

function readAccessToken(document: Document): AccessTokenCredential {
  const type = document['target_type']
  if (type !== 'azure' && type !== 'gcp') throw unexpected('target_type')
  return { type, accessToken: text(document, 'access_token'), expiresAt: time(document, 'expires_at') }
}

/** @throws {ApostilleError} `unexpected_answer` */
export function readJwtSvid(document: Document): JwtSvid {
  return {
    spiffeId: text(document, 'spiffe_id'),
    token: text(document, 'token'),
    expiresAt: time(document, 'expires_at'),
  }
}

function text(document: Document, name: string): string {
  const value = document[name]
  if (typeof value === 'string' && value !== '') return value
  throw unexpected(name)
}

function time(document: Document, name: string): Date {
  const value = new Date(text(document, name))
  if (Number.isNaN(value.getTime())) throw unexpected(name)
  return value
}

function unexpected(name: string): ApostilleError {
  return new ApostilleError(`the answer has no ${name}, so it is none of a gateway`, { code: 'unexpected_answer' })
}
