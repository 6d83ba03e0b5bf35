/**
 * Ports: clouds that give a credential of theirs for a token of ours.
 *
 * @module
 */
import { ServiceError } from './service-error.ts'
import type { Target } from './target.ts'

/** A credential of a cloud. Never logged, recorded or kept in the store. */
export type CloudCredential = AwsCredential | AccessTokenCredential

export interface AwsCredential {
  readonly type: 'aws'
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  readonly expiresAt: Date
  readonly roleArn: string
}

export interface AccessTokenCredential {
  readonly type: 'azure' | 'gcp'
  readonly accessToken: string
  readonly expiresAt: Date
}

/** What a cloud is given. */
export interface CloudExchange {
  readonly target: Target
  /** A JWT-SVID whose only audience is the target's. */
  readonly token: string
  /** AWS only: name of the session. */
  readonly sessionName?: string
  /** Aborted when nobody waits any longer. */
  readonly signal: AbortSignal
}

/** A credential, and how the cloud calls the request that gave it. */
export interface CloudAnswer {
  readonly credential: CloudCredential
  /** Such as `x-amzn-requestid`. */
  readonly requestId?: string
}

/**
 * Port: one exchange, tried once. Retries, reuse and joining equal exchanges are the caller's.
 *
 * @throws {CloudError} and nothing else
 */
export type ExchangeAtCloud = (exchange: CloudExchange) => Promise<CloudAnswer>

/** Port: equal keys at the same time are one run, whose outcome all get. Where promises can not be shared, each runs. */
export type JoinEqual = <T>(key: string, run: () => Promise<T>) => Promise<T>

/**
 * What kind of failure it is, which says what to do about it:
 * - `unreachable`: no answer, a 5xx, or one that is not understood; to be tried again
 * - `throttled`: to be tried again later
 * - `expired_token`: the token was too old there; to be tried again with a new one
 * - `refused`: trying again changes nothing
 */
export type CloudErrorKind = 'unreachable' | 'throttled' | 'expired_token' | 'refused'

/** A cloud gave no credential. */
export class CloudError extends ServiceError<CloudErrorKind> {
  override readonly name = 'CloudError'
}
