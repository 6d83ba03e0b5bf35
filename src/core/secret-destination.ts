/**
 * Port: where the secrets of a sync go.
 *
 * @module
 */

import type { CloudCredential } from './cloud.ts'
import type { DestinationDocument } from './config-destinations.ts'
import type { OwnerStamp } from './owner-stamp.ts'
import { ServiceError } from './service-error.ts'

/** A secret as it stands at the destination, without what it holds. */
export interface HeldSecret {
  /** Without project, vault or account: what {@link SecretPush.name} says. */
  readonly name: string
  /** Absent where nobody of ours wrote it, as far as can be seen. */
  readonly stamp?: OwnerStamp
  /**
   * - `whole`: it holds what the stamp says, as far as can be seen without reading the value
   * - `edited`: somebody else gave it another value since
   * - `empty`: what the stamp says has not got there, as after a crash between creating a secret and its first version, or
   *   between a version and its stamp
   */
  readonly state: 'whole' | 'edited' | 'empty'
}

/** Text where the value is text; bytes where it is none. */
export type SecretValue = string | Uint8Array

/** What a secret is to become. */
export interface SecretPush {
  readonly name: string
  readonly value: SecretValue
  readonly stamp: OwnerStamp
  /** Of the sync, besides those that the configuration of the destination has. */
  readonly tags: Readonly<Record<string, string>>
  /**
   * What makes a repeated write the same one, where the cloud takes that: a UUID out of an HMAC over name, value and the
   * version that is replaced (empty for none). A current version whose id is the token after the one before it is this
   * very write, of which only the answer was lost. A value that comes back later has another token, as clouds pass over
   * a write with the token of an old version.
   */
  readonly token: (replaced: string) => string
  /** Whether an unowned secret of that name is taken over. */
  readonly adopts: boolean
}

/**
 * What a write did:
 * - `created`; `updated`, with a new version; `adopted`, which was nobody's
 * - `recovered`: it was deleted and could be had back, whether it then got a new version or not
 * - `marked`: the value was right, and stamp, tags or settings were not
 * - `unchanged`: all was right already, as after an answer that was lost
 */
export type PushOutcome = 'created' | 'updated' | 'adopted' | 'recovered' | 'marked' | 'unchanged'

export interface Pushed {
  readonly outcome: PushOutcome
  /** How the destination calls the secret: an ARN, a URL, a resource name. */
  readonly id: string
  /** How it calls the version that holds the value, where it is known. */
  readonly version?: string
  /** Of the last call. */
  readonly requestId?: string
}

export interface Removed {
  readonly outcome: 'removed' | 'absent'
  readonly id?: string
  /** Until when it can be had back there. */
  readonly recoverableUntil?: Date
  readonly requestId?: string
}

/** What every call is given. */
export interface DestinationTurn {
  /** Aborted when nobody waits any longer. */
  readonly signal: AbortSignal
  /**
   * Awaited before each request to the cloud: keeps the destination within its quotas, and throws where this worker has
   * lost its turn. What it throws is passed on as it is.
   */
  readonly pace: (kind: 'read' | 'write') => Promise<void>
}

/**
 * Port: each method is a whole operation, tried once: attempts and their pauses are the caller's, and one that is
 * repeated after a lost answer, a crash or by a second worker comes to the same end.
 *
 * @throws {DestinationError} and nothing else, but what `pace` and the credential throw
 */
export interface SecretDestination {
  /** All secrets that there are, ours and others', in pages, in any order, with no request for single ones. */
  readonly list: (turn: DestinationTurn) => AsyncIterable<readonly HeldSecret[]>
  /**
   * One secret, looked at more closely than a listing can: an edit may have dropped the stamp that an earlier version
   * has. Undefined where there is none, deleted ones included.
   */
  readonly find: (name: string, turn: DestinationTurn) => Promise<HeldSecret | undefined>
  /**
   * Makes the secret what `push` says, from whatever is there: nothing, ours in any state, ours and deleted, nobody's
   * and adopted. It looks before it writes, as a listing may be minutes old, and never makes a version for a value that
   * {@link holdsSame}.
   *
   * @throws {DestinationError} `conflict` for what {@link ownershipOf} says is not to be touched
   */
  readonly write: (push: SecretPush, turn: DestinationTurn) => Promise<Pushed>
  /**
   * Removes what has that owner; looks first, and never shortens the time in which it can be had back.
   *
   * @throws {DestinationError} `conflict` for what has another owner or none
   */
  readonly remove: (name: string, owner: string, turn: DestinationTurn) => Promise<Removed>
  /** Frees what it holds, such as connections. */
  readonly close?: () => Promise<void>
}

/** Port: the adapter for a destination of the configuration. What it needs of a cloud's library loads with its first call. */
export type OpenDestination = (destination: OpenedDestination) => SecretDestination

export interface OpenedDestination {
  readonly name: string
  readonly document: DestinationDocument
  /** Of the target, where it has one: the destination's by default. */
  readonly targetRegion?: string
  /**
   * A credential that is good right now; asked for before each request, as it is had before mostly.
   *
   * @throws {DestinationError} what the exchange came to
   */
  readonly credential: (signal: AbortSignal) => Promise<CloudCredential>
}

/**
 * - `ours`: has the owner
 * - `free`: nobody's, or of a deployment that had the same names and whose store is gone; only adopted when asked to
 * - `foreign`: another sync, destination or deployment has it
 */
export type Ownership = 'ours' | 'free' | 'foreign'

export function ownershipOf(stamp: OwnerStamp | undefined, owner: string): Ownership {
  if (stamp === undefined) return 'free'
  if (stamp.owner === owner) return 'ours'
  return withoutDeployment(stamp.owner) === withoutDeployment(owner) ? 'free' : 'foreign'
}

/** An owner ends in the id of the deployment. */
function withoutDeployment(owner: string): string {
  return owner.slice(0, owner.lastIndexOf('/'))
}

/** Whether the value that is held is the one to be written. */
export function holdsSame({ state, stamp }: HeldSecret, { stamp: wanted }: Pick<SecretPush, 'stamp'>): boolean {
  return state === 'whole' && stamp?.owner === wanted.owner && stamp.fingerprint === wanted.fingerprint
}

/**
 * What kind of failure it is, which says what to do about it:
 * - `unreachable`: no answer, a 5xx, or one that is not understood; to be tried again
 * - `throttled`: to be tried again later
 * - `busy`: it is being deleted or recovered right now; to be tried again soon
 * - `forbidden`: our identity may not, or its credential is not taken, until somebody permits it
 * - `conflict`: the secret is not ours, or somebody else wrote at the same time
 * - `blocked_deleted`: a deleted secret has the name, and is not to be, or can not be, had back
 * - `too_large`, `bad_name`, `bad_value`: the cloud takes no such value, name, or kind of value
 * - `refused`: any other no; trying again changes nothing
 */
export type DestinationErrorKind =
  | 'unreachable'
  | 'throttled'
  | 'busy'
  | 'forbidden'
  | 'conflict'
  | 'blocked_deleted'
  | 'too_large'
  | 'bad_name'
  | 'bad_value'
  | 'refused'

/** A destination did not do what was asked. */
export class DestinationError extends ServiceError<DestinationErrorKind> {
  override readonly name = 'DestinationError'
}
