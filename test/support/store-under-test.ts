/**
 * What the contract of destinations asks of each store: the store's own view, and people who use it by hand.
 *
 * @module
 */
import type { CloudCredential } from '../../src/core/cloud.ts'
import type { SecretDestination } from '../../src/core/secret-destination.ts'
import type { CloudServer, LoggedRequest } from './clouds/cloud-server.ts'
import type { IdentityWorld } from './destination-world.ts'
import type { Members } from './exchanger.ts'

export interface StoreUnderTest {
  readonly identity: IdentityWorld
  readonly store: CloudServer
  /** Of the double, as its own tests know it. */
  readonly state: unknown
  /** @param more Members of the document. */
  readonly open: (more?: Members, credential?: () => Promise<CloudCredential>) => SecretDestination
  /** What an exchange gave. */
  readonly valid: CloudCredential
  /** As it was at the start, with nothing in it. */
  readonly reset: () => void
  /** What a reader there gets; undefined where there is none, or it is deleted. */
  readonly read: (name: string) => string | Uint8Array | undefined
  /** How many values it ever had. */
  readonly versions: (name: string) => number
  /** Labels that hold the stamp: tags or annotations. */
  readonly tags: (name: string) => Readonly<Record<string, string>>
  readonly setTag: (name: string, tag: string, value: string) => void
  /** Somebody gives it a value by hand, and makes it where it is not there. */
  readonly edit: (name: string, value: string) => void
  /** Somebody deletes it by hand, so that it can be had back where that is possible at all. */
  readonly discard: (name: string) => void
  readonly isWrite: (request: LoggedRequest) => boolean
  /** As the cloud calls what each step needs; absent where there is no such step. */
  readonly permissions: Readonly<Partial<Record<Step, string>>>
  readonly deny: (permission: string) => void
  readonly close: () => Promise<void>
}

export type Step = 'list' | 'look' | 'create' | 'write' | 'mark' | 'remove' | 'recover'
